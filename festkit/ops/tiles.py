"""Overlapping square tiles of an image, and the blending of their maps."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product

import cv2
import numpy as np
from numpy.typing import NDArray

from .resize import resize_image, resize_map

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


BATCH = 16
"""Tiles that go through the network together."""


def map_by_tiles(
    gray: NDArray[np.uint8],
    scale: float,
    tile: int,
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """The map of an image that is enlarged by a factor and seen in overlapping tiles.

    Args:
        gray: image, (H, W).
        scale: factor by which the image is enlarged, above 0.
        tile: side of the tiles of the enlarged image [px].
        predict: from tiles (N, tile, tile) to their maps, the same shape, in [0, 1].

    Returns:
        (H, W) float32 in [0, 1].

    Example:
        >>> gray = np.full((50, 90), 51, np.uint8)
        >>> prob = map_by_tiles(gray, 2.0, 64, lambda pixels: pixels / np.float32(255))
        >>> prob.shape, round(float(prob.max()), 3)
        ((50, 90), 0.2)
    """
    side = window_side(tile, scale)
    height, width = gray.shape
    padded = at_least(gray, side)

    def parts() -> Iterator[tuple[tuple[int, int], NDArray[np.float32]]]:
        corners = iter(tile_corners((padded.shape[0], padded.shape[1]), side))
        while batch := list(islice(corners, BATCH)):
            windows = [padded[top : top + side, left : left + side] for top, left in batch]
            maps = predict(np.stack([resize_image(window, tile) for window in windows]))
            yield from zip(batch, resize_map(maps, side), strict=True)

    return blend_tiles(parts(), padded.shape)[:height, :width]


def window_side(tile: int, scale: float) -> int:
    """Side of the window of the image that becomes one tile [px].

    Example:
        >>> window_side(128, 1.6)
        80
    """
    return max(round(tile / scale), 1)


def at_least(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image whose sides are at least ``side``, mirrored at the right and the bottom.

    Example:
        >>> at_least(np.array([[1, 2, 3]], np.uint8), 4)[0]
        array([1, 2, 3, 3], dtype=uint8)
    """
    bottom, right = (max(side - length, 0) for length in image.shape)
    if not bottom and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REFLECT), np.uint8)


def _weight(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Rises from the edges of a tile to its middle, nowhere 0."""
    rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in shape)
    return np.outer(rows, columns).astype(np.float32)
