"""festkit: the FEST framework for infrared small target (SIRST) detection.

Public names are looked up lazily, so that ``import festkit`` pulls in neither torch nor matplotlib.

Example:
    >>> import festkit as fk
    >>> "ACM" in fk.list_backbones()
    True
"""

import warnings

from ._support.lazy import lazy_names

__version__ = "0.1.0"

_lookup, __dir__, __all__ = lazy_names(__name__, __file__)
_FORMER = {"open_fest": "open_model"}


def __getattr__(name: str) -> object:
    if name in _FORMER:
        new = _FORMER[name]
        warnings.warn(f"festkit.{name} is now festkit.{new}", FutureWarning, stacklevel=2)
    return _lookup(_FORMER.get(name, name))
