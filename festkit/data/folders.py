"""Recognise the layout of a dataset folder by what it holds, and pair its files."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from .._support.errors import InputError
from .contents import Contents, listed_names, look
from .images import EXTENSIONS
from .layouts import LAYOUTS, Layout
from .levels import FileSet
from .lists import SPLIT_WORDS, find_lists, read_list
from .pairing import Pair, find_files, folders_of, weak_kinds

_ALWAYS = ("train", "test")  # splits that are reported as empty if absent


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
        lone_masks: masks and labels without an image.
        passed_over: files in the folders of the layout that are ignored.
    """

    path: Path
    layout: Layout
    splits: Mapping[str, tuple[Pair, ...]]
    lists: tuple[Path, ...]
    unlisted: tuple[Pair, ...]
    lone_masks: tuple[str, ...]
    passed_over: tuple[Path, ...]

    @property
    def rule(self) -> str:
        """The layout, and the lists that are used."""
        lists = [path.relative_to(self.path).as_posix() for path in self.lists]
        return " ".join([f"{self.layout.title}: {self.layout.places}", *lists])

    @property
    def lacks_lists(self) -> bool:
        """Whether images and masks are there, but no list of either split."""
        return not (self.layout.by_folder or self.lists or any(self.splits.values()))

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

    @property
    def weak(self) -> str:
        """What the masks are drawn from, such as boxes; empty if they are masks."""
        return weak_kinds(self.pairs)

    @cached_property
    def cut_sequences(self) -> tuple[str, ...]:
        """Sequences with frames in the train or val split and in the test split."""
        if not self.layout.sequences:
            return ()
        train, val, test = (
            {pair.name.rpartition("/")[0] for pair in self.splits.get(split, ())} - {""}
            for split in ("train", "val", "test")
        )
        if self.layout.by_folder:  # each split numbers its own
            return ()
        return tuple(sorted((train & test) | (train & val) | (val & test)))

    def unused_folders(self) -> tuple[str, ...]:
        """Folders of images that the layout does not use."""
        if not self.pairs:
            return ()
        used = {path.parent for pair in self.pairs for path in (pair.image, pair.mask)}
        used |= {path.parent for path in self.passed_over} | {self.path}
        holding = dict.fromkeys(path.parent for path in find_files(self.path)[0])
        unused = [path for path in holding if path not in used]
        return tuple(f"{path.relative_to(self.path).as_posix()}/" for path in unused)


def open_folder(folder: Path) -> DatasetFolder:
    """Recognise a dataset folder and pair its files.

    Raises:
        ValueError: if the layout is not recognised, a split has several lists, a list entry is
            outside the folder, two files have the same name, or the folder holds several datasets.

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
        found = {
            root: opened
            for place in layout.roots
            for root in folders_of(folder, place)
            if _has_needs(root, layout) and (opened := _open(folder, root, layout))
        }
        if len(found) > 1:
            names = ", ".join(map(str, found))
            raise InputError(f"{folder} holds several datasets; choose one of {names}")
        if found:
            return next(iter(found.values()))
    known = "\n".join(f"  {layout}" for layout in LAYOUTS)
    raise InputError(
        f"{folder} has no known dataset layout; it contains {_contents(folder)}. Known layouts:\n"
        f"{known}\n(train may also be called trainval; a val split is optional)"
    )


def _has_needs(root: Path, layout: Layout) -> bool:
    """Whether everything is there that a layout needs."""
    return all(
        any(next(root.glob(each.strip()), None) for each in need.split("|"))
        for need in layout.needs
    )


def _open(folder: Path, root: Path, layout: Layout) -> DatasetFolder | None:
    """The folder, if it follows the layout."""
    if layout.by_folder:
        return _by_folders(folder, root, layout)
    lists = find_lists(root, layout.lists)
    if not lists and layout.needs:
        lists = find_lists(folder, ["{split}.txt"])  # as festkit data split writes them
    if not lists and not layout.needs:
        return None
    found = look(root, layout)
    return _listed(folder, layout, found, lists) if found else None


def _listed(
    folder: Path, layout: Layout, found: Contents, lists: Mapping[str, Path]
) -> DatasetFolder:
    """The folder with its pairs in the splits that have a list."""
    names = listed_names(layout, found.images, found.expected[0])
    listed = {split: read_list(path, names) for split, path in lists.items()} or found.splits
    splits = {
        split: found.pairs(listed.get(split, ()))
        for split in SPLIT_WORDS
        if split in listed or split in _ALWAYS
    }
    taken = {pair.name for pairs in splits.values() for pair in pairs}
    unlisted = found.pairs(name for name in found.images if name not in taken)
    there = tuple(lists.values())
    return DatasetFolder(folder, layout, splits, there, unlisted, found.lone_masks, found.others)


def _by_folders(folder: Path, root: Path, layout: Layout) -> DatasetFolder | None:
    """The folder if at least one split has folders of its own."""
    by_split: dict[str, Contents] = {}
    for split, words in SPLIT_WORDS.items():
        looked = (look(root, layout.of_split(split, word)) for word in words)
        if found := next(filter(None, looked), None):
            by_split[split] = found
    if not by_split:
        return None
    each = by_split.values()
    whole = FileSet(
        tuple(path for found in each for path in found.file_set.images),
        tuple(path for found in each for path in found.file_set.masks),
    )
    splits = {
        split: by_split[split].pairs(by_split[split].images, whole) if split in by_split else ()
        for split in SPLIT_WORDS
        if split in by_split or split in _ALWAYS
    }
    lone = tuple(name for found in each for name in found.lone_masks)
    others = tuple(path for found in each for path in found.others)
    return DatasetFolder(folder, layout, splits, (), (), lone, others)


def what_is_there(pair: Pair) -> str:
    """Suggestions for the name of a missing image, for an error message.

    Example:
        >>> files = FileSet((Path("images/1/0001.png"),), ())
        >>> what_is_there(Pair("0001", Path("images/0001"), Path("masks/0001"), files))
        '; 0001.png is in images/1 (.png, .bmp, .jpg, .jpeg, .pgm, .tif, .tiff are read)'
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
