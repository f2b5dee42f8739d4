"""Detections over their image, with every target enlarged beside it."""

from collections.abc import Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .._errors import InputError
from ..components import find_components
from ..metrics import count
from ..sensitivity import Detection
from .marks import OVER_SPINES, Box, frame, window
from .painting import add_legend, paint
from .spots import FRAME_COLOUR, Spot, find_spots

INSETS = 6

LETTERS = 14
"""Of the title, per inch."""

Place = tuple[Box, list[Spot]]
"""What an inset shows, and the targets in it."""


def show(
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None = None,
) -> Figure:
    """Draw a detection or just the truth over an image, with its targets enlarged beside it.

    Strong regions are filled, and outlined in the insets; weak targets are crosses, true targets
    are outlined. Numbered frames lead to the insets; targets that no inset shows are ringed, unless
    a cross marks them already. With a mask, colours tell found, missed and false targets apart.

    Args:
        image: (H, W) uint8 gray.
        detection: of one map (H, W), arrays or tensors; None draws the truth alone.
        mask: (H, W) bool, the truth, if known.

    Returns:
        A matplotlib figure with at most six insets, missed targets first, false ones last; without
        a mask strong ones first, by descending peak. The title says if any target is in no inset.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> from festkit.sensitivity import adjust_sensitivity
        >>> prob = np.zeros((40, 60), np.float32); prob[20, 30] = 0.9
        >>> figure = show(np.zeros((40, 60), np.uint8), adjust_sensitivity(prob))
        >>> len(figure.axes)
        2
    """
    detection = None if detection is None else detection.numpy()
    _check_shapes(image, detection, mask)
    spots = find_spots(detection, mask)
    places, others = _choose_places(spots, image.shape)
    title = [_headline(detection, mask), _rest(len(others), len(spots), detection, mask)]
    figure, (main, *insets) = _layout(image.shape, len(places), title)
    paint(main, image, detection, mask, cross=6)
    for number, (axes, (box, held)) in enumerate(zip(insets, places, strict=True), start=1):
        colour = FRAME_COLOUR[held[0].outcome]
        frame(main, box, colour, str(number))
        paint(axes, image, detection, mask, cross=11, box=box)
        axes.set_title(f"{number}  {_listed(held)}", fontsize=8.5, loc="left")
        for side in axes.spines.values():
            side.set(visible=True, color=colour, linewidth=1.8)
    rings = _draw_rings(main, others)
    add_legend(figure, found=detection is not None, truth=mask is not None, marks=rings)
    plt.close(figure)
    return figure


def _check_shapes(
    image: NDArray[np.uint8], detection: Detection | None, mask: NDArray[np.bool_] | None
) -> None:
    shapes = [image.shape]
    shapes += [] if detection is None else [detection.mask.shape]
    shapes += [] if mask is None else [mask.shape]
    if len(set(shapes)) > 1 or image.ndim != 2:
        raise InputError(f"image, detection and mask must share one shape (H, W), got {shapes}")


def _choose_places(spots: Sequence[Spot], shape: tuple[int, ...]) -> tuple[list[Place], list[Spot]]:
    """What the insets show, no target in two of them, and the targets that are in none."""
    places: list[Place] = []
    others = []
    for spot in spots:
        around = [held for box, held in places if _contains(box, spot.box)]
        if around:
            around[0].append(spot)
        elif len(places) < INSETS:
            places.append((window(spot.box, shape), [spot]))
        else:
            others.append(spot)
    return places, others


def _contains(box: Box, inner: Box) -> bool:
    (y0, x0, y1, x1), (top, left, bottom, right) = box, inner
    return y0 <= top and x0 <= left and bottom <= y1 and right <= x1


def _listed(spots: Sequence[Spot]) -> str:
    """Targets of one inset, as many as its width has room for."""
    if len(spots) < 3:
        return ", ".join(spot.text for spot in spots)
    return f"{spots[0].text} and {len(spots) - 1} more"


def _draw_rings(axes: Axes, spots: Sequence[Spot]) -> list[Line2D]:
    """One mark of the legend for every kind of target that is ringed."""
    rings = []
    for outcome in dict.fromkeys(spot.outcome for spot in spots if spot.outcome != "weak"):
        y, x = zip(*(spot.centre for spot in spots if spot.outcome == outcome), strict=True)
        rings += axes.plot(
            x, y, "o", color=FRAME_COLOUR[outcome], fillstyle="none", markersize=9,
            markeredgewidth=0.8, clip_on=False, zorder=OVER_SPINES,
            label=f"{outcome}, not enlarged",
        )  # fmt: skip
    return rings


def _layout(shape: tuple[int, ...], insets: int, title: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A figure with the title, no wider than the image, and places for the insets."""
    columns = -(-insets // 2)
    height = 4.4
    width = height * min(max(shape[1] / shape[0], 0.6), 1.8)
    lines = [part for line in title for part in wrap(line, int(LETTERS * width))]
    size = width + 2.0 * columns, height + 0.2 + 0.2 * max(len(lines), 1)
    figure = plt.figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(2, columns + 1, width_ratios=[width, *[1.9] * columns])
    places = [grid[row, 1 + column] for column in range(columns) for row in range(2)]
    panels = [figure.add_subplot(place) for place in [grid[:, 0], *places[:insets]]]
    for axes in panels:
        axes.set(xticks=[], yticks=[])
    panels[0].set_anchor("NW")  # elsewhere the title has no place of its own in the layout
    panels[0].set_title("\n".join(lines), fontsize=10, loc="left")
    return figure, panels


def _headline(detection: Detection | None, mask: NDArray[np.bool_] | None) -> str:
    if detection is None:
        return "" if mask is None else _number(len(find_components(mask)), "true target")
    thresholds = f"th1 {detection.th1:g}"
    if detection.th2 is not None:
        thresholds += f", th2 {detection.th2:g}"
    if mask is None:
        return f"{_number(len(detection.targets()), 'target')} ({thresholds})"
    counts = count(detection.mask, mask)
    iou = "–" if np.isnan(counts.iou) else f"{100 * counts.iou:.1f} %"
    return (
        f"{counts.detected} of {counts.targets} targets, {counts.false_pixels} false px, "
        f"IoU {iou} ({thresholds})"
    )


def _rest(
    others: int, spots: int, detection: Detection | None, mask: NDArray[np.bool_] | None
) -> str:
    """How many targets are enlarged, and which, where not all are."""
    if not others:
        return ""
    if detection is None:
        return f"{spots - others} of them enlarged"
    order = "enlarged, highest peaks first" if mask is None else "places enlarged, missed first"
    return f"{spots - others} of {spots} {order}"


def _number(count: int, of: str) -> str:
    return f"{count} {of}" if count == 1 else f"{count} {of}s"
