"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .comparison import plot_compared as plot_compared
from .comparison import plot_sensitivity as plot_sensitivity
from .curves import plot_history as plot_history
from .curves import plot_roc as plot_roc
from .curves import plot_surface as plot_surface
from .data import plot_samples as plot_samples
from .data import plot_targets as plot_targets
from .grids import plot_detections as plot_detections
from .grids import show_strips as show_strips
from .overlays import show as show
from .style import FALSE as FALSE
from .style import MISSED as MISSED
from .style import STRONG as STRONG
from .style import TRUTH as TRUTH
from .style import WEAK as WEAK
from .style import save_figure as save_figure
