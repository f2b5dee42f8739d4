"""What the first cell of every notebook does: check its parameters, and announce a smoke run."""

import json
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from .._support.errors import InputError
from .._support.names import find_name
from .parameters import TYPES, Parameter, read_assigned

INJECTED = "# Parameters\n"
"""First line of the cell that papermill adds."""

SMOKE = (
    '<p style="font-size:1.6em;font-weight:bold;margin:0">Smoke run: not a result</p>'
    "<p>The profile <code>smoke</code> only checks that this notebook runs. Its networks are "
    "barely trained, so the paper is left out.</p>"
)


def notebook_setup(space: MutableMapping[str, Any]) -> dict[str, Any]:
    """Check the parameters of the calling notebook, and return them by name.

    Notebooks call this in the first cell after their parameters, because papermill's command does
    not check types: ``-p levels "[0, 255]"`` and ``-p weak false`` pass text. Text is read as JSON
    where the parameter takes no text, and lists and dicts where it takes these; ``space`` then
    holds the result. Types are read from annotated lines (``weak: bool = True``) of earlier cells,
    which IPython keeps in ``In``. With the profile "smoke" a heading says that the run is no
    result.

    Args:
        space: the notebook's ``globals()``.

    Returns:
        The parameters by name, as other functions take them:
        ``open_table("th1", **notebook_setup(globals()))``.

    Raises:
        ValueError: if a value has the wrong type; the message names the expected type and the
            papermill option. Also if no cell sets a parameter.

    Example:
        >>> notebook_setup({"In": ["epochs: int = 3"], "epochs": "4"})
        {'epochs': 4}
        >>> notebook_setup({"In": ["epochs: int = 3"], "epochs": "four"})
        Traceback (most recent call last):
        festkit._support.errors.InputError: parameter epochs is ...
    """
    known = _known_parameters(space)
    for name, parameter in known.items():
        value = space[name] = _typed(parameter, space.get(name, parameter.default))
        if not parameter.accepts(value):
            raise InputError(
                f"parameter {name} {parameter.refusal(value)}{_cure(parameter, value)}"
            )
    if "profile" in known and space["profile"] == "smoke":
        _announce_smoke()
    return {name: space[name] for name in known}


def _known_parameters(space: Mapping[str, Any]) -> dict[str, Parameter]:
    """The annotated lines of all cells so far."""
    known: dict[str, Parameter] = {}
    for source in space.get("In", ()):
        lines: list[Parameter] = []
        with suppress(SyntaxError):  # a cell that failed
            lines = list(read_assigned(source))
        known |= {each.name: each for each in lines if each.annotated}
        if known and source.startswith(INJECTED):
            for each in lines:
                find_name("parameter of the notebook", each.name, known)
    return known


def _typed(parameter: Parameter, value: Any) -> Any:
    """A value, read as JSON if it is text for something else."""
    if not isinstance(value, str) or (parameter.accepts(value) and value[:1] not in ("[", "{")):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return read if parameter.accepts(read) else value


def _cure(parameter: Parameter, value: Any) -> str:
    """The option of papermill's command for a value of the expected type."""
    if "str" in parameter.kinds and not isinstance(value, list | tuple | dict):
        return f"; with papermill, pass text with: -r {parameter.name} {value}"
    examples = [TYPES[kind][1] for kind in parameter.kinds if kind in TYPES]
    example = next(filter(None, examples), None)
    return f"; with papermill, use: -y '{parameter.name}: {example}'" if example else ""


def _announce_smoke() -> None:
    """Say in large type what a smoke run is."""
    from IPython.display import HTML, display  # noqa: PLC0415 - the command line needs no IPython

    display(HTML(SMOKE))
