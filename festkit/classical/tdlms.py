"""TDLMS: a predictor that adapts while it scans the image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.jit import compiled
from .detector import ArrayDetector

ROUNDING = 1e-9
"""Smaller errors, relative to the level, are those of rounding: a constant image has none."""


@dataclass(frozen=True)
class TDLMS(ArrayDetector):
    """Two-dimensional least-mean-square prediction; the error is the target map.

    Hadhoud and Thomas, IEEE Trans. Circuits Syst. 35(5), 1988; for small targets Soni, Zeidler and
    Ku, IEEE TIP 2(3), 1993. Neighbours predict each pixel, ``p = Σ W f``; the error ``e = f - p``
    updates the weights by ``μ e f / (ε + Σ f²)`` (normalised LMS, independent of the gray scale),
    in a scan that alternates its direction line by line. ``s = max(e, 0)``.

    Args:
        radius: maximum distance of the neighbours, in the maximum norm [px].
        guard: neighbours within this distance are excluded, so that a target does not predict
            itself; 0 excludes only the pixel.
        step: μ, within (0, 2).
        scans: 1, or 4 for the smallest error of the scans along rows and columns, forwards and
            backwards.
    """

    radius: int = 4
    guard: int = 2
    step: float = 0.05
    scans: int = 1

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 <= self.guard < self.radius:
            raise InputError(
                f"guard is {self.guard} and radius {self.radius}, expected 0 <= guard < radius"
            )
        if not 0 < self.step < 2:
            raise InputError(
                f"step is {self.step}, expected a number within (0, 2), else the filter diverges"
            )
        if self.scans not in (1, 4):
            raise InputError(f"scans is {self.scans}, expected 1 or 4")

    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        turns = range(self.scans)
        errors = [np.rot90(self._error(np.rot90(image, turn)), -turn) for turn in turns]
        return np.maximum(np.minimum.reduce(errors), 0)

    def _error(self, image: NDArray[Any]) -> NDArray[Any]:
        padded = np.pad(image, self.radius, mode="edge").astype(np.float64)
        span = np.arange(-self.radius, self.radius + 1)
        rows, columns = np.meshgrid(span, span, indexing="ij")
        used = np.maximum(abs(rows), abs(columns)) > self.guard
        offsets = (rows * padded.shape[1] + columns)[used]
        return prediction_error(padded, offsets, self.radius, self.step)


@compiled
def prediction_error(padded, offsets, radius, step):  # type: ignore[no-untyped-def]
    """The error of every pixel, in a scan whose direction alternates from line to line."""
    height, width = padded.shape[0] - 2 * radius, padded.shape[1] - 2 * radius
    flat, stride = padded.ravel(), padded.shape[1]
    count = len(offsets)
    weights = np.full(count, 1.0 / count)
    near = np.empty(count)
    error = np.empty((height, width))
    for y in range(height):
        for k in range(width):
            x = k if y % 2 == 0 else width - 1 - k
            middle = (y + radius) * stride + x + radius
            predicted, power = 0.0, 1e-12
            for i in range(count):
                near[i] = flat[middle + offsets[i]]
                predicted += weights[i] * near[i]
                power += near[i] * near[i]
            error[y, x] = flat[middle] - predicted
            if abs(error[y, x]) < ROUNDING * abs(predicted):
                error[y, x] = 0
            gain = step * error[y, x] / power
            for i in range(count):
                weights[i] += gain * near[i]
    return error
