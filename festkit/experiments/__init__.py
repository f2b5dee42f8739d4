"""What every table of the paper trains, at three costs: smoke, quick and paper.

A profile says how large and how long, a table which networks, sizes and losses; together they give
trainings, some of which several tables share.

Reading order: `profiles`, `trainings` (one training), `tables` (those of a table), `carrying`
(carrying them out in this process; `jobs` does so in many).
"""

from .._paper import TABLES, find_table
from .carrying import make_scenes, train_all, training_config
from .profiles import PROFILES, Profile, find_profile
from .tables import paper_dataset, table_trainings
from .trainings import Training

__all__ = [
    "PROFILES",
    "TABLES",
    "Profile",
    "Training",
    "find_profile",
    "find_table",
    "make_scenes",
    "paper_dataset",
    "table_trainings",
    "train_all",
    "training_config",
]
