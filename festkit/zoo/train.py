"""Training an entry from the catalogue to the shelf."""

import math
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .._support.devices import check_threads, resolve_device
from .._support.errors import InputError
from .._support.files import NUMBER, read_json, write_json
from ..backbones import fill_backbone, read_tensors
from ..data.dataset import Dataset, load_dataset
from ..fest import FEST
from ..pretrained import (
    Entry,
    find_entry,
    read_record,
    record_file,
    required_file,
    sha256,
    weights_file,
)
from ..scenes import make_synthetic_dataset
from ..training.config import DEFAULTS, current_names
from ..training.run import Run
from ..training.trainer import device_name, train, versions
from ..weights import read_card, save_tensors
from .measure import Rows, largest_move, measure, open_images

TOLERANCE = 0.05
"""Points by which rounding the weights to 16 bit may move a figure."""

FREE = ("initial_weights", "compile")
"""Fields in which a run may differ from its entry: where it was trained, not what."""


def store(
    name: str,
    run: Run,
    *,
    minutes: float | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Path:
    """Put a finished run's weights on the shelf, with figures measured anew on what is stored.

    Tensors are rounded to float16 where that moves no ratio and no end of an interval by more than
    0.05 points (percent, Fa in 1e-6; without and with AS); else they stay float32.

    The card is the run's record, with the figures of what is stored. Its ``command`` is the recipe,
    ``run_command`` what made this run, absolute paths by their last names; ``run_sha256`` is the
    checksum of the run's own weights, from which another entry may have gone on.

    Args:
        name: of the entry.
        run: its run; only read.
        minutes: how long the training took by the clock, if known.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: on which it is measured.
        threads: CPU threads to compute with; None takes one per idle CPU.

    Returns:
        The weights file; the record lies beside it, ``.json``.

    Raises:
        FileNotFoundError: if the run has not finished, or the dataset is not there.
        ValueError: for an unknown entry, a run of something else or from another start, other
            images, or a wrong number of threads.
    """
    check_threads(threads)
    entry, record = find_entry(name), run.record
    if minutes is not None and not 0 <= minutes < math.inf:
        raise InputError(f"minutes is {minutes}, expected a number from 0 on, or None")
    _check_run(entry, run, record)
    with open_images(entry.config.dataset, data_root) as testset:
        _check_images(testset, run, record["test_split"])
        if entry.scenes is None:
            trainset = load_dataset(entry.config.dataset, "train", root=data_root)
            _check_images(trainset, run, record["train_split"])
        tensors, rows = _rounded(run, testset, device, threads)
    card = record | {
        "entry": entry.name,
        "initial_weights": entry.start,
        "initial_sha256": _started_from(run),
        "minutes": None if minutes is None else round(minutes, 1),
        "command": f"festkit zoo train {entry.name}",
        "run_command": _without_places(record["command"]),
        "run_sha256": sha256(run.weights),
        "tensors": next(str(t.dtype) for t in tensors.values() if t.is_floating_point()),
        "th1": rows[1]["th1"],
        "th2": rows[1]["th2"],
        "measured": {"device": device_name(resolve_device(device)), "versions": versions()},
        "test": rows,
    }
    record_file(entry.name).unlink(missing_ok=True)  # it does not tell of what is written now
    path = save_tensors(tensors, weights_file(entry.name), card)
    write_json(record_file(entry.name), read_card(path) | {"sha256": sha256(path)})
    return path


def differences(entry: Entry, record: Mapping[str, Any]) -> list[str]:
    """In what a record of training, of a run or on the shelf, is not the entry's.

    Where an entry leaves the precision to the machine, any will do. A record that was written
    before an option came means its default.
    """
    told = DEFAULTS | current_names(record)
    wanted = {k: v for k, v in entry.config.plain().items() if k not in FREE and v != "auto"}
    return [f"{k} is {told.get(k)!r}, not {v!r}" for k, v in wanted.items() if told.get(k) != v]


def _check_run(entry: Entry, run: Run, record: dict[str, Any]) -> None:
    wrong = [*differences(entry, record), *_wrong_start(entry, run)]
    if wrong:
        raise InputError(
            f"{run.folder} is no run of {entry.name}: {'; '.join(wrong)}. The entry is trained by "
            f"festkit zoo train {entry.name}"
        )


def _check_images(images: Dataset, run: Run, split: str) -> None:
    if images.fingerprint != split:
        raise InputError(
            f"the {images.split} images of {images.name} here ({images.fingerprint}) are not those "
            f"of {run.folder} ({split}); point data_root at those the run saw"
        )


def _wrong_start(entry: Entry, run: Run) -> list[str]:
    """What is wrong with the weights a run started from: they must be those of the entry's start.

    That is the stored file, or the run's weights from which it was made.
    """
    digest = _started_from(run)
    if entry.start is None or digest is None:
        none = f"the prior, not from {entry.start}"
        found = none if digest is None else f"weights {digest}, not from the prior"
        return [] if entry.start is None and digest is None else [f"it started from {found}"]
    start = read_record(entry.start) or {}
    known = [str(start[name])[:12] for name in ("sha256", "run_sha256") if name in start]
    if digest in known:
        return []
    those = " or ".join(known) or "which are not on the shelf: store them first"
    return [f"it started from weights {digest}, not from those of {entry.start}, {those}"]


def _started_from(run: Run) -> str | None:
    """First digits of the checksum of the weights that the run started from."""
    digest = read_json(run.folder / "config.json").get("initial_weights")
    return None if digest is None else str(digest).removeprefix("sha256 ")


def _without_places(command: str) -> str:
    """A command with the last names of absolute paths, for a card that is read elsewhere."""
    words = [Path(w).name if Path(w).is_absolute() else w for w in shlex.split(command)]
    return shlex.join(words)


def _rounded(
    run: Run, testset: Dataset, device: str, threads: int | None
) -> tuple[dict[str, Tensor], Rows]:
    """The tensors to store, and their figures: in 16 bit where they hold."""
    exact = read_tensors(run.weights)
    half = {n: t.half() if t.is_floating_point() else t for n, t in exact.items()}
    fest = FEST.from_weights([run.weights], device=device)
    fest.threads = threads
    (network,) = fest.backbones.values()
    before = measure(fest, testset)
    if not all(tensor.isfinite().all() for tensor in half.values()):
        return exact, before
    fill_backbone(network, half, run.weights)
    after = measure(fest, testset)
    return (half, after) if largest_move(before, after) <= TOLERANCE else (exact, before)


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
