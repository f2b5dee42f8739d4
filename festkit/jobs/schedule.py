"""Run many jobs on this machine or on a cluster, each after the jobs it depends on."""

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from .._support.errors import InputError, MissingPackageError, ProcessError
from .._support.files import NUMBER, read_json
from .._support.progress import progress
from .execute import check_limit, termination_as_exit
from .job import Job, Outcome, finished, not_run, work_folder
from .provenance import look_again
from .worker import Workers, run_in_child

Submit = Callable[[Job], "Future[Outcome]"]

RECORDED: dict[str, Any] = {
    **dict.fromkeys(("started", "ended", "notebook"), str),
    "minutes_before?": NUMBER,
    "parameters": dict,
}
"""What the record of a done job says about its time."""


def estimate_minutes(jobs: Iterable[Job], folder: str | Path) -> dict[str, float | None]:
    """Estimate the minutes of each job, by key; None if the folder has no similar job.

    The time of a training is proportional to its epochs and to the pixels of its input; trainings
    of the same network on the same dataset are compared.

    Args:
        jobs: the jobs to run.
        folder: folder of all jobs.

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
        parameters = job.resolve_outputs(lambda output: output.name)
        kind, work = _kind_and_work(Path(job.notebook).stem, parameters)
        estimates[job.key] = mean(known[kind]) * work if kind in known else None
    return estimates


def _recorded(path: Path) -> tuple[str, dict[str, Any], float]:
    """Notebook, parameters and minutes of a done job."""
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
    """The group of jobs whose times compare, and the work within the group."""
    if notebook != "02_train" or parameters.get("size") is None:
        return notebook, 1.0
    dataset = Path(str(parameters.get("dataset", ""))).name
    epochs = (parameters.get("train_options") or {}).get("epochs", 1)
    return f"{notebook} {parameters.get('backbone')} {dataset}", epochs * parameters["size"] ** 2


@contextmanager
def on_this_machine(folder: Path, workers: int, max_minutes: float | None) -> Iterator[Submit]:
    """A function that runs jobs in child processes; an error in the block ends them all."""
    processes = Workers(workers)
    with ThreadPoolExecutor(workers) as threads:
        try:
            yield lambda job: threads.submit(processes.run, job, folder, max_minutes)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise


@contextmanager
def on_cluster(folder: Path, scheduler: Any, max_minutes: float | None) -> Iterator[Submit]:
    """A function that runs jobs on a Dask cluster, each in a child process of a Dask worker.

    The child and its kernel end with the worker; Dask gives the job to another one, which
    continues it.

    Raises:
        ImportError: if Dask is not installed.
        RuntimeError: if the scheduler does not respond, or its address is invalid.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError(
            'scheduler requires Dask; install it: pip install "festkit[cluster]"'
        ) from error
    own = not isinstance(scheduler, Client)
    try:
        client = Client(scheduler) if own else scheduler
    except (OSError, ValueError) as error:
        raise ProcessError(
            f"the scheduler {scheduler} does not respond ({error}); start it, or check its "
            "address, such as tcp://host:8786"
        ) from error
    executor = client.get_executor(pure=False)
    try:
        yield lambda job: executor.submit(run_in_child, job, folder.resolve(), max_minutes)
    finally:
        executor.shutdown(wait=False)  # cancels what has not begun
        if own:
            client.close()


def lost_by_cluster(error: Exception) -> bool:
    """Whether an error is Dask's: it has lost a job's workers, or the scheduler."""
    return isinstance(error, CancelledError) or type(error).__module__.startswith("distributed.")


def run_jobs(
    jobs: Iterable[Job],
    folder: str | Path,
    *,
    workers: int = 1,
    scheduler: Any = None,
    max_minutes: float | None = None,
) -> list[Outcome]:
    """Run jobs and the jobs they depend on, several at a time, as :func:`run_job` does.

    Every job has its own process and kernel, so a failed or killed job does not affect the others.
    Jobs that depend on it are not run. A killed job is retried once. The output of a notebook is
    kept in ``folder/work/KEY.log`` until the job is done. An interrupt ends all jobs (on a cluster,
    only those that have not started). The same call resumes them.

    Args:
        jobs: the jobs to run. Done jobs are skipped, and so are jobs that only they need.
        folder: folder of all jobs. On a cluster, every machine must see it under this path.
        workers: number of parallel jobs on this machine.
        scheduler: a Dask scheduler's address ("tcp://..."), client or cluster, to run the jobs
            there instead, one per thread of its workers; start one worker with one thread per GPU.
            Failed workers are tolerated. Folders among the parameters must be absolute paths.
            Needs ``festkit[cluster]``.
        max_minutes: time limit per notebook in minutes; None for no limit.

    Returns:
        The outcome of each job, in the order of ``jobs``.

    Raises:
        ValueError: if ``workers`` is below 1 or ``max_minutes`` is not above 0.
        ImportError: if a scheduler is given and Dask is not installed.
        RuntimeError: if the scheduler does not respond, or its address is invalid.

    Example:
        >>> jobs = [Job("02_train", {"seed": seed}) for seed in range(3)]
        >>> [outcome.status for outcome in run_jobs(jobs, "runs", workers=3)]  # doctest: +SKIP
        ['done', 'done', 'done']
    """
    if workers < 1:
        raise InputError(f"workers is {workers}, expected at least 1")
    check_limit(max_minutes)
    look_again()
    jobs, folder = list(jobs), Path(folder)
    keys = [job.key for job in jobs]
    plan = unfinished(jobs, folder)
    outcomes = {job.key: ended for job in jobs if (ended := finished(job, folder))}
    if plan:
        total, done = len({*keys, *plan}), len(outcomes)
        executor = on_this_machine(folder, workers, max_minutes)
        if scheduler is not None:
            executor = on_cluster(folder, scheduler, max_minutes)
        bar = progress(None, "jobs", unit="job", total=total, done=done)
        with termination_as_exit(), bar, executor as submit:
            _run_ready_jobs(plan, submit, outcomes, folder, bar)
    return [outcomes[key] for key in keys]


def unfinished(jobs: Iterable[Job], folder: str | Path) -> dict[str, Job]:
    """Jobs that are not done, and what they need and is not done, by key, needs first.

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


def _run_ready_jobs(
    plan: dict[str, Job], submit: Submit, outcomes: dict[str, Outcome], folder: Path, bar: Any
) -> None:
    """Submit every job as soon as what it needs is done, until all have an outcome."""
    waiting, running = dict(plan), dict[Future[Outcome], str]()
    while waiting or running:
        for key, job in list(waiting.items()):
            needs = [need.key for need in job.needs if need.key in plan]
            ended = [outcomes[need] for need in needs if need in outcomes]
            failed = next((need for need in ended if need.status != "done"), None)
            if failed:
                _report(not_run(job, folder, failed), outcomes, bar)
                del waiting[key]
            elif len(ended) == len(needs):
                running[submit(waiting.pop(key))] = key
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            _report(_outcome(future, plan[running.pop(future)], folder), outcomes, bar)


def _report(outcome: Outcome, outcomes: dict[str, Outcome], bar: Any) -> None:
    """Keep an outcome, and print it above the bar."""
    outcomes[outcome.key] = outcome
    bar.write(f"{outcome.key}: {outcome.reason or 'done'}", file=sys.stderr)
    bar.update()


def _outcome(future: "Future[Outcome]", job: Job, folder: Path) -> Outcome:
    """What a job's future gives; an error in it is one of the job."""
    try:
        return future.result()
    except Exception as error:
        work, reason = work_folder(job, folder), f"{type(error).__name__}: {error}"
        if not lost_by_cluster(error):
            return Outcome(job.key, "failed", work, reason)
        reason = f"the cluster gave it up: its workers or the scheduler died ({reason})"
        return Outcome(job.key, "killed", work, reason)
