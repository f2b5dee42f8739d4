"""Check definitions.md and draw its pictures: ``python docs/definitions.py``.

The hand-drawn maps come first; they are the only input of the page's examples and of its pictures,
which show what festkit computes from them.
"""

import doctest
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from festkit._support.files import write_utf8
from festkit.fusion import fuse
from festkit.losses import edge_map, pixel_bce
from festkit.metrics import MATCH_DISTANCE, match_targets
from festkit.ops.components import binarize, find_components
from festkit.ops.resize import resize_map
from festkit.ops.size_classes import POINT_AREA, SPOT_AREA
from festkit.plots import FALSE, MISSED, STRONG, TRUTH
from festkit.sensitivity import adjust_sensitivity

PAGE = Path(__file__).with_suffix(".md")
Array = np.ndarray[Any, Any]


def prob_map(text: str) -> Array:
    """(H, W) float32: a digit is a probability in tenths, a dot is 0."""
    tenths = [[int(letter.replace(".", "0")) for letter in row] for row in text.split()]
    return np.array(tenths, np.float32) / np.float32(10)


def masks(text: str) -> tuple[Array, Array]:
    """Truth and prediction (H, W): ``o`` true, ``x`` predicted, ``#`` both."""
    letters = np.array([list(row) for row in text.split()])
    return (letters == "o") | (letters == "#"), (letters == "x") | (letters == "#")


def images(text: str) -> list[tuple[Array, Array]]:
    """Truth and prediction of several images drawn side by side, with bars between them."""
    rows = [row.split("|") for row in text.split()]
    return [masks(" ".join(image)) for image in zip(*rows, strict=True)]


TARGETS = masks("""
................
.o.......ooo....
..o.....oooo....
..oo.....ooo....
................
..oooooooo......
..oooooooo......
..oooooooo......
..oooooooo...o..
..oooooooo......
..oooooooooo....
..oooooooo......
..oooooooo......
..oooooooo......
..oooooooo......
................
""")[0]

LEVELS = np.array([[0.1, 0.3, 127 / 255, 0.5, 128 / 255, 0.7, 0.9]], np.float32)

COARSE = prob_map("8. ..")
FINE = prob_map(".... .26. .42. ....")

SENSITIVITY = prob_map("""
..........
.333..22..
.383..242.
.333..22..
..........
....1.....
...151....
....1.....
..........
""")

CENTROIDS = prob_map("""
...............
.3......3.99...
.3......3.99...
.3......3......
.3......3......
.33333..33333..
...............
..33333..33333.
..3...3..3...3.
..3.4.3..3.9.3.
..3...3..3...3.
..33333..33333.
...............
""")

SCALE_A = prob_map("""
..........
.44...222.
.44.......
..........
.3........
.3........
.3........
.3........
.3........
.3333333..
..........
..........
""")
SCALE_B = prob_map("""
..........
.44.......
.44.......
..........
..........
..........
..........
..........
.....3333.
.....3333.
.....3333.
..........
""")

HOLES = prob_map("""
................
.9333333.333333.
.3333333.3....3.
.33...33.3....3.
.33...33.3..9.3.
.33...33.3....3.
.3333333.333333.
.3333333........
................
""")
PUBLISHED_ADDS = (4, 4)
"""Pixel that the published contour rule adds to HOLES, where festkit adds another."""

EDGE = masks("""
.......oo..
.......oo..
...........
...........
..ooo......
..ooo......
..ooo......
...........
...........
""")[0]

LOSS_TRUTH = masks("...o....")[0]
LOSS_PROB = prob_map("31263151")

THREE_IMAGES = images("""
......|......|......
.####.|......|......
.####.|..#o..|......
.####.|..x...|......
.oooo.|......|......
......|......|......
""")

MATCHING = masks("""
................
.o..x....o......
................
...........x....
................
..xxx......x....
.........o.x.o..
...#.......x....
................
............###.
..x##oo#....##o.
..x##oo#........
..x##oo#........
..........x.....
...........x....
""")

METHOD_A = images("""
.....|.....|.....|.....
.##..|.....|.....|..oo.
.##..|...#.|.###.|..oo.
.....|...#.|.....|.....
.....|.....|.....|.....
""")
METHOD_B = images("""
.....|.....|.....|.....
.##..|.....|.....|..oo.
.##..|...#.|.ooo.|..oo.
.....|...#.|.....|.....
.....|.....|.....|.....
""")

ORIGINAL = masks("""
............
............
............
............
..oo..xx....
..oo..xx....
............
............
............
............
""")
HALVED = (ORIGINAL[0][::2, ::2], ORIGINAL[1][::2, ::2])

BATCH = images("""
......|......
......|......
......|......
...#..|...o..
......|......
......|......
""")

GRAY = np.array(
    [
        [0, 0, 0, 0, 0],
        [0, 255, 255, 255, 0],
        [0, 255, 255, 255, 0],
        [0, 255, 255, 128, 0],
        [0, 0, 0, 0, 0],
    ],
    np.uint8,
)

EQUAL_AREAS = masks("""
.........
.###.....
.###.....
.###.xxx.
.....xxx.
.....xxx.
.........
""")


def published_edge(mask: Array) -> Array:
    """The edge map of the published code, written as what it does to festkit's."""
    edge = edge_map(torch.from_numpy(mask)).numpy()
    edge[0], edge[1], edge[-1] = True, False, False
    edge[:, [0, -1]] = False
    return edge


CELL = 0.25
"""Side of a drawn pixel [inch]."""

MARKS: dict[str, dict[str, Any]] = {
    "centroid": {"marker": "P", "color": "black"},
    "weak": {"marker": "X", "color": "black"},
    "matched": {"marker": "o", "color": TRUTH},
    "missed": {"marker": "^", "color": MISSED},
    "false": {"marker": "D", "color": FALSE},
    "published": {"marker": "s", "color": "white"},
}
FILLS: dict[str, dict[str, Any]] = {
    "true": {"facecolor": "#CDE9F8", "edgecolor": "#2F7CA8"},
    "predicted": {"facecolor": "none", "edgecolor": "#7A4E00", "hatch": "////"},
    "strong": {"facecolor": STRONG, "edgecolor": "black"},
    "weak": {"facecolor": "#FBF3C0", "edgecolor": "#8C8C8C"},
    "point": {"facecolor": "#FFFFFF", "edgecolor": "black"},
    "spot": {"facecolor": "#F6D58E", "edgecolor": "black", "hatch": ".."},
    "extended": {"facecolor": "#A9CFE4", "edgecolor": "#4A6C7E", "hatch": "\\\\"},
    "edge": {"facecolor": "none", "edgecolor": "#7A4E00", "hatch": "xxx"},
    "kept": {"facecolor": STRONG, "edgecolor": "black"},
}
LABEL: dict[str, Any] = {
    "boxstyle": "round,pad=0.12",
    "facecolor": "white",
    "edgecolor": "none",
    "alpha": 0.85,
}
Names = dict[str, str]


def sheet(shapes: Sequence[Sequence[int]], titles: Sequence[str], rows: int = 1) -> Any:
    """A figure with one empty pixel grid per shape, left to right, in so many rows."""
    per_row = len(shapes) // rows
    widths = [shape[1] for shape in shapes[:per_row]]
    height = sum(shapes[row * per_row][0] for row in range(rows))
    size = ((sum(widths) + 1.6 * per_row) * CELL, (height + 2.6 * rows) * CELL + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, per_row, squeeze=False, width_ratios=widths).ravel()
    for panel, shape, title in zip(axes, shapes, titles, strict=True):
        _rule(panel, shape)
        panel.set_title(title, fontsize=9, loc="left", pad=14)
    return figure, *axes


def _rule(axes: Axes, shape: Sequence[int]) -> None:
    height, width = shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", anchor="NW")
    axes.set(xticks=range(width), yticks=range(height))
    axes.tick_params(length=0, labelsize=6.5, labelcolor="#666666", pad=1)
    axes.tick_params(labeltop=True, labelbottom=False)
    lines: dict[str, Any] = {"colors": "#D0D0D0", "linewidths": 0.5, "zorder": 0}
    axes.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, clip_on=False, **lines)
    axes.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, clip_on=False, **lines)
    axes.spines[:].set_visible(False)


def fill(axes: Axes, mask: Array, name: str) -> None:
    """Fill the pixels of a mask."""
    for y, x in np.argwhere(mask).tolist():
        pixel = Rectangle((x - 0.5, y - 0.5), 1, 1, linewidth=0.6, clip_on=False, **FILLS[name])
        axes.add_patch(pixel)


def write(axes: Axes, texts: Iterable[tuple[int, int, str]], **style: Any) -> None:
    """Write into pixels, given as row, column and text."""
    middle: dict[str, Any] = {"fontsize": 7, "ha": "center", "va": "center_baseline"}
    for y, x, text in texts:
        axes.text(x, y, text, **middle | style)


def values(prob: Array) -> list[tuple[int, int, str]]:
    """What to write for a probability map: its values without the leading 0, none for 0."""
    return [(y, x, f"{prob[y, x]:.3g}".lstrip("0")) for y, x in np.argwhere(prob > 0).tolist()]


def mark(axes: Axes, points: Iterable[Sequence[float]], name: str, size: float = 48) -> None:
    """Mark places, given as row and column."""
    for y, x in points:
        axes.scatter(x, y, size, edgecolors="black", linewidths=0.9, zorder=5, **MARKS[name])


def legend(figure: Figure, fills: Names | None = None, marks: Names | None = None) -> None:
    """Explain fills and marks, given with their texts, under the panels."""
    handles: list[Any] = [Patch(**FILLS[name], label=text) for name, text in (fills or {}).items()]
    for name, text in (marks or {}).items():
        shape: dict[str, Any] = {"markeredgecolor": "black", "markersize": 7, "linestyle": ""}
        handles.append(Line2D([], [], **MARKS[name], **shape, label=text))
    style: dict[str, Any] = {
        "fontsize": 8,
        "frameon": False,
        "handlelength": 1.2,
        "handleheight": 1.1,
    }
    columns = max(1, int(figure.get_figwidth() / 1.75))
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, **style)


def strips(rows: Sequence[tuple[str, Sequence[str], Sequence[bool]]]) -> Figure:
    """Rows of texts over a row of pixels, with a name before each; chosen ones are filled."""
    count = len(rows[0][1])
    size = (0.62 * count + 1.7, 0.3 * len(rows) + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    _rule(axes, (len(rows), count))
    axes.set(aspect="auto")
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=8, color="black")
    for y, (_, texts, chosen) in enumerate(rows):
        row = np.zeros((len(rows), count), bool)
        row[y] = chosen
        fill(axes, row, "kept")
        write(axes, [(y, x, text) for x, text in enumerate(texts)], fontsize=8)
    return figure


def draw_targets() -> Figure:
    """Components numbered in raster order, by size class, with centroids."""
    figure, axes = sheet([TARGETS.shape], ["numbered in raster order of the first pixel"])
    found = find_components(TARGETS)
    for number, area in enumerate(found.area.tolist()):
        size = "point" if area <= POINT_AREA else "spot" if area <= SPOT_AREA else "extended"
        pixels = np.zeros(TARGETS.size, bool)
        pixels[found.pixels[found.label == number]] = True
        fill(axes, pixels.reshape(TARGETS.shape), size)
        y, x = divmod(int(found.first[number]), TARGETS.shape[1])
        write(axes, [(y, x, str(number))], fontsize=9, fontweight="bold", bbox=LABEL)
    mark(axes, found.centroid[found.area > 1], "centroid")
    names = {"point": "point: up to 9 px", "spot": "spot: 10 to 81 px", "extended": "extended"}
    legend(figure, names, {"centroid": "centroid"})
    return figure


def draw_thresholds() -> Figure:
    """What exceeds a threshold, strictly."""
    names = ["0.1", "0.3", "127/255", "0.5", "128/255", "0.7", "0.9"]
    rows = [("p", names, [False] * len(names))]
    for threshold in (0.1, 0.5, 0.7):
        over = binarize(LEVELS, threshold)[0].tolist()
        rows.append((f"p > {threshold}", ["yes" if yes else "no" for yes in over], over))
    return strips(rows)


def draw_fusion() -> Figure:
    """A coarse map resized, a fine one, and their mean."""
    maps = [COARSE, resize_map(COARSE, 4), FINE, fuse([COARSE, FINE], 4)]
    titles = ["A", "A resized", "B", "fused"]
    figure, *axes = sheet([m.shape for m in maps], titles)
    for panel, prob in zip(axes, maps, strict=True):
        paint(panel, prob, th1=1, th2=0)
    return figure


def paint(axes: Axes, prob: Array, th1: float = 0.5, th2: float = 0.1) -> None:
    """A probability map with its values, filled where it exceeds a threshold."""
    fill(axes, binarize(prob, th2), "weak")
    fill(axes, binarize(prob, th1), "strong")
    write(axes, values(prob))


def paint_result(axes: Axes, detection: Any) -> None:
    """Strong pixels and weak centroids."""
    fill(axes, detection.strong, "strong")
    mark(axes, detection.weak, "weak")


RESULT = ({"weak": "above th2", "strong": "above th1: strong"}, {"weak": "weak, one pixel each"})


def draw_sensitivity() -> Figure:
    """A map, its strong and weak targets, and what hysteresis would make of it."""
    titles = ["probability p", "festkit: th1 0.5, th2 0.1", "hysteresis (not used)"]
    figure, prob, result, other = sheet([SENSITIVITY.shape] * 3, titles)
    paint(prob, SENSITIVITY)
    paint_result(result, adjust_sensitivity(SENSITIVITY))
    found = find_components(SENSITIVITY, 0.1)
    touching = found.overlaps(binarize(SENSITIVITY, 0.5))
    kept = np.zeros(SENSITIVITY.size, bool)
    kept[found.pixels[touching[found.label]]] = True
    fill(other, kept.reshape(SENSITIVITY.shape), "strong")
    legend(figure, *RESULT)
    return figure


def draw_centroids() -> Figure:
    """Centroids outside their component, beside a strong target, and shared."""
    titles = ["probability p", "festkit: th1 0.5, th2 0.1"]
    figure, prob, result = sheet([CENTROIDS.shape] * 2, titles)
    paint(prob, CENTROIDS)
    paint_result(result, adjust_sensitivity(CENTROIDS))
    legend(figure, *RESULT)
    return figure


def draw_scales() -> Figure:
    """Two scales, their mean, and the three results they can give."""
    a, b = SCALE_A, SCALE_B
    fused = fuse([a, b], a.shape)
    results = {
        "per-scale rule, A then B": adjust_sensitivity(fused, scale_maps=[a, b]),
        "per-scale rule, B then A": adjust_sensitivity(fused, scale_maps=[b, a]),
        "fused rule": adjust_sensitivity(fused),
    }
    titles = ["scale A", "scale B", "fused map", *results]
    figure, *axes = sheet([a.shape] * 6, titles, rows=2)
    for panel, prob in zip(axes, [a, b, fused], strict=False):
        paint(panel, prob)
    for panel, detection in zip(axes[3:], results.values(), strict=True):
        paint_result(panel, detection)
    legend(figure, {"weak": "above th2"}, RESULT[1])
    return figure


def draw_contours() -> Figure:
    """Where the published contour rule departs from components."""
    figure, axes = sheet([HOLES.shape], ["th1 0.5, th2 0.1"])
    paint(axes, HOLES)
    mark(axes, adjust_sensitivity(HOLES).weak, "weak")
    mark(axes, [PUBLISHED_ADDS], "published")
    legend(figure, None, {"weak": "festkit adds", "published": "published code adds"})
    return figure


def draw_edge() -> Figure:
    """Edge maps of festkit and of the published code."""
    figure, *axes = sheet([EDGE.shape] * 2, ["festkit", "published code"])
    edges = [edge_map(torch.from_numpy(EDGE)).numpy(), published_edge(EDGE)]
    for panel, edge in zip(axes, edges, strict=True):
        fill(panel, EDGE, "true")
        fill(panel, edge, "edge")
    legend(figure, {"true": "true", "edge": "edge"})
    return figure


def draw_eedm() -> Figure:
    """The loss of a row of pixels, step by step."""
    truth, prob = torch.from_numpy(LOSS_TRUTH), torch.from_numpy(LOSS_PROB)
    loss = pixel_bce(prob.logit()[None, None], truth[None, None])[0, 0, 0].numpy()
    edge = edge_map(truth)[0].numpy()
    weighted = np.where(edge, 4, 1) * loss
    none = [False] * len(loss)
    rows = [
        ("true y", ["1" if true else "0" for true in LOSS_TRUTH[0]], none),
        ("probability p", [f"{value:.1f}" for value in LOSS_PROB[0]], none),
        ("cross-entropy", [f"{value:.5f}" for value in loss], _hardest(loss)),
        ("edge weight", ["4" if yes else "1" for yes in edge], none),
        ("weighted", [f"{value:.5f}" for value in weighted], _hardest(weighted)),
    ]
    return strips(rows)


def _hardest(loss: Array) -> list[bool]:
    """The hardest half, ties kept."""
    return list(loss >= np.sort(loss)[len(loss) // 2])


def overlay(axes: Axes, truth: Array, pred: Array) -> None:
    """Truth and prediction over each other, every target marked with what became of it."""
    fill(axes, truth, "true")
    fill(axes, pred, "predicted")
    true, found = find_components(truth), find_components(pred)
    match = match_targets(found.centroid, true.centroid, MATCH_DISTANCE)
    for (y, x), other in zip(true.centroid, match, strict=True):
        if other >= 0:
            end_y, end_x = found.centroid[other]
            axes.plot([x, end_x], [y, end_y], color="black", linewidth=1.8, zorder=4)
    mark(axes, true.centroid[match >= 0], "matched", size=95)
    mark(axes, true.centroid[match < 0], "missed")
    mark(axes, found.centroid[np.setdiff1d(np.arange(len(found)), match)], "false", size=36)


PAIR = {"true": "true", "predicted": "predicted"}
FOUND = {"matched": "detected", "missed": "missed"}


def draw_iou() -> Figure:
    """Three images, their own IoU and what they add to the sums."""
    titles = ["IoU 12/16", "IoU 1/3", "IoU 0/0"]
    figure, *axes = sheet([truth.shape for truth, _ in THREE_IMAGES], titles)
    for panel, (truth, pred) in zip(axes, THREE_IMAGES, strict=True):
        fill(panel, truth, "true")
        fill(panel, pred, "predicted")
    legend(figure, PAIR)
    return figure


def draw_matching() -> Figure:
    """Seven true and nine predicted targets, and who takes whom."""
    truth, pred = MATCHING
    figure, axes = sheet([truth.shape], [""])
    overlay(axes, truth, pred)
    for letter, mask, shift in (("T", truth, (-0.55, -0.62)), ("P", pred, (0.6, 0.62))):
        for number, (y, x) in enumerate(find_components(mask).centroid.tolist()):
            place = (y + shift[0], x + shift[1], f"{letter}{number}")
            write(axes, [place], fontsize=7.5, fontweight="bold", bbox=LABEL, zorder=7)
    legend(figure, PAIR, FOUND | {"false": "false alarm"})
    return figure


def draw_intervals() -> Figure:
    """Two methods on four images, one row each."""
    pairs = [*METHOD_A, *METHOD_B]
    titles = [f"{method}, image {number}" for method in "AB" for number in range(4)]
    figure, *axes = sheet([truth.shape for truth, _ in pairs], titles, rows=2)
    for panel, (truth, pred) in zip(axes, pairs, strict=True):
        overlay(panel, truth, pred)
    legend(figure, PAIR, FOUND)
    return figure


def draw_original_size() -> Figure:
    """One prediction measured at two sizes."""
    pairs = [ORIGINAL, HALVED]
    titles = ["image size: 4 px apart", "half size: 2 px apart"]
    figure, *axes = sheet([truth.shape for truth, _ in pairs], titles)
    for panel, (truth, pred) in zip(axes, pairs, strict=True):
        overlay(panel, truth, pred)
    legend(figure, PAIR, FOUND | {"false": "false alarm"})
    return figure


def draw_published() -> Figure:
    """Maps on which published scripts count something else."""
    shapes = [BATCH[0][0].shape, BATCH[1][0].shape, GRAY.shape, EQUAL_AREAS[0].shape]
    titles = ["batch, image 0", "batch, image 1", "gray truth", "equal areas"]
    figure, first, second, gray, areas = sheet(shapes, titles)
    for panel, (truth, pred) in zip((first, second), BATCH, strict=True):
        overlay(panel, truth, pred)
    fill(gray, GRAY > 0, "true")
    write(gray, [(y, x, str(GRAY[y, x])) for y, x in np.argwhere(GRAY).tolist()])
    overlay(areas, *EQUAL_AREAS)
    legend(figure, PAIR, FOUND | {"false": "false alarm"})
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "targets": draw_targets,
    "thresholds": draw_thresholds,
    "fusion": draw_fusion,
    "sensitivity": draw_sensitivity,
    "centroids": draw_centroids,
    "scales": draw_scales,
    "contours": draw_contours,
    "edge": draw_edge,
    "eedm": draw_eedm,
    "iou": draw_iou,
    "matching": draw_matching,
    "intervals": draw_intervals,
    "original_size": draw_original_size,
    "published": draw_published,
}


def check_page() -> doctest.TestResults:
    """Run the examples of definitions.md; what differs is printed."""
    text = re.sub("^```.*$", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    page = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    return doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(page)


def draw_pictures(out: Path) -> None:
    """Write every picture into a folder."""
    for name, draw in PICTURES.items():
        draw().savefig(drawn := BytesIO(), dpi=150, bbox_inches="tight", pad_inches=0.06)
        picture = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        picture.save(out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    write_utf8()
    result = check_page()
    print(f"{result.attempted - result.failed} of {result.attempted} examples are true")
    draw_pictures(PAGE.with_suffix(""))
    sys.exit(result.failed > 0)
