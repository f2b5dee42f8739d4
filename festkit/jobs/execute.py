"""Run one notebook headless with papermill, in a kernel that ends with the run."""

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from .._support.errors import InputError
from .._support.files import write_text
from .parameters import check_parameters, find_notebook, read_notebook
from .status import NotebookError, RunRecorder, Status

# Papermill does not see parameters typed "str | None", and calls them unknown; ours are checked.
logging.getLogger("papermill").setLevel(logging.ERROR)


def run_notebook(
    notebook: str | Path,
    parameters: Mapping[str, Any],
    out: str | Path,
    *,
    max_minutes: float | None = None,
) -> Path:
    """Run a parameterised notebook headless; store the executed notebook and an HTML copy.

    The output of the notebook is shown while it runs. Both files are written to ``out`` at the end.
    Meanwhile ``NAME.running.ipynb`` shows the progress; after a failure it is kept as
    ``NAME.failed.ipynb``. Widgets, which need a kernel, are replaced by the picture displayed with
    them. If the notebook has a parameter ``out`` (the folder of its files), it defaults to ``out``.

    ``status.json`` contains the status ("running", "done", "failed", "timed out", "interrupted" or
    "killed"), the code cell and the reason. ``progress.jsonl`` has a line for each start and end of
    a cell. ``environment.json`` has the versions, git commit, device and times.

    Args:
        notebook: a path, or the name of one of the kit's notebooks, such as "00_quickstart".
        parameters: values for its cell tagged ``parameters``, by name.
        out: output folder.
        max_minutes: time limit in minutes; None for no limit.

    Returns:
        The executed notebook.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ValueError: if the file is not a notebook, its kernel is not installed, or a parameter is
            unknown or of the wrong type.
        NotebookError: a RuntimeError, if the kernel does not start or is killed, a cell fails, or
            the time limit is reached; the message names the cell, the error and the failed
            notebook.

    Example:
        >>> path = run_notebook("00_quickstart", {"epochs": 4}, "runs/quick")  # doctest: +SKIP
    """
    return run_recorded(notebook, parameters, out, {}, max_minutes)


def run_recorded(
    notebook: str | Path,
    parameters: Mapping[str, Any],
    out: str | Path,
    record: Mapping[str, Any],
    max_minutes: float | None,
) -> Path:
    """Like :func:`run_notebook`, with further entries in ``environment.json``."""
    source, out = find_notebook(notebook), Path(out)
    content = read_notebook(source)
    own = {"out": str(out.resolve())} if "out" in content.parameters else {}
    values = check_parameters(source, own | dict(parameters))
    _check_kernel(source)
    check_limit(max_minutes)
    entries = {"notebook": source.name, "parameters": values, **record}
    cells = sum(bool(cell.strip()) for cell in content.code) + bool(values)
    known = content.parameters.get("device")
    device = values.get("device", known.default if known else None)
    recorder = RunRecorder(out, entries, cells, device if isinstance(device, str) else None)
    with termination_as_exit(), recorder, _live_copy(out, source.stem) as live:
        _execute(source, values, live, recorder, max_minutes)
        _keep(live, out / source.name)
    return out / source.name


def _check_kernel(source: Path) -> None:
    """Refuse a notebook whose kernel is not installed."""
    kernel, installed = read_notebook(source).kernel, KernelSpecManager().find_kernel_specs()
    if kernel not in installed:
        asks = f"asks for the kernel {kernel!r}" if kernel else "names no kernel"
        raise InputError(
            f"{source.name} {asks}, and those installed here are {', '.join(sorted(installed))}; "
            "open it in JupyterLab, choose one of them and save it, or install its kernel"
        )


def check_limit(max_minutes: float | None) -> None:
    """Refuse a time limit that is not above 0."""
    if max_minutes is not None and not max_minutes > 0:
        raise InputError(f"max_minutes is {max_minutes}, expected a number above 0, or None")


@contextmanager
def termination_as_exit() -> Iterator[None]:
    """Raise SystemExit on SIGTERM within the block, so that child processes end, too."""

    def leave(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one must not stop the clean-up
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _live_copy(out: Path, name: str) -> Iterator[Path]:
    """The file of the running notebook; removed at the end, or kept as failed."""
    live, failed = out / f"{name}.running.ipynb", out / f"{name}.failed.ipynb"
    try:
        yield live
    except BaseException:
        with suppress(FileNotFoundError):
            live.replace(failed)
        raise
    live.unlink()
    failed.unlink(missing_ok=True)


def _execute(
    source: Path,
    values: dict[str, Any],
    live: Path,
    recorder: RunRecorder,
    max_minutes: float | None,
) -> None:
    """Run the notebook in a kernel of its own."""
    until = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    try:
        with tempfile.TemporaryDirectory(prefix="festkit-") as folder, _kernel_class() as kernel:
            papermill.execute_notebook(
                str(source),
                str(live),
                values,
                language="python",  # as the parameters cell is
                progress_bar=False,
                store_widget_state=False,  # else exporters prefer the widget to its picture
                config=_local_kernel(folder),
                kernel_manager_class=kernel,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
                start_timeout=300,  # s; a kernel that dies is noticed at once
                iopub_timeout=300,
                timeout_func=lambda _: until and max(0.01, until - time.monotonic()),
                on_cell_execute=recorder.cell_starts,
                on_cell_executed=recorder.cell_ends,
            )
    except Exception as error:
        late = until is not None and time.monotonic() >= until
        ended = _ending(error, source, recorder.cell, max_minutes if late else None)
        if ended is None:
            raise
        status, reason = ended
        where = f"in code cell {recorder.cell}; see {live.with_name(f'{source.stem}.failed.ipynb')}"
        verb = "was killed" if status == "killed" else status
        raise NotebookError(status, f"{source.name} {verb}: {reason} ({where})") from error


def _ending(
    error: Exception, source: Path, cell: int, passed: float | None
) -> tuple[Status, str] | None:
    """How an error ended the notebook, and why; None for an error that is not the notebook's.

    ``passed`` is the time limit in minutes, if it has passed.
    """
    match error:
        case PapermillExecutionError():
            return "failed", f"{error.ename}: {error.evalue}"
        case DeadKernelError():
            return "killed", "the kernel died (killed by a signal, or out of memory)"
        case CellTimeoutError() if passed is not None:
            return "timed out", f"it took more than {passed:g} minutes"
        case FileNotFoundError() | RuntimeError() if not cell:
            return "failed", f"the kernel {read_notebook(source).kernel!r} did not start: {error}"
    return None


@contextmanager
def _kernel_class() -> Iterator[type[AsyncKernelManager]]:
    """A class of kernels that are killed at the end of the block, with their process groups."""
    started: list[AsyncKernelManager] = []

    class Kernel(AsyncKernelManager):
        """A kernel that is known from its start."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            started.append(self)

        def start_kernel(self, **options: Any) -> Any:
            return super().start_kernel(close_fds=False, **options)  # inherits a job's lock

    try:
        yield Kernel
    finally:
        for kernel in started:
            group = getattr(kernel.provisioner, "pgid", None)
            if group:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)


def _local_kernel(folder: str) -> Config:
    """Let kernels listen on sockets in a folder instead of network ports, except on Windows."""
    if sys.platform == "win32":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})


def _keep(live: Path, path: Path) -> None:
    """Write the executed notebook, each stream in one piece, and its HTML page."""
    executed = nbformat.read(live, as_version=4)
    executed, _ = CoalesceStreamsPreprocessor().preprocess(executed, {})
    html, _ = HTMLExporter().from_notebook_node(executed, {"metadata": {"name": path.stem}})
    write_text(path.with_suffix(".html"), html)
    write_text(path, nbformat.writes(executed))
