"""Doing a job: once, and only whole."""

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .._errors import InputError, MissingFileError
from .._files import flush_folder
from .._lock import hold
from .job import Job
from .notebooks import find_notebook
from .origin import look_again
from .running import check_limit, run_recorded
from .watching import NotebookError, Status, write_status


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        key: the job's.
        status: "done", or what else became of it; "not run" if it needs a job that is not done.
        folder: with everything it wrote.
        reason: why it is not done; empty if it is.

    Example:
        >>> Outcome("table-0123", "done", Path("done/table-0123")).reason
        ''
    """

    key: str
    status: Status | Literal["not run"]
    folder: Path
    reason: str = ""


def run_job(job: Job, folder: str | Path, *, max_minutes: float | None = None) -> Outcome:
    """Run a job unless it is done, and before it what it needs.

    It works in ``folder/work/KEY``, which becomes ``folder/done/KEY`` only when the notebook has
    come to its end and its ``metrics.json`` holds figures, none of them NaN or infinite. A job that
    ended otherwise keeps its folder: the next run's trainings continue from their last checkpoint.
    If another process has the job, this one waits for it.

    Args:
        job: what to run; its ``out``, if the notebook has one, is set to the work folder.
        folder: of all jobs.
        max_minutes: minutes after which the notebook is stopped; None for no limit.

    Returns:
        How it ended; whatever becomes of the notebook, only an interrupt is raised.

    Raises:
        ValueError: for a limit that is no time.

    Example:
        >>> import tempfile, nbformat
        >>> folder = Path(tempfile.mkdtemp())
        >>> code = "import json; json.dump({'n': 1}, open(f'{out}/metrics.json', 'w'))"
        >>> cells = [nbformat.v4.new_code_cell("out = '.'", metadata={"tags": ["parameters"]}),
        ...          nbformat.v4.new_code_cell(code)]
        >>> kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        >>> book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        >>> nbformat.write(book, folder / "one.ipynb")
        >>> run_job(Job(folder / "one.ipynb"), folder).status
        'done'
    """
    check_limit(max_minutes)
    look_again()
    return _run_with_needs(job, Path(folder), max_minutes)


def _run_with_needs(job: Job, folder: Path, max_minutes: float | None) -> Outcome:
    if before := finished(job, folder):
        return before
    for need in job.needs:
        if (outcome := _run_with_needs(need, folder, max_minutes)).status != "done":
            return not_run(job, folder, outcome)
    return _attempt(job, folder, max_minutes)


def finished(job: Job, folder: str | Path) -> Outcome | None:
    """The outcome of a job that is done; None of any other."""
    done = Path(folder) / "done" / job.key
    return Outcome(job.key, "done", done) if done.is_dir() else None


def not_run(job: Job, folder: str | Path, need: Outcome) -> Outcome:
    """The outcome of a job one of whose needs is not done."""
    reason = f"it needs {need.key}, which is not done ({need.status})"
    return Outcome(job.key, "not run", work_folder(job, folder), reason)


def work_folder(job: Job, folder: str | Path) -> Path:
    """Where a job works until it is done."""
    return Path(folder) / "work" / job.key


def lock_file(job: Job, folder: str | Path) -> Path:
    """What whoever runs the job holds."""
    return Path(folder) / "work" / f"{job.key}.lock"


def _attempt(job: Job, folder: Path, max_minutes: float | None) -> Outcome:
    work, done = work_folder(job, folder), folder / "done" / job.key
    try:
        with hold(lock_file(job, folder), inherit=True):
            if before := finished(job, folder):
                return before
            _run(job, work, max_minutes)
            done.parent.mkdir(parents=True, exist_ok=True)
            flush_folder(work)
            work.rename(done)
    except NotebookError as error:
        return Outcome(job.key, error.status, work, str(error))
    except Exception as error:  # a full disk, a broken kernel: other jobs go on
        return Outcome(job.key, "failed", work, f"{type(error).__name__}: {error}")
    return Outcome(job.key, "done", done)


def _run(job: Job, work: Path, max_minutes: float | None) -> None:
    source, metrics = find_notebook(job.notebook), work / "metrics.json"
    work.mkdir(parents=True, exist_ok=True)
    _clear_parts(work)
    metrics.unlink(missing_ok=True)
    done = work.parent.parent.resolve() / "done"
    given = job.filled(lambda output: str(done / output.name))
    run_recorded(source, given, work, {"job": job.seen()}, max_minutes)
    try:
        check_metrics(metrics)
    except (OSError, ValueError) as error:
        write_status(work, "failed", reason=str(error))
        raise NotebookError("failed", str(error)) from error


def check_metrics(path: Path) -> None:
    """Refuse a file of figures that is absent, unreadable, empty, or holds NaN or infinity.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming what is wrong in it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
        >>> _ = path.write_text('{"pd": [0.5, NaN]}')
        >>> check_metrics(path)
        Traceback (most recent call last):
        festkit._errors.InputError: ...metrics.json: pd, 1 is nan, expected a finite number
    """
    if not path.is_file():
        raise MissingFileError(f"the notebook wrote no {path}, which a job must to be done")
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error})") from error
    if not isinstance(figures, dict):
        raise InputError(f"{path} holds {type(figures).__name__}, expected figures by name")
    if not figures:
        raise InputError(f"{path} is empty, expected figures by name")
    _check_finite(path, figures, ())


def _check_finite(path: Path, value: Any, where: tuple[Any, ...]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        place = ", ".join(map(str, where))
        raise InputError(f"{path}: {place} is {value}, expected a finite number")
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for name, entry in inner.items() if isinstance(inner, dict) else ():
        _check_finite(path, entry, (*where, name))


def _clear_parts(work: Path) -> None:
    """Remove what a killed process has left half-written."""
    for part in list(work.rglob(".*.part")):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
