"""Sky and clouds."""

import cv2
import numpy as np

from .fields import Field, Rng, Shape, blur, fractal, pixel_grid, ramp, swell, warp


def clear_sky(rng: Rng, shape: Shape) -> Field:
    """A sky that warms towards the horizon, with a sideways tilt and faint structure."""
    rows, columns = pixel_grid(shape)
    down, right = rows / shape[0], columns / shape[1]
    level = rng.uniform(0.12, 0.4)
    toward_horizon = rng.uniform(0, 0.25) * down ** rng.uniform(1, 2.5)
    sideways = rng.uniform(-0.06, 0.06) * (right - 0.5)
    faint = rng.choice([0.002, 0.008, 0.02]) * fractal(rng, shape, rng.uniform(3, 4))
    return (level + toward_horizon + sideways + faint).astype(np.float32)


def cloudy_sky(rng: Rng, shape: Shape) -> Field:
    """A clear sky with one kind of cloud on it."""
    kinds = [overcast, broken, cirrus, cumulus]
    paint = kinds[rng.choice(len(kinds), p=[0.32, 0.36, 0.12, 0.2])]
    return paint(rng, clear_sky(rng, shape))


def overcast(rng: Rng, sky: Field) -> Field:
    """A closed, soft layer; at times its rolls look flattened."""
    shape = sky.shape
    stretch = rng.uniform(1.0, 2.2)
    sheet = fractal(rng, shape, rng.uniform(3.2, 4.2), stretch=stretch, angle=_tilt(rng))
    far = rng.uniform(0, 0.035) * min(shape)
    sheet = warp(sheet, swell(rng, shape) * far, swell(rng, shape) * far)
    sheet = np.where(sheet > 0, sheet, sheet * rng.uniform(0.4, 1.0))
    return sky + rng.uniform(0.015, 0.1) * sheet


def broken(rng: Rng, sky: Field) -> Field:
    """Torn cloud with clear sky between: crisp towards one side, dissolving towards the other."""
    shape = sky.shape
    body = fractal(rng, shape, rng.uniform(3.3, 4.2), stretch=rng.uniform(1, 2), angle=_tilt(rng))
    far = rng.uniform(0.01, 0.05) * min(shape)
    body = warp(body, swell(rng, shape, 3.4) * far, swell(rng, shape, 3.4) * far)
    edge = rng.uniform(0.4, 1.4) * np.exp(0.5 * swell(rng, shape))
    cover = ramp((body - rng.uniform(-0.6, 1.2)) / edge, 0, 1)
    thickness = 0.5 + 0.5 * ramp(body, 0.0, 2.2)
    texture = 1 + rng.uniform(0.05, 0.16) * fractal(rng, shape, rng.uniform(2.8, 3.4))
    return sky + _cloud_level(rng) * cover * thickness * texture


def cirrus(rng: Rng, sky: Field) -> Field:
    """Ice cloud: faint fibres combed by the wind, gently curved, in patches."""
    shape = sky.shape
    angle = rng.uniform(-1.0, 1.0)
    fibres = fractal(rng, shape, rng.uniform(2.5, 3.0), stretch=rng.uniform(4, 9), angle=angle)
    patch = fractal(rng, shape, 3.8, stretch=rng.uniform(1, 2), angle=angle)
    body = ramp(patch, rng.uniform(-1.4, 0.0), 2.5) * np.exp(rng.uniform(0.12, 0.35) * fibres)
    far = rng.uniform(0.01, 0.05) * min(shape)
    body = warp(body, swell(rng, shape, 5) * far, swell(rng, shape, 5) * far)
    return sky + 1.2 * _cloud_level(rng) * body


def cumulus(rng: Rng, sky: Field) -> Field:
    """Heaped cloud: cauliflower lumps on lumps, lit from one side, hazy towards its foot."""
    shape = sky.shape
    side = min(shape)
    ragged = rng.uniform(0.006, 0.014) * side
    bumps = fractal(rng, shape, 2.6) * ragged
    tops = warp(_heap(rng, shape), bumps, np.roll(bumps, side // 3, axis=1))
    cover = ramp(blur(tops, 0.003 * side + 0.3), 0.0, rng.uniform(0.03, 0.2))
    smooth = blur(tops, 0.008 * side + 0.3) * side * 0.5
    slope_y, slope_x = cv2.Sobel(smooth, -1, 0, 1) / 8, cv2.Sobel(smooth, -1, 1, 0) / 8
    sun = rng.uniform(-1.3, 1.3)
    lit = (np.sin(sun) * slope_x - np.cos(sun) * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    below_top = blur(np.cumsum(cover, axis=0, dtype=np.float32) / side, 0.05 * side)
    shade = rng.uniform(0.15, 0.5) * lit * np.exp(-below_top / 0.1)
    shade += rng.uniform(0.04, 0.09) * swell(rng, shape, 3.2)
    base = 1 - rng.uniform(0, 0.8) * below_top
    return sky + rng.uniform(0.25, 0.6) * cover * np.clip(base - shade, 0.3, 1.3)


def _heap(rng: Rng, shape: Shape) -> Field:
    """Height of piled-up balls, 0 where there is sky: big ones first, small ones on their rims."""
    side = min(shape)
    rows, columns = pixel_grid(shape)
    tops = np.zeros(shape, np.float32)
    line, lean = rng.uniform(0.4, 1.05) * shape[0], rng.uniform(-0.5, 0.5) * shape[0] / shape[1]
    for across in np.arange(0, 1.1, 0.16):
        x = (across + rng.normal(0, 0.04)) * shape[1]
        y = line + lean * (x - shape[1] / 2) + rng.uniform(-0.12, 0.02) * side
        radius = side * rng.uniform(0.08, 0.2)
        _ball(tops, y, x, radius)
        _ball(tops, y + radius, x, 1.3 * radius)
        _lumps(rng, tops, y, x, radius, generations=2)
    floor = line + lean * (columns - shape[1] / 2)
    return np.maximum(tops, 0.4 * ramp(rows, floor, floor + 0.25 * side))


def _lumps(rng: Rng, tops: Field, y: float, x: float, radius: float, *, generations: int) -> None:
    """Smaller balls along the upper rim of a ball, and again along theirs."""
    for _ in range(3 + 3 * generations):
        turn = rng.uniform(np.pi * 0.95, np.pi * 2.05)
        at = radius * rng.uniform(0.6, 1.0)
        small = radius * rng.uniform(0.25, 0.55)
        y_small, x_small = y + at * np.sin(turn), x + at * np.cos(turn)
        _ball(tops, y_small, x_small, small)
        if generations > 1:
            _lumps(rng, tops, y_small, x_small, small, generations=generations - 1)


def _ball(tops: Field, y: float, x: float, radius: float) -> None:
    """Raise the surface to a ball's upper half, in units of the side of the image."""
    side = min(tops.shape)
    top, left = max(int(y - radius), 0), max(int(x - radius), 0)
    patch = tops[top : int(y + radius) + 2, left : int(x + radius) + 2]
    if radius < 1.5 or 0 in patch.shape or y + radius < 0 or x + radius < 0:
        return
    rows, columns = pixel_grid(patch.shape)
    inside = radius**2 - (rows + top - y) ** 2 - (columns + left - x) ** 2
    np.maximum(patch, np.sqrt(np.maximum(inside, 0)) / side * 2.5, out=patch)


def _cloud_level(rng: Rng) -> float:
    """How much warmer than the sky: mostly thin, at times thick enough to saturate."""
    return float(rng.uniform(0.05, 0.2) if rng.random() < 0.5 else rng.uniform(0.2, 0.6))


def _tilt(rng: Rng) -> float:
    """The direction of long features, nearly level [radians]."""
    return float(rng.normal(0, 0.35))
