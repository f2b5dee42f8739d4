"""Where the notebooks are, and copies of them to be run by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from .._errors import MissingFileError
from .._files import write_text
from .parameters import check_parameters, kernel_of

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def find_notebook(notebook: str | Path) -> Path:
    """The path of a notebook given as a path or as the name of one of the kit's.

    Raises:
        FileNotFoundError: naming where it was looked for and which notebooks there are.

    Example:
        >>> find_notebook("00_quickstart").name
        '00_quickstart.ipynb'
    """
    for path in (Path(notebook), NOTEBOOKS / f"{notebook}.ipynb"):
        if path.is_file():
            return path
    there = ", ".join(sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))) or "none"
    raise MissingFileError(
        f"there is no notebook {notebook}; the kit's folder {NOTEBOOKS} holds: {there} "
        "(the kit's notebooks come with a clone of its repository)"
    )


def write_parametrised(
    notebook: str | Path, parameters: Mapping[str, Any], path: str | Path
) -> Path:
    """Write a copy of a notebook with these parameters, to be opened and run by hand.

    Args:
        notebook: a path, or the name of one of the kit's notebooks.
        parameters: values for its cell tagged ``parameters``, by name.
        path: the copy.

    Returns:
        The copy.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ValueError: for a parameter that the notebook does not have, or of another type.

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
    own = {"kernel_name": kernel_of(source) or "python3", "language": "python"}
    book = parameterize_notebook(load_notebook_node(str(source)), values, **own)
    write_text(path, nbformat.writes(book))
    return path
