"""Curves and surfaces: training, thresholds, ROC."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
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
from .style import PALETTE, WEAK, figure_of, styled

Metric = Literal["score", "iou", "niou", "pd", "fa"]

BATCHES = "training batches"

CASING: list[AbstractPathEffect] = [withStroke(linewidth=3.5, foreground="white")]
"""White outline of dark lines, so that they are visible on every colour."""


@styled
def plot_history(run: Run | str | Path) -> Figure:
    """Training loss, IoU and Pd over the epochs of a run, one panel each.

    The IoU of the augmented training batches is drawn for every epoch. IoU and Pd of the validation
    images (protocol "paper": of the test images) are drawn for validated epochs.

    Args:
        run: a training run or its folder, finished or not.

    Returns:
        A figure with two panels, or three once the run was validated.

    Raises:
        FileNotFoundError: if the folder has no history or no configuration.

    Example:
        >>> import tempfile
        >>> run = Run(Path(tempfile.mkdtemp()))
        >>> row = {"epoch": 1, "loss": 0.5, "train_iou": 0.25, "iou": np.nan, "pd": np.nan}
        >>> run.write_history([row, row | {"epoch": 2, "loss": 0.25}])
        >>> [axes.get_ylabel() for axes in plot_history(run).axes]
        ['training loss', 'IoU [%]']
    """
    run = Run.of(run)
    rows = pd.DataFrame(run.history())
    iou, pd_ = METRICS["iou"].head, METRICS["pd"].head
    curves = [("training loss", "loss", 1, BATCHES), (iou, "train_iou", 100, BATCHES)]
    if rows["iou"].notna().any():
        images = _validation_images(run)
        curves += [(iou, "iou", 100, images), (pd_, "pd", 100, images)]
    labels = list(dict.fromkeys(label for label, *_ in curves))
    figure, panels = plt.subplots(1, len(labels), figsize=(3.2 * len(labels), 2.6))
    for label, column, scale, images in curves:
        style: dict[str, Any] = {"color": PALETTE[0]}
        style = style if images == BATCHES else {"color": PALETTE[1], "marker": "o"}
        axes = panels[labels.index(label)]
        known = rows.dropna(subset=column).assign(value=scale * rows[column])
        style |= {"markersize": 4, "markeredgewidth": 0}
        sns.lineplot(known, x="epoch", y="value", estimator=None, label=images, ax=axes, **style)
        axes.set(xlabel="epoch", ylabel=label, ylim=(0, 101 if scale > 1 else None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(loc="lower right").set_visible(label == iou)
    return figure


def _validation_images(run: Run) -> str:
    """What the validation images of a run are."""
    protocol = read_json(run.folder / "config.json", {"protocol": str})["protocol"]
    return "test images" if protocol == "paper" else "held-out images"


@styled
def plot_surface(
    surface: ThresholdSurface,
    value: Metric = "score",
    *,
    max_fa: float = FA_LIMIT,
    ordered: bool = False,
    at: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """A metric over both thresholds, with the false-alarm limit and the best point.

    The region th2 > th1 is gray, unless maps of single scales have weak targets there.

    Args:
        surface: the result of :func:`threshold_surface`.
        value: "score", "iou", "niou", "pd" or "fa".
        max_fa: false-alarm limit, drawn as a line; the cross marks the best Score below it.
        ordered: restrict the plot and the cross to th2 <= th1.
        at: thresholds (th1, th2) to mark, such as those in use.
        ax: axes to draw into; None makes a figure.

    Returns:
        The figure; values in percent, Fa in 1e-6. Fa has a logarithmic colour scale, so Fa = 0 has
        the colour of the lowest positive value.

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
        raise InputError("a surface needs at least two thresholds th1 and two th2")
    axes = ax or plt.subplots(figsize=(5.6, 4.4))[1]
    figure = figure_of(axes)
    hidden = _hidden_thresholds(surface, ordered=ordered).T
    axes.set_facecolor("#DDDDDD")
    axes.grid(visible=False)
    values = np.where(hidden, np.nan, METRICS[name].scale * getattr(surface, name).T)
    norm = None
    if name == "fa":
        low = values[values > 0].min(initial=1.0)
        values = np.maximum(values, low)
        norm = LogNorm(low, max(np.nanmax(values), 10 * low))
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(surface.th1, surface.th2, shown, norm=norm, cmap="viridis")
    figure.colorbar(mesh, ax=axes, label=METRICS[name].head)
    fa = np.ma.masked_array(surface.fa.T, hidden)
    if fa.min() < max_fa < fa.max():
        limit = axes.contour(surface.th1, surface.th2, fa, levels=[max_fa], colors="black")
        limit.set_path_effects(CASING)
        label = f"Fa = {1e6 * max_fa:.4g} × 10⁻⁶"
        axes.plot([], [], color="black", path_effects=CASING, label=label)
    _mark_best(axes, surface, max_fa, ordered=ordered)
    if at is not None:
        label = f"now, {at[0]:g} / {at[1]:g}"
        axes.plot(*at, "o", color="none", markersize=9, markeredgecolor="white", label=label)
        axes.plot(*at, "o", color="none", markersize=12, markeredgecolor="black")
    dots: Any = {"color": "black", "linestyle": ":", "path_effects": CASING}
    axes.axline((0.5, 0.5), slope=1, label="th2 = th1", **dots)
    axes.set(xlabel="strong threshold th1", ylabel="weak threshold th2")
    axes.set(xlim=surface.th1[[0, -1]], ylim=surface.th2[[0, -1]])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2, facecolor="#B0B0B0")
    return figure


def _mark_best(axes: Axes, surface: ThresholdSurface, max_fa: float, *, ordered: bool) -> None:
    """Mark the best Score below the false-alarm limit."""
    usable = (surface.fa < max_fa) & ~np.isnan(surface.score)
    if ordered:
        usable &= surface.th2[None, :] <= surface.th1[:, None]
    if usable.any():
        th1, th2, counts = surface.best(max_fa, ordered=ordered)
        label = f"best Score {100 * counts.score:.2f} at {th1:.3g} / {th2:.3g}"
        axes.plot(th1, th2, "P", color=WEAK, markersize=10, markeredgecolor="black", label=label)


def _hidden_thresholds(surface: ThresholdSurface, *, ordered: bool) -> NDArray[np.bool_]:
    """Thresholds (A, B) to leave out: th2 > th1 if it is unwanted or finds no weak target."""
    upper = surface.th2 > surface.th1[:, None]
    none_weak = surface.predicted == surface.predicted[:, -1:]
    hidden = (ordered or none_weak[upper].all()) and not upper.all()  # something must be shown
    return upper if hidden else np.zeros_like(upper)


@styled
def plot_roc(
    curves: Mapping[str, ROC], *, max_fa: float = FA_LIMIT, precision: bool = False
) -> Figure:
    """Pixel ROC, and detection rate over false-alarm rate, of one or more methods.

    Args:
        curves: curves by the name for the legend.
        max_fa: upper end of the Pd-Fa panel; its legend shows the mean Pd up to this Fa.
        precision: also draw precision over recall of pixels.

    Returns:
        A figure with two panels, or three.

    Raises:
        ValueError: if there are no curves.

    Example:
        >>> from festkit.surface import roc
        >>> prob = np.array([[0.9, 0.2], [0.4, 0.1]])
        >>> curve = roc([prob], [prob > 0.3], thresholds=[0.0, 0.3, 0.5])
        >>> [axes.get_title(loc="left") for axes in plot_roc({"BCE": curve}).axes]
        ['pixel ROC', 'target detection']
    """
    if not curves:
        raise InputError("no curves given; pass at least one, by name")
    figure, (left, right, *more) = plt.subplots(1, 2 + precision, figsize=(8 + 4 * precision, 3.8))
    for k, (name, curve) in enumerate(curves.items()):
        style: dict[str, Any] = {"color": PALETTE[k % len(PALETTE)], "estimator": None}
        style |= {"sort": False, "linestyle": ("-", "--", "-.", ":")[k % 4]}
        label = f"{name}: AUC {curve.auc:.4f}"
        sns.lineplot(x=100 * curve.fpr, y=100 * curve.tpr, label=label, ax=left, **style)
        fa, pd_ = curve.pd_steps(max_fa)
        style |= {"drawstyle": "steps-post", "ax": right}
        label = f"{name}: mean Pd {100 * curve.pd_auc(max_fa):.2f} %"
        sns.lineplot(x=1e6 * fa, y=100 * pd_, label=label, **style)
        for axes in more:
            style |= {
                "drawstyle": "default",
                "ax": axes,
                "label": f"{name}: area {curve.pr_auc:.4f}",
            }
            values = np.full_like(curve.tpr, np.nan) if curve.precision is None else curve.precision
            sns.lineplot(x=100 * curve.tpr, y=100 * values, **style)
            axes.set(xlabel="recall [%]", ylabel="precision [%]", title="pixel precision–recall")
    left.set_xscale("symlog", linthresh=1e-3)
    left.set(xlabel="false-positive rate [%]", ylabel="true-positive rate [%]", title="pixel ROC")
    left.set(xlim=(0, 100), ylim=(0, 101))
    right.set(xlabel=METRICS["fa"].head, ylabel=METRICS["pd"].head, title="target detection")
    right.set(xlim=(0, 1e6 * max_fa), ylim=(None, 101))
    for axes in (left, right, *more):
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.24), frameon=False)
    return figure
