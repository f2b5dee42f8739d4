"""What goes to the page: maps as whole numbers that compare exactly, figures as plain values.

The thresholds of the page are the whole multiples of 1 / :data:`STEPS`. A map is sent as ticks: for
every pixel, how many of those thresholds lie below its probability, in 16 bit. "Tick above k" is
then exactly "probability above k / STEPS" as :func:`festkit.adjust_sensitivity` compares it, in
float32, ties included.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import FA_LIMIT, Counts
from ..surface import ThresholdSurface
from .frames import Frame, Source

STEPS = 10_000
"""Thresholds per unit of probability."""

GRID_STEP = 50
"""Ticks between two thresholds of the sliders and of the surface."""

GRID_TICKS = np.arange(200, STEPS, GRID_STEP)  # background of the barely trained lies below 0.02
GRID = GRID_TICKS / STEPS
"""Thresholds of the surface, the stops of the sliders."""

SURFACE_VALUES = ("score", "iou", "niou", "pd", "fa")

Message = tuple[dict[str, Any], list[bytes]]

_THRESHOLDS = (np.arange(STEPS + 1) / STEPS).astype(np.float32)


def ticks(prob: NDArray[np.float32]) -> NDArray[np.uint16]:
    """How many thresholds lie below each probability, (H, W).

    Example:
        >>> ticks(np.array([[0.0, 0.1, 0.50001]], np.float32))
        array([[   0, 1000, 5001]], dtype=uint16)
    """
    return np.searchsorted(_THRESHOLDS, prob, side="left").astype(np.uint16)


def nearest_tick(threshold: float) -> int:
    """The threshold of the page, in ticks, that is nearest.

    Example:
        >>> nearest_tick(0.12344)
        1234
    """
    return round(threshold * STEPS)


def setup(source: Source, first: Frame) -> dict[str, Any]:
    """What the page knows from the beginning."""
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
    """One image: gray levels, ticks of the fused map and of every scale, truth."""
    height, width = frame.prob.shape
    maps = [ticks(prob).tobytes() for prob in (frame.prob, *frame.scales)]
    gray = b"" if frame.image is None else frame.image.tobytes()
    truth = b"" if frame.mask is None else frame.mask.tobytes()
    content = {"type": "image", "index": index, "name": frame.name}
    return content | {"height": height, "width": width}, [gray, truth, *maps]


def surface_message(surface: ThresholdSurface, rule: str) -> Message:
    """The figures of the set over both thresholds; NaN where a ratio is undefined."""
    content = {"type": "surface", "rule": rule, "values": list(SURFACE_VALUES)}
    return content, [getattr(surface, name).astype("<f8").tobytes() for name in SURFACE_VALUES]


def fingerprint(mask: NDArray[np.bool_]) -> int:
    """A number that tells two masks apart.

    Example:
        >>> fingerprint(np.eye(2, dtype=bool)) == fingerprint(np.ones((2, 2), bool))
        False
    """
    return zlib.crc32(mask.tobytes())


def plain(counts: Counts) -> dict[str, Any]:
    """The counts and ratios that the page shows."""
    return {name: value for name, value in counts.record().items() if value is not None}
