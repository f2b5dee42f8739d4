"""Many jobs at a time: whatever becomes of one, the others are done."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from smallbooks import alive, entries, notebook, status, wait_for

from festkit.jobs.job import Job, run_job
from festkit.jobs.schedule import run_jobs
from festkit.jobs.worker import Workers

PARAMETERS = "out: str = '.'\nn: int = 0\nfault: str = 'none'"
CELL = """
import json, os, signal, time
from pathlib import Path
out = Path(out)
root = out.parent.parent
with (root / f"runs{n}").open("a") as log:
    log.write(f"{os.getpid()} {os.getppid()}\\n")
times = len((root / f"runs{n}").read_text().splitlines())
print("hello from", n)
if fault == "raise":
    raise ValueError("broken")
if fault == "worker" and times == 1:
    os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)
if fault == "kernel":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "hang" and times == 1:
    time.sleep(600)
(out / "metrics.json").write_text(json.dumps({"square": n * n}))
"""


@pytest.fixture
def book(tmp_path):
    return notebook(tmp_path, CELL, parameters=PARAMETERS)


def runs(folder, n):
    """Kernel and worker of each time that job ``n`` was run."""
    path = folder / f"runs{n}"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def squares(outcomes):
    return [json.loads((o.folder / "metrics.json").read_text())["square"] for o in outcomes]


@pytest.mark.system
def test_four_at_a_time(tmp_path, book, capfd):
    children = set(psutil.Process().children(recursive=True))
    jobs = [Job(book, {"n": n % 4}) for n in range(5)]  # the last one is the first again
    outcomes = run_jobs(jobs, tmp_path, workers=4)
    assert set(psutil.Process().children(recursive=True)) <= children
    assert [outcome.key for outcome in outcomes] == [job.key for job in jobs]
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert squares(outcomes) == [0, 1, 4, 9, 0]
    assert entries(tmp_path / "done") == sorted({job.key for job in jobs})
    assert entries(tmp_path / "work") == []
    said = capfd.readouterr()
    assert said.out == ""
    assert all(f"{job.key}: done" in said.err for job in jobs)

    assert run_jobs(jobs, tmp_path, workers=4) == outcomes
    assert [len(runs(tmp_path, n)) for n in range(4)] == [1] * 4


@pytest.mark.system
def test_faults_stay_with_their_jobs(tmp_path, book):
    faults = ["raise", "worker", "kernel", "none"]
    jobs = [Job(book, {"n": n, "fault": fault}) for n, fault in enumerate(faults)]
    failed, worker, kernel, none = run_jobs(jobs, tmp_path, workers=2)
    assert failed.status == status(failed.folder)["status"] == "failed"
    assert "ValueError: broken" in failed.reason
    assert kernel.status == status(kernel.folder)["status"] == "killed"
    assert (worker.status, none.status) == ("done", "done")
    assert squares([worker, none]) == [1, 9]
    assert [len(runs(tmp_path, n)) for n in range(4)] == [1, 2, 2, 1]
    assert entries(tmp_path / "done") == sorted([worker.key, none.key])
    assert not any(alive(pid) for n in range(4) for pair in runs(tmp_path, n) for pid in pair)
    assert "hello from 0" in (tmp_path / "work" / f"{failed.key}.log").read_text()


@pytest.mark.system
def test_a_worker_that_is_killed_twice(tmp_path, book):
    text = book.read_text().replace("and times == 1", "")
    book.write_text(text)
    (outcome,) = run_jobs([Job(book, {"fault": "worker"})], tmp_path)
    assert (outcome.status, outcome.reason) == ("killed", "its process was killed by signal 9")
    assert status(outcome.folder)["status"] == "killed"
    assert len(runs(tmp_path, 0)) == 2
    assert not (tmp_path / "done").exists()


COMMAND = """
import sys
from festkit import Job, run_jobs
run_jobs([Job(sys.argv[1], {"n": n, "fault": "hang"}) for n in range(2)], sys.argv[2], workers=2)
"""


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_the_end_of_the_driver_the_next_run_completes(tmp_path, book, number):
    driver = subprocess.Popen([sys.executable, "-c", COMMAND, book, tmp_path])
    wait_for(lambda: runs(tmp_path, 0) and runs(tmp_path, 1))
    driver.send_signal(number)
    driver.wait(timeout=60)
    jobs = [Job(book, {"n": n, "fault": "hang"}) for n in range(2)]
    first = [pid for n in range(2) for pid in runs(tmp_path, n)[0]]
    if number != signal.SIGKILL:
        assert not any(map(alive, first))
        folders = [tmp_path / "work" / job.key for job in jobs]
        assert [status(folder)["status"] for folder in folders] == ["interrupted"] * 2
    outcomes = [run_job(job, tmp_path) for job in jobs]
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert squares(outcomes) == [0, 1]
    assert not any(map(alive, first))
    assert entries(tmp_path / "work") == sorted(f"{job.key}.log" for job in jobs)


@pytest.mark.system
def test_a_time_limit_for_each(tmp_path, book):
    jobs = [Job(book, {"n": 0, "fault": "hang"}), Job(book, {"n": 1})]
    hanging, other = run_jobs(jobs, tmp_path, workers=2, max_minutes=0.25)
    assert (hanging.status, other.status) == ("timed out", "done")


@pytest.mark.system
def test_a_job_is_interrupted_when_its_driver_stops(tmp_path, book, monkeypatch):
    """On Windows a process that is told to end cannot hear it, and never returns 143."""
    monkeypatch.setattr(subprocess.Popen, "terminate", subprocess.Popen.kill)
    workers = Workers()
    with ThreadPoolExecutor() as threads:
        future = threads.submit(workers.run, Job(book, {"fault": "hang"}), tmp_path, None)
        wait_for(lambda: runs(tmp_path, 0))
        workers.stop()
        assert future.result(timeout=60).status == "interrupted"


def test_nothing_to_do(tmp_path):
    assert run_jobs([], tmp_path) == []


def test_no_worker(tmp_path):
    with pytest.raises(ValueError, match="workers is 0, expected at least 1"):
        run_jobs([], tmp_path, workers=0)


@pytest.mark.parametrize(
    ("workers", "given", "threads"), [(4, None, "2"), (20, None, "1"), (4, "3", "3"), (1, None, "")]
)
def test_workers_share_the_cpus(monkeypatch, workers, given, threads):
    """Each would measure its load before the others have begun, and take all CPUs."""
    monkeypatch.setattr("festkit._support.cpus.available_cpus", lambda: tuple(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    environment = Workers(workers)._environment | os.environ
    assert environment.get("OMP_NUM_THREADS", "") == threads
