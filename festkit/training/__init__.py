"""Training one backbone at one input size: a loop to read, a folder to keep.

Small targets need care where large ones forgive. Under default initialisation a small network
predicts nothing for dozens of epochs, because one pixel in a thousand is target; so the output
layer starts at such a prior (:func:`start_at_prior`). And single steps move the result by many
points; so a running average of the weights is what is kept and measured.

Everything random in an epoch follows from the seed and the epoch's number. A killed run therefore
continues from its last checkpoint and, on the CPU, ends with the same weights as an undisturbed
one.
"""

import copy
import math
import pickle
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from . import __version__
from ._devices import resolve_device, resolve_precision
from ._files import whole_file, write_json
from ._progress import progress
from ._run import Run, TrainConfig, open_run
from .augment import TargetBank, augment, cut_targets
from .backbones import backbone_name, backbone_options, create_backbone
from .components import above
from .data import Dataset, load_dataset
from .fusion import input_channels, network_input, probability_map, resize_image, resize_map
from .losses import create_loss
from .metrics import evaluate
from .sensitivity import adjust_sensitivity
from .weights import load_weights, save_weights

__all__ = ["Run", "TrainConfig", "start_at_prior", "train"]

PRIOR = 0.01
"""Probability of target at which a network starts."""

NARROW = 8
"""An output layer with at most this many inputs is narrow, see :func:`start_at_prior`."""

CALIBRATION_BATCHES = 12
"""Batches over which the batch-norm statistics of the averaged weights are measured."""

CHECKPOINT_SECONDS = 30.0


def train(config: TrainConfig) -> Run:
    """Train, or continue, or just return the run that a configuration describes.

    What is kept is the running average of the weights after the last epoch, its batch-norm
    statistics measured afresh on training images. The test split chooses nothing: it is measured
    once, at the end. A network passed as such is copied, not changed. Torch's global generator is
    seeded.

    Args:
        config: see :class:`TrainConfig`.

    Returns:
        The finished run.

    Raises:
        FileNotFoundError: if the dataset is not there.
        FileExistsError: if the run folder holds a run of another configuration or on other images.
        ValueError: if the device is not at hand, or fewer than two training images are.
        FloatingPointError: if the loss stops being a number.

    Example:
        >>> import tempfile
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = tempfile.mkdtemp()
        >>> scenes = make_synthetic_dataset(f"{folder}/scenes", train=4, test=1, size=64)
        >>> train(TrainConfig(str(scenes), size=64, epochs=1, out=f"{folder}/run")).finished
        True
    """
    device = resolve_device(config.device)
    trainset = load_dataset(config.dataset, "train", root=config.data_root)
    testset = load_dataset(config.dataset, "test", root=config.data_root)
    if len(trainset) < 2:
        raise ValueError(
            f"{trainset.name} has {len(trainset)} training image; at least 2 are needed"
        )
    run = open_run(config, train_split=trainset.fingerprint, test_split=testset.fingerprint)
    if run.finished:
        return run
    images = TrainingImages.read(trainset, config.size, device)
    state = TrainState.start(config, device, epoch_steps=len(_batch_starts(config, images)))
    state.resume(run)

    label = f"{backbone_name(config.backbone)} {config.size} px {config.loss}"
    epochs = range(len(state.history), config.epochs)
    bar = progress(epochs, label, unit="epoch", done=len(state.history), total=config.epochs)
    saved = time.monotonic()
    for epoch in bar:
        row = _train_epoch(config, state, images, epoch)
        state.history.append(row)
        bar.set_postfix_str(
            f"loss {row['loss']:.4f}, train IoU {row['train_iou']:.3f}", refresh=False
        )
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            state.save(run)
            saved = time.monotonic()

    state.save(run)
    _finish(config, run, state.average.module, images, testset)
    return run


@dataclass(frozen=True)
class TrainingImages:
    """A whole training set at one size on the training device.

    Attributes:
        gray: (N, 1, S, S) uint8.
        mask: (N, 1, S, S) bool.
        split: fingerprint of the training split.
        bank: the set's targets, for copy-paste.
        mean: mean over images of the mean gray value, in [0, 1].
        std: mean over images of the gray values' standard deviation, in [0, 1].
    """

    gray: Tensor
    mask: Tensor
    split: str
    bank: TargetBank
    mean: float
    std: float

    @classmethod
    def read(cls, dataset: Dataset, size: int, device: torch.device) -> "TrainingImages":
        """Decode and resize every image once; a set without any target is warned about."""
        shape = (len(dataset), 1, size, size)
        gray, mask = np.empty(shape, np.uint8), np.empty(shape, bool)
        for index, sample in enumerate(progress(dataset, "reading images", unit="image")):
            gray[index, 0] = resize_image(sample.image, size)
            mask[index, 0] = resize_map(sample.mask.astype(np.float32), size) > 0.5
        if not mask.any():
            warnings.warn(
                f"none of the {len(dataset)} training masks of {dataset.name} holds a target at "
                f"{size} px; a network trained on them finds nothing. Check the masks with "
                "check_dataset",
                stacklevel=3,
            )
        mean, std = dataset.statistics()
        if std == 0:
            raise ValueError(f"every training image of {dataset.name} is of one gray level")
        grays, masks = torch.from_numpy(gray), torch.from_numpy(mask)
        bank = cut_targets(grays.float() / 255, masks)
        bank = TargetBank(bank.contrast.to(device), bank.mask.to(device))
        return cls(grays.to(device), masks.to(device), dataset.fingerprint, bank, mean, std)


@dataclass
class TrainState:
    """Everything that changes during training, and nothing else."""

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    history: list[dict[str, float]]

    @classmethod
    def start(cls, config: TrainConfig, device: torch.device, *, epoch_steps: int) -> "TrainState":
        """The state before the first step, of so many in an epoch."""
        torch.manual_seed(config.seed)
        if isinstance(config.backbone, str):
            model = create_backbone(config.backbone, **dict[str, Any](config.backbone_options))
        else:
            model = copy.deepcopy(config.backbone)
        if config.initial_weights is None:
            start_at_prior(model)
        else:
            load_weights(config.initial_weights, model)
        model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        steps = config.epochs * epoch_steps
        warmup = min(config.warmup_steps, steps // 4)
        schedule = LambdaLR(optimizer, lambda step: _rate(step, warmup, steps))
        average = AveragedModel(model, multi_avg_fn=_averaging(config.average_decay))
        return cls(model, average, optimizer, schedule, [])

    def save(self, run: Run) -> None:
        """Write the checkpoint and the history."""
        with whole_file(run.checkpoint) as part:
            torch.save(self._states() | {"history": self.history}, part)
        run.write_history(self.history)

    def resume(self, run: Run) -> None:
        """Continue from the run's checkpoint, if there is one."""
        if run.checkpoint.is_file():
            try:
                states = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
            except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
                raise ValueError(
                    f"{run.checkpoint} is damaged; remove it to train this run afresh"
                ) from error
            self.history = states.pop("history")
            for name, state in states.items():
                getattr(self, name).load_state_dict(state)

    def _states(self) -> dict[str, Any]:
        parts = ("model", "average", "optimizer", "schedule")
        return {name: getattr(self, name).state_dict() for name in parts}


def start_at_prior(backbone: nn.Module) -> None:
    """Let a network start with a probability of target of 0.01 instead of 0.5, in place.

    The bias of the output layer is set to log(0.01 / 0.99). Where that layer sees only a few
    channels after a ReLU, its weights are made positive: were all of them negative, no input could
    raise the output above its bias and the network would never detect.

    Args:
        backbone: its output layers are the convolutions that its method ``output_layers`` returns,
            or else the last one with a single output channel.

    A network without such a layer, or whose layer has no bias, is left as it is, with a warning.

    Example:
        >>> network = nn.Conv2d(3, 1, 1)
        >>> start_at_prior(network)
        >>> round(network.bias.sigmoid().item(), 3)
        0.01
    """
    layers = _output_layers(backbone)
    if not layers or any(layer.bias is None for layer in layers):
        warnings.warn(
            f"{type(backbone).__name__} has no output convolution with a bias to hold the prior; "
            "it starts at a probability of about 0.5 and may predict nothing for many epochs. Name "
            "its output layers in a method output_layers()",
            stacklevel=2,
        )
        return
    for layer in layers:
        with torch.no_grad():
            layer.bias.fill_(math.log(PRIOR / (1 - PRIOR)))  # type: ignore[union-attr]
            if layer.in_channels <= NARROW:
                layer.weight.abs_()


def _output_layers(backbone: nn.Module) -> list[nn.Conv2d]:
    named: Any = getattr(backbone, "output_layers", None)
    if named is not None:
        return list(named())
    single = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 1]
    return single[-1:]


def _rate(step: int, warmup: int, steps: int) -> float:
    """Share of the highest learning rate: linear rise, then a cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def _averaging(decay: float) -> Any:
    """Running average that forgets its first steps: its decay rises to ``decay``."""

    def update(averaged: Any, current: Any, count: Tensor) -> None:
        step = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(averaged, current, count)

    return update


def _batch_starts(config: TrainConfig, images: TrainingImages) -> range:
    """Where the batches of an epoch start; a last batch of one image is left out."""
    return range(0, max(len(images.gray) - 1, 1), config.batch_size)


def _train_epoch(
    config: TrainConfig, state: TrainState, images: TrainingImages, epoch: int
) -> dict[str, float]:
    seed = (config.seed * 1_000_003 + epoch) % 2**63
    generator = Generator().manual_seed(seed)
    torch.manual_seed(seed)
    order = torch.randperm(len(images.gray), generator=generator)
    loss_of = create_loss(config.loss, **config.loss_options)
    device = images.gray.device
    mixed = resolve_precision(config.precision, device) == "bf16"
    total, intersection, union = torch.zeros(3, device=device)
    starts = _batch_starts(config, images)
    state.model.train()
    for start in starts:
        chosen = order[start : start + config.batch_size].to(device)
        gray, mask = augment(
            images.gray[chosen].float() / 255, images.mask[chosen], images.bank, generator
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            outputs = state.model(_normalised(state.model, gray, images))
        outputs = outputs if isinstance(outputs, list) else [outputs]  # main first
        loss = torch.stack([loss_of(logits, mask) for logits in outputs]).mean()
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        state.schedule.step()
        state.average.update_parameters(state.model)
        total += loss.detach()
        intersection += ((outputs[0] > 0) & mask).sum()
        union += ((outputs[0] > 0) | mask).sum()
    mean_loss = total.item() / len(starts)
    if not math.isfinite(mean_loss):
        raise FloatingPointError(
            f"the loss is {mean_loss} in epoch {epoch + 1}; try a lower learning_rate than "
            f"{config.learning_rate}, or precision='fp32'"
        )
    return {
        "epoch": epoch + 1,
        "loss": mean_loss,
        "train_iou": (intersection / union.clamp(min=1)).item(),
        "learning_rate": state.schedule.get_last_lr()[0],
    }


def _normalised(model: nn.Module, gray: Tensor, images: TrainingImages) -> Tensor:
    batch = network_input(gray, mean=images.mean, std=images.std, channels=input_channels(model))
    return batch.contiguous(memory_format=torch.channels_last)


def _finish(
    config: TrainConfig,
    run: Run,
    backbone: nn.Module,
    images: TrainingImages,
    testset: Dataset,
) -> None:
    """Write what is kept of the averaged network: weights, test maps and, last, the record."""
    _calibrate(backbone, config, images)
    card = _card(config, backbone, images)
    save_weights(backbone, run.weights, card)
    run.write_test_maps(
        {
            sample.name: probability_map(
                backbone, sample.image, config.size, mean=images.mean, std=images.std
            )
            for sample in progress(testset, "mapping test images", unit="image")
        }
    )
    tested = {"test_split": testset.fingerprint, "test": _figures(run, testset)}
    write_json(run.folder / "record.json", card | tested)
    run.checkpoint.unlink()


def _calibrate(backbone: nn.Module, config: TrainConfig, images: TrainingImages) -> None:
    """Measure batch-norm statistics on random training images, and switch to eval mode."""
    torch.manual_seed(config.seed)
    order = torch.randperm(len(images.gray), generator=Generator().manual_seed(config.seed))
    starts = _batch_starts(config, images)[:CALIBRATION_BATCHES]
    chosen = (order[start : start + config.batch_size].to(images.gray.device) for start in starts)
    grays = (images.gray[batch].float() / 255 for batch in chosen)
    update_bn((_normalised(backbone, gray, images) for gray in grays), backbone)
    backbone.eval()


def _card(config: TrainConfig, backbone: nn.Module, images: TrainingImages) -> dict[str, Any]:
    """What the weights are and how they came about."""
    device = images.gray.device
    return config.plain() | {
        "in_channels": input_channels(backbone),
        "backbone_options": backbone_options(backbone),
        "train_split": images.split,
        "mean": images.mean,
        "std": images.std,
        "protocol": "last",
        "kept": "running average of the weights, batch-norm statistics of training images",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": resolve_precision(config.precision, device),
        "versions": {"festkit": __version__, "torch": torch.__version__, "numpy": np.__version__},
        "command": config.command(),
    }


def _figures(run: Run, testset: Dataset) -> list[dict[str, Any]]:
    """Counts and ratios on the test split, without and with adjustable sensitivity."""
    maps = run.test_maps()
    masks = [sample.mask for sample in testset]
    plain = evaluate((above(maps[name], 0.5) for name in testset.names), masks)
    found = (adjust_sensitivity(maps[name], 0.5, 0.1).mask for name in testset.names)
    return [
        {"th1": 0.5, "th2": None, **plain.record()},
        {"th1": 0.5, "th2": 0.1, **evaluate(found, masks).record()},
    ]
