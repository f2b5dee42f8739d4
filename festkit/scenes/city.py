"""City: rows of buildings against the sky, from far blocks to a single house close by."""

from dataclasses import dataclass

import cv2
import numpy as np

from .fields import Field, Rng, Shape, blur, fractal, pixel_grid, polygon, ramp
from .ground import crown
from .sky import clear_sky, cloudy_sky


@dataclass(frozen=True)
class Block:
    """A building: its box in px, the height of a floor in px, and its radiance."""

    top: float
    left: float
    bottom: float
    right: float
    floor: float
    tone: float

    @property
    def width(self) -> float:
        """Width of the box, px."""
        return self.right - self.left


def city(rng: Rng, shape: Shape) -> Field:
    """Warm buildings under a cold sky: a skyline in depth, or one or two large facades."""
    scene = cloudy_sky(rng, shape) if rng.random() < 0.35 else clear_sky(rng, shape)
    warm = rng.uniform(0.5, 0.75)
    grain = fractal(rng, shape, 2.2)
    if rng.random() < 0.3:
        _close_up(rng, scene, grain, warm)
        return blur(scene, rng.uniform(0.0, 1.6) * min(shape) / 256)
    _skyline(rng, scene, grain, warm)
    if rng.random() < 0.25:
        _cables(rng, scene)
    return scene


def _skyline(rng: Rng, scene: Field, grain: Field, warm: float) -> None:
    """Two or three rows of buildings, hazier with distance, a street and its trees."""
    height = scene.shape[0]
    air = float(scene[-1].mean())
    foot = height * rng.uniform(0.88, 1.1)
    rows = int(rng.integers(2, 4))
    for row in range(1, rows + 1):
        near = row / rows
        tone = air + (warm - air) * (0.3 + 0.7 * near**1.3)
        for block in _row_of_blocks(rng, scene.shape, foot * (0.9 + 0.1 * near), near, tone):
            _building(rng, scene, grain, block)
    street = ramp(pixel_grid(scene.shape)[0], foot - 1, foot + 1)
    scene += street * (warm * rng.uniform(0.75, 1.0) + 0.02 * grain - scene)
    if rng.random() < 0.6:
        _street_trees(rng, scene, foot, warm - rng.uniform(0.0, 0.2))


def _row_of_blocks(rng: Rng, shape: Shape, foot: float, near: float, tone: float) -> list[Block]:
    """Buildings of one distance, side by side from left to right, with gaps."""
    side = min(shape)
    tallest = shape[0] * rng.uniform(0.2, 0.6) * (1.1 - 0.4 * near)
    floor = side * rng.uniform(0.012, 0.022) * (0.4 + 0.8 * near)
    blocks, x = [], rng.uniform(-0.15, 0.1) * side
    while x < shape[1]:
        wide = side * rng.uniform(0.06, 0.2) * (0.5 + 0.7 * near)
        tall = tallest * float(np.clip(rng.lognormal(-0.7, 0.5), 0.15, 1.2))
        own = tone * rng.uniform(0.88, 1.1)
        blocks.append(Block(foot - tall, x, foot, x + wide, floor, own))
        x += wide * rng.uniform(0.75, 1.1)
        if rng.random() < 0.25:
            x += side * rng.uniform(0.02, 0.25)
    return blocks


def _close_up(rng: Rng, scene: Field, grain: Field, warm: float) -> None:
    """One or two big buildings that fill much of the frame."""
    height, width = scene.shape
    for _ in range(rng.integers(1, 3)):
        wide = width * rng.uniform(0.35, 0.7)
        left = -2.0 if rng.random() < 0.5 else width - wide + 2
        top = height * rng.uniform(-0.1, 0.65)
        floor = min(scene.shape) * rng.uniform(0.07, 0.16)
        tone = warm * rng.uniform(0.88, 1.1)
        _building(rng, scene, grain, Block(top, left, height, left + wide, floor, tone))


def _building(rng: Rng, scene: Field, grain: Field, block: Block) -> None:
    """Two walls that meet at a corner and recede from it, with windows and a parapet."""
    corner = block.left + block.width * rng.choice([0.2, 0.35, 0.65, 0.8, 1.0])
    slant = rng.uniform(0.0, 0.5) * min(block.width / (0.3 * min(scene.shape)), 1.0)
    if corner == block.right:
        slant = 0.0
    _roof(rng, scene, block, slant * block.width)
    style = str(rng.choice(["punched", "ribbon", "piers", "plain"], p=[0.45, 0.2, 0.2, 0.15]))
    bay = block.floor * rng.uniform(0.8, 1.8)
    glass = rng.uniform(-0.18, -0.04) if rng.random() < 0.75 else rng.uniform(0.03, 0.1)
    parapet, rim = max(round(0.25 * block.floor), 1), rng.uniform(-0.1, 0.12)
    light = 1.0, rng.uniform(0.86, 1.12)
    high = max(round(block.bottom - block.top), 2)
    for face, (start, stop) in enumerate(((block.left, corner), (corner, block.right))):
        wide = round(stop - start)
        if wide < 2:
            continue
        spots = grain.take(range(high), 0, mode="wrap").take(range(wide), 1, mode="wrap")
        fall = rng.uniform(-0.1, 0.1) * np.linspace(0, 1, high, dtype=np.float32)[:, None]
        wall = 1 + 0.03 * spots + fall
        wall += glass * _windows(rng, (high, wide), style, block.floor, bay)
        wall[:parapet] += rim
        drop = block.top + slant * (stop - start)
        tops = (drop, block.top) if face == 0 else (block.top, drop)
        _hang(scene, wall * (block.tone * light[face]), tops, block.bottom, start)


def _windows(rng: Rng, shape: Shape, style: str, floor: float, bay: float) -> Field:
    """How much of each wall pixel is glass, times how much that pane differs from the others."""
    if style == "plain":
        return np.zeros(shape, np.float32)
    rows, columns = pixel_grid(shape)
    up, along = (rows + 0.5) / floor, (columns + 0.5) / bay
    share = rng.uniform(0.4, 0.65, 2)
    glazed = np.ones(shape, np.float32)
    if style in ("punched", "ribbon"):
        glazed *= _bars(up, share[0], floor)
    if style in ("punched", "piers"):
        glazed *= _bars(along, share[1], bay)
    panes = rng.normal(1, 0.3, (int(up.max()) + 1, int(along.max()) + 1)).astype(np.float32)
    panes[rng.random(panes.shape) < 0.02] = -rng.uniform(0.5, 2.5)
    return glazed * panes[up.astype(int), along.astype(int)]


def _bars(at: Field, share: float, period: float) -> Field:
    """Periodic bars covering a share of each period, their edges one pixel soft."""
    from_middle = np.abs(at - np.floor(at) - 0.5)
    return np.clip((share / 2 - from_middle) * period + 0.5, 0, 1).astype(np.float32)


def _hang(scene: Field, wall: Field, tops: tuple[float, float], bottom: float, left: float) -> None:
    """Paint a wall whose upper corners (left, right) lie at two different rows."""
    high, wide = wall.shape
    y, x = max(int(min(tops)), 0), max(int(left), 0)
    patch = scene[y : max(int(bottom) + 1, 0), x : max(int(left + wide) + 1, 0)]
    if 0 in patch.shape:
        return
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    seen = flat + np.array([left - x, 0], np.float32)
    seen[:, 1] = np.array([tops[0], tops[1], bottom, bottom]) - y
    view = cv2.getPerspectiveTransform(flat, seen)
    painted = cv2.warpPerspective(wall, view, patch.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpPerspective(np.ones_like(wall), view, patch.shape[::-1])
    patch += cover * (painted - patch)


def _roof(rng: Rng, scene: Field, block: Block, drop: float) -> None:
    """What stands on a roof, before the walls hide its foot: plant, mast, vent, or a hip roof."""
    top, left, wide, tone = block.top, block.left, block.width, block.tone
    if drop == 0 and rng.random() < 0.3 and wide > 8:
        high, inset = wide * rng.uniform(0.1, 0.3), wide * rng.uniform(0.05, 0.4)
        ridge = [(left + inset, top - high), (block.right - inset, top - high)]
        corners = np.array([(left - 1, top), *ridge, (block.right + 1, top)])
        scene += polygon(scene.shape, corners) * (0.95 * tone - scene)
        return
    for _ in range(rng.integers(0, 4)):
        start, size = left + wide * rng.uniform(0.1, 0.7), wide * rng.uniform(0.08, 0.25)
        high = min(block.floor, 12) * rng.uniform(0.3, 1.8)
        plant = _part(scene, top - high, start, top + drop + 1, start + size)
        plant[:] = tone * rng.uniform(0.9, 1.1)
        plant[:, : plant.shape[1] // 3] *= rng.uniform(0.9, 1.1)
    if rng.random() < 0.2:
        x, high = left + wide * rng.uniform(0.3, 0.7), block.floor * rng.uniform(2, 6)
        mast = _part(scene, top - high, x, top + drop + 1, x + 1)
        mast += rng.uniform(0.4, 0.9) * (tone - mast)
    if rng.random() < 0.2:
        x, size = left + wide * rng.uniform(0.3, 0.7), rng.uniform(1, 0.5 * block.floor + 1)
        vent = _part(scene, top - size, x, top + drop + 1, x + size)
        vent[:] = tone + rng.uniform(0.05, 0.3)


def _cables(rng: Rng, scene: Field) -> None:
    """A few wires sagging across the sky."""
    height, width = scene.shape
    t = np.linspace(0, 1, 30)
    start, stop = rng.uniform(0.05, 0.7, 2) * height
    sag, change = rng.uniform(0, 0.1) * height, rng.uniform(-0.05, 0.1)
    for number in range(rng.integers(1, 5)):
        y = start + (stop - start) * t + 4 * sag * t * (1 - t) + number * 0.03 * height
        line = np.round(np.stack([t * width, y], axis=-1) * 16).astype(np.int32)
        mask = np.zeros(scene.shape, np.uint8)
        cv2.polylines(mask, [line], False, 255, 1, cv2.LINE_AA, 4)
        scene += change * (mask / np.float32(255))


def _street_trees(rng: Rng, scene: Field, foot: float, tone: float) -> None:
    """Crowns along the foot of the houses, partly hiding them."""
    height, width = scene.shape
    tall = height * rng.uniform(0.08, 0.25)
    leaves = fractal(rng, scene.shape, 1.9)
    for x in rng.uniform(0, width, rng.integers(3, 14)):
        size = tall * rng.uniform(0.6, 1.2)
        place = (min(foot, 1.08 * height), float(x))
        crown(scene, leaves, place, (size, size * rng.uniform(0.5, 1.0)), tone)


def _part(scene: Field, top: float, left: float, bottom: float, right: float) -> Field:
    """The part of the scene inside a box, writable."""
    rows = slice(max(round(top), 0), max(round(bottom), 0))
    return scene[rows, max(round(left), 0) : max(round(right), 0)]
