"""A lock file that keeps processes apart, freed by the system when its last holder is gone."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ._errors import BusyError

try:
    import fcntl
except ImportError:  # Windows: nobody is kept apart there
    fcntl = None  # type: ignore[assignment]

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""What a file system without locks answers, such as some that clusters share."""


@contextmanager
def hold(path: Path, *, wait: bool = True, inherit: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs; it is gone afterwards.

    The lock is one of open files (flock), so a kill leaves a file, but nobody who holds it. On
    Windows, and where the file system has no locks, nobody is kept apart.

    Args:
        path: the lock file.
        wait: until whoever holds it has let go.
        inherit: let child processes that inherit files hold it, too: a kernel that outlives its
            killed driver for a moment does so under the lock.

    Raises:
        BlockingIOError: if someone else holds it and ``wait`` is off; ``strerror`` tells who.

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
        os.set_inheritable(file, inherit)
        yield
    finally:
        with suppress(OSError):  # a removed folder may hold another's lock by now
            if os.path.samestat(os.fstat(file), path.stat()):
                path.unlink()
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
    except BlockingIOError as error:
        holder = os.pread(file, 200, 0).decode() or "another process"
        if not wait:
            raise BusyError(error.errno, holder, str(path)) from None
        print(f"{path.stem} is held by {holder}; waiting for it", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
