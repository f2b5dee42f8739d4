"""BEMD: fast adaptive bidimensional empirical mode decomposition (FABEMD)."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.jit import compiled
from .detector import ArrayDetector
from .morphology import check_odd

FEWEST = 3
"""Decomposition stops with fewer extrema of one kind."""


@dataclass(frozen=True)
class FABEMD(ArrayDetector):
    """Sum of the finest modes of an image, which contain its small structures.

    Bhuiyan, Adhami and Khan, EURASIP JASP 2008, 728356, in place of the sifting by interpolated
    surfaces of Nunes et al. (2003). The envelopes of each mode are maximum and minimum filters,
    smoothed by a mean of the same width; the width depends on the distances between extrema. A mode
    is the image minus the mean of both envelopes; ``s = max(Σ modes, 0)``.

    Args:
        modes: number of modes to sum.
        rule: width from the nearest-neighbour distances of maxima and of minima: "d1" the smaller
            and "d2" the larger of the two smallest distances, "d3" the smaller and "d4" the larger
            of the two largest.
        widest: no mode has a wider window [px]. An image with few extrema would give windows far
            wider than targets, and halos. Chosen on training images of NUAA-SIRST, where it raises
            the best IoU from 11.6 to 18.4.
    """

    modes: int = 3
    rule: str = "d2"
    widest: int = 31

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.modes < 1:
            raise InputError(f"modes is {self.modes}, expected at least 1")
        check_odd("widest", self.widest)
        if self.rule not in RULES:
            raise InputError(f"rule is {self.rule!r}, expected one of {', '.join(RULES)}")

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        modes, _ = decompose(image, self.modes, self.rule, self.widest)
        return np.maximum(sum(modes, np.zeros_like(image)), 0)


RULES = {
    "d1": lambda high, low: min(high.min(), low.min()),
    "d2": lambda high, low: max(high.min(), low.min()),
    "d3": lambda high, low: min(high.max(), low.max()),
    "d4": lambda high, low: max(high.max(), low.max()),
}


def decompose(
    image: NDArray[Any], modes: int, rule: str = "d2", widest: float = np.inf
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Modes, finest first, and the residue; they add up to the image.

    Args:
        image: (H, W) float.
        modes: maximum number of modes.
        rule: rule for the window width, see :class:`FABEMD`.
        widest: the decomposition stops before a wider window [px].

    Example:
        >>> image = np.random.default_rng(0).random((40, 50))
        >>> modes, residue = decompose(image, 3)
        >>> bool(np.allclose(sum(modes) + residue, image))
        True
    """
    found: list[NDArray[Any]] = []
    residue = image
    while len(found) < modes:
        high = nearest_distances(local_maxima(residue))
        low = nearest_distances(local_maxima(-residue))
        if min(len(high), len(low)) < FEWEST:
            break
        width = int(np.ceil(RULES[rule](high, low)))
        width += 1 - width % 2
        if width > widest:
            break
        box = np.ones((width, width), np.uint8)
        border: Any = {"borderType": cv2.BORDER_REPLICATE}
        upper = cv2.blur(cv2.dilate(residue, box, **border), (width, width), **border)
        lower = cv2.blur(cv2.erode(residue, box, **border), (width, width), **border)
        mode = residue - (upper + lower) / 2
        found.append(mode)
        residue = residue - mode
    return found, residue


def local_maxima(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that are larger than all their eight neighbours within the image."""
    ring = np.ones((3, 3), np.uint8)
    ring[1, 1] = 0
    return image > cv2.dilate(image, ring, borderType=cv2.BORDER_CONSTANT)


@compiled
def nearest_distances(marked):  # type: ignore[no-untyped-def]
    """Distance [px] of every marked pixel to the nearest other one."""
    height, width = marked.shape
    rows, columns = np.nonzero(marked)
    distances = np.full(len(rows), np.inf)
    for k in range(len(rows)):
        best = np.inf
        for reach in range(1, max(height, width)):
            if reach * reach > best:  # every pixel further out is farther
                break
            for y in range(max(rows[k] - reach, 0), min(rows[k] + reach + 1, height)):
                dy = abs(y - rows[k])
                jump = 1 if dy == reach else 2 * reach
                for x in range(columns[k] - reach, columns[k] + reach + 1, jump):
                    if 0 <= x < width and marked[y, x]:
                        best = min(best, float(dy * dy + (x - columns[k]) ** 2))
        distances[k] = np.sqrt(best)
    return distances[np.isfinite(distances)]
