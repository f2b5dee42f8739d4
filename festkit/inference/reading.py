"""Read image files of any bit depth as 8-bit gray levels; predict large frames in tiles."""

import math
import warnings
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .._support.arguments import check_number
from .._support.errors import InputError
from .._support.files import check_path
from ..backbones.forward import gray_image
from ..data.images import Raster, colour_share, read_raster
from ..data.levels import Levels, check_levels, lost_gray, percentiles, stretch
from ..fest import FEST

AskedLevels = Levels | Literal["auto", "full"] | None
"""Black and white; or their choice by the files; or the full range of the files."""

DARK_SHARE, NARROW_SHARE = 1 / 4, 1 / 16
"""Shares of the full range: brightest level and spread of pixels that are too low for 8 bit."""

_OWN_LEVELS = "Use levels within its range, or 'auto' (--levels auto) with one folder per sensor"


def read_image(path: str | Path, levels: AskedLevels = "auto") -> NDArray[np.uint8]:
    """Read an image file as 8-bit gray levels.

    The EXIF orientation is applied.

    Args:
        path: a png, bmp, jpg or tif file: gray, RGB, RGBA, palette or 1-bit, 8 or 16 bit. TIFF may
            also have 32 or 64 bit, signed integers, or floats.
        levels: gray levels (black, white) of the file that become 0 and 255; levels outside are
            clipped. "auto" keeps 8-bit files unchanged and uses the percentiles 0.1 and 99.99 of
            the pixels of deeper files. "full" or None uses the full range, up to 65535 for 16 bit.
            Use the same levels for all images of a sensor, with white above the targets.

    Returns:
        (H, W) uint8. A warning is issued if few gray levels remain or the image is in false
        colours.

    Raises:
        ValueError: if not black < white; if the file is missing, truncated, not an image, or
            contains several images; or for None with signed or float levels, which have no full
            range.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "12bit.png"
        >>> Image.fromarray(np.array([[1000, 1400, 3000]], np.uint16)).save(path)
        >>> read_image(path, levels=(1000, 2000))
        array([[  0, 102, 255]], dtype=uint8)
    """
    check_path("path", path)
    gray, complaint = read_levels(path, check_asked(levels))
    if complaint:
        warnings.warn(complaint, stacklevel=2)
    return gray


def read_levels(
    path: str | Path, levels: AskedLevels, chosen: Levels | None = None
) -> tuple[NDArray[np.uint8], str]:
    """Like :func:`read_image`; returns the image and the warning, or an empty string.

    Args:
        path: image file.
        levels: the result of :func:`check_asked`.
        chosen: levels of "auto" for all files of a folder; None computes them from this file.
    """
    raster = read_raster(path)
    if levels is None and raster.is_deep:
        return raster.gray, _few_levels(Path(path), raster)
    if levels is None or (isinstance(levels, str) and not raster.is_deep):
        return raster.gray, _false_colours(Path(path), raster)
    if isinstance(levels, str):
        levels = chosen or percentiles([raster])
    gray = stretch(raster.levels, levels)
    lost = lost_gray(Path(path), raster, gray, levels)
    return gray, lost and f"{lost}. {_OWN_LEVELS}"


def check_asked(levels: AskedLevels) -> AskedLevels:
    """Check the argument ``levels`` of :func:`read_image`.

    Raises:
        ValueError: if they are neither "auto" nor None nor two numbers, the smaller one first.

    Example:
        >>> check_asked("auto"), check_asked((1000, 2000))
        ('auto', (1000, 2000))
    """
    if levels is None or (isinstance(levels, str) and levels == "full"):
        return None
    if isinstance(levels, str) and levels == "auto":
        return "auto"
    return check_levels(levels)


COLOURED = 0.01
"""Share of coloured pixels above which an image counts as false-colour; coloured text has less."""


def _false_colours(path: Path, raster: Raster) -> str:
    """A complaint about an image in false colours, or an empty text."""
    if colour_share(path, raster.mode) <= COLOURED:
        return ""
    return (
        f"{path.name} is a colour picture, and its gray levels depend on the hue: hot red is "
        "darker than yellow. Save the image in gray"
    )


def _few_levels(path: Path, raster: Raster) -> str:
    """A complaint about an image that uses little of its range, or an empty text."""
    top = np.iinfo(raster.levels.dtype).max
    low, high = (int(level) for level in np.percentile(raster.levels, (1, 99)))
    brightest = int(raster.levels.max())
    if brightest >= DARK_SHARE * top and high - low >= NARROW_SHARE * top:
        return ""
    return (
        f"{path.name} has {raster.bits} bit, but 98 % of its pixels lie between levels {low} and "
        f"{high}, the brightest at {brightest}; scaled to the full range it is nearly uniform. "
        "Pass the levels of black and white (levels, or --levels BLACK WHITE), with white above "
        "the targets, or 'auto'"
    )


OVERLAP = 0.25
"""Least share of a square that its neighbour sees, too: wider than any target is long."""

FEW = 9
"""Number of squares that are cheap at any size."""


def tiled_maps(fest: FEST, image: NDArray[Any] | Tensor, tile: int) -> list[NDArray[np.float32]]:
    """Probability maps of a large image, one per network, merged from overlapping tiles.

    Images are resized to the network's input, so small targets in large frames may vanish. Here
    each network processes square tiles of the frame instead. Tiles overlap by at least a quarter.
    Overlapping maps are averaged, weighted by the distance to the tile's edge. Pass the maps to
    :meth:`FEST.detect`, which treats a target on a tile border as one. A warning is issued if tiles
    are far larger than the input size, or if there are many far smaller ones.

    Args:
        fest: networks and thresholds.
        image: gray image (H, W), see :meth:`FEST.scale_maps`.
        tile: side of the tiles [px], at least 16. Use about the size of the training images, so
            that targets appear as large as in training. Smaller images are one tile.

    Returns:
        (H, W) float32 in [0, 1] per network, in the order of the sizes.

    Raises:
        ValueError: if ``tile`` is not a whole number of at least 16, or see
            :meth:`FEST.scale_maps`.

    Example:
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
        >>> [prob.shape for prob in tiled_maps(fest, np.zeros((70, 100), np.uint8), 32)]
        [(70, 100)]
    """
    check_number("tile", tile)
    if tile < 16 or tile != int(tile):
        raise InputError(f"tile is {tile}, expected a whole number of px, at least 16")
    if len(fest.networks) < len(fest.backbones):
        raise InputError("tile is for networks; detectors take whole images: leave tile out")
    tile = int(tile)
    image = gray_image(image)
    height, width = image.shape
    totals = [np.zeros((height, width), np.float32) for _ in fest.backbones]
    weights = np.zeros((height, width), np.float32)
    corners = list(product(_starts(height, tile), _starts(width, tile)))
    side, size = min(tile, max(image.shape)), max(fest.backbones)
    warn_if_shrunk(f"tiles of {side} px", side, fest)
    if len(corners) > FEW and 4 * side < size:
        warnings.warn(
            f"tiles of {side} px are enlarged to {size} px; each of the {len(corners)} tiles per "
            "image takes as long as a whole image. Set tile (--tile) to about the size of the "
            "training images",
            stacklevel=2,
        )
    for top, left in corners:
        place = slice(top, top + tile), slice(left, left + tile)
        maps = fest.scale_maps(image[place])
        weight = _weight(maps[0].shape)
        weights[place] += weight
        for total, prob in zip(totals, maps, strict=True):
            total[place] += weight * prob
    return [np.minimum(total / weights, 1) for total in totals]


def warn_if_shrunk(images: str, side: int, fest: FEST) -> None:
    """Warn if small targets may vanish because images of this longer side [px] are shrunk.

    Detectors take every image at its own size.
    """
    size = max((size for size in fest.backbones if isinstance(size, int)), default=side)
    if side >= 2 * size:
        warnings.warn(
            f"{images} are shrunk to {size} px, so small targets may vanish; use tiles of about "
            f"{size} px (tile, --tile)",
            stacklevel=4,
        )


def _starts(length: int, tile: int) -> list[int]:
    """Where squares begin along a side: from end to end, evenly."""
    if length <= tile:
        return [0]
    steps = math.ceil((length - tile) / (tile * (1 - OVERLAP)))
    return [round(k * (length - tile) / steps) for k in range(steps + 1)]


def _weight(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Rises from the edges of a square to its middle, nowhere 0."""
    rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in shape)
    return np.outer(rows, columns).astype(np.float32)
