"""What marks a target in a picture: its outline, and the square that is enlarged."""

from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from .palette import TRUTH

INSET_SIDE = 32
"""Smallest side of an inset [px]."""

LABEL_ROOM = 13
"""What a frame's label takes of the height of a picture [pt]."""

OVER_SPINES = 2.6
"""Drawing order of marks that may lie on the border of their axes."""

Box = tuple[int, int, int, int]
"""Rows and columns y0, x0, y1, x1, half open."""


def box_of(row: NDArray[np.int64]) -> Box:
    """A row of ``Components.box`` as plain numbers."""
    y0, x0, y1, x1 = row.tolist()
    return y0, x0, y1, x1


def window(box: Box, shape: tuple[int, ...]) -> Box:
    """A square around a box, inside the image where that is large enough."""
    y0, x0, y1, x1 = box
    side = min(max(INSET_SIDE, 2 * max(y1 - y0, x1 - x0)), *shape)
    top = min(max((y0 + y1 - side) // 2, 0), shape[0] - side)
    left = min(max((x0 + x1 - side) // 2, 0), shape[1] - side)
    return top, left, top + side, left + side


def show_part(axes: Axes, box: Box) -> None:
    """Limit axes to the pixels of a box."""
    y0, x0, y1, x1 = box
    axes.set(xlim=(x0 - 0.5, x1 - 0.5), ylim=(y1 - 0.5, y0 - 0.5))


def outline(
    axes: Axes,
    mask: NDArray[np.bool_],
    box: Box | None = None,
    *,
    colour: str = TRUTH,
    dashed: bool = False,
) -> None:
    """Draw the pixel edges between target and background, in a box or the whole image.

    Dashes leave half of every edge free for another outline below.
    """
    y0, x0, y1, x1 = box or (0, 0, *mask.shape)
    part = np.pad(mask, 1)[y0 : y1 + 2, x0 : x1 + 2]
    corner = x0 - 0.5, y0 - 0.5
    above = np.argwhere(part[1:, 1:-1] != part[:-1, 1:-1])[:, ::-1] + corner
    left = np.argwhere(part[1:-1, 1:] != part[1:-1, :-1])[:, ::-1] + corner
    starts = np.concatenate([above, left])
    ends = np.concatenate([np.add(above, (1, 0)), np.add(left, (0, 1))])
    if dashed:
        starts, ends = 0.75 * starts + 0.25 * ends, 0.25 * starts + 0.75 * ends
    pieces = list(np.stack([starts, ends], axis=1))
    lines = LineCollection(pieces, colors=colour, linewidths=1.6 if dashed else 1.2)
    lines.set(capstyle="butt" if dashed else "projecting", clip_on=False, zorder=OVER_SPINES)
    axes.add_collection(lines, autolim=False)


def frame(axes: Axes, box: Box, colour: str, label: str = "") -> None:
    """Draw a box in an image, with a label above it; at the top of the image below or inside it."""
    y0, x0, y1, x1 = box
    axes.add_patch(
        Rectangle(
            (x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2,
            clip_on=False, zorder=OVER_SPINES,
        )
    )  # fmt: skip
    axes.apply_aspect()  # a picture gets little larger when the whole figure is laid out
    height = axes.get_ylim()[0]
    room = LABEL_ROOM / 72 * cast(Figure, axes.figure).dpi * height / axes.bbox.height
    above, below = y0 > room, y1 < height - room
    edge = y1 if below and not above else y0
    axes.annotate(
        label, (x0 - 0.5, edge - 0.5), xytext=(2, 2 if above else -2), textcoords="offset points",
        va="bottom" if above else "top", color=colour, fontsize=9,
        path_effects=[withStroke(linewidth=1.5, foreground="black")],
    )  # fmt: skip
