"""Read the lists of the splits, in the forms in which people write them."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path, PureWindowsPath

from .._support.errors import InputError
from .images import EXTENSIONS
from .pairing import MASK_ENDS

SPLIT_WORDS = {
    "train": ("trainval", "train"),
    "val": ("val", "validation"),
    "test": ("test",),
}
"""What lists and folders call the splits."""


def find_lists(folder: Path, patterns: Iterable[str]) -> dict[str, Path]:
    """The list of every split that has one, of the first pattern with any.

    Raises:
        ValueError: if a split has several lists.

    Example:
        >>> find_lists(Path("/nowhere"), ["{split}.txt"])
        {}
    """
    for pattern in patterns:
        lists = {
            split: path
            for split, words in SPLIT_WORDS.items()
            if (path := _find_list(folder, pattern, words, split))
        }
        if "val" in lists and (apart := _find_list(folder, pattern, ("train",), "train")):
            lists["train"] = apart  # trainval holds val
        if lists:
            return lists
    return {}


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


class ListedNames:
    """The images that the entries of a list may name.

    Args:
        images: names of the images on disk.
        folders: names of the folders of images and masks, which entries may hold.
        where: the folder of the images, for messages.

    Example:
        >>> names = ListedNames(["1/0001", "1/0002"], ["images", "masks"], Path("images"))
        >>> names.of("images/1/0001.png"), names.of("/1/0002"), names.of("1"), names.of("2")
        (['1/0001'], ['1/0002'], ['1/0001', '1/0002'], [])
    """

    def __init__(self, images: Collection[str], folders: Collection[str], where: Path) -> None:
        self.images = images
        self.folders = folders
        self.where = where

    @cached_property
    def sequences(self) -> dict[str, list[str]]:
        """The images of every folder that names have."""
        found = defaultdict(list)
        for name in self.images:
            found[name.rpartition("/")[0]].append(name)
        found.pop("", None)
        return found

    def of(self, line: str) -> list[str]:
        """The images that a line names, each once: as a whole, or all its columns; else none.

        A line that names a folder names all its images.
        """
        if whole := self._of_entry(line):
            return whole
        words = line.replace(",", " ").replace(";", " ").split()
        columns = [self._of_entry(word) for word in words]
        return list(dict.fromkeys(chain(*columns))) if all(columns) else []

    def _of_entry(self, entry: str) -> list[str]:
        """The images of an entry: a name, a path to an image or its mask, or a folder."""
        parts = [part for part in PureWindowsPath(entry.strip("\"'")).as_posix().split("/") if part]
        for candidate in self._candidates([part for part in parts if part != "."]):
            name = "/".join(candidate)
            bare = without_extension(name)
            forms = (bare, *(bare.removesuffix(end) for end in MASK_ENDS), name)
            for form in forms:
                if form in self.images:
                    return [form]
            if name in self.sequences:
                return self.sequences[name]
        return []

    def _candidates(self, parts: list[str]) -> Iterable[list[str]]:
        """Parts of a path that may be the name, the most likely first."""
        yield parts
        for folder in self.folders:
            if folder in parts:
                last = len(parts) - 1 - parts[::-1].index(folder)
                yield parts[last + 1 :]
                yield parts[last - 1 : last] + parts[last + 1 :]
        yield parts[-3:-2] + parts[-1:]  # as Sequence1/Mix/00001.mat


def read_list(path: Path, names: ListedNames) -> list[str]:
    """Names of images in a list file; entries without an image stay as they are.

    Raises:
        ValueError: if it is no text, an entry is outside the folder, or a line has a second column
            that may be a label.
    """
    lines = [line.strip() for line in _decode(path, names).splitlines()]
    if any(line.startswith("/") and names.of(line) for line in lines):  # as /41/1(297) of IRDST
        lines = [line.lstrip("/") for line in lines]
    by_line = {line: names.of(line) or [unknown_name(line, path)] for line in lines if line}
    for line, found in by_line.items():
        if len(found) > 1 and len(by_line) > 1 and found not in names.sequences.values():
            raise InputError(
                f"{path}: entry {line!r} names the images {', '.join(found)}, but the list has"
                " more lines, so one column may be a label; write one image name per line"
            )
    return [name for line in lines if line for name in by_line[line]]


def _decode(path: Path, names: ListedNames) -> str:
    """A list as text: in the first encoding in which all its names are images, else in UTF-8."""
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "utf-16", "gb18030"):
        with suppress(UnicodeDecodeError):
            text = data.decode(encoding)
            if all(map(names.of, filter(None, map(str.strip, text.splitlines())))):
                return text
    text = data.decode("utf-8-sig", errors="replace")
    if not {"\0", "\N{REPLACEMENT CHARACTER}"}.intersection(text):
        return text
    raise InputError(
        f"{path} is not a list of names in UTF-8 and, read as UTF-16 or GBK, names no"
        f" images in {names.where}; save it as UTF-8, one image name per line"
    )


def unknown_name(line: str, source: Path) -> str:
    """The name of an image that is not there.

    Raises:
        ValueError: if the entry is outside the dataset folder.

    Example:
        >>> unknown_name("1/a.png", Path("train.txt"))
        '1/a'
    """
    path = PureWindowsPath(line)  # knows both kinds of slash, drives and shares
    if path.anchor or ".." in path.parts:
        raise InputError(
            f"{source}: entry {line!r} is outside the dataset folder;"
            " write plain names such as Misc_1 or Misc_1.png"
        )
    return without_extension(line)


def without_extension(name: str) -> str:
    """A name without the extension of an image or of a stack of frames.

    Example:
        >>> [without_extension(name) for name in ("1/a.1.PNG", "1/00001.mat", "a.1")]
        ['1/a.1', '1/00001', 'a.1']
    """
    suffix = PureWindowsPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in (*EXTENSIONS, ".mat") else name
