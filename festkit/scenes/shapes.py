"""Shapes of small targets after the optics: how much of each pixel a target fills."""

import math

import numpy as np

from .fields import Field, Rng, blur

KINDS = ("point", "spot", "extended")


def draw_shape(rng: Rng, kind: str, family: str, optics: float) -> Field:
    """How much of each pixel a target fills, at most 1, in a window trimmed to what is seen.

    Args:
        rng: source of randomness.
        kind: "point" (blur spot), "spot" (oblong Gaussian) or "extended" (ship at sea, aircraft
            or plain body elsewhere); all have a sub-pixel centre.
        family: background family.
        optics: blur of the frame, px.
    """
    half = (8, 16, 26)[KINDS.index(kind)]
    y0, x0 = rng.uniform(-0.5, 0.5, 2)
    if kind == "extended":
        fill = blur(_body(rng, half, family, y0, x0), max(rng.uniform(0.5, 0.9), optics))
    else:
        y, x = _axes(half, 1, y0, x0)
        long, across = _turned(y, x, rng.uniform(0, math.pi))
        if kind == "point":
            sigma, ratio = rng.uniform(0.7, 1.0), 1.0
        else:
            sigma, ratio = min(rng.gamma(9, 0.215), 3.6), rng.uniform(0.55, 1)
        sigma = max(sigma, 0.9 * optics)
        fill = np.exp(-0.5 * (long**2 + (across / ratio) ** 2) / sigma**2)
    fill = (fill / fill.max()).astype(np.float32)
    rows, columns = np.flatnonzero((fill > 0.04).any(1)), np.flatnonzero((fill > 0.04).any(0))
    return fill[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _body(rng: Rng, half: int, family: str, y0: float, x0: float) -> Field:
    """Silhouette of an extended target, sampled 8 times finer, with one end hotter."""
    y, x = _axes(half, 8, y0, x0)
    length = rng.uniform(5, 12)
    width = length * rng.uniform(0.3, 0.5)
    if family == "ocean":
        along, body = x, _ship(rng, y, x, length, width)
    else:
        along, across = _turned(y, x, rng.uniform(0, 2 * math.pi))
        body = _ellipse(along, across, length, width)
        if rng.random() < 0.5:
            span = rng.uniform(0.35, 0.9) * length
            body = _ellipse(along, across, length, 0.5 * width)
            body |= _ellipse(along - 0.1 * length, across, 0.2 * length, span)
            body |= _ellipse(along + 0.85 * length, across, 0.12 * length, 0.4 * span)
    heat = 1 + rng.uniform(0, 0.5) * np.clip(-along / length, -1, 1)
    side = 2 * half + 1
    fine = np.broadcast_to(body * heat, (8 * side, 8 * side))
    return fine.reshape(side, 8, side, 8).mean((1, 3)).astype(np.float32)


def _ship(rng: Rng, y: Field, x: Field, length: float, width: float) -> np.ndarray:
    """Hull with raked ends and one superstructure, seen from the side."""
    hull = (np.abs(y) < 0.35 * width) & (np.abs(x) < length - np.maximum(y, 0))
    start, stop = np.sort(rng.uniform(-0.7, 0.7, 2)) * length
    high = rng.uniform(0.7, 1.4) * width
    return hull | ((y <= 0) & (y > -high) & (x > start) & (x < stop))


def _ellipse(along: Field, across: Field, length: float, width: float) -> np.ndarray:
    """Pixels in an ellipse of two half axes."""
    return (along / length) ** 2 + (across / width) ** 2 < 1


def _axes(half: int, finer: int, y0: float, x0: float) -> tuple[Field, Field]:
    """Offsets (column, row) from a sub-pixel centre, a number of samples for each pixel."""
    steps = (np.arange((2 * half + 1) * finer, dtype=np.float32) + 0.5) / finer - half - 0.5
    return steps[:, None] - y0, steps[None, :] - x0


def _turned(y: Field, x: Field, turn: float) -> tuple[Field, Field]:
    """Offsets along and across a direction."""
    along, across = math.cos(turn), math.sin(turn)
    return along * x + across * y, along * y - across * x
