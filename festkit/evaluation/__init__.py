"""Evaluate predictions of any program: maps, masks or boxes, paired with a dataset by name.

Reading order: `predictions` (find, pair and read them; `labels`: boxes of other programs),
`measure` (figures of one method), `method` (score its images, report faults, choose a threshold),
`results` (several methods: differences, table and files).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
