"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .dataset import make_synthetic_dataset as make_synthetic_dataset
from .presets import PRESETS as PRESETS
from .presets import Preset as Preset
from .scene import FAMILIES as FAMILIES
from .scene import Scene as Scene
from .scene import local_scr as local_scr
from .scene import make_scene as make_scene
from .targets import SceneTarget as SceneTarget
