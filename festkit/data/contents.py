"""The images and masks, or labels, in the folders of one layout."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from .layouts import Layout
from .levels import FileSet
from .lists import SPLIT_WORDS, ListedNames, unknown_name
from .pairing import Pair, folders_of, named_files, pair_masks
from .weak import PER_IMAGE, Shapes, has_form, read_coco, read_labels, read_rectangles


@dataclass(frozen=True)
class Contents:
    """Files of images and masks, or of labels.

    Attributes:
        images: image files by name.
        masks: of every image that has one, its mask file, or the file of its labels.
        labels: of every image that has them, its weak labels.
        lone_masks: masks and labels without an image.
        others: files that are passed over.
        expected: folders where missing images and masks are expected.
        splits: names by split, where the label files tell.
    """

    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    labels: Mapping[str, Shapes]
    lone_masks: tuple[str, ...]
    others: tuple[Path, ...]
    expected: tuple[Path, Path]
    splits: Mapping[str, list[str]] = field(default_factory=dict)

    @cached_property
    def file_set(self) -> FileSet:
        """The files, which are read alike."""
        masks = () if self.labels else tuple(self.masks.values())
        return FileSet(tuple(self.images.values()), masks)

    def pairs(self, names: Iterable[str], file_set: FileSet | None = None) -> tuple[Pair, ...]:
        """The pairs of some names, on disk or not.

        Args:
            names: names of images.
            file_set: the files that they are read like; None for those here.
        """
        return tuple(
            Pair(
                name,
                self.images.get(name, self.expected[0] / name),
                self.masks.get(name, self.expected[1] / name),
                file_set or self.file_set,
                self.labels.get(name),
            )
            for name in names
        )


def listed_names(layout: Layout, images: Mapping[str, Path], where: Path) -> ListedNames:
    """The images that entries of lists and of label files may name."""
    places = {PurePosixPath(pattern).parent.name for pattern in (*layout.images, *layout.masks)}
    return ListedNames(images, sorted(places - {"", "*"}), where)


def look(root: Path, layout: Layout) -> Contents | None:
    """The files of a layout without ``{split}``; None if its folders or labels are not there."""
    image_places, mask_places = (
        [pattern.rpartition("/")[0] for pattern in kind] for kind in (layout.images, layout.masks)
    )
    if not mask_places:
        return None  # a split that the layout does not have
    for places in (image_places, mask_places):
        if places and not any(folders_of(root, place) for place in places):
            return None
    first, second = (
        root / places[0].replace("*/", "") if places else root
        for places in (image_places, mask_places)
    )
    expected = first, second
    images, others = named_files(root, layout.images)
    if layout.labels:
        bare = Contents(images, {}, {}, (), tuple(others), expected)
        read = _with_label_files if layout.labels in PER_IMAGE else _with_shared_labels
        return read(root, layout, bare)
    files, passed_over = named_files(root, layout.masks)
    mask_files = set(files.values())
    images = {name: path for name, path in images.items() if path not in mask_files}
    paired = pair_masks(images, files)
    if not paired and set(image_places) & set(mask_places):
        return None  # a folder of images alone
    taken = {*images.values(), *mask_files}
    lone = set(files).difference(own for own, _ in paired.values())
    return Contents(
        images,
        {name: path for name, (_, path) in paired.items()},
        {},
        tuple(path.name for name, path in files.items() if name in lone),
        tuple(path for path in dict.fromkeys([*others, *passed_over]) if path not in taken),
        expected,
    )


def _with_label_files(root: Path, layout: Layout, found: Contents) -> Contents | None:
    """The images with labels in a file each."""
    files, others = named_files(root, layout.masks)
    filled = next((path for path in files.values() if path.stat().st_size), None)
    if not files or (filled and not has_form(filled, layout.labels)):
        return None
    return Contents(
        found.images,
        {name: path for name, path in files.items() if name in found.images},
        {name: read_labels(files[name], layout.labels) for name in found.images if name in files},
        tuple(path.name for name, path in files.items() if name not in found.images),
        (*found.others, *others),
        found.expected,
    )


def _with_shared_labels(root: Path, layout: Layout, found: Contents) -> Contents | None:
    """The images with labels in files that hold those of many."""
    masks: dict[str, Path] = {}
    labels: dict[str, Shapes] = {}
    lone: list[str] = []
    splits: dict[str, list[str]] = defaultdict(list)
    for path in (path for pattern in layout.masks for path in sorted(root.glob(pattern))):
        read = _shared_by_name(path, layout, found)
        if read is None:
            continue
        if split := _split_of(path) if layout.labels == "coco" else "":
            splits[split] += read
        lone += [f"{path.name}: {name}" for name in read if name not in found.images]
        labels |= read
        masks |= dict.fromkeys(read, path)
    if not masks:
        return None
    return Contents(found.images, masks, labels, tuple(lone), found.others, found.expected, splits)


def _shared_by_name(path: Path, layout: Layout, found: Contents) -> dict[str, Shapes] | None:
    """The labels in a file by name of the image, on disk or not; None if it holds none."""
    if layout.labels == "rectangles":
        sequence = f"{path.parent.name}/"
        return read_rectangles(path, sorted(n for n in found.images if n.startswith(sequence)))
    names = listed_names(layout, found.images, found.expected[0])
    read = read_coco(path)
    return read and {
        (names.of(file) or [unknown_name(file, path)])[0]: shapes for file, shapes in read.items()
    }


def _split_of(path: Path) -> str:
    """The split that the name of a label file tells; empty if it tells none."""
    words = set(re.split(r"[^a-z]+", path.stem.lower()))
    return next((split for split, known in SPLIT_WORDS.items() if words & set(known)), "")
