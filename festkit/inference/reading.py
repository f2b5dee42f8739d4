"""One image file as a network looks at it: 8-bit gray levels, of any bit depth."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._errors import InputError
from .._images import Raster, read_raster

Levels = tuple[int, int]
"""The gray levels of a file that become 0 and 255."""

HIGHEST = 65535
"""Of 16 bit."""

DARK, NARROW = 2**14, 2**12
"""Brightest level of a 16-bit image, and spread of its pixels, that leave 8 bit too little."""


def read_image(path: str | Path, levels: Levels | None = None) -> NDArray[np.uint8]:
    """Read an image file as 8-bit gray levels, as datasets are read.

    Args:
        path: a png, bmp, jpg or tif file of 8 or 16 bit: gray, RGB, RGBA, palette or 1-bit.
        levels: the gray levels (black, white) of the file that become 0 and 255, those beyond are
            clipped: what a sensor of 12 or 14 bit needs. None takes the file's full range, to 255
            or 65535. Take the same for all images of a sensor, and white above its targets.

    Returns:
        (H, W) uint8. A warning says so where a 16-bit image keeps few gray levels.

    Raises:
        ValueError: for levels that are not 0 <= black < white <= 65535, or if the file is missing,
            truncated, no image, of another depth, or holds several images.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "12bit.png"
        >>> Image.fromarray(np.array([[1000, 1400, 3000]], np.uint16)).save(path)
        >>> read_image(path, levels=(1000, 2000))
        array([[  0, 102, 255]], dtype=uint8)
    """
    gray, complaint = read_levels(path, levels)
    if complaint:
        warnings.warn(complaint, stacklevel=2)
    return gray


def read_levels(path: str | Path, levels: Levels | None) -> tuple[NDArray[np.uint8], str]:
    """As :func:`read_image`, with what it warns of, or an empty text."""
    if levels is None:
        raster = read_raster(path)
        return raster.gray, _few_levels(Path(path), raster)
    black, white = check_levels(levels)
    share = (read_raster(path).levels.astype(np.float64) - black) / (white - black)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8), ""


def check_levels(levels: Levels) -> Levels:
    """The levels, if they are two that a file can hold.

    Raises:
        ValueError: if they are not.

    Example:
        >>> check_levels((1000, 2000))
        (1000, 2000)
    """
    if len(levels) != 2 or not 0 <= levels[0] < levels[1] <= HIGHEST:
        raise InputError(
            f"levels are {levels}, expected two, the file's gray levels that become black and "
            f"white: 0 <= black < white <= {HIGHEST}"
        )
    return int(levels[0]), int(levels[1])


def _few_levels(path: Path, raster: Raster) -> str:
    if raster.bits < 16:
        return ""
    low, high = (int(level) for level in np.percentile(raster.levels, (1, 99)))
    brightest = int(raster.levels.max())
    if brightest >= DARK and high - low >= NARROW:
        return ""
    return (
        f"{path.name} has 16 bit, but 98 % of its pixels lie between levels {low} and {high}, "
        f"the brightest at {brightest}: as it stands it is nearly one gray. Say which levels "
        "become black and white (levels, or --levels BLACK WHITE), white above the targets"
    )
