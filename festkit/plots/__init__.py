"""Figures: detections over their image, statistics of a dataset, curves and comparisons.

Every function returns a Matplotlib figure in one style (`style`), to be saved by
:func:`save_figure`. Colours suit people with colour blindness, and every mark has its own shape.
"""

from .comparison import plot_compared, plot_sensitivity
from .curves import plot_history, plot_roc, plot_surface
from .data import plot_samples, plot_targets
from .grids import plot_detections, show_strips
from .overlays import show
from .style import FALSE, MISSED, STRONG, TRUTH, WEAK, save_figure

__all__ = [
    "FALSE",
    "MISSED",
    "STRONG",
    "TRUTH",
    "WEAK",
    "plot_compared",
    "plot_detections",
    "plot_history",
    "plot_roc",
    "plot_samples",
    "plot_sensitivity",
    "plot_surface",
    "plot_targets",
    "save_figure",
    "show",
    "show_strips",
]
