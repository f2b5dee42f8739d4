"""Everything that changes during training, and how it is kept."""

import math
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .._support.devices import available_cpus, resolve_precision
from .._support.errors import InputError
from .._support.files import atomic_write
from ..backbones import create_backbone
from ..backbones.contract import own_copy
from ..weights import load_weights
from .config import TrainConfig
from .run import Run

SUMS = ("loss", "intersection", "union", "predicted", "overflows")
"""What is summed over the steps of an epoch; overflows: fp16 steps whose loss is no number."""

Row = dict[str, float]


@dataclass
class Best:
    """The best weights so far, where a protocol chooses.

    Attributes:
        epoch: number of epochs they were trained for.
        value: what they were chosen by; higher is better.
        weights: of the network, on the CPU.
    """

    epoch: int
    value: float
    weights: dict[str, Tensor]


@dataclass
class TrainState:
    """A network under training, its running average, and how far it has come.

    Attributes:
        model: the network itself.
        average: running average of its weights.
        optimizer: AdamW.
        schedule: of the learning rate.
        sums: (5,) over the steps of this epoch, see :data:`SUMS`.
        scaler: of the loss, in fp16.
        epoch: epochs done.
        step: batches done of this epoch.
        history: a row per epoch.
        best: where the protocol chooses an epoch.
        saved: when the last checkpoint was written, and how long that took [s].
        threads: CPU threads that the run began with, at most as many as there are CPUs now.
    """

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    sums: Tensor
    scaler: Any = None
    epoch: int = 0
    step: int = 0
    history: list[Row] = field(default_factory=list)
    best: Best | None = None
    saved: tuple[float, float] = (0.0, 0.0)
    threads: int = field(default_factory=torch.get_num_threads)

    @classmethod
    def start(cls, config: TrainConfig, device: torch.device, steps: int) -> "TrainState":
        """The state before the first of so many optimiser steps."""
        torch.manual_seed(config.seed)
        if isinstance(config.backbone, str):
            model = create_backbone(config.backbone, **dict[str, Any](config.backbone_options))
        else:
            model = own_copy(config.backbone)
        if config.initial_weights is None:
            init_output_bias(model)
        else:
            load_weights(config.initial_weights, model)
        model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = LambdaLR(optimizer, rate_of(config, steps))
        average = AveragedModel(model)
        sums = torch.zeros(len(SUMS), device=device)
        half = resolve_precision(config.precision, device) == "fp16"
        scaler = torch.amp.GradScaler(device.type) if half else None
        return cls(model, average, optimizer, schedule, sums, scaler)

    def step_on(self, decay: float) -> None:
        """After an update: the next learning rate, and the network into the running average."""
        before = self.schedule.last_epoch  # updates, counted on the host
        self.schedule.step()
        update_average(self.average, self.model, before, decay)

    def save(self, run: Run) -> None:
        """Write the checkpoint and the history."""
        began = time.monotonic()
        parts = {name: getattr(self, name).state_dict() for name in self._stateful()}
        plain = {
            name: getattr(self, name) for name in ("sums", "epoch", "step", "history", "threads")
        }
        best = None if self.best is None else vars(self.best)
        with atomic_write(run.checkpoint) as part, part.open("wb") as file:
            try:
                torch.save(parts | plain | {"best": best}, file)
            except RuntimeError as error:  # it hides the system's own, such as a full disk
                raise (error.__context__ or error) from None
        if self.history:
            run.write_history(self.history)
        now = time.monotonic()
        self.saved = now, now - began

    def resume(self, run: Run) -> None:
        """Continue from the run's checkpoint, if there is one."""
        if not run.checkpoint.is_file():
            return
        try:
            states = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
            for name in self._stateful():
                getattr(self, name).load_state_dict(states[name])
            self.sums[: len(states["sums"])].copy_(states["sums"])  # older ones had four
            for name in ("epoch", "step", "history"):
                setattr(self, name, states[name])
            self.best = None if states["best"] is None else Best(**states["best"])
            begun = states.get("threads", self.threads)  # older checkpoints do not say it
            self.threads = min(begun, max(self.threads, len(available_cpus())))
        except Exception as error:  # damaged bytes raise whatever they happen to spell
            raise InputError(
                f"{run.checkpoint} is damaged; remove it to train this run afresh"
            ) from error

    def _stateful(self) -> tuple[str, ...]:
        parts = ("model", "average", "optimizer", "schedule")
        return parts if self.scaler is None else (*parts, "scaler")


WHOLE_RATE = 1 / 6
"""Share of the highest learning rate at which whole images follow on squares."""


def rate_of(config: TrainConfig, steps: int) -> Any:
    """Share of the highest learning rate at a step: a linear rise, then a cosine or constant.

    Whole images that follow on squares have a cosine of their own, from :data:`WHOLE_RATE` on.
    """
    whole = steps * config.whole_epochs // config.epochs
    first = steps - whole
    warmup = min(config.warmup_steps, first // 4)

    def fallen(step: int, of: int) -> float:
        constant = config.schedule == "constant"
        return 1.0 if constant else 0.5 * (1 + math.cos(math.pi * step / max(of, 1)))

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if step < first or not whole:
            return fallen(step - warmup, first - warmup)
        return WHOLE_RATE * fallen(step - first, whole)

    return rate


def update_average(average: AveragedModel, model: nn.Module, updates: int, decay: float) -> None:
    """Take a network into its running average, which forgets its first steps.

    As ``AveragedModel.update_parameters`` does it, but with a count that is on the host: there the
    host waits for the device in every step.

    Args:
        average: of the networks before.
        model: the network.
        updates: how many networks are in it.
        decay: what it rises to: the share of the average that is kept.
    """
    kept = min(decay, (1 + updates) / (10 + updates)) if updates else 0.0
    with torch.no_grad():
        pair = [list(each.parameters()) for each in (average.module, model)]
        get_ema_multi_avg_fn(kept)(*pair, updates)
        for old, new in zip(average.module.buffers(), model.buffers(), strict=True):
            old.copy_(new)
    average.n_averaged += 1


PRIOR = 0.01
"""Probability of target at which a network starts."""

NARROW = 8
"""An output layer with at most this many inputs is narrow, see :func:`init_output_bias`."""


def init_output_bias(backbone: nn.Module) -> None:
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
        >>> init_output_bias(network)
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
    if callable(named) and not isinstance(named, nn.Module):  # a submodule may bear that name
        return list(named())
    single = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 1]
    return single[-1:]
