"""How long jobs that are not done will take, from the times of those that are."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from .._errors import InputError
from .._files import NUMBER, read_json
from .job import Job

RECORDED = {
    "started": str,
    "ended": str,
    "minutes_before?": NUMBER,
    "notebook": str,
    "parameters": dict,
}
"""What a job that is done says of its time."""


def estimate_minutes(jobs: Iterable[Job], folder: str | Path) -> dict[str, float | None]:
    """Minutes that each job will take, by key; None where nothing like it has been done there.

    A training's time goes with its epochs and the pixels of its input; what is known of the same
    network on the same dataset counts.

    Args:
        jobs: what is to be run.
        folder: of all jobs, with those that are done.

    Example:
        >>> job = Job("00_quickstart")
        >>> estimate_minutes([job], "no/such/folder") == {job.key: None}
        True
    """
    known: dict[str, list[float]] = {}
    for record in sorted(Path(folder).glob("done/*/environment.json")):
        notebook, parameters, minutes = _recorded(record)
        kind, work = _kind_and_work(notebook, parameters)
        known.setdefault(kind, []).append(minutes / work)
    estimates: dict[str, float | None] = {}
    for job in jobs:
        parameters = job.filled(lambda output: output.name)
        kind, work = _kind_and_work(Path(job.notebook).stem, parameters)
        estimates[job.key] = mean(known[kind]) * work if kind in known else None
    return estimates


def _recorded(path: Path) -> tuple[str, dict[str, Any], float]:
    record = read_json(path, RECORDED)
    try:
        started, ended = (datetime.fromisoformat(record[name]) for name in ("started", "ended"))
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}); restore it, or run the job again"
        ) from error
    minutes = (ended - started).total_seconds() / 60 + record.get("minutes_before", 0.0)
    return Path(record["notebook"]).stem, record["parameters"], minutes


def _kind_and_work(notebook: str, parameters: dict[str, Any]) -> tuple[str, float]:
    """What takes alike, and how many times as long."""
    if notebook != "02_train" or parameters.get("size") is None:
        return notebook, 1.0
    dataset = Path(str(parameters.get("dataset", ""))).name
    epochs = (parameters.get("options") or {}).get("epochs", 1)
    return f"{notebook} {parameters.get('backbone')} {dataset}", epochs * parameters["size"] ** 2
