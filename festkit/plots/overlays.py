"""Detections drawn over their image, with insets that enlarge the targets."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Literal, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.names import counted
from ..metrics import MATCH_DISTANCE, count, match_targets
from ..ops.components import find_components
from ..sensitivity import Detection, Target
from .style import FALSE, MISSED, STRONG, TRUTH, WEAK, figure_of, styled

Contrast = tuple[float, float]
"""Percentiles of an image's gray levels that are drawn black and white."""

MOST_LEVELS: Contrast = (0.2, 99.95)
"""Leaves out the few pixels that would leave a dark frame black; the tuner draws the same."""

EVERY_LEVEL: Contrast = (0, 100)

INSET_SIDE = 32
"""Smallest side of an inset [px]."""

LABEL_ROOM = 13
"""What a frame's label takes of the height of a picture [pt]."""

OVER_SPINES = 2.6
"""Drawing order of marks that may lie on the border of their axes."""

Box = tuple[int, ...]
"""Rows and columns y0, x0, y1, x1, half open."""


def window(box: Box, shape: tuple[int, ...], least: int = INSET_SIDE) -> Box:
    """A square around a box, of at least some side, within an image that is large enough."""
    y0, x0, y1, x1 = box
    side = min(max(least, 2 * max(y1 - y0, x1 - x0)), *shape)
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
    style: dict[str, Any] = {"linewidth": 1.2, "clip_on": False, "zorder": OVER_SPINES}
    corner, size = (x0 - 0.5, y0 - 0.5), (x1 - x0, y1 - y0)
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, **style))
    axes.apply_aspect()  # a picture gets little larger when the whole figure is laid out
    height = axes.get_ylim()[0]
    room = LABEL_ROOM / 72 * cast(Figure, axes.figure).dpi * height / axes.bbox.height
    above, below = y0 > room, y1 < height - room
    edge = y1 if below and not above else y0
    rim = [withStroke(linewidth=1.5, foreground="black")]
    place: Any = {"xytext": (2, 2 if above else -2), "va": "bottom" if above else "top"}
    text: Any = {"color": colour, "fontsize": 9, "path_effects": rim} | place
    axes.annotate(label, (x0 - 0.5, edge - 0.5), textcoords="offset points", **text)


Outcome = Literal["found", "missed", "false alarm", "strong", "weak", "target"]

FRAME_COLOUR = {"found": TRUTH, "missed": MISSED, "false alarm": FALSE}
FRAME_COLOUR |= {"strong": STRONG, "weak": WEAK, "target": STRONG}


@dataclass(frozen=True)
class Spot:
    """A target to enlarge, with its outcome.

    Attributes:
        outcome: "found", "missed" or "false alarm"; without a true mask "strong" or "weak"; without
            a detection "target".
        box: rows and columns (y0, x0, y1, x1), half open [px].
        peak: largest probability in [0, 1], of strong and weak ones.
    """

    outcome: Outcome
    box: Box
    peak: float | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """Middle row and column of the box [px].

        Example:
            >>> Spot("found", (2, 5, 3, 9)).centre
            (2.0, 6.5)
        """
        y0, x0, y1, x1 = self.box
        return (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2

    def lies_in(self, box: Box) -> bool:
        """Whether another box holds it whole.

        Example:
            >>> Spot("found", (2, 5, 3, 9)).lies_in((0, 0, 4, 9))
            True
        """
        (y0, x0, y1, x1), (top, left, bottom, right) = self.box, box
        return top <= y0 and left <= x0 and y1 <= bottom and x1 <= right


def find_spots(detection: Detection | None, mask: NDArray[np.bool_] | None) -> list[Spot]:
    """Targets in order of interest.

    Missed targets come before found ones and false alarms. Without a true mask, strong targets come
    before weak ones, by descending peak.

    Example:
        >>> [spot.outcome for spot in find_spots(None, np.eye(3, dtype=bool))]
        ['target']
    """
    if detection is None:
        return [] if mask is None else _spots("target", find_components(mask).box)
    if mask is None:
        targets = sorted(detection.targets(), key=lambda each: (each.kind == "weak", -each.peak))
        return [Spot(target.kind, _drawn_box(target), target.peak) for target in targets]
    found, true = find_components(detection.mask), find_components(mask)
    match = match_targets(found.centroid, true.centroid, MATCH_DISTANCE)
    false = _spots("false alarm", np.delete(found.box, match[match >= 0], axis=0))
    return _spots("missed", true.box[match < 0]) + _spots("found", true.box[match >= 0]) + false


def _spots(outcome: Outcome, boxes: NDArray[np.int64]) -> list[Spot]:
    """Spots of one outcome."""
    return [Spot(outcome, tuple(box)) for box in boxes.tolist()]


def _drawn_box(target: Target) -> Box:
    """The box of a strong region, or of the one pixel that a weak target adds."""
    y, x = (int(middle) for middle in target.centroid)
    return target.box if target.kind == "strong" else (y, x, y + 1, x + 1)


def paint(
    axes: Axes,
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None,
    *,
    cross: float,
    box: Box | None = None,
    contrast: Contrast = MOST_LEVELS,
) -> None:
    """Draw an image, its strong regions, a cross for every weak target, and the true outlines.

    Strong regions are filled in the whole image. In a part of it they are outlined, in dashes where
    the truth is known, since both outlines may run along the same pixel edges.

    Args:
        axes: where to draw.
        image: (H, W) uint8 gray.
        detection: with numpy arrays (H, W), or None.
        mask: (H, W) bool, the truth, or None.
        cross: size of the crosses [pt].
        box: part to draw, rows and columns (y0, x0, y1, x1), half open; None draws all.
        contrast: percentiles of the gray levels that become black and white.

    Example:
        >>> axes = Figure().add_subplot()
        >>> paint(axes, np.zeros((4, 6), np.uint8), None, np.eye(4, 6, dtype=bool), cross=6)
        >>> len(axes.images), len(axes.collections)
        (1, 1)
    """
    draw_gray(axes, image, contrast)
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
        weak = weak[((weak >= (y0, x0)) & (weak < (y1, x1))).all(axis=1)]
        if len(weak):
            axes.plot(*weak.T[::-1], **CROSS, markersize=cross, clip_on=False, zorder=OVER_SPINES)


def draw_gray(axes: Axes, image: NDArray[np.uint8], contrast: Contrast = MOST_LEVELS) -> None:
    """Draw an image from black at one percentile of its gray levels to white at another.

    An image of a single level has no contrast to stretch and is drawn at that level.

    Example:
        >>> axes = Figure().add_subplot()
        >>> draw_gray(axes, np.full((4, 6), 255, np.uint8))
        >>> axes.images[0].get_clim()
        (0.0, 255.0)
    """
    low, high = (float(level) for level in np.percentile(image, contrast))
    if low == high:  # nearly all pixels have one level
        low, high = float(image.min()), float(image.max())
    low, high = (0, 255) if low == high else (low, high)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high)


RIM = [withStroke(linewidth=3, foreground="#404040")]
"""Dark rim of light marks, so that they are seen on any ground."""

CROSS: Any = {"color": WEAK, "marker": "x", "linestyle": "", "markeredgewidth": 1.8}
CROSS["path_effects"] = RIM


def add_legend(figure: Figure, *, found: bool, truth: bool, marks: Sequence[Artist] = ()) -> None:
    """Name below the pictures what is drawn: detections, the truth, and further marks.

    Example:
        >>> figure = Figure()
        >>> add_legend(figure, found=True, truth=True)
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['strong region', 'weak target', 'true outline']
    """
    handles: list[Artist] = []
    if found:
        fill = to_rgba(STRONG, 0.5)
        handles.append(Patch(facecolor=fill, edgecolor=STRONG, label="strong region"))
        handles.append(Line2D([], [], label="weak target", markersize=8, **CROSS))
    if truth:
        handles.append(Line2D([], [], color=TRUTH, linewidth=1.5, label="true outline"))
    handles += marks
    if handles:
        columns = min(len(handles), max(3, int(figure.get_figwidth() / 1.3)))
        place: Any = {"loc": "outside lower left", "ncols": columns}
        figure.legend(handles=handles, **place, frameon=False, fontsize=9)


INSETS = 6

LETTERS = 14
"""Of the title, per inch."""

Place = tuple[Box, list[Spot]]
"""What an inset shows, and the targets in it."""


@styled
def show(
    image: NDArray[np.uint8],
    detection: Detection | None,
    mask: NDArray[np.bool_] | None = None,
    *,
    contrast: Contrast = MOST_LEVELS,
    ax: Axes | None = None,
) -> Figure:
    """Draw a detection, or only the true mask, over an image, with insets that enlarge targets.

    Strong regions are filled in the image and outlined in the insets. Weak targets are crosses.
    True targets are outlined. Numbered frames refer to the insets. Targets without an inset are
    circled, unless a cross marks them. With a mask, colours distinguish found, missed and false
    targets.

    Args:
        image: (H, W) uint8 gray.
        detection: detection of one map (H, W); None draws only the true mask.
        mask: true mask (H, W), bool, if known.
        contrast: percentiles of the gray levels that become black and white; (0, 100) keeps all
            levels, so dark frames stay dark.
        ax: axes for the image alone, without insets and legend; None makes a figure.

    Returns:
        A figure with at most six insets: missed targets first and false ones last, or without a
        mask strong ones first, by descending peak. If not all targets are enlarged, the title
        states how many.

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
    given = [image, mask, None if detection is None else detection.mask]
    shapes = [each.shape for each in given if each is not None]
    if len(set(shapes)) > 1 or image.ndim != 2:
        raise InputError(f"image, detection and mask must share one shape (H, W), got {shapes}")
    spots = find_spots(detection, mask)
    places, others = _choose_places(spots, image.shape)
    title = [_headline(detection, mask)]
    if ax is not None:
        bare(ax)
        ax.set_title(title[0], fontsize=10)
        paint(ax, image, detection, mask, cross=6, contrast=contrast)
        return figure_of(ax)
    if others:
        first = "highest peaks first" if mask is None else "missed first"
        order = f", {first}" if detection is not None else ""
        title.append(f"{len(spots) - len(others)} of {len(spots)} enlarged{order}")
    figure, (main, *insets) = _layout(image.shape, len(places), title)
    paint(main, image, detection, mask, cross=6, contrast=contrast)
    for number, (axes, (box, held)) in enumerate(zip(insets, places, strict=True), start=1):
        colour = FRAME_COLOUR[held[0].outcome]
        frame(main, box, colour, str(number))
        paint(axes, image, detection, mask, cross=11, box=box, contrast=contrast)
        axes.set_title(f"{number}  {_describe(held)}", fontsize=8.5)
        axes.spines[:].set(visible=True, color=colour, linewidth=1.8)
    framed = dict.fromkeys(held[0].outcome for _, held in places)
    frames = [Patch(fill=False, edgecolor=FRAME_COLOUR[each], label=each) for each in framed]
    marks = [*frames, *_draw_rings(main, others)]
    add_legend(figure, found=detection is not None, truth=mask is not None, marks=marks)
    return figure


def _choose_places(spots: Sequence[Spot], shape: tuple[int, ...]) -> tuple[list[Place], list[Spot]]:
    """What the insets show, no target in two of them, and the targets that are in none."""
    places: list[Place] = []
    others = []
    for spot in spots:
        around = [held for box, held in places if spot.lies_in(box)]
        if around:
            around[0].append(spot)
        elif len(places) < INSETS:
            places.append((window(spot.box, shape), [spot]))
        else:
            others.append(spot)
    return places, others


def _describe(spots: Sequence[Spot]) -> str:
    """Targets of one inset, in few words.

    Example:
        >>> _describe([Spot("missed", (0, 0, 1, 1)), *[Spot("false alarm", (0, 4, 1, 5))] * 2])
        'missed, 2 false alarms'
        >>> _describe([Spot("strong", (0, 0, 1, 1), 0.9), Spot("weak", (0, 4, 1, 5), 0.314)])
        'strong 0.90, weak 0.31'
    """
    if spots[0].peak is not None:
        peaks = [f"{spot.outcome} {spot.peak:.2f}" for spot in spots]
        return ", ".join(peaks) if len(peaks) < 3 else f"{peaks[0]} and {len(peaks) - 1} more"
    numbers = Counter(spot.outcome for spot in spots)
    plural = {"false alarm": "s", "target": "s"}
    words = [name if n == 1 else f"{n} {name}{plural.get(name, '')}" for name, n in numbers.items()]
    return ", ".join(words)


def _draw_rings(axes: Axes, spots: Sequence[Spot]) -> list[Line2D]:
    """Ring targets; one mark of the legend for every kind of them."""
    style: dict[str, Any] = {"fillstyle": "none", "markersize": 9, "markeredgewidth": 0.8}
    style |= {"clip_on": False, "zorder": OVER_SPINES}
    rings = []
    for outcome in dict.fromkeys(spot.outcome for spot in spots if spot.outcome != "weak"):
        y, x = zip(*(spot.centre for spot in spots if spot.outcome == outcome), strict=True)
        colour, label = FRAME_COLOUR[outcome], f"{outcome}, not enlarged"
        rings += axes.plot(x, y, "o", color=colour, label=label, **style)
    return rings


def _layout(shape: tuple[int, ...], insets: int, title: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A figure with the title, no wider than the image, and places for the insets."""
    columns = -(-insets // 2)
    height = 4.4
    width = height * min(max(shape[1] / shape[0], 0.6), 1.8)
    lines = [part for line in title for part in wrap(line, int(LETTERS * width))]
    size = width + 2.0 * columns, height + 0.2 + 0.2 * max(len(lines), 1)
    figure = plt.figure(figsize=size)
    grid = figure.add_gridspec(2, columns + 1, width_ratios=[width, *[1.9] * columns])
    places = [grid[row, 1 + column] for column in range(columns) for row in range(2)]
    panels = [figure.add_subplot(place) for place in [grid[:, 0], *places[:insets]]]
    for axes in panels:
        bare(axes)
    panels[0].set_anchor("NW")  # elsewhere the title has no place of its own in the layout
    panels[0].set_title("\n".join(lines), fontsize=10)
    return figure, panels


def bare(axes: Axes) -> None:
    """Axes of a picture: no ticks, no spines."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _headline(detection: Detection | None, mask: NDArray[np.bool_] | None) -> str:
    """What was found at which thresholds, in words."""
    if detection is None:
        return "" if mask is None else counted(len(find_components(mask)), "true target")
    pair = {"th1": detection.th1, "th2": detection.th2}
    thresholds = ", ".join(f"{name} {th:g}" for name, th in pair.items() if th is not None)
    if mask is None:
        return f"{counted(len(detection.targets()), 'target')} ({thresholds})"
    counts = count(detection.mask, mask)
    iou = "–" if np.isnan(counts.iou) else f"{100 * counts.iou:.1f} %"
    found = f"{counts.detected} of {counts.targets} found"
    return f"{found}, {counts.false_pixels} false px, IoU {iou} ({thresholds})"
