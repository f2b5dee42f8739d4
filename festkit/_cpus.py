"""The CPUs of a process, and their load."""

import os

import psutil

from ._errors import InputError

SAMPLE_SECONDS = 0.1
"""For so long the load of the CPUs is measured."""

TOLERATED = 0.25
"""Share of a CPU that other processes may take of those that count as idle."""


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

    Example:
        >>> idle_cpus() <= len(available_cpus())
        True
    """
    load = psutil.cpu_percent(SAMPLE_SECONDS, percpu=True)
    known = [load[cpu] for cpu in available_cpus() if cpu < len(load)]
    return int(sum(1 - percent / 100 for percent in known) + TOLERATED)


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none.

    Raises:
        ValueError: for a number below 1, or what is no whole number.

    Example:
        >>> check_threads(2)
    """
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads is {threads!r}, expected a whole number from 1 on, or None")
