"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .detector import Detector as Detector
from .detector import normalize_map as normalize_map
from .registry import create_detector as create_detector
from .registry import list_detectors as list_detectors
from .thresholds import best_threshold as best_threshold
from .thresholds import detect as detect
