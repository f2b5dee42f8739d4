"""Stale jobs: done with code, a notebook or images that have changed since."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._support.files import read_json
from .job import Job, Output, topological_order
from .provenance import differences, look_again


def check_done(
    jobs: Iterable[Job], folder: str | Path, *, keep_stale: bool = False
) -> tuple[list[Job], dict[str, str]]:
    """Compare done jobs with the present kit, notebooks and images.

    A job is stale if the version or code of festkit, the code of its notebook, its images, or a job
    it depends on has changed. Comments and docstrings are ignored. A stale job runs again under a
    new key; the old folder is kept.

    Args:
        jobs: the jobs to run.
        folder: folder of all jobs.
        keep_stale: use the results of stale jobs as they are.

    Returns:
        The jobs for ``run_jobs``, and for every key the reason why the job is stale or uses stale
        jobs.

    Raises:
        ValueError: for a record that is not readable JSON.

    Example:
        >>> jobs, stale = check_done([Job("00_quickstart")], "no/such/folder")
        >>> len(jobs), stale
        (1, {})
    """
    look_again()
    done = _Done(Path(folder), keep_stale)
    taken = [done.taken(job) for job in jobs]
    for key, job in topological_order(taken).items():
        old = [need.key for need in job.needs if need.key in done.stale]
        if old and key not in done.stale:
            done.stale[key] = f"made from {', '.join(old)}"
    return taken, done.stale


class _Done:
    """The done jobs of a folder."""

    def __init__(self, folder: Path, keep_stale: bool) -> None:
        self._folder, self._keep_stale = folder / "done", keep_stale
        self._taken: dict[str, Job] = {}
        self._records: dict[str, list[dict[str, Any]]] = {}
        self.stale: dict[str, str] = {}
        records = [read_json(path) for path in self._folder.glob("*/environment.json")]
        for record in sorted(records, key=lambda each: each.get("ended") or "", reverse=True):
            if "job" in record:
                self._records.setdefault(record["job"]["name"], []).append(record["job"])

    def taken(self, job: Job) -> Job:
        """A job to be run, under the key of an earlier one that equals it."""
        if job.key not in self._taken:
            self._taken[job.key] = self._compared(job)
        return self._taken[job.key]

    def _compared(self, job: Job) -> Job:
        """The job, its needs taken first; as the newest earlier one that equals it, if any."""
        if job.recorded:
            return job
        needs = job.resolve_outputs(lambda output: Output(self.taken(output.job), output.path))
        job = replace(job, parameters=needs)
        earlier = self._records.get(job.record["name"], [])
        if (self._folder / job.key).is_dir() or not earlier:
            return job
        for record in earlier:
            if not differences(record["origin"], job.record["origin"]):
                return replace(job, recorded=record)
        newest = earlier[0]
        why = differences(newest["origin"], job.record["origin"])
        self.stale[newest["key"]] = "; ".join(why)
        return replace(job, recorded=newest) if self._keep_stale else job
