"""The report on a dataset folder: facts, what is wrong among them, and the text for a terminal."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._catalogue import dataset_card, dataset_name, known_card, list_datasets

_FAULTS = {
    "missing_images": "listed names without an image file",
    "missing_masks": "images without a mask",
    "unreadable": "pairs with an unreadable file",
    "mismatched_pairs": "masks of another size and aspect than their image",
    "implausible_masks": "masks that mark most of their image as target, as if inverted (targets"
    " are white on black)",
    "lost_images": "images that the levels of the dataset leave (almost) no gray, as if of another"
    " sensor (make a dataset of each)",
    "in_both_splits": "images in the train list and in the test list",
    "in_train_and_val": "images in the train list and in the val list (list each in one of them;"
    " trainval is the train list where there is no other)",
    "in_val_and_test": "images in the val list and in the test list",
    "leaked_images": "train images that are identical to a test image",
}
_NOTES = {
    "nonbinary_masks": "non-binary masks, binarised at > 127 of 255",
    "resampled_pairs": "masks of another size, resampled to that of their image",
    "empty_masks": "images without a target",
    "identical_images": "identical images under two names",
    "listed_twice": "names listed more than once in a split, used once",
    "unlisted": "images in neither split, not used",
    "lone_masks": "masks without an image, not used",
    "turned_images": "images turned by the EXIF orientation in their files",
    "passed_over": "files of other formats and other folders, not read",
}


def how_to_list(folder: Path) -> str:
    """What to do with a folder whose lists are missing; a known set has lists of its own.

    Example:
        >>> how_to_list(Path("sky"))
        'write train.txt and test.txt into it, one image name per line, or let festkit data split \
sky draw them'
    """
    if card := known_card(dataset_name(folder)):
        return (
            f"put the lists of {card.name} into it, with which figures are compared: "
            f"{card.how_to_get}"
        )
    return (
        "write train.txt and test.txt into it, one image name per line, or let festkit data split"
        f" {shlex.quote(str(folder))} draw them"
    )


def how_to_mend(images: Sequence[str]) -> str:
    """What to do with lists that name none of these images.

    Example:
        >>> how_to_mend(["1/0001", "1/0002"])
        'write one image name per line, such as 1/0001'
    """
    return f"write one image name per line{''.join(f', such as {name}' for name in images[:1])}"


@dataclass(frozen=True)
class SplitFigures:
    """What the images of one split amount to.

    Attributes:
        images: number of images.
        several: images with more than one target.
        targets: 8-connected targets.
        point: targets of at most 9 px.
        spot: targets of 10 to 81 px.
        extended: targets of more than 81 px.
        areas: least, 5 %, median, 95 % and largest target area, px; empty without targets.
        target_share: fraction of all pixels that lie on targets.
        gray_mean: mean over images of the gray mean, of 255; NaN without images.
        gray_std: mean over images of the gray standard deviation, of 255; NaN without images.
    """

    images: int
    several: int
    targets: int
    point: int
    spot: int
    extended: int
    areas: tuple[float, ...]
    target_share: float
    gray_mean: float
    gray_std: float


@dataclass(frozen=True)
class DatasetReport:
    """What a dataset folder holds; ``str(report)`` is laid out for a terminal.

    Attributes:
        name: name of the dataset.
        folder: where it lies.
        layout: the layout it follows.
        figures: the figures of "all", "train", "test" and, where there is one, "val"; "all" counts
            unlisted images too.
        sizes: number of images of each (width, height), px.
        modes: number of images of each Pillow mode.
        bit_depths: number of images of each number of bits per channel.
        levels: levels of the images of more than 8 bit that become black and white, else None.
        lists: the list files.
        missing_images: listed names without an image.
        missing_masks: images without a mask.
        unreadable: for every pair that cannot be read, which file and why.
        mismatched_pairs: pairs whose mask has another size and aspect than the image.
        implausible_masks: masks that mark more than half of their image, with the share.
        lost_images: for every image of more than 8 bit that keeps few gray levels, or none, how.
        in_both_splits: images in the train list and in the test list.
        in_train_and_val: images in the train list and in the val list.
        in_val_and_test: images in the val list and in the test list.
        leaked_images: groups of identical images under two names, in train and in test.
        identical_images: groups of identical images under two names, within one split.
        nonbinary_masks: masks that hold more than two levels.
        resampled_pairs: pairs whose mask has another size, but the aspect of the image.
        empty_masks: images without a target.
        listed_twice: names listed more than once in one split.
        unlisted: images in neither split.
        lone_masks: masks without an image.
        turned_images: images whose files hold an EXIF orientation, which is applied.
        passed_over: files of other formats and folders of no known split.
    """

    name: str
    folder: Path
    layout: str
    figures: Mapping[str, SplitFigures]
    sizes: Mapping[tuple[int, int], int]
    modes: Mapping[str, int]
    bit_depths: Mapping[int, int]
    levels: tuple[float, float] | None
    lists: tuple[str, ...]
    missing_images: tuple[str, ...]
    missing_masks: tuple[str, ...]
    unreadable: tuple[str, ...]
    mismatched_pairs: tuple[str, ...]
    implausible_masks: tuple[str, ...]
    lost_images: tuple[str, ...]
    in_both_splits: tuple[str, ...]
    in_train_and_val: tuple[str, ...]
    in_val_and_test: tuple[str, ...]
    leaked_images: tuple[str, ...]
    identical_images: tuple[str, ...]
    nonbinary_masks: tuple[str, ...]
    resampled_pairs: tuple[str, ...]
    empty_masks: tuple[str, ...]
    listed_twice: tuple[str, ...]
    unlisted: tuple[str, ...]
    lone_masks: tuple[str, ...]
    turned_images: tuple[str, ...]
    passed_over: tuple[str, ...]

    def __hash__(self) -> int:
        return hash((self.name, self.folder))

    @property
    def faults(self) -> tuple[str, ...]:
        """What must be put right before the dataset can be trusted, one sentence each."""
        nothing = () if self._has("all") else ("the folder holds no image",)
        return (*nothing, *self._no_split(), *self._findings(_FAULTS), *self._off_card())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing and is handled, one sentence each."""
        empty = [
            f"the {split} split is empty"
            for split, part in self.figures.items()
            if split != "all" and not part.images
        ]
        return (*self._findings(_NOTES), *self._depth_note(), *empty)

    def _findings(self, kinds: Mapping[str, str]) -> list[str]:
        found = {what: getattr(self, field) for field, what in kinds.items()}
        return [f"{what}: {len(names)} ({_some(names)})" for what, names in found.items() if names]

    def _no_split(self) -> list[str]:
        if not self._has("all") or any(map(self._has, self.figures.keys() - {"all"})):
            return []
        if self.lists:
            return [
                f"the lists ({', '.join(self.lists)}) name no image that is there:"
                f" {how_to_mend(self.unlisted)}"
            ]
        return [f"no list names the images of either split: {how_to_list(self.folder)}"]

    def _has(self, split: str) -> bool:
        return self.figures[split].images > 0

    def _off_card(self) -> list[str]:
        """Counts that differ from what is known of a public dataset."""
        if self.name not in list_datasets():
            return []
        card, figures = dataset_card(self.name), self.figures
        counts = (
            ("images", figures["all"].images, card.images),
            ("train images", figures["train"].images, card.train),
            ("test images", figures["test"].images, card.test),
            ("targets", figures["all"].targets, card.targets),
            ("test targets", figures["test"].targets, card.test_targets),
        )
        return [
            f"{self.name} should have {known} {what}, this folder has {here}"
            for what, here, known in counts
            if known is not None and here != known
        ]

    def _depth_note(self) -> list[str]:
        if self.levels is None:
            return []
        black, white = self.levels
        return [
            f"images of more than 8 bit: their levels {black} to {white} become black to white"
            " (percentiles 0.1 and 99.99 of all of them)"
        ]

    def __str__(self) -> str:
        every, test = self.figures["all"], self.figures["test"]
        splits = {split: part.images for split, part in self.figures.items() if split != "all"}
        lines = [
            f"{self.name}: {every.images} images, {'/'.join(map(str, splits.values()))}"
            f" {'/'.join(splits)},"
            f" {every.targets} targets ({test.targets} test),"
            f" {len(self.nonbinary_masks)} non-binary masks",
            "",
            f"folder   {self.folder}",
            f"layout   {self.layout}",
            f"sizes    {_tally({f'{w} × {h} px': n for (w, h), n in self.sizes.items()})}",
            f"modes    {_tally(self.modes)}",
            f"depths   {_tally({f'{bits} bit': n for bits, n in self.bit_depths.items()})}",
            "",
            *_table(self.figures),
            "",
            *_bullets("faults", self.faults),
            *_bullets("notes", self.notes),
        ]
        return "\n".join(lines)


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    parts = [name.partition("; ") for name in names]
    heads, cures = [part[0] for part in parts], [part[2] for part in parts]
    if len(names) > 1 and cures[0] and len(set(cures)) == 1:  # said once
        return f"{', '.join(heads[:most])}{more}; {cures[0]}"
    return ", ".join(names[:most]) + more


def _tally(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return _some([f"{what} ({count})" for what, count in ordered]) or "none"


def _bullets(title: str, sentences: Sequence[str]) -> list[str]:
    return (
        [f"{title}:", *(f"  - {text}" for text in sentences)] if sentences else [f"{title}: none"]
    )


_ROWS: tuple[tuple[str, Callable[[SplitFigures], str]], ...] = (
    ("images", lambda part: f"{part.images}"),
    ("  with more than one target", lambda part: _percent(part.several, part.images)),
    ("targets (8-connected)", lambda part: f"{part.targets}"),
    ("  point, at most 9 px", lambda part: _percent(part.point, part.targets)),
    ("  spot, 10 to 81 px", lambda part: _percent(part.spot, part.targets)),
    ("  extended, more than 81 px", lambda part: _percent(part.extended, part.targets)),
    (
        "area min/5/50/95 %/max, px",
        lambda part: "/".join(f"{area:.0f}" for area in part.areas) or "-",
    ),
    ("pixels on targets", lambda part: f"{100 * part.target_share:.4f} %"),
    ("gray mean, of 255", lambda part: _fraction(part.gray_mean)),
    ("gray std, of 255", lambda part: _fraction(part.gray_std)),
)


def _table(figures: Mapping[str, SplitFigures]) -> list[str]:
    head = " " * 28 + "".join(f"{split:>17}" for split in figures)
    rows = (
        f"{title:<28}" + "".join(f"{show(part):>17}" for part in figures.values())
        for title, show in _ROWS
    )
    return [head, *rows]


def _percent(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else f"{part}"


def _fraction(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
