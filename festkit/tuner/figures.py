"""Figures of a whole set: at one pair of thresholds with intervals, and over all of them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._errors import InputError
from ..components import find_components
from ..fest import Rule
from ..metrics import Counts, confidence_intervals, count, record_of
from ..surface import ThresholdSurface, threshold_surface
from .frames import Frame, Source, detect, is_ordered
from .messages import GRID, fingerprint

CHUNK = 16
"""Images between two signs of life."""

Watch = Callable[[int], bool]
"""Told how many images are done; answers whether to go on."""


@dataclass(frozen=True)
class SetFigures:
    """What one pair of thresholds gives on every image of a set.

    Attributes:
        th1: strong threshold.
        th2: weak threshold.
        rule: where weak targets come from.
        counts: per image; empty without a truth.
        strong: strong targets per image.
        weak: weak targets per image.
        marks: a number per image that changes with the detected pixels.

    Example:
        >>> SetFigures(0.5, 0.1, "fused", [Counts(targets=4, detected=3)], [3], [0], [1]).total.pd
        0.75
    """

    th1: float
    th2: float
    rule: Rule
    counts: list[Counts]
    strong: list[int]
    weak: list[int]
    marks: list[int]

    @property
    def total(self) -> Counts:
        """Counts of the whole set."""
        return sum(self.counts, Counts())

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of every ratio; none for fewer than two images."""
        return confidence_intervals(self.counts) if len(self.counts) > 1 else {}

    def record(self) -> dict[str, Any]:
        """Counts, ratios and intervals of the set by name, ready for JSON; empty without truth."""
        return record_of(self.counts) if self.counts else {}


def measure(
    source: Source, th1: float, th2: float, rule: Rule, watch: Watch = lambda done: True
) -> SetFigures | None:
    """Detect and count on every image; None if nobody waits for it any more.

    Args:
        source: the images.
        th1: strong threshold.
        th2: weak threshold.
        rule: where weak targets come from.
        watch: asked after every image whether to go on.
    """
    counts: list[Counts] = []
    rows: list[tuple[int, int, int]] = []
    for done in range(len(source)):
        if not watch(done):
            return None
        frame = source.read(done)
        found = detect(frame, th1, th2, rule)
        if frame.mask is not None:
            counts.append(count(found.mask, frame.mask))
        strong = len(find_components(frame.prob, th1))
        rows.append((strong, len(found.weak), fingerprint(found.mask)))
    return SetFigures(th1, th2, rule, counts, *map(list, zip(*rows, strict=True)))


def measure_all(
    source: Source, rule: Rule, watch: Watch = lambda done: True
) -> ThresholdSurface | None:
    """The exact surface of a set over the tuner's grid; None if nobody waits for it any more."""
    surface: ThresholdSurface | None = None
    for start in range(0, len(source), CHUNK):
        if not watch(start):
            return None
        frames = [source.read(k) for k in range(start, min(start + CHUNK, len(source)))]
        part = _surface(frames, rule)
        surface = part if surface is None else surface + part
    return surface


def _surface(frames: list[Frame], rule: Rule) -> ThresholdSurface:
    own = None if is_ordered(frames[0], rule) else (frame.scales for frame in frames)
    probs, masks = (frame.prob for frame in frames), (_truth(frame) for frame in frames)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*noise floor")  # the page shows the map itself
        return threshold_surface(probs, masks, GRID, GRID, scale_maps=own, quiet=True)


def _truth(frame: Frame) -> Any:
    if frame.mask is None:
        raise InputError(f"image {frame.name!r} has no truth; figures need one of every image")
    return frame.mask
