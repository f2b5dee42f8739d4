"""One image file as a network looks at it: 8-bit gray levels, of any bit depth."""

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._images import Raster, read_raster
from .._levels import Levels, check_levels, lost_gray, percentiles, stretch

AskedLevels = Levels | Literal["auto"] | None
"""Black and white; or their choice by the files; or the full range of the files."""

DARK_SHARE, NARROW_SHARE = 1 / 4, 1 / 16
"""Of the full range: brightest level, and spread of the pixels, that leave 8 bit too little."""

_OWN_LEVELS = (
    "Take levels of its own range, or 'auto' (--levels auto), with a folder for each sensor"
)


def read_image(path: str | Path, levels: AskedLevels = "auto") -> NDArray[np.uint8]:
    """Read an image file as 8-bit gray levels.

    The file is turned as its EXIF orientation says.

    Args:
        path: a png, bmp, jpg or tif file: gray, RGB, RGBA, palette or 1-bit, 8 or 16 bit; TIFF
            also of 32 or 64 bit, signed, or float.
        levels: the gray levels (black, white) of the file that become 0 and 255, those beyond are
            clipped. "auto" takes a file of 8 bit as it is, and of a deeper one the percentiles 0.1
            and 99.99 of its pixels. None takes the file's full range, to 65535 for 16 bit. For
            several images of a sensor take the same levels, white above its targets.

    Returns:
        (H, W) uint8. A warning says so where an image keeps few gray levels, or none.

    Raises:
        ValueError: for levels that are not black < white; if the file is missing, truncated, no
            image, or holds several images; for None where signed or float levels have no full
            range.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "12bit.png"
        >>> Image.fromarray(np.array([[1000, 1400, 3000]], np.uint16)).save(path)
        >>> read_image(path, levels=(1000, 2000))
        array([[  0, 102, 255]], dtype=uint8)
    """
    gray, complaint = read_levels(path, check_asked(levels))
    if complaint:
        warnings.warn(complaint, stacklevel=2)
    return gray


def read_levels(
    path: str | Path, levels: AskedLevels, chosen: Levels | None = None
) -> tuple[NDArray[np.uint8], str]:
    """As :func:`read_image`, with what it warns of, or an empty text.

    Args:
        path: image file.
        levels: as :func:`check_asked` leaves them.
        chosen: what "auto" is for all files of a folder; None takes the file by itself.
    """
    raster = read_raster(path)
    if levels is None:
        return raster.gray, _few_levels(Path(path), raster)
    if isinstance(levels, str):
        if not raster.is_deep:
            return raster.gray, ""
        levels = chosen or percentiles([raster])
    gray = stretch(raster.levels, levels)
    lost = lost_gray(Path(path), raster, gray, levels)
    return gray, lost and f"{lost}. {_OWN_LEVELS}"


def check_asked(levels: AskedLevels) -> AskedLevels:
    """Levels as they may be asked for.

    Raises:
        ValueError: if they are neither "auto" nor None nor two numbers, the smaller one first.

    Example:
        >>> check_asked("auto"), check_asked((1000, 2000))
        ('auto', (1000, 2000))
    """
    if levels is None or (isinstance(levels, str) and levels == "auto"):
        return levels
    return check_levels(levels)


def _few_levels(path: Path, raster: Raster) -> str:
    if not raster.is_deep:
        return ""
    top = np.iinfo(raster.levels.dtype).max
    low, high = (int(level) for level in np.percentile(raster.levels, (1, 99)))
    brightest = int(raster.levels.max())
    if brightest >= DARK_SHARE * top and high - low >= NARROW_SHARE * top:
        return ""
    return (
        f"{path.name} has {raster.bits} bit, but 98 % of its pixels lie between levels {low} and "
        f"{high}, the brightest at {brightest}: at its full range it is nearly one gray. Say which "
        "levels become black and white (levels, or --levels BLACK WHITE), white above the targets, "
        "or take 'auto'"
    )
