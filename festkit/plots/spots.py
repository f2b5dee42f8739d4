"""Places in an image worth a look: targets, and what became of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..components import find_components
from ..metrics import MATCH_DISTANCE, match_targets
from ..sensitivity import Detection
from .marks import Box, box_of
from .palette import FALSE, MISSED, STRONG, TRUTH

Outcome = Literal["found", "missed", "false alarm", "target"]
FRAME_COLOUR = {"found": TRUTH, "missed": MISSED, "false alarm": FALSE, "target": STRONG}


@dataclass(frozen=True)
class Spot:
    """A place worth enlarging: a target, and what became of it.

    Attributes:
        outcome: "found", "missed" or "false alarm"; "target" where there is no truth, or no
            detection.
        box: rows and columns (y0, x0, y1, x1), half open [px].
    """

    outcome: Outcome
    box: Box

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
    """Targets in the order in which they are worth a look; without truth strong ones first.

    Example:
        >>> [spot.outcome for spot in find_spots(None, np.eye(3, dtype=bool))]
        ['target']
    """
    if detection is None or mask is None:
        shown = mask if detection is None else detection.mask
        if shown is None:
            return []
        targets = find_components(shown)
        weak = np.zeros(len(targets)) if detection is None else ~targets.touch(detection.strong)
        return [Spot("target", box_of(row)) for row in targets.box[np.argsort(weak, kind="stable")]]
    found, true = find_components(detection.mask), find_components(mask)
    match = match_targets(found.centroid, true.centroid, MATCH_DISTANCE)
    missed = [Spot("missed", box_of(row)) for row in true.box[match < 0]]
    alone = np.setdiff1d(np.arange(len(found)), match)
    false = [Spot("false alarm", box_of(row)) for row in found.box[alone]]
    hits = [Spot("found", box_of(row)) for row in true.box[match >= 0]]
    return [*missed, *hits, *false]
