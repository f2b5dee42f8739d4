"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .config import TrainConfig as TrainConfig
from .run import Run as Run
from .stored_maps import PredictedImage as PredictedImage
from .stored_maps import RunMaps as RunMaps
from .stored_maps import open_maps as open_maps
from .trainer import train as train
