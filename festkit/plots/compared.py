"""Our figures beside the paper's, over what distinguishes the rows of a table."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._names import find_name
from ..metrics import FA_LIMIT
from ..results.paper import METRICS
from ..results.readable import HEADS
from .palette import LINES, MISSED

OURS, PAPER = LINES[0], LINES[2]


def plot_compared(
    table: pd.DataFrame,
    over: str | Sequence[str],
    *,
    figures: Sequence[str] = METRICS,
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
    names = [find_name("figure", name, METRICS) for name in figures]
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
            axes.set(xlabel=column, ylabel=HEADS[name])
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
