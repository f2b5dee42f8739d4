"""How large and how long: the three costs at which every table can be had."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._names import find_name

SMALL = ("ACM", "ALCNet", "ALCNet-LC")
"""Networks that are quick, and need many steps; the others are slow and learn in fewer."""

LAST = {"protocol": "last"}
"""The last epoch is kept: no image is kept from training, and the test images choose nothing."""

PAPER = {"epochs": 300, "learning_rate": 5e-4, "schedule": "constant", "protocol": "paper"}
"""The paper's recipe (section IV); the test images choose the epoch."""


@dataclass(frozen=True)
class Profile:
    """A cost.

    Attributes:
        scale: what the paper's input sizes are divided by.
        backbone: the network of all tables but the one that compares networks.
        small: fields of ``TrainConfig`` for small networks.
        large: fields of ``TrainConfig`` for the others.
        further: epochs at every other size than the first, continued from the weights of the first;
            0 trains every size from its start, as the paper does.
        scenes: options of ``make_synthetic_dataset``, where scenes are made.

    Example:
        >>> find_profile("smoke").size(512)
        128
    """

    scale: int
    backbone: str
    small: Mapping[str, Any]
    large: Mapping[str, Any]
    further: int
    scenes: Mapping[str, Any] = field(default_factory=dict)

    def size(self, paper: int) -> int:
        """The input size [px] that stands for one of the paper's."""
        return paper // self.scale

    def options(self, backbone: str) -> dict[str, Any]:
        """Fields of ``TrainConfig`` for a network.

        Example:
            >>> find_profile("paper").options("ACM")["epochs"]
            300
        """
        return dict(self.small if backbone in SMALL else self.large)


PROFILES = {
    "smoke": Profile(
        scale=4,
        backbone="ACM",
        small={"epochs": 10, "batch_size": 4, "learning_rate": 6e-3, "average_decay": 0.9} | LAST,
        large={"epochs": 1, "batch_size": 2, "learning_rate": 2e-3, "average_decay": 0.8} | LAST,
        further=1,
        scenes={"train": 16, "test": 16, "size": 128, "preset": "easy"},
    ),
    "quick": Profile(
        scale=2,
        backbone="ACM",
        small={"epochs": 80, "learning_rate": 3e-3} | LAST,
        large={"epochs": 40, "learning_rate": 1e-3} | LAST,
        further=20,
        scenes={"train": 160, "test": 80, "size": 256, "preset": "nuaa"},
    ),
    "paper": Profile(
        scale=1,
        backbone="MSDA-Net",
        small=PAPER,
        large=PAPER,
        further=0,
        scenes={"train": 600, "test": 200, "size": 512, "preset": "nuaa"},
    ),
}
"""Profiles by name. "smoke" proves in minutes that everything runs; its networks have hardly begun
to learn. "quick" takes hours on a CPU: half the sizes, weights continued from size to size. "paper"
is the paper's recipe, for a GPU; the test images choose the epoch there, as in the paper."""


def find_profile(name: str) -> Profile:
    """A profile by its name.

    Raises:
        ValueError: for an unknown name, with the known ones.

    Example:
        >>> find_profile("quick").backbone
        'ACM'
    """
    return PROFILES[find_name("profile", name, PROFILES)]
