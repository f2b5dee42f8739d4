"""Metrics: IoU, nIoU, Pd, Fa and Score (paper section 4.2), with confidence intervals.

Images are counted as :class:`Counts` (pixels and targets) or :class:`TargetCounts` (targets,
optionally of one size class). Counts are added over images, and ratios are computed from the sums.
A ratio with denominator 0 is NaN, null in JSON and "–" in print.

Reading order: `counts` (counts and their ratios), `matching` (counting), `intervals`, `names` (how
they are printed), `boxes` (AP50), `protocol` (what else a number depends on).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
