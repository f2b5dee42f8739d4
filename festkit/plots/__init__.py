"""Pictures: detections over their image, what a dataset holds, and curves.

Colours are told apart by the colour-blind as well, and every mark has a shape of its own.
"""

from .comparison import plot_compared, plot_sensitivity
from .curves import plot_history, plot_roc, plot_surface
from .data import plot_samples, plot_targets
from .grids import plot_detections, show_strips
from .overlays import show
from .style import FALSE, MISSED, STRONG, TRUTH, WEAK

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
    "show",
    "show_strips",
]
