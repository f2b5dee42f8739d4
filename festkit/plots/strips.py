"""Images row by row, each beside what was seen in it, with one place enlarged in every picture."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .._errors import InputError
from ..components import Components, find_components
from ..data import Sample
from ..metrics import MATCH_DISTANCE, count, match_targets
from ..sensitivity import Detection
from .marks import Box, outline, show_part
from .painting import add_legend, paint
from .palette import STRONG

SIDE = 2.0
"""Width of a picture [inch]."""

LENS = 24
"""Side of the enlarged place [px]."""

LENS_SHARE = 0.5
"""Width of its enlargement, as a share of the picture's shorter side."""

Seen = NDArray[np.float32] | Detection


def show_strips(samples: Sequence[Sample], columns: Mapping[str, Sequence[Seen]]) -> Figure:
    """Rows of pictures: an image, what was seen in it in one or more ways, and the truth.

    A lens enlarges where they differ, probabilities counting from 0.5 on: a true target that some
    find and others miss; or else the largest false region that some see; or else the largest true
    target.

    Args:
        samples: images with their truths, one per row.
        columns: by its head, for every image a probability map (H, W) in [0, 1], or a detection,
            which is drawn over the image and counted.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no images, no columns, or a column of another number of images.

    Example:
        >>> mask = np.zeros((40, 60), bool); mask[20:22, 30:32] = True
        >>> sample = Sample(np.zeros((40, 60), np.uint8), mask, "sea")
        >>> figure = show_strips([sample], {"probability": [mask.astype(np.float32)]})
        >>> [axes.get_title() for axes in figure.axes[:3]]
        ['image', 'probability', 'truth']
    """
    _check_lengths(len(samples), columns)
    figure, grid = _layout(samples, len(columns) + 2)
    for row, sample in enumerate(samples):
        seen = {head: column[row] for head, column in columns.items()}
        place = _where_they_differ(sample.mask, list(seen.values()))
        pictures = {"image": None, **seen, "truth": sample.mask}
        for axes, (head, picture) in zip(grid[row], pictures.items(), strict=True):
            axes.set_title(head if row == 0 else "", fontsize=9)
            _draw(axes, sample, picture)
            _enlarge(axes, sample, picture, place)
            if isinstance(picture, Detection):
                counts = count(picture.mask, sample.mask)
                text = f"{counts.detected} of {counts.targets}, {counts.false_pixels} false px"
                axes.set_xlabel(text, fontsize=8)
        grid[row, 0].set_ylabel(sample.name, fontsize=8)
    found = [isinstance(column[0], Detection) for column in columns.values()]
    if not all(found):
        scale = ScalarMappable(Normalize(0, 1), "magma")
        figure.colorbar(scale, ax=grid, label="probability", pad=0.01, shrink=0.6)
    add_legend(figure, found=any(found), truth=True)
    plt.close(figure)
    return figure


def _check_lengths(images: int, columns: Mapping[str, Sequence[Seen]]) -> None:
    if not images or not columns:
        raise InputError(f"{images} images and {len(columns)} columns came; pass at least one each")
    for head, column in columns.items():
        if len(column) != images:
            raise InputError(f"{head!r} holds {len(column)} for {images} images; pass one for each")


def _where_they_differ(mask: NDArray[np.bool_], seen: Sequence[Seen]) -> tuple[int, int]:
    """The pixel (y, x) worth a lens."""
    true = find_components(mask)
    found = [each.mask if isinstance(each, Detection) else each > 0.5 for each in seen]
    hits = np.array([_hits(each, true) for each in found])
    by_some = np.flatnonzero(hits.any(axis=0) & ~hits.all(axis=0))
    if len(by_some):
        return _pixel(true.centroid[by_some[0]])
    apart = np.any([each != found[0] for each in found], axis=0) & ~mask
    regions = find_components(apart if apart.any() else mask)
    if not len(regions):
        return mask.shape[0] // 2, mask.shape[1] // 2
    return _pixel(regions.centroid[regions.area.argmax()])


def _hits(found: NDArray[np.bool_], true: Components) -> NDArray[np.bool_]:
    """Which true targets are found."""
    return match_targets(find_components(found).centroid, true.centroid, MATCH_DISTANCE) >= 0


def _pixel(centroid: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(centroid[0])), round(float(centroid[1]))


def _layout(samples: Sequence[Sample], columns: int) -> tuple[Figure, NDArray[np.object_]]:
    heights = [SIDE * sample.image.shape[0] / sample.image.shape[1] + 0.2 for sample in samples]
    figure, grid = plt.subplots(
        len(samples), columns, figsize=(SIDE * columns + 0.8, sum(heights) + 0.6),
        height_ratios=heights, layout="constrained", squeeze=False,
    )  # fmt: skip
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    return figure, grid


def _draw(
    axes: Axes, sample: Sample, seen: Seen | NDArray[np.bool_] | None, box: Box | None = None
) -> None:
    """The image alone, a detection over it, probabilities or the truth, which close views outline.

    From afar an outline would hide what it surrounds.
    """
    if seen is None:
        paint(axes, sample.image, None, None, cross=0, box=box)
    elif isinstance(seen, Detection):
        mask, cross = (None, 5) if box is None else (sample.mask, 9)
        paint(axes, sample.image, seen, mask, cross=cross, box=box)
    else:
        axes.imshow(seen, cmap="gray" if seen.dtype == bool else "magma", vmin=0, vmax=1)
        if box is not None:
            show_part(axes, box)
        if box is not None and seen.dtype != bool:
            outline(axes, sample.mask, box)


def _enlarge(
    axes: Axes, sample: Sample, seen: Seen | NDArray[np.bool_] | None, place: tuple[int, int]
) -> None:
    """The place through a lens, in the corner opposite to it."""
    height, width = sample.image.shape
    side = min(LENS, height, width)
    top = min(max(place[0] - side // 2, 0), height - side)
    left = min(max(place[1] - side // 2, 0), width - side)
    wide, high = (LENS_SHARE * min(height, width) / length for length in (width, height))
    corner = (0.0 if place[1] > width / 2 else 1 - wide, 0.0 if place[0] < height / 2 else 1 - high)
    lens = axes.inset_axes((*corner, wide, high), xticks=[], yticks=[])
    _draw(lens, sample, seen, (top, left, top + side, left + side))
    for spine in lens.spines.values():
        spine.set(color=STRONG, linewidth=1.2)
    axes.indicate_inset_zoom(lens, edgecolor=STRONG, alpha=1)
