"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from . import measure as measure
from .predictions import Predictions as Predictions
from .predictions import open_predictions as open_predictions
from .results import Evaluation as Evaluation
from .results import evaluate_predictions as evaluate_predictions
