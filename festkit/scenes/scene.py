"""One scene: background, sensor model and targets."""

from dataclasses import dataclass

import numpy as np

from .._support.arguments import check_range
from .._support.errors import InputError
from .._support.names import find_name
from ..data.statistics import local_scr
from ..ops.size_classes import kind_of
from .city import city
from .fields import Rng, Shape
from .ground import field, ocean
from .highlight import highlight
from .presets import PRESETS, Preset
from .sensor import Frame, digitise, expose
from .shapes import KINDS, draw_shape
from .sky import clear_sky, cloudy_sky
from .targets import Placed, SceneTarget, Strength, place

FAMILIES = {
    "sky": clear_sky,
    "cloud": cloudy_sky,
    "ocean": ocean,
    "field": field,
    "city": city,
    "highlight": highlight,
}

SMALLEST = 32


@dataclass(frozen=True)
class Scene:
    """A synthetic infrared image with its exact mask.

    Attributes:
        image: gray levels, uint8 (H, W).
        mask: labelled pixels, bool (H, W); each target is one 8-connected component.
        targets: one record for each target.
        family: background family.
        preset: difficulty preset.
        seed: random seed of the scene.
    """

    image: np.ndarray
    mask: np.ndarray
    targets: tuple[SceneTarget, ...]
    family: str
    preset: str
    seed: int


def make_scene(
    seed: int,
    *,
    size: int | tuple[int, int] = 256,
    preset: str = "nuaa",
    family: str | None = None,
    targets: int | None = None,
) -> Scene:
    """Generate one infrared scene; the same arguments give the same scene.

    Args:
        seed: random seed, at least 0.
        size: side in px, or (height, width), at least 32 px. Backgrounds scale with the size,
            targets do not.
        preset: "easy", "nuaa" (statistics near NUAA-SIRST) or "hard".
        family: "sky", "cloud", "ocean", "field", "city" or "highlight"; default: random.
        targets: number of targets; default: random, following the preset.

    Raises:
        ValueError: if a name is unknown, a number is out of range, or the targets do not fit.

    Example:
        >>> scene = make_scene(7, size=(64, 96), family="ocean", targets=2)
        >>> scene.image.shape, len(scene.targets), scene.family
        ((64, 96), 2, 'ocean')
    """
    shape, preset = check_size(size), find_name("preset", preset, PRESETS)
    check_range("seed", seed, "[0, inf)")
    if targets is not None:
        check_range("targets", targets, "[0, inf)", "a number, or None to draw one,")
    rules = PRESETS[preset]
    look, paint, sensor, aim = np.random.default_rng(seed).spawn(4)
    drawn_family, drawn_count = _draw_family(look, rules), _draw_count(look, rules, shape)
    family = drawn_family if family is None else find_name("family", family, FAMILIES)
    radiance = FAMILIES[family](paint, _detector_shape(look, shape))
    frame = expose(sensor, radiance, shape, rules.noise)
    wanted = drawn_count if targets is None else targets
    mask, placed = _add_targets(aim, frame, rules, family, wanted)
    if targets is not None and len(placed) < targets:
        raise InputError(
            f"only {len(placed)} of {targets} targets fit into {shape[0]}x{shape[1]} px; use fewer "
            "targets or a larger size"
        )
    image = digitise(sensor, frame.gray)
    records = tuple(_record(image, mask, target) for target in placed)
    return Scene(image, mask, records, family, preset, seed)


def check_size(size: int | tuple[int, int]) -> Shape:
    """A size as (height, width).

    Raises:
        ValueError: if it is not one or two whole numbers, or a side is shorter than 32 px.

    Example:
        >>> check_size(256)
        (256, 256)
    """
    sides = np.atleast_1d(size)
    if sides.dtype.kind not in "iu" or sides.ndim != 1 or sides.size not in (1, 2):
        raise InputError(f"size is {size!r}, expected a whole number of px or (height, width)")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < SMALLEST:
        raise InputError(f"size is {height}x{width} px, expected at least {SMALLEST} px per side")
    return height, width


def _draw_family(rng: Rng, rules: Preset) -> str:
    """A background family by the weights of the preset."""
    weights = np.array(list(rules.families.values()), float)
    return list(rules.families)[rng.choice(len(weights), p=weights / weights.sum())]


def _detector_shape(rng: Rng, shape: Shape) -> Shape:
    """Three frames in ten were taken with a coarser detector and enlarged."""
    zoom = rng.uniform(1.3, 2.2) if rng.random() < 0.3 else 1.0
    zoom = min(zoom, min(shape) / SMALLEST)
    return round(shape[0] / zoom), round(shape[1] / zoom)


def _draw_count(rng: Rng, rules: Preset, shape: Shape) -> int:
    """A number of targets from the preset; small images hold fewer."""
    room = max(shape[0] * shape[1] // 64**2, 1)
    return min(int(rng.choice(len(rules.counts), p=rules.counts)), room)


def _add_targets(
    rng: Rng, frame: Frame, rules: Preset, family: str, wanted: int
) -> tuple[np.ndarray, list[Placed]]:
    """Paint targets into the frame; returns the mask and the targets that found a place.

    A target that finds none, as a large one in a small image, gives way to a point.
    """
    mask = np.zeros(frame.gray.shape, bool)
    placed: list[Placed] = []
    median, spread, low, high = rules.scr
    for _ in range(wanted):
        scr = float(np.clip(rng.lognormal(np.log(median), spread), low, high))
        strength = Strength(scr, rules.contrast)
        for kind in (KINDS[rng.choice(3, p=rules.kinds)], "point"):
            fill = draw_shape(rng, kind, family, frame.blur)
            ship = kind == "extended" and family == "ocean"
            first_row = len(mask) // 2 if ship else 1
            if target := place(rng, frame, mask, fill, strength, first_row=first_row):
                target.paint(frame.gray, mask)
                placed.append(target)
                break
    return mask, placed


def _record(image: np.ndarray, mask: np.ndarray, target: Placed) -> SceneTarget:
    """A target as measured on the finished image."""
    own = np.zeros_like(mask)
    own[target.window] = target.label
    area, (y, x) = int(own.sum()), target.centre
    scr = local_scr(image, own, mask)
    return SceneTarget(kind_of(area), y, x, area, scr, target.scr)
