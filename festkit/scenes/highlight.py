"""Highlight: a scene with something far brighter than the rest in it or just outside the frame."""

import numpy as np

from .city import city
from .fields import Field, Rng, Shape, pixel_grid, swell
from .ground import field, ocean
from .sky import clear_sky, cloudy_sky


def highlight(rng: Rng, shape: Shape) -> Field:
    """A sky with a sun, the glow of one outside the frame, or a bright band; or land under it."""
    if rng.random() < 0.65:
        cloudy = rng.random() < 0.5
        sky = cloudy_sky(rng, shape) if cloudy else clear_sky(rng, shape)
        if rng.random() < 0.15:
            return sky + _band(rng, shape)
        return sky + _glow(rng, shape, lowest=0.3 if cloudy else 1.2)
    land = [ocean, field, city][rng.integers(3)](rng, shape)
    return land + _glow(rng, shape, lowest=0.05)


def _glow(rng: Rng, shape: Shape, *, lowest: float) -> Field:
    """A halo that falls off slowly around a small saturating source, often out of the frame."""
    side = min(shape)
    rows, columns = pixel_grid(shape)
    y, x = rng.uniform(-0.2, lowest) * shape[0], rng.uniform(-0.2, 1.2) * shape[1]
    distance = np.hypot(rows - y, columns - x)
    halo = (1 + (distance / (rng.uniform(0.08, 0.35) * side)) ** 2) ** -rng.uniform(0.8, 1.8)
    core = rng.uniform(0.04, 0.09) * side  # beyond the size of any target
    source = np.exp(-((distance / core) ** 2)) * (rng.random() < 0.7)
    ring = np.exp(-(((distance - 2.2 * core) / (0.4 * core)) ** 2)) * (rng.random() < 0.2)
    return (rng.uniform(0.15, 0.6) * halo + 2 * source + 0.05 * ring).astype(np.float32)


def _band(rng: Rng, shape: Shape) -> Field:
    """A soft bright band straight across the frame, such as a contrail or a searchlight."""
    rows, columns = pixel_grid(shape)
    turn, side = rng.uniform(0, np.pi), min(shape)
    across = (rows - shape[0] / 2) * np.cos(turn) + (columns - shape[1] / 2) * np.sin(turn)
    across = across - rng.uniform(-0.35, 0.35) * side + 0.006 * side * swell(rng, shape)
    width, uneven = rng.uniform(0.01, 0.12) * side, 1 + 0.2 * swell(rng, shape, 3.0)
    band = np.exp(-(np.abs(across / width) ** rng.uniform(2, 4))) * uneven
    return (rng.uniform(0.1, 0.4) * band).astype(np.float32)
