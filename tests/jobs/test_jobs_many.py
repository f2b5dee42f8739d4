"""Jobs that need others: in order, each once, on this machine and on a Dask cluster."""

import json
import os
import pickle
import signal
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from smallbooks import entries, notebook, wait_for

from festkit.jobs.job import Job, Output, run_job, topological_order
from festkit.jobs.schedule import lost_by_cluster, run_jobs, unfinished

PARAMETERS = "out: str = '.'\nn: int = 0\nparts: dict = None\nfault: str = 'none'"
CELL = """
import json, os, time
from pathlib import Path
out = Path(out)
with (out.parent.parent / "log").open("a") as log:
    log.write(f"{n} {os.getpid()}\\n")
if fault == "raise":
    raise ValueError("broken")
flag = out.parent.parent / "go"
while fault == "wait" and not flag.exists():
    time.sleep(0.05)
total = n + sum(int(Path(path).read_text()) for group in (parts or {}).values() for path in group)
(out / "total.txt").write_text(str(total))
(out / "metrics.json").write_text(json.dumps({"total": total}))
"""


@pytest.fixture
def book(tmp_path):
    return notebook(tmp_path, CELL, parameters=PARAMETERS)


def diamond(book, fault="none"):
    """A last job that needs two, both of which need the first."""
    first = Job(book, {"n": 1, "fault": fault})
    middle = [Job(book, {"n": n, "parts": {"a": [Output(first, "total.txt")]}}) for n in (10, 20)]
    return Job(book, {"n": 100, "parts": {"a": [Output(job, "total.txt") for job in middle]}})


def log(folder):
    return [line.split()[0] for line in (folder / "log").read_text().splitlines()]


def total(outcome):
    return json.loads((outcome.folder / "metrics.json").read_text())["total"]


def test_what_a_job_needs_is_part_of_its_name(tmp_path, book):
    last = diamond(book)
    assert last.key == diamond(book).key != diamond(book, "other").key
    (first,) = {need.key for middle in last.needs for need in middle.needs}
    assert next(iter(topological_order([last]))) == first
    assert len(topological_order([last, *last.needs])) == 4
    again = pickle.loads(pickle.dumps(last))
    assert [job.key for job in topological_order([again]).values()] == list(
        topological_order([last])
    )


def test_where_a_job_runs_is_not(tmp_path):
    places = "data_root: str = None\ndevice: str = 'auto'\nthreads: int = 1\nseed: int = 0"
    book = notebook(tmp_path, parameters=places)
    key = Job(book).key
    assert Job(book, {"data_root": "/data", "device": "cuda", "threads": 8}).key == key
    assert Job(book, {"seed": 1}).key != key


@pytest.mark.system
def test_each_once_and_after_what_it_needs(tmp_path, book):
    last = diamond(book)
    (outcome,) = run_jobs([last], tmp_path, workers=2)
    assert (outcome.status, total(outcome)) == ("done", 100 + 10 + 20 + 1 + 1)
    order = log(tmp_path)
    assert (order[0], sorted(order[1:3]), order[3]) == ("1", ["10", "20"], "100")
    assert unfinished([last], tmp_path) == {}
    assert run_jobs([last, last.needs[0]], tmp_path)[0] == outcome
    assert log(tmp_path) == order


def test_what_a_done_job_needed_is_not_missed(tmp_path, book):
    last = diamond(book)
    done = last.needs[0]
    (tmp_path / "done" / done.key).mkdir(parents=True)
    assert list(unfinished([last, done], tmp_path)) == [
        last.needs[1].needs[0].key, last.needs[1].key, last.key,
    ]  # fmt: skip
    (tmp_path / "done" / last.needs[1].key).mkdir()
    assert list(unfinished([last], tmp_path)) == [last.key]


@pytest.mark.system
def test_a_folder_that_cannot_be_written(tmp_path, book):
    (tmp_path / "work").touch()
    (outcome,) = run_jobs([Job(book)], tmp_path)
    assert (outcome.status, outcome.reason[:15]) == ("failed", "FileExistsError")


def test_a_limit_that_is_no_time(tmp_path, book):
    for run in (
        lambda: run_jobs([Job(book)], tmp_path, max_minutes=0),
        lambda: run_job(Job(book), tmp_path, max_minutes=0),
    ):
        with pytest.raises(ValueError, match="max_minutes is 0, expected a number above 0"):
            run()


def test_another_process_finds_the_notebook_from_any_folder(tmp_path, book, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(Job(book.name))
    monkeypatch.chdir("/")
    assert pickle.loads(pickled).key == Job(book).key
    assert str(pickle.loads(pickle.dumps(Job("00_quickstart"))).notebook) == "00_quickstart"


@pytest.mark.system
def test_what_needs_a_failed_job_is_not_run_and_the_rest_is(tmp_path, book):
    last, other = diamond(book, fault="raise"), Job(book, {"n": 5})
    outcomes = run_jobs([last, last.needs[0], other], tmp_path, workers=2)
    assert [outcome.status for outcome in outcomes] == ["not run", "not run", "done"]
    assert "it needs book-" in outcomes[0].reason
    assert "which is not done (failed)" in outcomes[1].reason
    assert sorted(log(tmp_path)) == ["1", "5"]
    assert run_job(last, tmp_path).status == "not run"


@pytest.mark.system
def test_alone_a_job_runs_what_it_needs_in_a_folder_that_may_be_moved(tmp_path, book):
    last = diamond(book)
    run_job(last.needs[0], tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    outcome = run_job(last, tmp_path / "there")
    assert (outcome.status, total(outcome)) == ("done", 132)
    assert log(tmp_path / "there") == ["1", "10", "20", "100"]


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster


@pytest.mark.system
def test_four_jobs_on_a_cluster_one_of_whose_workers_is_killed(tmp_path, book, cluster):
    jobs = [Job(book, {"n": n, "fault": "wait"}) for n in range(4)]

    def kill_one():
        wait_for(lambda: (tmp_path / "log").exists() and len(log(tmp_path)) == 2)
        victim = next(iter(cluster.workers.values()))
        os.kill(victim.pid, signal.SIGKILL)
        wait_for(lambda: len(log(tmp_path)) >= 3)
        (tmp_path / "go").touch()

    killer = threading.Thread(target=kill_one)
    killer.start()
    outcomes = run_jobs(jobs, tmp_path, scheduler=cluster.scheduler_address)
    killer.join()
    assert [outcome.status for outcome in outcomes] == ["done"] * 4
    assert [total(outcome) for outcome in outcomes] == [0, 1, 2, 3]
    assert entries(tmp_path / "done") == sorted(job.key for job in jobs)
    assert entries(tmp_path / "work") == []
    times = [log(tmp_path).count(str(n)) for n in range(4)]
    assert sorted(times) == [1, 1, 1, 2]  # the killed one alone was run twice


@pytest.mark.system
def test_needs_on_a_cluster(tmp_path, book, cluster):
    after, lost = diamond(book).needs[0], diamond(book, fault="raise").needs[0]
    outcomes = run_jobs([after, lost], tmp_path, scheduler=cluster)
    assert [outcome.status for outcome in outcomes] == ["done", "not run"]
    assert total(outcomes[0]) == 11


def test_what_a_cluster_loses_is_told_from_what_fails():
    scheduler = pytest.importorskip("distributed.scheduler")
    assert lost_by_cluster(scheduler.KilledWorker("job", None, 3))
    assert lost_by_cluster(CancelledError())
    assert not lost_by_cluster(ImportError("no such module"))
    assert not lost_by_cluster(FileNotFoundError("no such notebook"))


@pytest.mark.system
def test_a_scheduler_that_is_not_there(tmp_path, book):
    pytest.importorskip("distributed")  # imported below, it would lose its own settings
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(RuntimeError, match=r"the scheduler tcp://127\.0\.0\.1:1 does not respond"),
    ):
        run_jobs([Job(book)], Path(tmp_path), scheduler="tcp://127.0.0.1:1")


def test_an_address_that_is_none(tmp_path, book):
    pytest.importorskip("distributed")
    with pytest.raises(RuntimeError, match=r"the scheduler x does not .*its address, such as tcp"):
        run_jobs([Job(book)], Path(tmp_path), scheduler="x")
