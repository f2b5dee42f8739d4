"""What marks a target in a picture: its outline, and the square that is enlarged."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from .palette import TRUTH

INSET_SIDE = 32
"""Smallest side of an inset [px]."""

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


def outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """Draw the pixel edges between target and background."""
    padded = np.pad(mask, 1)
    above = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])[:, ::-1] - 0.5
    left = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])[:, ::-1] - 0.5
    starts = np.concatenate([above, left])
    ends = np.concatenate([np.add(above, (1, 0)), np.add(left, (0, 1))])
    pieces = list(np.stack([starts, ends], axis=1))
    lines = LineCollection(pieces, colors=TRUTH, linewidths=1.2, capstyle="projecting")
    axes.add_collection(lines, autolim=False)


def frame(axes: Axes, box: Box, colour: str, label: str = "") -> None:
    """Draw a box with a label in its upper left corner."""
    y0, x0, y1, x1 = box
    place, width, height = (x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0
    axes.add_patch(Rectangle(place, width, height, fill=False, edgecolor=colour, linewidth=1.2))
    axes.annotate(label, place, xytext=(2, 2), textcoords="offset points", color=colour, fontsize=9)
