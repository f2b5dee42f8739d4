"""Many jobs: each as soon as what it needs is done, on this machine or on a cluster."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from .._support.devices import available_cpus
from .._support.errors import InputError, MissingPackageError, ProcessError
from .._support.files import NUMBER, read_json
from .._support.locks import file_lock
from .._support.progress import progress
from .execute import check_limit, termination_as_exit
from .job import Job, Outcome, finished, lock_file, not_run, work_folder
from .provenance import look_again
from .status import write_status

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
        parameters = job.resolve_outputs(lambda output: output.name)
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


@contextmanager
def on_this_machine(
    folder: Path, workers: int, max_minutes: float | None
) -> Iterator[Callable[[Job], "Future[Outcome]"]]:
    """A function that runs jobs in a pool of processes; at the end of the block all are gone."""
    with _Workers(workers) as pool, ThreadPoolExecutor(workers) as threads:
        try:
            yield lambda job: threads.submit(pool.run, job, folder, max_minutes)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            pool.stop()
            raise


def run_in_child(job: Job, folder: Path, max_minutes: float | None) -> Outcome:
    """Run a job in a process of its own, which ends with this one."""
    with _Workers() as pool:
        return pool.run(job, folder, max_minutes)


class _Workers:
    """Processes that run jobs; one that has ended its job takes the next."""

    def __init__(self, count: int = 1) -> None:
        share = max(1, len(available_cpus()) // count)  # each would take all CPUs for its own
        self._threads = {} if count == 1 else {"OMP_NUM_THREADS": str(share)}
        self._all: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, job: Job, folder: Path, max_minutes: float | None) -> Outcome:
        """Run a job, and once more if it is killed."""
        outcome = self._attempt(job, folder, max_minutes)
        if outcome.status == "killed" and not self._stopped:
            outcome = self._attempt(job, folder, max_minutes)
        return outcome

    def _attempt(self, job: Job, folder: Path, max_minutes: float | None) -> Outcome:
        with self._lock:
            if self._stopped:
                return Outcome(job.key, "interrupted", work_folder(job, folder), "never started")
            worker = self._idle.pop() if self._idle else _Worker(self._threads)
            self._all = [*(other for other in self._all if other is not worker), worker]
        outcome = worker.run(job, folder, max_minutes)
        if outcome is None:  # on Windows, the status of a process that was ended tells nothing
            return _lost(job, folder, worker.process.wait(), stopped=self._stopped)
        with self._lock:
            self._idle.append(worker)
        return outcome

    def stop(self) -> None:
        """End all of them and their kernels at once; who does not listen is killed."""
        with self._lock:
            self._stopped = True
        for worker in self._all:
            worker.process.terminate()
        for worker in self._all:
            try:
                worker.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                worker.process.kill()

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for worker in self._all:
            worker.close()


class _Worker:
    """A process that runs one job at a time."""

    def __init__(self, threads: dict[str, str]) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "festkit.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=threads | os.environ,
            start_new_session=True,  # a terminal's Ctrl-C reaches the driver only
        )

    def run(self, job: Job, folder: Path, max_minutes: float | None) -> Outcome | None:
        """Run a job to its end; None if the process ends before it."""
        key, log = job.key, _log(job, folder)
        log.parent.mkdir(parents=True, exist_ok=True)
        order = {
            "job": job.plain(),
            "folder": str(folder),
            "max_minutes": max_minutes,
            "log": str(log),
        }
        answer = self._ask(json.dumps(order))
        if not answer:
            return None
        status, place, reason = json.loads(answer)
        if status == "done":
            log.unlink(missing_ok=True)
        return Outcome(key, status, Path(place), reason)

    def _ask(self, order: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            print(order, file=self.process.stdin, flush=True)
        return self.process.stdout.readline()

    def close(self) -> None:
        """Let go of an ended process."""
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()


def _log(job: Job, folder: Path) -> Path:
    return folder / "work" / f"{job.key}.log"


def _lost(job: Job, folder: Path, code: int, *, stopped: bool) -> Outcome:
    """The outcome of a job whose process ended without telling one."""
    work = work_folder(job, folder)
    if stopped or code == 128 + signal.SIGTERM:
        return Outcome(job.key, "interrupted", work, "its process was told to end")
    if code >= 0:
        reason = f"its process ended with status {code}; see {_log(job, folder)}"
        return Outcome(job.key, "failed", work, reason)
    reason = f"its process was killed by signal {-code}"
    _mark_killed(job, folder, reason)
    return Outcome(job.key, "killed", work, reason)


def _mark_killed(job: Job, folder: Path, reason: str) -> None:
    """Say so in the job's folder once the kernel, which shares the lock, is gone, too."""
    for _ in range(100):
        with suppress(BlockingIOError), file_lock(lock_file(job, folder), wait=False):
            if work_folder(job, folder).is_dir():
                write_status(work_folder(job, folder), "killed", reason=reason)
            return
        time.sleep(0.1)


@contextmanager
def on_cluster(
    folder: Path, scheduler: Any, max_minutes: float | None
) -> Iterator[Callable[[Job], "Future[Outcome]"]]:
    """A function that runs jobs on a cluster, each in a child process of the worker that takes it.

    A worker that dies takes its child and kernel along; Dask gives the job to another one, which
    continues it.

    Raises:
        ImportError: if Dask is not installed.
        RuntimeError: if the scheduler does not answer.
        ValueError: if its address is none.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError(
            'a scheduler needs Dask, which is not installed: pip install "festkit[cluster]"'
        ) from error
    own = not isinstance(scheduler, Client)
    try:
        client = Client(scheduler) if own else scheduler
    except ValueError as error:
        raise InputError(
            f"the scheduler is {scheduler!r}, expected its address, such as tcp://host:8786 "
            f"({error})"
        ) from error
    except OSError as error:
        raise ProcessError(
            f"the scheduler {scheduler} does not answer ({error}); start it, or check its address"
        ) from error
    executor = client.get_executor(pure=False)
    try:
        yield lambda job: executor.submit(run_in_child, job, folder.resolve(), max_minutes)
    finally:
        executor.shutdown(wait=False)  # cancels what has not begun
        if own:
            client.close()


def lost_by_cluster(error: Exception) -> bool:
    """Whether an error is Dask's own: it has lost a job's workers, or the scheduler."""
    return isinstance(error, CancelledError) or type(error).__module__.startswith("distributed.")


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
            _run_ready_jobs(plan, stack.enter_context(executor), outcomes, place, bar)
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


def _run_ready_jobs(
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
                _report(not_run(job, folder, lost), outcomes, bar)
                del waiting[key]
            elif len(ended) == len(needs):
                running[submit(waiting.pop(key))] = key
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            _report(_outcome(future, plan[running.pop(future)], folder), outcomes, bar)


def _report(outcome: Outcome, outcomes: dict[str, Outcome], bar: Any) -> None:
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
