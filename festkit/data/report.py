"""The report on a dataset folder: findings, statistics of the splits, and a text for a terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["fault", "note"]


@dataclass(frozen=True)
class Finding:
    """One finding of the check of a dataset.

    Attributes:
        code: short name of its kind, such as "missing_masks".
        severity: "fault": must be corrected before the dataset can be trusted; "note": needs no
            action.
        text: what was found.
        names: the affected images, files or groups; empty if it affects the whole folder.
    """

    code: str
    severity: Severity
    text: str
    names: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The text, the number of names and the first five of them."""
        names = f": {len(self.names)} ({first_names(self.names)})" if self.names else ""
        return self.text + names


@dataclass(frozen=True)
class SplitStatistics:
    """Statistics of the images and targets of one split.

    Attributes:
        images: number of images.
        several: images with more than one target.
        targets: 8-connected targets.
        point: targets of at most 9 px.
        spot: targets of 10 to 81 px.
        extended: targets of more than 81 px.
        areas: minimum, 5 %, median, 95 % and maximum of the target area, px; empty without targets.
        target_share: fraction of all pixels on targets.
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
    """Report on a dataset folder; ``str(report)`` is formatted for a terminal.

    Attributes:
        name: name of the dataset.
        folder: its folder.
        layout: the layout it follows.
        splits: statistics of "all", "train", "test" and, where there is one, "val"; "all" counts
            unlisted images too.
        sizes: number of images of each (width, height), px.
        modes: number of images of each Pillow mode.
        bit_depths: number of images of each number of bits per channel.
        levels: levels that become black and white in images of more than 8 bit, else None.
        findings: faults, then notes.
    """

    name: str
    folder: Path
    layout: str
    splits: Mapping[str, SplitStatistics]
    sizes: Mapping[tuple[int, int], int]
    modes: Mapping[str, int]
    bit_depths: Mapping[int, int]
    levels: tuple[float, float] | None
    findings: tuple[Finding, ...]

    def __hash__(self) -> int:
        return hash((self.name, self.folder))

    @property
    def figures(self) -> Mapping[str, SplitStatistics]:
        """The former name of ``splits``."""
        return self.splits

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults that must be corrected before the dataset can be trusted, one sentence each."""
        return tuple(found.message for found in self.findings if found.severity == "fault")

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes that need no action, one sentence each."""
        return tuple(found.message for found in self.findings if found.severity == "note")

    def names_of(self, code: str) -> tuple[str, ...]:
        """The names affected by the finding of a code; empty without such a finding."""
        return next((found.names for found in self.findings if found.code == code), ())

    def __str__(self) -> str:
        every, test = self.splits["all"], self.splits["test"]
        images = {split: part.images for split, part in self.splits.items() if split != "all"}
        lines = [
            f"{self.name}: {every.images} images, {'/'.join(map(str, images.values()))}"
            f" {'/'.join(images)},"
            f" {every.targets} targets ({test.targets} test),"
            f" {len(self.names_of('nonbinary_masks'))} non-binary masks",
            "",
            f"folder   {self.folder}",
            f"layout   {self.layout}",
            f"sizes    {_tally({f'{w} × {h} px': n for (w, h), n in self.sizes.items()})}",
            f"modes    {_tally(self.modes)}",
            f"depths   {_tally({f'{bits} bit': n for bits, n in self.bit_depths.items()})}",
            "",
            *_table(self.splits),
            "",
            *_bullets("faults", self.faults),
            *_bullets("notes", self.notes),
        ]
        return "\n".join(lines)


def first_names(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are.

    Example:
        >>> first_names(["a", "b", "c"], most=2)
        'a, b, and 1 more'
    """
    more = f", and {len(names) - most} more" if len(names) > most else ""
    parts = [name.partition("; ") for name in names]
    heads, cures = [part[0] for part in parts], [part[2] for part in parts]
    if len(names) > 1 and cures[0] and len(set(cures)) == 1:  # the cure is given once
        return f"{', '.join(heads[:most])}{more}; {cures[0]}"
    return ", ".join(names[:most]) + more


def _tally(counts: Mapping[str, int]) -> str:
    """What was counted how often, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return first_names([f"{what} ({count})" for what, count in ordered]) or "none"


def _bullets(title: str, sentences: Sequence[str]) -> list[str]:
    """Sentences as a list under a title."""
    head = f"{title}:" if sentences else f"{title}: none"
    return [head, *(f"  - {text}" for text in sentences)]


_ROWS: tuple[tuple[str, Callable[[SplitStatistics], str]], ...] = (
    ("images", lambda part: f"{part.images}"),
    ("  with more than one target", lambda part: _percent(part.several, part.images)),
    ("targets (8-connected)", lambda part: f"{part.targets}"),
    ("  point, at most 9 px", lambda part: _percent(part.point, part.targets)),
    ("  spot, 10 to 81 px", lambda part: _percent(part.spot, part.targets)),
    ("  extended, more than 81 px", lambda part: _percent(part.extended, part.targets)),
    ("area min/5/50/95 %/max, px", lambda part: "/".join(f"{a:.0f}" for a in part.areas) or "-"),
    ("pixels on targets", lambda part: f"{100 * part.target_share:.4f} %"),
    ("gray mean, of 255", lambda part: f"{part.gray_mean:.4f}".replace("nan", "-")),
    ("gray std, of 255", lambda part: f"{part.gray_std:.4f}".replace("nan", "-")),
)


def _table(splits: Mapping[str, SplitStatistics]) -> list[str]:
    """The statistics, one column for each split."""
    head = " " * 28 + "".join(f"{split:>17}" for split in splits)
    rows = (
        f"{title:<28}" + "".join(f"{show(part):>17}" for part in splits.values())
        for title, show in _ROWS
    )
    return [head, *rows]


def _percent(part: int, whole: int) -> str:
    """A count, and its share of a whole."""
    return f"{part} ({100 * part / whole:.1f} %)" if whole else f"{part}"
