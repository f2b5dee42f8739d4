"""Component tree (max-tree) of a map: its connected components at every threshold at once.

Pixels are added from the highest value down. Values are given as ranks, the number of levels below
them: a pixel is above level i if its rank exceeds i. Levels between two ranks that occur have the
same components; such a run of levels is a segment. Segments are numbered from the highest down.
"""

from typing import Any, NamedTuple

import numpy as np

from .._support.jit import compiled

AREA, SUM_Y, SUM_X, FIRST, TRUE, TOP, ROOT = range(7)
"""Columns of a component: pixels, sums of rows and columns in the frame, position of its first
pixel, true pixels, highest rank under the strong threshold, and the pixel that stands for it."""


class Region(NamedTuple):
    """A rectangle of the frame that is counted on its own, with T true targets.

    Attributes:
        strong: (H, W) ranks of the fused map under the strong thresholds.
        scales: (S, H, W) ranks of the maps that weak targets come from, under the weak thresholds.
        true: (H, W) pixels of the truth, 0 or 1.
        centres: (T, 2) centroids of the true targets in the frame, in raster order.
        corner: row and column of the first pixel in the frame.
    """

    strong: Any
    scales: Any
    true: Any
    centres: Any
    corner: Any


class ComponentTree(NamedTuple):
    """Components in every segment, and the union-find forest that joined them.

    Attributes:
        offsets: (segments + 1,) where the components of every segment begin.
        parts: (M, 7) components, see :data:`AREA` and the others.
        parent: (H·W,) parent of every pixel in the forest; a root is its own.
        joined: (H·W,) segment in which the pixel was joined to its parent.
    """

    offsets: Any
    parts: Any
    parent: Any
    joined: Any


@compiled
def ranks(values: Any, levels: Any, inside: Any) -> Any:
    """(H, W) number of levels below every value, of ascending levels; 0 where not ``inside``."""
    height, width = values.shape
    result = np.zeros((height, width), np.int64)
    for y in range(height):
        for x in range(width):
            low, high = 0, len(levels) if inside[y, x] and values[y, x] > levels[0] else 0
            while low < high:
                middle = (low + high) // 2
                if levels[middle] < values[y, x]:
                    low = middle + 1
                else:
                    high = middle
            result[y, x] = low
    return result


@compiled
def segments(maps: Any, count: int) -> Any:
    """First level of every segment, descending, of rank maps (S, H, W) under so many levels."""
    occurs = np.zeros(count + 1, np.bool_)
    occurs[0] = True
    for rank in maps.reshape(-1):
        occurs[rank] = True
    return np.nonzero(occurs)[0][::-1]


@compiled
def component_tree(rank: Any, starts: Any, region: Region) -> ComponentTree:
    """The tree of a region's rank map (H, W); ``starts`` are the segments' first levels."""
    values = rank.reshape(-1)
    order = _descending(values)
    node = np.empty((rank.size, 7), np.int64)
    forest = np.arange(rank.size), np.full(rank.size, len(starts))
    roots = np.empty(rank.size, np.int64)
    offsets, parts = np.zeros(len(starts) + 1, np.int64), np.empty((16, 7), np.int64)
    active, done = 0, 0
    for segment in range(len(starts)):
        while done < len(order) and values[order[done]] > starts[segment]:
            part_of_pixel(node[order[done]], order[done], region)
            _join_neighbours(order[done], segment, rank, node, forest)
            roots[active] = order[done]
            active, done = active + 1, done + 1
        active = _keep_roots(roots, active, forest[0])
        begin, end = offsets[segment], offsets[segment] + active
        while len(parts) < end:
            parts = np.concatenate((parts, np.empty_like(parts)))
        for k in range(active):
            parts[begin + k] = node[roots[k]]
        offsets[segment + 1] = end
    return ComponentTree(offsets, parts, forest[0], forest[1])


@compiled
def root_in(segment: int, pixel: int, tree: ComponentTree) -> int:
    """The pixel that stands for a pixel's component in a segment where it is foreground."""
    while tree.joined[pixel] <= segment:
        pixel = tree.parent[pixel]
    return pixel


@compiled
def part_of_pixel(part: Any, pixel: int, region: Region) -> None:
    """Fill in the component that a single pixel of the region makes."""
    y, x = pixel // region.true.shape[1], pixel % region.true.shape[1]
    part[AREA] = 1
    part[SUM_Y] = region.corner[0] + y
    part[SUM_X] = region.corner[1] + x
    part[FIRST] = pixel
    part[TRUE] = region.true[y, x]
    part[TOP] = region.strong[y, x]
    part[ROOT] = pixel


@compiled
def absorb(whole: Any, part: Any) -> None:
    """Add a component to another."""
    for column in (AREA, SUM_Y, SUM_X, TRUE):
        whole[column] += part[column]
    whole[FIRST] = min(whole[FIRST], part[FIRST])
    whole[TOP] = max(whole[TOP], part[TOP])


@compiled
def _descending(rank: Any) -> Any:
    """Pixels of rank above 0, highest first and else in raster order, by counting sort."""
    many = np.zeros(np.max(rank) + 2, np.int64)
    for value in rank:
        many[value] += 1
    position = np.zeros(len(many), np.int64)
    for value in range(len(many) - 2, 0, -1):
        position[value - 1] = position[value] + many[value]
    order = np.empty(len(rank) - many[0], np.int64)
    for pixel in range(len(rank)):
        value = rank[pixel]
        if value > 0:
            order[position[value]] = pixel
            position[value] += 1
    return order


@compiled
def _join_neighbours(pixel: int, segment: int, rank: Any, node: Any, forest: Any) -> None:
    """Join a new pixel with its neighbours that are already in, the smaller part under the other.

    A pixel is in if its rank is higher, or equal and it comes first in raster order.
    """
    parent, joined = forest
    height, width = rank.shape
    y, x = pixel // width, pixel % width
    own = rank[y, x]
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            other = v * width + u
            if rank[v, u] > own or (rank[v, u] == own and other < pixel):
                a, b = _last_root(pixel, parent), _last_root(other, parent)
                if a != b:
                    if node[a, AREA] < node[b, AREA]:
                        a, b = b, a
                    parent[b], joined[b] = a, segment
                    absorb(node[a], node[b])


@compiled
def _last_root(pixel: int, parent: Any) -> int:
    """The pixel that stands for a pixel's component so far."""
    while parent[pixel] != pixel:
        pixel = parent[pixel]
    return pixel


@compiled
def _keep_roots(roots: Any, active: int, parent: Any) -> int:
    """Close the gaps that joined components left; how many remain."""
    kept = 0
    for k in range(active):
        if parent[roots[k]] == roots[k]:
            roots[kept] = roots[k]
            kept += 1
    return kept
