"""Train an entry of the catalogue, and store a finished run as its weights and card."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .._support.cpus import check_threads
from .._support.devices import resolve_device
from .._support.errors import InputError
from .._support.files import read_json, sha256, write_json
from ..backbones import fill_backbone
from ..backbones.checkpoints import read_tensors
from ..data.dataset import Dataset, load_dataset
from ..fest import FEST
from ..pretrained import (
    Entry,
    find_entry,
    read_record,
    record_file,
    required_file,
    weights_file,
)
from ..scenes import make_synthetic_dataset
from ..training.config import DEFAULTS, current_names
from ..training.run import Run
from ..training.trainer import device_name, train, versions
from ..weights import read_card, save_tensors
from .measure import Rows, largest_move, measure, open_images

TOLERANCE = 0.05
"""Largest change of a metric by rounding the weights to 16 bit: percent, Fa in 1e-6."""

FREE = ("initial_weights", "compile")
"""Fields in which a run may differ from its entry, because they do not say what was trained."""


def store(
    name: str,
    run: Run,
    *,
    minutes: float | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Path:
    """Store the weights of a finished run as an entry, and evaluate the stored weights.

    Tensors are rounded to float16 if this changes all ratios and interval ends by at most 0.05
    points (percent, Fa in 1e-6; without and with AS). Otherwise they stay float32.

    The card is the run's record with the metrics of the stored weights. ``command`` is the recipe,
    ``run_command`` the command of this run, with the last names of absolute paths. ``run_sha256``
    is the checksum of the run's own weights, from which another entry may have continued.

    Args:
        name: name of the entry.
        run: run of the entry; it is not modified.
        minutes: wall-clock minutes of the training; default: those recorded by the run.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
        device: device of the evaluation.
        threads: number of CPU threads; default: one per idle CPU.

    Returns:
        The weights file; the record is next to it, ``.json``.

    Raises:
        FileNotFoundError: if the run has not finished, or the dataset is missing.
        ValueError: for an unknown entry, a run with another configuration or other initial weights,
            other images, or an invalid number of threads.
    """
    check_threads(threads)
    entry, record = find_entry(name), run.record
    minutes = run.minutes if minutes is None else minutes
    if minutes is not None and not 0 <= minutes < math.inf:
        raise InputError(f"minutes is {minutes}, expected a number of at least 0, or None")
    _check_run(entry, run, record)
    with open_images(entry.config.dataset, data_root) as testset:
        _check_images(testset, run, record["test_split"])
        if entry.scenes is None:
            trainset = load_dataset(entry.config.dataset, "train", root=data_root)
            _check_images(trainset, run, record["train_split"])
        tensors, rows = _rounded(entry, run, testset, device, threads)
    card = record | {
        "entry": entry.name,
        "initial_weights": entry.start,
        "initial_sha256": _started_from(run),
        "minutes": None if minutes is None else round(minutes, 1),
        "command": f"festkit zoo train {entry.name}",
        "run_command": _without_folders(record["command"]),
        "run_sha256": sha256(run.weights),
        "tensors": next(str(t.dtype) for t in tensors.values() if t.is_floating_point()),
        **entry.thresholds,
        "measured": {"device": device_name(resolve_device(device)), "versions": versions()},
        "test": rows,
    }
    record_file(entry.name).unlink(missing_ok=True)  # the old record does not fit new weights
    path = save_tensors(tensors, weights_file(entry.name), card)
    write_json(record_file(entry.name), read_card(path) | {"sha256": sha256(path)})
    return path


def differences(entry: Entry, record: Mapping[str, Any]) -> list[str]:
    """Differences between the record of a training and the configuration of the entry.

    Fields that the entry leaves at "auto" may differ; those missing in older records are defaults.
    """
    found = DEFAULTS | current_names(record)
    if not isinstance(found["holdout"], float):  # the metrics of the held-out images
        found["holdout"] = entry.config.holdout
    wanted = {k: v for k, v in entry.config.to_dict().items() if k not in FREE and v != "auto"}
    return [f"{k} is {found.get(k)!r}, not {v!r}" for k, v in wanted.items() if found.get(k) != v]


def _check_run(entry: Entry, run: Run, record: dict[str, Any]) -> None:
    """Refuse a run of another training."""
    wrong = [*differences(entry, record), *_wrong_start(entry, run)]
    if wrong:
        raise InputError(
            f"{run.folder} is not a run of {entry.name}: {'; '.join(wrong)}. To train the entry: "
            f"festkit zoo train {entry.name}"
        )


def _check_images(images: Dataset, run: Run, split: str) -> None:
    """Refuse images other than those of the run."""
    if images.fingerprint != split:
        raise InputError(
            f"the {images.split} images of {images.name} here ({images.fingerprint}) are not those "
            f"of {run.folder} ({split}); set data_root to the folder that the run used"
        )


def _wrong_start(entry: Entry, run: Run) -> list[str]:
    """What is wrong with the weights that a run continued from.

    They must be those of the entry's start: the stored file, or the run's weights it was made of.
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
    those = " or ".join(known) or "which are not stored; store them first"
    return [f"it started from weights {digest}, not from those of {entry.start}, {those}"]


def _started_from(run: Run) -> str | None:
    """First digits of the checksum of the weights that the run continued from."""
    digest = read_json(run.folder / "config.json").get("initial_weights")
    return None if digest is None else str(digest).removeprefix("sha256 ")


def _without_folders(command: str) -> str:
    """A command with the last names of absolute paths, since cards are read elsewhere."""
    words = [word.split("+") for word in shlex.split(command)]  # members of a union
    bare = [[Path(m).name if Path(m).is_absolute() else m for m in members] for members in words]
    return shlex.join("+".join(members) for members in bare)


def _rounded(
    entry: Entry, run: Run, testset: Dataset, device: str, threads: int | None
) -> tuple[dict[str, Tensor], Rows]:
    """The tensors to store, in 16 bit if that keeps the metrics, and their metrics."""
    exact = read_tensors(run.weights)
    half = {n: t.half() if t.is_floating_point() else t for n, t in exact.items()}
    fest = FEST.from_weights([run.weights], device=device)
    fest.threads = threads
    for setting, value in entry.thresholds.items():
        setattr(fest, setting, value)
    before = measure(fest, testset)
    if not all(tensor.isfinite().all() for tensor in half.values()):
        return exact, before
    for network in fest.networks:
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
    """Train an entry, or resume its training; when finished, store weights and card.

    Args:
        name: name of the entry.
        out: run folder; default: ``runs/zoo/NAME``.
        max_minutes: time limit in minutes; the run then stops with a checkpoint.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
        device: device of training and evaluation.
        threads: number of CPU threads; default: one per idle CPU.

    Returns:
        The stored weights file; None if the run was stopped before its end.

    Raises:
        FileNotFoundError: if the dataset or the initial weights are missing.
        ValueError: for an unknown entry.
        FileExistsError: if the run folder contains another run.
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
    run = train(config, max_minutes=max_minutes)
    if not run.finished:
        return None
    return store(name, run, data_root=data_root, device=device, threads=threads)


def _images(entry: Entry, folder: Path) -> str:
    """The entry's dataset; its own synthetic scenes are made next to the run folder."""
    if entry.scenes is None:
        return entry.config.dataset
    scenes = make_synthetic_dataset(folder.parent / entry.scenes_name, **entry.scenes)
    return f"{entry.config.dataset.removesuffix(entry.scenes_name)}{scenes}"
