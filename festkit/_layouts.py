"""Dataset folders as people have them, recognised by what they hold.

A layout says where images and masks lie and which list files name the splits. The first row of
``LAYOUTS`` that fits a folder decides; a new layout is one more row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

from ._errors import InputError
from ._images import EXTENSIONS


@dataclass(frozen=True)
class Layout:
    """Where a dataset keeps its files; ``{split}`` stands for train or test.

    Attributes:
        name: whose layout it is.
        images: folder of the images.
        masks: folder of the masks, named as the images or with ``_pixels0`` after the name.
        lists: pattern of the list files; empty if every split has folders of its own.
    """

    name: str
    images: str
    masks: str
    lists: str = ""

    def __str__(self) -> str:
        parts = (f"{self.images}/", f"{self.masks}/", self.lists)
        return f"{self.name}: {' '.join(parts).strip()}".replace("{split}", "{train,test}")


LAYOUTS = (
    Layout("BasicIRSTD", "images", "masks", "img_idx/{split}_*.txt"),
    Layout("original SIRST", "images", "masks", "idx_427/{split}.txt"),
    Layout("DNANet", "images", "masks", "*/{split}.txt"),
    Layout("lists beside the folders", "images", "masks", "{split}.txt"),
    Layout("original IRSTD-1k", "IRSTD1k_Img", "IRSTD1k_Label", "{split}.txt"),
    Layout("original IRSTD-1k, DNANet lists", "IRSTD1k_Img", "IRSTD1k_Label", "*/{split}.txt"),
    Layout(
        "original IRSTD-1k, BasicIRSTD lists", "IRSTD1k_Img", "IRSTD1k_Label", "*/{split}_*.txt"
    ),
    Layout("FEST", "{split}/image", "{split}/mask"),
    Layout("FEST, plural", "{split}/images", "{split}/masks"),
)

WITHOUT_LISTS = (
    Layout("no lists", "images", "masks"),
    Layout("original IRSTD-1k, no lists", "IRSTD1k_Img", "IRSTD1k_Label"),
)
"""Looked for last: everything is there but the lists, so that every image is in neither split."""

_LIST_WORDS = {"train": ("trainval", "train"), "test": ("test",)}


@dataclass(frozen=True)
class Pair:
    """An image and its mask on disk; a path without a file says where it was expected."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset folder taken apart.

    Attributes:
        path: the folder.
        layout: the row of ``LAYOUTS`` that it follows.
        splits: the pairs of "train" and "test", in the order of the lists, as often as listed.
        unlisted: pairs whose image is on disk but in neither split.
        lone_masks: masks without an image.
    """

    path: Path
    layout: Layout
    splits: Mapping[str, tuple[Pair, ...]]
    unlisted: tuple[Pair, ...]
    lone_masks: tuple[Path, ...]

    @property
    def lacks_lists(self) -> bool:
        """Whether images and masks are there, but no list of either split."""
        return self.layout in WITHOUT_LISTS

    @property
    def listed(self) -> tuple[Pair, ...]:
        """The pairs of both splits, each once; names that both splits use get theirs in front."""
        pairs = tuple(dict.fromkeys(pair for listed in self.splits.values() for pair in listed))
        if len({pair.name for pair in pairs}) == len(pairs):
            return pairs
        return tuple(
            replace(pair, name=f"{split}_{pair.name}")
            for split, listed in self.splits.items()
            for pair in dict.fromkeys(listed)
        )

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs, listed or not."""
        return (*self.listed, *self.unlisted)


def open_folder(folder: Path) -> DatasetFolder:
    """Recognise a dataset folder and pair its files.

    Raises:
        ValueError: if it follows no known layout, a split has several lists, a list entry leads
            out of the folder, or two files claim one name.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for place in ("train/image", "train/mask"):
        ...     (folder / place).mkdir(parents=True)
        ...     (folder / place / "a.png").touch()
        >>> open_folder(folder).splits["train"][0].name
        'a'
    """
    for layout in LAYOUTS:
        found = _by_lists(folder, layout) if layout.lists else _by_folders(folder, layout)
        if found:
            return found
    for layout in WITHOUT_LISTS:
        if _has_places(folder, layout):
            return _listed(folder, layout, {})
    known = "\n".join(f"  {layout}" for layout in LAYOUTS)
    raise InputError(
        f"{folder} is not laid out as a dataset; it holds {_contents(folder)}. Recognised are\n"
        f"{known}\nwhere the train list may also be called trainval."
    )


def files_by_name(folder: Path) -> dict[str, Path]:
    """The image files of a folder by name, without extension and ``_pixels0``; hidden ones not.

    Raises:
        ValueError: if two files claim one name.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.bmp", "a_pixels0.png", "._b.bmp", "notes.txt"):
        ...     (folder / name).touch()
        >>> list(files_by_name(folder))
        ['a', 'b']
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith("."):
            continue
        name = path.stem.removesuffix("_pixels0")
        if name in files:
            raise InputError(
                f"{folder} holds two files for {name}: {files[name].name} and {path.name};"
                " remove one"
            )
        files[name] = path
    return files


def _by_lists(folder: Path, layout: Layout) -> DatasetFolder | None:
    """The folder if it has the layout's two folders and a list for at least one split."""
    if not _has_places(folder, layout):
        return None
    lists = {split: _find_list(folder, layout.lists, split) for split in _LIST_WORDS}
    return _listed(folder, layout, lists) if any(lists.values()) else None


def _has_places(folder: Path, layout: Layout) -> bool:
    return all((folder / place).is_dir() for place in (layout.images, layout.masks))


def _listed(folder: Path, layout: Layout, lists: Mapping[str, Path | None]) -> DatasetFolder:
    """The folder with its pairs in the splits that have a list."""
    places = folder / layout.images, folder / layout.masks
    images, masks = (files_by_name(place) for place in places)
    splits = {
        split: _pairs(_read_list(path), images, masks, places) if (path := lists.get(split)) else ()
        for split in _LIST_WORDS
    }
    listed = {pair.name for pairs in splits.values() for pair in pairs}
    unlisted = _pairs([name for name in images if name not in listed], images, masks, places)
    return DatasetFolder(folder, layout, splits, unlisted, _lone_masks(images, masks))


def _by_folders(folder: Path, layout: Layout) -> DatasetFolder | None:
    """The folder if at least one split has folders of its own."""
    splits: dict[str, tuple[Pair, ...]] = dict.fromkeys(_LIST_WORDS, ())
    lone: tuple[Path, ...] = ()
    recognised = False
    for split in splits:
        places = tuple(folder / kind.format(split=split) for kind in (layout.images, layout.masks))
        if all(place.is_dir() for place in places):
            recognised = True
            images, masks = (files_by_name(place) for place in places)
            splits[split] = _pairs(images, images, masks, places)
            lone += _lone_masks(images, masks)
    return DatasetFolder(folder, layout, splits, (), lone) if recognised else None


def _pairs(
    names: Iterable[str],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    places: tuple[Path, ...],
) -> tuple[Pair, ...]:
    image_folder, mask_folder = places
    return tuple(
        Pair(name, images.get(name, image_folder / name), masks.get(name, mask_folder / name))
        for name in names
    )


def _lone_masks(images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[Path, ...]:
    return tuple(path for name, path in masks.items() if name not in images)


def _find_list(folder: Path, pattern: str, split: str) -> Path | None:
    for word in _LIST_WORDS[split]:
        found = sorted(folder.glob(pattern.format(split=word)))
        if len(found) > 1:
            names = ", ".join(path.relative_to(folder).as_posix() for path in found)
            raise InputError(
                f"{folder} holds several lists for the {split} split: {names};"
                " keep the one you mean and move the others away"
            )
        if found:
            return found[0]
    return None


def _read_list(path: Path) -> list[str]:
    """The names in a list file, without extensions; blank lines do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file of names ({error})") from error
    return [_name(line.strip(), path) for line in lines if line.strip()]


def _name(entry: str, source: Path) -> str:
    path = PureWindowsPath(entry)  # knows both kinds of slash, drives and shares
    if path.anchor or ".." in path.parts:
        raise InputError(
            f"{source}: entry {entry!r} leads out of the dataset folder;"
            " entries are plain names such as Misc_1 or Misc_1.png"
        )
    return entry.removesuffix(path.suffix) if path.suffix.lower() in EXTENSIONS else entry


def _contents(folder: Path) -> str:
    names = [path.name + "/" * path.is_dir() for path in sorted(folder.iterdir())]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "nothing"
