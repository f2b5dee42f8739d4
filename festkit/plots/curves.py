"""Curves and surfaces: training, thresholds, ROC."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.files import read_json
from .._support.names import find_name
from ..metrics import FA_LIMIT, METRICS
from ..surface import ROC, ThresholdSurface
from ..training.run import Run
from .style import DASHES, LINES, MISSED, WEAK

Metric = Literal["score", "iou", "niou", "pd", "fa"]

CASING: list[AbstractPathEffect] = [withStroke(linewidth=3.5, foreground="white")]
"""Of dark lines, for them to be seen on every colour."""


def plot_history(run: Run | str | Path) -> Figure:
    """Loss over the epochs of a run, IoU on its augmented batches and on other images.

    Args:
        run: a training run or its folder, finished or under way.

    Returns:
        A matplotlib figure; IoU and Pd of the held-out images, or by the paper's protocol of the
        test images, where they were measured.

    Raises:
        FileNotFoundError: if the folder holds no history or no configuration.

    Example:
        >>> import tempfile
        >>> run = Run(Path(tempfile.mkdtemp()))
        >>> row = {"epoch": 1, "loss": 0.5, "train_iou": 0.25, "iou": math.nan, "pd": math.nan}
        >>> run.write_history([row, row | {"epoch": 2, "loss": 0.25}])
        >>> [axes.get_ylabel() for axes in plot_history(run).axes]
        ['training loss', '[%]']
    """
    run = Run.of(run)
    rows = run.history()
    judged = [row for row in rows if not math.isnan(row["iou"])]
    images = _judges(run) if judged else ""
    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    left.plot(epochs, [row["loss"] for row in rows], color=MISSED)
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    right.plot(
        epochs, [100 * row["train_iou"] for row in rows], color=LINES[0], label="IoU, batches"
    )
    if judged:
        _draw_judged(right, judged, images)
    right.set(xlabel="epoch", ylabel="[%]", ylim=(0, 101))
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def _judges(run: Run) -> str:
    """The images on which the network is measured while it trains."""
    protocol = read_json(run.folder / "config.json", {"protocol": str})["protocol"]
    return "test images" if protocol == "paper" else "held-out images"


def _draw_judged(axes: Axes, rows: Sequence[Mapping[str, float]], images: str) -> None:
    epochs = [row["epoch"] for row in rows]
    for k, (name, label) in enumerate((("iou", "IoU"), ("pd", "Pd")), start=1):
        values = [100 * row[name] for row in rows]
        axes.plot(
            epochs, values, marker=".", color=LINES[k], linestyle=DASHES[k],
            label=f"{label}, {images}",
        )  # fmt: skip


def plot_surface(
    surface: ThresholdSurface,
    value: Metric = "score",
    *,
    max_fa: float = FA_LIMIT,
    ordered: bool = False,
    at: tuple[float, float] | None = None,
) -> Figure:
    """One figure of merit over both thresholds, with the false-alarm limit and the best point.

    Gray is where th2 > th1, unless several scales' own maps have weak targets there.

    Args:
        surface: as :func:`threshold_surface` returns it.
        value: "score", "iou", "niou", "pd" or "fa".
        max_fa: the line of this false-alarm rate is drawn; the cross marks the best Score below it.
        ordered: let picture and cross keep to th2 <= th1.
        at: thresholds (th1, th2) to mark, such as those in use.

    Returns:
        A matplotlib figure; values in percent, Fa in 1e-6, 0 in the colour of the least above it.

    Raises:
        ValueError: for an unknown value, or a grid of a single threshold.

    Example:
        >>> from festkit.surface import threshold_surface
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> surface = threshold_surface([prob], [prob > 0], th1=[0.2, 0.5], th2=[0.1, 0.4])
        >>> plot_surface(surface, "pd").axes[0].get_xlabel()
        'strong threshold th1'
    """
    name = find_name("value", value, get_args(Metric))
    if min(len(surface.th1), len(surface.th2)) < 2:
        raise InputError("a surface is drawn over at least two thresholds of each kind")
    hidden = _without_meaning(surface, ordered=ordered).T
    figure, axes = plt.subplots(figsize=(6.8, 4.8), layout="constrained")
    axes.set_facecolor("#dddddd")
    mesh = _draw_values(axes, surface, name, hidden)
    figure.colorbar(mesh, ax=axes, label=METRICS[name].head)
    fa = np.ma.masked_array(surface.fa.T, hidden)
    if fa.min() < max_fa < fa.max():
        _draw_limit(axes, surface, fa, max_fa)
    usable = (surface.fa < max_fa) & ~np.isnan(surface.score)
    if ordered:
        usable &= surface.th2[None, :] <= surface.th1[:, None]
    if usable.any():
        th1, th2, counts = surface.best(max_fa, ordered=ordered)
        label = f"best Score {100 * counts.score:.2f} at {th1:.3g} / {th2:.3g}"
        axes.plot(th1, th2, "P", color=WEAK, markersize=11, markeredgecolor="black", label=label)
    if at is not None:
        label = f"now, {at[0]:g} / {at[1]:g}"
        axes.plot(*at, "o", color="none", markersize=11, markeredgecolor="white", label=label)
        axes.plot(*at, "o", color="none", markersize=14, markeredgecolor="black")
    line = axes.axline((0.5, 0.5), slope=1, color="black", linestyle=":", label="th2 = th1")
    line.set_path_effects(CASING)
    axes.set(xlabel="strong threshold th1", ylabel="weak threshold th2")
    axes.set(xlim=surface.th1[[0, -1]], ylim=surface.th2[[0, -1]])
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.01),
        ncols=3,
        facecolor="#666666",
        labelcolor="white",
        framealpha=1,
    )
    plt.close(figure)
    return figure


def _without_meaning(surface: ThresholdSurface, *, ordered: bool) -> NDArray[np.bool_]:
    """Thresholds (A, B) to leave out: th2 > th1, if unwanted, or if it finds no weak target."""
    upper = surface.th2 > surface.th1[:, None]
    none_weak = surface.predicted == surface.predicted[:, -1:]
    hidden = (ordered or none_weak[upper].all()) and not upper.all()  # something must be shown
    return upper if hidden else np.zeros_like(upper)


def _draw_values(
    axes: Axes, surface: ThresholdSurface, name: str, hidden: NDArray[np.bool_]
) -> QuadMesh:
    """A figure of merit in colours, which for Fa are logarithmic."""
    values = getattr(surface, name).T * (1e6 if name == "fa" else 100)
    values[hidden] = np.nan
    norm = None
    if name == "fa":
        low = values[values > 0].min(initial=1.0)
        values = np.maximum(values, low)
        norm = LogNorm(low, max(np.nanmax(values), 10 * low))
    shown = np.ma.masked_invalid(values)
    return axes.pcolormesh(surface.th1, surface.th2, shown, norm=norm, cmap="viridis")


def _draw_limit(
    axes: Axes, surface: ThresholdSurface, fa: "np.ma.MaskedArray[Any, Any]", max_fa: float
) -> None:
    """The line of the false-alarm limit."""
    line = axes.contour(surface.th1, surface.th2, fa, levels=[max_fa], colors="black")
    line.set_path_effects(CASING)
    label = f"Fa = {1e6 * max_fa:.4g}e-6"
    axes.plot([], [], color="black", path_effects=CASING, label=label)


def plot_roc(curves: Mapping[str, ROC], *, max_fa: float = FA_LIMIT) -> Figure:
    """ROC of pixels, and detection rate over false-alarm rate, of one or more methods.

    Args:
        curves: by the name that the legend shows.
        max_fa: highest false-alarm rate of the right picture, whose mean Pd up to there is named.

    Returns:
        A matplotlib figure with two pictures.

    Raises:
        ValueError: for no curves.

    Example:
        >>> from festkit.surface import roc
        >>> prob = np.array([[0.9, 0.2], [0.4, 0.1]])
        >>> curve = roc([prob], [prob > 0.3], thresholds=[0.0, 0.3, 0.5])
        >>> len(plot_roc({"BCE": curve}).axes)
        2
    """
    if not curves:
        raise InputError("no curves came; pass at least one, by name")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
    for k, (name, curve) in enumerate(curves.items()):
        style = {"color": LINES[k % len(LINES)], "linestyle": DASHES[k % len(DASHES)]}
        left.plot(100 * curve.fpr, 100 * curve.tpr, label=f"{name}, AUC {curve.auc:.4f}", **style)
        label = f"{name}, mean Pd {100 * curve.pd_auc(max_fa):.2f} %"
        fa, pd = curve.pd_steps(max_fa)
        right.step(1e6 * fa, 100 * pd, where="post", label=label, **style)
    left.set(xlabel="background pixels predicted [%]", ylabel="true pixels predicted [%]")
    left.set_xscale("symlog", linthresh=1e-3)
    left.set(xlim=(0, 100), ylim=(0, 101), title="ROC of pixels")
    right.set(xlabel=METRICS["fa"].head, ylabel="Pd [%]", xlim=(0, 1e6 * max_fa), title="targets")
    right.set_ylim(None, 101)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=9)
    plt.close(figure)
    return figure
