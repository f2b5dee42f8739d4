"""Which files to read: paths, folders, globs, lists and standard input, each file under a name."""

import glob
import hashlib
import os
import posixpath
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .._support.errors import InputError, MissingFileError
from ..data.pairing import find_files
from ..data.report import first_names
from .files import STILLS, SUFFIXES, open_frames
from .frames import FrameFile, RawFormat
from .video import VIDEOS


@dataclass(frozen=True)
class Source:
    """A file of frames.

    Attributes:
        path: the file.
        name: path below the folder that was given, with slashes; the outputs are named after it.
        raw: how to read a file without a header.
    """

    path: Path
    name: str
    raw: RawFormat | None = None

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return str(PurePosixPath(self.name).with_suffix(""))

    @property
    def folder(self) -> str:
        """The part of the name before the last slash."""
        return str(PurePosixPath(self.name).parent)

    @property
    def group(self) -> str:
        """Its folder and format, such as "1/*.tif": files that are taken for those of a sensor."""
        return str(PurePosixPath(self.name).parent / f"*{self.path.suffix.lower()}")

    def stem_of(self, frame: int, *, of_many: bool) -> str:
        """Name of a frame without extension; numbered if the file holds several."""
        return f"{self.stem}/{frame:06}" if of_many else self.stem

    @property
    def is_video(self) -> bool:
        """Whether the file is a video."""
        return self.path.suffix.lower() in VIDEOS

    def open(self) -> FrameFile:
        """See :func:`open_frames`."""
        return open_frames(self.path, self.raw)

    def stamp(self) -> tuple[int, int]:
        """Size and time of the last change of the file."""
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns

    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Sources:
    """Files of frames, and what is not read.

    Attributes:
        files: the files in order.
        roots: the folders below which they are named.
        others: files of folders that are of unknown formats.
    """

    files: tuple[Source, ...]
    roots: tuple[str, ...]
    others: tuple[Path, ...]


def find_sources(
    given: Sequence[str | Path], *, leave: Path | None = None, raw: RawFormat | None = None
) -> Sources:
    """Files of frames by their names.

    Args:
        given: files; folders, which are searched with their subfolders; globs such as
            "flights/*/*.tif"; text files (.txt) with a path per line, relative to the list; or "-",
            the paths on standard input.
        leave: a folder that is not searched.
        raw: how to read files without a header.

    Raises:
        FileNotFoundError: if a path does not exist or holds no frames.
        ValueError: if there are no paths, or two files have the same name.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "1").mkdir()
        >>> for name in ("1/a.png", "b.avi", "c.gif"):
        ...     (folder / name).touch()
        >>> found = find_sources([folder], leave=folder / "out")
        >>> [source.name for source in found.files], [path.name for path in found.others]
        (['1/a.png', 'b.avi'], ['c.gif'])
    """
    files: dict[Path, tuple[str, str]] = {}
    others: list[Path] = []
    for one in given:
        root, found, unknown = _expand(str(one), leave)
        others += unknown
        for path in found:
            name = path.relative_to(root).as_posix()
            files.setdefault(path.resolve(), (name, str(root.resolve())))
    if not files:
        raise InputError("no images given; pass files of frames, or folders of them")
    sources = [Source(path, name, raw) for path, (name, _) in files.items()]
    _check_names(sources)
    roots = sorted({root for _, root in files.values()})
    return Sources(tuple(sources), tuple(roots), tuple(others))


def _expand(given: str, leave: Path | None) -> tuple[Path, list[Path], list[Path]]:
    """Root, files and unread files of one argument."""
    path = Path(given)
    if given == "-":
        return _together(_listed(sys.stdin, Path()), "standard input")
    if path.is_dir():
        images, unknown = find_files(path, leave=leave)
        found = sorted([*images, *(file for file in unknown if file.suffix.lower() in SUFFIXES)])
        others = [file for file in unknown if file.suffix.lower() not in SUFFIXES]
        if not found:
            read = ", ".join(SUFFIXES)
            more = f"; {not_read(others)}" if others else ""
            raise MissingFileError(f"{path} contains no images ({read}){more}")
        return path, found, others
    if path.suffix.lower() == ".txt" and path.is_file():
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"the list {path} is not text in UTF-8; save it as UTF-8") from error
        return _together(_listed(text.splitlines(), path.parent), given)
    if path.exists():
        return path.parent, [path], []
    if not glob.has_magic(given):
        raise MissingFileError(f"no such image file or folder: {path}")
    matches = (Path(match) for match in sorted(glob.glob(given, recursive=True)))
    return _together((match for match in matches if match.is_file()), given)


def _listed(lines: Iterable[str], folder: Path) -> Iterator[Path]:
    """The paths of a list, one per line."""
    for line in lines:
        if text := line.strip().strip("\"'"):
            path = folder / text
            if not path.is_file():
                raise MissingFileError(f"the list names {text}, but there is no file {path}")
            yield path


def _together(paths: Iterable[Path], given: str) -> tuple[Path, list[Path], list[Path]]:
    """Files that are named below the deepest folder which holds all of them."""
    found = [Path(os.path.abspath(path)) for path in paths]
    if not found:
        raise MissingFileError(f"{given} names no files")
    return Path(os.path.commonpath([path.parent for path in found])), found, []


def _check_names(sources: Sequence[Source]) -> None:
    """Refuse files whose outputs would have one name, also on disks that ignore case."""
    first: dict[str, Source] = {}
    for source in sources:
        other = first.setdefault(source.stem.casefold(), source)
        if other is not source:
            raise InputError(
                f"{other.path} and {source.path} would have the same output name; rename one, or"
                " pass each format alone, such as '*.tif', with its own out folder"
            )
        if source.name.encode(errors="replace") != os.fsencode(source.name):
            raise InputError(f"the name of {source.path!r} is not text (UTF-8); rename the file")
    for source in sources:
        inside, number = posixpath.split(source.stem.casefold())
        film = first.get(inside) if number.isdecimal() else None
        if film and film.path.suffix.lower() not in STILLS:
            raise InputError(
                f"frames of {film.path} would have the names of files such as {source.path};"
                " write them to different folders"
            )


def not_read(others: Sequence[Path]) -> str:
    """What to say of files of unknown formats.

    Example:
        >>> not_read([Path("a.gif")])
        'unknown formats are not read: a.gif; save them as png, tif or npy'
    """
    names = first_names([*map(str, others)])
    return f"unknown formats are not read: {names}; save them as png, tif or npy"
