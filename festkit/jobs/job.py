"""One job: a notebook with parameters, some of which may be what other jobs leave."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._errors import InputError
from .._parameters import Parameter
from .notebooks import find_notebook
from .origin import last_look, origin_of
from .parameters import check_parameters, read_parameters

SYNTHETIC = "synthetic"
"""As a dataset's name: the notebook makes scenes."""

PLACES = ("data_root", "device", "threads")
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
        check_parameters(find_notebook(self.notebook), self.filled(lambda output: output.path))
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
        name = name_of(source, self.filled(lambda o: f"{o.job.record['name']}/{o.path}"))
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
        given = self.filled(lambda output: Path(output.path).name)
        words = [given.get(name) for name in ("backbone", "size", "loss", "dataset")]
        options = given.get("loss_options") or {}
        words += [f"{name} {value:g}" for name, value in options.items()]
        words += [f"seed {given['seed']}"] if "seed" in given else []
        return " ".join([Path(self.notebook).stem, *(str(word) for word in words if word)])

    @property
    def needs(self) -> tuple["Job", ...]:
        """The jobs whose outputs it takes, each once."""
        jobs: dict[str, Job] = {}
        self.filled(lambda output: jobs.setdefault(output.job.key, output.job))
        return tuple(jobs.values())

    def filled(self, fill: Callable[[Output], Any]) -> dict[str, Any]:
        """The parameters with something in place of every output."""
        return {name: filled(value, fill) for name, value in self.parameters.items()}

    def plain(self) -> dict[str, Any]:
        """The job as JSON values, for another process, which may stand in another folder."""
        source = Path(self.notebook)
        notebook = source.resolve() if source.is_file() else source
        parameters = self.filled(lambda output: {OUTPUT: [output.job.plain(), output.path]})
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
        if name not in PLACES and text != _text(known[name].default, known[name])
    }
    return f"{notebook.stem}-{_hash(differing)}"


OUTPUT = "output of a job"


def ordered(jobs: Iterable[Job]) -> dict[str, Job]:
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
            found |= ordered(job.needs) | {job.key: job}
    return found


def filled(value: Any, fill: Callable[[Any], Any], kind: type = Output) -> Any:
    """A value with something in place of whatever is of a kind in it.

    Example:
        >>> filled({"runs": ["a", 1]}, str.upper, str)
        {'runs': ['A', 1]}
    """
    if isinstance(value, kind):
        return fill(value)
    if isinstance(value, Mapping):
        return {name: filled(entry, fill, kind) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [filled(entry, fill, kind) for entry in value]
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
