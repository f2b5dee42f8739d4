"""Metrics of a whole set at one or all pairs of thresholds, and the messages to the page."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from ..metrics import FA_LIMIT, Counts, count, record_of
from ..model import Rule
from ..ops.components import find_components
from ..surface import ThresholdSurface, threshold_surface
from .frames import Frame, Source, detect, is_ordered

STEPS = 10_000
"""Thresholds per unit of probability."""

GRID_STEP = 50
"""Ticks between two thresholds of the sliders and of the surface."""

GRID_TICKS = np.arange(200, STEPS, GRID_STEP)
"""The lowest is 0.02, since the background of barely trained networks is below."""

GRID = GRID_TICKS / STEPS
"""Thresholds of the surface, the stops of the sliders."""

THUMBNAIL = 32
"""Side of the images in the list, px."""

SURFACE_VALUES = ("score", "iou", "niou", "pd", "fa")

Message = tuple[dict[str, Any], list[bytes]]

_THRESHOLDS = (np.arange(STEPS + 1) / STEPS).astype(np.float32)


def ticks(prob: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Number of thresholds below each probability, (H, W).

    Example:
        >>> ticks(np.array([[0.0, 0.1, 0.50001]], np.float32))
        array([[   0, 1000, 5001]], dtype=uint16)
    """
    return np.searchsorted(_THRESHOLDS, prob, side="left").astype(np.uint16)


def nearest_tick(threshold: float) -> int:
    """The nearest threshold of the page, in ticks.

    Example:
        >>> nearest_tick(0.12344)
        1234
    """
    return round(threshold * STEPS)


def setup(source: Source, first: Frame) -> dict[str, Any]:
    """Initial data of the page."""
    return {
        "title": source.title,
        "names": list(source.names),
        "steps": STEPS,
        "grid": GRID_TICKS.tolist(),
        "truth": first.mask is not None,
        "images": first.image is not None,
        "scales": len(first.scales),
        "keeps": source.keep is not None,
        "code": {"fused": source.code, "per_scale": source.per_scale_code or source.code},
        "faLimit": FA_LIMIT,
    }


def frame_message(frame: Frame, index: int) -> Message:
    """One image: gray levels, true mask, ticks of the fused map and of every scale."""
    height, width = frame.prob.shape
    maps = [ticks(prob).tobytes() for prob in (frame.prob, *frame.scales)]
    gray = b"" if frame.image is None else frame.image.tobytes()
    truth = b"" if frame.mask is None else frame.mask.tobytes()
    content = {"type": "image", "index": index, "name": frame.name}
    return content | {"height": height, "width": width}, [gray, truth, *maps]


def surface_message(surface: ThresholdSurface, rule: str) -> Message:
    """The metrics of the set over both thresholds; NaN where a ratio is undefined."""
    content = {"type": "surface", "rule": rule, "values": list(SURFACE_VALUES)}
    return content, [getattr(surface, name).astype("<f8").tobytes() for name in SURFACE_VALUES]


def thumbnails_message(source: Source) -> Message:
    """All images, or their maps where there are none, squeezed to small squares."""
    frames = map(source.read, range(len(source)))
    large = (frame.prob * 255 if frame.image is None else frame.image for frame in frames)
    size = (THUMBNAIL, THUMBNAIL)
    small = [cv2.resize(gray, size, interpolation=cv2.INTER_AREA) for gray in large]
    content = {"type": "thumbnails", "side": THUMBNAIL}
    return content, [np.rint(small).astype(np.uint8).tobytes()]


CHUNK = 16
"""Images between two progress messages."""

Watch = Callable[[int], bool]
"""Called with the number of finished images; returns whether to continue."""


@dataclass(frozen=True)
class SetMetrics:
    """Counts of every image of a set at one pair of thresholds.

    Attributes:
        th1: strong threshold.
        th2: weak threshold.
        rule: source of weak targets.
        counts: counts per image; empty without true masks.
        strong: strong targets per image.
        weak: weak targets per image.
        marks: a checksum per image of its detected pixels.

    Example:
        >>> SetMetrics(0.5, 0.1, "fused", [Counts(targets=4, detected=3)], [3], [0], [1]).total.pd
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
    def chosen(self) -> dict[str, Any]:
        """Thresholds and rule by name."""
        return {"th1": self.th1, "th2": self.th2, "rule": self.rule}

    @property
    def total(self) -> Counts:
        """Counts of the whole set."""
        return sum(self.counts, Counts())

    def record(self) -> dict[str, Any]:
        """Counts, ratios and intervals of the set by name, for JSON; empty without true masks."""
        return record_of(self.counts) if self.counts else {}


def measure(
    source: Source, th1: float, th2: float, rule: Rule, watch: Watch = lambda done: True
) -> SetMetrics | None:
    """Detect and count on every image; None if ``watch`` stopped it.

    Args:
        source: the images.
        th1: strong threshold.
        th2: weak threshold.
        rule: source of weak targets.
        watch: called before every image; the measurement stops if it returns False.
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
        rows.append((strong, len(found.weak), zlib.crc32(found.mask.tobytes())))
    return SetMetrics(th1, th2, rule, counts, *map(list, zip(*rows, strict=True)))


def measure_all(
    source: Source, rule: Rule, watch: Watch = lambda done: True
) -> ThresholdSurface | None:
    """The exact surface of a set over the tuner's grid; None if ``watch`` stopped it."""
    surface: ThresholdSurface | None = None
    for start in range(0, len(source), CHUNK):
        if not watch(start):
            return None
        frames = [source.read(k) for k in range(start, min(start + CHUNK, len(source)))]
        part = _surface(frames, rule)
        surface = part if surface is None else surface + part
    return surface


def _surface(frames: list[Frame], rule: Rule) -> ThresholdSurface:
    """The surface of some frames."""
    masks = [frame.mask for frame in frames if frame.mask is not None]
    if len(masks) < len(frames):
        raise InputError("metrics need the true mask of every image; pass masks, one per image")
    own = None if is_ordered(frames[0], rule) else (frame.scales for frame in frames)
    probs = (frame.prob for frame in frames)
    return threshold_surface(probs, masks, GRID, GRID, scale_maps=own, quiet=True)
