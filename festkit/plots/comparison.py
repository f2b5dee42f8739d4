"""Plots of our results and the paper's over the key columns of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.names import find_name
from ..metrics import FA_LIMIT, Counts
from ..surface import ThresholdSurface
from ..tables.paper import COLUMNS, paper_table
from .style import LIMIT, OURS, PALETTE, PAPER, figure_of, styled


@styled
def plot_compared(
    table: pd.DataFrame,
    over: str | Sequence[str],
    *,
    metrics: Sequence[str] = tuple(COLUMNS),
    marks: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """IoU, Pd, Fa and Score of a table's rows: ours with 95 % intervals, and the paper's.

    Thresholds and other fractional values are connected by lines. Names and whole numbers, such as
    schemes and sizes, are drawn as separate points.

    Args:
        table: the result of :func:`compare_with_paper`, optionally with additional columns.
        over: column of the horizontal axis, or several with one row of panels each. Table rows
            without a value there are skipped.
        metrics: any of "iou", "pd", "fa_e6" and "score"; metrics without values get no panels.
        marks: value to mark as the paper's choice, by name of the ``over`` column.
        ax: axes for one metric over one column; None makes a figure.

    Returns:
        The figure. Rows that were not run and void Scores are not drawn. The title says so if the
        table is of the profile "smoke".

    Raises:
        ValueError: for an unknown column or metric, or several panels for ``ax``.

    Example:
        >>> from festkit.metrics import Counts
        >>> from festkit.tables import compare_with_paper, paper_table
        >>> hit = Counts(images=1, pixels=4, targets=1, detected=1)
        >>> table = compare_with_paper({"th1 0.5": [hit, hit]}, paper_table("th1"), measured="two")
        >>> [axes.get_ylabel() for axes in plot_compared(table, "th1", metrics=["iou", "pd"]).axes]
        ['IoU [%]', 'Pd [%]']
    """
    columns = [over] if isinstance(over, str) else list(over)
    columns = [find_name("column", column, list(map(str, table.columns))) for column in columns]
    names = [find_name("metric", name, list(COLUMNS)) for name in metrics]
    given = table.dropna(subset=columns, how="all")
    shown = [name for name in names if given[[name, f"{name}_paper"]].notna().any(axis=None)]
    names = shown or names[:1]
    size = (2.5 * len(names), 2.3 * len(columns) + 0.3)
    if ax is not None and len(columns) * len(names) > 1:
        number = f"{len(names)} metrics over {len(columns)} columns"
        raise InputError(f"ax is for a single panel, got {number}; pass one metric and one column")
    shape: Any = {"figsize": size, "sharex": "row", "squeeze": False}
    grid = plt.subplots(len(columns), len(names), **shape)[1] if ax is None else np.array([[ax]])
    figure = figure_of(grid[0, 0])
    for row, column in zip(grid, columns, strict=True):
        rows = table.dropna(subset=column)
        for axes, name in zip(row, names, strict=True):
            _draw_metric(axes, rows, column, name)
            if marks and column in marks:
                axes.axvline(marks[column], c="black", ls=":", label="best in the paper")
            axes.set(xlabel=column, ylabel=COLUMNS[name].head)
    if ax is None:
        if table.attrs.get("profile") == "smoke":
            figure.suptitle("Smoke run: not a result", color=LIMIT)
        _add_common_legend(figure)
    else:
        ax.legend(frameon=False)
    return figure


def _draw_metric(axes: Axes, table: pd.DataFrame, column: str, name: str) -> None:
    """Ours with intervals and the paper's, of one metric over one column."""
    keys = table[column]
    is_line = pd.api.types.is_float_dtype(keys)
    x = keys.to_numpy() if is_line else np.arange(len(keys))
    apart, line, dashes = (0, "o-", "s--") if is_line else (0.12, "o", "s")
    ours = table[name].to_numpy(float)
    ends = np.abs(table[[f"{name}_low", f"{name}_high"]].to_numpy(float).T - ours)
    style: dict[str, Any] = {"color": OURS, "markersize": 4, "capsize": 2, "linewidth": 1.2}
    axes.errorbar(x - apart, ours, ends, fmt=line, label="ours, 95 % interval", **style)
    if table[f"{name}_paper"].notna().any():
        style = {"color": PAPER, "fillstyle": "none", "markersize": 4.5, "linewidth": 1}
        axes.plot(x + apart, table[f"{name}_paper"], dashes, label="paper", **style)
    if name == "fa_e6":
        axes.axhline(1e6 * FA_LIMIT, color=LIMIT, linestyle="--", linewidth=1, label="limit of Fa")
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(0, None)
    ran = ours[table["seeds"] > 0]
    if name == "score" and np.isnan(ran).any():
        text = f"{np.isnan(ran).sum()} of {len(ran)} void, Fa too high"
        axes.set_title(text, color=OURS, fontsize=8)
    if not np.isfinite(axes.dataLim.y0):
        axes.set_yticks([])
    if is_line:  # of more than six values only every other one has a label
        values = sorted(set(keys))
        every = 1 if len(values) < 7 else 2
        axes.set_xticks(values, ["" if k % every else f"{v:g}" for k, v in enumerate(values)])
    else:
        names = [str(key) for key in keys]
        axes.set_xticks(x, names, rotation=30 if len("".join(names)) > 20 else 0)
        axes.set_xlim(-0.5, len(keys) - 0.5)


def _add_common_legend(figure: Figure) -> None:
    """One legend below all panels."""
    entries = [axes.get_legend_handles_labels() for axes in figure.axes]
    by_label = {label: line for pair in entries for line, label in zip(*pair, strict=True)}
    figure.legend(by_label.values(), by_label, loc="outside lower left", ncols=4, frameon=False)


NO_WEAK = 1.0
"""A weak threshold above all probabilities, which disables weak targets."""

RATIOS = {"iou": "IoU", "pd": "Pd", "score": "Score"}


@styled
def plot_sensitivity(
    surface: ThresholdSurface,
    *,
    th1: float = 0.3,
    max_fa: float = FA_LIMIT,
    paper: bool = False,
) -> Figure:
    """IoU, Pd, Score and Fa over th1 alone, and over th2 at one th1.

    Args:
        surface: the result of :func:`threshold_surface`. Its th2 must include 1 (no weak targets),
            and its th1 must include ``th1``.
        th1: strong threshold of the right column.
        max_fa: false-alarm limit, drawn as a line; Scores at or above it are void and not drawn.
        paper: add the paper's results (tables th1 and th2) as rings; the th2 results are at th1 =
            0.3.

    Returns:
        A figure of four panels; values in percent, Fa in 1e-6.

    Raises:
        ValueError: if th1, or th2 = 1, is not on the surface's grid.

    Example:
        >>> from festkit.surface import threshold_surface
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> grids = {"th1": [0.2, 0.3, 0.5], "th2": [0.1, 0.4, 1.0]}
        >>> surface = threshold_surface([prob], [prob > 0], **grids)
        >>> [axes.get_xlabel() for axes in plot_sensitivity(surface).axes[2:]]
        ['strong threshold th1', 'weak threshold th2']
    """
    below = surface.th2 < NO_WEAK
    weak = [each for each, is_drawn in zip(surface.along_th2(th1), below, strict=True) if is_drawn]
    alone = _percent(surface.th1, surface.along_th1(NO_WEAK), max_fa)
    added = _percent(surface.th2[below], weak, max_fa)
    shared: Any = {"sharex": "col", "sharey": "row", "height_ratios": [1.6, 1]}
    figure, grid = plt.subplots(2, 2, figsize=(7.6, 5), **shared)
    _draw_thresholds(grid[:, 0], alone, paper_table("th1") if paper else None, "th1")
    of_paper = paper_table("th2").dropna(subset="th2") if paper and th1 == 0.3 else None
    _draw_thresholds(grid[:, 1], added, of_paper, "th2")
    grid[0, 0].set_title(f"th1 alone, no weak targets{_best(alone)}", fontsize=9)
    grid[0, 1].set_title(f"th2 at th1 = {th1:g}{_best(added)}", fontsize=9)
    for axes in grid[1]:
        label = f"limit, {1e6 * max_fa:.4g} × 10⁻⁶"
        axes.axhline(1e6 * max_fa, color=LIMIT, linestyle="--", linewidth=1, label=label)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, None)
    for axes in grid[:, 1]:
        axes.axvline(th1, color="black", linestyle=":", linewidth=1, label="th2 = th1")
    grid[0, 0].set(ylabel="IoU, Pd and Score [%]", ylim=(0, 101))
    grid[1, 0].set(ylabel=COLUMNS["fa_e6"].head, xlabel="strong threshold th1")
    grid[1, 1].set(xlabel="weak threshold th2")
    _add_common_legend(figure)
    return figure


def _percent(
    thresholds: NDArray[np.float64], counts: Sequence[Counts], max_fa: float
) -> pd.DataFrame:
    """Ratios in percent and Fa in 1e-6 by threshold; NaN where one is undefined or void."""
    names = [*RATIOS, "fa"]
    ratios = [[getattr(each, name) for name in names] for each in counts]
    table = pd.DataFrame(ratios, thresholds, names)
    table.loc[~(table["fa"] < max_fa), "score"] = np.nan
    return (100 * table[[*RATIOS]]).assign(fa_e6=1e6 * table["fa"])


def _draw_thresholds(
    column: NDArray[np.object_], values: pd.DataFrame, paper: pd.DataFrame | None, key: str
) -> None:
    """Ratios above, false alarms below; rings are the paper's."""
    for k, (name, label) in enumerate({**RATIOS, "fa_e6": "Fa"}.items()):
        axes, style = column[int(name == "fa_e6")], {"color": PALETTE[k + (k == 3)]}
        axes.plot(values[name], linestyle=("-", "--", "-.", "-")[k], label=label, **style)
        if paper is not None:
            axes.plot(paper[key], paper[name], "o", **style, fillstyle="none", markersize=4,
                      label=f"{label}, paper")  # fmt: skip


def _best(values: pd.DataFrame) -> str:
    """The best Score and its threshold, in words."""
    if values["score"].isna().all():
        return ""
    at = values["score"].idxmax()
    return f"; best Score {values['score'][at]:.2f} at {at:.3g}"
