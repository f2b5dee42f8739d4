"""An image with a detection and its truth, in the marks that the legend names."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..sensitivity import Detection
from .marks import outline
from .palette import STRONG, TRUTH, WEAK


def paint(
    axes: Axes,
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None,
    *,
    cross: float,
) -> None:
    """Draw an image, filled strong regions, crosses for weak targets, and the truth's outline.

    Args:
        axes: where.
        image: (H, W) uint8 gray.
        detection: with numpy arrays (H, W), or None.
        mask: (H, W) bool, the truth, or None.
        cross: size of the crosses [pt].

    Example:
        >>> axes = Figure().add_subplot()
        >>> paint(axes, np.zeros((4, 6), np.uint8), None, np.eye(4, 6, dtype=bool), cross=6)
        >>> len(axes.images), len(axes.collections)
        (1, 1)
    """
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


def add_legend(
    figure: Figure,
    *,
    found: bool,
    truth: bool,
    marks: Sequence[Line2D] = (),
    place: Literal["lower left", "outside lower left"] = "outside lower left",
) -> None:
    """Say below the pictures what is drawn: detections, the truth, and further marks.

    Example:
        >>> figure = Figure()
        >>> add_legend(figure, found=True, truth=True)
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['strong region', 'weak target', 'truth']
    """
    handles: list[Line2D | Patch] = []
    if found:
        cross = Line2D([], [], color=WEAK, marker="x", linestyle="", markeredgewidth=1.8)
        cross.set_label("weak target")
        handles += [Patch(color=STRONG, alpha=0.6, label="strong region"), cross]
    if truth:
        handles.append(Line2D([], [], color=TRUTH, linewidth=1.5, label="truth"))
    handles += marks
    across = min(len(handles), max(3, int(figure.get_figwidth() / 1.3)))
    legend = figure.legend(handles=handles, loc=place, ncols=across, fontsize=9)
    legend.get_frame().set(facecolor="#555555", alpha=1.0)
    for text in legend.get_texts():
        text.set_color("white")
