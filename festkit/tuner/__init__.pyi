"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .threshold_tuner import ThresholdTuner as ThresholdTuner
