"""Figures: detections over their image, statistics of a dataset, curves and comparisons.

Every function returns a Matplotlib figure in a common style (`style`); save it with
:func:`save_figure`. Colours are colour-blind safe, and every mark has its own shape.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
