"""Workers on this machine: processes, each of which runs one job at a time."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from .._cpus import available_cpus
from .._lock import hold
from .done import Outcome, lock_file, work_folder
from .job import Job
from .watching import write_status


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
        with suppress(BlockingIOError), hold(lock_file(job, folder), wait=False):
            if work_folder(job, folder).is_dir():
                write_status(work_folder(job, folder), "killed", reason=reason)
            return
        time.sleep(0.1)
