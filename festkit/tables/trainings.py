"""Trainings of the tables: cost profiles, configurations, and running them in sequence."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._support.names import find_name
from ..training.config import TrainConfig
from ..training.run import Run

SMALL = ("ACM", "ALCNet", "ALCNet-LC")
"""Small networks: their steps are fast, but they need many of them."""


@dataclass(frozen=True)
class Profile:
    """How much the tables cost: sizes, networks and epochs.

    Attributes:
        scale: divisor of the paper's input sizes.
        backbone: the network of all tables but the one that compares networks.
        small: fields of ``TrainConfig`` for small networks.
        large: fields of ``TrainConfig`` for the others.
        further: epochs at every size but the first, continued from the weights of the first; 0
            trains every size from scratch, as the paper does.
        scenes: options of ``make_synthetic_dataset`` for the synthetic dataset.

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
        """The input size [px] for one of the paper's."""
        return paper // self.scale

    def options(self, backbone: str) -> dict[str, Any]:
        """Fields of ``TrainConfig`` for a network.

        Example:
            >>> find_profile("paper").options("ACM")["epochs"]
            300
        """
        return dict(self.small if backbone in SMALL else self.large)


_FILE = Path(__file__).with_name("profiles.toml")

_VALUES = tomllib.loads(_FILE.read_text(encoding="utf-8"))

PROFILES = {name: Profile(**values) for name, values in _VALUES.items()}
"""Profiles by name. "smoke" checks within minutes that everything runs; its networks learn little.
"quick" takes hours on a CPU: half the sizes, weights continued from size to size. "paper" is the
paper's recipe, for a GPU; the test images choose the epoch, as in the paper."""


def find_profile(name: str) -> Profile:
    """A profile by its name.

    Raises:
        ValueError: for an unknown name, with the known ones.

    Example:
        >>> find_profile("quick").backbone
        'ACM'
    """
    return PROFILES[find_name("profile", name, PROFILES)]


@dataclass(frozen=True)
class Training:
    """A network at one size with one loss.

    Attributes:
        backbone: name of the network.
        size: side of its square input [px].
        loss: name of the loss.
        loss_options: options of the loss that differ from its defaults.
        options: further fields of ``TrainConfig``.
        start: the training whose weights it starts from; None trains from scratch.

    Example:
        >>> Training("ACM", 128, "EEDM").name
        'acm-128-eedm'
    """

    backbone: str
    size: int
    loss: str
    loss_options: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    start: "Training | None" = None

    @property
    def name(self) -> str:
        """What is trained, for a folder."""
        parts = [f"{name}={value:g}" for name, value in self.loss_options.items()]
        return "-".join([self.backbone, str(self.size), self.loss, *parts]).lower()


def first_training(
    profile: Profile, backbone: str, size: int, loss: str = "EEDM", **loss_options: float
) -> Training:
    """A training from scratch.

    Example:
        >>> from festkit.tables import find_profile
        >>> first_training(find_profile("smoke"), "ACM", 128).options["epochs"]
        10
    """
    return Training(backbone, size, loss, loss_options, profile.options(backbone))


def further_training(profile: Profile, first: Training, size: int) -> Training:
    """The same training at another size: from the first weights at half the rate, or from scratch.

    Example:
        >>> from festkit.tables import find_profile
        >>> smoke = find_profile("smoke")
        >>> training = further_training(smoke, first_training(smoke, "ACM", 128), 192)
        >>> training.start.size, training.options["epochs"]
        (128, 1)
    """
    if size == first.size:
        return first
    options = dict(first.options)
    if profile.further:
        options |= {"epochs": min(profile.further, options["epochs"])}
        options |= {"learning_rate": options["learning_rate"] / 2}
    start = first if profile.further else None
    return Training(first.backbone, size, first.loss, first.loss_options, options, start)


def make_scenes(out: str | Path, profile: str = "smoke", *, seed: int = 0) -> Path:
    """Make the synthetic dataset of a profile in ``out/scenes``, unless it is there.

    Args:
        out: parent folder of the dataset.
        profile: smoke, quick or paper.
        seed: random seed of the scenes.

    Returns:
        The dataset's folder.

    Raises:
        ValueError: for an unknown profile.
        FileExistsError: if the folder contains other scenes.

    Example:
        >>> import tempfile
        >>> from festkit.data import load_dataset
        >>> len(load_dataset(make_scenes(tempfile.mkdtemp()), "train"))
        16
    """
    from ..scenes import make_synthetic_dataset  # noqa: PLC0415 - `tables list` needs no scenes

    return make_synthetic_dataset(Path(out) / "scenes", seed=seed, **find_profile(profile).scenes)


def training_config(
    training: Training,
    dataset: str | Path,
    out: str | Path,
    *,
    seed: int = 0,
    **places: Any,
) -> TrainConfig:
    """The configuration of a training on a dataset.

    Args:
        training: what is trained.
        dataset: name or folder.
        out: parent folder of the run, and of the run of ``training.start``.
        seed: random seed of initialisation, batches and augmentation.
        places: fields of ``TrainConfig`` that do not affect the result, such as device.

    Example:
        >>> config = training_config(Training("ACM", 128, "EEDM"), "NUAA-SIRST", "runs")
        >>> config.folder.name
        'acm-128-eedm'
    """
    start = training.start and Run(Path(out) / training.start.name)
    same = {name: getattr(training, name) for name in ("backbone", "size", "loss", "loss_options")}
    files: Any = {"initial_weights": str(start.weights) if start else None}
    files["out"] = str(Path(out) / training.name)
    return TrainConfig(str(dataset), seed=seed, **same, **files, **training.options, **places)


def train_all(
    rows: Mapping[str, Sequence[Training]],
    dataset: str | Path,
    out: str | Path,
    *,
    seed: int = 0,
    **places: Any,
) -> dict[str, list[str]]:
    """Run the trainings of all rows of a table, each once.

    Finished trainings are skipped, interrupted ones continue.

    Args:
        rows: the scales of every row, as :func:`table_trainings` gives them.
        dataset: name or folder.
        out: folder of all trainings.
        seed: random seed of initialisation, batches and augmentation.
        places: fields of ``TrainConfig`` that do not affect the result, such as device.

    Returns:
        The run folders by row.

    Raises:
        FileExistsError: if a folder contains another training, for example of another profile.

    Example:
        >>> rows = {"fused": [Training("ACM", size, "EEDM") for size in (256, 384)]}
        >>> train_all(rows, "NUAA-SIRST", "runs")  # doctest: +SKIP
        {'fused': ['runs/acm-256-eedm', 'runs/acm-384-eedm']}
    """
    from ..training.trainer import train  # noqa: PLC0415 - `tables list` needs no torch

    trainings = [training for scales in rows.values() for training in scales]
    starts = [training.start for training in trainings if training.start]
    for training in {training.name: training for training in [*starts, *trainings]}.values():
        train(training_config(training, dataset, out, seed=seed, **places))
    parent = Path(out)
    return {row: [str(parent / each.name) for each in scales] for row, scales in rows.items()}
