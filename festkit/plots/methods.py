"""The same images as several methods see them, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from .._errors import InputError
from ..data import Sample
from ..sensitivity import Detection
from .marks import OVER_SPINES, Box, window
from .painting import add_legend, paint
from .spots import FRAME_COLOUR, Spot, find_spots

PANEL = 1.75
"""Side of a picture [in]; the places enlarged below it have half of that."""

MARK = {"missed": "s", "found": "o", "false alarm": "D", "target": "o"}
"""The first three in the order in which their places are enlarged."""


def plot_detections(
    samples: Sequence[Sample], detections: Mapping[str, Sequence[Detection]]
) -> Figure:
    r"""A row for every image: image, truth, and what each method finds (paper Figs. 8 to 10).

    Circles are found targets, squares missed ones, diamonds false alarms. Below every picture the
    same one or two places are enlarged, missed targets first.

    Args:
        samples: images with their truths.
        detections: by the name of the method, one of each sample, arrays or tensors (H, W).

    Returns:
        A matplotlib figure.

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
    _check_numbers(samples, detections)
    figure, grid = _layout(samples, len(detections) + 2)
    for row, sample in enumerate(samples):
        found = [each[row].numpy() for each in detections.values()]
        windows = _windows(sample, found)
        columns = [(None, None), (None, sample.mask), *((each, sample.mask) for each in found)]
        heads = ["image", "truth", *detections]
        for column, (head, (detection, mask)) in enumerate(zip(heads, columns, strict=True)):
            picture, *crops = _panels(figure, grid[row, column], sample, len(windows))
            _draw_picture(picture, sample.image, detection, mask)
            _draw_crops(crops, windows, sample.image, detection, mask)
            lines = [*([head] if row == 0 else []), *_tally(detection, mask)]
            picture.set_title("\n".join(lines), fontsize=9, pad=3)
            if column == 0:
                picture.set_ylabel(sample.name, fontsize=8)
                _draw_frames(picture, windows)
    marks = [Line2D([], [], label=name, **_style(name)) for name in MARK if name != "target"]
    add_legend(figure, found=True, truth=True, marks=marks, place="lower left")
    plt.close(figure)
    return figure


def _check_numbers(
    samples: Sequence[Sample], detections: Mapping[str, Sequence[Detection]]
) -> None:
    if not samples or not detections:
        raise InputError(
            f"{len(samples)} samples and {len(detections)} methods came; pass at least one of each"
        )
    for name, each in detections.items():
        if len(each) != len(samples):
            raise InputError(
                f"{name} has {len(each)} detections of {len(samples)} samples; pass one of each"
            )


def _layout(samples: Sequence[Sample], columns: int) -> tuple[Figure, GridSpec]:
    heights = [_height(sample) + 0.5 for sample in samples]
    gaps = 0.3 * (len(samples) - 1)
    width, height = PANEL * columns + 0.4, PANEL * sum(heights) + gaps + 1.0
    figure = plt.figure(figsize=(width, height))
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
        axes.set(xticks=[], yticks=[])
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


def _draw_picture(
    axes: Axes,
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None,
) -> None:
    """The whole image; what is drawn there is marked, since it may be a pixel large."""
    paint(axes, image, None, None, cross=0)
    for spot in [] if mask is None else find_spots(detection, mask):
        y, x = spot.centre
        axes.plot(x, y, **_style(spot.outcome))


def _draw_crops(
    crops: Sequence[Axes],
    windows: Sequence[Box],
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None,
) -> None:
    for axes, box in zip(crops, windows, strict=True):
        paint(axes, image, detection, mask, cross=7, box=box)


def _draw_frames(axes: Axes, windows: Sequence[Box]) -> None:
    for y0, x0, y1, x1 in windows:
        place = (x0 - 0.5, y0 - 0.5)
        axes.add_patch(Rectangle(place, x1 - x0, y1 - y0, fill=False, edgecolor="white"))


def _tally(detection: Detection | None, mask: NDArray[np.bool_] | None) -> list[str]:
    """What the picture shows, in words."""
    if mask is None:
        return []
    outcomes = [spot.outcome for spot in find_spots(detection, mask)]
    if detection is None:
        return [f"{len(outcomes)} target{'s' * (len(outcomes) != 1)}"]
    false = outcomes.count("false alarm")
    alarms = f"{false or 'no'} false alarm{'s' * (false > 1)}"
    return [f"{outcomes.count('found')} of {len(outcomes) - false}, {alarms}"]


def _style(outcome: str) -> dict[str, Any]:
    return {
        "marker": MARK[outcome],
        "color": FRAME_COLOUR[outcome],
        "markersize": 9,
        "fillstyle": "none",
        "markeredgewidth": 1.6,
        "linestyle": "",
        "clip_on": False,
        "zorder": OVER_SPINES,
    }
