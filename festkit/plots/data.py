"""What a dataset holds: how its targets are distributed, and samples with a target enlarged."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from .._support.errors import InputError
from ..data.dataset import Sample
from ..data.statistics import TargetStatistics, measure_sample
from ..metrics import SIZE_CLASSES
from ..ops.components import find_components
from ..ops.size_classes import POINT_AREA, SPOT_AREA
from .overlays import box_of, draw_gray, frame, outline, window
from .style import LINES, STRONG, TRUTH

MARKERS = "ox^"

NAME_LENGTH = 24

BARS_PER_DECADE = 10

SIZES_NAMED = 3

SCR_TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100, 300)


def plot_targets(figures: TargetStatistics) -> Figure:
    """Histograms of area, SCR, contrast and targets per image; SCR over area; image sizes.

    Dashed lines part point, spot and extended targets. The histograms of SCR and contrast end at
    the 0.5 and 99.5 % quantiles, what lies beyond counts in the outermost bars; SCR over area shows
    every target that has a ring.

    Args:
        figures: as :func:`measure_targets` returns them.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if no target has an SCR.

    Example:
        >>> from festkit.data.statistics import IMAGE_COLUMNS, TARGET_COLUMNS
        >>> images = pd.DataFrame([["test", "a", 64, 64, 1]], columns=IMAGE_COLUMNS)
        >>> row = ["test", "a", 9.0, 9.0, 4, "point", 30.0, 5.0]
        >>> targets = pd.DataFrame([row], columns=TARGET_COLUMNS)
        >>> figure = plot_targets(TargetStatistics("sky", images, targets))
        >>> figure.get_suptitle()
        'sky: 1 target in 1 image (test 1)'
    """
    if figures.targets["scr"].dropna().empty:
        raise InputError(
            f"{figures.name}: {len(figures.targets)} targets in {len(figures.images)} images, none "
            "with an SCR, expected at least one; check_dataset tells which masks are empty"
        )
    figure, panels = plt.subplots(2, 3, figsize=(13, 7.4), layout="constrained")
    area, scr, contrast, several, scatter, sizes = panels.flat
    _draw_areas(area, figures)
    _draw_histogram(scr, figures, "scr", "SCR")
    _draw_histogram(contrast, figures, "contrast", "contrast [gray levels of 255]")
    _draw_targets_per_image(several, figures)
    _draw_scr_over_area(scatter, figures)
    _draw_sizes(sizes, figures)
    for axes in panels.flat:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_headline(figures), fontsize=11)
    plt.close(figure)
    return figure


def plot_samples(samples: Sequence[Sample], *, title: str = "", columns: int = 3) -> Figure:
    """A contact sheet: every image with its targets framed, beside it the weakest one enlarged.

    The weakest target is the one with the lowest SCR, its frame is orange. Its gray levels are
    stretched and its mask is outlined.

    Args:
        samples: a few samples of a dataset.
        title: above the sheet.
        columns: samples in a row.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if there are no samples.

    Example:
        >>> image = np.zeros((40, 60), np.uint8); image[20, 30:33] = 99
        >>> figure = plot_samples([Sample(image, image > 0, "a")], columns=1)
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['a', '3 px, SCR 198.0']
    """
    if not samples:
        raise InputError("no samples to draw, expected at least one")
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    figure, panels = plt.subplots(
        rows, 2 * columns, figsize=(4.6 * columns, 2.45 * rows + 0.4), layout="constrained",
        squeeze=False, width_ratios=[1.3, 1] * columns,
    )  # fmt: skip
    for axes in panels.flat:
        axes.set_axis_off()
        axes.set_anchor("N")
    for sample, (whole, crop) in zip(samples, panels.reshape(-1, 2), strict=False):
        _draw_sample(whole, crop, sample)
    figure.suptitle(title, fontsize=11)
    plt.close(figure)
    return figure


def _headline(figures: TargetStatistics) -> str:
    counts = figures.images["split"].value_counts()
    splits = ", ".join(f"{split} {counts[split]}" for split in figures.splits)
    targets, images = len(figures.targets), len(figures.images)
    return (
        f"{figures.name}: {targets} target{'s' * (targets != 1)} in {images} "
        f"image{'s' * (images != 1)} ({splits})"
    )


def _bars(
    axes: Axes,
    table: pd.DataFrame,
    column: str,
    splits: Sequence[str],
    bins: NDArray[np.float64],
    *,
    stacked: bool = True,
) -> None:
    """A histogram of a column, the bars of the splits upon or beside each other."""
    parts = [table.loc[table["split"] == split, column].dropna() for split in splits]
    values = [np.clip(part.astype(float), bins[0], bins[-1]) for part in parts]
    labels = [f"{split}, {len(part)}" for split, part in zip(splits, parts, strict=True)]
    axes.hist(values, bins=list(bins), stacked=stacked, color=LINES[: len(splits)], label=labels)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_areas(axes: Axes, figures: TargetStatistics) -> None:
    largest = max(figures.targets["area"].max(), SPOT_AREA + 1)
    borders = (1, POINT_AREA + 1, SPOT_AREA + 1, largest + 1)
    parts = [
        np.geomspace(low, high, 2 + round(BARS_PER_DECADE * np.log10(high / low)))
        for low, high in pairwise(borders)
    ]
    bins = np.unique(np.concatenate(parts).round()) - 0.5
    _bars(axes, figures.targets, "area", figures.splits, bins)
    _log_areas(axes, figures.targets["area"])
    axes.set_ylabel("targets")
    axes.legend(fontsize=8, title="targets", title_fontsize=8)
    share = figures.targets["kind"].value_counts(normalize=True)
    axes.set_title(
        ", ".join(f"{kind} {100 * share.get(kind, 0):.1f} %" for kind in SIZE_CLASSES), size=9
    )


def _log_areas(axes: Axes, areas: pd.Series) -> None:
    """A logarithmic axis of areas, with lines between point, spot and extended targets."""
    axes.set(xscale="log", xlabel="target area [px]")
    axes.set_xlim(0.8 * min(areas.min(), POINT_AREA), 1.2 * max(areas.max(), SPOT_AREA + 1))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    for border in (POINT_AREA, SPOT_AREA):
        axes.axvline(border + 0.5, color="black", linestyle="--", linewidth=1)


def _draw_histogram(axes: Axes, figures: TargetStatistics, column: str, label: str) -> None:
    values = figures.targets[column].dropna().astype(float)
    low, high = values.quantile([0.005, 0.995])
    bins = np.linspace(min(low, 0), max(high, 1), 33)
    _bars(axes, figures.targets, column, figures.splits, bins)
    axes.set(xlabel=label, ylabel="targets")
    least, median, most = values.quantile([0.05, 0.5, 0.95])
    axes.set_title(f"5 % {least:.1f}, median {median:.1f}, 95 % {most:.1f}", size=9)


def _draw_targets_per_image(axes: Axes, figures: TargetStatistics) -> None:
    found = figures.images["targets"].astype(int)
    bins = np.arange(found.max() + 2) - 0.5
    _bars(axes, figures.images, "targets", figures.splits, bins, stacked=False)
    axes.set(xlabel="targets in the image", ylabel="images", yscale="log", ylim=(0.7, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=8, title="images", title_fontsize=8)
    none, one, several = (found == 0).sum(), (found == 1).sum(), (found > 1).sum()
    axes.set_title(f"none {none}, one {one}, several {several}", size=9)


def _draw_scr_over_area(axes: Axes, figures: TargetStatistics) -> None:
    for number, split in enumerate(figures.splits):
        part = figures.of_split(split).targets
        axes.plot(
            part["area"], part["scr"], MARKERS[number], color=LINES[number], markersize=3,
            alpha=0.5, label=split,
        )  # fmt: skip
    _log_areas(axes, figures.targets["area"])
    scr = figures.targets["scr"].dropna()
    axes.set_yscale("symlog", linthresh=1)
    axes.set(ylabel="SCR", yticks=SCR_TICKS)
    axes.set_ylim(scr.min() - abs(scr.min()) / 3 - 0.1, scr.max() + abs(scr.max()) / 2 + 0.1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(fontsize=8)


def _draw_sizes(axes: Axes, figures: TargetStatistics) -> None:
    """One disc for every size of image, its area the number of images."""
    counts = figures.images.groupby(["width", "height"]).size().sort_values(ascending=False)
    widths, heights = (counts.index.get_level_values(side) for side in ("width", "height"))
    discs = 8 + 400 * counts / counts.sum()
    axes.scatter(widths, heights, s=discs, color=LINES[0], alpha=0.5)
    reach = 1.15 * max(widths.max(), heights.max())
    axes.set(xlabel="image width [px]", ylabel="image height [px]", xlim=(0, reach))
    axes.set(ylim=(0, reach), aspect="equal")
    text = [f"{w} × {h}: {n}" for (w, h), n in counts.head(SIZES_NAMED).items()]
    others = len(counts) - len(text)
    more = f"\nand {others} other sizes" if others else ""
    axes.text(0.03, 0.97, "\n".join(text) + more, va="top", size=8, transform=axes.transAxes)
    axes.set_title("images of each size; the larger a disc, the more", size=9)


def _draw_sample(whole: Axes, crop: Axes, sample: Sample) -> None:
    image, targets = sample.image, measure_sample(sample)
    draw_gray(whole, image)
    whole.set_title(_shortened(sample.name), fontsize=8, loc="left")
    if not targets:
        crop.set_title("no target", fontsize=8, loc="left")
        return
    boxes = [window(box_of(row), image.shape) for row in find_components(sample.mask).box]
    weakest = int(np.argmin([np.nan_to_num(target["scr"], nan=np.inf) for target in targets]))
    for number, box in enumerate(boxes):
        frame(whole, box, STRONG if number == weakest else TRUTH)
    y0, x0, y1, x1 = boxes[weakest]
    draw_gray(crop, image[y0:y1, x0:x1])
    outline(crop, sample.mask[y0:y1, x0:x1])
    target = targets[weakest]
    more = f", weakest of {len(targets)}" if len(targets) > 1 else ""
    scr = "no ring" if np.isnan(target["scr"]) else f"SCR {target['scr']:.1f}"
    crop.set_title(f"{target['area']} px, {scr}{more}", fontsize=8, loc="left")


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
