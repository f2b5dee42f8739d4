"""Workers of a Dask cluster, on one machine or many."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._errors import MissingPackageError
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
        OSError: if the scheduler does not answer.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError(
            'a scheduler needs Dask, which is not installed: pip install "festkit[cluster]"'
        ) from error
    own = not isinstance(scheduler, Client)
    client = Client(scheduler) if own else scheduler
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
