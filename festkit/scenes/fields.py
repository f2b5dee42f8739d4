"""Random fields that the painted backgrounds are made of: fractal noise, warps, ramps, perspective.

A field is a float32 array (H, W); lengths are in pixels unless a name says otherwise.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

Field = np.ndarray

Shape = tuple[int, int]

Rng = np.random.Generator


def pixel_grid(shape: Shape) -> tuple[Field, Field]:
    """Row and column numbers as a column (H, 1) and a row (1, W), ready to broadcast."""
    height, width = shape
    rows = np.arange(height, dtype=np.float32)[:, None]
    return rows, np.arange(width, dtype=np.float32)[None, :]


def fractal(
    rng: Rng, shape: Shape, beta: float, *, stretch: float = 1.0, angle: float = 0.0
) -> Field:
    """Nearly Gaussian field with power spectrum f^-beta, mean 0 and standard deviation 1.

    It is cut from a larger periodic one, so that opposite edges do not match.

    Args:
        rng: source of randomness.
        shape: (H, W).
        beta: spectral slope; 1 is rough, 2 like terrain, 3 to 4 like clouds.
        stretch: how many times longer features are along ``angle`` than across it.
        angle: direction of the long axis, radians from the x axis.
    """
    height, width = (cv2.getOptimalDFTSize(side + max(side // 6, 4)) for side in shape)
    down = np.fft.fftfreq(height)[:, None].astype(np.float32)
    right = np.fft.rfftfreq(width)[None, :].astype(np.float32)
    along = (math.cos(angle) * right + math.sin(angle) * down) * stretch
    across = math.cos(angle) * down - math.sin(angle) * right
    power = along**2 + across**2
    power[0, 0] = np.inf
    spectrum = rng.random((*power.shape, 2), dtype=np.float32) - np.float32(0.5)
    spectrum *= (power ** (-beta / 4))[..., None]
    field = np.fft.irfft2(spectrum.view(np.complex64)[..., 0], (height, width))
    field = field[: shape[0], : shape[1]].astype(np.float32)
    return (field - field.mean()) / max(float(field.std()), 1e-9)


def swell(rng: Rng, shape: Shape, beta: float = 4.0) -> Field:
    """A fractal without fine detail, made at a quarter of the resolution (fast)."""
    coarse = fractal(rng, (max(shape[0] // 4, 8), max(shape[1] // 4, 8)), beta)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def cells(rng: Rng, shape: Shape, size: float) -> Field:
    """Smooth value noise in about [-1, 1] whose features are about ``size`` pixels wide."""
    return lattice(rng, *pixel_grid(shape), size)


def lattice(rng: Rng, rows: Field, columns: Field, size: float) -> Field:
    """Value noise read at any coordinates; it repeats only after 64 features."""
    values = np.pad(rng.uniform(-1.5, 1.5, (64, 64)).astype(np.float32), 2, mode="wrap")
    y, x = (float(start) for start in rng.uniform(0, 64, 2))
    return bend(values, wrap(rows / size + y, 64) + 2, wrap(columns / size + x, 64) + 2)


def wrap(values: Field, period: float) -> Field:
    """Values modulo a period (several times faster than `numpy.mod`)."""
    return values - period * np.floor(values * (1 / period))


def bend(field: Field, rows: Field, columns: Field) -> Field:
    """The field read at real-valued rows and columns, which are broadcast together."""
    rows, columns = np.broadcast_arrays(rows, columns)
    return cv2.remap(
        field,
        np.ascontiguousarray(columns, np.float32),
        np.ascontiguousarray(rows, np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )


def warp(field: Field, dy: Field, dx: Field) -> Field:
    """The field with every pixel fetched from (dy, dx) pixels away."""
    rows, columns = pixel_grid(field.shape)
    return bend(field, rows + dy, columns + dx)


def ramp(values: Field, low: float | Field, high: float | Field) -> Field:
    """0 below ``low``, 1 above ``high``, smooth in between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur; mirrored edges."""
    return cv2.GaussianBlur(field, (0, 0), sigma) if sigma > 0.05 else field


def polygon(shape: Shape, points: np.ndarray) -> Field:
    """Share of each pixel that a filled polygon of (N, 2) points (x, y) covers."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask / np.float32(255)


@dataclass(frozen=True)
class Plane:
    """A ground plane in view: where each pixel lies on it, and how much of it a pixel covers.

    Lengths on the ground are in pixels of the lowest row of the view, where one ground pixel is
    one pixel wide.

    Attributes:
        shape: (H, W) of the view.
        horizon: row of the horizon; the farther above the view, the steeper the look down.
        focal: focal length, px; longer looks flatter.
    """

    shape: Shape
    horizon: float
    focal: float

    @property
    def depth(self) -> Field:
        """How many times farther than the lowest row, (H, 1); rows above the horizon repeat it."""
        below = pixel_grid(self.shape)[0] - self.horizon
        return (self.shape[0] - self.horizon) / np.maximum(below, 0.5)

    @property
    def reach(self) -> float:
        """Slant distance to the ground at the lowest row over the width seen there, in px."""
        return math.hypot(self.focal, self.shape[0] / 2 - self.horizon)

    @property
    def footprint(self) -> Field:
        """Ground pixels per pixel, (H, 1): the geometric mean of across and along the view."""
        return self.depth * np.sqrt(
            np.maximum(self.reach * self.depth / (self.shape[0] - self.horizon), 1)
        )

    def ground(self, turn: float) -> tuple[Field, Field]:
        """Ground coordinates (away, aside) of every pixel, turned by an angle."""
        away = self.reach * self.depth
        aside = (pixel_grid(self.shape)[1] - self.shape[1] / 2) * self.depth
        along, across = math.cos(turn), math.sin(turn)
        return along * away - across * aside, across * away + along * aside

    def noise(
        self,
        rng: Rng,
        slope: float,
        *,
        longest: float,
        shortest: float = 2.0,
        stretch: float = 1.0,
        turn: float = 0.0,
    ) -> Field:
        """Fractal noise lying on the ground; detail finer than a pixel's footprint is left out.

        Args:
            rng: source of randomness.
            slope: spectral slope as in `fractal`.
            longest: largest features, ground px.
            shortest: finest features, ground px.
            stretch: how many times longer than wide the features are.
            turn: direction across which features are stretched, radians from the line of sight.
        """
        total, power, size = np.zeros(self.shape, np.float32), 0.0, longest
        while size >= shortest:
            away, aside = self.ground(turn)
            weight = size ** (slope / 2 - 1)
            seen = np.clip(1.5 * size / self.footprint - 0.5, 0, 1)
            total += np.float32(weight) * seen * lattice(rng, away, aside / stretch, size)
            power += weight**2
            size /= 2.1
            turn += 0 if stretch > 1 else 0.6
        return total * np.float32(1.6 / np.sqrt(power))
