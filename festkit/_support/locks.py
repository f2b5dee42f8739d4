"""A lock file that keeps processes apart, freed by the system when its last holder is gone."""

import errno
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from .errors import BusyError

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""What a file system without locks answers, such as some that clusters share."""

FIRST = 1
"""Where the holder's name begins in the file: Windows lets nobody else read the locked first byte.
"""


@contextmanager
def file_lock(path: Path, *, wait: bool = True, inherit: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs; it is gone afterwards.

    The lock is the operating system's, on an open file, so a kill leaves a file, but nobody who
    holds it. Where the file system has no locks, nobody is kept apart, and a warning says so.

    Args:
        path: the lock file.
        wait: until whoever holds it has let go.
        inherit: let child processes that inherit files hold it, too, except on Windows: a kernel
            that outlives its killed driver for a moment does so under the lock.

    Raises:
        BlockingIOError: if someone else holds it and ``wait`` is off; ``strerror`` tells who.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.lock"
        >>> with file_lock(path):
        ...     path.exists()
        True
        >>> path.exists()
        False
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(path, wait)
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{' ' * FIRST}process {os.getpid()} on {socket.gethostname()}".encode())
        os.set_inheritable(file, inherit)
        yield
    finally:
        ours = _stands_at(file, path)  # a removed folder may hold another's lock by now
        if os.name == "nt":  # an open file cannot be removed there
            os.close(file)
        with suppress(OSError):  # nor one that another waits for
            if ours:
                path.unlink()
        if os.name != "nt":
            os.close(file)


def _locked(path: Path, wait: bool) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file, path, wait)
            if _stands_at(file, path):
                return file  # not one that its holder has removed meanwhile
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, path: Path, wait: bool) -> None:
    try:
        if lock_descriptor(file, blocking=False):
            return
        os.lseek(file, FIRST, os.SEEK_SET)
        holder = os.read(file, 200).decode() or "another process"
        if not wait:
            raise BusyError(errno.EAGAIN, holder, str(path))
        print(f"{path.stem} is held by {holder}; waiting for it", file=sys.stderr, flush=True)
        lock_descriptor(file)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"the file system of {path.parent} has no locks ({error.strerror}), so nothing keeps "
            "a second process out; run only one at a time there",
            stacklevel=5,
        )


def _stands_at(file: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False
