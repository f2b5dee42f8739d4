"""Pictures: detections over their image, what a dataset holds, and curves.

Colours are told apart by the colour-blind as well, and every mark has a shape of its own.
"""

from .compared import plot_compared
from .curves import plot_history, plot_roc, plot_surface
from .data import plot_samples, plot_targets
from .detections import show
from .methods import plot_detections
from .palette import FALSE, MISSED, STRONG, TRUTH, WEAK
from .sensitivity import plot_sensitivity
from .strips import show_strips

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
