"""Loops compiled by numba, cached on disk for every version of the sources."""

import hashlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import numba
from numba.core import event
from platformdirs import user_cache_path

from .progress import in_notebook

Function = TypeVar("Function", bound=Callable[..., Any])

_DECORATING = Lock()


def compiled(function: Function) -> Function:
    """Compile a function at its first call, once per machine; it releases the interpreter's lock.

    Compiling takes seconds, for the largest functions up to a minute; the result is cached.

    Example:
        >>> compiled(lambda x: x + 1)(2)
        3
    """
    folder = _cache_folder()
    caching: Any = numba.config  # whose names are not known before it runs
    if folder is None:
        return cast(Function, numba.njit(nogil=True)(function))
    with _DECORATING:  # threads that import at the same time share numba's setting
        before, caching.CACHE_DIR = caching.CACHE_DIR, str(folder)
        try:
            return cast(Function, numba.njit(nogil=True, cache=True)(function))
        except RuntimeError:  # a function without a file
            return cast(Function, numba.njit(nogil=True)(function))
        finally:
            caching.CACHE_DIR = before


class _Announcement(event.Listener):
    """Says once, to somebody who waits at a terminal or a notebook, that loops are compiled."""

    said = False

    def on_start(self, started: event.Event) -> None:
        """Print the line, if it is a loop of festkit."""
        own = str(started.data["dispatcher"].__module__).startswith("festkit")
        if self.said or not own:
            return
        self.said = True
        line = "festkit compiles its loops: up to a minute, once per machine"
        if in_notebook():
            print(line, flush=True)
        elif sys.stderr.isatty():
            print(line, file=sys.stderr, flush=True)

    def on_end(self, _: event.Event) -> None:
        """Say nothing; numba asks for it."""


event.register("numba:compile", _Announcement())


@cache
def _cache_folder() -> Path | None:
    """A folder for this state of the sources; None where nothing can be written.

    numba compares a function's own file alone: it would miss changes in functions that are inlined
    from other files.
    """
    asked = vars(numba.config)["CACHE_DIR"]
    own = [Path(__file__).parent / "__pycache__", user_cache_path("festkit")]
    for place in [Path(asked)] if asked else own:
        folder = place / f"compiled-{_stamp()}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
    return None


def _stamp() -> str:
    """Changes with every file of the kit that holds compiled functions."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))
    return hashlib.sha256(b"\0".join(t for t in texts if b"@compiled" in t)).hexdigest()[:16]
