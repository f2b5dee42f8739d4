"""Check a dataset folder: read every file, find faults, measure the splits."""

import hashlib
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._support.progress import progress
from ..ops.size_classes import MOST_SHARE, POINT_AREA, SPOT_AREA
from .catalogue import dataset_card, dataset_name, find_folder, known_card, list_datasets
from .images import Mask, format_size, read_raster, resize_mask, same_aspect
from .layouts import DatasetFolder, Pair, open_folder
from .report import DatasetReport, Finding, Severity, SplitStatistics


def how_to_list(folder: Path) -> str:
    """What to do if a folder has no lists; public datasets have published ones.

    Example:
        >>> how_to_list(Path("sky"))
        'write train.txt and test.txt into it, one image name per line, or let festkit data split \
sky draw them'
    """
    if card := known_card(dataset_name(folder)):
        return (
            f"put the lists of {card.name} into it, on which results are compared: "
            f"{card.how_to_get}"
        )
    return (
        "write train.txt and test.txt into it, one image name per line, or let festkit data split"
        f" {shlex.quote(str(folder))} draw them"
    )


def how_to_mend(images: Sequence[str]) -> str:
    """What to do if the lists name none of these images.

    Example:
        >>> how_to_mend(["1/0001", "1/0002"])
        'write one image name per line, such as 1/0001'
    """
    return f"write one image name per line{''.join(f', such as {name}' for name in images[:1])}"


def check_dataset(folder_or_name: str | Path, *, root: str | Path | None = None) -> DatasetReport:
    """Read every file of a dataset and report statistics, faults and notes.

    Args:
        folder_or_name: a known name, a folder under the root, or the path of a folder.
        root: folder of all datasets; default the environment's FESTKIT_DATA, else ``data``.

    Returns:
        The report; counts of a known dataset that differ from its card are faults.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the name is unknown or the folder follows no known layout.

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
    listed = _named_findings(folder, facts, unreadable)
    return DatasetReport(
        name=name,
        folder=path,
        layout=str(folder.layout),
        splits=splits,
        sizes=Counter((each.shape[1], each.shape[0]) for each in facts),
        modes=Counter(each.mode for each in facts),
        bit_depths=Counter(each.bits for each in facts),
        levels=levels,
        findings=(
            *_without_split(folder, splits),
            *(found for found in listed if found.severity == "fault"),
            *_off_card(name, splits),
            *(found for found in listed if found.severity == "note"),
            *_of_levels(levels),
            *_empty_splits(splits),
        ),
    )


def _named_findings(
    folder: DatasetFolder, facts: "Sequence[_PairFacts]", unreadable: tuple[str, ...]
) -> list[Finding]:
    """What concerns single images, masks, names or files."""
    present = [pair for pair in folder.pairs if pair.image.is_file()]
    train, val, test = (set(folder.splits.get(split, ())) for split in ("train", "val", "test"))
    unequal = [each for each in facts if each.mask_shape != each.shape]
    implausible = [each for each in facts if each.share > MOST_SHARE]
    leaked, identical = _identical_images(facts, folder)
    listed = (Counter(pairs).items() for pairs in folder.splits.values())
    findings: tuple[tuple[Severity, str, str, Iterable[Pair | str]], ...] = (
        ("fault", "missing_images", "listed names without an image file",
         [pair for pair in folder.listed if not pair.image.is_file()]),
        ("fault", "missing_masks", "images without a mask",
         [pair for pair in present if not pair.mask.is_file()]),
        ("fault", "unreadable", "pairs with an unreadable file", unreadable),
        ("fault", "mismatched_pairs", "masks of another size and aspect than their image",
         [each.sizes for each in unequal if each.areas is None]),
        ("fault", "implausible_masks", "masks that mark most of their image as target, as if"
         " inverted (targets are white on black)",
         [f"{each.pair.name}: {100 * each.share:.1f} %" for each in implausible]),
        ("fault", "lost_images", "images that the levels of the dataset leave (almost) no gray, as"
         " if of another sensor (make a dataset of each)",
         [each.lost_gray for each in facts if each.lost_gray]),
        ("fault", "in_both_splits", "images in the train list and in the test list", train & test),
        ("fault", "in_train_and_val", "images in the train list and in the val list (list each in"
         " one of them; trainval is the train list where there is no other)", folder.trained_val),
        ("fault", "in_val_and_test", "images in the val list and in the test list", val & test),
        ("fault", "leaked_images", "train images that are identical to a test image", leaked),
        ("note", "nonbinary_masks", "non-binary masks, binarised at > 127 of 255",
         [each.pair for each in facts if not each.mask_is_binary]),
        ("note", "resampled_pairs", "masks of another size, resampled to that of their image",
         [each.sizes for each in unequal if each.areas is not None]),
        ("note", "empty_masks", "images without a target",
         [each.pair for each in facts if each.areas == ()]),
        ("note", "identical_images", "identical images under two names", identical),
        ("note", "listed_twice", "names listed more than once in a split, used once",
         [pair for counts in listed for pair, times in counts if times > 1]),
        ("note", "unlisted", "images in neither split, not used", folder.unlisted),
        ("note", "lone_masks", "masks without an image, not used",
         [file.name for file in folder.lone_masks]),
        ("note", "turned_images", "images turned by the EXIF orientation in their files",
         [each.pair for each in facts if each.turned]),
        ("note", "passed_over", "files of other formats and other folders, not read",
         [file.relative_to(folder.path).as_posix() + "/" * file.is_dir()
          for file in folder.passed_over]),
    )  # fmt: skip
    return [
        Finding(code, severity, text, _names(which))
        for severity, code, text, which in findings
        if which
    ]


def _without_split(
    folder: DatasetFolder, splits: Mapping[str, SplitStatistics]
) -> Iterator[Finding]:
    if not splits["all"].images:
        yield Finding("no_images", "fault", "the folder holds no image")
    elif not any(part.images for split, part in splits.items() if split != "all"):
        lists = ", ".join(file.relative_to(folder.path).as_posix() for file in folder.lists)
        cure = how_to_mend(_names(folder.unlisted)) if lists else how_to_list(folder.path)
        named = f"the lists ({lists}) name no image that is there"
        missing = named if lists else "no list names the images of either split"
        yield Finding("no_split", "fault", f"{missing}: {cure}")


def _off_card(name: str, splits: Mapping[str, SplitStatistics]) -> Iterator[Finding]:
    """Counts that differ from what is known of a public dataset."""
    if name not in list_datasets():
        return
    card = dataset_card(name)
    counts = (
        ("images", splits["all"].images, card.images),
        ("train images", splits["train"].images, card.train),
        ("test images", splits["test"].images, card.test),
        ("targets", splits["all"].targets, card.targets),
        ("test targets", splits["test"].targets, card.test_targets),
    )
    for what, here, known in counts:
        if known is not None and here != known:
            message = f"{name} should have {known} {what}, this folder has {here}"
            yield Finding("off_card", "fault", message)


def _of_levels(levels: tuple[float, float] | None) -> Iterator[Finding]:
    if levels:
        message = (
            f"images of more than 8 bit: their levels {levels[0]} to {levels[1]} become black to"
            " white (percentiles 0.1 and 99.99 of all of them)"
        )
        yield Finding("levels", "note", message)


def _empty_splits(splits: Mapping[str, SplitStatistics]) -> Iterator[Finding]:
    for split, part in splits.items():
        if split != "all" and not part.images:
            yield Finding("empty_split", "note", f"the {split} split is empty")


@dataclass(frozen=True)
class _PairFacts:
    """Facts of one pair of files; ``areas`` is None if the mask does not fit the image."""

    pair: Pair
    mode: str
    bits: int
    is_deep: bool
    turned: bool
    shape: tuple[int, ...]
    mask_shape: tuple[int, ...]
    gray_mean: float
    gray_std: float
    lost_gray: str
    digest: str
    mask_is_binary: bool
    areas: tuple[int, ...] | None

    @property
    def sizes(self) -> str:
        mask, image = format_size(self.mask_shape), format_size(self.shape)
        return f"{self.pair.name}: mask {mask}, image {image}"

    @property
    def share(self) -> float:
        """Fraction of the image on targets."""
        return sum(self.areas or ()) / (self.shape[0] * self.shape[1])


def _read_all(name: str, folder: DatasetFolder) -> tuple[list[_PairFacts], tuple[str, ...]]:
    """Facts of every complete pair, and a message for every pair that cannot be read."""
    facts, unreadable = [], []
    complete = [pair for pair in folder.pairs if pair.image.is_file() and pair.mask.is_file()]
    for pair in progress(complete, f"checking {name}", unit="image"):
        try:
            facts.append(_read_pair(pair))
        except ValueError as error:
            unreadable.append(str(error))
    return facts, tuple(unreadable)


def _read_pair(pair: Pair) -> _PairFacts:
    files = pair.files
    image, mask = read_raster(pair.image), files.mask(pair.mask)
    gray = files.gray(image)
    fits = same_aspect(mask.levels.shape, gray.shape)
    return _PairFacts(
        pair=pair,
        mode=image.mode,
        bits=image.bits,
        is_deep=image.is_deep,
        turned=image.turned,
        shape=gray.shape,
        mask_shape=mask.levels.shape,
        gray_mean=float(gray.mean()) / 255,
        gray_std=float(gray.std()) / 255,
        lost_gray=files.lost_gray(pair.image, image, gray),
        digest=hashlib.sha256(f"{gray.shape}".encode() + image.levels.tobytes()).hexdigest(),
        mask_is_binary=mask.is_binary,
        areas=_target_areas(resize_mask(mask.mask, gray.shape)) if fits else None,
    )


def _target_areas(mask: Mask) -> tuple[int, ...]:
    from ..ops.components import find_components  # noqa: PLC0415 - opening a dataset needs no torch

    return tuple(find_components(mask).area.tolist())


def _identical_images(
    facts: Iterable[_PairFacts], folder: DatasetFolder
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Groups of images with equal gray levels: across train and test, and within a split."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for each in facts:
        groups[each.digest].append(each.pair)
    images_of = {split: {pair.image for pair in ps} for split, ps in folder.splits.items()}
    trained = images_of["train"] | images_of.get("val", set())
    leaked: list[str] = []
    identical: list[str] = []
    for group in groups.values():
        if len(group) > 1:
            images = {pair.image for pair in group}
            across = images & trained and images & images_of["test"]
            (leaked if across else identical).append(" = ".join(_names(group)))
    return tuple(leaked), tuple(identical)


def _statistics_of_splits(
    facts: Iterable[_PairFacts], folder: DatasetFolder
) -> dict[str, SplitStatistics]:
    by_image = {each.pair.image: each for each in facts}
    images = {split: {pair.image for pair in pairs} for split, pairs in folder.splits.items()}
    images = {"all": {pair.image for pair in folder.pairs}, **images}
    return {
        split: _statistics(
            sum(path.is_file() for path in paths),
            [each for path, each in by_image.items() if path in paths],
        )
        for split, paths in images.items()
    }


def _statistics(images: int, facts: Sequence[_PairFacts]) -> SplitStatistics:
    fitting = [(each.areas, each.shape) for each in facts if each.areas is not None]
    areas = np.array([area for found, _ in fitting for area in found], int)
    pixels = sum(height * width for _, (height, width) in fitting)
    quantiles = np.quantile(areas, (0, 0.05, 0.5, 0.95, 1)).tolist() if len(areas) else ()
    return SplitStatistics(
        images=images,
        several=sum(len(found) > 1 for found, _ in fitting),
        targets=len(areas),
        point=int(np.sum(areas <= POINT_AREA)),
        spot=int(np.sum((areas > POINT_AREA) & (areas <= SPOT_AREA))),
        extended=int(np.sum(areas > SPOT_AREA)),
        areas=tuple(quantiles),
        target_share=int(areas.sum()) / pixels if pixels else 0.0,
        gray_mean=_mean([each.gray_mean for each in facts]),
        gray_std=_mean([each.gray_std for each in facts]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _names(which: Iterable[Pair | str]) -> tuple[str, ...]:
    """Names of pairs in alphabetical order; texts stay in theirs."""
    items = list(which)
    texts = [item for item in items if isinstance(item, str)]
    return tuple(texts or sorted(item.name for item in items if isinstance(item, Pair)))
