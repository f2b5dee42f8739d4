"""Detections over their image, with every target enlarged beside it."""

from dataclasses import dataclass
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..components import find_components
from ..metrics import MATCH_DISTANCE, count, match_targets
from ..sensitivity import Detection
from .marks import Box, box_of, frame, outline, window
from .palette import FALSE, MISSED, STRONG, TRUTH, WEAK

INSETS = 6

Outcome = Literal["found", "missed", "false alarm", "target"]
FRAME_COLOUR = {"found": TRUTH, "missed": MISSED, "false alarm": FALSE, "target": STRONG}


@dataclass(frozen=True)
class Spot:
    """A place worth enlarging: a target, and what became of it."""

    outcome: Outcome
    box: Box


def show(
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None = None,
) -> Figure:
    """Draw a detection or just the truth over an image, with its targets enlarged beside it.

    Strong regions are filled, weak targets are crosses, true targets are outlined. Numbered frames
    lead to the insets; with a mask they tell found, missed and false targets apart.

    Args:
        image: (H, W) uint8 gray.
        detection: of one map (H, W), arrays or tensors; None draws the truth alone.
        mask: (H, W) bool, the truth, if known.

    Returns:
        A matplotlib figure; at most six targets are enlarged, missed ones first, false ones last.

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
    spots = _spots(detection, mask)
    insets = spots[:INSETS]
    figure, (main, *small) = _layout(image.shape, len(insets))
    paint(main, image, detection, mask, cross=6)
    main.set_title(_headline(detection, mask), fontsize=10, loc="left")
    for number, (axes, spot) in enumerate(zip(small, insets, strict=True), start=1):
        y0, x0, y1, x1 = window(spot.box, image.shape)
        frame(main, (y0, x0, y1, x1), FRAME_COLOUR[spot.outcome], str(number))
        paint(axes, image, detection, mask, cross=11)
        axes.set(xlim=(x0 - 0.5, x1 - 0.5), ylim=(y1 - 0.5, y0 - 0.5))
        axes.set_title(f"{number}  {spot.outcome}", fontsize=9, loc="left")
        for side in axes.spines.values():
            side.set(visible=True, color=FRAME_COLOUR[spot.outcome], linewidth=1.8)
    add_legend(figure, found=detection is not None, truth=mask is not None)
    plt.close(figure)
    return figure


def _check_shapes(
    image: NDArray[np.uint8], detection: Detection | None, mask: NDArray[np.bool_] | None
) -> None:
    shapes = [image.shape]
    shapes += [] if detection is None else [detection.mask.shape]
    shapes += [] if mask is None else [mask.shape]
    if len(set(shapes)) > 1 or image.ndim != 2:
        raise ValueError(f"image, detection and mask must share one shape (H, W), got {shapes}")


def _spots(detection: Detection | None, mask: NDArray[np.bool_] | None) -> list[Spot]:
    """Targets in the order in which they are worth a look."""
    if detection is None or mask is None:
        shown = mask if detection is None else detection.mask
        boxes = () if shown is None else find_components(shown).box
        return [Spot("target", box_of(row)) for row in boxes]
    found, true = find_components(detection.mask), find_components(mask)
    match = match_targets(found.centroid, true.centroid, MATCH_DISTANCE)
    missed = [Spot("missed", box_of(row)) for row in true.box[match < 0]]
    alone = np.setdiff1d(np.arange(len(found)), match)
    false = [Spot("false alarm", box_of(row)) for row in found.box[alone]]
    hits = [Spot("found", box_of(row)) for row in true.box[match >= 0]]
    return [*missed, *hits, *false]


def _layout(shape: tuple[int, ...], insets: int) -> tuple[Figure, list[Axes]]:
    columns = -(-insets // 2)
    height = 4.4
    width = height * min(max(shape[1] / shape[0], 0.6), 1.8)
    figure = plt.figure(figsize=(width + 2.0 * columns, height + 0.4), layout="constrained")
    grid = figure.add_gridspec(2, columns + 1, width_ratios=[width, *[1.9] * columns])
    places = [grid[row, 1 + column] for column in range(columns) for row in range(2)]
    panels = [figure.add_subplot(place) for place in [grid[:, 0], *places[:insets]]]
    for axes in panels:
        axes.set(xticks=[], yticks=[])
    return figure, panels


def paint(
    axes: Axes,
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None,
    *,
    cross: float,
) -> None:
    """An image, its truth outlined, strong regions filled and weak targets as crosses."""
    axes.imshow(image, cmap="gray", vmin=image.min(), vmax=max(int(image.max()), 1))
    if mask is not None:
        outline(axes, mask)
    if detection is None:
        return
    fill = np.zeros((*image.shape, 4))
    fill[detection.strong] = to_rgba(STRONG, 0.5)
    axes.imshow(fill)
    if len(detection.weak):
        y, x = detection.weak.T
        axes.plot(x, y, "x", color=WEAK, markersize=cross, markeredgewidth=1.8)


def _headline(detection: Detection | None, mask: NDArray[np.bool_] | None) -> str:
    if detection is None:
        return "" if mask is None else f"{len(find_components(mask))} true targets"
    thresholds = f"th1 {detection.th1:g}"
    if detection.th2 is not None:
        thresholds += f", th2 {detection.th2:g}"
    if mask is None:
        return f"{len(detection.targets())} targets ({thresholds})"
    counts = count(detection.mask, mask)
    iou = "–" if counts.iou is None else f"{100 * counts.iou:.1f} %"
    return (
        f"{counts.detected} of {counts.targets} targets, {counts.false_pixels} false px, "
        f"IoU {iou} ({thresholds})"
    )


def add_legend(figure: Figure, *, found: bool, truth: bool) -> None:
    """What the marks of :func:`paint` mean, below the pictures."""
    marks: list[Line2D | Patch] = []
    if found:
        marks += [
            Patch(color=STRONG, alpha=0.6, label="strong region"),
            Line2D(
                [],
                [],
                color=WEAK,
                marker="x",
                linestyle="",
                markeredgewidth=1.8,
                label="weak target",
            ),
        ]
    if truth:
        marks.append(Line2D([], [], color=TRUTH, linewidth=1.5, label="truth"))
    legend = figure.legend(handles=marks, loc="outside lower left", ncols=3, fontsize=9)
    legend.get_frame().set(facecolor="#555555", alpha=1.0)
    for text in legend.get_texts():
        text.set_color("white")
