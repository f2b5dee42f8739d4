"""The style of all figures, and saving of figures."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib import rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._support.files import atomic_write

TRUTH, STRONG, WEAK, MISSED, FALSE = "#56B4E9", "#E69F00", "#F0E442", "#D55E00", "#CC79A7"
"""Colours of marks over images; colour-blind safe."""

PALETTE = ("#0173B2", "#DE8F05", "#029E73", "#D55E00", "#CC78BC", "#56B4E9", "#949494")
"""Colours of curves and bars: seaborn's "colorblind" without the light ones."""

OURS, PAPER, LIMIT = PALETTE[0], "#5A5A5A", MISSED

_FILE = Path(__file__).with_name("festkit.mplstyle")

_OWN = rc_params_from_file(_FILE, use_default_template=False)

STYLE: Any = sns.axes_style("whitegrid") | sns.plotting_context("paper") | dict(_OWN)

SAVED: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "festkit"}
"""Keep text as text in vector files, and save equal figures as equal files."""

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a function draw in :data:`STYLE`; a figure that it makes is not left open in pyplot."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            if kwargs.get("ax") is None:
                for axes in figure.axes:  # ticks made later would take the style of that moment
                    _fix_ticks(axes)
                plt.close(figure)
        return figure

    return drawn


def figure_of(axes: Axes) -> Figure:
    """The figure that axes belong to.

    Example:
        >>> figure = Figure()
        >>> figure_of(figure.subplots()) is figure
        True
    """
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def _fix_ticks(axes: Axes) -> None:
    """Give ticks the style as it is now."""
    style: Any = plt.rcParams
    grid = {"grid_color": style["grid.color"], "grid_linewidth": style["grid.linewidth"]}
    for name in ("x", "y"):
        size, colour = style[f"{name}tick.labelsize"], style[f"{name}tick.color"]
        axes.tick_params(name, labelsize=size, labelcolor=colour, **grid)


FORMATS = ("png", "pdf", "svg")


def save_figure(
    figure: Figure, path: str | Path, formats: Sequence[str] = FORMATS, *, dpi: int = 150
) -> list[Path]:
    """Save a figure as PNG, PDF and SVG.

    Args:
        figure: figure to save.
        path: file without suffix; missing folders are created.
        formats: suffixes of formats supported by Matplotlib.
        dpi: resolution of pixel formats, and of images inside vector formats.

    Returns:
        The files, in the order of ``formats``.

    Example:
        >>> import tempfile
        >>> [path.name for path in save_figure(Figure(), Path(tempfile.mkdtemp()) / "fig7")]
        ['fig7.png', 'fig7.pdf', 'fig7.svg']
    """
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    paths = {name: Path(f"{path}.{name}") for name in formats}
    for name, file in paths.items():
        with plt.rc_context(SAVED), atomic_write(file) as part:
            figure.savefig(part, format=name, dpi=dpi, metadata=undated.get(name))
    return list(paths.values())
