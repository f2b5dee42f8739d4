"""festkit: the FEST framework for infrared small target (SIRST) detection.

Public names are looked up lazily, so that ``import festkit`` pulls in neither torch nor matplotlib.

Example:
    >>> import festkit as fk
    >>> "ACM" in fk.list_backbones()
    True
"""

from ._support.lazy import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
