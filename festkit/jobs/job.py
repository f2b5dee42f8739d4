"""One job: a notebook with parameters, some of which may be outputs of other jobs."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .._support.errors import InputError, MissingFileError
from .._support.files import flush_folder, read_json
from .._support.locks import file_lock
from .execute import check_limit, run_recorded
from .parameters import Parameter, check_parameters, find_notebook, read_notebook
from .provenance import last_look, look_again, origin_of
from .status import NotebookError, Status, write_status

SYNTHETIC = "synthetic"
"""The dataset of a notebook that makes its own scenes."""

RUNTIME_PARAMETERS = ("data_root", "device", "threads")
"""Parameters that do not change the result, also within the options of a training."""


@dataclass(frozen=True)
class Output:
    """A file or folder that a job writes; jobs that take it as a parameter run afterwards.

    Attributes:
        job: the job that writes it.
        path: path within the job's folder.

    Example:
        >>> first = Job("00_quickstart")
        >>> Output(first, "fest.safetensors").name == f"{first.key}/fest.safetensors"
        True
    """

    job: "Job"
    path: str

    @property
    def name(self) -> str:
        """Its path relative to the folder of the done jobs."""
        return f"{self.job.key}/{self.path}"


@dataclass(frozen=True)
class Job:
    """A notebook and parameters for it.

    Attributes:
        notebook: a path, or the name of a notebook of festkit.
        parameters: values for its cell tagged ``parameters``, by name, except ``out``. For an
            :class:`Output`, or one within a list or dict, the other job runs first, and the
            notebook gets the path.
        recorded: the :attr:`record` of the same job from another process or an earlier run.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ValueError: if a parameter is unknown or of the wrong type.

    Example:
        >>> short = Job("00_quickstart", {"epochs": 2})
        >>> short.key == Job("00_quickstart", {"epochs": 2, "seed": 0}).key  # 0 is the default
        True
    """

    notebook: str | Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    recorded: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = self.resolve_outputs(lambda output: output.path)
        check_parameters(find_notebook(self.notebook), given)
        if "out" in self.parameters:
            raise InputError(
                f"parameter out is {self.parameters['out']!r}, but every job gets its own folder; "
                "omit out, or use run_notebook"
            )

    @property
    def key(self) -> str:
        """The name of the job's folder: the notebook, and a hash of what the result depends on.

        The hash covers the parameters that differ from the notebook's defaults, the code of the
        notebook, the version and code of festkit, the images of the dataset, and the keys of the
        jobs it depends on. It excludes data_root, device and threads.
        """
        return str(self.record["key"])

    @property
    def record(self) -> dict[str, Any]:
        """Its ``key``, its ``name`` and the ``origin`` of its results, for ``environment.json``.

        The name is the notebook and a hash of the parameters alone.
        """
        if self.recorded:
            return dict(self.recorded)
        look, record = vars(self).get("_record", (None, {}))
        if look != last_look():  # cached, since tables share trainings
            look, record = last_look(), self._look()
            object.__setattr__(self, "_record", (look, record))
        return record

    def record_here(self) -> dict[str, Any]:
        """Its record, with the images of this machine if the planning one had none."""
        record, found = self.record, self._look()["origin"]["images"]
        origin = record["origin"]
        return record | {"origin": origin | {"images": origin.get("images") or found}}

    def _look(self) -> dict[str, Any]:
        """The record, from the present kit, notebook and images."""
        source = find_notebook(self.notebook)
        name = name_of(source, self.resolve_outputs(lambda o: f"{o.job.record['name']}/{o.path}"))
        known = read_notebook(source).parameters
        default = known["dataset"].default if "dataset" in known else None
        dataset = self.parameters.get("dataset", default)
        if not isinstance(dataset, str) or dataset == SYNTHETIC:  # a job makes the images
            dataset = None
        needs = [need.key for need in self.needs]
        origin = origin_of(source, dataset, self.parameters.get("data_root"), needs)
        return {"key": f"{source.stem}-{_hash([name, origin])}", "name": name, "origin": origin}

    @property
    def title(self) -> str:
        """Its notebook and main parameters in one line.

        Example:
            >>> Job("00_quickstart", {"backbone": "ACM", "epochs": 2}).title
            '00_quickstart ACM'
        """
        given = self.resolve_outputs(lambda output: Path(output.path).name)
        words = [given.get(name) for name in ("backbone", "size", "loss", "dataset")]
        options = (given.get("train_options") or {}).get("loss_options") or {}
        words += [f"{name} {value:g}" for name, value in options.items()]
        words += [f"seed {given['seed']}"] if "seed" in given else []
        return " ".join([Path(self.notebook).stem, *(str(word) for word in words if word)])

    @property
    def needs(self) -> tuple["Job", ...]:
        """The jobs whose outputs it uses, each once."""
        jobs: dict[str, Job] = {}
        self.resolve_outputs(lambda output: jobs.setdefault(output.job.key, output.job))
        return tuple(jobs.values())

    def resolve_outputs(self, fill: Callable[[Output], Any]) -> dict[str, Any]:
        """The parameters with ``fill(output)`` in place of every output."""
        return {name: resolve_outputs(value, fill) for name, value in self.parameters.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the key in another process, which may be in another folder or lack the images."""
        source = Path(self.notebook)
        notebook = source.resolve() if source.is_file() else source
        return Job, (notebook, self.parameters, self.record)


def name_of(notebook: Path, given: Mapping[str, Any]) -> str:
    """The name of a notebook's job with these parameters.

    Raises:
        ValueError: if a parameter is unknown or of the wrong type.

    Example:
        >>> book = find_notebook("00_quickstart")
        >>> name_of(book, {"seed": 0, "threads": 1}) == name_of(book, {}) == (
        ...     Job(book).record["name"])
        True
    """
    known = read_notebook(notebook).parameters
    values = check_parameters(notebook, given)
    texts = {name: _text(value, known[name]) for name, value in values.items()}
    differing = {
        name: text
        for name, text in texts.items()
        if name not in RUNTIME_PARAMETERS and text != _text(known[name].default, known[name])
    }
    return f"{notebook.stem}-{_hash(differing)}"


def topological_order(jobs: Iterable[Job]) -> dict[str, Job]:
    """All jobs and the jobs they need, by key, each after those it needs.

    Example:
        >>> first = Job("00_quickstart")
        >>> second = Job("04_threshold_tuner", {"run": Output(first, "256-eedm")})
        >>> list(topological_order([second])) == [first.key, second.key]
        True
    """
    found: dict[str, Job] = {}
    for job in jobs:
        if job.key not in found:
            found |= topological_order(job.needs) | {job.key: job}
    return found


def resolve_outputs(value: Any, fill: Callable[[Any], Any], kind: type = Output) -> Any:
    """A value with ``fill(each)`` in place of each object of a class within it.

    Example:
        >>> resolve_outputs({"runs": ["a", 1]}, str.upper, str)
        {'runs': ['A', 1]}
    """
    if isinstance(value, kind):
        return fill(value)
    if isinstance(value, Mapping):
        return {name: resolve_outputs(entry, fill, kind) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_outputs(entry, fill, kind) for entry in value]
    return value


def _text(value: Any, parameter: Parameter) -> str:
    """What a result depends on in a value; the same text of 1 and 1.0 if a float is expected."""
    if isinstance(value, Mapping):
        value = {name: each for name, each in value.items() if name not in RUNTIME_PARAMETERS}
    if "float" in parameter.kinds and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return json.dumps(value, sort_keys=True, default=str)


def _hash(value: Any) -> str:
    """The first digits of a value's SHA-256."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        key: key of the job.
        status: "done", "not run" if a job it depends on is not done, or a status of
            ``status.json``.
        folder: folder of the job's files.
        reason: why the job is not done; empty if it is done.

    Example:
        >>> Outcome("table-0123", "done", Path("done/table-0123")).reason
        ''
    """

    key: str
    status: Status | Literal["not run"]
    folder: Path
    reason: str = ""


def run_job(job: Job, folder: str | Path, *, max_minutes: float | None = None) -> Outcome:
    """Run a job unless it is done. The jobs it depends on run first.

    The job works in ``folder/work/KEY``. When the notebook has finished and all numbers in its
    ``metrics.json`` are finite, the folder is renamed to ``folder/done/KEY``. Otherwise the work
    folder stays, and the next run resumes its trainings from their last checkpoint. If another
    process runs the job, this one waits for it.

    Args:
        job: the job to run. If the notebook has a parameter ``out``, it is set to the work folder.
        folder: folder of all jobs.
        max_minutes: time limit of the notebook in minutes; None for no limit.

    Returns:
        The outcome. Errors in the notebook are part of the outcome; only an interrupt is raised.

    Raises:
        ValueError: if ``max_minutes`` is not above 0.

    Example:
        >>> run_job(Job("02_train", {"loss": "BCE"}), "runs").status  # doctest: +SKIP
        'done'
    """
    check_limit(max_minutes)
    look_again()
    return _run_with_needs(job, Path(folder), max_minutes)


def _run_with_needs(job: Job, folder: Path, max_minutes: float | None) -> Outcome:
    """Run a job after those that it needs."""
    if before := finished(job, folder):
        return before
    for need in job.needs:
        if (outcome := _run_with_needs(need, folder, max_minutes)).status != "done":
            return not_run(job, folder, outcome)
    return _attempt(job, folder, max_minutes)


def finished(job: Job, folder: str | Path) -> Outcome | None:
    """The outcome of a done job; None of any other."""
    done = Path(folder) / "done" / job.key
    return Outcome(job.key, "done", done) if done.is_dir() else None


def not_run(job: Job, folder: str | Path, need: Outcome) -> Outcome:
    """The outcome of a job that needs one that is not done."""
    reason = f"it needs {need.key}, which is not done ({need.status})"
    return Outcome(job.key, "not run", work_folder(job, folder), reason)


def work_folder(job: Job, folder: str | Path) -> Path:
    """The folder of a job until it is done."""
    return Path(folder) / "work" / job.key


def lock_file(job: Job, folder: str | Path) -> Path:
    """The lock of the process that runs the job."""
    return Path(folder) / "work" / f"{job.key}.lock"


def _attempt(job: Job, folder: Path, max_minutes: float | None) -> Outcome:
    """Run a job in its locked work folder, and rename that if it is done."""
    work, done = work_folder(job, folder), folder / "done" / job.key
    try:
        with file_lock(lock_file(job, folder), inherit=True):
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
    """Run the notebook of a job and check its metrics."""
    source, metrics = find_notebook(job.notebook), work / "metrics.json"
    work.mkdir(parents=True, exist_ok=True)
    _clear_parts(work)
    metrics.unlink(missing_ok=True)
    done = work.parent.parent.resolve() / "done"
    given = job.resolve_outputs(lambda output: str(done / output.name))
    run_recorded(source, given, work, {"job": job.record_here()}, max_minutes)
    try:
        check_metrics(metrics)
    except (OSError, ValueError) as error:
        write_status(work, "failed", reason=str(error))
        raise NotebookError("failed", str(error)) from error


def check_metrics(path: Path) -> None:
    """Refuse a file of metrics that is missing, unreadable, empty, or holds NaN or infinity.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming what is wrong in it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
        >>> _ = path.write_text('{"pd": [0.5, NaN]}')
        >>> check_metrics(path)
        Traceback (most recent call last):
        festkit._support.errors.InputError: ...metrics.json: pd, 1 is nan, expected a finite number
    """
    if not path.is_file():
        raise MissingFileError(f"the notebook did not write {path}, which every job requires")
    metrics = read_json(path)
    if not (isinstance(metrics, dict) and metrics):
        raise InputError(f"{path} holds {metrics!r}, expected metrics by name")
    _check_finite(path, metrics, ())


def _check_finite(path: Path, value: Any, where: tuple[Any, ...]) -> None:
    """Refuse a number within a value that is NaN or infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        place = ", ".join(map(str, where))
        raise InputError(f"{path}: {place} is {value}, expected a finite number")
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for name, entry in inner.items() if isinstance(inner, dict) else ():
        _check_finite(path, entry, (*where, name))


def _clear_parts(work: Path) -> None:
    """Remove files that a killed process has not finished."""
    for part in list(work.rglob(".*.part")):
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
