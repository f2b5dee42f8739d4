"""Memory that a training frees in every step, kept for the next."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Parameters of glibc's mallopt, as malloc.h numbers them."""

NEVER = -1
"""The trim threshold at which nothing is given back."""

LARGEST = 32 * 2**20
"""Bytes from which glibc always asks the system, once it has seen such blocks freed."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within this, memory that the main thread frees stays with the process.

    glibc gives blocks of many megabytes, which every layer of a network takes, back to the system
    as soon as they are freed, and the system clears each of their pages anew for the next layer.
    On the CPU this is a sixth of the time of MLCL-Net at 256 px and more than a third at 384 px,
    and little of that of ACM and ALCNet; the price is memory, up to 1.4 times as much
    (``python -m benchmarks.memory``). What is computed does not change.

    At the end free pages are given back, and glibc's thresholds are those to which it adapts itself
    once it has freed large blocks, whatever they were before. Where two overlap, the first to end
    ends both. Nothing happens with another C library than glibc.

    Example:
        >>> with kept_memory():
        ...     sum(range(3))
        3
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        libc.mallopt(MMAP_MAX, 65536)
        libc.mallopt(MMAP_THRESHOLD, LARGEST)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST)
        libc.malloc_trim(0)
