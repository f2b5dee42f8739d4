"""Levels of black and white for files of more than 8 bit.

All images of a folder share one pair of levels, and all its masks one level that means "target".
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .decoding import is_deep
from .images import Gray, Raster, read_mask, read_raster

Levels = tuple[float, float]
"""The gray levels of a file that become 0 and 255."""

PERCENTILES = 0.1, 99.99
"""Of all pixels, below black and below white."""

MOST_FILES, MOST_PIXELS = 100, 2**18
"""Largest number of files, and of pixels of each, that the percentiles are taken from."""

FEWEST = 16
"""An image that keeps fewer gray levels is reported, if its file holds more."""


def check_levels(levels: Sequence[float]) -> Levels:
    """Check levels: two numbers, the smaller one first; whole numbers become int.

    Raises:
        ValueError: if they are not.

    Example:
        >>> check_levels((1000, 2000.5))
        (1000, 2000.5)
    """
    try:
        black, white = (float(level) for level in levels)
    except (TypeError, ValueError):
        black = white = math.nan
    if isinstance(levels, str) or not -math.inf < black < white < math.inf:
        raise InputError(
            f"levels are {levels!r}, expected two gray levels of the file that become black"
            " and white (black < white), or 'auto', or None for the full range"
        )
    return _plain(black), _plain(white)


def stretch(levels: NDArray[Any], black_white: Levels) -> Gray:
    """(H, W) levels as 8-bit gray levels, those beyond black and white clipped.

    Example:
        >>> stretch(np.array([[900, 1000, 1400, 3000]]), (1000, 2000))
        array([[  0,   0, 102, 255]], dtype=uint8)
    """
    black, white = black_white
    share = (levels.astype(np.float64) - black) / (white - black)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)


def lost_gray(path: Path, raster: Raster, gray: Gray, black_white: Levels) -> str:
    """Message about an image that keeps few gray levels between black and white; else empty.

    Example:
        >>> ramp = Raster(np.arange(256, dtype=np.uint8)[None], "L", 8)
        >>> lost_gray(Path("a.png"), ramp, stretch(ramp.levels, (0, 255)), (0, 255))
        ''
        >>> lost_gray(Path("a.png"), ramp, stretch(ramp.levels, (0, 16383)), (0, 16383))
        'a.png has 8 bit and levels from 0 to 255; between black 0 and white 16383, 5 gray \
levels remain'
    """
    black, white = black_white
    least, most = raster.levels.min(), raster.levels.max()
    facts = f"{path.name} has {raster.bits} bit and levels from {least:g} to {most:g}"
    beyond = not ((raster.levels >= black) & (raster.levels <= white)).any()
    left = 0 if beyond else len(np.unique(gray))
    if left >= FEWEST or left >= len(np.unique(raster.levels)):
        return ""
    levels = f"{left} gray levels" if left else "no gray levels"
    return f"{facts}; between black {black:g} and white {white:g}, {levels} remain"


def auto_levels(files: Iterable[Path]) -> Levels | None:
    """Black and white of the files of more than 8 bit: percentiles 0.1 and 99.99 of all pixels.

    They are computed from up to 100 evenly spaced files and up to 2¹⁸ pixels of each. One hot pixel
    in ten thousand has no effect; a target brighter than everything else becomes white.

    Returns:
        The levels, or None if all files have 8 bit or less. Unreadable files are ignored.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.arange(1000, 3001, dtype=np.uint16)[None]).save(path)
        >>> auto_levels([path])
        (1002, 2999)
    """
    deep = [path for path in files if path.is_file() and is_deep(path)]
    drawn = deep[:: math.ceil(len(deep) / MOST_FILES) or 1]
    rasters = [raster for path in drawn if (raster := _readable(path))]
    return percentiles(rasters) if rasters else None


def percentiles(rasters: Sequence[Raster], percent: tuple[float, float] = PERCENTILES) -> Levels:
    """Black and white by the pixels of some images; at least one pixel is beyond each.

    Example:
        >>> percentiles([Raster(np.array([[1000, 1001, 4095]], np.uint16), "I;16", 16)])
        (1001, 1002)
    """
    pixels = np.concatenate([thin(raster.levels) for raster in rasters])
    low, high = percent
    black = _plain(np.percentile(pixels, low, method="higher"))
    white = _plain(np.percentile(pixels, high, method="lower"))
    return black, white if white > black else black + 1


def thin(levels: NDArray[Any]) -> NDArray[Any]:
    """Evenly spaced pixels of an image, at most :data:`MOST_PIXELS`.

    Example:
        >>> thin(np.zeros((4, 6))).shape
        (24,)
    """
    return levels.ravel()[:: math.ceil(levels.size / MOST_PIXELS)].copy()


@dataclass(frozen=True, eq=False)
class FileSet:
    """Images and masks of one dataset, read with the same levels.

    Attributes:
        images: all image files of a dataset.
        masks: all its mask files.
    """

    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    @cached_property
    def levels(self) -> Levels | None:
        """See :func:`auto_levels`."""
        return auto_levels(self.images)

    @cached_property
    def top(self) -> int:
        """The highest level that means "target" in one of the masks."""
        return max((raster.top for path in self.masks if (raster := _readable(path))), default=1)

    def gray(self, raster: Raster) -> Gray:
        """An image of the set as 8-bit gray levels."""
        return stretch(raster.levels, self._levels_of(raster)) if raster.is_deep else raster.gray

    def lost_gray(self, path: Path, raster: Raster, gray: Gray) -> str:
        """See :func:`lost_gray`; for an image of the set."""
        if not raster.is_deep:
            return ""
        return lost_gray(path, raster, gray, self._levels_of(raster))

    def _levels_of(self, raster: Raster) -> Levels:
        """Black and white of the set, else of the image itself."""
        return self.levels or percentiles([raster])

    def mask(self, path: Path) -> Raster:
        """A mask of the set; if its levels are ambiguous, the other masks define a target's level.

        Raises:
            ValueError: see :func:`read_mask`.
        """
        raster = read_mask(path)
        full = raster.levels.dtype == np.uint8 and raster.top == 255
        if full or not raster.levels.any():
            return raster
        return read_mask(path, self.top)


def _plain(level: float) -> float:
    """A level as int if it is whole, else to six digits."""
    return int(level) if float(level).is_integer() else float(f"{level:.6g}")


def _readable(path: Path) -> Raster | None:
    """An image file, if it can be read."""
    try:
        return read_raster(path)
    except ValueError:
        return None
