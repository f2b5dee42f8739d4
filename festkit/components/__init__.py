"""Connected components of a thresholded map: where they are, how large, how high.

A component is a maximal 8-connected set of pixels above a threshold. Components are numbered image
by image, in raster order of their first pixel; everything that counts targets builds on this order.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

POINT_AREA, SPOT_AREA = 9, 81
"""Largest areas of point and of spot targets [px]; larger ones are extended."""

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Components:
    """K components with P pixels in all, of a map (H, W) or a batch (N, H, W).

    Attributes:
        image: (K,) index of the image in the batch, 0 for a single map.
        first: (K,) raster index of the first pixel within its image.
        area: (K,) pixels.
        sum_y: (K,) sum of the pixel rows.
        sum_x: (K,) sum of the pixel columns.
        peak: (K,) largest value.
        box: (K, 4) rows and columns [y0, x0, y1, x1), half open.
        pixels: (P,) raster index of every pixel in the whole batch, ascending.
        label: (P,) number of the component each pixel belongs to, 0 to K - 1.
    """

    image: Ints
    first: Ints
    area: Ints
    sum_y: Ints
    sum_x: Ints
    peak: NDArray[np.float32]
    box: Ints
    pixels: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.area)

    @property
    def centroid(self) -> NDArray[np.float64]:
        """(K, 2) mean row and mean column."""
        return np.stack([self.sum_y, self.sum_x], axis=1) / self.area[:, None]

    @property
    def centroid_pixel(self) -> Ints:
        """(K, 2) centroid truncated to a pixel; it may lie outside its component."""
        return np.stack([self.sum_y, self.sum_x], axis=1) // self.area[:, None]

    def touch(self, mask: Mask) -> Mask:
        """(K,) whether each component shares a pixel with a mask of the batch's shape."""
        hit = mask.reshape(-1)[self.pixels]
        return np.bincount(self.label[hit], minlength=len(self)) > 0


def above(values: NDArray[np.generic], threshold: float) -> Mask:
    """The pixels strictly above a threshold, compared as float32; NaN is background.

    Example:
        >>> above(np.array([0.1, 0.5, 0.6], np.float32), 0.5)
        array([False, False,  True])
    """
    return np.asarray(values, np.float32) > np.float32(threshold)


def find_components(values: NDArray[np.generic], threshold: float = 0.5) -> Components:
    """The 8-connected components of ``values > threshold``.

    Args:
        values: (H, W) or (N, H, W), float or bool; images of a batch never share a component.
        threshold: strict lower bound.

    Raises:
        ValueError: if ``values`` has another number of dimensions.

    Example:
        >>> mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1]], bool)
        >>> find_components(mask).area
        array([2, 1])
    """
    if values.ndim not in (2, 3):
        raise ValueError(f"components need a map (H, W) or a batch (N, H, W), got {values.shape}")
    batch = values.reshape(-1, *values.shape[-2:])
    foreground = above(batch, threshold)
    pixels = np.flatnonzero(foreground)
    label = _label(foreground, pixels)
    return _measure(batch, pixels, label)


def _label(foreground: Mask, pixels: Ints) -> Ints:
    """Component number of every foreground pixel, numbered by first pixel in raster order."""
    count = 0
    labels = np.empty(foreground.shape, np.int32)
    for mask, out in zip(foreground, labels, strict=True):
        found, image_labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
        out[:] = image_labels + count
        count += found
    _, first, label = np.unique(labels.reshape(-1)[pixels], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[label]


def _measure(batch: NDArray[np.generic], pixels: Ints, label: Ints) -> Components:
    height, width = batch.shape[-2:]
    image, within = np.divmod(pixels, height * width)
    y, x = np.divmod(within, width)
    count = int(label.max()) + 1 if len(label) else 0
    _, start = np.unique(label, return_index=True)
    peak = np.full(count, -np.inf, np.float32)
    np.maximum.at(peak, label, batch.reshape(-1)[pixels].astype(np.float32))
    low = np.full((count, 2), max(height, width), np.int64)
    high = np.zeros((count, 2), np.int64)
    np.minimum.at(low, label, np.stack([y, x], axis=1))
    np.maximum.at(high, label, np.stack([y, x], axis=1) + 1)
    return Components(
        image=image[start],
        first=within[start],
        area=np.bincount(label, minlength=count),
        sum_y=_sum_by(label, y, count),
        sum_x=_sum_by(label, x, count),
        peak=peak,
        box=np.concatenate([low, high], axis=1),
        pixels=pixels,
        label=label,
    )


def _sum_by(label: Ints, values: Ints, count: int) -> Ints:
    """Sum of integers per label; float64 holds such sums exactly."""
    return np.bincount(label, weights=values, minlength=count).astype(np.int64)
