"""Datasets: images and masks from any layout, their checks and statistics.

Reading order: `dataset` (a split of images and masks), `layouts` (where the files are), `images`
(one file), `levels` (more than 8 bit), `catalogue` (public datasets), `check` and `report`
(findings), `statistics` (targets, measured).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
