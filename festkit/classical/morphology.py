"""Top-Hat and new top-hat: what a morphological opening removes."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .detector import ArrayDetector


@dataclass(frozen=True)
class TopHat(ArrayDetector):
    """White top-hat: the image minus its opening by a square.

    An opening is an erosion followed by a dilation, ``s = f - (f ⊖ B) ⊕ B``. It removes bright
    structures narrower than the square, so the residue contains the targets. Narrow edges and lines
    also remain.

    Args:
        side: side of the square [px]; larger than the largest target.
    """

    side: int = 9

    def __post_init__(self) -> None:
        """Check the side."""
        check_odd("side", self.side)

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        box = np.ones((self.side, self.side), np.uint8)
        return cv2.morphologyEx(image, cv2.MORPH_TOPHAT, box, borderType=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class NewTopHat(ArrayDetector):
    """New top-hat with two structuring elements.

    Bai and Zhou, Pattern Recognition 43(6), 2010: dilation by a ring, which excludes the centre,
    then erosion by a full square, ``s = max(f - (f ⊕ ΔB) ⊖ B, 0)``. Flat surroundings are restored
    exactly, so less clutter remains than after the white top-hat.

    Args:
        outer: radius of the ring, in the maximum norm [px].
        inner: radius of its hole; the ring has the pixels with inner < radius <= outer.
        square: radius of the eroding square; default: ``outer``.
    """

    outer: int = 9
    inner: int = 4
    square: int | None = None

    def __post_init__(self) -> None:
        """Check the radii."""
        if not 0 <= self.inner < self.outer:
            raise InputError(
                f"inner is {self.inner} and outer {self.outer}, expected 0 <= inner < outer"
            )

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        ring = np.ones((2 * self.outer + 1,) * 2, np.uint8)
        hole = slice(self.outer - self.inner, self.outer + self.inner + 1)
        ring[hole, hole] = 0
        side = 2 * (self.outer if self.square is None else self.square) + 1
        border: Any = {"borderType": cv2.BORDER_REPLICATE}
        dilated = cv2.dilate(image, ring, **border)
        background = cv2.erode(dilated, np.ones((side, side), np.uint8), **border)
        return np.maximum(image - background, 0)


def check_odd(name: str, value: int) -> None:
    """Refuse a window without a central pixel.

    Example:
        >>> check_odd("side", 4)
        Traceback (most recent call last):
        festkit._support.errors.InputError: side is 4, expected an odd number of at least 3
    """
    if value < 3 or value % 2 == 0:
        raise InputError(f"{name} is {value}, expected an odd number of at least 3")
