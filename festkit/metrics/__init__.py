"""Metrics: IoU, nIoU, Pd, Fa and Score (paper section 4.2), with confidence intervals.

An image, a worker or a whole test set returns :class:`Counts` (pixels and targets) or
:class:`TargetCounts` (targets, on request of one size), which add; ratios are taken once, at the
end, over everything that was added. A ratio with nothing in its denominator is NaN, null in JSON
and "–" in print.

Reading order: `counts` (what is counted, and its ratios), `matching` (counting), `intervals`,
`names` (how they are printed).
"""

from ..ops.size_classes import SIZE_CLASSES
from .counts import FA_LIMIT, Counts, TargetCounts
from .intervals import INTERVAL_METHOD, confidence_intervals, record_of
from .matching import (
    MATCH_DISTANCE,
    as_mask,
    count,
    count_targets,
    evaluate,
    evaluate_images,
    match_targets,
)
from .names import METRICS, Metric

__all__ = [
    "FA_LIMIT",
    "INTERVAL_METHOD",
    "MATCH_DISTANCE",
    "METRICS",
    "SIZE_CLASSES",
    "Counts",
    "Metric",
    "TargetCounts",
    "as_mask",
    "confidence_intervals",
    "count",
    "count_targets",
    "evaluate",
    "evaluate_images",
    "match_targets",
    "record_of",
]
