"""Measuring a network during training, and choosing among its epochs.

Three protocols. "holdout": a part of the training images, drawn by the seed and not trained on,
chooses the epoch; the thresholds that are best on it are recorded, not applied. "paper": the test
images choose the epoch, the habit of the published code. "last": nothing is chosen.
"""

from collections.abc import Iterable
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
from ..data.dataset import Dataset, Sample
from ..metrics import FA_LIMIT, Counts, count, evaluate_images, record_of
from ..ops.components import binarize
from ..sensitivity import adjust_sensitivity
from ..surface import threshold_surface
from .batches import TrainingImages
from .config import TrainConfig

CALIBRATION_BATCHES = 12
"""Batches over which the batch-norm statistics of the averaged weights are measured."""

PAPER_FROM = 100
"""Epochs after which the paper's protocol looks at the test images; in short runs two thirds."""

TH1_GRID, TH2_GRID = np.linspace(0.1, 0.9, 33), np.linspace(0.02, 0.5, 25)
"""Thresholds among which those of the holdout are chosen."""

Maps = dict[str, NDArray[np.float32]]

Masks = dict[str, NDArray[np.bool_]]


def split_holdout(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, Dataset]:
    """The images to train on and, for the holdout protocol, those that choose: at least one.

    Raises:
        ValueError: if fewer than two images to train on would remain.

    Example:
        >>> from festkit.data import Pair
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
            f"of {dataset.name} and leaves too few to train on, at least 2 are needed: lower "
            "holdout, or take protocol='last'"
        )
    order = np.random.default_rng(config.seed % 2**32).permutation(len(dataset))
    chosen = set(order[:held].tolist())
    parts = ([k for k in range(len(dataset)) if k not in chosen], sorted(chosen))
    train, held_out = (
        replace(dataset, pairs=tuple(dataset.pairs[k] for k in part)) for part in parts
    )
    return train, held_out


def first_choice(config: TrainConfig) -> int | None:
    """Epochs after which a protocol starts to choose; None if it never does.

    Example:
        >>> first_choice(TrainConfig("NUAA-SIRST", size=256, epochs=300, protocol="paper"))
        100
    """
    first = {"paper": min(PAPER_FROM, 2 * config.epochs // 3), "holdout": config.epochs // 2}
    return first.get(config.protocol)


def calibrate(network: nn.Module, config: TrainConfig, images: TrainingImages) -> None:
    """Measure batch-norm statistics on random training images, and switch to eval mode."""
    torch.manual_seed(config.seed)
    order = torch.randperm(len(images), generator=Generator().manual_seed(config.seed))
    starts = range(0, max(len(images) - 1, 1), config.batch_size)[:CALIBRATION_BATCHES]
    channels = input_channels(network)
    grays = (images.at(order[start : start + config.batch_size])[0] for start in starts)
    update_bn((images.normalised(gray.float() / 255, channels) for gray in grays), network)
    network.eval()


def map_images(
    network: nn.Module,
    config: TrainConfig,
    images: TrainingImages,
    dataset: Dataset,
) -> tuple[Maps, Masks]:
    """Probability maps and masks of a dataset by name, at the images' own sizes."""
    maps, masks = Maps(), Masks()
    for sample in progress(dataset, f"mapping {dataset.split} images", unit="image"):
        maps[sample.name] = _map(network, config, images, sample)
        masks[sample.name] = sample.mask
    return maps, masks


def judge(
    network: nn.Module, config: TrainConfig, images: TrainingImages, dataset: Dataset
) -> Counts:
    """Counts at th1 = 0.5, without weak targets; every image is read once."""
    found = (count(binarize(_map(network, config, images, s), 0.5), s.mask) for s in dataset)
    return sum(found, Counts())


def _map(
    network: nn.Module, config: TrainConfig, images: TrainingImages, sample: Sample
) -> NDArray[np.float32]:
    return probability_map(network, sample.image, config.size, mean=images.mean, std=images.std)


def figures(maps: Maps, masks: Masks) -> list[dict[str, Any]]:
    """Counts, ratios and their intervals, without and with adjustable sensitivity at 0.5 / 0.1."""
    truth = list(masks.values())
    plain = (binarize(maps[name], 0.5) for name in masks)
    refined = (adjust_sensitivity(maps[name], 0.5, 0.1).mask for name in masks)
    return [_row(None, plain, truth), _row(0.1, refined, truth)]


def _row(
    th2: float | None, preds: Iterable[NDArray[np.bool_]], masks: list[NDArray[np.bool_]]
) -> dict[str, Any]:
    return {"th1": 0.5, "th2": th2, **record_of(evaluate_images(preds, masks))}


def best_thresholds(maps: Maps, masks: Masks) -> dict[str, Any] | None:
    """Thresholds with the highest Score under the false-alarm limit; None if none keeps it."""
    ordered = [maps[name] for name in masks]
    surface = threshold_surface(ordered, list(masks.values()), TH1_GRID, TH2_GRID)
    allowed = (surface.fa < FA_LIMIT) & ~np.isnan(surface.score)
    if not allowed.any():
        return None
    th1, th2, counts = surface.best()
    return {"th1": th1, "th2": th2, **counts.record()}
