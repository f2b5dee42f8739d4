"""Compiled loops: numba where it is installed, plain Python otherwise.

Without numba the same functions run uncompiled: equal results, a hundred times slower.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    HAS_NUMBA = False
else:
    HAS_NUMBA = True


def compiled(function: Function) -> Function:
    """Compile a function at its first call, once per machine; it releases the interpreter's lock.

    Example:
        >>> compiled(lambda x: x + 1)(2)
        3
    """
    if not HAS_NUMBA:
        return function
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
