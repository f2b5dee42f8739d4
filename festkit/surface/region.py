"""Exact counts of one region of a frame for every pair of thresholds.

Within a segment of levels no component changes. So a region is counted once for every segment of
the strong threshold, and once more for every pair of segments that has weak targets.
"""

from typing import Any, NamedTuple

import numpy as np

from .._support.jit import compiled
from ..metrics.matching import FEW, MATCH_DISTANCE, take_first
from .component_tree import (
    AREA,
    FIRST,
    ROOT,
    SUM_X,
    SUM_Y,
    TOP,
    TRUE,
    ComponentTree,
    Region,
    absorb,
    component_tree,
    part_of_pixel,
    root_in,
    segments,
)

TABLES = 4
"""Intersection, predicted, detected and matched pixels."""

NOTHING = (0, 0, 0, 0)


class Level(NamedTuple):
    """A segment and its first level: a pixel is above if its rank exceeds that."""

    segment: int
    start: int


@compiled
def add_region(deltas: Any, region: Region) -> None:
    """Add a region's counts to difference tables.

    Args:
        deltas: (4, A + 1, B + 1) tables whose sums along both axes are the counts, for A strong and
            B weak thresholds.
        region: the region.
    """
    last_row, last_column = deltas.shape[1] - 1, deltas.shape[2] - 1
    rows = segments(region.strong.reshape((1, *region.strong.shape)), last_row)
    columns = segments(region.scales, last_column)
    strong = component_tree(region.strong, rows, region)
    weak = [component_tree(region.scales[k], columns, region) for k in range(len(region.scales))]
    lowest = _lowest_tops(weak, len(columns))
    marks = np.full((3, region.true.size), -1)
    bottom = last_row
    for segment in range(len(rows)):
        row = Level(segment, rows[segment])
        present = strong.parts[strong.offsets[segment] : strong.offsets[segment + 1]]
        base = _score(present, region.centres)
        _add_block(deltas, base, NOTHING, (row.start, bottom), (0, last_column))
        right = last_column
        for k in range(len(columns)):
            if lowest[k] <= row.start:
                pixels = _weak_pixels(weak, region, row, Level(k, columns[k]), marks[0])
                parts = _with_pixels(present, pixels, region)
                _connect(parts, len(present), _Strong(region, row, strong), marks[1:])
                counts = _score(parts, region.centres)
                _add_block(deltas, counts, base, (row.start, bottom), (columns[k], right))
            right = columns[k]
        bottom = row.start


class _Strong(NamedTuple):
    """The strong components of a region at one level."""

    region: Region
    level: Level
    tree: ComponentTree


@compiled
def _lowest_tops(weak: Any, count: int) -> Any:
    """Lowest TOP among the components of every segment; where it is not exceeded, one is weak."""
    lowest = np.full(count, np.iinfo(np.int64).max)
    for scale in weak:
        for segment in range(count):
            for k in range(scale.offsets[segment], scale.offsets[segment + 1]):
                lowest[segment] = min(lowest[segment], scale.parts[k, TOP])
    return lowest


@compiled
def _weak_pixels(weak: Any, region: Region, row: Level, column: Level, held: Any) -> Any:
    """Centroid pixels of every scale's weak components: no strong pixel, none of earlier scales.

    ``held`` marks components that hold a centroid of an earlier scale; it is -1 before and after.
    """
    width, count, most = region.true.shape[1], 0, 0
    for tree in weak:
        most += tree.offsets[column.segment + 1] - tree.offsets[column.segment]
    pixels, roots = np.empty(most, np.int64), np.empty(most, np.int64)
    for scale in range(len(weak)):
        tree, ranks, holders = weak[scale], region.scales[scale].reshape(-1), 0
        for pixel in pixels[:count]:
            if ranks[pixel] > column.start:
                roots[holders] = root_in(column.segment, pixel, tree)
                held[roots[holders]] = scale
                holders += 1
        begin, end = tree.offsets[column.segment], tree.offsets[column.segment + 1]
        for k in range(begin, end):
            part = tree.parts[k]
            if part[TOP] <= row.start and held[part[ROOT]] < 0:
                y = part[SUM_Y] // part[AREA] - region.corner[0]
                x = part[SUM_X] // part[AREA] - region.corner[1]
                pixels[count] = y * width + x
                count += 1
        for root in roots[:holders]:
            held[root] = -1
    return pixels[:count]


@compiled
def _with_pixels(present: Any, pixels: Any, region: Region) -> Any:
    """The strong components of a region, followed by its weak centroids as parts of one pixel."""
    parts = np.empty((len(present) + len(pixels), 7), np.int64)
    parts[: len(present)] = present
    for k in range(len(pixels)):
        part_of_pixel(parts[len(present) + k], pixels[k], region)
    return parts


@compiled
def _connect(parts: Any, count: int, strong: _Strong, marks: Any) -> None:
    """Make one of what touches, all but the first ``count`` parts being weak centroids.

    Parts that were taken up are left without area, and so is a centroid on a strong pixel or on
    another centroid. ``marks`` are -1 before and after.
    """
    slot, place = marks
    for k in range(count):
        slot[parts[k, ROOT]] = k
    for k in range(count, len(parts)):
        if place[parts[k, ROOT]] >= 0 or parts[k, TOP] > strong.level.start:
            parts[k, AREA] = 0
        else:
            place[parts[k, ROOT]] = k
    link = np.arange(len(parts))
    for k in range(count, len(parts)):
        if parts[k, AREA] > 0:
            _link_neighbours(link, k, parts[k, ROOT], strong, marks)
    for k in range(len(parts) - 1, -1, -1):
        if link[k] != k:
            absorb(parts[link[k]], parts[k])
            parts[k, AREA] = 0
    slot[parts[:count, ROOT]] = -1
    place[parts[count:, ROOT]] = -1


@compiled
def _link_neighbours(link: Any, k: int, pixel: int, strong: _Strong, marks: Any) -> None:
    """Link a weak centroid, part k, with the strong parts and centroids around it."""
    slot, place = marks
    height, width = strong.region.strong.shape
    y, x = pixel // width, pixel % width
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            other = v * width + u
            if strong.region.strong[v, u] > strong.level.start:
                _link(link, k, slot[root_in(strong.level.segment, other, strong.tree)])
            elif place[other] >= 0:
                _link(link, k, place[other])


@compiled
def _link(link: Any, a: int, b: int) -> None:
    """Join the groups of two parts, under the earlier root."""
    while link[a] != a:
        a = link[a]
    while link[b] != b:
        b = link[b]
    link[max(a, b)] = min(a, b)


@compiled
def _score(parts: Any, centres: Any) -> Any:
    """Counts of the parts that have an area, matched as in :func:`festkit.metrics.count`."""
    intersection, predicted, live = 0, 0, 0
    for k in range(len(parts)):
        if parts[k, AREA] > 0:
            intersection += parts[k, TRUE]
            predicted += parts[k, AREA]
            live += 1
    detected, matched = 0, 0
    if live > FEW and len(centres) > FEW:
        detected, matched = _match_many(parts[parts[:, AREA] > 0], centres)
    elif live and len(centres):
        detected, matched = _match_few(parts, centres)
    return intersection, predicted, detected, matched


@compiled
def _match_few(parts: Any, centres: Any) -> Any:
    """Detected targets and pixels of matched parts; every part is compared with every target."""
    detected, matched = 0, 0
    left = parts[:, AREA] > 0
    for centre in centres:
        taken = -1
        for k in range(len(parts)):
            if not left[k] or (taken >= 0 and parts[k, FIRST] > parts[taken, FIRST]):
                continue
            dy = parts[k, SUM_Y] / parts[k, AREA] - centre[0]
            dx = parts[k, SUM_X] / parts[k, AREA] - centre[1]
            if np.sqrt(dy * dy + dx * dx) < MATCH_DISTANCE:
                taken = k
        if taken >= 0:
            left[taken] = False
            detected += 1
            matched += parts[taken, AREA]
    return detected, matched


@compiled
def _match_many(parts: Any, centres: Any) -> Any:
    """The same of parts that all have an area, by buckets."""
    detected, matched = 0, 0
    places = np.empty((len(parts), 2))
    for k in range(len(parts)):
        places[k] = parts[k, SUM_Y] / parts[k, AREA], parts[k, SUM_X] / parts[k, AREA]
    for index in take_first(places, parts[:, FIRST], centres, MATCH_DISTANCE):
        if index >= 0:
            detected += 1
            matched += parts[index, AREA]
    return detected, matched


@compiled
def _add_block(deltas: Any, counts: Any, base: Any, rows: Any, columns: Any) -> None:
    """Add counts beyond ``base`` in the rows and columns [first, end) of the tables."""
    for table in range(TABLES):
        value = counts[table] - base[table]
        if value != 0:
            deltas[table, rows[0], columns[0]] += value
            deltas[table, rows[1], columns[0]] -= value
            deltas[table, rows[0], columns[1]] -= value
            deltas[table, rows[1], columns[1]] += value
