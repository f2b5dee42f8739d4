"""Detections over their image, with every target enlarged beside it."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..components import find_components
from ..metrics import count
from ..sensitivity import Detection
from .marks import frame, window
from .painting import add_legend, paint
from .spots import FRAME_COLOUR, find_spots

INSETS = 6


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
    spots = find_spots(detection, mask)
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


def _headline(detection: Detection | None, mask: NDArray[np.bool_] | None) -> str:
    if detection is None:
        return "" if mask is None else _number(len(find_components(mask)), "true target")
    thresholds = f"th1 {detection.th1:g}"
    if detection.th2 is not None:
        thresholds += f", th2 {detection.th2:g}"
    if mask is None:
        return f"{_number(len(detection.targets()), 'target')} ({thresholds})"
    counts = count(detection.mask, mask)
    iou = "–" if counts.iou is None else f"{100 * counts.iou:.1f} %"
    return (
        f"{counts.detected} of {counts.targets} targets, {counts.false_pixels} false px, "
        f"IoU {iou} ({thresholds})"
    )


def _number(count: int, of: str) -> str:
    return f"{count} {of}" if count == 1 else f"{count} {of}s"
