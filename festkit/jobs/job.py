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
from .parameters import check_parameters, code_cells, read_parameters

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

    def __post_init__(self) -> None:
        check_parameters(find_notebook(self.notebook), self.filled(lambda output: output.path))
        if "out" in self.parameters:
            raise InputError(
                f"parameter out is {self.parameters['out']!r}, but a job's folder is named after "
                "its key; leave out away, or use run_notebook"
            )

    @property
    def key(self) -> str:
        """Name of the notebook and hash of its code and of what parameters differ from it.

        Parameters that say where a job runs (data_root, device, threads) do not count, nor do the
        kit's version and the files of a dataset: where those change, use another folder.
        """
        source = find_notebook(self.notebook)
        known = read_parameters(source)
        given = check_parameters(source, self.filled(lambda output: output.name))
        texts = {name: _text(value, known[name]) for name, value in given.items()}
        differing = {
            name: text
            for name, text in texts.items()
            if name not in PLACES and text != _text(known[name].default, known[name])
        }
        text = json.dumps([code_cells(source), differing], sort_keys=True)
        return f"{source.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

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
        return {name: _filled(value, fill) for name, value in self.parameters.items()}

    def plain(self) -> dict[str, Any]:
        """The job as JSON values, for another process, which may stand in another folder."""
        source = Path(self.notebook)
        notebook = source.resolve() if source.is_file() else source
        parameters = self.filled(lambda output: {OUTPUT: [output.job.plain(), output.path]})
        return {"notebook": str(notebook), "parameters": parameters}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Job":
        """The job that :meth:`plain` was of."""
        return cls(plain["notebook"], _restored(plain["parameters"]))


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


def _filled(value: Any, fill: Callable[[Output], Any]) -> Any:
    if isinstance(value, Output):
        return fill(value)
    if isinstance(value, Mapping):
        return {name: _filled(entry, fill) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(entry, fill) for entry in value]
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
