"""The threshold tuner: drag th1 and th2 over probability maps in a notebook.

Thresholding, components, weak centroids, matching and drawing run in the page, without the kernel.
The page gets every image once, as integers that compare exactly as in
:func:`festkit.adjust_sensitivity`, so it shows what Python finds.

Reading order: `threshold_tuner` (the class), `frames` (one image, a set of images), `sources`
(where maps come from; `map_files`: maps of other programs), `charts` (metrics of the set, messages
to the page), `widget` (answers the page), `export` (static pictures), `serve` (the command line),
`page/`.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
"""Public names with their types; ``__init__.py`` imports them when they are first used."""
