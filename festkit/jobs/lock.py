"""A lock file that keeps two drivers apart, freed by the system when its last holder is gone."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: drivers are not kept apart there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def hold(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file while the block runs; it is gone afterwards.

    The lock is one of open files (flock), so nothing stale remains after a kill. Child processes
    that inherit the file hold it, too: a kernel that outlives its killed driver for a moment does
    so under the lock.

    Args:
        path: the lock file.
        wait: until whoever holds it has let go.

    Raises:
        BlockingIOError: if someone else holds it and ``wait`` is off.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.lock"
        >>> with hold(path):
        ...     path.exists()
        True
        >>> path.exists()
        False
    """
    if fcntl is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(path, wait)
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        os.set_inheritable(file, True)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _locked(path: Path, wait: bool) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file, path, wait)
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                return file  # not one that its holder has removed meanwhile
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, path: Path, wait: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        holder = os.pread(file, 200, 0).decode() or "another process"
        print(f"{path.stem} is held by {holder}; waiting for it", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
