"""DT-CWT: the dual-tree complex wavelet transform, and background suppression with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .detector import ArrayDetector

Array = NDArray[Any]

H0 = np.array([-1, 5, 12, 5, -1]) / 20
H1 = np.array([3, -15, -73, 170, -73, -15, 3]) / 280
G0 = np.array([-3, -15, 73, 170, 73, -15, -3]) / 280
G1 = np.array([-1, -5, 12, -5, -1]) / 20
"""Level 1: the biorthogonal pair near_sym_a, analysis and synthesis."""

QSHIFT = np.array([
    0.0511304052838317, -0.0139753702468888, -0.1098360516659709, 0.2638395610589376,
    0.7666284677930372, 0.5636557101270515, 0.0008736226952171, -0.1002312195074762,
    -0.0016896812725282, -0.0061818818921164,
])  # fmt: skip
"""Levels 2 and up: the quarter-shift lowpass qshift_a of one tree; the other tree's is reversed."""


@dataclass(frozen=True)
class DTCWT(ArrayDetector):
    """Background suppression by the dual-tree complex wavelet transform.

    Kingsbury, ACHA 10, 2001; Selesnick, Baraniuk and Kingsbury, IEEE Signal Process. Mag. 22(6),
    2005. The coarsest lowpass is the background; ``s = max(f - background, 0)``.

    Args:
        levels: depth L; targets are at most about 2^L px wide.
        isotropy: before the inverse, the six oriented coefficients of each place are weighted by
            their smallest over their largest magnitude. A point responds in all orientations, an
            edge in one or two. This weighting was added in festkit; False gives plain background
            subtraction.
    """

    levels: int = 3
    isotropy: bool = True

    def __post_init__(self) -> None:
        """Check the levels."""
        if not 1 <= self.levels <= 6:
            raise InputError(f"levels is {self.levels}, expected 1 to 6")

    def _array_map(self, image: Array) -> Array:
        height, width = image.shape
        margin, unit = 4 * 2**self.levels, 2**self.levels
        bottom, right = margin + -height % unit, margin + -width % unit
        shifted = image - image.min()  # a constant image becomes exactly 0
        padded = np.pad(shifted, ((0, bottom), (0, right)), mode="symmetric")
        lowpass, bands = forward(padded, self.levels)
        if self.isotropy:
            bands = [level * np.repeat(np.repeat(isotropy(level), 2, 0), 2, 1) for level in bands]
        detail = inverse(np.zeros_like(lowpass), bands)
        return np.maximum(detail[:height, :width], 0)


def forward(image: Array, levels: int) -> tuple[Array, list[Array]]:
    """The transform, with the samples of its four trees side by side.

    Args:
        image: (H, W) float, both sides multiples of 2^levels.
        levels: depth.

    Returns:
        The lowpass, and per level its three highpass subbands (3, h, w), finest first: columns
        high, rows high, both high. :func:`oriented` makes six complex subbands of them.

    Example:
        >>> image = np.random.default_rng(0).random((32, 40))
        >>> bool(np.allclose(inverse(*forward(image, 3)), image))
        True
    """
    low = _filtered(image, H0, H0)
    bands = [np.stack([_filtered(image, *pair) for pair in ((H1, H0), (H0, H1), (H1, H1))])]
    for _ in range(1, levels):
        rows, columns = (_dual_tree(side, low.dtype.char) for side in low.shape)
        both = rows @ low @ columns.T
        half, middle = both.shape[0] // 2, both.shape[1] // 2
        low = both[:half, :middle]
        bands.append(np.stack([both[:half, middle:], both[half:, :middle], both[half:, middle:]]))
    return low, bands


def inverse(lowpass: Array, bands: Sequence[Array]) -> Array:
    """The image of a transform."""
    low = lowpass
    for across, down, both in reversed(bands[1:]):
        joined = np.block([[low, across], [down, both]])
        rows, columns = (_dual_tree(side, joined.dtype.char) for side in joined.shape)
        low = rows.T @ joined @ columns
    parts = zip((low, *bands[0]), ((G0, G0), (G1, G0), (G0, G1), (G1, G1)), strict=True)
    return np.add.reduce([_filtered(part, *pair) for part, pair in parts])


def oriented(level: Array) -> Array:
    """The six complex subbands of a level, (6, h / 2, w / 2): two of each highpass subband."""
    a, b, c, d = level[:, ::2, ::2], level[:, ::2, 1::2], level[:, 1::2, ::2], level[:, 1::2, 1::2]
    p, q = (a + 1j * b) / np.sqrt(2), (d - 1j * c) / np.sqrt(2)
    return np.concatenate([p - q, p + q])


def isotropy(level: Array) -> Array:
    """Smallest over largest magnitude of the six orientations at each place, in [0, 1]."""
    a, b, c, d = level[:, ::2, ::2], level[:, ::2, 1::2], level[:, 1::2, ::2], level[:, 1::2, 1::2]
    first, second = (a - d) ** 2 + (b + c) ** 2, (a + d) ** 2 + (b - c) ** 2
    smallest = np.minimum(first, second).min(axis=0)
    largest = np.maximum(first, second).max(axis=0)
    return np.sqrt(smallest / np.maximum(largest, np.finfo(level.dtype).tiny))


def _filtered(image: Array, across: Array, down: Array) -> Array:
    """Filter along rows and along columns, with symmetric borders."""
    # sepFilter2D correlates; all filters of level 1 are symmetric.
    return cv2.sepFilter2D(image, -1, across, down, borderType=cv2.BORDER_REFLECT)


@lru_cache(maxsize=16)
def _dual_tree(side: int, dtype: str) -> Array:
    """One level of both trees along one axis, as an orthogonal matrix: low half, then high half.

    Even samples are tree a, odd ones tree b. With symmetric borders, each tree continues as the
    other one reversed, so both together are one periodic wavelet transform of the even samples
    followed by the reversed odd ones.
    """
    order = np.r_[0:side:2, np.arange(1, side, 2)[::-1]]
    low = QSHIFT[::-1]
    high = (-1.0) ** np.arange(10) * QSHIFT
    half = side // 2
    place = np.r_[0:half:2, np.arange(1, half, 2)[::-1]]
    matrix = np.zeros((side, side))
    for m in range(10):
        columns = order[(2 * np.arange(half) + 5 - m) % side]
        matrix[place, columns] += low[m]
        matrix[half + place, columns] += high[m]
    return matrix.astype(dtype)
