"""LCM and MPCM: a cell against its eight neighbours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.jit import compiled
from .detector import ArrayDetector, Floats

EDGE = cv2.BORDER_REPLICATE
TINY = np.float32(1e-6)


@dataclass(frozen=True)
class LCM(ArrayDetector):
    """Local contrast measure.

    Chen, Li, Wei, Xia and Tang, IEEE TGRS 52(1), 2014. A window of 3d x 3d px has nine cells. With
    L the largest level of the central cell and m_i the mean of neighbour i, ``C = L² / max m_i``,
    and the map is the largest C over the scales, less its smallest value (a constant image has
    C = level). Bright flat areas and single bright pixels score high, as published.

    Args:
        scales: sides d of the cells [px].
    """

    scales: Sequence[int] = (3, 5, 7, 9)

    def __post_init__(self) -> None:
        """Check the scales."""
        check_scales(self.scales)

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        level = image - min(float(image.min()), 0)  # ratios need levels from 0
        contrast = np.zeros_like(level)
        for side, means in cell_means(level, self.scales):
            peak = cv2.dilate(level, np.ones((side, side), np.uint8), borderType=EDGE)
            add_ratios(peak, means, side, contrast)
        return cast(Floats, contrast - contrast.min())


@dataclass(frozen=True)
class MPCM(ArrayDetector):
    """Multiscale patch-based contrast measure.

    Wei, You and Li, Pattern Recognition 58, 2016. With m the mean of the central cell, m_i of
    neighbour i and d_i = m - m_i, opposite neighbours give D_i = d_i d_{i+4}; ``C = min D_i``, and
    the map is the largest C over the scales [gray levels squared], clipped at 0. An edge has one
    D_i near or below 0.

    Args:
        scales: sides d of the cells [px].
        bright_only: count negative d_i as 0, so that dark targets give no response. False is the
            published, symmetric form.
    """

    scales: Sequence[int] = (3, 5, 7, 9)
    bright_only: bool = True

    def __post_init__(self) -> None:
        """Check the scales."""
        check_scales(self.scales)

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        contrast = np.zeros_like(image)
        for side, means in cell_means(image, self.scales):
            add_products(means, side, self.bright_only, contrast)
        return contrast


def cell_means(image: NDArray[Any], scales: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Each side d, and the means of the cells around all pixels, with a margin of d."""
    margin = max(scales)
    padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, EDGE)
    for side in scales:
        mean = cv2.blur(padded, (side, side), borderType=EDGE)
        inside = slice(margin - side, side - margin or None)
        yield side, mean[inside, inside]


@compiled
def add_ratios(peak, means, d, contrast):  # type: ignore[no-untyped-def]
    """LCM of one scale: raise the contrast to ``L² / max m_i`` where this is larger."""
    height, width = contrast.shape
    for y in range(height):
        above, beside, below = means[y], means[y + d], means[y + 2 * d]
        for x in range(width):
            left, middle, right = x, x + d, x + 2 * d
            upper = max(above[left], above[middle], above[right], beside[left])
            lower = max(beside[right], below[left], below[middle], below[right])
            brightest = max(upper, lower)
            ratio = peak[y, x] * peak[y, x] / max(brightest, TINY)
            contrast[y, x] = max(contrast[y, x], ratio)


@compiled
def add_products(means, d, bright_only, contrast):  # type: ignore[no-untyped-def]
    """MPCM of one scale: raise the contrast to ``min d_i d_{i+4}`` where this is larger."""
    height, width = contrast.shape
    zero = np.float32(0)
    lowest = zero if bright_only else np.float32(-np.inf)
    for y in range(height):
        above, beside, below = means[y], means[y + d], means[y + 2 * d]
        for x in range(width):
            left, middle, right = x, x + d, x + 2 * d
            mean = beside[middle]
            rising = max(mean - above[left], lowest) * max(mean - below[right], lowest)
            upright = max(mean - above[middle], lowest) * max(mean - below[middle], lowest)
            falling = max(mean - above[right], lowest) * max(mean - below[left], lowest)
            level = max(mean - beside[left], lowest) * max(mean - beside[right], lowest)
            smallest = min(rising, upright, falling, level)
            contrast[y, x] = max(contrast[y, x], smallest)


def check_scales(scales: Sequence[int]) -> None:
    """Refuse cells without a central pixel."""
    if not scales or any(side < 1 or side % 2 == 0 for side in scales):
        raise InputError(f"scales is {tuple(scales)}, expected odd sides of at least 1")
