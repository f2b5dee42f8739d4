"""What each threshold of adjustable sensitivity does on its own."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..metrics import FA_LIMIT, Counts
from ..results import paper_table
from ..results.readable import HEADS
from ..surface import ThresholdSurface
from .palette import DASHES, LINES, MISSED

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
    _draw(grid[:, 0], surface.th1, alone, max_fa)
    _draw(grid[:, 1], surface.th2[below], shown, max_fa)
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
    grid[1, 0].set_ylabel(HEADS["fa_e6"])
    grid[1, 0].set(xlabel="strong threshold th1")
    grid[1, 1].set(xlabel="weak threshold th2")
    for row in grid:
        row[1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plt.close(figure)
    return figure


def _draw(
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
