"""The CPUs of this process, and which of them are idle."""

import math
import os
from contextlib import suppress
from pathlib import Path

import psutil

from .errors import InputError

MOST_THREADS = 1024
"""With far more torch ends the process by a segmentation fault."""

SAMPLE_SECONDS = 0.1
"""For so long the load of the CPUs is measured."""

TOLERATED = 0.25
"""Share of a CPU that other processes may take of those that count as idle."""

QUOTAS = Path("/sys/fs/cgroup")
"""Files in which Linux states the CPU quota of a container."""


def available_cpus() -> tuple[int, ...]:
    """The CPUs that this process may use.

    Example:
        >>> len(available_cpus()) >= 1
        True
    """
    allowed = getattr(os, "sched_getaffinity", None)
    return tuple(allowed(0)) if allowed else tuple(range(os.cpu_count() or 1))


def idle_cpus() -> int:
    """How many of them other processes leave idle, measured for a tenth of a second.

    No more than the quota of the process's container.

    Example:
        >>> idle_cpus() <= len(available_cpus())
        True
    """
    load = psutil.cpu_percent(SAMPLE_SECONDS, percpu=True)
    known = [load[cpu] for cpu in available_cpus() if cpu < len(load)]
    return int(min(sum(1 - percent / 100 for percent in known), _quota()) + TOLERATED)


def _quota() -> float:
    """The CPUs whose time the process's container may take; infinite without a limit."""
    version_1 = [QUOTAS / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    for files in ([QUOTAS / "cpu.max"], version_1):
        with suppress(OSError, ValueError):  # not there, or "max"
            words = " ".join(path.read_text(encoding="ascii") for path in files).split()
            quota, period = map(int, words)
            return quota / period if quota > 0 else math.inf  # version 1: -1 for no limit
    return math.inf


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none, or that no machine can start.

    Raises:
        ValueError: for what is no whole number from 1 to MOST_THREADS.

    Example:
        >>> check_threads(2)
    """
    if threads is not None and not (isinstance(threads, int) and 1 <= threads <= MOST_THREADS):
        most = f"a whole number from 1 to {MOST_THREADS}"
        raise InputError(f"threads is {threads!r}, expected {most}, or None")
