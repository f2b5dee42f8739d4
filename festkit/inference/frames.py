"""What a frame is, and a file of frames that is read one at a time."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from .._support.errors import InputError
from ..data.images import Raster
from ..data.report import first_names


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a file.

    Attributes:
        raster: its gray levels.
        number: its number in the file, from 0.
        time: seconds from the start of a video; None for other files.
        in_celsius: whether the levels are temperatures in °C.
    """

    raster: Raster
    number: int = 0
    time: float | None = None
    in_celsius: bool = False


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
        found = re.fullmatch(
            r"([1-9]\d*)x([1-9]\d*):(u?int8|u?int16|u?int32|float32|float64)(be)?", text
        )
        if not found:
            raise InputError(
                f"raw is {text!r}, expected WIDTHxHEIGHT:DTYPE such as 640x512:uint16"
                " (uint16be for big-endian)"
            )
        dtype = np.dtype(found[3]).newbyteorder("big" if found[4] else "little")
        return cls((int(found[2]), int(found[1])), dtype)


def raster_of(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Raster:
    """The levels of a frame without a header.

    Example:
        >>> raster_of(bytes([1, 2]), (1, 1), np.dtype(">u2")).levels
        array([[258]], dtype=uint16)
    """
    levels = np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return Raster(levels, str(levels.dtype), 8 * levels.itemsize)


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
        faults: list[str] = []
        for number in self._numbers():
            try:
                yield self.frame(number)
            except InputError as error:
                faults.append(str(error))
        if faults:
            raise InputError(first_names(faults, most=3))

    def _numbers(self) -> Iterator[int]:
        yield from range(self.count)

    def sample(self, most: int) -> Iterator[Frame]:
        """Up to ``most`` evenly spaced frames."""
        numbers = list(self._numbers()) or [0]
        for number in numbers[:: math.ceil(len(numbers) / most)]:
            with suppress(InputError):  # told when its turn comes
                yield self.frame(number)
