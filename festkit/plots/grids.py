"""Grids of images with maps or detections; the same regions are enlarged in every column."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.names import counted
from ..data.dataset import Sample
from ..metrics import MATCH_DISTANCE, count, match_targets
from ..ops.components import find_components
from ..sensitivity import Detection
from . import overlays
from .overlays import FRAME_COLOUR, MOST_LEVELS, OVER_SPINES, RIM, Box, Contrast, Spot
from .style import STRONG, styled

SIDE = 2.0
"""Width of a picture [inch]."""

LENS = 24
"""Side of the enlarged place [px]."""

LENS_SHARE = 0.5
"""Width of its enlargement, as a share of the picture's shorter side."""

Seen = NDArray[np.float32] | Detection


@styled
def show_strips(
    samples: Sequence[Sample],
    columns: Mapping[str, Sequence[Seen]],
    *,
    notes: Sequence[str] = (),
    contrast: Contrast = MOST_LEVELS,
) -> Figure:
    """Rows of pictures: an image, its maps or detections, and the truth, with one place enlarged.

    Maps are thresholded at 0.5. The lens enlarges the first of these that exists: a true target
    found only by some columns; one missed by all; the largest false region not shared by all; the
    largest true target. It is placed in the corner that covers the fewest targets.

    Args:
        samples: images with true masks, one per row.
        columns: for every column title, one entry per image: a probability map (H, W) in [0, 1], or
            a detection, which is drawn over the image and counted.
        notes: a line for every image, written below its name.
        contrast: percentiles of the gray levels that become black and white.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no images or columns, or a column has another number of entries.

    Example:
        >>> mask = np.zeros((40, 60), bool); mask[20:22, 30:32] = True
        >>> sample = Sample(np.zeros((40, 60), np.uint8), mask, "sea")
        >>> figure = show_strips([sample], {"probability": [mask.astype(np.float32)]})
        >>> [axes.get_title() for axes in figure.axes[:3]]
        ['image', 'probability', 'truth']
    """
    _check_lengths(samples, columns)
    figure, grid = _layout(samples, len(columns) + 2)
    for row, sample in enumerate(samples):
        seen = {head: column[row] for head, column in columns.items()}
        found = [each.mask if isinstance(each, Detection) else each > 0.5 for each in seen.values()]
        place = _where_they_differ(sample.mask, found)
        corner = _free_corner(np.any([sample.mask, *found], axis=0), place)
        pictures = {"image": None, **seen, "truth": sample.mask}
        for axes, (head, picture) in zip(grid[row], pictures.items(), strict=True):
            axes.set_title(head if row == 0 else "", fontsize=9, loc="center")
            draw = partial(_draw, sample=sample, seen=picture, contrast=contrast)
            draw(axes)
            _enlarge(axes, sample.image.shape, place, corner, draw)
            if isinstance(picture, Detection):
                counts = count(picture.mask, sample.mask)
                text = f"{counts.detected} of {counts.targets} found"
                axes.set_xlabel(f"{text}, {counts.false_pixels} false px", fontsize=8)
        grid[row, 0].set_ylabel("\n".join([sample.name, *notes[row : row + 1]]), fontsize=8)
    are_detections = [isinstance(column[0], Detection) for column in columns.values()]
    if not all(are_detections):
        scale = ScalarMappable(Normalize(0, 1), "magma")
        figure.colorbar(scale, ax=grid, label="probability", pad=0.01, shrink=0.6)
    overlays.add_legend(figure, found=any(are_detections), truth=True)
    return figure


def _check_lengths(samples: Sequence[Sample], columns: Mapping[str, Sequence[Any]]) -> None:
    """Refuse no samples, no columns, and columns of another length."""
    if not samples or not columns:
        raise InputError(
            f"got {len(samples)} images and {len(columns)} columns; pass at least one of each"
        )
    for head, column in columns.items():
        if len(column) != len(samples):
            raise InputError(
                f"{head!r} has {len(column)} entries for {len(samples)} images; pass one for each"
            )


def _where_they_differ(mask: NDArray[np.bool_], found: Sequence[NDArray[np.bool_]]) -> Box:
    """The pixel to enlarge, as a box."""
    true = find_components(mask)
    each = [find_components(one).centroid for one in found]
    matches = [match_targets(centres, true.centroid, MATCH_DISTANCE) for centres in each]
    misses = np.sum(np.array(matches) < 0, axis=0)
    differ = np.any([one != found[0] for one in found], axis=0) & ~mask
    regions = find_components(differ if differ.any() else mask)
    if misses.any():
        some_miss = (misses > 0) & (misses < len(found))
        centre = true.centroid[(some_miss if some_miss.any() else misses > 0).argmax()]
    elif len(regions):
        centre = regions.centroid[regions.area.argmax()]
    else:
        centre = np.array(mask.shape) // 2
    y, x = np.rint(centre).astype(int).tolist()
    return y, x, y + 1, x + 1


def _free_corner(marked: NDArray[np.bool_], place: Box) -> tuple[int, int]:
    """The corner (0 top or 1 bottom, 0 left or 1 right) that hides least.

    It hides what is enlarged only if every corner does, and the place itself never.
    """
    height, width = marked.shape
    side = round(LENS_SHARE * min(height, width))
    hidden = marked.astype(int)
    y0, x0, y1, x1 = overlays.window(place, marked.shape, LENS)
    hidden[y0:y1, x0:x1] += 1
    hidden[place[0], place[1]] = marked.size**2
    ends = slice(None, side), slice(-side, None)
    sums = {(i, j): hidden[ends[i], ends[j]].sum() for i in (0, 1) for j in (0, 1)}
    opposite = int(place[0] < height / 2), int(place[1] < width / 2)
    return min(sums, key=lambda corner: (sums[corner], corner != opposite))


def _layout(samples: Sequence[Sample], columns: int) -> tuple[Figure, NDArray[np.object_]]:
    """A figure with a row of pictures for every sample."""
    heights = [SIDE * sample.image.shape[0] / sample.image.shape[1] + 0.2 for sample in samples]
    size = SIDE * columns + 0.8, sum(heights) + 0.6
    options: dict[str, Any] = {"figsize": size, "height_ratios": heights, "squeeze": False}
    figure, grid = plt.subplots(len(samples), columns, **options)
    for axes in grid.flat:
        overlays.bare(axes)
    return figure, grid


def _draw(
    axes: Axes,
    box: Box | None = None,
    *,
    sample: Sample,
    seen: Seen | NDArray[np.bool_] | None,
    contrast: Contrast,
) -> None:
    """The image alone, a detection over it, probabilities or the truth.

    True outlines are drawn in the lens only; in the whole image they would hide small targets.
    """
    truth = None if box is None else sample.mask
    if seen is None or isinstance(seen, Detection):
        outlined, cross = (None if seen is None else truth), (5 if box is None else 9)
        overlays.paint(axes, sample.image, seen, outlined, cross=cross, box=box, contrast=contrast)
        return
    axes.imshow(seen, cmap="gray" if seen.dtype == bool else "magma", vmin=0, vmax=1)
    if box is not None:
        overlays.show_part(axes, box)
        if seen.dtype != bool:
            overlays.outline(axes, sample.mask, box)


def _enlarge(
    axes: Axes,
    shape: tuple[int, ...],
    place: Box,
    corner: tuple[int, int],
    draw: Callable[[Axes, Box], None],
) -> None:
    """Draw the place through a lens in a corner of the picture."""
    wide, high = (LENS_SHARE * min(shape) / length for length in (shape[1], shape[0]))
    bounds = (corner[1] * (1 - wide), (1 - corner[0]) * (1 - high), wide, high)
    lens = axes.inset_axes(bounds, xticks=[], yticks=[])
    draw(lens, overlays.window(place, shape, LENS))
    lens.spines[:].set(visible=True, color=STRONG, linewidth=1.2)
    axes.indicate_inset_zoom(lens, edgecolor=STRONG, alpha=1)


PANEL = 1.75
"""Side of a picture [in]; the places enlarged below it have half of that."""

NARROW: Any = {"hspace": 0.03, "wspace": 0.02}
"""Gaps between a picture and its crops."""

MARK = {"missed": "s", "found": "o", "false alarm": "D", "target": "o"}
"""The first three in the order in which their places are enlarged."""


@styled
def plot_detections(
    samples: Sequence[Sample],
    detections: Mapping[str, Sequence[Detection]],
    *,
    contrast: Contrast = MOST_LEVELS,
) -> Figure:
    r"""One row per image: image, true mask, and detections of each method (paper Figs. 8 to 10).

    Circles mark found targets, squares missed ones, diamonds false alarms. One or two regions, the
    same for all methods, are enlarged below, missed targets first.

    Args:
        samples: images with true masks.
        detections: for every method, one detection per sample, with arrays or tensors (H, W).
        contrast: percentiles of the gray levels that become black and white.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no samples or methods, or a method lacks detections.

    Example:
        >>> from festkit.sensitivity import adjust_sensitivity
        >>> prob = np.zeros((40, 40), np.float32); prob[20, 30] = 0.9
        >>> sample = Sample(np.zeros((40, 40), np.uint8), prob > 0, "a")
        >>> figure = plot_detections([sample], {"Original": [adjust_sensitivity(prob)]})
        >>> [axes.get_title() for axes in figure.axes[::2]]
        ['image', 'truth\n1 target', 'Original\n1 of 1, no false alarm']
    """
    _check_lengths(samples, detections)
    heights = [min(max(each.image.shape[0] / each.image.shape[1], 0.2), 1.5) for each in samples]
    figure, grid = _methods_layout([height + 0.5 for height in heights], len(detections) + 2)
    for row, sample in enumerate(samples):
        found = [each[row].numpy() for each in detections.values()]
        windows = _windows(sample, found)
        columns = [(None, None), (None, sample.mask), *((each, sample.mask) for each in found)]
        heads = ["image", "truth", *detections]
        for column, (head, (detection, mask)) in enumerate(zip(heads, columns, strict=True)):
            inner = grid[row, column].subgridspec(2, 2, height_ratios=[heights[row], 0.5], **NARROW)
            places = [inner[1, :]] if len(windows) == 1 else [inner[1, 0], inner[1, 1]]
            picture = figure.add_subplot(inner[0, :])
            spots = [] if mask is None else overlays.find_spots(detection, mask)
            _draw_marked(picture, sample, spots, windows if column == 0 else [], contrast)
            for place, box in zip(places, windows, strict=False):
                crop = figure.add_subplot(place)
                overlays.bare(crop)
                overlays.paint(
                    crop, sample.image, detection, mask, cross=7, box=box, contrast=contrast
                )
            lines = [head] * (row == 0) + [_tally(detection, spots)] * (mask is not None)
            picture.set_title("\n".join(lines), fontsize=9, pad=3, loc="center")
            picture.set_ylabel(sample.name if column == 0 else "", fontsize=8)
    marks = [Line2D([], [], label=name, **_style(name)) for name in MARK if name != "target"]
    overlays.add_legend(figure, found=True, truth=True, marks=marks)
    return figure


def _methods_layout(heights: Sequence[float], columns: int) -> tuple[Figure, GridSpec]:
    """A figure, and its cells of some heights [panels]; each holds a picture and its crops."""
    total, rows = PANEL * sum(heights), len(heights)
    width, height = PANEL * columns + 0.4, total + 0.3 * (rows - 1) + 1.0
    figure = plt.figure(figsize=(width, height), layout="none")
    grid = figure.add_gridspec(
        rows, columns, height_ratios=heights, wspace=0.03, hspace=0.3 * rows / total,
        left=0.3 / width, right=1 - 0.1 / width, bottom=0.6 / height, top=1 - 0.4 / height,
    )  # fmt: skip
    return figure, grid


def _draw_marked(
    axes: Axes, sample: Sample, spots: Sequence[Spot], windows: Sequence[Box], contrast: Contrast
) -> None:
    """An image whose targets are marked, since they may be single pixels, and frames in it."""
    overlays.bare(axes)
    overlays.paint(axes, sample.image, None, None, cross=0, contrast=contrast)
    for spot in spots:
        axes.plot(*spot.centre[::-1], **_style(spot.outcome))
    for box in windows:
        overlays.frame(axes, box, "white")


def _windows(sample: Sample, found: Sequence[Detection]) -> list[Box]:
    """One or two places, first where a method misses a target, last where it has a false alarm."""
    spots = [spot for each in found for spot in overlays.find_spots(each, sample.mask)]
    chosen: list[Box] = []
    for spot in sorted(spots, key=lambda spot: list(MARK).index(spot.outcome)):
        y, x = spot.centre
        if not any(y0 <= y < y1 and x0 <= x < x1 for y0, x0, y1, x1 in chosen):
            chosen.append(overlays.window(spot.box, sample.image.shape))
    return chosen[:2]


def _tally(detection: Detection | None, spots: Sequence[Spot]) -> str:
    """What the picture shows, in words."""
    outcomes = [spot.outcome for spot in spots]
    if detection is None:
        return counted(len(outcomes), "target")
    false = outcomes.count("false alarm")
    alarms = counted(false, "false alarm") if false else "no false alarm"
    return f"{outcomes.count('found')} of {len(outcomes) - false}, {alarms}"


def _style(outcome: str) -> dict[str, Any]:
    """The mark of a target, by what became of it."""
    return {
        "marker": MARK[outcome], "color": FRAME_COLOUR[outcome], "path_effects": RIM,
        "markersize": 9, "fillstyle": "none", "markeredgewidth": 1.6, "linestyle": "",
        "clip_on": False, "zorder": OVER_SPINES,
    }  # fmt: skip
