"""Large frames: looked at square by square, so that small targets are not shrunk away."""

import math
import warnings
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .._errors import InputError
from ..fest import FEST
from ..fusion import gray_image

OVERLAP = 0.25
"""Least share of a square that its neighbour sees, too: wider than any target is long."""


FEW = 9
"""So many squares cost little, whatever their size."""


def tiled_maps(fest: FEST, image: NDArray[Any] | Tensor, tile: int) -> list[NDArray[np.float32]]:
    """Every network's probability map of a large image, put together from overlapping squares.

    A network sees an image resized to its input size. A frame far larger than that is shrunk, and
    its small targets with it. Here each network sees squares of the frame instead; where squares
    overlap (by a quarter, or more where that makes them fit), their maps are averaged, each
    weighted by the distance to the square's edge. The maps go to :meth:`FEST.detect`, so that a
    target on a seam is one target. Squares far larger than the input size, or many far smaller
    ones, bring a warning.

    Args:
        fest: networks and thresholds.
        image: (H, W) gray, as :meth:`FEST.scale_maps` takes it.
        tile: side of the squares [px], at least 16; the size of the training images, or whatever
            shows targets as large as they were there. Where the image is smaller, it is not cut.

    Returns:
        (H, W) float32 in [0, 1] per network, in the order of the sizes.

    Raises:
        ValueError: for a side that is no whole number from 16 on, or as :meth:`FEST.scale_maps`.

    Example:
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
        >>> [prob.shape for prob in tiled_maps(fest, np.zeros((70, 100), np.uint8), 32)]
        [(70, 100)]
    """
    if tile < 16 or tile != int(tile):
        raise InputError(f"tile is {tile}, expected the side of a square, whole and at least 16 px")
    tile = int(tile)
    image = gray_image(image)
    height, width = image.shape
    totals = [np.zeros((height, width), np.float32) for _ in fest.backbones]
    weights = np.zeros((height, width), np.float32)
    corners = list(product(_starts(height, tile), _starts(width, tile)))
    _warn_of_resizing(min(tile, max(image.shape)), max(fest.backbones), squares=len(corners))
    for top, left in corners:
        place = slice(top, top + tile), slice(left, left + tile)
        maps = fest.scale_maps(image[place])
        weight = _weight(maps[0].shape)
        weights[place] += weight
        for total, prob in zip(totals, maps, strict=True):
            total[place] += weight * prob
    return [np.minimum(total / weights, 1) for total in totals]


def _warn_of_resizing(tile: int, size: int, *, squares: int) -> None:
    if tile >= 2 * size:
        warnings.warn(
            f"squares of {tile} px are shrunk to {size} px, and small targets with them; a smaller "
            "tile (--tile) shows them",
            stacklevel=3,
        )
    if squares > FEW and 4 * tile < size:
        warnings.warn(
            f"squares of {tile} px are enlarged to {size} px, each at the cost of a whole image, "
            f"{squares} of them an image; tile (--tile) is best about the size of the training "
            "images",
            stacklevel=3,
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
