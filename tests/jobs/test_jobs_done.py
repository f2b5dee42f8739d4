"""One job: done once, and only whole."""

import json
import os
import re
import signal
import subprocess
import sys

import nbformat
import pytest
from smallbooks import alive, entries, notebook, start, status, wait_for

from festkit.jobs.job import Job, check_metrics, run_job

PARAMETERS = "out: str = '.'\nepochs: int = 3\nrate: float = 0.5\nrun = None"
STEPS = """
import json, os, signal, time
from pathlib import Path
out = Path(out)
for step in range(4):  # as trainings do: what is there is not done again
    if not (out / f"step{step}").exists():
        FAULT
        (out / f"step{step}").write_text(str(epochs * step))
with (out.parent.parent / "log").open("a") as log:
    log.write("ran\\n")
"""
METRICS = """
steps = [float((out / f"step{k}").read_text()) for k in range(4)]
(out / "metrics.json").write_text(json.dumps({"steps": steps}))
"""
ONCE = """
        fault = out.parent.parent / "fault"
        if step == 2 and not fault.exists():
            fault.write_text(str(os.getpid())); {}
"""
FILES = [
    "book.html", "book.ipynb", "environment.json", "metrics.json", "progress.jsonl", "status.json",
    "step0", "step1", "step2", "step3",
]  # fmt: skip


def steps(folder, fault="pass", **options):
    fault = fault if fault == "pass" else ONCE.format(fault).strip()
    book = notebook(folder, STEPS.replace("FAULT", fault), METRICS, parameters=PARAMETERS)
    return Job(book, options)


def metrics_of(outcome):
    return json.loads((outcome.folder / "metrics.json").read_text())


UNDISTURBED = {"steps": [0.0, 3.0, 6.0, 9.0]}


def check_done(outcome, folder):
    """The next run has completed, it equals an undisturbed one, and nothing is left over."""
    assert (outcome.status, outcome.reason) == ("done", "")
    assert metrics_of(outcome) == UNDISTURBED
    assert outcome.folder == folder / "done" / outcome.key
    assert entries(outcome.folder) == FILES
    assert status(outcome.folder)["status"] == "done"
    assert entries(folder / "done") == [outcome.key]
    assert entries(folder / "work") == []


def test_the_title_of_a_job_without_options():
    assert Job("02_train", {"size": 64, "train_options": None}).title == "02_train 64"
    given = {"size": 64, "train_options": {"loss_options": {"edge_weight": 3}, "device": "cuda"}}
    assert Job("02_train", given).title == "02_train 64 edge_weight 3"


class TestKey:
    def test_it_follows_code_and_parameters(self, tmp_path):
        key = steps(tmp_path).key
        assert key.startswith("book-")
        assert steps(tmp_path, epochs=4).key != key
        assert steps(tmp_path, rate=1).key == steps(tmp_path, rate=1.0).key != key
        assert steps(tmp_path, run=[1]).key == steps(tmp_path, run=(1,)).key != key
        assert steps(tmp_path, fault="pass  # changed").key != key

    def test_text_outputs_and_defaults_do_not_count(self, tmp_path):
        job = steps(tmp_path)
        key = job.key
        assert steps(tmp_path, rate=0.5, epochs=3).key == key
        book = nbformat.read(job.notebook, as_version=4)
        book.cells[0].source = "# Another title"
        book.cells[1].outputs = [nbformat.v4.new_output("stream", text="a")]
        nbformat.write(book, job.notebook)
        assert job.key == key

    def test_bad_parameters_are_refused_at_once(self, tmp_path):
        with pytest.raises(ValueError, match="expected int"):
            steps(tmp_path, epochs="3")
        with pytest.raises(ValueError, match=r"out is 'here'.*omit out"):
            steps(tmp_path, out="here")
        with pytest.raises(FileNotFoundError):
            Job("no_such_notebook")


class TestDone:
    def test_it_is_done_once(self, tmp_path):
        job = steps(tmp_path)
        check_done(run_job(job, tmp_path), tmp_path)
        before = (tmp_path / "done" / job.key / "status.json").read_text()
        check_done(run_job(job, tmp_path), tmp_path)
        assert (tmp_path / "done" / job.key / "status.json").read_text() == before
        assert (tmp_path / "log").read_text() == "ran\n"

    @pytest.mark.system
    def test_two_drivers(self, tmp_path):
        job = steps(tmp_path, "time.sleep(3)")
        command = (
            "import sys, festkit; print(festkit.jobs.run_job(festkit.Job(sys.argv[1]), '.').status)"
        )
        drivers = [
            subprocess.Popen(
                [sys.executable, "-c", command, job.notebook],
                cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        said = [driver.communicate(timeout=120) for driver in drivers]
        assert [out for out, _ in said] == ["done\n", "done\n"]
        assert (tmp_path / "log").read_text() == "ran\n"
        check_done(run_job(job, tmp_path), tmp_path)


@pytest.mark.system
@pytest.mark.parametrize(
    ("fault", "ended", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", r"the kernel died.*in code cell 3"),
        pytest.param(
            "raise OSError('gone')", "failed", r"failed: OSError: gone \(in code cell 3",
            marks=pytest.mark.system,
        ),
    ],
)  # fmt: skip
def test_after_a_fault_the_next_run_completes(tmp_path, fault, ended, reason):
    job = steps(tmp_path, fault)
    outcome = run_job(job, tmp_path)
    assert outcome.status == ended == status(outcome.folder)["status"]
    assert re.search(reason, outcome.reason)
    assert not (tmp_path / "done").exists()
    assert not alive(int((tmp_path / "fault").read_text()))
    check_done(run_job(job, tmp_path), tmp_path)


@pytest.mark.system
def test_after_sigterm_to_its_driver_the_next_run_completes(tmp_path):
    job = steps(tmp_path, "time.sleep(600)")
    command = "import sys, festkit; festkit.jobs.run_job(festkit.Job(sys.argv[1]), sys.argv[2])"
    driver = start("-c", command, job.notebook, tmp_path)
    kernel = wait_for(lambda: (tmp_path / "fault").exists() and (tmp_path / "fault").read_text())
    driver.send_signal(signal.SIGTERM)
    driver.wait(timeout=60)
    assert not (tmp_path / "done").exists()
    outcome = run_job(job, tmp_path)  # at once: it waits until the kernel is gone
    assert not alive(int(kernel))
    check_done(outcome, tmp_path)


@pytest.mark.system
def test_a_full_disk(tmp_path, monkeypatch):
    flush, count = os.fsync, []

    def full(file):
        count.append(file)
        if len(count) > 3:  # status, environment and progress are there
            raise OSError(28, "No space left on device")
        flush(file)

    job = steps(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        outcome = run_job(job, tmp_path)
    assert outcome.status == "failed"
    assert "No space left" in outcome.reason
    assert not (tmp_path / "done").exists()
    check_done(run_job(job, tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": [1, NaN]}', "a, 1 is nan, expected a finite"),
        ('{"a": 1e999}', "a is inf, expected a finite"),
        ("{", "is not readable JSON"),
        ("[]", r"holds \[\], expected metrics by name"),
        ("{}", r"holds \{\}, expected metrics by name"),
    ],
)
def test_metrics_that_are_not_sound(tmp_path, text, reason):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        check_metrics(path)


@pytest.mark.system
def test_metrics_of_an_earlier_attempt_do_not_count(tmp_path):
    job = Job(notebook(tmp_path, "1", parameters=PARAMETERS))
    work = tmp_path / "work" / job.key
    work.mkdir(parents=True)
    (work / "metrics.json").write_text('{"n": 1}')
    outcome = run_job(job, tmp_path)
    assert outcome.status == status(outcome.folder)["status"] == "failed"
    assert re.search(r"did not write .*metrics\.json", outcome.reason)
    assert outcome.reason in status(outcome.folder)["reason"]
    assert not (tmp_path / "done").exists()


@pytest.mark.system
def test_what_a_kill_left_half_written_is_cleared(tmp_path):
    job = steps(tmp_path)
    work = tmp_path / "work" / job.key
    (work / ".scenes.x.part").mkdir(parents=True)
    (work / ".weights.1.part").touch()
    check_done(run_job(job, tmp_path), tmp_path)
