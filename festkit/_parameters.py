"""What a notebook's ``parameters`` cell asks for, read from its text, and whether values fit."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._errors import InputError
from ._names import find_name

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

EXAMPLES = {
    "bool": "false",
    "int": "3",
    "float": "0.01",
    "list": "[a, b]",
    "tuple": "[a, b]",
    "dict": "{a: b}",
}
"""A value of each type as papermill's option -y takes it."""

INJECTED = "# Parameters\n"
"""How the cell begins that papermill adds."""


@dataclass(frozen=True)
class Parameter:
    """One line of a ``parameters`` cell.

    Attributes:
        name: what is assigned to.
        kinds: names of accepted types, or the choices of a ``Literal`` as they are written; empty
            if everything is accepted.
        default: the value in the cell; an ellipsis if it is not a plain one.
        annotated: whether the line says the type itself.
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
        """What is said of a value that is not accepted.

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


def check_notebook(space: Mapping[str, Any]) -> None:
    """Refuse parameters of the calling notebook that have another type than its cell says.

    ``run_notebook`` does so before it starts one; papermill's own command and cells run by hand do
    not: with ``-p weak false`` the notebook gets a text, with ``-p images 2024`` a number. So a
    notebook calls this in the first cell after its parameters. The types are those that
    annotated lines (``weak: bool = True``) of earlier cells state, as IPython keeps them in ``In``;
    outside IPython there is nothing to check.

    Args:
        space: the notebook's ``globals()``.

    Raises:
        ValueError: naming the value, the type that is expected, and the option of papermill that
            gives it; or for a name that no cell sets.

    Example:
        >>> check_notebook({"In": ["epochs: int = 3"], "epochs": 4})
        >>> check_notebook({"In": ["epochs: int = 3"], "epochs": "4"})
        Traceback (most recent call last):
        festkit._errors.InputError: parameter epochs is '4' (str), expected int; papermill takes \
it as: -y 'epochs: 3'
    """
    known: dict[str, Parameter] = {}
    for source in space.get("In", ()):
        lines = _lines(source)
        known |= {each.name: each for each in lines if each.annotated}
        if known and source.startswith(INJECTED):
            for each in lines:
                find_name("parameter of the notebook", each.name, known)
    for name, parameter in known.items():
        if name in space and not parameter.accepts(space[name]):
            raise InputError(
                f"parameter {name} {parameter.refusal(space[name])}{_cure(parameter, space[name])}"
            )


def _lines(source: str) -> list[Parameter]:
    try:
        return list(read_assigned(source))
    except SyntaxError:  # a cell that failed
        return []


def _cure(parameter: Parameter, value: Any) -> str:
    """How papermill's command is given a value of the expected type."""
    if "str" in parameter.kinds and not isinstance(value, list | tuple | dict):
        return f"; papermill takes text as it is by: -r {parameter.name} {value}"
    example = next((EXAMPLES[kind] for kind in parameter.kinds if kind in EXAMPLES), None)
    return f"; papermill takes it as: -y '{parameter.name}: {example}'" if example else ""


def _kinds(annotation: ast.expr) -> tuple[str, ...]:
    """Names of accepted types; none if one of them is not a plain type."""
    each = [_one_kind(part) for part in _alternatives(annotation)]
    return tuple(dict.fromkeys(kind for kinds in each for kind in kinds)) if all(each) else ()


def _alternatives(annotation: ast.expr) -> list[ast.expr]:
    """The members of a union, however it is written."""
    match annotation:
        case ast.Constant(value=str(text)):
            parts = [ast.parse(text, mode="eval").body]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            parts = [left, right]
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            parts = [inner, ast.Constant(None)]
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=parts)):
            pass
        case _:
            return [annotation]
    return [each for part in parts for each in _alternatives(part)]


def _one_kind(annotation: ast.expr) -> tuple[str, ...]:
    match annotation:
        case ast.Name(id=name) if name in TYPES:
            return (name,)
        case ast.Constant(value=None):
            return ("None",)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            each = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return tuple(repr(_literal(choice)) for choice in each)
        case ast.Subscript(value=outer):
            return _one_kind(outer)
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
