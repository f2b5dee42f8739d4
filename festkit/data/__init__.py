"""Datasets: images and masks from any layout, their checks and statistics.

Reading order: `dataset` (a split of images and masks), `folders` (what a folder holds), with
`layouts` (the table), `contents`, `lists` and `pairing` (its files), `images` and `decoding` (one
file), `levels` (more than 8 bit), `weak` (boxes and points), `catalogue` (public datasets),
`unions`, `splitting` (new lists), `wirstd` (the W-IRSTD land/air subset), `check` and `report`
(findings), `statistics` (targets, measured).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
