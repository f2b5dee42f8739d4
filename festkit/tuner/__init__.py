"""The threshold tuner: th1 and th2 dragged over probability maps, in the notebook.

Everything that moves with the sliders happens in the page, without the kernel: thresholding,
components, weak centroids, matching, painting. The page gets every image once, as numbers that
compare exactly as :func:`festkit.adjust_sensitivity` does, so what it shows is what Python finds.

Reading order: `threshold_tuner`, `frames` (what is tuned), `sources` (where it comes from),
`charts` (metrics of the whole set, messages to the page), `widget`, `export` (pictures), `serve`
(from the command line); then ``page/``.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
