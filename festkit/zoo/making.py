"""Training an entry from the catalogue to the shelf."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .._entries import Entry, find_entry
from .._files import NUMBER, read_json, write_json
from .._run import Run
from .._shelf import required_file, sha256
from ..scenes import make_synthetic_dataset
from ..training import train
from .storing import store


def train_entry(
    name: str,
    *,
    out: str | Path | None = None,
    max_minutes: float | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Path | None:
    """Train an entry, or continue; when the run has finished, store its weights and its card.

    Args:
        name: of the entry.
        out: run folder; None takes ``runs/zoo/NAME``.
        max_minutes: after so many minutes the run ends with a checkpoint, to be continued.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: on which it is trained and measured.
        threads: CPU threads to compute with; None takes one per idle CPU.

    Returns:
        The stored weights file; None if the time was up before the end.

    Raises:
        FileNotFoundError: if the dataset, or the weights it continues from, are not there.
        ValueError: for an unknown entry.
        FileExistsError: if the run folder holds another run.
    """
    entry = find_entry(name)
    folder = Path("runs") / "zoo" / entry.name if out is None else Path(out)
    config = replace(
        entry.config,
        dataset=_images(entry, folder),
        initial_weights=None if entry.start is None else str(required_file(entry.start)),
        data_root=None if data_root is None else str(data_root),
        device=device,
        threads=threads,
        out=str(folder),
    )
    with _clock(Run(folder)):
        run = train(config, max_minutes=max_minutes)
    if not run.finished:
        return None
    minutes = _minutes_so_far(run)
    return store(name, run, minutes=minutes, data_root=data_root, device=device, threads=threads)


def _images(entry: Entry, folder: Path) -> str:
    """The entry's dataset; scenes of its own are made beside the run folder."""
    if entry.scenes is None:
        return entry.config.dataset
    scenes = folder.parent / entry.config.dataset
    return str(make_synthetic_dataset(scenes, **entry.scenes))


@contextmanager
def _clock(run: Run) -> Iterator[None]:
    """Add the wall-clock minutes of the block to the run's, unless it was refused or failed."""
    before, started = _minutes_so_far(run), time.monotonic()
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        _write_minutes(run, before, started)
        raise
    _write_minutes(run, before, started)


def _minutes_so_far(run: Run) -> float | None:
    """Minutes of all calls; None if some were not counted, as after a kill or by another command.

    The count names the checkpoint at which it ended: a run that is elsewhere was trained uncounted.
    """
    if not (run.folder / "config.json").is_file():
        return 0.0
    counted = run.folder / "minutes.json"
    if not counted.is_file():
        return None
    values = read_json(counted, {"minutes": NUMBER, "checkpoint": str | None})
    return values["minutes"] if values["checkpoint"] == _position(run) else None


def _write_minutes(run: Run, before: float | None, started: float) -> None:
    if before is None or not (run.folder / "config.json").is_file():
        return
    minutes = before + (time.monotonic() - started) / 60
    values = {"minutes": minutes, "checkpoint": _position(run)}
    write_json(run.folder / "minutes.json", values)


def _position(run: Run) -> str | None:
    """What tells how far a run has come: its checkpoint's checksum; None before the first."""
    if run.finished:
        return "finished"
    return sha256(run.checkpoint) if run.checkpoint.is_file() else None
