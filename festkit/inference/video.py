"""The frames of a video."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from .._support.errors import InputError
from ..data.decoding import colour_share
from ..data.images import Raster, format_size
from .frames import Frame, FrameFile, RawFormat, raster_of

VIDEOS = (".avi", ".mp4", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".wmv")

JUDGED = 25
"""Every so many frames it is checked whether a video is in false colours."""


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
            self._start = stream.start_time or 0
            self._seconds = _seconds(container, stream)
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
        number, end, fault, shape = 0, 0.0, "", None
        with self._open() as container:
            try:
                for picture in self._pictures(container):
                    frame = self._frame(picture, number)
                    if (size := frame.raster.levels.shape) != (shape := shape or size):
                        raise InputError(
                            f"{self.path}: frame {number} is {format_size(size)}, the first"
                            f" {format_size(shape)}; cut the video there"
                        )
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
                stream = container.streams.video[0]
                steps = int(number / self.rate / stream.time_base)
                container.seek(self._start + steps, stream=stream)
            try:
                return self._frame(next(self._pictures(container)), number)
            except (StopIteration, OSError, ValueError) as error:
                raise InputError(f"{self.path}: no frame can be read near {number}") from error

    def _frame(self, picture: Any, number: int) -> Frame:
        """A picture in gray."""
        if not hasattr(picture, "format"):
            return Frame(self._stored(bytes(picture)), number, number / self.rate)
        time = number / self.rate
        if picture.pts is not None:
            time = float((picture.pts - self._start) * picture.time_base)
        name, plane = picture.format.name, picture.planes[0]
        if name in ("rgb555le", "rgb565le"):
            stored = np.frombuffer(plane, "<u2").reshape(picture.height, -1)
            name, levels = "gray16le", stored[:, : picture.width]
        elif name.startswith("gray"):
            levels = picture.to_ndarray(format=name)  # of 10 bit, too, as stored
        else:
            deep = picture.format.components[0].bits > 8
            levels = picture.to_ndarray(format="gray16le" if deep else "gray")
        coloured = 0.0
        if name.startswith("gray"):
            levels = levels[::-1] if plane.line_size < 0 else levels  # stored from the bottom
        elif number % JUDGED == 0:
            coloured = colour_share(picture.to_ndarray(format="rgb24"))
        levels = np.ascontiguousarray(np.rot90(levels, round(picture.rotation / 90)))
        raster = Raster(levels, name, 8 * levels.itemsize, coloured=coloured)
        return Frame(raster, number, time)

    def _stored(self, data: bytes) -> Raster:
        """A frame without a codec."""
        raw = cast(RawFormat, self._raw)
        shape, dtype = raw.shape, raw.dtype
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise InputError(
                f"{self.path} has frames of {len(data)} bytes, which are not {format_size(shape)}"
                f" {dtype.name}; check --raw"
            )
        return raster_of(data, shape, dtype)


def _seconds(container: Any, stream: Any) -> float:
    """Length of a video, if stated without its sound; 0 if unknown."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if stated := re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(float, stated.groups())
        return 3600 * hours + 60 * minutes + seconds
    return (container.duration or 0) / 1e6
