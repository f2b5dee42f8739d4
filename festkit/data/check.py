"""Check a dataset folder: read every file, find faults, measure the splits."""

import hashlib
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._support.progress import progress
from ..ops.size_classes import MOST_SHARE, SIZE_CLASSES
from .catalogue import find_folder, how_to_list, known_card
from .folders import DatasetFolder, open_folder
from .images import Mask, format_size, read_raster, resize_mask, same_aspect
from .pairing import Pair
from .report import DatasetReport, Finding, Severity, SplitStatistics
from .weak import weak_masks

_FILE = Path(__file__).with_name("findings.toml")

_TEXTS: dict[str, dict[str, str]] = tomllib.loads(_FILE.read_text("utf-8"))
"""What the names of a finding have in common, by severity and code, in the order of the report."""


MOST_POINT = SIZE_CLASSES["point"][1]

FEWEST_RECTANGLES = 20
"""Targets of more than 9 px by which masks that are all rectangles are told from chance."""


def check_dataset(folder_or_name: str | Path, *, root: str | Path | None = None) -> DatasetReport:
    """Read every file of a dataset and report statistics, faults and notes.

    Args:
        folder_or_name: a known name, a folder under the root, or the path of a folder.
        root: folder of all datasets; default the environment's FESTKIT_DATA, else ``data``.

    Returns:
        The report. For a known dataset, counts that differ from its card are faults.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the name is unknown or the layout of the folder is not recognised.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp()) / "sky"
        >>> for place in ("train/image", "train/mask"):
        ...     (folder / place).mkdir(parents=True)
        ...     Image.new("L", (6, 4), 255).save(folder / place / "a.png")
        >>> print(str(check_dataset(folder)).splitlines()[0])
        sky: 1 images, 1/0 train/test, 1 targets (0 test), 0 non-binary masks
    """
    name, path = find_folder(folder_or_name, root)
    folder = open_folder(path)
    facts, unreadable = _read_all(name, folder)
    splits = _statistics_of_splits(facts, folder)
    levels = folder.pairs[0].files.levels if any(each.is_deep for each in facts) else None
    names = {"unreadable": unreadable} | _of_names(folder) | _of_pairs(facts)
    names |= _identical_images(facts, folder)
    findings = (
        *_without_split(folder, splits),
        *_named("fault", names),
        *_off_card(name, splits),
        *_named("note", names),
        *_remarks(levels, folder.weak or _rectangular(facts), splits),
    )
    sizes = Counter(each.shape[::-1] for each in facts)
    modes = Counter(each.mode for each in facts)
    depths = Counter(each.bits for each in facts)
    layout = folder.rule
    return DatasetReport(name, path, layout, splits, sizes, modes, depths, levels, findings)


def _named(severity: Severity, names: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    """Findings that concern single images, masks, names or files."""
    for code, text in _TEXTS[severity].items():
        if concerned := tuple(names.get(code, ())):
            yield Finding(code, severity, text, concerned)


def _of_names(folder: DatasetFolder) -> dict[str, list[str]]:
    """Names by code of finding, as far as lists and folders show."""
    train, val, test = (set(folder.splits.get(split, ())) for split in ("train", "val", "test"))
    counts = [Counter(pairs).items() for pairs in folder.splits.values()]
    present = [pair for pair in folder.pairs if pair.image.is_file()]
    pairs: dict[str, Iterable[Pair]] = {
        "missing_images": set(folder.listed).difference(present),
        "missing_masks": [pair for pair in present if not pair.mask.is_file()],
        "in_both_splits": train & test,
        "in_train_and_val": train & val,
        "in_val_and_test": val & test,
        "listed_twice": [pair for split in counts for pair, times in split if times > 1],
        "unlisted": folder.unlisted,
    }
    names = {code: sorted(pair.name for pair in found) for code, found in pairs.items()}
    names["lone_masks"] = list(folder.lone_masks)
    names["cut_sequences"] = list(folder.cut_sequences)
    names["passed_over"] = [
        *(file.relative_to(folder.path).as_posix() for file in folder.passed_over),
        *folder.unused_folders(),
    ]
    return names


def _without_split(
    folder: DatasetFolder, splits: Mapping[str, SplitStatistics]
) -> Iterator[Finding]:
    """The fault of a folder that has no image in any split."""
    if not splits["all"].images:
        yield Finding("no_images", "fault", "the folder holds no image")
    elif not any(part.images for split, part in splits.items() if split != "all"):
        bare = f"no list names the images of either split: {how_to_list(folder.path)}"
        yield Finding("no_split", "fault", folder.fault_of_lists or bare)


def _off_card(name: str, splits: Mapping[str, SplitStatistics]) -> Iterator[Finding]:
    """Counts that differ from what is known of a public dataset."""
    card = known_card(name)
    if card is None:
        return
    train = splits["train"].images + (splits["val"].images if "val" in splits else 0)
    counts = (
        ("images", splits["all"].images, card.images),
        ("train images", train, card.train),
        ("test images", splits["test"].images, card.test),
        ("targets", splits["all"].targets, card.targets),
        ("test targets", splits["test"].targets, card.test_targets),
    )
    for what, here, known in counts:
        if known is not None and here != known:
            message = f"{name} should have {known} {what}, this folder has {here}"
            yield Finding("off_card", "fault", message)


def _remarks(
    levels: tuple[float, float] | None, weak: str, splits: Mapping[str, SplitStatistics]
) -> Iterator[Finding]:
    """What the masks are made of, how deep images are stretched, and which splits are empty."""
    if weak:
        yield Finding("weak_masks", "note", weak_masks(weak))
    if levels:
        message = (
            f"images of more than 8 bit: their levels {levels[0]} to {levels[1]} become black to"
            " white (percentiles 0.1 and 99.99 of all of them)"
        )
        yield Finding("levels", "note", message)
    for split, part in splits.items():
        if split != "all" and not part.images:
            yield Finding("empty_split", "note", f"the {split} split is empty")


@dataclass(frozen=True)
class _PairFacts:
    """Facts of one pair of files.

    Attributes:
        pair: the files.
        mode: as of the image's :class:`Raster`; so are the next two.
        bits: per channel.
        is_deep: whether the image has more than 8 bit.
        shape: height and width of the image.
        gray: mean and standard deviation of the image's gray levels, of 1.
        digest: of the image's levels and shape.
        areas: of the targets; None if the mask does not fit the image.
        squared: targets of more than 9 px that fill their bounding box.
        told: what is worth a finding, by its code; empty where it does not apply.
    """

    pair: Pair
    mode: str
    bits: int
    is_deep: bool
    shape: tuple[int, int]
    gray: tuple[float, float]
    digest: str
    areas: tuple[int, ...] | None
    squared: int
    told: dict[str, str]


def _read_all(name: str, folder: DatasetFolder) -> tuple[list[_PairFacts], list[str]]:
    """Facts of every complete pair, and a message for every pair that cannot be read."""
    facts, unreadable = [], []
    complete = [pair for pair in folder.pairs if pair.image.is_file() and pair.mask.is_file()]
    for pair in progress(complete, f"checking {name}", unit="image"):
        try:
            facts.append(_read_pair(pair))
        except ValueError as error:
            unreadable.append(str(error))
    return facts, unreadable


def _read_pair(pair: Pair) -> _PairFacts:
    """Read and measure one pair of files."""
    files = pair.files
    image = read_raster(pair.image)
    gray = files.gray(image)
    mask = pair.read_mask(gray.shape)
    shape = mask.levels.shape
    fits = same_aspect(shape, gray.shape)
    areas, squared = _targets(resize_mask(mask.mask, gray.shape)) if fits else (None, 0)
    share = sum(areas or ()) / gray.size
    sizes = f"{pair.name}: mask {format_size(shape)}, image {format_size(gray.shape)}"
    told = {
        "mismatched_pairs": "" if fits else sizes,
        "resampled_pairs": sizes if fits and shape != gray.shape else "",
        "implausible_masks": f"{pair.name}: {100 * share:.1f} %" if share > MOST_SHARE else "",
        "lost_images": files.lost_gray(pair.image, image, gray),
        "nonbinary_masks": "" if mask.is_binary else pair.name,
        "empty_masks": pair.name if areas == () else "",
        "turned_images": pair.name if image.turned else "",
    }
    kind = image.mode, image.bits, image.is_deep
    moments = float(gray.mean()) / 255, float(gray.std()) / 255
    digest = hashlib.sha256(f"{gray.shape}".encode() + image.levels.tobytes()).hexdigest()
    return _PairFacts(pair, *kind, gray.shape, moments, digest, areas, squared, told)


def _targets(mask: Mask) -> tuple[tuple[int, ...], int]:
    """Areas of the targets of a mask, and how many large ones fill their bounding box."""
    from ..ops.components import find_components  # noqa: PLC0415 - opening a dataset needs no torch

    found = find_components(mask)
    sides = found.box[:, 2:] - found.box[:, :2]
    squared = (found.area == sides.prod(axis=1)) & (found.area > MOST_POINT)
    return tuple(found.area.tolist()), int(squared.sum())


def _rectangular(facts: Sequence[_PairFacts]) -> str:
    """What masks seem to be drawn from if all their targets above 9 px are rectangles."""
    large = sum(area > MOST_POINT for each in facts for area in each.areas or ())
    squared = sum(each.squared for each in facts)
    return f"boxes, it seems: all {large} targets of more than {MOST_POINT} px are rectangles" * (
        large >= FEWEST_RECTANGLES and squared == large
    )


def _of_pairs(facts: Iterable[_PairFacts]) -> dict[str, list[str]]:
    """What is told of the pairs, by code of finding; names in alphabetical order."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in sorted(facts, key=lambda each: each.pair.name):
        for code, text in each.told.items():
            found[code] += [text] if text else []
    return found


def _identical_images(facts: Iterable[_PairFacts], folder: DatasetFolder) -> dict[str, list[str]]:
    """Groups of images with equal gray levels: across train and test, and within a split."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for each in facts:
        groups[each.digest].append(each.pair)
    images_of = {split: {pair.image for pair in ps} for split, ps in folder.splits.items()}
    trained = images_of["train"] | images_of.get("val", set())
    found: dict[str, list[str]] = defaultdict(list)
    for group in (group for group in groups.values() if len(group) > 1):
        images = {pair.image for pair in group}
        across = images & trained and images & images_of["test"]
        names = " = ".join(sorted(pair.name for pair in group))
        found["leaked_images" if across else "identical_images"].append(names)
    return found


def _statistics_of_splits(
    facts: Iterable[_PairFacts], folder: DatasetFolder
) -> dict[str, SplitStatistics]:
    """Statistics of all images and of each split."""
    splits = {"all": folder.pairs, **folder.splits}
    paths_of = {split: {pair.image for pair in pairs} for split, pairs in splits.items()}
    return {
        split: _statistics(
            sum(path.is_file() for path in paths),
            [each for each in facts if each.pair.image in paths],
        )
        for split, paths in paths_of.items()
    }


def _statistics(images: int, facts: Sequence[_PairFacts]) -> SplitStatistics:
    """Statistics of so many images, as far as they could be read."""
    fitting = [each for each in facts if each.areas is not None]
    areas = np.array([area for each in fitting for area in each.areas or ()], int)
    pixels = sum(height * width for height, width in (each.shape for each in fitting))
    point, spot, extended = (
        int(np.sum((areas >= low) & (areas <= high))) for low, high in SIZE_CLASSES.values()
    )
    moments = zip(*(each.gray for each in facts), strict=True)
    mean, std = [float(np.mean(values)) for values in moments] or [np.nan, np.nan]
    several = sum(len(each.areas or ()) > 1 for each in fitting)
    quantiles = np.quantile(areas, (0, 0.05, 0.5, 0.95, 1)).tolist() if len(areas) else ()
    share = int(areas.sum()) / pixels if pixels else 0.0
    counts = images, several, len(areas), point, spot, extended
    return SplitStatistics(*counts, tuple(quantiles), share, mean, std)
