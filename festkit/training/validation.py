"""Validation of a network during training, and the choice of an epoch.

There are three protocols. "holdout": the epoch is chosen on held-out training images, drawn by the
seed. Their best thresholds are recorded, not applied. "paper": the epoch is chosen on the test
images, as in the published code. "last": the last epoch is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, nn
from torch.optim.swa_utils import update_bn

from .._support.errors import InputError
from .._support.progress import progress
from ..backbones.contract import input_channels
from ..backbones.forward import probability_map
from ..backbones.scaled import scaled_map
from ..data.dataset import Dataset, Sample
from ..fusion import fuse
from ..metrics import FA_LIMIT, Counts, count, evaluate_images, protocol_of, record_of
from ..ops.components import binarize
from ..sensitivity import adjust_sensitivity
from ..surface import threshold_surface
from .batches import TrainingImages
from .config import TrainConfig
from .squares import NativeImages

CALIBRATION_BATCHES = 12
"""Batches from which the batch-norm statistics of the averaged weights are estimated."""

PAPER_FROM = 100
"""The protocol "paper" chooses among epochs after this one; in short runs after two thirds."""

TH1_GRID, TH2_GRID = np.linspace(0.1, 0.9, 33), np.linspace(0.02, 0.5, 25)
"""Grid of thresholds for the best ones on the holdout."""

Maps = dict[str, NDArray[np.float32]]

Masks = dict[str, NDArray[np.bool_]]


def split_holdout(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, Dataset]:
    """Split off the holdout, at least one image; empty for the other protocols.

    Raises:
        ValueError: if fewer than two images remain to train on.

    Example:
        >>> from festkit.data.pairing import Pair
        >>> from pathlib import Path
        >>> pairs = tuple(Pair(name, Path("a.png"), Path("b.png")) for name in "abcdefghij")
        >>> config = TrainConfig("sky", size=64, holdout=0.2)
        >>> [len(part) for part in split_holdout(Dataset("sky", "train", pairs), config)]
        [8, 2]
    """
    if len(dataset) < 2:
        raise InputError(f"{dataset.name} has {len(dataset)} training image; at least 2 are needed")
    share = max(round(config.holdout * len(dataset)), 1)
    held = share if config.protocol == "holdout" else 0
    if len(dataset) - held < 2:
        raise InputError(
            f"a holdout of {config.holdout:.0%} takes {held} of the {len(dataset)} training images "
            f"of {dataset.name} and leaves fewer than 2 to train on: lower holdout, or use "
            "protocol='last'"
        )
    order = np.random.default_rng(config.seed % 2**32).permutation(len(dataset))
    parts = sorted(order[held:]), sorted(order[:held])
    train, chosen = (tuple(dataset.pairs[index] for index in part) for part in parts)
    return replace(dataset, pairs=train), replace(dataset, pairs=chosen)


def selection_start(config: TrainConfig) -> int | None:
    """Epoch after which the protocol starts choosing; None if it never does.

    Example:
        >>> selection_start(TrainConfig("NUAA-SIRST", size=256, epochs=300, protocol="paper"))
        100
    """
    first = {"paper": min(PAPER_FROM, 2 * config.epochs // 3), "holdout": config.epochs // 2}
    return first.get(config.protocol)


def calibrate(
    network: nn.Module,
    config: TrainConfig,
    images: TrainingImages | NativeImages,
    *,
    quiet: bool = False,
) -> None:
    """Estimate batch-norm statistics on random training images, and switch to eval mode."""
    torch.manual_seed(config.seed)
    order = torch.randperm(len(images), generator=Generator().manual_seed(config.seed))
    starts = range(0, max(len(images) - 1, 1), config.batch_size)[:CALIBRATION_BATCHES]
    channels = input_channels(network)
    bar = progress(starts, "estimating batch-norm statistics", unit="batch", quiet=quiet)
    draws = Generator().manual_seed(config.seed)
    parts = (order[start : start + config.batch_size] for start in bar)
    update_bn((images.natural(part, channels, draws) for part in parts), network)
    network.eval()


def predict(
    network: nn.Module, config: TrainConfig, images: TrainingImages | NativeImages, dataset: Dataset
) -> tuple[Maps, Masks]:
    """Probability maps and masks of a dataset by image name, each at its image's size."""
    maps, masks = Maps(), Masks()
    for sample in progress(dataset, f"predicting {dataset.split} images", unit="image"):
        maps[sample.name] = _map(network, config, images, sample)
        masks[sample.name] = sample.mask
    return maps, masks


def validate(
    network: nn.Module, config: TrainConfig, images: TrainingImages | NativeImages, dataset: Dataset
) -> Counts:
    """Counts over a dataset at th1 = 0.5, without weak targets."""
    found = (count(binarize(_map(network, config, images, s), 0.5), s.mask) for s in dataset)
    return sum(found, Counts())


def _map(
    network: nn.Module, config: TrainConfig, images: TrainingImages | NativeImages, sample: Sample
) -> NDArray[np.float32]:
    """The probability map of a training's network."""
    if config.scales is not None:
        maps = [scaled_map(network, sample.image, factor, config.size) for factor in config.scales]
        return fuse(maps, maps[0].shape)
    return probability_map(network, sample.image, config.size, mean=images.mean, std=images.std)


def metrics_rows(maps: Maps, masks: Masks, scales: Sequence[float] = ()) -> list[dict[str, Any]]:
    """Metrics with intervals at th1 = 0.5, without weak targets and with those above th2 = 0.1."""
    truth = list(masks.values())
    strong = (binarize(maps[name], 0.5) for name in masks)
    refined = (adjust_sensitivity(maps[name], 0.5, 0.1).mask for name in masks)
    return [
        {
            "th1": 0.5,
            "th2": th2,
            **record_of(evaluate_images(preds, truth)),
            "evaluation": protocol_of(0.5, th2, scales=scales).name,
        }
        for th2, preds in ((None, strong), (0.1, refined))
    ]


def best_thresholds(maps: Maps, masks: Masks) -> dict[str, Any] | None:
    """Thresholds with the highest Score at an Fa below the limit; None if there are none."""
    ordered = [maps[name] for name in masks]
    surface = threshold_surface(ordered, list(masks.values()), TH1_GRID, TH2_GRID)
    allowed = (surface.fa < FA_LIMIT) & ~np.isnan(surface.score)
    if not allowed.any():
        return None
    th1, th2, counts = surface.best()
    return {"th1": th1, "th2": th2, **counts.record()}
