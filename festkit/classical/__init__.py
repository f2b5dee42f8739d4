"""Training-free detectors: the paper's section 2.1, one file per method.

Every detector returns a target map, not a mask. Targets are then detected by a named threshold rule
(:mod:`festkit.classical.thresholds`) or by adjustable sensitivity.

References [13] to [15] in section 2.1 of the FEST paper do not match the methods that it names;
each detector states its own source.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
