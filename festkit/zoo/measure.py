"""Evaluate entries, and FESTs of entries, on the test images of a dataset."""

import math
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.cpus import check_threads
from .._support.devices import resolve_device
from .._support.errors import InputError
from .._support.files import sha256, write_json
from .._support.names import find_name, normalize_name
from .._support.progress import progress
from ..data.catalogue import dataset_card, find_folder, images_of, members_of
from ..data.dataset import Dataset, load_dataset
from ..fest import FEST
from ..inference.models import load_fest, trained_on
from ..metrics import Counts, count, protocol_of, record_of
from ..model import Model
from ..pretrained import ENTRIES, FAMILIES, Entry, record_file, scales_of, weights_file
from ..scenes import make_synthetic_dataset
from ..training.trainer import device_name, versions


@contextmanager
def open_images(dataset: str | Path, data_root: str | Path | None = None) -> Iterator[Dataset]:
    """Open the test images of a dataset within a block.

    Args:
        dataset: see load_dataset; or the name of the synthetic scenes of an entry.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if the dataset is missing.
        ValueError: for an unknown name or a damaged dataset.

    Example:
        >>> import tempfile
        >>> folder = make_synthetic_dataset(f"{tempfile.mkdtemp()}/s", train=0, test=2, size=32)
        >>> with open_images(folder) as testset:
        ...     len(testset)
        2
    """
    members = members_of(dataset)
    makers = {member: maker for member in members if (maker := _maker(str(member)))}
    with TemporaryDirectory() as top:  # a test scene depends on no training scene
        made = {
            member: make_synthetic_dataset(
                Path(top) / maker.scenes_name, **{**(maker.scenes or {}), "train": 0}
            )
            for member, maker in makers.items()
        }
        yield load_dataset("+".join(str(made.get(m, m)) for m in members), "test", root=data_root)


def _maker(member: str) -> Entry | None:
    """The entry whose own synthetic scenes have this name; None if there is none."""
    makers = (entry for entry in ENTRIES.values() if entry.scenes is not None)
    wanted = normalize_name(member)
    return next((entry for entry in makers if normalize_name(entry.scenes_name) == wanted), None)


def is_known(dataset: str | Path) -> bool:
    """Whether a dataset is public, a union, or the synthetic scenes of an entry, not a folder.

    Example:
        >>> is_known("sirst"), is_known("NUAA-SIRST+IRSTD-1K"), is_known("/sets/own")
        (True, True, False)
    """
    own = {normalize_name(part) for e in ENTRIES.values() for part in e.config.dataset.split("+")}
    return all(normalize_name(part) in own or _is_public(part) for part in str(dataset).split("+"))


def _is_public(name: str) -> bool:
    """Whether a name is that of a public dataset."""
    try:
        return bool(dataset_card(name))
    except ValueError:
        return False


def is_available(dataset: str, data_root: str | Path | None) -> bool:
    """Whether a dataset of this name exists, complete or not."""
    try:
        for member in members_of(dataset):
            if _maker(str(member)) is None:
                find_folder(member, data_root)
    except (FileNotFoundError, ValueError):  # of known and of unknown names
        return False
    return True


POINTS = {name: 1e6 if name == "fa" else 100.0 for name in Counts.ratios}
"""Points of a ratio: percent, and 1e-6 for Fa."""

Rows = list[dict[str, Any]]


def measure(fest: Model, dataset: Dataset, *, label: str | None = None) -> Rows:
    """Evaluate a FEST without adjustable sensitivity (th1 only) and with it (th1 and th2).

    Args:
        fest: networks and thresholds.
        dataset: images and masks.
        label: label of the progress bar; default: the name of the dataset.

    Returns:
        Two rows: thresholds, counts, ratios, for two images or more 95 % intervals over images
        with the name of their method, and the name of the protocol under ``evaluation``.

    Raises:
        ValueError: if there are no images.

    Example:
        >>> import tempfile
        >>> from festkit.data import load_dataset
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = make_synthetic_dataset(f"{tempfile.mkdtemp()}/s", train=1, test=2, size=32)
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
        >>> [row["th2"] for row in measure(fest, load_dataset(folder, "test"))]
        [None, 0.1]
    """
    without, with_as = count_images(fest, dataset, label=label)
    return [
        {
            "th1": fest.th1,
            "th2": th2,
            **record_of(counts),
            "evaluation": protocol_of(
                fest.th1, th2, fest.rule if th2 is not None else None, fest.backbones
            ).name,
        }
        for th2, counts in ((None, without), (fest.th2, with_as))
    ]


def count_images(
    fest: Model, dataset: Dataset, *, label: str | None = None
) -> tuple[list[Counts], list[Counts]]:
    """Counts of every image without adjustable sensitivity, and with it.

    Args:
        fest: networks and thresholds.
        dataset: images and masks.
        label: label of the progress bar; default: the name of the dataset.

    Example:
        >>> import tempfile
        >>> from festkit.data import load_dataset
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = make_synthetic_dataset(f"{tempfile.mkdtemp()}/s", train=1, test=2, size=32)
        >>> without, with_as = count_images(
        ...     FEST({32: "ACM"}, mean=0.4, std=0.1), load_dataset(folder, "test")
        ... )
        >>> len(without), len(with_as)
        (2, 2)
    """
    without = copy(fest)
    without.th2 = None
    counts: tuple[list[Counts], list[Counts]] = ([], [])
    for sample in progress(dataset, label or f"measuring on {dataset.name}", unit="image"):
        maps = fest.scale_maps(sample.image)
        for each, own in zip((without, fest), counts, strict=True):
            own.append(count(each.detect(maps).mask, sample.mask))
    return counts


def largest_move(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> float:
    """Largest difference in a ratio or an interval end, in percent (Fa: 1e-6).

    Intervals of different methods, such as the bootstrap of older records, are not compared.

    Example:
        >>> hit = Counts(images=1, pixels=4, targets=1, detected=1)
        >>> row = record_of([hit, hit])
        >>> round(largest_move([row], [row | {"pd": 0.99}]), 6)
        1.0
    """
    pairs = zip(rows, others, strict=True)
    return max(float(np.nan_to_num(_moves(*pair), nan=math.inf).max()) for pair in pairs)


def _moves(row: Mapping[str, Any], other: Mapping[str, Any]) -> NDArray[np.float64]:
    """Differences of the ratios and, by the same method, of their intervals, in points.

    They are NaN where only one of the two has a number.
    """
    intervals = [each.get("intervals") or {} for each in (row, other)]
    same = intervals[0].get("method") == intervals[1].get("method")
    nothing = (None, None)
    a, b = (
        np.array([[each[n], *((same and ends.get(n)) or nothing)] for n in POINTS], float)
        for each, ends in zip((row, other), intervals, strict=True)
    )
    moves = np.abs(a - b) * np.array([list(POINTS.values())]).T
    return np.where(np.isnan(a) & np.isnan(b), 0.0, moves)


def open_entry(
    name: str, device: str = "auto", threads: int | None = None
) -> tuple[str, FEST, dict[str, str]]:
    """An entry as a LW-FEST, or a family as the FEST of all its scales.

    Returns:
        The catalogue's name, the FEST on the device, and the checksum of every scale's file.

    Raises:
        FileNotFoundError: if a scale has no weights.
        ValueError: for an unknown name, or a wrong number of threads.
    """
    name = find_name("entry", name, [*ENTRIES, *FAMILIES])
    check_threads(threads)
    fest = load_fest(name, device=device)
    fest.threads = threads
    return name, fest, {scale: sha256(weights_file(scale)) for scale in scales_of(name)}


def evaluate(
    name: str,
    dataset: str | Path | None = None,
    *,
    write: bool = False,
    data_root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> dict[str, Any]:
    """Evaluate an entry, or the FEST of a family, on the test images of a dataset.

    Args:
        name: such as "nuaa-sirst/acm-256-eedm", or "nuaa-sirst/acm" for the FEST of its scales.
        dataset: see load_dataset; default: the dataset of the entry.
        write: store the record next to the weights.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
        device: "cpu", "cuda", "mps", or "auto".
        threads: number of CPU threads; default: one per idle CPU.

    Returns:
        The record: model, dataset, and the rows of :func:`measure` under ``test``.

    Raises:
        FileNotFoundError: if a scale's weights or the dataset are missing.
        ValueError: for an unknown name. With ``write``, also for a folder, for test images that
            differ from the card's, or if the card already has these metrics.
    """
    name, fest, scales = open_entry(name, device, threads)
    given = ENTRIES[next(iter(scales))].config.dataset if dataset is None else dataset
    if write and not is_known(given):
        raise InputError(
            f"{given} is not a public dataset; records are only stored for the datasets of "
            "festkit.list_datasets(): omit --write"
        )
    seen = trained_on(*scales)
    with open_images(given, data_root) as testset:
        if write:
            _check_writable(name, scales, seen, testset)
        warn_if_trained_on(name, seen, testset)
        record: dict[str, Any] = {
            "entry": name,
            "scales": scales,
            "rule": fest.rule,
            "dataset": testset.name,
            "test_split": testset.fingerprint,
            "device": device_name(resolve_device(device)),
            "versions": versions(),
            "command": _command(name, testset.name if is_known(given) else given),
            "test": measure(fest, testset),
        }
    if write:
        write_json(record_file(name, record["dataset"]), record)
    return record


def warn_if_trained_on(name: str, seen: Mapping[str, str | None], images: Dataset) -> None:
    """Warn if a model may have been trained on the images.

    Args:
        name: name of the model.
        seen: its training datasets, from :func:`festkit.inference.models.trained_on`; an empty
            mapping (unknown origin) also gives a warning.
        images: the evaluated images.
    """
    if not seen:
        warnings.warn(f"the card of {name} does not state its training dataset", stacklevel=3)
    shared = {
        image
        for member in images.name.split("+")
        for image in images_of([member])
        & images_of(set(seen) - ({member} if images.split == "test" else set()))
    }
    if shared:
        warnings.warn(
            f"{name} was trained on {', '.join(sorted(seen))}, and {images.name} contains images "
            f"of {', '.join(sorted(shared))}: it may have been trained on these images",
            stacklevel=3,
        )
    elif other := _other_list(seen, images):
        warnings.warn(f"{other}; {name} may have been trained on some of them", stacklevel=3)


def _other_list(seen: Mapping[str, str | None], images: Dataset) -> str:
    """A message if the test images are not those of the card; empty if they are, or unknown."""
    split = seen.get(images.name) if images.split == "test" else None
    if split in (None, images.fingerprint):
        return ""
    return (
        f"the test images of {images.name} here (split {images.fingerprint}) differ from the "
        f"card's (split {split}), in their selection or their files"
    )


def _check_writable(
    name: str, scales: Iterable[str], seen: Mapping[str, str | None], images: Dataset
) -> None:
    """Refuse a record that the card already has, or that would contradict it."""
    if other := _other_list(seen, images):
        raise InputError(f"{other}; such metrics are not stored: omit --write")
    first, *others = scales
    if not others and images.name == ENTRIES[first].config.dataset:
        raise InputError(
            f"the card of {first} already has the metrics of {name} on {images.name}; omit --write"
        )


def _command(name: str, dataset: str | Path) -> str:
    """The command that measures it again."""
    words = ["festkit", "zoo", "evaluate", name, "--dataset", str(dataset)]
    return shlex.join([*words, "--write"] if is_known(dataset) else words)
