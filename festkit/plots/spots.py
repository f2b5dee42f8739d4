"""Places in an image worth a look: targets, and what became of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..components import find_components
from ..metrics import MATCH_DISTANCE, match_targets
from ..sensitivity import Detection, Target
from .marks import Box, box_of
from .palette import FALSE, MISSED, STRONG, TRUTH, WEAK

Outcome = Literal["found", "missed", "false alarm", "strong", "weak", "target"]
FRAME_COLOUR = {
    "found": TRUTH, "missed": MISSED, "false alarm": FALSE,
    "strong": STRONG, "weak": WEAK, "target": STRONG,
}  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """A place worth enlarging: a target, and what became of it.

    Attributes:
        outcome: "found", "missed" or "false alarm"; "strong" or "weak" where there is no truth;
            "target" where there is no detection.
        box: rows and columns (y0, x0, y1, x1), half open [px].
        peak: largest probability in [0, 1], of strong and weak ones.
    """

    outcome: Outcome
    box: Box
    peak: float | None = None

    @property
    def text(self) -> str:
        """What became of it, and its peak.

        Example:
            >>> Spot("weak", (2, 5, 3, 9), 0.314).text
            'weak 0.31'
        """
        return self.outcome if self.peak is None else f"{self.outcome} {self.peak:.2f}"

    @property
    def centre(self) -> tuple[float, float]:
        """Middle row and column of the box [px].

        Example:
            >>> Spot("found", (2, 5, 3, 9)).centre
            (2.0, 6.5)
        """
        y0, x0, y1, x1 = self.box
        return (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2


def find_spots(detection: Detection | None, mask: NDArray[np.bool_] | None) -> list[Spot]:
    """Targets in the order in which they are worth a look.

    Missed ones come before found ones and false alarms; without truth strong ones before weak ones,
    each by descending peak.

    Example:
        >>> [spot.outcome for spot in find_spots(None, np.eye(3, dtype=bool))]
        ['target']
    """
    if detection is None:
        boxes = [] if mask is None else find_components(mask).box
        return [Spot("target", box_of(row)) for row in boxes]
    if mask is None:
        targets = sorted(detection.targets(), key=lambda each: (each.kind == "weak", -each.peak))
        return [Spot(target.kind, _drawn_box(target), target.peak) for target in targets]
    found, true = find_components(detection.mask), find_components(mask)
    match = match_targets(found.centroid, true.centroid, MATCH_DISTANCE)
    missed = [Spot("missed", box_of(row)) for row in true.box[match < 0]]
    alone = np.setdiff1d(np.arange(len(found)), match)
    false = [Spot("false alarm", box_of(row)) for row in found.box[alone]]
    hits = [Spot("found", box_of(row)) for row in true.box[match >= 0]]
    return [*missed, *hits, *false]


def _drawn_box(target: Target) -> Box:
    """Of a strong region, or of the one pixel that a weak target adds."""
    if target.kind == "strong":
        return target.box
    y, x = (int(middle) for middle in target.centroid)
    return y, x, y + 1, x + 1
