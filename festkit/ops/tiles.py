"""Overlapping square tiles of an image, and the blending of their maps."""

import math
from collections.abc import Iterable
from itertools import product

import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.25
"""Least share of a tile that its neighbour sees, too: wider than any target is long."""


def tile_corners(shape: tuple[int, int], side: int) -> list[tuple[int, int]]:
    """Top and left of the tiles of an image, evenly from edge to edge, row by row.

    Args:
        shape: (H, W) of the image.
        side: side of the tiles [px]; an image that is shorter has one tile in that direction.

    Example:
        >>> tile_corners((32, 70), 32)
        [(0, 0), (0, 19), (0, 38)]
    """
    height, width = shape
    return list(product(_starts(height, side), _starts(width, side)))


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along a side of the image."""
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side * (1 - OVERLAP)))
    return [round(k * (length - side) / steps) for k in range(steps + 1)]


def blend_tiles(
    parts: Iterable[tuple[tuple[int, int], NDArray[np.float32]]], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Average the overlapping maps of tiles, weighted by the distance to the tile's edge.

    Args:
        parts: corner (top, left) of each tile, and its maps (..., h, w) in [0, 1]. Together the
            tiles cover the image.
        shape: (..., H, W) of the result.

    Returns:
        (..., H, W) float32 in [0, 1].

    Example:
        >>> ones = np.ones((2, 2), np.float32)
        >>> blend_tiles([((0, 0), ones), ((0, 1), 0 * ones)], (2, 3))[0]
        array([1. , 0.5, 0. ], dtype=float32)
    """
    total, weights = np.zeros(shape, np.float32), np.zeros(shape[-2:], np.float32)
    for (top, left), maps in parts:
        height, width = maps.shape[-2:]
        place = slice(top, top + height), slice(left, left + width)
        weight = _weight((height, width))
        weights[place] += weight
        total[(..., *place)] += weight * maps
    return np.minimum(total / weights, 1)


def _weight(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Rises from the edges of a tile to its middle, nowhere 0."""
    rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in shape)
    return np.outer(rows, columns).astype(np.float32)
