"""Procedural infrared scenes with exact masks: the data that festkit can always make itself.

A scene is painted in radiance by one of six background families (`FAMILIES`), seen through a
sensor (optics, gain control, noise, stripes, bad pixels, 8 bit), and carries targets drawn at a
stated local signal-to-clutter ratio. `PRESETS` say how hard a set is.

Reading order: `scene` (the whole), `presets`, the backgrounds `sky`, `ground`, `city`,
`highlight` on the tools of `fields`, then `sensor`, `shapes`, `targets`, `dataset`.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
