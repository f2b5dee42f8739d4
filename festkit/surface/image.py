"""Exact counts of one image under every pair of thresholds.

What happens in one place of a frame does not depend on what happens far away: predicted targets
merge only where they touch and match only within reach. So the frame falls into windows that are
counted one by one; the pixels between them are below every threshold.
"""

import math
from typing import Any

import numpy as np

from .._compiled import compiled
from ..components.compiled import find
from ..metrics import MATCH_DISTANCE
from .floods import Window, ranks
from .window import TABLES, add_window

GAP = math.ceil(MATCH_DISTANCE) + 1
"""Pixels between windows: centroids farther apart neither match nor touch [px]."""


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
    pixels = np.stack((sum_y // area, sum_x // area), axis=1)
    boxes = [np.hstack((pixels, pixels + 1)), find(fused, th1[0])[6]]
    boxes += [find(scale[None], th2[0])[6] for scale in scales]
    deltas = np.zeros((TABLES, len(th1) + 1, len(th2) + 1), np.int64)
    _add_windows(deltas, image, (th1, th2), centres, _windows(np.concatenate(boxes)))
    _add_sums(tables, deltas, int(np.count_nonzero(true)))
    return len(area)


def _windows(boxes: Any) -> Any:
    """Boxes [y0, x0, y1, x1) at least :data:`GAP` pixels apart that cover the given ones."""
    before = -1
    while len(boxes) != before:
        before = len(boxes)
        boxes = _merge_downwards(boxes[np.argsort(boxes[:, 0], kind="stable")])
    return boxes


@compiled
def _add_windows(deltas: Any, image: Any, levels: Any, centres: Any, windows: Any) -> None:
    """Add to (4, A + 1, B + 1) tables whose sums along both axes are the counts."""
    fused, scales, true = image
    th1, th2 = levels
    inside = np.empty_like(centres)
    for box in windows:
        top, left, bottom, right = box
        count = 0
        for centre in centres:
            if top <= centre[0] < bottom and left <= centre[1] < right:
                inside[count] = centre
                count += 1
        strong = ranks(fused[0, top:bottom, left:right], th1)
        weak = np.empty((len(scales), *strong.shape), np.int64)
        for k in range(len(scales)):
            weak[k] = ranks(scales[k, top:bottom, left:right], th2)
        here = true[0, top:bottom, left:right]
        add_window(deltas, Window(strong, weak, here, inside[:count], box[:2]))


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


@compiled
def _merge_downwards(boxes: Any) -> Any:
    """Join boxes, sorted by first row, with those near them; a joined one may be near others yet.

    Boxes that ended well above the current one are set aside, so that few are compared.
    """
    joined, done = np.empty_like(boxes), 0
    live, count = np.empty_like(boxes), 0
    for given in boxes:
        box, k = given.copy(), 0
        while k < count:
            near = _near(live[k], box)
            if near:
                _cover(box, live[k])
            elif live[k, 2] + GAP <= given[0]:
                joined[done] = live[k]
                done += 1
            else:
                k += 1
                continue
            count -= 1
            live[k] = live[count]
            k = 0 if near else k
        live[count] = box
        count += 1
    joined[done : done + count] = live[:count]
    return joined[: done + count]


@compiled
def _near(a: Any, b: Any) -> bool:
    rows = a[0] < b[2] + GAP and b[0] < a[2] + GAP
    return rows and a[1] < b[3] + GAP and b[1] < a[3] + GAP


@compiled
def _cover(box: Any, other: Any) -> None:
    """Grow a box so that it covers another."""
    box[0], box[1] = min(box[0], other[0]), min(box[1], other[1])
    box[2], box[3] = max(box[2], other[2]), max(box[3], other[3])
