import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
from smallbooks import alive, entries, notebook, start, status, wait_for

import festkit
from festkit.jobs.execute import run_notebook
from festkit.jobs.status import NotebookError, RunRecorder, write_status

PID = "import os; from pathlib import Path; Path({!r}).write_text(str(os.getpid()))"
CHILD = "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid)"
HANG = "import time; time.sleep(600)"
RECORDS = ["environment.json", "progress.jsonl", "status.json"]


@pytest.fixture
def pid_file(tmp_path):
    return tmp_path / "pid"


def hanging(tmp_path, pid_file, *last):
    """A notebook that leaves its kernel's and a child's process ids, then hangs."""
    child = f"{CHILD}; Path({str(pid_file)!r} + '-child').write_text(str(child.pid))"
    return notebook(tmp_path, PID.format(str(pid_file)), child, *(last or [HANG]))


def pids(pid_file):
    return [int(path.read_text()) for path in (pid_file, pid_file.with_name("pid-child"))]


def started(pid_file):
    child = pid_file.with_name("pid-child")
    return child.is_file() and child.read_text()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return run_notebook(notebook(folder, "1", "", "2"), {"epochs": 4}, folder / "out").parent


@pytest.mark.system
class TestRecords:
    def test_the_status(self, out):
        assert status(out)["status"] == "done"
        assert "reason" not in status(out)

    def test_a_line_for_each_start_and_end(self, out):
        lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
        seen = [(line["event"], line["cell"], line["of"]) for line in lines]
        assert seen == [(event, n, 4) for n in (1, 2, 3, 4) for event in ("start", "end")]
        assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)

    def test_the_environment(self, out):
        found = json.loads((out / "environment.json").read_text())
        assert set(found["versions"]) == {"python", "festkit", "torch", "numpy"}
        assert found["versions"]["festkit"] == festkit.__version__
        assert found["parameters"] == {"epochs": 4}
        assert found["started"] < found["ended"]
        assert found["device"] is None
        assert found["git"] is None or len(found["git"]["commit"]) == 40


class TestStart:
    @pytest.mark.system
    def test_torch_is_not_imported_for_a_notebook_that_takes_no_device(self):
        script = "import sys, festkit.jobs.worker, festkit.jobs.status as w; w.environment()"
        finished = subprocess.run(
            [sys.executable, "-c", f"{script}; sys.exit('torch' in sys.modules)"], check=False
        )
        assert finished.returncode == 0

    @pytest.mark.system
    def test_the_device_is_recorded_by_name(self, tmp_path):
        book = notebook(tmp_path, "1", parameters="device: str = 'cpu'")
        for given in ({}, {"device": "auto"}):
            out = run_notebook(book, given, tmp_path / "out").parent
            found = json.loads((out / "environment.json").read_text())
            assert found["device"].startswith(("cpu (", "cuda (", "mps ("))

    def test_a_device_that_is_not_there_is_told_in_the_status(self, tmp_path):
        out = tmp_path / "out"
        write_status(out, "killed")
        book = notebook(tmp_path, "1", parameters="device: str = 'auto'")
        with pytest.raises(ValueError, match="tpu"):
            run_notebook(book, {"device": "tpu"}, out)
        assert status(out)["status"] == "failed"
        assert "tpu" in status(out)["reason"]

    @pytest.mark.system
    def test_minutes_before_end_with_the_last_file(self, tmp_path):
        """However long ago that was, and whatever was removed since."""
        out = run_notebook(notebook(tmp_path, "1"), {}, tmp_path / "out").parent
        record = json.loads((out / "environment.json").read_text())
        began = datetime.fromisoformat(record["started"]).timestamp()
        for path in out.iterdir():
            os.utime(path, (began + 120, began + 120))
        (out / ".left.part").touch()
        (out / ".left.part").unlink()
        os.utime(out, (began + 9000, began + 9000))
        with RunRecorder(out, {}, cells=0):
            pass
        again = json.loads((out / "environment.json").read_text())
        assert again["minutes_before"] == pytest.approx(2, abs=0.01)


@pytest.mark.system
def test_while_it_runs_it_can_be_looked_at(tmp_path):
    out = tmp_path / "out"
    look = f"""
import json
from pathlib import Path
out = Path({str(out)!r})
print(json.loads((out / "status.json").read_text())["status"])
print(sorted(path.name for path in out.iterdir()))
book = json.loads((out / "book.running.ipynb").read_text())
print("first" in str(book["cells"][2]["outputs"]))
"""
    path = run_notebook(notebook(tmp_path, "print('first')", look), {}, out)
    text = json.loads(path.read_text())["cells"][-1]["outputs"][0]["text"]
    assert "".join(text).splitlines() == [
        "running",
        str(["book.running.ipynb", *RECORDS]),
        "True",
    ]


class TestFaults:
    @pytest.mark.system
    def test_a_killed_kernel(self, tmp_path, pid_file):
        kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        out = tmp_path / "out"
        with pytest.raises(NotebookError, match=r"book\.ipynb was killed: the kernel died"):
            run_notebook(hanging(tmp_path, pid_file, kill), {}, out)
        assert (status(out)["status"], status(out)["cell"]) == ("killed", 4)
        assert entries(out) == ["book.failed.ipynb", *RECORDS]
        assert not any(map(alive, pids(pid_file)))

    @pytest.mark.system
    def test_a_hanging_cell_that_ignores_interrupts(self, tmp_path, pid_file):
        ignore = f"""
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
{HANG}
"""
        out, before = tmp_path / "out", time.monotonic()
        with pytest.raises(NotebookError, match=r"timed out: it took more than 0\.1 minutes"):
            run_notebook(hanging(tmp_path, pid_file, ignore), {}, out, max_minutes=0.1)
        assert 6 <= time.monotonic() - before < 60
        assert (status(out)["status"], status(out)["cell"]) == ("timed out", 4)
        assert not any(map(alive, pids(pid_file)))

    @pytest.mark.parametrize("minutes", [0, -1, float("nan")])
    def test_no_time_is_refused(self, tmp_path, minutes):
        with pytest.raises(ValueError, match=f"max_minutes is {minutes}, expected a number above"):
            run_notebook(notebook(tmp_path), {}, tmp_path / "out", max_minutes=minutes)

    @pytest.mark.system
    def test_an_interrupt_takes_the_kernel_along(self, tmp_path, pid_file):
        source, out = hanging(tmp_path, pid_file), tmp_path / "out"
        command = "import sys, festkit; festkit.run_notebook(sys.argv[1], {}, sys.argv[2])"
        run = start("-c", command, source, out)
        progress = out / "progress.jsonl"
        wait_for(lambda: started(pid_file) and '"cell": 4' in progress.read_text())
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) == -signal.SIGINT
        assert (status(out)["status"], status(out)["cell"]) == ("interrupted", 4)
        assert not any(map(alive, pids(pid_file)))
        assert entries(out) == ["book.failed.ipynb", *RECORDS]

    @pytest.mark.system
    def test_a_killed_driver_takes_the_kernel_along(self, tmp_path, pid_file):
        source, out = hanging(tmp_path, pid_file), tmp_path / "out"
        command = "import sys, festkit; festkit.run_notebook(sys.argv[1], {}, sys.argv[2])"
        run = start("-c", command, source, out)
        wait_for(lambda: started(pid_file))
        run.kill()
        run.wait()
        kernel, child = pids(pid_file)
        wait_for(lambda: not alive(kernel))
        os.kill(child, signal.SIGKILL)
        assert status(out)["status"] == "running"

    @pytest.mark.system
    def test_a_disk_that_fills_up(self, tmp_path, monkeypatch):
        flush = os.fsync

        def full(file):
            name = os.readlink(f"/proc/self/fd/{file}") if os.path.isdir("/proc/self") else ""
            if ".ipynb" in name or ".html" in name:
                raise OSError(28, "No space left on device")
            flush(file)

        out = tmp_path / "out"
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run_notebook(notebook(tmp_path, "1"), {}, out)
        assert status(out)["status"] == "failed"
        assert "No space left" in status(out)["reason"]
        assert entries(out) == ["book.failed.ipynb", *RECORDS]
