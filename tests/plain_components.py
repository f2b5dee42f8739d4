"""Components by OpenCV and numpy: the oracle of the compiled loops and of the tensor operations."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def find(batch: NDArray[Any], threshold: Any) -> tuple[NDArray[Any], ...]:
    """Fields of :class:`Components`, in their order, of a batch (N, H, W)."""
    foreground = batch > threshold
    pixels = np.flatnonzero(foreground)
    label = _label(foreground, pixels)
    return _measure(batch, pixels, label)


def _label(foreground: NDArray[np.bool_], pixels: Ints) -> Ints:
    """Component number of every foreground pixel, numbered by first pixel in raster order."""
    if not len(pixels):
        return pixels  # OpenCV crashes on images without pixels
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


def _measure(batch: NDArray[Any], pixels: Ints, label: Ints) -> tuple[NDArray[Any], ...]:
    height, width = batch.shape[-2:]
    image, within = np.divmod(pixels, height * width)
    y, x = np.divmod(within, width)
    count = int(label.max()) + 1 if len(label) else 0
    _, start = np.unique(label, return_index=True)
    area = np.bincount(label, minlength=count)
    peak = np.full(count, -np.inf, np.float32)
    np.maximum.at(peak, label, batch.reshape(-1)[pixels].astype(np.float32))
    low = np.full((count, 2), max(height, width), np.int64)
    high = np.zeros((count, 2), np.int64)
    np.minimum.at(low, label, np.stack([y, x], axis=1))
    np.maximum.at(high, label, np.stack([y, x], axis=1) + 1)
    box = np.concatenate([low, high], axis=1)
    sum_y, sum_x = _sum_by(label, y, count), _sum_by(label, x, count)
    return image[start], within[start], area, sum_y, sum_x, peak, box, pixels, label


def _sum_by(label: Ints, values: Ints, count: int) -> Ints:
    """Sum of integers per label; float64 holds such sums exactly."""
    return np.bincount(label, weights=values, minlength=count).astype(np.int64)
