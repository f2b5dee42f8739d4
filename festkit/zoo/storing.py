"""A finished training run becomes an entry: weights with their card, and the record beside them."""

from pathlib import Path
from typing import Any

from torch import Tensor

from .._devices import resolve_device
from .._entries import Entry, find_entry
from .._files import read_json, write_json
from .._run import Run
from .._shelf import record_file, sha256, weights_file
from ..backbones import fill_backbone, read_tensors
from ..data import Dataset, load_dataset
from ..fest import FEST
from ..training import device_name, versions
from ..weights import save_tensors
from .measuring import Rows, largest_move, measure

TOLERANCE = 0.05
"""Points by which rounding the weights to 16 bit may move a figure."""

FREE = ("initial_weights", "precision", "compiled")
"""Fields in which a run may differ from its entry: where it was trained, not what."""


def store(
    name: str,
    run: Run,
    *,
    minutes: float | None = None,
    dataset: str | Path | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
) -> Path:
    """Put a finished run's weights on the shelf, with figures measured anew on what is stored.

    Tensors are rounded to float16 where that moves no figure by more than 0.05 points (IoU, Pd and
    Score in percent, Fa in 1e-6, at th1 0.5 and with AS), which both are measured; else they stay
    float32.

    Args:
        name: of the entry.
        run: its run; only read.
        minutes: how long the training took, if known.
        dataset: where the images lie, if they are no known set.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: on which it is measured.

    Returns:
        The weights file; the record lies beside it, ``.json``.

    Raises:
        FileNotFoundError: if the run has not finished, or the dataset is not there.
        ValueError: for an unknown entry, a run of something else, or other test images.
    """
    entry, record = find_entry(name), run.record
    _check_run(entry, run, record)
    testset = load_dataset(dataset or entry.config.dataset, "test", root=data_root)
    if testset.fingerprint != record["test_split"]:
        raise ValueError(
            f"the test images of {testset.name} here ({testset.fingerprint}) are not those of "
            f"{run.folder} ({record['test_split']}); pass the dataset the run was made on"
        )
    tensors, rows = _rounded(run, testset, device)
    card = record | {
        "entry": entry.name,
        "initial_weights": entry.start,
        "initial_sha256": _started_from(run),
        "minutes": None if minutes is None else round(minutes, 1),
        "command": f"festkit zoo train {entry.name}",
        "tensors": next(str(t.dtype) for t in tensors.values() if t.is_floating_point()),
        "th1": 0.5,
        "th2": 0.1,
        "measured": {"device": device_name(resolve_device(device)), "versions": versions()},
        "test": rows,
    }
    path = save_tensors(tensors, weights_file(entry.name), card)
    write_json(record_file(entry.name), card | {"sha256": sha256(path)})
    return path


def _check_run(entry: Entry, run: Run, record: dict[str, Any]) -> None:
    wanted = {k: v for k, v in entry.config.plain().items() if k not in FREE}
    wrong = [
        f"{k} is {record.get(k)!r}, not {v!r}" for k, v in wanted.items() if record.get(k) != v
    ]
    if (record["initial_weights"] is None) != (entry.start is None):
        wrong.append(f"it started from {record['initial_weights']}, not from {entry.start}")
    if wrong:
        raise ValueError(
            f"{run.folder} is no run of {entry.name}: {'; '.join(wrong)}. The entry is trained by "
            f"festkit zoo train {entry.name}"
        )


def _started_from(run: Run) -> str | None:
    """First digits of the checksum of the weights that the run started from."""
    digest = read_json(run.folder / "config.json").get("initial_weights")
    return None if digest is None else str(digest).removeprefix("sha256 ")


def _rounded(run: Run, testset: Dataset, device: str) -> tuple[dict[str, Tensor], Rows]:
    """The tensors to store, and their figures: in 16 bit where they hold."""
    exact = read_tensors(run.weights)
    half = {n: t.half() if t.is_floating_point() else t for n, t in exact.items()}
    fest = FEST.from_weights([run.weights])
    (network,) = fest.backbones.values()
    network.to(resolve_device(device))
    before = measure(fest, testset)
    if not all(tensor.isfinite().all() for tensor in half.values()):
        return exact, before
    fill_backbone(network, half, run.weights)
    after = measure(fest, testset)
    return (half, after) if largest_move(before, after) <= TOLERANCE else (exact, before)
