"""Procedural infrared scenes with exact masks.

A scene is generated in radiance by one of six background families (`FAMILIES`) and passed through a
sensor model (optics, gain control, noise, stripes, bad pixels, 8 bit). Targets are added at a
stated local signal-to-clutter ratio. `PRESETS` define the difficulty of a set.

Reading order: `scene` (the whole), `presets`, the backgrounds `sky`, `ground`, `city`,
`highlight` on the tools of `fields`, then `sensor`, `shapes`, `targets`, `dataset`.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
