"""Workers of a Dask cluster, on one machine or many."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._errors import InputError, MissingPackageError, ProcessError
from .done import Outcome
from .job import Job
from .pool import run_in_child


@contextmanager
def on_cluster(
    folder: Path, scheduler: Any, max_minutes: float | None
) -> Iterator[Callable[[Job], "Future[Outcome]"]]:
    """A function that runs jobs on a cluster, each in a child process of the worker that takes it.

    A worker that dies takes its child and kernel along; Dask gives the job to another one, which
    continues it.

    Raises:
        ImportError: if Dask is not installed.
        RuntimeError: if the scheduler does not answer.
        ValueError: if its address is none.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError(
            'a scheduler needs Dask, which is not installed: pip install "festkit[cluster]"'
        ) from error
    own = not isinstance(scheduler, Client)
    try:
        client = Client(scheduler) if own else scheduler
    except ValueError as error:
        raise InputError(
            f"the scheduler is {scheduler!r}, expected its address, such as tcp://host:8786 "
            f"({error})"
        ) from error
    except OSError as error:
        raise ProcessError(
            f"the scheduler {scheduler} does not answer ({error}); start it, or check its address"
        ) from error
    executor = client.get_executor(pure=False)
    try:
        yield lambda job: executor.submit(run_in_child, job, folder.resolve(), max_minutes)
    finally:
        executor.shutdown(wait=False)  # cancels what has not begun
        if own:
            client.close()


def lost_by_cluster(error: Exception) -> bool:
    """Whether an error is Dask's own: it has lost a job's workers, or the scheduler."""
    return isinstance(error, CancelledError) or type(error).__module__.startswith("distributed.")
