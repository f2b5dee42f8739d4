"""Training-free detectors: the paper's section 2.1, one file per method.

Every detector gives a target map, never a mask. What is detected is decided afterwards, by a named
threshold rule (:mod:`festkit.classical.thresholds`) or by adjustable sensitivity.

The numbers [13] to [15] of the FEST paper's section 2.1 do not lead to the methods that it names;
each detector states its own source.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
