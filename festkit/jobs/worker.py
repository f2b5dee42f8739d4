"""One job in a process of its own, which ends when its driver does."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from .._support.locks import file_lock
from .job import Job, Outcome, lock_file, run_job, work_folder
from .status import write_status


class Workers:
    """Runs jobs in child processes, one process per job.

    Args:
        count: number of jobs that run at the same time; they share the CPUs.

    Example:
        >>> Workers(2).stop()
    """

    def __init__(self, count: int = 1) -> None:
        from .._support.cpus import available_cpus  # noqa: PLC0415 - the child needs no torch

        share = max(1, len(available_cpus()) // count)
        self._environment = {"OMP_NUM_THREADS": str(share)} if count > 1 else {}
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, job: Job, folder: Path, max_minutes: float | None) -> Outcome:
        """Run a job, and once more if it is killed."""
        outcome = self._attempt(job, folder, max_minutes)
        if outcome.status == "killed" and not self._stopped:
            outcome = self._attempt(job, folder, max_minutes)
        return outcome

    def stop(self) -> None:
        """End all processes and their kernels; those that ignore SIGTERM are killed."""
        with self._lock:
            self._stopped = True
            processes = list(self._processes)
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _attempt(self, job: Job, folder: Path, max_minutes: float | None) -> Outcome:
        """Run a job once in a process of its own."""
        log = folder / "work" / f"{job.key}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, log.open("ab") as output:
            if self._stopped:
                return Outcome(job.key, "interrupted", work_folder(job, folder), "never started")
            process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,  # stays open as long as the driver lives
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                env=self._environment | os.environ,
                start_new_session=True,  # Ctrl-C in a terminal reaches the driver only
            )
            self._processes.add(process)
        answer = _ask(process, pickle.dumps((job, folder, max_minutes)))
        self._processes.discard(process)
        if not answer:  # on Windows the exit status does not tell that it was stopped
            return _lost(job, folder, log, process.returncode, stopped=self._stopped)
        outcome: Outcome = pickle.loads(answer)
        if outcome.status == "done":
            log.unlink(missing_ok=True)
        return outcome


def run_in_child(job: Job, folder: Path, max_minutes: float | None) -> Outcome:
    """Run a job in a process of its own, which ends with this one."""
    return Workers().run(job, folder, max_minutes)


def _ask(process: "subprocess.Popen[bytes]", order: bytes) -> bytes:
    """Give a process its order, and wait for its answer and its end."""
    assert process.stdin
    assert process.stdout
    with process, suppress(BrokenPipeError):
        process.stdin.write(order)
        return process.stdout.read()
    return b""


def _lost(job: Job, folder: Path, log: Path, code: int, *, stopped: bool) -> Outcome:
    """The outcome of a job whose process ended without an answer."""
    work = work_folder(job, folder)
    if stopped or code == 128 + signal.SIGTERM:
        return Outcome(job.key, "interrupted", work, "its process was told to end")
    if code >= 0:
        return Outcome(job.key, "failed", work, f"its process ended with status {code}; see {log}")
    reason = f"its process was killed by signal {-code}"
    for _ in range(100):  # the kernel, which shares the lock, may live a moment longer
        with suppress(BlockingIOError), file_lock(lock_file(job, folder), wait=False):
            if work.is_dir():
                write_status(work, "killed", reason=reason)
            break
        time.sleep(0.1)
    return Outcome(job.key, "killed", work, reason)


def main() -> None:
    """Read an order from standard input, run its job, and write the outcome to standard output.

    Standard error is the log, which also gets what the notebook prints.
    """
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        job, folder, max_minutes = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_driver, daemon=True).start()
        pickle.dump(run_job(job, folder, max_minutes=max_minutes), answers)


def _end_with_driver() -> None:
    """Stop this process when its driver ends."""
    os.read(0, 1)  # returns when the driver is gone
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
