"""What a notebook takes: read from its ``parameters`` cell, checked before anything starts."""

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat

from .._errors import InputError
from .._names import find_name

TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "list": (list, tuple),
    "tuple": (list, tuple),
    "dict": (dict,),
    "None": (type(None),),
}
"""What a type's name accepts; a cell's text cannot tell a list from a tuple that is filled in."""


@dataclass(frozen=True)
class Parameter:
    """One line of a ``parameters`` cell.

    Attributes:
        name: what is assigned to.
        kinds: names of accepted types, or the choices of a ``Literal`` as they are written; empty
            if everything is accepted.
        default: the value in the cell; an ellipsis if it is not a plain one.
    """

    name: str
    kinds: tuple[str, ...]
    default: Any

    def accepts(self, value: Any) -> bool:
        """Whether a value has one of the types, or is one of the choices.

        Example:
            >>> Parameter("epochs", ("int",), 3).accepts(True)
            False
        """
        return not self.kinds or any(_fits(value, kind) for kind in self.kinds)


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, by name; none if no cell is tagged ``parameters``.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> read_parameters(find_notebook("00_quickstart"))["epochs"]
        Parameter(name='epochs', kinds=('int',), default=12)
    """
    state = notebook.stat()
    return _read(notebook, state.st_mtime_ns, state.st_size)[1]


def code_cells(notebook: Path) -> tuple[str, ...]:
    """The sources of a notebook's code cells.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> "epochs: int = 12" in code_cells(find_notebook("00_quickstart"))[0]
        True
    """
    state = notebook.stat()
    return _read(notebook, state.st_mtime_ns, state.st_size)[0]


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as plain values, tuples as lists.

    Raises:
        ValueError: for an unknown name, a value of another type, or one that is not plain.
    """
    known = read_parameters(notebook)
    values = {}
    for name, value in parameters.items():
        if name not in known:
            find_name(f"parameter of {notebook.name}", name, known)
            raise InputError(
                f"{notebook.name} has no parameter {name!r}; it has {', '.join(known)}"
            )
        if not known[name].accepts(value):
            raise InputError(
                f"parameter {name} of {notebook.name} is {value!r} ({type(value).__name__}), "
                f"expected {' or '.join(known[name].kinds)}"
            )
        values[name] = _plain(f"parameter {name} of {notebook.name}", value)
    return values


@lru_cache
def _read(
    notebook: Path, changed: int, length: int
) -> tuple[tuple[str, ...], dict[str, Parameter]]:
    """Code cells and parameters; read anew when the file's time or length says so."""
    cells = nbformat.read(notebook, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    tagged = [cell.source for cell in code if "parameters" in cell.metadata.get("tags", [])]
    known = {each.name: each for source in tagged[:1] for each in _assigned(source)}
    return tuple(cell.source for cell in code), known


def _assigned(source: str) -> Iterator[Parameter]:
    for line in ast.parse(source).body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
            default = _literal(line.value)
            kinds = _kinds(line.annotation)
            none = ("None",) if kinds and default is None and "None" not in kinds else ()
            yield Parameter(line.target.id, (*kinds, *none), default)
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            default = _literal(line.value)
            kind = type(default).__name__
            yield Parameter(line.targets[0].id, (kind,) if kind in TYPES else (), default)


def _kinds(annotation: ast.expr) -> tuple[str, ...]:
    """Names of accepted types; none for an annotation that is not one of the plain types."""
    match annotation:
        case ast.Name(id=name):
            return (name,) if name in TYPES else ()
        case ast.Constant(value=None):
            return ("None",)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            first, second = _kinds(left), _kinds(right)
            return first + second if first and second else ()
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            each = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return tuple(repr(ast.literal_eval(choice)) for choice in each)
        case ast.Subscript(value=outer):
            return _kinds(outer)
    return ()


def _fits(value: Any, kind: str) -> bool:
    if kind not in TYPES:
        return repr(value) == kind
    return isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return ...


def _plain(what: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} is {value!r}, expected a plain value: None, a truth value, a finite number, "
            "a string, or a list or dict of such"
        ) from error
