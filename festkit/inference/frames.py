"""Frames of any file, one at a time: images, pages, arrays, raw dumps, radiometric JPEG, video.

A file of any length needs the memory of a few frames.
"""

import math
import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from ..data.decoding import orientation, page_sizes
from ..data.images import EXTENSIONS, Raster, colour_share, format_size, read_raster, turn

ARRAYS = (".npy", ".npz")

VIDEOS = (".avi", ".mp4", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".wmv")

RAWS = (".raw", ".bin", ".y16")

STILLS = tuple(suffix for suffix in EXTENSIONS if not suffix.startswith(".tif"))
"""Suffixes of files that hold one frame."""

SUFFIXES = (*EXTENSIONS, *ARRAYS, *VIDEOS, *RAWS)
"""Suffixes of the files that are read."""

COLOURED = 0.01
"""Share of coloured pixels above which an image counts as false-colour; coloured text has less."""

FLIR_MARK, FLIR_WITHIN = b"FLIR\0", 2**20
"""Start of the thermal data in a radiometric JPEG, and the first bytes in which it is."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a file.

    Attributes:
        raster: its gray levels.
        number: its number in the file, from 0.
        time: seconds from the start of a video; None for other files.
        in_celsius: whether the levels are temperatures in °C.
        coloured: share of pixels in false colours.
    """

    raster: Raster
    number: int = 0
    time: float | None = None
    in_celsius: bool = False
    coloured: float = 0.0


@dataclass(frozen=True)
class RawFormat:
    """Shape and type of the frames in a file without a header.

    Attributes:
        shape: (H, W).
        dtype: type of the levels.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """WIDTHxHEIGHT:DTYPE, such as 640x512:uint16; ``be`` after the type is big-endian.

        Raises:
            ValueError: if the text has another form.

        Example:
            >>> RawFormat.parse("640x512:uint16be").shape
            (512, 640)
        """
        found = re.fullmatch(r"(\d+)x(\d+):(u?int8|u?int16|u?int32|float32|float64)(be)?", text)
        if not found or "0" in (found[1], found[2]):
            raise InputError(
                f"raw is {text!r}, expected WIDTHxHEIGHT:DTYPE such as 640x512:uint16"
                " (uint16be for big-endian)"
            )
        dtype = np.dtype(found[3]).newbyteorder("big" if found[4] else "little")
        return cls((int(found[2]), int(found[1])), dtype)


class FrameFile(ABC):
    """The frames of one file: iterate over all, or take one by its number.

    Attributes:
        path: the file.
        count: number of frames; of some videos an estimate, or 0 if unknown.
        rate: frames per second of a video, else 0.
        is_still: whether the file has one frame by its kind, so that its outputs get no folder.
    """

    count: int = 1
    rate: float = 0.0
    is_still: bool = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - most hold no open file
        """Close the file, if it is open."""

    @abstractmethod
    def frame(self, number: int) -> Frame:
        """One frame; of a video, one near this number."""

    def __iter__(self) -> Iterator[Frame]:
        """All frames that can be read, then an error that names the others."""
        faults = []
        for number in self._numbers():
            try:
                yield self.frame(number)
            except InputError as error:
                faults.append(str(error))
        if faults:
            more = f"; and {len(faults) - 3} more frames" if len(faults) > 3 else ""
            raise InputError("; ".join(faults[:3]) + more)

    def _numbers(self) -> Iterator[int]:
        yield from range(self.count)

    def sample(self, most: int) -> Iterator[Frame]:
        """Up to ``most`` evenly spaced frames."""
        numbers = list(self._numbers()) or [0]
        for number in numbers[:: math.ceil(len(numbers) / most)]:
            with suppress(InputError):  # told when its turn comes
                yield self.frame(number)


class ImageFile(FrameFile):
    """A file of one image."""

    is_still = True

    def frame(self, number: int) -> Frame:
        """The image; of a radiometric JPEG its temperatures."""
        if self.path.suffix.lower() in (".jpg", ".jpeg") and _is_radiometric(self.path):
            return Frame(_temperatures(self.path), in_celsius=True)
        raster = read_raster(self.path)
        return Frame(raster, coloured=colour_share(self.path, raster.mode))


class PageFile(FrameFile):
    """The pages of a TIFF that have the size of the first."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._sizes = page_sizes(path)
        self._size = next(iter(self._sizes.values()))
        self.count = len(self._sizes)

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
            raster = read_raster(self.path, page=number)
        except InputError as error:
            raise InputError(f"{error} (page {number})") from error
        return Frame(raster, number)


class ArrayFile(FrameFile):
    """Frames one after the other in a npy file, an array of a npz, or a file without a header."""

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        super().__init__(path)
        self._file = self._open(raw)
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
        stored = np.frombuffer(data, self._dtype).reshape(self._shape)
        levels = stored.astype(self._dtype.newbyteorder("="))
        if not np.isfinite(levels).all():
            raise InputError(f"{self.path}: frame {number} contains NaN or infinity")
        return Frame(Raster(levels, str(levels.dtype), 8 * levels.dtype.itemsize), number)

    def _open(self, raw: RawFormat | None) -> BinaryIO:
        """The file, or the only array of a npz."""
        if self.path.suffix.lower() != ".npz" or raw:
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


class VideoFile(FrameFile):
    """The frames of a video, of 8 bit or more, turned as players show them.

    Uncompressed pictures of 16 bit are gray levels: recorders of infrared cameras write them so,
    though players take them as colours.
    """

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        super().__init__(path)
        self._raw = raw
        with self._open() as container:
            stream = container.streams.video[0]
            self.rate = float(stream.average_rate or stream.base_rate or 25)
            self._stated = stream.frames
            self._seconds = (container.duration or 0) / 1e6
            self.count = stream.frames or round(self._seconds * self.rate)

    def _open(self) -> Any:
        """The open container."""
        try:
            import av  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise InputError(f"{self.path} is a video, which needs PyAV: pip install av") from error
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError) as error:
            raise InputError(
                f"cannot read video {self.path}: {error.strerror}; it may be cut off or damaged"
            ) from error
        if not container.streams.video:
            raise InputError(f"{self.path} holds no video")
        if codec := container.streams.video[0].codec_context:
            codec.thread_type = "AUTO"
        elif self._raw is None:
            raise InputError(
                f"{self.path} has an unknown codec, such as Y16; state the size and type of its"
                " frames: --raw 640x512:uint16"
            )
        return container

    def _pictures(self, container: Any) -> Iterator[Any]:
        """Decoded pictures, or packets as stored if there is no codec."""
        stream = container.streams.video[0]
        if stream.codec_context:
            return cast(Iterator[Any], container.decode(stream))
        return (packet for packet in container.demux(stream) if packet.size)

    def __iter__(self) -> Iterator[Frame]:
        """All frames; one that is cut off gives those before."""
        number, end, fault = 0, 0.0, ""
        with self._open() as container:
            try:
                for picture in self._pictures(container):
                    frame = self._frame(picture, number)
                    yield frame
                    number, end = number + 1, cast(float, frame.time)
            except (OSError, ValueError) as error:  # errors of FFmpeg are of these kinds
                if isinstance(error, InputError):
                    raise
                fault = f" ({error.strerror if isinstance(error, OSError) else error})"
        if not number:
            raise InputError(f"{self.path} holds no frames{fault}")
        if fault or number < self._stated or end + 3 / self.rate < self._seconds:
            of = f" of {self.count}" if self.count > number else ""
            raise InputError(f"{self.path} ends after {number}{of} frames; it is cut off{fault}")

    def frame(self, number: int) -> Frame:
        """A frame near this number: the next one from which decoding can start."""
        with self._open() as container:
            if number and self._seconds:
                container.seek(int(1e6 * number / self.rate))
            try:
                return self._frame(next(self._pictures(container)), number)
            except (StopIteration, OSError, ValueError) as error:
                raise InputError(f"{self.path}: no frame can be read near {number}") from error

    def _frame(self, picture: Any, number: int) -> Frame:
        """A picture in gray."""
        if not hasattr(picture, "format"):
            return Frame(self._stored(bytes(picture)), number, number / self.rate)
        time = number / self.rate if picture.time is None else float(picture.time)
        name, plane = picture.format.name, picture.planes[0]
        deep = picture.format.components[0].bits > 8
        if name in ("rgb555le", "rgb565le"):
            stored = np.frombuffer(plane, "<u2").reshape(picture.height, -1)
            name, levels = "gray16le", stored[:, : picture.width]
        else:
            levels = picture.to_ndarray(format="gray16le" if deep else "gray")
        if name in ("gray", "gray16le") and plane.line_size < 0:  # stored from the bottom
            levels = levels[::-1]
        coloured = 0.0
        if number == 0 and not name.startswith("gray"):
            rgb = picture.to_ndarray(format="rgb24")
            coloured = float((np.ptp(rgb, axis=-1) > 64).mean())
        levels = np.ascontiguousarray(np.rot90(levels, round(picture.rotation / 90)))
        raster = Raster(levels, name, 8 * levels.itemsize)
        return Frame(raster, number, time, coloured=coloured)

    def _stored(self, data: bytes) -> Raster:
        """A frame without a codec."""
        shape, dtype = cast(RawFormat, self._raw).shape, cast(RawFormat, self._raw).dtype
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise InputError(
                f"{self.path} has frames of {len(data)} bytes, which are not {format_size(shape)}"
                f" {dtype.name}; check --raw"
            )
        levels = np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
        return Raster(levels, str(levels.dtype), 8 * levels.itemsize)


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
    if suffix in (".tif", ".tiff") and len(page_sizes(path)) > 1:
        return PageFile(path)
    if suffix in EXTENSIONS:
        return ImageFile(path)
    if raw is None:
        raise InputError(
            f"{path} has no known format; for frames without a header state their size and type:"
            " --raw 640x512:uint16"
        )
    return ArrayFile(path, raw)


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
