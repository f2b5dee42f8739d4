"""Procedural infrared scenes with exact masks: the data that festkit can always make itself.

A scene is painted in radiance by one of six background families (`FAMILIES`), seen through a
sensor (optics, gain control, noise, stripes, bad pixels, 8 bit), and carries targets drawn at a
stated local signal-to-clutter ratio. `PRESETS` say how hard a set is.

Reading order: `scene` (the whole), `presets`, the backgrounds `sky`, `ground`, `city`,
`highlight` on the tools of `fields`, then `sensor`, `shapes`, `targets`, `dataset`.
"""

from ..data.statistics import local_scr
from .dataset import make_synthetic_dataset
from .presets import PRESETS, Preset
from .scene import FAMILIES, Scene, make_scene
from .targets import SceneTarget

__all__ = [
    "FAMILIES",
    "PRESETS",
    "Preset",
    "Scene",
    "SceneTarget",
    "local_scr",
    "make_scene",
    "make_synthetic_dataset",
]
