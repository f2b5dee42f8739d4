"""Max-Median and Max-Mean: four lines through every pixel predict it."""

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.jit import compiled
from .detector import ArrayDetector, Floats
from .morphology import check_odd


@dataclass(frozen=True)
class MaxMedian(ArrayDetector):
    """Max-Median: the image minus the largest of four line medians.

    Deshpande et al., Proc. SPIE 3809, 1999 (the FEST paper cites Arce and McLoughlin, 1987, on the
    same filter). Along an edge at least one of the four lines lies within one region, so its median
    equals the pixel. A target that is narrower than half the window is absent from all medians.

    Args:
        window: samples of each line (horizontal, vertical, both diagonals), the pixel included. It
            is the most important parameter: IoU differs by a factor of several between 5, 9 and 15.
    """

    window: int = 15

    def __post_init__(self) -> None:
        """Check the window."""
        check_odd("window", self.window)

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        padded = np.pad(image, self.window // 2, mode="edge")
        return np.maximum(image - line_medians(padded, self.window), 0)


@dataclass(frozen=True)
class MaxMean(ArrayDetector):
    """Max-Mean: the image minus the largest of four line means.

    Deshpande et al., Proc. SPIE 3809, 1999. Like :class:`MaxMedian`, with means.

    Args:
        window: samples of each line, the pixel included.
    """

    window: int = 15

    def __post_init__(self) -> None:
        """Check the window."""
        check_odd("window", self.window)

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        row, diagonal = np.ones((1, self.window)), np.eye(self.window)
        lines = (row, row.T, diagonal, diagonal[::-1])
        means = [
            cv2.filter2D(image, -1, line / self.window, borderType=cv2.BORDER_REPLICATE)
            for line in lines
        ]
        return cast(Floats, np.maximum(image - np.maximum.reduce(means), 0))


@compiled
def line_medians(padded, window):  # type: ignore[no-untyped-def]
    """The largest median of the four lines through each pixel of an image padded by its radius."""
    radius = window // 2
    height, width = padded.shape[0] - 2 * radius, padded.shape[1] - 2 * radius
    flat, stride = padded.ravel(), padded.shape[1]
    largest = np.full(height * width, -np.inf, np.float32)
    sorted_line = np.empty(window, np.float32)
    for direction in range(4):
        dy, dx = ((0, 1), (1, 0), (1, 1), (1, -1))[direction]
        step = dy * stride + dx
        for start in range(height * width):
            y, x = start // width, start % width
            inside = 0 <= y - dy < height and 0 <= x - dx < width
            if inside:  # the middle of a line that began elsewhere
                continue
            middle = (y + radius) * stride + x + radius
            for k in range(window):
                insert_sorted(sorted_line, k, flat[middle + (k - radius) * step])
            while True:
                index = y * width + x
                largest[index] = max(largest[index], sorted_line[radius])
                y, x = y + dy, x + dx
                if not (0 <= y < height and 0 <= x < width):
                    break
                oldest, middle = flat[middle - radius * step], middle + step
                _replace(sorted_line, oldest, flat[middle + radius * step])
    return largest.reshape(height, width)


@compiled
def insert_sorted(values, count, new):  # type: ignore[no-untyped-def]
    """Insert a value into the first ``count`` values, which are sorted."""
    k = count
    while k > 0 and values[k - 1] > new:
        values[k] = values[k - 1]
        k -= 1
    values[k] = new


@compiled
def _replace(values, old, new):  # type: ignore[no-untyped-def]
    """Replace one value of a sorted array by another, so that it stays sorted."""
    k = 0
    while values[k] != old:
        k += 1
    last = len(values) - 1
    while k < last and values[k + 1] < new:
        values[k] = values[k + 1]
        k += 1
    while k > 0 and values[k - 1] > new:
        values[k] = values[k - 1]
        k -= 1
    values[k] = new
