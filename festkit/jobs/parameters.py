"""Read and check the parameters of a notebook."""

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from .._support.errors import InputError, MissingFileError
from .._support.files import write_text
from .._support.names import find_name
from .._support.shipped import shipped_folder

TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "false"),
    "int": ((int,), "3"),
    "float": ((float, int), "0.01"),
    "str": ((str,), ""),
    "list": ((list, tuple), "[a, b]"),
    "tuple": ((list, tuple), "[a, b]"),
    "dict": ((dict,), "{a: b}"),
    "None": ((type(None),), ""),
}
"""By the name of a type: what it accepts, as papermill writes it, and a value for its option -y."""


@dataclass(frozen=True)
class Parameter:
    """One line of a ``parameters`` cell.

    Attributes:
        name: name of the variable.
        kinds: names of accepted types, or the choices of a ``Literal`` as written; empty if every
            value is accepted.
        default: the value in the cell; an ellipsis if it is not a literal.
        annotated: whether the line has a type annotation.
    """

    name: str
    kinds: tuple[str, ...]
    default: Any
    annotated: bool = True

    def accepts(self, value: Any) -> bool:
        """Whether a value has one of the types, or is one of the choices.

        Example:
            >>> Parameter("epochs", ("int",), 3).accepts(True)
            False
        """
        return not self.kinds or any(_fits(value, kind) for kind in self.kinds)

    def refusal(self, value: Any) -> str:
        """The message for a value that is not accepted.

        Example:
            >>> Parameter("epochs", ("int",), 3).refusal("4")
            "is '4' (str), expected int"
        """
        expected = " or ".join(self.kinds)
        return f"is {value!r} ({type(value).__name__}), expected {expected}"


def read_assigned(source: str) -> Iterator[Parameter]:
    """The parameters that a cell sets.

    Raises:
        SyntaxError: if the cell is not Python.

    Example:
        >>> [(each.name, each.kinds) for each in read_assigned("a: int | None = 3; b = 'x'")]
        [('a', ('int', 'None')), ('b', ('str',))]
    """
    for line in ast.parse(source).body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
            default = _literal(line.value)
            kinds = _kinds(line.annotation)
            none = ("None",) if kinds and default is None and "None" not in kinds else ()
            yield Parameter(line.target.id, (*kinds, *none), default)
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            default = _literal(line.value)
            kind = type(default).__name__
            kinds = (kind,) if kind in TYPES else ()
            yield Parameter(line.targets[0].id, kinds, default, annotated=False)


def _kinds(annotation: ast.expr) -> tuple[str, ...]:
    """Names of accepted types, or the choices of a ``Literal``; none if one is unknown."""
    members: list[ast.expr] = []
    match annotation:
        case ast.Name() | ast.Constant(value=None) if ast.unparse(annotation) in TYPES:
            return (ast.unparse(annotation),)
        case ast.Constant(value=str(text)):
            return _kinds(ast.parse(text, mode="eval").body)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            each = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return tuple(repr(_literal(choice)) for choice in each)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            members = [inner, ast.Constant(None)]
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=parts)):
            members = parts
        case ast.Subscript(value=outer):
            members = [outer]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            members = [left, right]
    found = [_kinds(member) for member in members]
    return tuple(dict.fromkeys(chain(*found))) if all(found) else ()


def _fits(value: Any, kind: str) -> bool:
    """Whether a value has a type, or is a choice, by its name."""
    if kind not in TYPES:
        return repr(value) == kind
    return isinstance(value, TYPES[kind][0]) and (kind == "bool" or not isinstance(value, bool))


def _literal(value: ast.expr) -> Any:
    """The value of a literal; an ellipsis for any other expression."""
    try:
        return ast.literal_eval(value)
    except ValueError:
        return ...


TAG = "parameters"


class NotebookContent(NamedTuple):
    """The parts of a notebook that festkit uses.

    Attributes:
        code: sources of the code cells.
        parameters: parameters by name; empty if no cell is tagged ``parameters``.
        tagged: whether a cell is tagged ``parameters``.
        kernel: the name of the kernel; empty if the notebook names none.
    """

    code: tuple[str, ...]
    parameters: dict[str, Parameter]
    tagged: bool
    kernel: str


def read_notebook(notebook: Path) -> NotebookContent:
    """Read a notebook, again if its time or size has changed.

    Raises:
        ValueError: if the file is no notebook, or the tagged cell is not Python.

    Example:
        >>> read_notebook(find_notebook("00_quickstart")).parameters["epochs"]
        Parameter(name='epochs', kinds=('int',), default=12, annotated=True)
    """
    state = notebook.stat()
    return _read(notebook, state.st_mtime_ns, state.st_size)


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check parameters and convert them to JSON values.

    Raises:
        ValueError: for an unknown name, or a value of the wrong type or without a JSON form.
    """
    content = read_notebook(notebook)
    known = content.parameters
    if parameters and not content.tagged:
        raise InputError(
            f"{notebook.name} has no cell tagged {TAG!r}, so it accepts no parameters, got "
            f"{', '.join(parameters)}; add the tag to the cell that sets them (in JupyterLab: "
            "View, Right Sidebar, Property Inspector)"
        )
    values = {}
    for name, value in parameters.items():
        if name not in known:
            similar = find_name(f"parameter of {notebook.name}", name, known)
            raise InputError(f"{notebook.name} has no parameter {name!r}; it has {similar}")
        if not known[name].accepts(value):
            raise InputError(f"parameter {name} of {notebook.name} {known[name].refusal(value)}")
        values[name] = _json_value(f"parameter {name} of {notebook.name}", value)
    return values


@lru_cache
def _read(notebook: Path, changed: int, length: int) -> NotebookContent:
    """The content of a file in this state."""
    try:
        book = nbformat.read(notebook, as_version=4)
        code = [cell for cell in book.cells if cell.cell_type == "code"]
        tagged = [cell.source for cell in code if TAG in cell.metadata.get("tags", [])]
    except OSError:
        raise
    except Exception as error:  # whatever nbformat meets in a file of another kind
        raise InputError(
            f"{notebook} is not a readable notebook ({type(error).__name__}: {str(error)[:100]}); "
            "expected an .ipynb file as saved by JupyterLab"
        ) from error
    try:
        known = {each.name: each for source in tagged[:1] for each in read_assigned(source)}
    except SyntaxError as error:
        raise InputError(
            f"the cell of {notebook.name} tagged {TAG!r} is not plain Python (line {error.lineno}: "
            f"{error.msg}); use only lines such as epochs: int = 3"
        ) from error
    kernel = book.metadata.get("kernelspec", {}).get("name", "")
    return NotebookContent(tuple(cell.source for cell in code), known, bool(tagged), kernel)


def _json_value(what: str, value: Any) -> Any:
    """A value as JSON has it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} is {value!r}, expected a JSON value: None, a bool, a finite number, a string, "
            "or a list or dict of such"
        ) from error


NOTEBOOKS = shipped_folder("notebooks")


def find_notebook(notebook: str | Path) -> Path:
    """Find a notebook by its path, or by its name if it comes with festkit.

    Raises:
        FileNotFoundError: if there is no such notebook; the message lists the available ones.

    Example:
        >>> find_notebook("00_quickstart").name
        '00_quickstart.ipynb'
    """
    for path in (Path(notebook), NOTEBOOKS / f"{notebook}.ipynb"):
        if path.is_file():
            return path
    there = ", ".join(sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))) or "none"
    raise MissingFileError(
        f"no such notebook: {notebook}; the folder {NOTEBOOKS} contains: {there}"
    )


def write_parametrised(
    notebook: str | Path, parameters: Mapping[str, Any], path: str | Path
) -> Path:
    """Write a copy of a notebook with these parameters, for interactive use.

    Args:
        notebook: a path, or the name of a notebook of festkit.
        parameters: values for its cell tagged ``parameters``, by name.
        path: path of the copy.

    Returns:
        The path of the copy.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ValueError: if a parameter is unknown or of the wrong type.

    Example:
        >>> import tempfile
        >>> copy = Path(tempfile.mkdtemp()) / "copy.ipynb"
        >>> write_parametrised("00_quickstart", {"epochs": 3}, copy).name
        'copy.ipynb'
        >>> "epochs = 3" in copy.read_text(encoding="utf-8")
        True
    """
    source, path = find_notebook(notebook), Path(path)
    values = check_parameters(source, parameters)
    own = {"kernel_name": read_notebook(source).kernel or "python3", "language": "python"}
    book = parameterize_notebook(load_notebook_node(str(source)), values, **own)
    write_text(path, nbformat.writes(book))
    return path
