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
from .marks import OVER_SPINES, Box, outline, show_part
from .palette import STRONG, TRUTH, WEAK


def paint(
    axes: Axes,
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None,
    *,
    cross: float,
    box: Box | None = None,
) -> None:
    """Draw an image, its strong regions, a cross for every weak target, and the truth's outline.

    Weak targets are those of :meth:`Detection.targets`: one cross for one object.

    Strong regions are filled in the whole image. In a part, where one sees inside, they are
    outlined: in dashes where the truth is, which may run along the same edges.

    Args:
        axes: where.
        image: (H, W) uint8 gray.
        detection: with numpy arrays (H, W), or None.
        mask: (H, W) bool, the truth, or None.
        cross: size of the crosses [pt].
        box: the part to draw, rows and columns (y0, x0, y1, x1), half open; None draws all.

    Example:
        >>> axes = Figure().add_subplot()
        >>> paint(axes, np.zeros((4, 6), np.uint8), None, np.eye(4, 6, dtype=bool), cross=6)
        >>> len(axes.images), len(axes.collections)
        (1, 1)
    """
    draw_gray(axes, image)
    if detection is not None and box is None:
        fill = np.zeros((*image.shape, 4))
        fill[detection.strong] = to_rgba(STRONG, 0.5)
        axes.imshow(fill)
    if mask is not None:
        outline(axes, mask, box)
    if detection is not None and box is not None:
        outline(axes, detection.strong, box, colour=STRONG, dashed=mask is not None)
    y0, x0, y1, x1 = part = box or (0, 0, *image.shape)
    show_part(axes, part)
    if detection is not None:
        centres = [each.centroid for each in detection.targets() if each.kind == "weak"]
        weak = np.array(centres, np.int64).reshape(-1, 2)
        inside = ((weak >= (y0, x0)) & (weak < (y1, x1))).all(axis=1)
        _draw_crosses(axes, weak[inside], cross)


def draw_gray(axes: Axes, image: NDArray[np.uint8]) -> None:
    """Draw an image from black at its darkest to white at its brightest.

    An image of a single level has no contrast to stretch and is drawn at that level.

    Example:
        >>> axes = Figure().add_subplot()
        >>> draw_gray(axes, np.full((4, 6), 255, np.uint8))
        >>> axes.images[0].get_clim()
        (0.0, 255.0)
    """
    low, high = int(image.min()), int(image.max())
    low, high = (0, 255) if low == high else (low, high)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high)


def _draw_crosses(axes: Axes, weak: NDArray[np.int64], size: float) -> None:
    if len(weak):
        y, x = weak.T
        axes.plot(
            x, y, "x", color=WEAK, markersize=size, markeredgewidth=1.8, clip_on=False,
            zorder=OVER_SPINES,
        )  # fmt: skip


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
        handles += [
            Patch(facecolor=to_rgba(STRONG, 0.5), edgecolor=STRONG, label="strong region"),
            cross,
        ]
    if truth:
        handles.append(Line2D([], [], color=TRUTH, linewidth=1.5, label="truth"))
    handles += marks
    if not handles:
        return
    across = min(len(handles), max(3, int(figure.get_figwidth() / 1.3)))
    legend = figure.legend(handles=handles, loc=place, ncols=across, fontsize=9)
    legend.get_frame().set(facecolor="#555555", alpha=1.0)
    for text in legend.get_texts():
        text.set_color("white")
