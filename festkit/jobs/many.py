"""Many jobs: each as soon as what it needs is done, on this machine or on a cluster."""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .._errors import InputError
from .._progress import progress
from .cluster import lost_by_cluster, on_cluster
from .done import Outcome, finished, not_run, work_folder
from .job import Job
from .origin import look_again
from .pool import on_this_machine
from .running import check_limit, termination_as_exit

Submit = Callable[[Job], "Future[Outcome]"]


def run_jobs(
    jobs: Iterable[Job],
    folder: str | Path,
    *,
    workers: int = 1,
    scheduler: Any = None,
    max_minutes: float | None = None,
) -> list[Outcome]:
    """Run jobs and what they need, several at a time, each as :func:`run_job` does.

    Every worker is a process, and every job has a kernel of its own, so a job that fails or is
    killed touches no other; one that needs it is not run. A job that is killed is run once more.
    What the notebooks print is kept in ``folder/work/KEY.log`` until the job is done. An interrupt
    ends all of them, on a cluster those that have not begun; the same call continues.

    Args:
        jobs: what to run; done ones are skipped, and so is what they needed.
        folder: of all jobs; every machine of a cluster must see it under this path.
        workers: jobs that run at the same time on this machine.
        scheduler: a Dask scheduler's address ("tcp://..."), client or cluster, to run the jobs
            there instead: as many at a time as its workers have threads, so start one worker with
            one thread per GPU. Workers that die are survived. Folders among the jobs' parameters
            must be whole paths, for a worker stands elsewhere. Needs ``festkit[cluster]``.
        max_minutes: minutes after which a notebook is stopped; None for no limit.

    Returns:
        How each ended, in the order of ``jobs``.

    Raises:
        ValueError: if there is less than one worker, or for a limit that is no time.
        ImportError: if a scheduler is given and Dask is not installed.
        OSError: if the scheduler does not answer.

    Example:
        >>> import tempfile, nbformat
        >>> folder = Path(tempfile.mkdtemp())
        >>> code = "import json; json.dump({'n': 1}, open(f'{out}/metrics.json', 'w'))"
        >>> cells = [nbformat.v4.new_code_cell("out = '.'", metadata={"tags": ["parameters"]}),
        ...          nbformat.v4.new_code_cell(code)]
        >>> kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        >>> book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        >>> nbformat.write(book, folder / "one.ipynb")
        >>> [outcome.status for outcome in run_jobs([Job(folder / "one.ipynb")], folder)]
        ['done']
    """
    if workers < 1:
        raise InputError(f"workers is {workers}, expected at least 1")
    check_limit(max_minutes)
    look_again()
    jobs = list(jobs)
    asked = [job.key for job in jobs]
    plan = unfinished(jobs, folder)
    outcomes = {job.key: done for job in jobs if (done := finished(job, folder))}
    total = len({*asked, *plan})
    bar = progress(None, "jobs", unit="job", total=total, done=len(outcomes))
    with ExitStack() as stack:
        stack.enter_context(termination_as_exit())
        stack.enter_context(bar)
        if plan:
            place = Path(folder)
            executor = (
                on_this_machine(place, workers, max_minutes)
                if scheduler is None
                else on_cluster(place, scheduler, max_minutes)
            )
            _carry_out(plan, stack.enter_context(executor), outcomes, place, bar)
    return [outcomes[key] for key in asked]


def unfinished(jobs: Iterable[Job], folder: str | Path) -> dict[str, Job]:
    """Jobs that are not done, and what these need and is not done, by key, needs first.

    Example:
        >>> job = Job("00_quickstart")
        >>> list(unfinished([job], "no/such/folder")) == [job.key]
        True
    """
    found: dict[str, Job] = {}
    for job in jobs:
        if job.key not in found and not finished(job, folder):
            found |= unfinished(job.needs, folder) | {job.key: job}
    return found


def _carry_out(
    plan: dict[str, Job], submit: Submit, outcomes: dict[str, Outcome], folder: Path, bar: Any
) -> None:
    """Submit every job as soon as what it needs is done, until all have an outcome."""
    waiting, running = dict(plan), dict[Future[Outcome], str]()
    while waiting or running:
        for key, job in list(waiting.items()):
            needs = [need.key for need in job.needs if need.key in plan]
            ended = [outcomes[need] for need in needs if need in outcomes]
            lost = next((need for need in ended if need.status != "done"), None)
            if lost:
                _tell(not_run(job, folder, lost), outcomes, bar)
                del waiting[key]
            elif len(ended) == len(needs):
                running[submit(waiting.pop(key))] = key
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            _tell(_outcome(future, plan[running.pop(future)], folder), outcomes, bar)


def _tell(outcome: Outcome, outcomes: dict[str, Outcome], bar: Any) -> None:
    outcomes[outcome.key] = outcome
    bar.write(f"{outcome.key}: {outcome.reason or 'done'}", file=sys.stderr)
    bar.update()


def _outcome(future: "Future[Outcome]", job: Job, folder: Path) -> Outcome:
    try:
        return future.result()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        if not lost_by_cluster(error):
            return Outcome(job.key, "failed", work_folder(job, folder), told)
        reason = "its workers died again and again, or its scheduler is gone"
        reason = f"the cluster gave it up: {reason} ({told})"
        return Outcome(job.key, "killed", work_folder(job, folder), reason)
