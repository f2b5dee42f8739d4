"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .catalogue import list_datasets as list_datasets
from .check import check_dataset as check_dataset
from .convert import convert_dataset as convert_dataset
from .dataset import Dataset as Dataset
from .dataset import Sample as Sample
from .dataset import load_dataset as load_dataset
from .splitting import split_dataset as split_dataset
from .statistics import TargetStatistics as TargetStatistics
from .statistics import measure_targets as measure_targets
