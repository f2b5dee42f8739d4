"""Pictures: detections over their image, and curves.

Colours are told apart by the colour-blind as well, and every mark has a shape of its own.
"""

from .curves import plot_history, plot_roc, plot_surface
from .detections import show
from .palette import FALSE, MISSED, STRONG, TRUTH, WEAK
from .samples import plot_samples
from .sensitivity import plot_sensitivity

__all__ = [
    "FALSE",
    "MISSED",
    "STRONG",
    "TRUTH",
    "WEAK",
    "plot_history",
    "plot_roc",
    "plot_samples",
    "plot_sensitivity",
    "plot_surface",
    "show",
]
