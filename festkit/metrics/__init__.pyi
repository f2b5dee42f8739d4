"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .counts import FA_LIMIT as FA_LIMIT
from .counts import Counts as Counts
from .counts import TargetCounts as TargetCounts
from .intervals import INTERVAL_METHOD as INTERVAL_METHOD
from .intervals import confidence_intervals as confidence_intervals
from .intervals import record_of as record_of
from .matching import MATCH_DISTANCE as MATCH_DISTANCE
from .matching import SIZE_CLASSES as SIZE_CLASSES
from .matching import as_mask as as_mask
from .matching import count as count
from .matching import count_targets as count_targets
from .matching import evaluate as evaluate
from .matching import evaluate_images as evaluate_images
from .matching import match_targets as match_targets
from .names import METRICS as METRICS
from .names import Metric as Metric
