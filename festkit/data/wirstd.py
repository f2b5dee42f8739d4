"""The W-IRSTD land/air subset: the images of W-IRSTD that public datasets contain.

W-IRSTD, the main dataset of the FEST paper, is not public. 2,841 of its 9,000 images are those of
NUDT-SIRST, IRSTD-1K and SIRST-V2. ``wirstd.csv`` names the source of each, with the area of its
mask and its split: a public split of W-IRSTD with the counts of the paper (7,200/1,800). FEST's
own lists are unpublished, so the paper's numbers are not comparable.
"""

import csv
import filecmp
import io
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .._support.errors import ExistingFileError, InputError, MissingFileError
from .._support.files import flush_folder, write_text
from .._support.locks import file_lock
from .._support.progress import progress
from .catalogue import dataset_card, find_folder, known_card
from .folders import DatasetFolder, open_folder
from .pairing import Pair
from .report import first_names

TITLE = "W-IRSTD land/air subset"

CAUTION = (
    "Images are identified by the areas of their masks, for SIRST-V2 also by their sizes; the"
    f" pixels of W-IRSTD were not compared. Call these images the {TITLE}, not W-IRSTD."
)

_SOURCES = {
    "NUDT-SIRST": ("NUDT-SIRST",),
    "IRSTD-1K": ("IRSTD-1K",),
    "SIRST-V2": ("SIRST-V2", "NUAA-SIRST"),
}
"""Datasets that hold the images of each source; NUAA-SIRST has 427 of the 513 of SIRST-V2."""

_FILE = Path(__file__).with_name("wirstd.csv")


@dataclass(frozen=True)
class SubsetRow:
    """One image of the subset.

    Attributes:
        id: its number in W-IRSTD, five digits.
        source: NUDT-SIRST, IRSTD-1K or SIRST-V2.
        name: its name there.
        area: pixels of its mask above 127.
        split: train or test.
    """

    id: str
    source: str
    name: str
    area: int
    split: str


@dataclass(frozen=True)
class SubsetReport:
    """Content of a built subset; ``str(report)`` is formatted for a terminal.

    Attributes:
        folder: the built folder.
        rows: the images in it.
        missing: images that no source folder has.
        other_area: images left out because their mask has another area than listed.
        leaks: images shared with the splits of the sources, one sentence each.
    """

    folder: Path
    rows: tuple[SubsetRow, ...]
    missing: tuple[SubsetRow, ...]
    other_area: tuple[SubsetRow, ...]
    leaks: tuple[str, ...]

    def split(self, split: str) -> list[str]:
        """Numbers of the images of a split."""
        return [row.id for row in self.rows if row.split == split]

    def __str__(self) -> str:
        listed = self.rows + self.missing + self.other_area
        train, test = len(self.split("train")), len(self.split("test"))
        lines = [
            f"{TITLE}: {len(self.rows)} of {len(listed)} images, {train}/{test} train/test",
            f"folder: {self.folder}",
            "",
            f"{'source':<12}{'listed':>8}{'written':>9}{'missing':>9}{'other mask area':>17}",
        ]
        for source in _SOURCES:
            groups = (listed, self.rows, self.missing, self.other_area)
            counts = (sum(row.source == source for row in group) for group in groups)
            lines.append("{:<12}{:>8}{:>9}{:>9}{:>17}".format(source, *counts))
        for what, rows in (("missing", self.missing), ("other mask area", self.other_area)):
            names = [f"{row.source} {row.name}" for row in rows]
            lines += [f"{what}, left out: {first_names(names)}"] if names else []
        lines += ["", "leaks:", *(f"  - {leak}" for leak in self.leaks), "", CAUTION]
        return "\n".join(lines)


def subset_rows() -> tuple[SubsetRow, ...]:
    """The 2,841 images of the subset, by number.

    Example:
        >>> subset_rows()[1327]
        SubsetRow(id='01328', source='IRSTD-1K', name='XDU0', area=32, split='train')
    """
    with _FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            SubsetRow(number, source, name, int(area), split)
            for number, source, name, area, split in list(csv.reader(file))[1:]
        )


def build_wirstd(folder: str | Path, *, root: str | Path | None = None) -> SubsetReport:
    """Build the W-IRSTD land/air subset from copies of its sources.

    Images and masks are copied under their numbers in W-IRSTD; ``origin.csv`` names the source of
    each. An image whose mask has another area than listed is left out. The folder is complete once
    it exists; after an interruption the same call continues.

    Args:
        folder: the folder to create, such as ``data/W-IRSTD-land-air-subset``.
        root: folder of the datasets NUDT-SIRST, IRSTD-1K and SIRST-V2 (or NUAA-SIRST for 427 of
            its images); default the environment's FESTKIT_DATA, else ``data``. Images of absent
            datasets are counted as missing.

    Raises:
        FileExistsError: if the folder exists.
        FileNotFoundError: if no source is under the root.
        ValueError: if the folder has the name of another public dataset, or no image is left.

    Example:
        >>> import tempfile, numpy as np
        >>> from PIL import Image
        >>> root, mask = Path(tempfile.mkdtemp()), np.zeros((8, 8), np.uint8)
        >>> mask[:3, :3] = 255
        >>> for place in ("train/image", "train/mask"):
        ...     (root / "NUDT-SIRST" / place).mkdir(parents=True)
        ...     Image.fromarray(mask).save(root / "NUDT-SIRST" / place / "000001.png")
        >>> report = build_wirstd(root / "subset", root=root)
        >>> len(report.rows), len(report.missing)
        (1, 2840)
    """
    folder = Path(folder).expanduser()
    _check_name(folder)
    sources = _open_sources(root)
    part = folder.with_name(f".{folder.name}.part")
    with file_lock(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            raise ExistingFileError(f"{folder} exists; remove it, or choose another folder")
        report = _copy(part, folder, sources)
        _write_texts(part, report)
        flush_folder(part)
        part.rename(folder)
    return report


def _check_name(folder: Path) -> None:
    """Refuse the names of other public datasets, for which the folder would be taken."""
    card = known_card(folder.name)
    if card and card != dataset_card(TITLE):
        raise InputError(
            f"{folder} would be taken for {card.name}; name it {dataset_card(TITLE).name}"
        )


def _open_sources(root: str | Path | None) -> dict[str, DatasetFolder]:
    """The source datasets that are under the root, by name."""
    found: dict[str, DatasetFolder] = {}
    for name in dict.fromkeys(name for names in _SOURCES.values() for name in names):
        try:
            found[name] = open_folder(find_folder(name, root)[1])
        except MissingFileError as error:
            absent = error
    if not found:
        raise MissingFileError(f"none of {', '.join(_SOURCES)} is there: {absent}")
    return found


def _copy(part: Path, folder: Path, sources: Mapping[str, DatasetFolder]) -> SubsetReport:
    """Copy the images whose masks have the listed area, and remove what else is in the folder."""
    pairs = {(name, pair.name): pair for name, of in sources.items() for pair in of.pairs}
    rows: list[SubsetRow] = []
    missing: list[SubsetRow] = []
    other_area: list[SubsetRow] = []
    kept: set[Path] = set()
    for row in progress(subset_rows(), f"building {TITLE}", unit="image"):
        keys = ((name, row.name) for name in _SOURCES[row.source])
        pair = next((pairs[key] for key in keys if key in pairs), None)
        if pair is None or not (pair.image.is_file() and pair.mask.is_file()):
            missing.append(row)
        elif pair.files.mask(pair.mask).mask.sum() != row.area:
            other_area.append(row)
        else:
            rows.append(row)
            kept |= _copy_pair(pair, part, row.id)
    if not rows:
        names = [f"{row.source} {row.name}" for row in (*other_area, *missing)]
        raise InputError(
            f"no image of the {TITLE} is in {', '.join(sources)}: {first_names(names)}"
        )
    for path in set(part.glob("*/*")) - kept:
        path.unlink()
    leaks = tuple(_leaks(rows, sources))
    return SubsetReport(folder, tuple(rows), tuple(missing), tuple(other_area), leaks)


def _copy_pair(pair: Pair, part: Path, number: str) -> set[Path]:
    """Copy an image and its mask, unless an earlier call did."""
    targets = set()
    for source, place in ((pair.image, "images"), (pair.mask, "masks")):
        target = part / place / f"{number}{source.suffix.lower()}"
        targets.add(target)
        if not (target.is_file() and filecmp.cmp(source, target, shallow=False)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return targets


def _leaks(rows: Iterable[SubsetRow], sources: Mapping[str, DatasetFolder]) -> Iterable[str]:
    """What the subset shares with the splits of its sources."""
    yield (
        "NUAA-SIRST is part of SIRST-V2, and SIRST-V2 of W-IRSTD: do not train on one and test on"
        " another"
    )
    split_of = {(name, row.name): row.split for row in rows for name in _SOURCES[row.source]}
    for name, source in sources.items():
        for theirs, ours in (("test", "train"), ("train", "test")):
            names = {pair.name for pair in source.splits[theirs]}
            shared = sum(split_of.get((name, each)) == ours for each in names)
            if shared:
                yield (
                    f"{shared} of the {len(names)} {theirs} images of {name} are in the"
                    f" {ours} list of the {TITLE}"
                )


def _write_texts(part: Path, report: SubsetReport) -> None:
    """Write the lists, the origin of every image and the report."""
    name = dataset_card(TITLE).name
    for split in ("train", "test"):
        write_text(part / f"img_idx/{split}_{name}.txt", "\n".join(report.split(split)) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(SubsetRow.__dataclass_fields__)
    writer.writerows(tuple(vars(row).values()) for row in report.rows)
    write_text(part / "origin.csv", table.getvalue())
    write_text(part / "README.txt", f"{report}\n")
