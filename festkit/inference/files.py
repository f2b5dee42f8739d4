"""Files of frames: images, TIFF pages, arrays, raw dumps, radiometric JPEG, video.

A file of any length needs the memory of a few frames.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from ..data.decoding import open_tiff, orientation, page_sizes
from ..data.images import EXTENSIONS, Raster, format_size, read_raster, turn
from .frames import Frame, FrameFile, RawFormat, raster_of
from .video import VIDEOS, VideoFile

ARRAYS = (".npy", ".npz")

RAWS = (".raw", ".bin", ".y16")

STILLS = tuple(suffix for suffix in EXTENSIONS if not suffix.startswith(".tif"))
"""Suffixes of files that hold one frame."""

SUFFIXES = (*EXTENSIONS, *ARRAYS, *VIDEOS, *RAWS)
"""Suffixes of the files that are read."""

FLIR_MARK, FLIR_WITHIN = b"FLIR\0", 2**20
"""Start of the thermal data in a radiometric JPEG, and the first bytes in which it is."""


def open_frames(path: Path, raw: RawFormat | None = None) -> FrameFile:
    """Open a file of frames; nothing but its header is read.

    Raises:
        ValueError: if the file is of another format, is damaged or holds no frames, or needs a
            package that is not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "film.npy"
        >>> np.save(path, np.zeros((2, 4, 6), np.uint16))
        >>> [(frame.number, frame.raster.levels.shape) for frame in open_frames(path)]
        [(0, (4, 6)), (1, (4, 6))]
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"{path} is no longer there")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty")
    if suffix in ARRAYS:
        return ArrayFile(path)
    if suffix in VIDEOS:
        return VideoFile(path, raw)
    if suffix in (".tif", ".tiff") and len(sizes := page_sizes(path)) > 1:
        return PageFile(path, sizes)
    if suffix in EXTENSIONS:
        return ImageFile(path)
    if raw is None:
        raise InputError(
            f"{path} has no known format; for frames without a header state their size and type:"
            " --raw 640x512:uint16"
        )
    return ArrayFile(path, raw)


class ImageFile(FrameFile):
    """A file of one image."""

    is_still = True

    def frame(self, number: int) -> Frame:
        """The image; of a radiometric JPEG its temperatures."""
        if self.path.suffix.lower() in (".jpg", ".jpeg") and _is_radiometric(self.path):
            return Frame(_temperatures(self.path), in_celsius=True)
        return Frame(read_raster(self.path))


class PageFile(FrameFile):
    """The pages of a TIFF that have the size of the first."""

    def __init__(self, path: Path, sizes: Mapping[int, tuple[int, int]]) -> None:
        super().__init__(path)
        self._tiff, self._sizes = open_tiff(path), sizes
        self._size = next(iter(sizes.values()))
        self.count = len(sizes)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()

    def _numbers(self) -> Iterator[int]:
        yield from self._sizes

    def frame(self, number: int) -> Frame:
        """One page."""
        if (size := self._sizes.get(number)) != self._size and size:
            raise InputError(
                f"{self.path}: page {number} is {format_size(size)}, the first page"
                f" {format_size(self._size)}; save it to its own file"
            )
        try:
            raster = read_raster(self.path, self._tiff.pages[number].aspage())
        except InputError as error:
            raise InputError(f"{error} (page {number})") from error
        return Frame(raster, number)


class ArrayFile(FrameFile):
    """Frames one after the other in a npy file, an array of a npz, or a file without a header."""

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        super().__init__(path)
        self._file = self._open()
        shape, self._dtype = self._raw_shape(raw) if raw else self._header()
        self._start = self._file.tell()
        self.count, self._shape = shape[0], shape[1:]
        self._bytes = math.prod(self._shape) * self._dtype.itemsize
        if not self.count or not self._bytes:
            raise InputError(f"{path} holds no frames")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def frame(self, number: int) -> Frame:
        """One frame; in order, a compressed file is read once."""
        self._file.seek(self._start + number * self._bytes)
        data = self._file.read(self._bytes)
        if len(data) < self._bytes:
            raise InputError(f"{self.path} is cut off in frame {number} of {self.count}")
        raster = raster_of(data, self._shape, self._dtype)
        if not np.isfinite(raster.levels).all():
            raise InputError(f"{self.path}: frame {number} contains NaN or infinity")
        return Frame(raster, number)

    def _open(self) -> BinaryIO:
        """The file, or the only array of a npz."""
        if self.path.suffix.lower() != ".npz":
            return self.path.open("rb")
        try:
            with zipfile.ZipFile(self.path) as archive:  # stays open for its member
                names = [name for name in archive.namelist() if name.endswith(".npy")]
                if len(names) != 1:
                    held = ", ".join(name.removesuffix(".npy") for name in names) or "none"
                    raise InputError(f"{self.path} holds the arrays {held}; save one alone")
                return cast(BinaryIO, archive.open(names[0]))
        except zipfile.BadZipFile as error:
            raise InputError(f"cannot read {self.path}: {error}") from error

    def _raw_shape(self, raw: RawFormat) -> tuple[tuple[int, int, int], np.dtype[Any]]:
        """Shape (N, H, W) and type of a file without a header."""
        frame = math.prod(raw.shape) * raw.dtype.itemsize
        count, rest = divmod(self.path.stat().st_size, frame)
        if rest:
            raise InputError(
                f"{self.path} is no whole number of frames of {format_size(raw.shape)}"
                f" {raw.dtype.name}: {count} frames and {rest} bytes; check --raw, or cut the last"
                " bytes off"
            )
        return (count, *raw.shape), raw.dtype

    def _header(self) -> tuple[tuple[int, int, int], np.dtype[Any]]:
        """Shape (N, H, W) and type by the header of the array."""
        try:
            version = np.lib.format.read_magic(self._file)
            read = np.lib.format.read_array_header_1_0
            read = read if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, in_columns, dtype = read(self._file)
        except (ValueError, EOFError) as error:
            raise InputError(f"cannot read {self.path}: {error}") from error
        if dtype.kind not in "uif" or in_columns or len(shape) not in (2, 3):
            order = " in Fortran order" if in_columns else ""
            raise InputError(
                f"{self.path} holds {shape} {dtype}{order}, expected numbers (N, H, W) in C order"
            )
        if len(shape) == 3 and shape[2] <= 4:
            raise InputError(
                f"{self.path} holds {shape}, channels last; save one channel (N, H, W)"
            )
        shape = shape if len(shape) == 3 else (1, *shape)
        return (shape[0], shape[1], shape[2]), dtype


def _is_radiometric(path: Path) -> bool:
    """Whether a JPEG holds thermal data of a FLIR camera."""
    with path.open("rb") as file:
        return FLIR_MARK in file.read(FLIR_WITHIN)


def _temperatures(path: Path) -> Raster:
    """Temperatures [°C] of a radiometric JPEG."""
    try:
        import flyr  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(
            f"{path} is a radiometric JPEG, whose temperatures need flyr: pip install flyr"
        ) from error
    try:
        celsius: NDArray[Any] = flyr.unpack(str(path)).celsius.astype(np.float32)
    except Exception as error:  # damaged files make it fail in many ways
        raise InputError(f"cannot read the temperatures of {path}: {error}") from error
    if not np.isfinite(celsius).all():
        raise InputError(f"{path} contains NaN or infinity")
    return turn(Raster(celsius, "celsius", 32), orientation(path))
