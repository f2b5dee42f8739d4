"""LCM and MPCM: a cell against its eight neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .detector import ArrayDetector, Floats

RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""Neighbour cells around the ring: entries i and i + 4 are opposite."""


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
        for side in self.scales:
            box = np.ones((side, side), np.uint8)
            peak = cv2.dilate(level, box, borderType=cv2.BORDER_REPLICATE)
            means = neighbour_means(level, side)
            brightest = np.maximum.reduce([means[k] for k in range(8)])
            np.maximum(contrast, peak * peak / np.maximum(brightest, 1e-6), out=contrast)
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
        for side in self.scales:
            mean = cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE)
            difference = [mean - each for each in neighbour_means(image, side)]
            if self.bright_only:
                for each in difference:
                    np.maximum(each, 0, out=each)
            pairs = [difference[k] * difference[k + 4] for k in range(4)]
            np.maximum(contrast, np.minimum.reduce(pairs), out=contrast)
        return contrast


def neighbour_means(image: NDArray[Any], side: int) -> list[NDArray[Any]]:
    """Means of the eight cells around the cell at each pixel, in the order of ``RING``."""
    height, width = image.shape
    padded = np.pad(image, side, mode="edge")
    mean = cv2.blur(padded, (side, side), borderType=cv2.BORDER_REPLICATE)
    return [
        mean[side * (1 + dy) : side * (1 + dy) + height, side * (1 + dx) : side * (1 + dx) + width]
        for dy, dx in RING
    ]


def check_scales(scales: Sequence[int]) -> None:
    """Refuse cells without a central pixel."""
    if not scales or any(side < 1 or side % 2 == 0 for side in scales):
        raise InputError(f"scales is {tuple(scales)}, expected odd sides of at least 1")
