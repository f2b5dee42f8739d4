"""Components by one raster pass over runs of pixels; numba compiles it.

A run is a maximal stretch of foreground in one row. Runs of neighbouring rows that touch are joined
by union-find, always under the earlier one, so that a component's root holds its first pixel and
roots ascend in raster order.
"""

from typing import Any

import numpy as np

from ..._support.jit import compiled

BLOCK = 64
"""Pixels looked at together: loops of a known number of steps become vector instructions."""


@compiled
def find(batch: Any, threshold: Any) -> Any:
    """Fields of :class:`Components`, in their order, of a batch (N, H, W) in raster layout."""
    rows, starts, stops = _find_runs(batch, threshold)
    parents = _join_runs(rows, starts, stops, batch.shape[1])
    return _measure(batch, rows, starts, stops, parents)


@compiled
def _find_runs(batch: Any, threshold: Any) -> Any:
    """Row (counted through the batch), first column and end column of every run."""
    images, height, width = batch.shape
    edges = _edges(batch.reshape(-1), threshold)
    runs = np.empty((3, len(edges) // 2 + images * height), np.int64)
    count = 0
    for k in range(0, len(edges), 2):
        start = edges[k]
        while start < edges[k + 1]:
            row = start // width
            stop = min(edges[k + 1], (row + 1) * width)
            runs[0, count], runs[1, count], runs[2, count] = (
                row,
                start - row * width,
                stop - row * width,
            )
            start = stop
            count += 1
    return runs[0, :count], runs[1, :count], runs[2, :count]


@compiled
def _edges(values: Any, threshold: Any) -> Any:
    """Where foreground starts and ends in turn, the rows strung together."""
    edges = np.empty(4 * BLOCK, np.int64)
    count = np.uint64(0)  # unsigned: skips numba's negative-index check
    above, changes = np.zeros(BLOCK + 1, np.uint8), np.empty(BLOCK, np.uint8)
    eights = changes.view(np.uint64)
    whole = len(values) // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        block = values[start : start + BLOCK]
        if not above[BLOCK] and _is_background(block, threshold):
            continue
        above[0] = above[BLOCK]
        for i in range(BLOCK):
            above[i + 1] = block[i] > threshold
        for i in range(BLOCK):
            changes[i] = above[i] != above[i + 1]
        if count + 2 * BLOCK > len(edges):
            edges = np.concatenate((edges, np.empty_like(edges)))
        for eight in range(BLOCK // 8):
            if eights[eight]:
                for i in range(8 * eight, 8 * eight + 8):
                    edges[count] = start + i  # overwritten by the next unless it changes here
                    count += np.uint64(changes[i])
    inside = above[BLOCK]
    for x in range(whole, len(values)):
        edges[count] = x
        count += np.uint64(inside != (values[x] > threshold))
        inside = np.uint8(values[x] > threshold)
    edges[count] = len(values)
    return edges[: count + inside]


@compiled
def _is_background(block: Any, threshold: Any) -> bool:
    """Whether no pixel of a block is above the threshold."""
    hits = np.uint32(0)  # as wide as a value, so that a vector holds as many
    for i in range(BLOCK):
        hits |= np.uint32(block[i] > threshold)
    return hits == 0


@compiled
def _join_runs(rows: Any, starts: Any, stops: Any, height: int) -> Any:
    """The root of every run's component: its first run."""
    parents = np.arange(len(rows))
    above = 0
    for run in range(len(rows)):
        if rows[run] % height == 0:
            continue
        while rows[above] < rows[run] - 1 or (
            rows[above] == rows[run] - 1 and stops[above] < starts[run]
        ):
            above += 1
        touching = above
        while rows[touching] == rows[run] - 1 and starts[touching] <= stops[run]:
            a, b = _root(parents, touching), _root(parents, run)
            parents[max(a, b)] = min(a, b)
            touching += 1
    for run in range(len(rows)):
        parents[run] = parents[parents[run]]
    return parents


@compiled
def _root(parents: Any, run: int) -> int:
    """The first run of a run's component, shortening the way there."""
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@compiled
def _measure(batch: Any, rows: Any, starts: Any, stops: Any, parents: Any) -> Any:
    """Fields of :class:`Components` from the runs and their roots."""
    height, width = batch.shape[1:]
    count = np.sum(parents == np.arange(len(parents)))
    size = np.sum(stops - starts)
    image, first = np.empty(count, np.int64), np.empty(count, np.int64)
    area, sum_y, sum_x = np.zeros((3, count), np.int64)
    peak = np.full(count, -np.inf, np.float32)
    box = np.empty((count, 4), np.int64)
    pixels, label = np.empty(size, np.int64), np.empty(size, np.int64)
    number = np.empty(len(rows), np.int64)
    found, done = 0, 0
    for run in range(len(rows)):
        n, y = rows[run] // height, rows[run] % height
        start, stop = starts[run], stops[run]
        if parents[run] == run:
            k = found
            found += 1
            image[k], first[k] = n, y * width + start
            box[k] = y, start, y + 1, stop
        else:
            k = number[parents[run]]
            box[k, 1] = min(box[k, 1], start)
            box[k, 2] = y + 1
            box[k, 3] = max(box[k, 3], stop)
        number[run] = k
        area[k] += stop - start
        sum_y[k] += y * (stop - start)
        sum_x[k] += (start + stop - 1) * (stop - start) // 2
        for x in range(start, stop):
            peak[k] = max(peak[k], batch[n, y, x])
            pixels[done], label[done] = rows[run] * width + x, k
            done += 1
    return image, first, area, sum_y, sum_x, peak, box, pixels, label
