"""What a notebook takes: read from its ``parameters`` cell, checked before anything starts."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from .._errors import InputError
from .._names import find_name
from .._parameters import Parameter, read_assigned

TAG = "parameters"


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, by name; none if no cell is tagged ``parameters``.

    Raises:
        ValueError: if the file is no notebook, or the tagged cell is not Python.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> read_parameters(find_notebook("00_quickstart"))["epochs"]
        Parameter(name='epochs', kinds=('int',), default=12, annotated=True)
    """
    return _state(notebook).parameters


def code_cells(notebook: Path) -> tuple[str, ...]:
    """The sources of a notebook's code cells.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> "epochs: int = 12" in code_cells(find_notebook("00_quickstart"))[0]
        True
    """
    return _state(notebook).code


def kernel_of(notebook: Path) -> str:
    """The name of the kernel that a notebook asks for; empty if it names none.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> kernel_of(find_notebook("00_quickstart"))
        'python3'
    """
    return _state(notebook).kernel


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as plain values, tuples as lists.

    Raises:
        ValueError: for an unknown name, a value of another type, or one that is not plain.
    """
    known = read_parameters(notebook)
    if parameters and not _state(notebook).tagged:
        raise InputError(
            f"{notebook.name} has no cell tagged {TAG!r}, so it takes no parameters, got "
            f"{', '.join(parameters)}; add the tag to the cell that sets them (in JupyterLab: "
            "View, Right Sidebar, Property Inspector)"
        )
    values = {}
    for name, value in parameters.items():
        if name not in known:
            find_name(f"parameter of {notebook.name}", name, known)
            raise InputError(
                f"{notebook.name} has no parameter {name!r}; it has {', '.join(known)}"
            )
        if not known[name].accepts(value):
            raise InputError(f"parameter {name} of {notebook.name} {known[name].refusal(value)}")
        values[name] = _plain(f"parameter {name} of {notebook.name}", value)
    return values


class _Notebook(NamedTuple):
    code: tuple[str, ...]
    parameters: dict[str, Parameter]
    tagged: bool
    kernel: str


def _state(notebook: Path) -> _Notebook:
    state = notebook.stat()
    return _read(notebook, state.st_mtime_ns, state.st_size)


@lru_cache
def _read(notebook: Path, changed: int, length: int) -> _Notebook:
    """What a notebook holds; read anew when the file's time or length says so."""
    try:
        book = nbformat.read(notebook, as_version=4)
        code = [cell for cell in book.cells if cell.cell_type == "code"]
        tagged = [cell.source for cell in code if TAG in cell.metadata.get("tags", [])]
    except OSError:
        raise
    except Exception as error:  # whatever nbformat meets in a file of another kind
        raise InputError(
            f"{notebook} is not a notebook that can be read ({type(error).__name__}: "
            f"{str(error)[:100]}); expected an .ipynb file as JupyterLab saves it"
        ) from error
    try:
        known = {each.name: each for source in tagged[:1] for each in read_assigned(source)}
    except SyntaxError as error:
        raise InputError(
            f"the cell of {notebook.name} tagged {TAG!r} is not plain Python (line "
            f"{error.lineno}: {error.msg}); keep nothing in it but lines such as epochs: int = 3"
        ) from error
    kernel = book.metadata.get("kernelspec", {}).get("name", "")
    return _Notebook(tuple(cell.source for cell in code), known, bool(tagged), kernel)


def _plain(what: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} is {value!r}, expected a plain value: None, a truth value, a finite number, "
            "a string, or a list or dict of such"
        ) from error
