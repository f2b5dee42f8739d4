"""Sea and land: a plane in perspective under a sky."""

import cv2
import numpy as np

from .fields import Field, Plane, Rng, Shape, cells, fractal, pixel_grid, polygon, ramp, swell
from .sky import clear_sky, cloudy_sky


def ocean(rng: Rng, shape: Shape) -> Field:
    """Sea clutter up to the horizon or beyond the frame; glint, slicks, at times a far coast."""
    height, width = shape
    rows, columns = pixel_grid(shape)
    horizon = height * (rng.uniform(-1.5, 0.0) if rng.random() < 0.4 else rng.uniform(0.05, 0.5))
    plane = Plane(shape, horizon, rng.uniform(0.8, 4.0) * min(shape))
    waves = _waves(rng, plane)
    near = np.clip((rows - horizon) / (height - horizon), 0, 1)
    slicks = fractal(rng, shape, 3.2, stretch=rng.uniform(3, 8), angle=rng.normal(0, 0.06))
    roughness = rng.uniform(0.012, 0.07) * (1 - 0.6 * ramp(slicks, 0.3, 1.6))
    level = rng.uniform(0.2, 0.5) + rng.uniform(-0.15, 0.1) * near
    sea = level + roughness * waves + rng.uniform(0.0, 0.035) * slicks
    if rng.random() < 0.45:
        sea = sea + _glint(rng, waves, near, columns / width)
    if horizon <= 0:
        return sea.astype(np.float32)
    sky = cloudy_sky(rng, shape) if rng.random() < 0.4 else clear_sky(rng, shape)
    air = float(sky[int(horizon)].mean())
    haze = (1 - near) ** rng.uniform(3, 8)
    sea = sea + (air + rng.uniform(-0.15, 0.08) - float(level[int(horizon), 0])) * haze
    scene = sky + ramp(rows, horizon - 0.5, horizon + 0.5) * (sea - sky)
    if rng.random() < 0.35:
        coast = horizon - ridge(rng, width, rng.uniform(0.02, 0.07) * height)
        cover = ramp(rows, coast - 0.7, coast + 0.7) * (rows < horizon)
        tone = air + rng.uniform(-0.1, 0.12) + 0.015 * fractal(rng, shape, 2.4)
        scene = scene + cover * (tone - scene)
    return scene.astype(np.float32)


def _waves(rng: Rng, plane: Plane) -> Field:
    """Wind sea with peaked crests on a longer swell, about unit standard deviation."""
    scale, wind = rng.uniform(0.8, 2.0), rng.normal(0, 0.35)
    chop = plane.noise(rng, rng.uniform(1.6, 2.6), longest=10 * scale, stretch=1.8, turn=wind)
    long = plane.noise(rng, 2.0, longest=40 * scale, shortest=20 * scale, stretch=4.0, turn=wind)
    return np.exp(0.6 * chop) - 1.15 + rng.uniform(0.1, 0.5) * long


def _glint(rng: Rng, waves: Field, near: Field, across: Field) -> Field:
    """The lane under a low sun: facets that mirror it sparkle, the rest glows faintly."""
    centre = rng.uniform(0.1, 0.9)
    spread = rng.uniform(0.06, 0.16) * (0.5 + near)
    lane = np.exp(-0.5 * ((across - centre) / spread) ** 2)
    sparkle = np.clip(waves - rng.uniform(0.5, 1.2), 0, 2)
    glow = rng.uniform(0.02, 0.1) + rng.uniform(0.08, 0.3) * sparkle
    return lane * glow * ramp(near, 0, 0.05)


def ridge(rng: Rng, width: int, tallest: float) -> Field:
    """Height of a skyline of hills above its foot, one value for each column."""
    line = fractal(rng, (8, 2 * width), rng.uniform(3.4, 4.2))[0, :width]
    line = line / max(float(np.abs(line).max()), 1e-9)
    return tallest * np.clip(rng.uniform(0.3, 0.7) + 0.5 * line, 0, 1)


def field(rng: Rng, shape: Shape) -> Field:
    """Open land: soil, crops, scrub and bare rock, tracks, trees, at times hills and sky."""
    height = shape[0]
    crest = rng.uniform(0.1, 0.5) * height if rng.random() < 0.5 else 0.0
    horizon = crest - rng.uniform(0.05, 0.4 if crest else 2.5) * height
    plane = Plane(shape, horizon, rng.uniform(0.8, 2.2) * min(shape))
    scene = _parcels(rng, plane) if rng.random() < 0.4 else _scrub(rng, plane)
    for _ in range(rng.integers(0, 3)):
        _track(rng, scene, plane)
    if crest:
        scene = _hills(rng, scene, crest)
    if rng.random() < 0.75 and horizon > -0.8 * height:
        _trees(rng, scene, plane, crest)
    return scene.astype(np.float32)


def _parcels(rng: Rng, plane: Plane) -> Field:
    """Farm land: strips cut into parcels of different crops and furrows, hedges between."""
    away, aside = plane.ground(rng.uniform(-0.9, 0.9))
    bow = 0.05 * min(plane.shape) * swell(rng, plane.shape) + cells(rng, plane.shape, 12)
    scale = rng.uniform(0.2, 0.5) * min(plane.shape)
    strip = np.floor((away + bow) / scale + 0.25 * np.sin(away / scale)).astype(np.int32) % 64
    length = rng.uniform(0.4, 1.6, 64).astype(np.float32)[strip] * scale
    start = rng.uniform(0, 50, 64).astype(np.float32)[strip]
    parcel = np.floor((aside + 0.5 * bow) / length + start).astype(np.int32)
    owner = (strip * 29 + parcel * 13) % 64
    tone = rng.normal(0.5, 0.08, 64).astype(np.float32)[owner]
    heading = np.where(rng.random(64) < 0.5, 0.0, np.pi / 2).astype(np.float32)[owner]
    depth = (rng.uniform(0, 0.03, 64) * (rng.random(64) < 0.7)).astype(np.float32)[owner]
    seen = np.clip(3 / plane.footprint - 0.7, 0, 1)
    furrows = depth * seen * np.sin((away * np.sin(heading) + aside * np.cos(heading)) * 0.9)
    land = tone + furrows + 0.035 * plane.noise(rng, rng.uniform(2, 2.8), longest=90)
    edge = cv2.morphologyEx(owner.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    hedged = edge & (cells(rng, plane.shape, 15) > rng.uniform(-0.6, 0.6))
    land[hedged] += rng.uniform(-0.12, 0.08)
    return land.astype(np.float32)


def _scrub(rng: Rng, plane: Plane) -> Field:
    """Rough land: bushes in patches over grass, bare rock warmed by the sun."""
    grass = 0.45 + rng.uniform(0.02, 0.05) * plane.noise(rng, rng.uniform(1.8, 2.6), longest=60)
    bush = ramp(plane.noise(rng, 2.2, longest=rng.uniform(5, 12), shortest=1.5), 0.0, 1.6)
    patch = ramp(plane.noise(rng, 3.0, longest=120, shortest=10), rng.uniform(-0.9, 0.6), 1.3)
    rock = plane.noise(rng, rng.uniform(2.6, 3.2), longest=rng.uniform(60, 160), shortest=3.5)
    start = rng.uniform(0.7, 1.8)
    bare = ramp(rock, start, start + 0.8)
    tone = rng.uniform(0.05, 0.28) * (1 + 0.25 * plane.noise(rng, 2.0, longest=8))
    return grass - rng.uniform(0.04, 0.15) * bush * patch + bare * tone


def _track(rng: Rng, land: Field, plane: Plane) -> None:
    """A winding road or path across or along the view, warmer or colder than the land."""
    height, width = plane.shape
    t = np.linspace(0, 1, 60)
    sway = sum(np.sin(k * 5 * t + rng.uniform(0, 6)) * rng.normal(0, 0.1 / k) for k in (1, 2, 3))
    if rng.random() < 0.5:
        x = (-0.2 + 1.4 * t) * width
        y = np.clip(rng.uniform(0.3, 1) + rng.normal(0, 0.2) * (t - 0.5) + 0.5 * sway, 0.05, 2)
    else:
        x = (rng.uniform(0, 1) + rng.normal(0, 0.4) * t + sway * (0.3 + t)) * width
        y = 0.02 + 1.1 * t
    y = max(plane.horizon, -0.1 * height) + y * (height - max(plane.horizon, -0.1 * height))
    near = np.clip((y - plane.horizon) / (height - plane.horizon), 0.02, None)
    half = rng.uniform(1.5, 5.0) * near
    rims = [np.stack([x + s * half, y + 0.4 * s * half], axis=-1) for s in (-1, 1)]
    outline = np.concatenate([rims[0], rims[1][::-1]])
    cover = polygon(land.shape, outline) * rng.uniform(0.5, 1)
    land += cover * (rng.normal(0.56, 0.1) + 0.4 * (land - 0.5) - land)


def _hills(rng: Rng, land: Field, crest: float) -> Field:
    """Sky and one to three ridges, hazier with distance, behind the land."""
    shape = land.shape
    rows, _ = pixel_grid(shape)
    scene = cloudy_sky(rng, shape) if rng.random() < 0.4 else clear_sky(rng, shape)
    ground = float(land[min(int(crest) + 2, shape[0] - 1)].mean())
    air = float(scene[int(crest)].mean())
    texture = 0.03 * fractal(rng, shape, 2.2)
    number = rng.integers(1, 4)
    for order in range(number):
        share = (order + 1) / (number + 1)
        foot = crest - ridge(rng, shape[1], rng.uniform(0.05, 0.2) * shape[0] * (1.3 - share))
        if rng.random() < 0.5:
            foot = foot - np.abs(rng.normal(0, 0.006 * shape[0], shape[1]))
        tone = air + (ground - rng.uniform(0, 0.1) - air) * share + texture * share
        scene = scene + ramp(rows, foot - 0.7, foot + 0.7) * (tone - scene)
    brow = crest + ridge(rng, shape[1], 0.06 * shape[0])
    return (scene + ramp(rows, brow - 0.7, brow + 0.7) * (land - scene)).astype(np.float32)


def _trees(rng: Rng, scene: Field, plane: Plane, crest: float) -> None:
    """Groups of trees standing on the plane, far ones first."""
    height, width = plane.shape
    tone = 0.46 + rng.uniform(-0.16, 0.08)
    slender = rng.uniform(1.2, 3.2)
    size = rng.uniform(0.12, 0.35) * height
    leaves = fractal(rng, plane.shape, rng.uniform(1.6, 2.2))
    top = max(crest + 0.02 * height, 0.0)
    for group in np.sort(rng.uniform(0, 1, rng.integers(1, 6))):
        foot = top + group * (height * 1.1 - top)
        middle = rng.uniform(0, width)
        scale = (foot - plane.horizon) / (height - plane.horizon)
        for _ in range(rng.integers(3, 16)):
            tall = size * scale * rng.uniform(0.5, 1.2)
            y = foot + rng.normal(0, 0.02) * height
            x = middle + rng.normal(0, 0.2) * width * scale
            crown(scene, leaves, (y, x), (tall, tall / slender), tone + rng.normal(0, 0.015))


YX = tuple[float, float]
"""Row and column, or height and width, px."""


def crown(scene: Field, leaves: Field, foot: YX, size: YX, tone: float) -> None:
    """Paint one tree: foot (y, x), size (height, width), level; darker towards its foot."""
    (y, x), (tall, wide) = foot, size
    top, left = max(int(y - tall), 0), max(int(x - wide), 0)
    window = np.s_[top : max(int(y), 0), left : max(int(x + wide), 0)]
    patch = scene[window]
    if tall < 4 or 0 in patch.shape:
        return
    rows, columns = pixel_grid(patch.shape)
    v = np.clip((y - rows - top) / tall, 0, 1)
    outline = 2 * np.sqrt(v * (1 - v)) * (1.2 - 0.6 * v)
    distance = np.abs(columns + left - x) / (wide * 0.5)
    foliage = leaves[window]
    cover = ramp(outline - distance + 0.3 * foliage, -0.05, 0.4)
    patch += cover * (tone + 0.035 * foliage + 0.06 * (v - 0.6) - patch)
