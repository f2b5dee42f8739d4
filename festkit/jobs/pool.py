"""Many independent jobs on one machine, each in a process of its own."""

import json
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .._progress import progress
from .job import Job, Outcome, finished, lock_file, work_folder
from .lock import hold
from .running import termination_as_exit
from .watching import write_status


def run_jobs(
    jobs: Sequence[Job],
    folder: str | Path,
    *,
    workers: int = 1,
    max_minutes: float | None = None,
) -> list[Outcome]:
    """Run independent jobs, several at a time, each as :func:`run_job` does.

    Every job has a process and a kernel of its own, so a job that fails or is killed touches no
    other. One that is killed is run once more. What the notebooks print is kept in
    ``folder/work/KEY.log`` until the job is done. An interrupt ends all of them; the same call
    continues.

    Args:
        jobs: what to run; done ones are skipped.
        folder: of all jobs.
        workers: jobs that run at the same time.
        max_minutes: minutes after which a notebook is stopped; None for no limit.

    Returns:
        How each ended, in the order of ``jobs``.

    Raises:
        ValueError: if there is less than one worker.

    Example:
        >>> import tempfile, nbformat
        >>> folder = Path(tempfile.mkdtemp())
        >>> code = "open(f'{out}/metrics.json', 'w').write('{}')"
        >>> cells = [nbformat.v4.new_code_cell("out = '.'", metadata={"tags": ["parameters"]}),
        ...          nbformat.v4.new_code_cell(code)]
        >>> kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        >>> book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        >>> nbformat.write(book, folder / "one.ipynb")
        >>> [outcome.status for outcome in run_jobs([Job(folder / "one.ipynb")], folder)]
        ['done']
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, expected at least 1")
    outcomes = {number: done for number, job in enumerate(jobs) if (done := finished(job, folder))}
    waiting = deque(number for number in range(len(jobs)) if number not in outcomes)
    again: set[int] = set()
    running: dict[int, _Worker] = {}
    bar = progress(None, "jobs", unit="job", total=len(jobs), done=len(outcomes))
    with termination_as_exit(), bar:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    number = waiting.popleft()
                    running[number] = _Worker(jobs[number], Path(folder), max_minutes)
                for number in [n for n, worker in running.items() if worker.ended]:
                    outcome = running.pop(number).outcome()
                    bar.write(f"{outcome.key}: {outcome.reason or 'done'}", file=sys.stderr)
                    if outcome.status == "killed" and number not in again:
                        again.add(number)
                        waiting.append(number)
                    else:
                        outcomes[number] = outcome
                        bar.update()
                time.sleep(0.05)
        finally:
            _stop(list(running.values()))
    return [outcomes[number] for number in range(len(jobs))]


class _Worker:
    """A process that runs one job."""

    def __init__(self, job: Job, folder: Path, max_minutes: float | None) -> None:
        self._job, self._folder, self._key = job, folder, job.key
        order = {
            "notebook": str(job.notebook),
            "parameters": dict(job.parameters),
            "folder": str(folder),
            "max_minutes": max_minutes,
        }
        self._log = folder / "work" / f"{self._key}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-m", "festkit.jobs.worker", json.dumps(order)],
                stdin=subprocess.PIPE,  # never written to: it closes when the driver is gone
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C reaches the driver only
            )

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def outcome(self) -> Outcome:
        """How the job ended, once its process has."""
        answer, _ = self.process.communicate()
        if not answer:
            return self._lost(self.process.returncode)
        status, folder, reason = json.loads(answer)
        if status == "done":
            self._log.unlink(missing_ok=True)
        return Outcome(self._key, status, Path(folder), reason)

    def _lost(self, code: int) -> Outcome:
        work = work_folder(self._job, self._folder)
        if code == 128 + signal.SIGTERM:
            return Outcome(self._key, "interrupted", work, "its process was told to end")
        if code >= 0:
            reason = f"its process ended with status {code}; {self._log} tells more"
            return Outcome(self._key, "failed", work, reason)
        reason = f"its process was killed by signal {-code}"
        self._mark_killed(work, reason)
        return Outcome(self._key, "killed", work, reason)

    def _mark_killed(self, work: Path, reason: str) -> None:
        """Say so in the job's folder once the kernel, which shares the lock, is gone, too."""
        for _ in range(100):
            with suppress(BlockingIOError), hold(lock_file(self._job, self._folder), wait=False):
                if work.is_dir():
                    write_status(work, "killed", reason=reason)
                return
            time.sleep(0.1)


def _stop(workers: list[_Worker]) -> None:
    """End workers and their kernels, all at once; who does not listen is killed."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
