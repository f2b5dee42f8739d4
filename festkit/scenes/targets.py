"""Small targets in clutter: position, strength and labelled pixels."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from ..data.statistics import Slices, surroundings
from .fields import Field, Rng
from .sensor import Frame


@dataclass(frozen=True)
class SceneTarget:
    """One target of a scene.

    Attributes:
        kind: "point" (up to 9 px), "spot" (10 to 81 px) or "extended" (more).
        y: row of its centre of radiance, px.
        x: column of its centre of radiance, px.
        area: labelled pixels.
        scr: signal-to-clutter ratio measured on the finished image, see `local_scr`.
        stated_scr: signal-to-clutter ratio at which it was drawn.
    """

    kind: str
    y: float
    x: float
    area: int
    scr: float
    stated_scr: float


@dataclass(frozen=True)
class Placed:
    """A target fitted into a frame, not yet painted.

    Attributes:
        window: rows and columns that it covers.
        fill: how much of each pixel of the window it fills, at most 1.
        level: its gray level.
        label: labelled pixels of the window, bool.
        scr: signal-to-clutter ratio it has there.
    """

    window: Slices
    fill: Field
    level: float
    label: np.ndarray
    scr: float

    def paint(self, gray: Field, mask: np.ndarray) -> None:
        """Cover the background by the target and label it."""
        gray[self.window] += self.fill * (self.level - gray[self.window])
        mask[self.window] |= self.label

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of radiance (y, x), px."""
        rows, columns = np.indices(self.fill.shape)
        total = float(self.fill.sum())
        y, x = (float((axis * self.fill).sum()) / total for axis in (rows, columns))
        return self.window[0].start + y, self.window[1].start + x


class Strength(NamedTuple):
    """How strong a target is wanted: its SCR, and its least contrast in gray levels."""

    scr: float
    contrast: float


def place(
    rng: Rng, frame: Frame, mask: np.ndarray, fill: Field, wanted: Strength, *, first_row: int = 1
) -> Placed | None:
    """Fit a target where it reaches its SCR; if no tried place allows that, where it comes nearest.

    Args:
        rng: source of randomness.
        frame: the background, with the targets painted so far.
        mask: labels of the targets painted so far, bool (H, W); kept 8 px away from.
        fill: the target's shape.
        wanted: how strong the target is.
        first_row: highest row that the target may touch.

    Returns:
        The fitted target, or None if no tried place was free, or it would drown in all of them.
    """
    last = np.array(mask.shape) - fill.shape
    if (last <= (first_row, 1)).any():
        return None
    taken = cv2.dilate(mask.astype(np.uint8), np.ones((17, 17), np.uint8)).astype(bool)
    best, off = None, math.inf
    for top, left in rng.integers((first_row, 1), last, (30, 2)):
        if taken[top : top + fill.shape[0], left : left + fill.shape[1]].any():
            continue
        placed = _fit(frame, mask, fill, (int(top), int(left)), wanted)
        if abs(math.log(placed.scr / wanted.scr)) < off:
            best, off = placed, abs(math.log(placed.scr / wanted.scr))
        if off < 0.02:
            break
    return best if best is not None and best.scr >= min(0.25 * wanted.scr, 1.0) else None


def _fit(
    frame: Frame, mask: np.ndarray, fill: Field, corner: tuple[int, int], wanted: Strength
) -> Placed:
    """Find the level at which a target here has the wanted SCR, within what 8 bits can show.

    The label (more than 0.3 of the peak, and more than the noise) and the level depend on each
    other, so both are found twice.
    """
    (top, left), (high, wide) = corner, fill.shape
    around = surroundings(fill > 0.3, top, left)
    share = np.zeros(mask.shape, np.float32)[around]
    y, x = top - around[0].start, left - around[1].start
    share[y : y + high, x : x + wide] = fill
    least = 0.3
    for _ in range(2):
        marked = share > least
        ring = ~marked & ~mask[around]
        base = float(frame.gray[around][ring].mean())
        rest = (frame.gray[around] - base) * (1 - share)
        beneath = max(float((frame.gray[around] - base)[marked].mean()), 0.0)
        level = min(_level(rest, share, marked, ring, wanted.scr), 252 - base)
        level = max(level, wanted.contrast + beneath)
        least = max(0.3, min(frame.noise / level, 0.6))
    image = np.minimum(rest + share * level, 255 - base)
    signal = float(image[marked].mean() - image[ring].mean())
    reached = signal / max(float(image[ring].std()), 0.5)
    window = np.s_[top : top + high, left : left + wide]
    return Placed(window, fill, base + level, _main_part(fill, least), max(reached, 0.01))


def _level(rest: Field, share: Field, marked: np.ndarray, ring: np.ndarray, scr: float) -> float:
    """The L at which mean(target) - mean(ring) = scr * std(ring) in the image rest + share * L.

    Infinite where no level reaches the SCR, since the target's own skirt lies in the ring.
    """
    p = float(rest[marked].mean() - rest[ring].mean())
    q = float(share[marked].mean() - share[ring].mean())
    variance = np.cov(rest[ring], share[ring], bias=True)
    a = q * q - scr**2 * float(variance[1, 1])
    b = p * q - scr**2 * float(variance[0, 1])
    c = p * p - scr**2 * max(float(variance[0, 0]), 0.25)
    if a <= 0 or b * b < a * c:
        return math.inf
    return (-b + math.sqrt(b * b - a * c)) / a


def _main_part(fill: Field, least: float) -> np.ndarray:
    """Pixels filled more than ``least`` that hang together with the fullest one."""
    _, parts = cv2.connectedComponents((fill > least).astype(np.uint8), connectivity=8)
    return np.asarray(parts == parts[np.unravel_index(fill.argmax(), fill.shape)])
