"""Find image files in folders, and pair images with masks by name."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .._support.errors import InputError
from .images import EXTENSIONS, Raster
from .levels import FileSet
from .weak import Shapes, kinds_of

MASK_ENDS = ("", "_pixels0", "_mask", "_gt", "_label")
"""What the name of a mask may add to the name of its image, in the order of the search."""

WEAK_NOTE = "weak.txt"
"""File beside masks that were drawn from weak labels; it says from what."""

_TEXTS = (
    *(".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf"),
    *(".ini", ".db", ".log", ".py", ".sh", ".bat", ".zip"),
)
"""Suffixes of other files that are often found next to images."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask on disk; a path without a file says where it was expected.

    Attributes:
        name: path below the folder of the images, without extension, with slashes.
        image: image file.
        mask: mask file, or the file of the weak labels.
        file_set: the files of the dataset, which are read alike; None reads these two alone.
        labels: weak labels that the mask is drawn from; None for a mask file.
    """

    name: str
    image: Path
    mask: Path
    file_set: FileSet | None = field(default=None, repr=False, compare=False)
    labels: Shapes | None = field(default=None, repr=False, compare=False)

    @property
    def files(self) -> FileSet:
        """The files that these two are read like."""
        return self.file_set or FileSet((self.image,), () if self.labels else (self.mask,))

    def read_mask(self, shape: tuple[int, ...]) -> Raster:
        """The mask; one drawn from labels has the size (H, W) of the image.

        Raises:
            ValueError: if it is not a mask, or a label is outside the image.
        """
        if self.labels is None:
            return self.files.mask(self.mask)
        try:
            return self.labels.raster(shape)
        except InputError as error:
            raise InputError(f"{self.mask}, image {self.name}: {error}") from error


def weak_kinds(pairs: Iterable[Pair]) -> str:
    """What the masks of some pairs are drawn from, such as "boxes"; empty if they are exact.

    Masks that ``festkit data convert`` has drawn are told by a note in their folder.

    Example:
        >>> weak_kinds([Pair("a", Path("a.png"), Path("a.txt"), labels=Shapes(((1, 1),)))])
        'points'
    """
    pairs = tuple(pairs)
    noted = (folder / WEAK_NOTE for folder in {pair.mask.parent for pair in pairs})
    kinds = {note.read_text(encoding="utf-8").strip() for note in noted if note.is_file()}
    kinds.add(kinds_of({pair.name: pair.labels for pair in pairs if pair.labels}))
    return " and ".join(sorted(kinds - {""}))


def find_files(
    folder: Path, *, leave: Path | None = None, deep: bool = True
) -> tuple[list[Path], list[Path]]:
    """Image files in a folder and its subfolders, and files of other formats.

    Hidden files and folders, text files, tables and folders of predictions are ignored.

    Args:
        folder: folder to search.
        leave: a subfolder to skip.
        deep: whether subfolders are searched.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "1").mkdir()
        >>> for name in ("b.bmp", "1/a.png", "._b.bmp", "notes.txt", "c.gif"):
        ...     (folder / name).touch()
        >>> [[path.name for path in paths] for paths in find_files(folder)]
        [['a.png', 'b.bmp'], ['c.gif']]
    """
    found = list(_walk(folder, leave, deep))
    images = [path for path in found if path.suffix.lower() in EXTENSIONS]
    others = [path for path in found if path.suffix.lower() not in (*EXTENSIONS, *_TEXTS)]
    return images, others


def _walk(folder: Path, leave: Path | None = None, deep: bool = True) -> list[Path]:
    """Files that are not hidden, in order."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = [name for name in folders if deep and _is_entered(Path(place, name), leave)]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _raise(error: OSError) -> None:
    """A folder that cannot be read is an error, not an empty one."""
    raise error


def _is_entered(folder: Path, leave: Path | None) -> bool:
    """Whether images are looked for in a folder: not in hidden ones and those of predictions."""
    if folder.name.startswith(".") or (folder / "prediction.json").is_file():
        return False
    place, holders = folder.resolve(), folder.parent.resolve()
    leads_back = folder.is_symlink() and place in (holders, *holders.parents)
    return not leads_back and (leave is None or place != leave.resolve())


def files_by_name(folder: Path) -> dict[str, Path]:
    """Image files of a folder by name without extension and ``_pixels0``; hidden files are ignored.

    Names of files in subfolders start with the subfolder, as in ``1/0001``.

    Raises:
        ValueError: if two files have the same name.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.bmp", "a_pixels0.png", "._b.bmp", "notes.txt"):
        ...     (folder / name).touch()
        >>> list(files_by_name(folder))
        ['a', 'b']
    """
    files: dict[str, Path] = {}
    for path in find_files(folder)[0]:
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix("_pixels0")
        if name in files:
            raise _two_files(name, files[name], path)
        files[name] = path
    return files


def _two_files(name: str, first: Path, second: Path) -> InputError:
    """The error for two files of one name."""
    return InputError(
        f"{first.parent} has two files named {name}: {first.name} and {second.name}; remove one"
    )


def named_files(root: Path, patterns: Iterable[str]) -> tuple[dict[str, Path], list[Path]]:
    """Files by name, of patterns such as ``*/masks/{name}_gt``, and files that are passed over.

    A name of an earlier pattern hides that of a later one.

    Raises:
        ValueError: if one pattern has two files of a name.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "7" / "masks").mkdir(parents=True)
        >>> (root / "7" / "masks" / "0001_gt.png").touch()
        >>> list(named_files(root, ["*/masks/{name}_gt"])[0])
        ['7/0001']
    """
    files: dict[str, Path] = {}
    others: dict[Path, None] = {}
    for pattern in patterns:
        own: dict[str, Path] = {}
        for name, path in _matches(root, pattern, others):
            if name in own:
                raise _two_files(name, own[name], path)
            own[name] = path
        others |= dict.fromkeys(path for name, path in own.items() if name in files)
        files = own | files
    taken = set(files.values())
    return files, [path for path in others if path not in taken]


def _matches(root: Path, pattern: str, others: dict[Path, None]) -> Iterator[tuple[str, Path]]:
    """Names and files of one pattern; files in its folders that do not match join the others."""
    place, _, stem = pattern.rpartition("/")
    before, after = PurePosixPath(stem).stem.split("{name}")
    extension = PurePosixPath(stem).suffix
    for folder in folders_of(root, place):
        parts = folder.relative_to(root).parts
        prefix = "".join(
            f"{part}/" for part, star in zip(parts, place.split("/"), strict=False) if star == "*"
        )
        found = _walk(folder, deep=bool(place)) if extension else None
        images, other = (
            find_files(folder, deep=bool(place))
            if found is None
            else ([path for path in found if path.suffix.lower() == extension], [])
        )
        others |= dict.fromkeys(other)
        for path in images:
            own = path.relative_to(folder).with_suffix("")
            name = own.name.removeprefix(before).removesuffix(after)
            if name and before + name + after == own.name:
                yield prefix + own.with_name(name).as_posix(), path
            else:
                others[path] = None


def folders_of(root: Path, place: str) -> list[Path]:
    """The folders that a pattern names, in order.

    Example:
        >>> folders_of(Path("/nowhere"), "*/masks")
        []
    """
    return sorted(path for path in root.glob(place) if path.is_dir()) if place else [root]


def pair_masks(images: Iterable[str], masks: Mapping[str, Path]) -> dict[str, tuple[str, Path]]:
    """The mask of every image that has one: its name among the masks, and its file.

    Raises:
        ValueError: if an image has two masks.

    Example:
        >>> masks = {"a_mask": Path("a_mask.png"), "a_gt": Path("a_gt.png")}
        >>> [(name, path.name) for name, (_, path) in pair_masks(["a", "a_gt"], masks).items()]
        [('a', 'a_mask.png'), ('a_gt', 'a_gt.png')]
    """
    names = dict.fromkeys(images)
    paired: dict[str, tuple[str, Path]] = {}
    for name in names:
        known = [name + end for end in MASK_ENDS if not end or name + end not in names]
        there = [each for each in known if each in masks]
        if len(there) > 1:
            raise _two_files(name, *(masks[each] for each in there[:2]))
        if there:
            paired[name] = there[0], masks[there[0]]
    return paired
