"""Notebooks as batch jobs: run headless, kept whole, progress shown."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from traitlets.config import Config

from ._files import write_text
from ._names import find_name

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def run_notebook(notebook: str | Path, parameters: Mapping[str, Any], out: str | Path) -> Path:
    """Run a parameterised notebook headless and keep it, executed, with an HTML copy.

    What the notebook prints is shown while it runs. Both files appear in ``out`` when the notebook
    has come to its end; one that fails is kept as ``NAME.failed.ipynb``. Of a widget, which is dead
    without its kernel, they show the picture displayed with it.

    Args:
        notebook: a path, or the name of one of the kit's notebooks, such as "00_quickstart".
        parameters: values for its cell tagged ``parameters``, by name.
        out: folder of the executed notebook.

    Returns:
        The executed notebook.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ValueError: for a parameter that the notebook does not have.
        RuntimeError: if a cell fails; the message names the cell's error and the failed notebook.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> cell = nbformat.v4.new_code_cell("n = 1", metadata={"tags": ["parameters"]})
        >>> kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        >>> book = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
        >>> nbformat.write(book, folder / "one.ipynb")
        >>> run_notebook(folder / "one.ipynb", {"n": 2}, folder / "out").name
        'one.ipynb'
    """
    source, out = find_notebook(notebook), Path(out)
    _check_parameters(source, parameters)
    out.mkdir(parents=True, exist_ok=True)
    failed = out / f"{source.stem}.failed.ipynb"
    with tempfile.TemporaryDirectory(prefix="festkit-") as folder:  # short: sockets need that
        part = Path(folder) / source.name
        try:
            papermill.execute_notebook(
                str(source),
                str(part),
                dict(parameters),
                progress_bar=False,
                store_widget_state=False,  # with a state, exporters prefer a widget to its picture
                config=_local_kernel(folder),
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
            )
        except PapermillExecutionError as error:
            shutil.move(part, failed)
            raise RuntimeError(
                f"{source.name} failed: {error.ename}: {error.evalue} (all of it is in {failed})"
            ) from error
        executed = nbformat.read(part, as_version=4)
    executed, _ = CoalesceStreamsPreprocessor().preprocess(executed, {})
    html, _ = HTMLExporter().from_notebook_node(executed, {"metadata": {"name": source.stem}})
    write_text(out / f"{source.stem}.html", html)
    write_text(out / source.name, nbformat.writes(executed))
    failed.unlink(missing_ok=True)
    return out / source.name


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
        ValueError: for a parameter that the notebook does not have.

    Example:
        >>> copy = Path(tempfile.mkdtemp()) / "copy.ipynb"
        >>> write_parametrised("00_quickstart", {"epochs": 3}, copy).name
        'copy.ipynb'
        >>> "epochs = 3" in copy.read_text(encoding="utf-8")
        True
    """
    source, path = find_notebook(notebook), Path(path)
    _check_parameters(source, parameters)
    book = parameterize_notebook(load_notebook_node(str(source)), dict(parameters))
    write_text(path, nbformat.writes(book))
    return path


def _check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    known = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        if name not in known:
            find_name(f"parameter of {notebook.name}", name, known)
            raise ValueError(
                f"{notebook.name} has no parameter {name!r}; it has {', '.join(known)}"
            )


def _local_kernel(folder: str) -> Config:
    """Kernels that listen on files of their own instead of network ports, where there are such."""
    if sys.platform == "win32":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})


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
    raise FileNotFoundError(
        f"there is no notebook {notebook}; the kit's folder {NOTEBOOKS} holds: {there} "
        "(the kit's notebooks come with a clone of its repository)"
    )
