"""Training an entry from the catalogue to the shelf."""

import time
from dataclasses import replace
from pathlib import Path

from .._entries import Entry, find_entry
from .._files import read_json, write_json
from .._shelf import required_file
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
) -> Path | None:
    """Train an entry, or continue; when the run has finished, store its weights and its card.

    Args:
        name: of the entry.
        out: run folder; None takes ``runs/zoo/NAME``.
        max_minutes: after so many minutes the run ends with a checkpoint, to be continued.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: on which it is trained and measured.

    Returns:
        The stored weights file; None if the time was up before the end.

    Raises:
        FileNotFoundError: if the dataset, or the weights it continues from, are not there.
        ValueError: for an unknown entry.
        FileExistsError: if the run folder holds another run.
    """
    entry = find_entry(name)
    folder = Path("runs") / "zoo" / entry.name if out is None else Path(out)
    dataset = _images(entry, folder)
    config = replace(
        entry.config,
        dataset=dataset,
        initial_weights=None if entry.start is None else str(required_file(entry.start)),
        data_root=None if data_root is None else str(data_root),
        device=device,
        out=str(folder),
    )
    started = time.monotonic()
    try:
        run = train(config, max_minutes=max_minutes)
    finally:
        minutes = _add_minutes(folder, (time.monotonic() - started) / 60)
    if not run.finished:
        return None
    return store(name, run, minutes=minutes, dataset=dataset, data_root=data_root, device=device)


def _images(entry: Entry, folder: Path) -> str:
    """The entry's dataset; scenes of its own are made beside the run folder."""
    if entry.scenes is None:
        return entry.config.dataset
    scenes = folder.parent / entry.config.dataset
    return str(make_synthetic_dataset(scenes, **entry.scenes))


def _add_minutes(folder: Path, minutes: float) -> float | None:
    """Minutes of this run so far, over all calls that ended by themselves; kept in its folder."""
    if not (folder / "config.json").is_file():
        return None
    path = folder / "minutes.json"
    total = minutes + (float(read_json(path)) if path.is_file() else 0.0)
    write_json(path, total)
    return total
