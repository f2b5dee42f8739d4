"""Boxes of targets: matched by overlap, and the average precision of their ranking (AP50).

The rules are those of the COCO evaluation at an overlap of 0.5, over all sizes, without its limit
of 100 boxes per image. The box of a target in a mask is that of its 8-connected component.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ops.components import find_components

BOX_IOU = 0.5
"""Boxes match if their intersection over union is at least this."""

Floats = NDArray[np.float64]


class Boxes(NamedTuple):
    """Boxes found in one image.

    Attributes:
        box: (K, 4) rows and columns [y0, x0, y1, x1), half open [px].
        score: (K,) confidence.
    """

    box: Floats
    score: Floats


class BoxMatches(NamedTuple):
    """Boxes of one image compared with the true ones.

    Attributes:
        score: (K,) confidence, descending.
        hit: (K,) whether the box took a true one.
        targets: number of true boxes.
    """

    score: Floats
    hit: NDArray[np.bool_]
    targets: int


def mask_boxes(mask: NDArray[np.bool_], prob: NDArray[np.float32] | None = None) -> Boxes:
    """Boxes of the targets in a mask (H, W); the score is the peak of the map within, else 1.

    Example:
        >>> mask_boxes(np.eye(4, dtype=bool)[:2]).box
        array([[0., 0., 2., 2.]])
    """
    values = mask.astype(np.float32) if prob is None else np.where(mask, prob, np.float32(0))
    found = find_components(mask)
    score = np.zeros(len(found))
    np.maximum.at(score, found.label, values.reshape(-1)[found.pixels])
    return Boxes(found.box.astype(np.float64), score)


def match_boxes(found: Boxes, true: Floats) -> BoxMatches:
    """Compare boxes with the true ones (T, 4): by descending score, each takes the best one left.

    Example:
        >>> true = np.array([[0.0, 0.0, 4.0, 4.0]])
        >>> match_boxes(Boxes(np.array([[0, 0, 4, 3], [0, 0, 4, 4]]), np.array([0.9, 0.8])), true)
        BoxMatches(score=array([0.9, 0.8]), hit=array([ True, False]), targets=1)
    """
    order = np.argsort(-found.score, kind="stable")
    hit, left = np.zeros(len(order), bool), np.ones(len(true), bool)
    for place, overlap in enumerate(_overlaps(found.box[order], true)):
        allowed = np.where(left, overlap, -1.0)
        if len(true) and (best := allowed.max()) >= BOX_IOU:
            hit[place] = True
            left[np.flatnonzero(allowed == best)[-1]] = False
    return BoxMatches(found.score[order], hit, len(true))


def _overlaps(boxes: Floats, others: Floats) -> Floats:
    """(K, T) intersection over union."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (boxes, others)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


class RankedBoxes(NamedTuple):
    """The boxes of a set of images by descending score.

    Attributes:
        hit: (K,) whether the box took a true one.
        image: (K,) index of its image.
        targets: (N,) true boxes of every image.
    """

    hit: NDArray[np.bool_]
    image: NDArray[np.int64]
    targets: NDArray[np.int64]


def rank_boxes(images: Sequence[BoxMatches]) -> RankedBoxes:
    """Bring the boxes of all images into one order; equal scores keep that of the images.

    Example:
        >>> hit = BoxMatches(np.array([0.9, 0.8]), np.array([True, False]), 2)
        >>> rank_boxes([hit, hit]).image
        array([0, 1, 0, 1])
    """
    order = np.argsort(-np.concatenate([each.score for each in images]), kind="stable")
    owner = np.repeat(np.arange(len(images)), [len(each.score) for each in images])
    hit = np.concatenate([each.hit for each in images])
    return RankedBoxes(hit[order], owner[order], np.array([each.targets for each in images]))


def average_precision(ranked: RankedBoxes, weights: Floats | None = None) -> float:
    """Mean of the highest precision at or beyond 101 recalls, from 0 to 1; NaN without targets.

    Args:
        ranked: boxes of all images.
        weights: (N,) how often each image counts; default once.

    Example:
        >>> hit = BoxMatches(np.array([0.9, 0.8]), np.array([True, False]), 2)
        >>> round(average_precision(rank_boxes([hit])), 3)
        0.505
    """
    times = np.ones(len(ranked.targets)) if weights is None else weights
    total = float(times @ ranked.targets)
    if not total:
        return float("nan")
    own = times[ranked.image]
    found = np.cumsum(own * ranked.hit)
    precision = found / np.maximum(np.cumsum(own), 1e-12)
    highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(highest[np.searchsorted(found / total, np.linspace(0, 1, 101) - 1e-12)].mean())
