"""Compiled loops: numba where it is installed, plain Python otherwise.

Without numba the same functions run uncompiled: equal results, a hundred times slower.
"""

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    HAS_NUMBA = False
else:
    HAS_NUMBA = True

_DECORATING = Lock()

SOURCES = (
    "ops/components/compiled.py",
    "ops/resize.py",
    "metrics/matching.py",
    "ops/order_statistic.py",
    "sensitivity.py",
    "surface/floods.py",
    "surface/image.py",
    "surface/window.py",
)
"""Files whose functions and constants go into compiled code, in which each takes in others."""


def compiled(function: Function) -> Function:
    """Compile a function at its first call, once per machine; it releases the interpreter's lock.

    Compiling takes seconds, for the largest functions up to a minute; the result is cached.

    Example:
        >>> compiled(lambda x: x + 1)(2)
        3
    """
    if not HAS_NUMBA:
        return function
    folder = _cache_folder()
    caching: Any = numba.config  # whose names are not known before it runs
    if folder is None:
        return cast(Function, numba.njit(nogil=True)(function))
    with _DECORATING:  # imports of several threads share numba's setting
        before, caching.CACHE_DIR = caching.CACHE_DIR, str(folder)
        try:
            return cast(Function, numba.njit(nogil=True, cache=True)(function))
        except RuntimeError:  # a function without a file
            return cast(Function, numba.njit(nogil=True)(function))
        finally:
            caching.CACHE_DIR = before


@cache
def _cache_folder() -> Path | None:
    """A folder for this state of the sources; None where nothing can be written.

    numba looks at a function's own file alone, and would go on with what the others were.
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
    """Changes with every file of :data:`SOURCES`."""
    folder = Path(__file__).parents[1]
    texts = b"\0".join((folder / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(texts).hexdigest()[:16]
