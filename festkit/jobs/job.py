"""One job: a notebook with parameters, some of which may be what other jobs leave."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .._support.errors import InputError, MissingFileError
from .._support.files import flush_folder
from .._support.locks import file_lock
from .execute import check_limit, run_recorded
from .parameters import Parameter, check_parameters, find_notebook, read_parameters
from .provenance import last_look, look_again, origin_of
from .status import NotebookError, Status, write_status

SYNTHETIC = "synthetic"
"""As a dataset's name: the notebook makes scenes."""

RUNTIME_PARAMETERS = ("data_root", "device", "threads")
"""Parameters that say where a job runs, not what comes out."""


@dataclass(frozen=True)
class Output:
    """A file or folder that a job leaves; as another job's parameter it makes that one wait.

    Attributes:
        job: whose it is.
        path: within the job's folder.

    Example:
        >>> first = Job("00_quickstart")
        >>> Output(first, "fest.safetensors").name == f"{first.key}/fest.safetensors"
        True
    """

    job: "Job"
    path: str

    @property
    def name(self) -> str:
        """The same wherever the jobs' folder lies."""
        return f"{self.job.key}/{self.path}"


@dataclass(frozen=True)
class Job:
    """A notebook and parameters for it.

    Attributes:
        notebook: a path, or the name of one of the kit's notebooks.
        parameters: values for its cell tagged ``parameters``, by name, all but ``out``: the job
            has a folder of its own. Where a value is, or holds, an :class:`Output`, the notebook
            gets that file's path, and the other job is run before.
        recorded: the ``record`` of the same job in another process, or of an earlier run that
            stands for it.

    Raises:
        FileNotFoundError: if there is no such notebook.
        ValueError: for a parameter that the notebook does not have, or of another type.

    Example:
        >>> short = Job("00_quickstart", {"epochs": 2})
        >>> short.key == Job("00_quickstart", {"epochs": 2, "seed": 0}).key  # 0 is the default
        True
    """

    notebook: str | Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    recorded: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_parameters(
            find_notebook(self.notebook), self.resolve_outputs(lambda output: output.path)
        )
        if "out" in self.parameters:
            raise InputError(
                f"parameter out is {self.parameters['out']!r}, but a job's folder is named after "
                "its key; leave out away, or use run_notebook"
            )

    @property
    def key(self) -> str:
        """The name of the job's folder: the notebook's, and a hash of what its figures depend on.

        These are the parameters that differ from the notebook's, the notebook's code, the kit's
        version, the code of the parts that the notebook uses, the images of its dataset, and the
        keys of what it needs. Parameters that say where a job runs (data_root, device, threads) do
        not count.
        """
        return str(self.record["key"])

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of a job: its ``key``, its ``name`` and the ``origin`` of its figures.

        The name is the same whatever the origin: notebook, and hash of the parameters alone.
        """
        if self.recorded:
            return dict(self.recorded)
        look, record = vars(self).get("_record", (None, {}))
        if look != last_look():  # tables share trainings, so each is asked for many times
            look, record = last_look(), self._look()
            object.__setattr__(self, "_record", (look, record))
        return record

    def seen(self) -> dict[str, Any]:
        """Its record, with the images that are here if none were where it was planned."""
        record, found = self.record, self._look()["origin"]["images"]
        origin = record["origin"]
        return record | {"origin": origin | {"images": origin.get("images") or found}}

    def _look(self) -> dict[str, Any]:
        source = find_notebook(self.notebook)
        name = name_of(source, self.resolve_outputs(lambda o: f"{o.job.record['name']}/{o.path}"))
        dataset, root = self._dataset(read_parameters(source)), self.parameters.get("data_root")
        origin = origin_of(source, dataset, root, [need.key for need in self.needs])
        return {"key": f"{source.stem}-{_hash([name, origin])}", "name": name, "origin": origin}

    def _dataset(self, known: Mapping[str, Parameter]) -> str | None:
        """The name or folder of its images, if they are there before any job is run."""
        default = known["dataset"].default if "dataset" in known else None
        dataset = self.parameters.get("dataset", default)
        return dataset if isinstance(dataset, str) and dataset != SYNTHETIC else None

    @property
    def title(self) -> str:
        """What it is about, in a line.

        Example:
            >>> Job("00_quickstart", {"backbone": "ACM", "epochs": 2}).title
            '00_quickstart ACM'
        """
        given = self.resolve_outputs(lambda output: Path(output.path).name)
        words = [given.get(name) for name in ("backbone", "size", "loss", "dataset")]
        options = given.get("loss_options") or {}
        words += [f"{name} {value:g}" for name, value in options.items()]
        words += [f"seed {given['seed']}"] if "seed" in given else []
        return " ".join([Path(self.notebook).stem, *(str(word) for word in words if word)])

    @property
    def needs(self) -> tuple["Job", ...]:
        """The jobs whose outputs it takes, each once."""
        jobs: dict[str, Job] = {}
        self.resolve_outputs(lambda output: jobs.setdefault(output.job.key, output.job))
        return tuple(jobs.values())

    def resolve_outputs(self, fill: Callable[[Output], Any]) -> dict[str, Any]:
        """The parameters with something in place of every output."""
        return {name: resolve_outputs(value, fill) for name, value in self.parameters.items()}

    def plain(self) -> dict[str, Any]:
        """The job as JSON values, for another process, which may stand in another folder."""
        source = Path(self.notebook)
        notebook = source.resolve() if source.is_file() else source
        parameters = self.resolve_outputs(
            lambda output: {OUTPUT: [output.job.plain(), output.path]}
        )
        return {"notebook": str(notebook), "parameters": parameters, "recorded": self.record}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Job":
        """The job that :meth:`plain` was of."""
        return cls(plain["notebook"], _restored(plain["parameters"]), plain["recorded"])


def name_of(notebook: Path, given: Mapping[str, Any]) -> str:
    """The name of a notebook's job with these parameters, whatever the origin of its figures.

    Raises:
        ValueError: for a parameter that the notebook does not have, or of another type.

    Example:
        >>> book = find_notebook("00_quickstart")
        >>> name_of(book, {"seed": 0, "threads": 1}) == name_of(book, {}) == (
        ...     Job(book).record["name"])
        True
    """
    known = read_parameters(notebook)
    values = check_parameters(notebook, given)
    texts = {name: _text(value, known[name]) for name, value in values.items()}
    differing = {
        name: text
        for name, text in texts.items()
        if name not in RUNTIME_PARAMETERS and text != _text(known[name].default, known[name])
    }
    return f"{notebook.stem}-{_hash(differing)}"


OUTPUT = "output of a job"


def topological_order(jobs: Iterable[Job]) -> dict[str, Job]:
    """All jobs and what they need, by key, each after what it needs.

    Example:
        >>> first = Job("00_quickstart")
        >>> second = Job("04_threshold_tuner", {"run": Output(first, "256-eedm")})
        >>> list(ordered([second])) == [first.key, second.key]
        True
    """
    found: dict[str, Job] = {}
    for job in jobs:
        if job.key not in found:
            found |= topological_order(job.needs) | {job.key: job}
    return found


def resolve_outputs(value: Any, fill: Callable[[Any], Any], kind: type = Output) -> Any:
    """A value with something in place of whatever is of a kind in it.

    Example:
        >>> filled({"runs": ["a", 1]}, str.upper, str)
        {'runs': ['A', 1]}
    """
    if isinstance(value, kind):
        return fill(value)
    if isinstance(value, Mapping):
        return {name: resolve_outputs(entry, fill, kind) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_outputs(entry, fill, kind) for entry in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {OUTPUT}:
        plain, path = value[OUTPUT]
        return Output(Job.from_plain(plain), path)
    if isinstance(value, dict):
        return {name: _restored(entry) for name, entry in value.items()}
    return [_restored(entry) for entry in value] if isinstance(value, list) else value


def _text(value: Any, parameter: Parameter) -> str:
    """The same of 1 and 1.0 where a float is expected."""
    if "float" in parameter.kinds and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return json.dumps(value, sort_keys=True, default=str)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


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
    source, metrics = find_notebook(job.notebook), work / "metrics.json"
    work.mkdir(parents=True, exist_ok=True)
    _clear_parts(work)
    metrics.unlink(missing_ok=True)
    done = work.parent.parent.resolve() / "done"
    given = job.resolve_outputs(lambda output: str(done / output.name))
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
        festkit.InputError: ...metrics.json: pd, 1 is nan, expected a finite number
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
