"""Figures of entries, and of FESTs of entries, on any dataset's test images."""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from .._devices import resolve_device
from .._entries import ENTRIES, FAMILIES
from .._files import write_json
from .._names import find_name
from .._progress import progress
from .._shelf import record_file, required_file, sha256
from ..data import Dataset, load_dataset
from ..fest import FEST
from ..metrics import Counts, count, record_of
from ..training import device_name, versions

POINTS = {"iou": 100.0, "pd": 100.0, "fa": 1e6, "score": 100.0}
"""What makes points of the ratios that are compared: percent, and 1e-6."""

Rows = list[dict[str, Any]]


def measure(fest: FEST, dataset: Dataset) -> Rows:
    """Figures without adjustable sensitivity at th1, and with it at the FEST's own th1 and th2.

    Returns:
        Two rows: thresholds, counts, ratios, and 95 % intervals by the bootstrap over images.

    Raises:
        ValueError: for fewer than two images.

    Example:
        >>> import tempfile
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = make_synthetic_dataset(f"{tempfile.mkdtemp()}/s", train=1, test=2, size=32)
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
        >>> [row["th2"] for row in measure(fest, load_dataset(folder, "test"))]
        [None, 0.1]
    """
    plain = copy(fest)
    plain.th2 = None
    counts: tuple[list[Counts], list[Counts]] = ([], [])
    for sample in progress(dataset, f"measuring on {dataset.name}", unit="image"):
        maps = fest.scale_maps(sample.image)
        for each, own in zip((plain, fest), counts, strict=True):
            own.append(count(each.detect(maps).mask, sample.mask))
    return [
        {"th1": each.th1, "th2": each.th2, **record_of(own)}
        for each, own in zip((plain, fest), counts, strict=True)
    ]


def largest_move(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> float:
    """Largest difference of a figure in points: IoU, Pd and Score in percent, Fa in 1e-6.

    Example:
        >>> ratios = {"iou": 0.7, "pd": 0.9, "fa": 4e-5, "score": 0.8}
        >>> round(largest_move([ratios], [ratios | {"pd": 0.91}]), 6)
        1.0
    """
    moves = [
        abs(points * (row[name] - other[name]))
        for row, other in zip(rows, others, strict=True)
        for name, points in POINTS.items()
        if row[name] is not None or other[name] is not None
    ]
    return max(moves)


def open_entry(name: str, device: str = "auto") -> tuple[str, FEST, dict[str, str]]:
    """An entry as a LW-FEST, or a family as the FEST of all its scales.

    Returns:
        The catalogue's name, the FEST on the device, and the checksum of every scale's file.

    Raises:
        FileNotFoundError: if a scale has no weights.
        ValueError: for an unknown name.
    """
    name = find_name("entry", name, [*ENTRIES, *FAMILIES])
    scales = FAMILIES[name].scales if name in FAMILIES else (name,)
    files = {scale: required_file(scale) for scale in scales}
    fest = FEST.from_weights(list(files.values()))
    where = resolve_device(device)
    for network in fest.backbones.values():
        network.to(where)
    return name, fest, {scale: sha256(path) for scale, path in files.items()}


def evaluate(
    name: str,
    dataset: str | Path | None = None,
    *,
    data_root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure an entry, or the FEST of a family, on a dataset's test images.

    Args:
        name: such as "nuaa-sirst/acm-256-eedm", or "nuaa-sirst/acm" for the FEST of its scales.
        dataset: as in load_dataset; None takes the images the entry was trained for.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: "cpu", "cuda", "mps", or "auto": the fastest at hand.

    Returns:
        The record: what was measured, on what, and the rows of :func:`measure` under ``test``.

    Raises:
        FileNotFoundError: if a scale's weights or the dataset are not there.
        ValueError: for an unknown name.
    """
    name, fest, scales = open_entry(name, device)
    own = ENTRIES[next(iter(scales))].config.dataset
    testset = load_dataset(own if dataset is None else dataset, "test", root=data_root)
    return {
        "entry": name,
        "scales": scales,
        "rule": fest.rule,
        "dataset": testset.name,
        "test_split": testset.fingerprint,
        "device": device_name(resolve_device(device)),
        "versions": versions(),
        "command": f"festkit zoo evaluate {name} --dataset {testset.name} --write",
        "test": measure(fest, testset),
    }


def write_evaluation(record: Mapping[str, Any]) -> Path:
    """Keep what :func:`evaluate` found beside the weights, for the page of results."""
    path = record_file(record["entry"], record["dataset"])
    write_json(path, record)
    return path
