"""Figures: detections over their image, statistics of a dataset, curves and comparisons.

Every function returns a Matplotlib figure in one style (`style`), to be saved by
:func:`save_figure`. Colours suit people with colour blindness, and every mark has its own shape.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
