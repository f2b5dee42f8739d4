"""The paper's tables: what they train, where their rows come from, ours beside the paper's.

Reading order: `specs` (what a table trains, at which cost), `trainings`, `plan` (as jobs), `paper`
(the paper's numbers), `runs` (the runs that fill rows), `records`, `results`, `compare` (ours
beside the paper's), `render` (text, Markdown, LaTeX, HTML),
`selection` (which scales to fuse, which images to show).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
