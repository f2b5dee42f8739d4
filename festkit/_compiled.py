"""Compiled loops: numba where it is installed, plain Python otherwise.

Without numba the same functions run uncompiled: equal results, a hundred times slower.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    HAS_NUMBA = False
else:
    HAS_NUMBA = True

SOURCES = (
    "components/compiled.py",
    "metrics/matching.py",
    "selection.py",
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
    dispatcher: Any = numba.njit(nogil=True)(function)
    try:
        dispatcher.enable_caching()
        # numba looks at a function's own file alone, and would go on with what others were.
        kept = dispatcher._cache._cache_file
        kept._source_stamp = (kept._source_stamp, _stamp())
    except (RuntimeError, AttributeError):  # no folder to write to, or another numba
        dispatcher = numba.njit(nogil=True)(function)
    return cast(Function, dispatcher)


def _stamp() -> str:
    """Changes with every file of :data:`SOURCES`."""
    folder = Path(__file__).parent
    texts = b"\0".join((folder / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(texts).hexdigest()
