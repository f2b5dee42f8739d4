import errno
import os
import subprocess
import sys
import threading

import pytest
from smallbooks import entries, wait_for

from festkit import _lock
from festkit._lock import hold

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from festkit._lock import hold
with hold(Path(sys.argv[1]), inherit=sys.argv[2] == "True"):
    heir = subprocess.Popen(["sleep", "600"], close_fds=False, stdout=subprocess.DEVNULL)
    print(heir.pid, flush=True)
    time.sleep(600)
"""


def test_it_waits_for_its_holder(tmp_path, capsys):
    path, order = tmp_path / "a.lock", []

    def second():
        with hold(path):
            order.append("second")

    with hold(path):
        thread = threading.Thread(target=second)
        thread.start()
        wait_for(lambda: "waiting" in capsys.readouterr().err)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert entries(tmp_path) == []


def test_without_waiting_it_tells_its_holder(tmp_path):
    path = tmp_path / "a.lock"
    with hold(path):
        with pytest.raises(BlockingIOError) as refused, hold(path, wait=False):
            pass
        assert refused.value.strerror.startswith(f"process {os.getpid()} on ")
        assert refused.value.filename == str(path)
        assert path.exists()
    assert entries(tmp_path) == []


def test_the_lock_of_another_in_a_new_folder_stays(tmp_path):
    path = tmp_path / "run" / "a.lock"
    with hold(path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


@pytest.mark.parametrize("inherit", [False, True])
def test_it_goes_with_a_killed_holder_and_its_heirs(tmp_path, inherit):
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, str(inherit)], stdout=subprocess.PIPE
    )
    heir = int(holder.stdout.readline())
    with pytest.raises(BlockingIOError, match=f"process {holder.pid} on "), hold(path, wait=False):
        pass
    holder.kill()
    holder.communicate()
    if inherit:
        with pytest.raises(BlockingIOError), hold(path, wait=False):
            pass
        os.kill(heir, 9)
        with hold(path):
            assert path.exists()
    else:
        with hold(path, wait=False):
            assert path.exists()
        os.kill(heir, 9)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_where_there_are_no_locks_nobody_is_kept_apart(tmp_path, monkeypatch, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_lock.fcntl, "flock", no_locks)
    with hold(tmp_path / "a.lock"), hold(tmp_path / "a.lock", wait=False):
        pass
    assert entries(tmp_path) == []


def test_any_other_error_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(_lock.fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"), hold(tmp_path / "a.lock"):
        pass
