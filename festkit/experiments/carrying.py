"""Trainings carried out one after the other in this process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._run import Run, TrainConfig
from ..scenes import make_synthetic_dataset
from ..training import train
from .profiles import find_profile
from .trainings import Training


def make_scenes(out: str | Path, profile: str = "smoke", *, seed: int = 0) -> Path:
    """The synthetic scenes of a profile, in ``out/scenes``; made once.

    Args:
        out: folder.
        profile: smoke, quick or paper.
        seed: of the scenes.

    Returns:
        The dataset's folder.

    Raises:
        ValueError: for an unknown profile.
        FileExistsError: if the folder holds other scenes.

    Example:
        >>> import tempfile
        >>> from festkit.data import load_dataset
        >>> len(load_dataset(make_scenes(tempfile.mkdtemp()), "train"))
        16
    """
    return make_synthetic_dataset(Path(out) / "scenes", seed=seed, **find_profile(profile).scenes)


def training_config(
    training: Training, dataset: str | Path, out: str | Path, *, seed: int = 0, **places: Any
) -> TrainConfig:
    """The configuration of a training on a dataset; what it starts from lies under ``out``, too.

    Args:
        training: what is trained.
        dataset: name or folder.
        out: folder of all trainings; this one's is named after it.
        seed: of initialisation, batches and augmentation.
        places: fields of ``TrainConfig`` that say where it runs, such as data_root and device.

    Example:
        >>> config = training_config(Training("ACM", 128, "EEDM"), "NUAA-SIRST", "runs")
        >>> config.folder.name
        'acm-128-eedm'
    """
    start = training.start
    return TrainConfig(
        str(dataset),
        backbone=training.backbone,
        size=training.size,
        loss=training.loss,
        loss_options=training.loss_options,
        initial_weights=str(Run(Path(out) / start.name).weights) if start else None,
        seed=seed,
        out=str(Path(out) / training.name),
        **training.options,
        **places,
    )


def train_all(
    rows: Mapping[str, Sequence[Training]],
    dataset: str | Path,
    out: str | Path,
    *,
    seed: int = 0,
    **places: Any,
) -> dict[str, list[str]]:
    """Train what the rows of a table need, each training once, and say where it lies.

    Finished trainings are not repeated, killed ones continue.

    Args:
        rows: the scales of every row, as :func:`table_trainings` gives them.
        dataset: name or folder.
        out: folder of all trainings.
        seed: of initialisation, batches and augmentation.
        places: fields of ``TrainConfig`` that say where it runs, such as data_root and device.

    Returns:
        The run folders of every row.

    Raises:
        FileExistsError: if a folder holds another training, for instance of another profile.

    Example:
        >>> import tempfile
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> scenes = make_synthetic_dataset(folder / "scenes", train=2, test=1, size=64)
        >>> options = {"epochs": 1, "batch_size": 2, "protocol": "last"}
        >>> first = Training("ACM", 32, "EEDM", options=options)
        >>> further = Training("ACM", 48, "EEDM", {}, options, first)
        >>> rows = {"LW-FEST": [first], "FEST": [first, further]}
        >>> [Path(run).name for run in train_all(rows, scenes, folder / "runs")["FEST"]]
        ['acm-32-eedm', 'acm-48-eedm']
    """
    trainings = [training for scales in rows.values() for training in scales]
    starts = [training.start for training in trainings if training.start]
    for training in {training.name: training for training in [*starts, *trainings]}.values():
        train(training_config(training, dataset, out, seed=seed, **places))
    return {
        row: [str(Path(out) / training.name) for training in scales] for row, scales in rows.items()
    }
