"""A run folder for one training at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .._support.errors import BusyError
from .._support.locks import file_lock
from .config import TrainConfig
from .processes import Processes
from .run import Run, open_run

LOCK = ".lock"
"""What whoever trains in a run folder holds there."""


@contextmanager
def lock_run(config: TrainConfig, processes: Processes, **images: str) -> Iterator[Run]:
    """The run of a configuration, for this training alone while the block runs.

    Of several processes that share a training the main one claims the folder; if it may not have
    it, all are told. A finished run is given to whoever asks.

    Args:
        config: what is to be trained.
        processes: that share the training.
        images: their fingerprints and their place, as for :func:`open_run`.

    Raises:
        BlockingIOError: if another process is training in the folder.
        FileExistsError: if it holds another run, or other files.
    """
    with ExitStack() as held:
        error: Exception | None = None
        if processes.is_main:
            try:
                _claim(Run(config.folder), held)
                _tidy(open_run(config, **images))
            except Exception as refused:  # the others wait for word
                error = refused
        error = processes.told_by_main(error)
        if error is not None:
            raise error
        yield Run(config.folder)


def _claim(run: Run, held: ExitStack) -> None:
    """Hold the lock on the folder of a run that is not finished."""
    if run.finished:
        return
    if not run.folder.exists():
        held.callback(_remove_if_empty, run.folder)
    try:
        held.enter_context(file_lock(run.folder / LOCK, wait=False))
    except BlockingIOError as error:
        raise BusyError(
            f"{run.folder} is being trained by {error.strerror}; wait for its end, or stop it "
            "to continue here, or choose another run folder (out)"
        ) from None


def _tidy(run: Run) -> None:
    """Remove what one that was killed after its record left behind."""
    if run.finished:
        run.checkpoint.unlink(missing_ok=True)
        with suppress(OSError):  # on Windows, while someone holds it
            (run.folder / LOCK).unlink()


def _remove_if_empty(folder: Path) -> None:
    """Leave no new folder behind where the training was refused."""
    with suppress(OSError):
        folder.rmdir()
