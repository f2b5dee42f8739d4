"""Layouts of dataset folders, recognised by their contents.

A layout names the folders of images and masks, and the list files of the splits. The first of
``layouts.toml`` that fits a folder decides; a new layout is one more entry there.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from .._support.errors import InputError
from .images import EXTENSIONS
from .levels import FileSet


@dataclass(frozen=True)
class Layout:
    """Locations of the files of a dataset; ``{split}`` stands for train, val or test.

    Attributes:
        name: name of the layout.
        images: folder of the images; ``*`` stands for any folder, which is part of the names.
        masks: folder of the masks, named as the images or with ``_pixels0`` after the name.
        lists: pattern of the list files; empty if every split has folders of its own.
    """

    name: str
    images: str
    masks: str
    lists: str = ""

    def of_split(self, word: str) -> "Layout":
        """The layout with a word for a split in its folders."""
        images, masks = (kind.format(split=word) for kind in (self.images, self.masks))
        return replace(self, images=images, masks=masks)

    def __str__(self) -> str:
        parts = (f"{self.images}/", f"{self.masks}/", self.lists)
        return f"{self.name}: {' '.join(parts).strip()}".replace("{split}", "{train,test}")


_FILE = Path(__file__).with_name("layouts.toml")

_ROWS = [Layout(**row) for row in tomllib.loads(_FILE.read_text("utf-8"))["layout"]]

LAYOUTS = tuple(row for row in _ROWS if row.lists or "{split}" in row.images)

WITHOUT_LISTS = tuple(row for row in _ROWS if row not in LAYOUTS)
"""Looked for last: everything is there but the lists, so that every image is in neither split."""

_WORDS = {"train": ("trainval", "train"), "val": ("val", "validation"), "test": ("test",)}

_ALWAYS = ("train", "test")  # splits that are reported as empty if absent


@dataclass(frozen=True)
class Pair:
    """An image and its mask on disk; a path without a file says where it was expected.

    Attributes:
        name: path below the folder of the images, without extension, with slashes.
        image: image file.
        mask: mask file.
        file_set: the files of the dataset, which are read alike; None reads these two alone.
    """

    name: str
    image: Path
    mask: Path
    file_set: FileSet | None = field(default=None, repr=False, compare=False)

    @property
    def files(self) -> FileSet:
        """The files that these two are read like."""
        return self.file_set or FileSet((self.image,), (self.mask,))


@dataclass(frozen=True)
class DatasetFolder:
    """Content of a dataset folder.

    Attributes:
        path: the folder.
        layout: the row of ``LAYOUTS`` that it follows.
        splits: the pairs of "train", "test" and, where there is one, "val", in the order of the
            lists, as often as listed.
        lists: the list files.
        unlisted: pairs whose image is on disk but in no split.
        lone_masks: masks without an image.
        passed_over: other files and folders, which are ignored.
    """

    path: Path
    layout: Layout
    splits: Mapping[str, tuple[Pair, ...]]
    lists: tuple[Path, ...]
    unlisted: tuple[Pair, ...]
    lone_masks: tuple[Path, ...]
    passed_over: tuple[Path, ...]

    @property
    def lacks_lists(self) -> bool:
        """Whether images and masks are there, but no list of either split."""
        return self.layout in WITHOUT_LISTS

    @property
    def listed(self) -> tuple[Pair, ...]:
        """The pairs of all splits, each once; names used twice are prefixed with the split."""
        pairs = tuple(dict.fromkeys(pair for listed in self.splits.values() for pair in listed))
        if len({pair.name for pair in pairs}) == len(pairs):
            return pairs
        return tuple(
            replace(pair, name=f"{split}_{pair.name}")
            for split, listed in self.splits.items()
            for pair in dict.fromkeys(listed)
        )

    @property
    def fault_of_lists(self) -> str:
        """Error message for lists that name no existing image; empty if they name one."""
        if not self.lists or any(pair.image.is_file() for pair in self.listed):
            return ""
        lists = ", ".join(path.relative_to(self.path).as_posix() for path in self.lists)
        such_as = "".join(f", such as {pair.name}" for pair in self.unlisted[:1])
        return f"the lists ({lists}) name no existing image: write one image name per line{such_as}"

    def trained(self, split: str) -> tuple[Pair, ...]:
        """Pairs of another split that are also in the train split."""
        train = set(self.splits["train"])
        return tuple(pair for pair in dict.fromkeys(self.splits.get(split, ())) if pair in train)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs, listed or not."""
        return (*self.listed, *self.unlisted)


def open_folder(folder: Path) -> DatasetFolder:
    """Recognise a dataset folder and pair its files.

    Raises:
        ValueError: if the layout is not recognised, a split has several lists, a list entry is
            outside the folder, or two files have the same name.

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
        if there := _look(folder, layout):
            return _listed(folder, layout, there, dict.fromkeys(_ALWAYS))
    known = "\n".join(f"  {layout}" for layout in LAYOUTS)
    raise InputError(
        f"{folder} has no known dataset layout; it contains {_contents(folder)}. Known layouts:\n"
        f"{known}\n(train may also be called trainval; a val split is optional)"
    )


def find_files(folder: Path, *, leave: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Image files in a folder and its subfolders, and files of other formats.

    Hidden files and folders, text files, tables and folders of predictions are ignored.

    Args:
        folder: folder to search.
        leave: a subfolder to skip.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "1").mkdir()
        >>> for name in ("b.bmp", "1/a.png", "._b.bmp", "notes.txt", "c.pgm"):
        ...     (folder / name).touch()
        >>> [[path.name for path in paths] for paths in find_files(folder)]
        [['a.png', 'b.bmp'], ['c.pgm']]
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = [name for name in folders if _is_entered(Path(place, name), leave)]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    found.sort()
    images = [path for path in found if path.suffix.lower() in EXTENSIONS]
    others = [path for path in found if path.suffix.lower() not in (*EXTENSIONS, *_TEXTS)]
    return images, others


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


_TEXTS = (
    *(".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf"),
    *(".ini", ".db", ".log", ".py", ".sh", ".bat", ".zip"),
)
"""Suffixes of other files that are often found next to images."""


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
    return _named([("", folder)])[0]


def _named(places: Iterable[tuple[str, Path]]) -> tuple[dict[str, Path], list[Path]]:
    """Image files by name, of folders whose names have a prefix each, and the other files."""
    files: dict[str, Path] = {}
    others: list[Path] = []
    for prefix, folder in places:
        images, passed_over = find_files(folder)
        others += passed_over
        for path in images:
            relative = path.relative_to(folder).with_suffix("").as_posix()
            name = prefix + relative.removesuffix("_pixels0")
            if name in files:
                raise InputError(
                    f"{folder} has two files named {name}: {files[name].name} and {path.name};"
                    " remove one"
                )
            files[name] = path
    return files, others


@dataclass(frozen=True)
class _Found:
    """Files in the folders of images and masks."""

    folders: tuple[Path, Path]
    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    others: tuple[Path, ...]
    file_set: FileSet

    def pairs(self, names: Iterable[str]) -> tuple[Pair, ...]:
        """The pairs of some names, on disk or not."""
        return tuple(map(self._pair, names))

    @property
    def lone_masks(self) -> tuple[Path, ...]:
        """Masks without an image."""
        return tuple(path for name, path in self.masks.items() if name not in self.images)

    def _pair(self, name: str) -> Pair:
        """The pair of a name, on disk or not."""
        image = self.images.get(name, self.folders[0] / name)
        mask = self.masks.get(name, self.folders[1] / name)
        return Pair(name, image, mask, self.file_set)


def _look(folder: Path, layout: Layout) -> _Found | None:
    """The files of a layout's two folders, if these are there."""
    kinds = layout.images, layout.masks
    places = [_places(folder, kind) for kind in kinds]
    if not all(places):
        return None
    (images, deep), (masks, other) = (_named(place) for place in places)
    image_folder, mask_folder = (folder / kind.removeprefix("*/") for kind in kinds)
    file_set = FileSet(tuple(images.values()), tuple(masks.values()))
    return _Found((image_folder, mask_folder), images, masks, (*deep, *other), file_set)


def _places(folder: Path, kind: str) -> list[tuple[str, Path]]:
    """Folders of one kind, and the prefix of the names in each."""
    found = sorted(path for path in folder.glob(kind) if path.is_dir())
    return [(f"{path.parent.name}/" * kind.startswith("*/"), path) for path in found]


def _by_lists(folder: Path, layout: Layout) -> DatasetFolder | None:
    """The folder if it has the layout's two folders and a list for at least one split."""
    lists = {split: _find_list(folder, layout.lists, _WORDS[split], split) for split in _WORDS}
    if lists["val"] and (apart := _find_list(folder, layout.lists, ("train",), "train")):
        lists["train"] = apart  # trainval holds val
    if not any(lists.values()) or (found := _look(folder, layout)) is None:
        return None
    return _listed(folder, layout, found, lists)


def _listed(
    folder: Path, layout: Layout, found: _Found, lists: Mapping[str, Path | None]
) -> DatasetFolder:
    """The folder with its pairs in the splits that have a list."""
    splits = {
        split: found.pairs(_read_list(path, found, layout)) if path else ()
        for split, path in lists.items()
        if path or split in _ALWAYS
    }
    listed = {pair.name for pairs in splits.values() for pair in pairs}
    unlisted = found.pairs(name for name in found.images if name not in listed)
    there = tuple(path for path in lists.values() if path)
    return DatasetFolder(folder, layout, splits, there, unlisted, found.lone_masks, found.others)


def _by_folders(folder: Path, layout: Layout) -> DatasetFolder | None:
    """The folder if at least one split has folders of its own."""
    by_split = {
        split: next(filter(None, (_look(folder, layout.of_split(word)) for word in words)), None)
        for split, words in _WORDS.items()
    }
    there = [found for found in by_split.values() if found]
    if not there:
        return None
    images = tuple(path for found in there for path in found.images.values())
    masks = tuple(path for found in there for path in found.masks.values())
    whole = FileSet(images, masks)
    splits = {
        split: replace(found, file_set=whole).pairs(found.images) if found else ()
        for split, found in by_split.items()
        if found or split in _ALWAYS
    }
    apart = set(folder.glob(layout.images.format(split="*"))) - {each.folders[0] for each in there}
    others = sorted(path for path in apart if path.is_dir())
    others += [path for found in there for path in found.others]
    lone_masks = tuple(path for found in there for path in found.lone_masks)
    return DatasetFolder(folder, layout, splits, (), (), lone_masks, tuple(others))


def _find_list(folder: Path, pattern: str, words: Iterable[str], split: str) -> Path | None:
    """The list of a split, under the first of some words that has one."""
    for word in words:
        found = sorted(folder.glob(pattern.format(split=word)))
        if len(found) > 1:
            names = ", ".join(path.relative_to(folder).as_posix() for path in found)
            raise InputError(
                f"{folder} has several lists for the {split} split: {names};"
                " keep one and move the others away"
            )
        if found:
            return found[0]
    return None


def _read_list(path: Path, found: _Found, layout: Layout) -> list[str]:
    """Names of images in a list file; entries without an image stay as they are."""
    lines = [line.strip() for line in _decode(path, found, layout).splitlines()]
    by_line = {line: _names_of(line, found, layout, path) for line in lines if line}
    for line, names in by_line.items():
        if len(names) > 1 and len(by_line) > 1:
            raise InputError(
                f"{path}: entry {line!r} names the images {', '.join(names)}, but the list has"
                " more lines, so one column may be a label; write one image name per line"
            )
    return [name for line in lines if line for name in by_line[line]]


def _decode(path: Path, found: _Found, layout: Layout) -> str:
    """A list as text: in the first encoding in which all its names are images, else in UTF-8."""
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "utf-16", "gb18030"):
        with suppress(UnicodeDecodeError):
            text = data.decode(encoding)
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if all(_known_names(line, found, layout) for line in lines):
                return text
    text = data.decode("utf-8-sig", errors="replace")
    if not {"\0", "\N{REPLACEMENT CHARACTER}"}.intersection(text):
        return text
    raise InputError(
        f"{path} is not a list of names in UTF-8 and, read as UTF-16 or GBK, names no"
        f" images in {found.folders[0]}; save it as UTF-8, one image name per line"
    )


def _names_of(line: str, found: _Found, layout: Layout, source: Path) -> list[str]:
    """The images that a line of a list names; those that are not there by the line itself."""
    if known := _known_names(line, found, layout):
        return known
    path = PureWindowsPath(line)  # knows both kinds of slash, drives and shares
    if path.anchor or ".." in path.parts:
        raise InputError(
            f"{source}: entry {line!r} is outside the dataset folder;"
            " write plain names such as Misc_1 or Misc_1.png"
        )
    return [_without_extension(line)]


def _known_names(line: str, found: _Found, layout: Layout) -> list[str]:
    """The images that a line names, each once: as a whole, or all its columns; else none."""
    if whole := _known_name(line, found.images, layout):
        return [whole]
    columns = line.replace(",", " ").replace(";", " ").split()
    names = [_known_name(column, found.images, layout) for column in columns]
    return [] if None in names else list(dict.fromkeys(name for name in names if name))


def _known_name(entry: str, images: Collection[str], layout: Layout) -> str | None:
    """The image that an entry means: its name, or a path to its image or mask, if there is one."""
    parts = [part for part in PureWindowsPath(entry.strip("\"'")).as_posix().split("/") if part]
    candidates = [parts]
    for kind in (layout.images, layout.masks):
        place = PurePosixPath(kind).name
        if place in parts:
            last = len(parts) - 1 - parts[::-1].index(place)
            before = parts[last - 1 : last] if kind.startswith("*/") else []
            candidates.append(before + parts[last + 1 :])
    for candidate in candidates:
        name = "/".join(part for part in candidate if part != ".")
        bare = _without_extension(name)
        for form in (bare, bare.removesuffix("_pixels0"), name):
            if form in images:
                return form
    return None


def _without_extension(name: str) -> str:
    """A name without the extension of an image file."""
    suffix = PureWindowsPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in EXTENSIONS else name


def what_is_there(pair: Pair) -> str:
    """Suggestions for the name of a missing image, for an error message.

    Example:
        >>> files = FileSet((Path("images/1/0001.png"),), ())
        >>> what_is_there(Pair("0001", Path("images/0001"), Path("masks/0001"), files))
        '; 0001.png is in images/1 (.png, .bmp, .jpg, .jpeg, .tif, .tiff are read)'
    """
    there = (*pair.image.parent.glob("*"), *pair.files.images)
    by_stem = {path.stem: path for path in there}
    nearest = [by_stem[stem] for stem in difflib.get_close_matches(pair.image.name, by_stem, 1)]
    read = ", ".join(EXTENSIONS)
    return "".join(f"; {path.name} is in {path.parent} ({read} are read)" for path in nearest)


def _contents(folder: Path) -> str:
    """The first eight files and folders in a folder, for a message."""
    names = [path.name + "/" * path.is_dir() for path in sorted(folder.iterdir())]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "nothing"
