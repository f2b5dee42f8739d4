"""Lock files between processes; the operating system releases them when the holder ends."""

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
"""Errors of file systems without locks, such as some shared by clusters."""

FIRST = 1
"""Offset of the holder's name: on Windows the locked first byte cannot be read by others."""


@contextmanager
def file_lock(path: Path, *, wait: bool = True, inherit: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs, then remove it.

    The operating system locks the open file, so a killed process leaves a file that is not locked.
    On a file system without locks a warning is issued, and nothing is locked.

    Args:
        path: the lock file.
        wait: wait until the lock is free.
        inherit: let child processes hold it too (not on Windows), so that the lock lasts while a
            kernel outlives its killed parent.

    Raises:
        BlockingIOError: if another process holds it and ``wait`` is off; ``strerror`` names it.

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
        ours = _is_file_at(file, path)  # the path may be another lock by now
        if os.name == "nt":  # an open file cannot be removed there
            os.close(file)
        with suppress(OSError):  # nor one that another waits for
            if ours:
                path.unlink()
        if os.name != "nt":
            os.close(file)


def _locked(path: Path, wait: bool) -> int:
    """The lock file, open and locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file, path, wait)
            if _is_file_at(file, path):
                return file  # its holder may have removed it meanwhile
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, path: Path, wait: bool) -> None:
    """Lock an open file, or say who holds it."""
    try:
        if lock_descriptor(file, blocking=False):
            return
        os.lseek(file, FIRST, os.SEEK_SET)
        holder = os.read(file, 200).decode() or "another process"
        if not wait:
            raise BusyError(errno.EAGAIN, holder, str(path))
        print(f"{path.stem} is in use by {holder}; waiting", file=sys.stderr, flush=True)
        lock_descriptor(file)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"the file system of {path.parent} has no locks ({error.strerror}), so two "
            "processes could use it at once; run only one at a time there",
            stacklevel=5,
        )


def _is_file_at(file: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False
