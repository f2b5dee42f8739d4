"""Images row by row, each beside what was seen in it, with one place enlarged in every picture."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .._support.errors import InputError
from ..data.dataset import Sample
from ..metrics import MATCH_DISTANCE, count, match_targets
from ..ops.components import find_components
from ..sensitivity import Detection
from .overlays import (
    FRAME_COLOUR,
    MOST_LEVELS,
    OVER_SPINES,
    RIM,
    Box,
    Contrast,
    Spot,
    add_legend,
    bare,
    find_spots,
    frame,
    outline,
    paint,
    show_part,
    window,
)
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
    contrast: Contrast = MOST_LEVELS,
) -> Figure:
    """Rows of pictures: an image, its maps or detections, and the truth, with one place enlarged.

    Maps count as detections at 0.5. The lens enlarges a true target that some columns find and
    others miss; or else one that all miss; or else the largest false region that not all share; or
    else the largest true target. It lies in the corner that covers the fewest targets.

    Args:
        samples: images with their truths, one per row.
        columns: by its head, for every image a probability map (H, W) in [0, 1], or a detection,
            which is drawn over the image and counted.
        contrast: percentiles of the gray levels that become black and white.

    Returns:
        The figure.

    Raises:
        ValueError: for no images, no columns, or a column of another number of images.

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
            _draw(axes, sample, picture, contrast)
            _enlarge(axes, sample, picture, place, corner, contrast=contrast)
            if isinstance(picture, Detection):
                counts = count(picture.mask, sample.mask)
                text = (
                    f"{counts.detected} of {counts.targets} found, {counts.false_pixels} false px"
                )
                axes.set_xlabel(text, fontsize=8)
        grid[row, 0].set_ylabel(sample.name, fontsize=8)
    are_detections = [isinstance(column[0], Detection) for column in columns.values()]
    if not all(are_detections):
        scale = ScalarMappable(Normalize(0, 1), "magma")
        figure.colorbar(scale, ax=grid, label="probability", pad=0.01, shrink=0.6)
    add_legend(figure, found=any(are_detections), truth=True)
    return figure


def _check_lengths(samples: Sequence[Sample], columns: Mapping[str, Sequence[Any]]) -> None:
    if not samples or not columns:
        raise InputError(
            f"got {len(samples)} images and {len(columns)} columns; pass at least one of each"
        )
    for head, column in columns.items():
        if len(column) != len(samples):
            raise InputError(
                f"{head!r} has {len(column)} entries for {len(samples)} images; pass one for each"
            )


def _where_they_differ(
    mask: NDArray[np.bool_], found: Sequence[NDArray[np.bool_]]
) -> tuple[int, int]:
    """The pixel (y, x) to enlarge."""
    true = find_components(mask)
    hits = np.array(
        [
            match_targets(find_components(each).centroid, true.centroid, MATCH_DISTANCE) >= 0
            for each in found
        ]
    )
    some_miss = np.flatnonzero(hits.any(axis=0) & ~hits.all(axis=0))
    all_miss = np.flatnonzero(~hits.any(axis=0))
    for chosen in (some_miss, all_miss):
        if len(chosen):
            return _pixel(true.centroid[chosen[0]])
    apart = np.any([each != found[0] for each in found], axis=0) & ~mask
    regions = find_components(apart if apart.any() else mask)
    if not len(regions):
        return mask.shape[0] // 2, mask.shape[1] // 2
    return _pixel(regions.centroid[regions.area.argmax()])


def _pixel(centroid: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(centroid[0])), round(float(centroid[1]))


def _free_corner(marked: NDArray[np.bool_], place: tuple[int, int]) -> tuple[int, int]:
    """The corner (0 top or 1 bottom, 0 left or 1 right) that hides least; the place never."""
    height, width = marked.shape
    side = round(LENS_SHARE * min(height, width))
    opposite = int(place[0] < height / 2), int(place[1] < width / 2)

    def hidden(corner: tuple[int, int]) -> tuple[bool, int, bool]:
        top, left = corner[0] * (height - side), corner[1] * (width - side)
        covers = top <= place[0] < top + side and left <= place[1] < left + side
        pixels = int(np.count_nonzero(marked[top : top + side, left : left + side]))
        return covers, pixels, corner != opposite

    return min(product((0, 1), (0, 1)), key=hidden)


def _layout(samples: Sequence[Sample], columns: int) -> tuple[Figure, NDArray[np.object_]]:
    heights = [SIDE * sample.image.shape[0] / sample.image.shape[1] + 0.2 for sample in samples]
    figure, grid = plt.subplots(
        len(samples), columns, figsize=(SIDE * columns + 0.8, sum(heights) + 0.6),
        height_ratios=heights, squeeze=False,
    )  # fmt: skip
    for axes in grid.flat:
        bare(axes)
    return figure, grid


def _draw(
    axes: Axes,
    sample: Sample,
    seen: Seen | NDArray[np.bool_] | None,
    contrast: Contrast,
    box: Box | None = None,
) -> None:
    """The image alone, a detection over it, probabilities or the truth.

    True outlines are drawn in the lens only; in the whole image they would hide small targets.
    """
    if seen is None:
        paint(axes, sample.image, None, None, cross=0, box=box, contrast=contrast)
    elif isinstance(seen, Detection):
        mask, cross = (None, 5) if box is None else (sample.mask, 9)
        paint(axes, sample.image, seen, mask, cross=cross, box=box, contrast=contrast)
    else:
        axes.imshow(seen, cmap="gray" if seen.dtype == bool else "magma", vmin=0, vmax=1)
        if box is not None:
            show_part(axes, box)
        if box is not None and seen.dtype != bool:
            outline(axes, sample.mask, box)


def _enlarge(
    axes: Axes,
    sample: Sample,
    seen: Seen | NDArray[np.bool_] | None,
    place: tuple[int, int],
    corner: tuple[int, int],
    *,
    contrast: Contrast,
) -> None:
    """The place through a lens in a corner of the picture."""
    height, width = sample.image.shape
    side = min(LENS, height, width)
    top = min(max(place[0] - side // 2, 0), height - side)
    left = min(max(place[1] - side // 2, 0), width - side)
    wide, high = (LENS_SHARE * min(height, width) / length for length in (width, height))
    bounds = (corner[1] * (1 - wide), (1 - corner[0]) * (1 - high), wide, high)
    lens = axes.inset_axes(bounds, xticks=[], yticks=[])
    _draw(lens, sample, seen, contrast, (top, left, top + side, left + side))
    lens.spines[:].set(visible=True, color=STRONG, linewidth=1.2)
    axes.indicate_inset_zoom(lens, edgecolor=STRONG, alpha=1)


PANEL = 1.75
"""Side of a picture [in]; the places enlarged below it have half of that."""

MARK = {"missed": "s", "found": "o", "false alarm": "D", "target": "o"}
"""The first three in the order in which their places are enlarged."""


@styled
def plot_detections(
    samples: Sequence[Sample],
    detections: Mapping[str, Sequence[Detection]],
    *,
    contrast: Contrast = MOST_LEVELS,
) -> Figure:
    r"""A row for every image: image, truth, and what each method finds (paper Figs. 8 to 10).

    Circles are found targets, squares missed ones, diamonds false alarms. Below every picture the
    same one or two places are enlarged, missed targets first.

    Args:
        samples: images with their truths.
        detections: by the name of the method, one of each sample, arrays or tensors (H, W).
        contrast: percentiles of the gray levels that become black and white.

    Returns:
        The figure.

    Raises:
        ValueError: for no samples, no methods, or not one detection of each sample.

    Example:
        >>> from festkit.sensitivity import adjust_sensitivity
        >>> prob = np.zeros((40, 40), np.float32); prob[20, 30] = 0.9
        >>> sample = Sample(np.zeros((40, 40), np.uint8), prob > 0, "a")
        >>> figure = plot_detections([sample], {"Original": [adjust_sensitivity(prob)]})
        >>> [axes.get_title() for axes in figure.axes[::2]]
        ['image', 'truth\n1 target', 'Original\n1 of 1, no false alarm']
    """
    _check_lengths(samples, detections)
    figure, grid = _methods_layout(samples, len(detections) + 2)
    for row, sample in enumerate(samples):
        found = [each[row].numpy() for each in detections.values()]
        windows = _windows(sample, found)
        columns = [(None, None), (None, sample.mask), *((each, sample.mask) for each in found)]
        heads = ["image", "truth", *detections]
        for column, (head, (detection, mask)) in enumerate(zip(heads, columns, strict=True)):
            picture, *crops = _panels(figure, grid[row, column], sample, len(windows))
            spots = [] if mask is None else find_spots(detection, mask)
            paint(picture, sample.image, None, None, cross=0, contrast=contrast)
            for spot in spots:  # marks, since what is found may be a single pixel
                picture.plot(*spot.centre[::-1], **_style(spot.outcome))
            for axes, box in zip(crops, windows, strict=True):
                paint(axes, sample.image, detection, mask, cross=7, box=box, contrast=contrast)
            lines = [head] * (row == 0) + [_tally(detection, spots)] * (mask is not None)
            picture.set_title("\n".join(lines), fontsize=9, pad=3, loc="center")
            if column == 0:
                picture.set_ylabel(sample.name, fontsize=8)
                for box in windows:
                    frame(picture, box, "white")
    marks = [Line2D([], [], label=name, **_style(name)) for name in MARK if name != "target"]
    add_legend(figure, found=True, truth=True, marks=marks, loc="lower left")
    return figure


def _methods_layout(samples: Sequence[Sample], columns: int) -> tuple[Figure, GridSpec]:
    heights = [_height(sample) + 0.5 for sample in samples]
    gaps = 0.3 * (len(samples) - 1)
    width, height = PANEL * columns + 0.4, PANEL * sum(heights) + gaps + 1.0
    figure = plt.figure(figsize=(width, height), layout="none")
    grid = figure.add_gridspec(
        len(samples), columns, height_ratios=heights, wspace=0.03,
        hspace=0.3 / (PANEL * sum(heights) / len(samples)),
        left=0.3 / width, right=1 - 0.1 / width, bottom=0.6 / height, top=1 - 0.4 / height,
    )  # fmt: skip
    return figure, grid


def _height(sample: Sample) -> float:
    """Of the picture of a sample, in widths."""
    height, width = sample.image.shape
    return min(max(height / width, 0.2), 1.5)


def _panels(figure: Figure, cell: SubplotSpec, sample: Sample, crops: int) -> list[Axes]:
    """A picture, and its crops below it."""
    ratios = [_height(sample), 0.5]
    inner = cell.subgridspec(2, 2, height_ratios=ratios, hspace=0.03, wspace=0.02)
    below = [inner[1, k] for k in range(2)] if crops == 2 else [inner[1, :]] * crops
    panels = [figure.add_subplot(place) for place in [inner[0, :], *below]]
    for axes in panels:
        bare(axes)
    return panels


def _windows(sample: Sample, found: Sequence[Detection]) -> list[Box]:
    """One or two places, first where a method misses a target, last where it has a false alarm."""
    spots = [spot for each in found for spot in find_spots(each, sample.mask)]
    chosen: list[Box] = []
    for spot in sorted(spots, key=lambda spot: list(MARK).index(spot.outcome)):
        if not any(_holds(box, spot) for box in chosen):
            chosen.append(window(spot.box, sample.image.shape))
    return chosen[:2]


def _holds(box: Box, spot: Spot) -> bool:
    (y, x), (y0, x0, y1, x1) = spot.centre, box
    return y0 <= y < y1 and x0 <= x < x1


def _tally(detection: Detection | None, spots: Sequence[Spot]) -> str:
    """What the picture shows, in words."""
    outcomes = [spot.outcome for spot in spots]
    if detection is None:
        return f"{len(outcomes)} target{'s' * (len(outcomes) != 1)}"
    false = outcomes.count("false alarm")
    alarms = f"{false or 'no'} false alarm{'s' * (false > 1)}"
    return f"{outcomes.count('found')} of {len(outcomes) - false}, {alarms}"


def _style(outcome: str) -> dict[str, Any]:
    return {
        "marker": MARK[outcome],
        "path_effects": RIM,
        "color": FRAME_COLOUR[outcome],
        "markersize": 9,
        "fillstyle": "none",
        "markeredgewidth": 1.6,
        "linestyle": "",
        "clip_on": False,
        "zorder": OVER_SPINES,
    }
