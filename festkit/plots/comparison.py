"""Our figures beside the paper's, over what distinguishes the rows of a table."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .._support.names import find_name
from ..metrics import FA_LIMIT, Counts
from ..surface import ThresholdSurface
from ..tables.paper import COLUMNS, paper_table
from .style import DASHES, LINES, MISSED

OURS, PAPER = LINES[0], LINES[2]


def plot_compared(
    table: pd.DataFrame,
    over: str | Sequence[str],
    *,
    figures: Sequence[str] = tuple(COLUMNS),
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """IoU, Pd, Fa and Score of a table's rows, ours with 95 % intervals and the paper's.

    Args:
        table: as :func:`compare_with_paper` returns it, perhaps with columns added.
        over: column, or columns, of the horizontal axis, one row of pictures each; rows of the
            table that have nothing in it are left out there.
        figures: of "iou", "pd", "fa_e6" and "score".
        marks: by the column of ``over`` the value that the paper names as best, a line.

    Returns:
        A matplotlib figure; what has not been run, and a Score that is void, is not drawn.

    Raises:
        ValueError: for an unknown column or figure.

    Example:
        >>> from festkit.metrics import Counts
        >>> from festkit.results import compare_with_paper, paper_table
        >>> hit = Counts(images=1, pixels=4, targets=1, detected=1)
        >>> table = compare_with_paper({"th1 0.5": [hit, hit]}, paper_table("th1"), measured="two")
        >>> [axes.get_ylabel() for axes in plot_compared(table, "th1", figures=["iou", "pd"]).axes]
        ['IoU [%]', 'Pd [%]']
    """
    columns = [over] if isinstance(over, str) else list(over)
    columns = [find_name("column", column, list(map(str, table.columns))) for column in columns]
    names = [find_name("figure", name, COLUMNS) for name in figures]
    size = (2.9 * len(names), 2.6 * len(columns) + 0.4)
    figure, grid = plt.subplots(
        len(columns), len(names), figsize=size, sharex="row", layout="constrained", squeeze=False
    )
    for row, column in zip(grid, columns, strict=True):
        rows = table.dropna(subset=column)
        for axes, name in zip(row, names, strict=True):
            _draw(axes, rows, column, name)
            if column in (marks or {}):
                label = "best in the paper"
                axes.axvline((marks or {})[column], color="black", linestyle=":", label=label)
            axes.set(xlabel=column, ylabel=COLUMNS[name].head)
    labelled = {
        label: line
        for axes in grid.flat
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labelled.values(), labelled, loc="outside upper right", ncols=4, fontsize=8)
    plt.close(figure)
    return figure


def _draw(axes: Axes, table: pd.DataFrame, column: str, name: str) -> None:
    x, ours = table[column], table[name]
    ends = np.abs(table[[f"{name}_low", f"{name}_high"]].to_numpy(float).T - ours.to_numpy(float))
    axes.errorbar(
        x, ours, ends, color=OURS, marker="o", markersize=4, capsize=3, label="ours, 95 % interval"
    )
    if table[f"{name}_paper"].notna().any():
        axes.plot(
            x, table[f"{name}_paper"], "--s", color=PAPER, fillstyle="none", markersize=5,
            label="paper",
        )  # fmt: skip
    if name == "fa_e6":
        axes.axhline(1e6 * FA_LIMIT, color=MISSED, linestyle="--", linewidth=1, label="limit of Fa")
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(0, None)
    if name == "score" and ours.isna().all() and (table["seeds"] > 0).any():
        axes.set_title("ours: void", color=OURS, fontsize=9)
    if not axes.has_data() or not np.isfinite(axes.dataLim.y0):
        axes.set_yticks([])
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if pd.api.types.is_numeric_dtype(x):
        axes.set_xticks(sorted(set(x)), [f"{value:g}" for value in sorted(set(x))], fontsize=8)


NO_WEAK = 1.0
"""A weak threshold that nothing exceeds."""

LABELS = {"iou": "IoU", "pd": "Pd", "score": "Score"}


def plot_sensitivity(
    surface: ThresholdSurface,
    *,
    th1: float = 0.3,
    max_fa: float = FA_LIMIT,
    paper: bool = False,
) -> Figure:
    """IoU, Pd, Score and Fa over th1 alone, and over th2 at one th1.

    Args:
        surface: as :func:`threshold_surface` returns it; its th2 must hold 1, where no target is
            weak, and its th1 the one that th2 varies at.
        th1: strong threshold of the right pictures.
        max_fa: false-alarm limit, a line; from it on a Score is void and not drawn.
        paper: add the paper's figures (tables th1 and th2) as rings; those of th2 are at th1 = 0.3.

    Returns:
        A matplotlib figure; values in percent, Fa in 1e-6.

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
    alone, weak = surface.along_th1(NO_WEAK), surface.along_th2(th1)
    figure, grid = plt.subplots(
        2, 2, figsize=(10, 6), sharex="col", sharey="row", layout="constrained",
        height_ratios=[1.6, 1],
    )  # fmt: skip
    below = surface.th2 < NO_WEAK
    shown = [counts for counts, drawn in zip(weak, below, strict=True) if drawn]
    _draw_sensitivity(grid[:, 0], surface.th1, alone, max_fa)
    _draw_sensitivity(grid[:, 1], surface.th2[below], shown, max_fa)
    if paper:
        _add_paper(grid[:, 0], paper_table("th1"), "th1")
    if paper and th1 == 0.3:
        _add_paper(grid[:, 1], paper_table("th2").dropna(subset="th2"), "th2")
    heads = ("th1 alone, no weak targets", f"th2 at th1 = {th1:g}")
    rest = (_best(surface.th1, alone, max_fa), _best(surface.th2[below], shown, max_fa))
    for axes, head, best in zip(grid[0], heads, rest, strict=True):
        axes.set_title(f"{head}{best}", fontsize=10)
    grid[0, 1].axvline(th1, color="black", linestyle=":", linewidth=1, label="th2 = th1")
    grid[1, 1].axvline(th1, color="black", linestyle=":", linewidth=1)
    grid[0, 0].set(ylabel="[%]", ylim=(0, 101))
    grid[1, 0].set_ylabel(COLUMNS["fa_e6"].head)
    grid[1, 0].set(xlabel="strong threshold th1")
    grid[1, 1].set(xlabel="weak threshold th2")
    for row in grid:
        row[1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plt.close(figure)
    return figure


def _draw_sensitivity(
    column: NDArray[np.object_],
    thresholds: NDArray[np.float64],
    counts: list[Counts],
    max_fa: float,
) -> None:
    """One column of pictures: ratios above, false alarms below."""
    upper, lower = column
    for k, (name, label) in enumerate(LABELS.items()):
        values = _percent(name, counts, max_fa)
        upper.plot(thresholds, values, color=LINES[k], linestyle=DASHES[k], label=label)
    fa = [1e6 * c.fa for c in counts]
    lower.plot(thresholds, fa, color=LINES[3], label="Fa")
    label = f"limit, {1e6 * max_fa:.4g}e-6"
    lower.axhline(1e6 * max_fa, color=MISSED, linestyle="--", linewidth=1, label=label)
    lower.set_yscale("symlog", linthresh=1)
    lower.set_ylim(0, None)
    for axes in column:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)


def _percent(name: str, counts: Sequence[Counts], max_fa: float) -> list[float]:
    """A ratio in percent; NaN where it is undefined, or a Score is void."""
    void = [name == "score" and not c.fa < max_fa for c in counts]
    ratios = [getattr(c, name) for c in counts]
    return [np.nan if gone else 100 * ratio for gone, ratio in zip(void, ratios, strict=True)]


def _best(thresholds: NDArray[np.float64], counts: Sequence[Counts], max_fa: float) -> str:
    scores = np.array(_percent("score", counts, max_fa))
    if np.isnan(scores).all():
        return ""
    best = int(np.nanargmax(scores))
    return f"; best Score {scores[best]:.2f} at {thresholds[best]:.3g}"


def _add_paper(column: NDArray[np.object_], table: pd.DataFrame, threshold: str) -> None:
    upper, lower = column
    for k, name in enumerate(LABELS):
        label = f"{LABELS[name]}, paper"
        _rings(upper, table[threshold], table[name], LINES[k], label)
    _rings(lower, table[threshold], table["fa_e6"], LINES[3], "Fa, paper")


def _rings(axes: Axes, x: pd.Series, y: pd.Series, colour: str, label: str) -> None:
    axes.plot(x, y, "o", color=colour, fillstyle="none", markersize=5, label=label)
