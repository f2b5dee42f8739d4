"""Plots of a dataset: distribution of its targets, and samples with a target enlarged."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from .._support.errors import InputError
from .._support.names import counted
from ..data.dataset import Sample
from ..data.statistics import TargetStatistics, measure_sample
from ..metrics import SIZE_CLASSES
from ..ops.components import find_components
from ..ops.size_classes import POINT_AREA, SPOT_AREA
from .overlays import EVERY_LEVEL, draw_gray, frame, outline, window
from .style import PALETTE, STRONG, TRUTH, styled

NAME_LENGTH = 24

BARS_PER_DECADE = 10

SIZES_NAMED = 3

SCR_TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100, 300)


@styled
def plot_targets(statistics: TargetStatistics) -> Figure:
    """Histograms of area, SCR, contrast and targets per image; SCR over area; image sizes.

    Bars are shares of each split, so that splits of different size can be compared. Dashed lines
    separate point, spot and extended targets. The histograms of SCR and contrast end at the 0.5
    and 99.5 % quantiles; values beyond count in the outermost bars.

    Args:
        statistics: the result of :func:`measure_targets`.

    Returns:
        A figure with six panels.

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
    images, targets = statistics.images, statistics.targets
    if targets["scr"].dropna().empty:
        raise InputError(
            f"{statistics.name}: {len(targets)} targets in {len(images)} images, none with an SCR. "
            "At least one is needed; check_dataset lists the empty masks"
        )
    figure, panels = plt.subplots(2, 3, figsize=(11, 6))
    area, scr, contrast, several, scatter, sizes = panels.flat
    hues = dict(zip(statistics.splits, PALETTE, strict=False))
    _draw_areas(area, targets, hues)
    _draw_histogram(scr, targets, hues, "scr", "SCR")
    _draw_histogram(contrast, targets, hues, "contrast", "contrast [gray levels of 255]")
    _draw_targets_per_image(several, images, hues)
    _draw_scr_over_area(scatter, targets, hues)
    _draw_sizes(sizes, images)
    figure.suptitle(_headline(statistics))
    return figure


@styled
def plot_samples(samples: Sequence[Sample], *, title: str = "", columns: int = 3) -> Figure:
    """A contact sheet: every image with framed targets, and its weakest target enlarged.

    The weakest target is the one with the lowest SCR, its frame is orange. Its gray levels are
    stretched and its mask is outlined.

    Args:
        samples: a few samples of a dataset.
        title: title of the sheet.
        columns: number of samples per row.

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
    shape: Any = {"figsize": (4.6 * columns, 2.45 * rows + 0.4), "width_ratios": [1.3, 1] * columns}
    figure, panels = plt.subplots(rows, 2 * columns, squeeze=False, **shape)
    for axes in panels.flat:
        axes.set_axis_off()
        axes.set_anchor("N")
    for sample, (whole, crop) in zip(samples, panels.reshape(-1, 2), strict=False):
        _draw_sample(whole, crop, sample)
    figure.suptitle(title)
    return figure


def _headline(statistics: TargetStatistics) -> str:
    """What was counted, in words."""
    counts = statistics.images["split"].value_counts()
    splits = ", ".join(f"{split} {counts[split]}" for split in statistics.splits)
    targets, images = len(statistics.targets), len(statistics.images)
    number = f"{counted(targets, 'target')} in {counted(images, 'image')}"
    return f"{statistics.name}: {number} ({splits})"


def _histogram(
    axes: Axes, table: pd.DataFrame, column: str, hues: dict[str, str], **options: Any
) -> None:
    """Shares of each split in bins of a column."""
    table = table.astype({column: float}).dropna(subset=column)
    shares: Any = {"stat": "percent", "common_norm": False, "hue_order": list(hues)}
    sns.histplot(table, x=column, hue="split", palette=hues, ax=axes, **shares, **options)


def _draw_areas(axes: Axes, targets: pd.DataFrame, hues: dict[str, str]) -> None:
    """Shares of target areas; the borders of the size classes are edges of bars."""
    largest = max(targets["area"].max(), SPOT_AREA + 1)
    borders = (1, POINT_AREA + 1, SPOT_AREA + 1, largest + 1)
    numbers = [2 + round(BARS_PER_DECADE * np.log10(b / a)) for a, b in pairwise(borders)]
    parts = map(np.geomspace, borders, borders[1:], numbers)
    bins = np.unique(np.concatenate(list(parts)).round()) - 0.5
    _histogram(axes, targets, "area", hues, bins=bins, element="step")
    _log_areas(axes, targets["area"])
    share = targets["kind"].value_counts(normalize=True)
    text = ", ".join(f"{kind} {100 * share.get(kind, 0):.1f} %" for kind in SIZE_CLASSES)
    axes.set(ylabel="targets of the split [%]", title=text)


def _log_areas(axes: Axes, areas: pd.Series) -> None:
    """A logarithmic axis of areas, with lines between point, spot and extended targets."""
    if legend := axes.get_legend():
        legend.set_title("")
    axes.set(xscale="log", xlabel="target area [px]")
    axes.set_xlim(0.8 * min(areas.min(), POINT_AREA), 1.2 * max(areas.max(), SPOT_AREA + 1))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    for border in (POINT_AREA, SPOT_AREA):
        axes.axvline(border + 0.5, color="black", linestyle="--", linewidth=1)


def _draw_histogram(
    axes: Axes, targets: pd.DataFrame, hues: dict[str, str], column: str, label: str
) -> None:
    """Shares of SCR or contrast; values beyond the quantiles count in the outermost bars."""
    values = targets[column].dropna().astype(float)
    low, high = values.quantile([0.005, 0.995])
    bins = np.linspace(min(low, 0), max(high, 1), 33)
    clipped = targets.assign(**{column: targets[column].astype(float).clip(bins[0], bins[-1])})
    _histogram(axes, clipped, column, hues, bins=bins, element="step", legend=False)
    least, median, most = values.quantile([0.05, 0.5, 0.95])
    axes.set(xlabel=label, ylabel="targets of the split [%]")
    axes.set_title(f"median {median:.1f}, 90 % within {least:.1f} to {most:.1f}")


def _draw_targets_per_image(axes: Axes, images: pd.DataFrame, hues: dict[str, str]) -> None:
    """Shares of images by their number of targets."""
    bars: Any = {"discrete": True, "multiple": "dodge", "shrink": 0.8, "legend": False}
    _histogram(axes, images, "targets", hues, **bars)
    axes.set(xlabel="targets per image", ylabel="images of the split [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    found = images["targets"].astype(int)
    none, one, several = (found == 0).sum(), (found == 1).sum(), (found > 1).sum()
    axes.set_title(f"{none} empty, {one} with one, {several} with more")


def _draw_scr_over_area(axes: Axes, targets: pd.DataFrame, hues: dict[str, str]) -> None:
    """A point for every target."""
    known = targets.astype({"scr": float, "area": float}).dropna(subset="scr")
    by_split: Any = {"hue": "split", "style": "split", "hue_order": list(hues)}
    by_split |= {"style_order": list(hues), "palette": hues}
    sns.scatterplot(known, x="area", y="scr", s=14, alpha=0.6, linewidth=0, ax=axes, **by_split)
    _log_areas(axes, targets["area"])
    low, high = known["scr"].min(), known["scr"].max()
    axes.set_yscale("symlog", linthresh=1)
    axes.set(ylabel="SCR", yticks=SCR_TICKS, title="SCR over area")
    axes.set_ylim(low - abs(low) / 3 - 0.1, high + abs(high) / 2 + 0.1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_sizes(axes: Axes, images: pd.DataFrame) -> None:
    """One disc for every image size; its area is the number of images."""
    counts = images.value_counts(["width", "height"])
    sizes = counts.rename("images").reset_index()
    area = 8 + 400 * sizes["images"] / len(images)
    axes.scatter("width", "height", area, PALETTE[0], data=sizes, alpha=0.5, linewidth=0)
    reach = 1.15 * sizes[["width", "height"]].max(axis=None)
    axes.set(xlabel="image width [px]", ylabel="image height [px]", title="image sizes")
    axes.set(xlim=(0, reach), ylim=(0, reach), aspect="equal")
    named = counts.head(SIZES_NAMED).items()
    text = [f"{w} × {h}: {counted(n, 'image')}" for (w, h), n in named]
    others = len(counts) - len(text)
    more = f"\nand {others} other sizes" if others else ""
    axes.text(0.03, 0.97, "\n".join(text) + more, va="top", size=8, transform=axes.transAxes)


def _draw_sample(whole: Axes, crop: Axes, sample: Sample) -> None:
    """An image with its targets framed, and its weakest target enlarged."""
    image, targets = sample.image, measure_sample(sample)
    draw_gray(whole, image)
    whole.set_title(_shortened(sample.name), fontsize=8, loc="left")
    if not targets:
        crop.set_title("no target", fontsize=8, loc="left")
        return
    boxes = [window(box, image.shape) for box in find_components(sample.mask).box.tolist()]
    weakest = int(np.argmin([np.nan_to_num(target["scr"], nan=np.inf) for target in targets]))
    for number, box in enumerate(boxes):
        frame(whole, box, STRONG if number == weakest else TRUTH)
    y0, x0, y1, x1 = boxes[weakest]
    draw_gray(crop, image[y0:y1, x0:x1], EVERY_LEVEL)
    outline(crop, sample.mask[y0:y1, x0:x1])
    target = targets[weakest]
    more = f", weakest of {len(targets)}" if len(targets) > 1 else ""
    scr = "no ring" if np.isnan(target["scr"]) else f"SCR {target['scr']:.1f}"
    crop.set_title(f"{target['area']} px, {scr}{more}", fontsize=8, loc="left")


def _shortened(name: str) -> str:
    """A name that fits above an image."""
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
