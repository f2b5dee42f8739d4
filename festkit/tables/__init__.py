"""The paper's tables: what they train, what the paper prints, and our metrics next to it.

Reading order: `specs` (what each table is), `trainings`, `plan` (as jobs), `paper` (the paper's
numbers), `runs` (the runs that fill rows), `records` (what a run leaves), `compare`, `render`
(text, Markdown, LaTeX, HTML), `describe` (what was measured, in words), `results` (saved and
gathered), `selection` (which scales to fuse, which images to show).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
