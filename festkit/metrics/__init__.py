"""Metrics: IoU, nIoU, Pd, Fa and Score (paper section 4.2), with confidence intervals.

An image, a worker or a whole test set returns :class:`Counts` (pixels and targets) or
:class:`TargetCounts` (targets, on request of one size), which add; ratios are taken once, at the
end, over everything that was added. A ratio with nothing in its denominator is NaN, null in JSON
and "–" in print.

Reading order: `counts` (what is counted, and its ratios), `matching` (counting), `intervals`,
`names` (how they are printed).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
