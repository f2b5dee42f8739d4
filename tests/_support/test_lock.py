import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from smallbooks import entries, wait_for

from festkit._support import locks as _lock
from festkit._support.locks import file_lock

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from festkit._support.locks import file_lock
with file_lock(Path(sys.argv[1]), inherit=sys.argv[2] == "True"):
    heir = subprocess.Popen(["sleep", "600"], close_fds=False, stdout=subprocess.DEVNULL)
    print(heir.pid, flush=True)
    time.sleep(600)
"""


def test_it_waits_for_its_holder(tmp_path, capsys):
    path, order = tmp_path / "a.lock", []

    def second():
        with file_lock(path):
            order.append("second")

    with file_lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        wait_for(lambda: "waiting" in capsys.readouterr().err)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert entries(tmp_path) == []


def test_without_waiting_it_tells_its_holder(tmp_path):
    path = tmp_path / "a.lock"
    with file_lock(path):
        with pytest.raises(BlockingIOError) as refused, file_lock(path, wait=False):
            pass
        assert refused.value.strerror.startswith(f"process {os.getpid()} on ")
        assert refused.value.filename == str(path)
        assert path.exists()
    assert entries(tmp_path) == []


def test_the_lock_of_another_in_a_new_folder_stays(tmp_path):
    path = tmp_path / "run" / "a.lock"
    with file_lock(path):
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
    with (
        pytest.raises(BlockingIOError, match=f"process {holder.pid} on "),
        file_lock(path, wait=False),
    ):
        pass
    holder.kill()
    holder.communicate()
    if inherit:
        with pytest.raises(BlockingIOError), file_lock(path, wait=False):
            pass
        os.kill(heir, 9)
        with file_lock(path):
            assert path.exists()
    else:
        with file_lock(path, wait=False):
            assert path.exists()
        os.kill(heir, 9)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_where_there_are_no_locks_a_warning_says_that_nobody_is_kept_apart(
    tmp_path, monkeypatch, number
):
    def no_locks(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_lock, "lock_descriptor", no_locks)
    path, message = tmp_path / "a.lock", "has no locks .*; run only one at a time there"
    with (
        pytest.warns(UserWarning, match=message) as told,
        file_lock(path),
        file_lock(path, wait=False),
    ):
        pass
    assert [Path(each.filename) for each in told] == [Path(__file__)] * 2
    assert entries(tmp_path) == []


def test_any_other_error_is_told(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(_lock, "lock_descriptor", broken)
    with pytest.raises(OSError, match="Input/output error"), file_lock(tmp_path / "a.lock"):
        pass


def test_where_the_locked_byte_cannot_be_read_the_holder_is_told_all_the_same(
    tmp_path, monkeypatch
):
    real = os.read

    def as_on_windows(file, length):
        if os.lseek(file, 0, os.SEEK_CUR) == 0:
            raise PermissionError(errno.EACCES, "the region is locked")
        return real(file, length)

    monkeypatch.setattr(os, "read", as_on_windows)
    path = tmp_path / "a.lock"
    holder = f"process {os.getpid()} on "
    with file_lock(path), pytest.raises(BlockingIOError, match=holder), file_lock(path, wait=False):
        pass


def test_a_system_without_flock_is_told():
    script = """
import sys, tempfile
from pathlib import Path
sys.modules["fcntl"] = None
from festkit._support.locks import file_lock
with file_lock(Path(tempfile.mkdtemp()) / "a.lock"):
    pass
"""
    command = [sys.executable, "-c", script]
    message = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (message.returncode, "has no locks" in message.stderr) == (0, True), message.stderr
