"""Exact counts of one image under every pair of thresholds.

What happens in one place of a frame does not depend on what happens far away: predicted targets
merge only where they touch and match only within reach. So the components of a frame fall into
groups that are counted one by one, each in a region of its own, where the others are background.
"""

import math
from typing import Any

import numpy as np

from .._support.jit import compiled
from ..metrics.matching import MATCH_DISTANCE
from ..ops.components.compiled import find
from .component_tree import Region, ranks
from .region import TABLES, add_region

APART = math.ceil(MATCH_DISTANCE) - 1
"""Components with so many empty rows or columns between them do not touch, and their centroids are
too far apart for one to match where the other does [px]."""


def add_image(tables: Any, image: Any, th1: Any, th2: Any) -> int:
    """Add an image's counts to tables (A, B) indexed [th1, th2]; how many true targets it has.

    Args:
        tables: (4, A, B) intersection, predicted, detected and matched pixels; (A, B) sum over
            images of intersection / union, nothing over nothing being 0; (A, B) images with nothing
            true and nothing predicted.
        image: the fused map (1, H, W) and the maps (S, H, W) that weak targets come from, float32,
            and the truth (1, H, W), 0 or 1, uint8.
        th1: (A,) ascending float32 strong thresholds.
        th2: (B,) ascending float32 weak thresholds.
    """
    fused, scales, true = image
    _, _, area, sum_y, sum_x, *_ = find(true, np.uint8(0))
    centres = np.stack((sum_y / area, sum_x / area), axis=1)
    spots = np.stack((sum_y // area, sum_x // area), axis=1)
    ends = np.ceil(centres).astype(np.int64) + 1
    boxes = [np.hstack((spots, ends)), find(fused, th1[0])[6]]
    boxes += [find(scale[None], th2[0])[6] for scale in scales]
    regions, owner = _regions(np.concatenate(boxes), true.shape)
    deltas = np.zeros((TABLES, len(th1) + 1, len(th2) + 1), np.int64)
    holder = owner[tuple(spots.T)]
    order = np.argsort(holder, kind="stable")
    begins = np.searchsorted(holder[order], np.arange(len(regions) + 1))
    _add_regions(deltas, image, (th1, th2), (centres[order], begins), (regions, owner))
    _add_sums(tables, deltas, int(np.count_nonzero(true)))
    return len(area)


def _regions(boxes: Any, shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """Groups of boxes [y0, x0, y1, x1) less than :data:`APART` from each other.

    Returns:
        Box of every group, in which other groups may lie, too; and (H, W) the group that a pixel in
        a box belongs to.
    """
    covered = np.zeros(shape, np.uint8)
    _cover(covered[0], boxes)
    *_, regions, pixels, label = find(covered, np.uint8(0))
    owner = np.zeros(shape[1:], np.int32)
    owner.reshape(-1)[pixels] = label
    return regions, owner


@compiled
def _cover(covered: Any, boxes: Any) -> None:
    """Set the pixels of boxes to 1, enlarged so that boxes less than :data:`APART` touch."""
    for y0, x0, y1, x1 in boxes:
        covered[y0 : y1 + APART - 1, x0 : x1 + APART - 1] = 1


@compiled
def _add_regions(deltas: Any, image: Any, levels: Any, targets: Any, regions: Any) -> None:
    """Add to (4, A + 1, B + 1) tables whose sums along both axes are the counts.

    Args:
        deltas: the tables.
        image: as in :func:`add_image`.
        levels: the thresholds.
        targets: (T, 2) true centroids, region by region, and where those of each region begin.
        regions: as of :func:`_regions`.
    """
    fused, scales, true = image
    th1, th2 = levels
    centres, begins = targets
    boxes, owner = regions
    for group in range(len(boxes)):
        top, left, bottom, right = boxes[group]
        inside = owner[top:bottom, left:right] == group
        strong = ranks(fused[0, top:bottom, left:right], th1, inside)
        weak = np.empty((len(scales), *strong.shape), np.int64)
        for k in range(len(scales)):
            weak[k] = ranks(scales[k, top:bottom, left:right], th2, inside)
        here = true[0, top:bottom, left:right]
        own = centres[begins[group] : begins[group + 1]]
        add_region(deltas, Region(strong, weak, here, own, boxes[group, :2]))


@compiled
def _add_sums(tables: Any, deltas: Any, true_pixels: int) -> None:
    """Sum the differences along both axes, in place, and add an image's counts to the tables.

    A loop, since numpy's running sums take over ten times as long.
    """
    totals, iou_sum, empty = tables
    for i in range(totals.shape[1]):
        for table in range(TABLES):
            running = 0
            for j in range(totals.shape[2]):
                running += deltas[table, i, j]
                deltas[table, i, j] = running + (deltas[table, i - 1, j] if i else 0)
                totals[table, i, j] += deltas[table, i, j]
        for j in range(totals.shape[2]):
            intersection = deltas[0, i, j]
            union = deltas[1, i, j] + true_pixels - intersection
            if union:
                iou_sum[i, j] += intersection / union
            else:
                empty[i, j] += 1
