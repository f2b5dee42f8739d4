"""The state of a training: network, EMA, optimiser, progress; its checkpoint."""

import math
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .._support.cpus import available_cpus
from .._support.devices import resolve_precision
from .._support.errors import InputError
from .._support.files import atomic_write
from ..backbones import create_backbone
from ..backbones.contract import own_copy
from ..weights import load_weights
from .config import TrainConfig
from .run import Run

SUMS = ("loss", "intersection", "union", "predicted", "overflows")
"""Sums over the steps of an epoch; overflows: fp16 steps whose loss is not finite."""

STATEFUL = ("model", "average", "optimizer", "schedule", "scaler")
"""Parts of the state with a state dict, which a checkpoint holds."""

PLAIN = ("epoch", "step", "history")
"""Plain values of the state in its checkpoint, besides the sums and the threads."""

Row = dict[str, float]


@dataclass
class Best:
    """The best weights so far, of the protocols that choose an epoch.

    Attributes:
        epoch: their epoch.
        value: their validation value; higher is better.
        weights: state dict, on the CPU.
    """

    epoch: int
    value: float
    weights: dict[str, Tensor]


@dataclass
class TrainState:
    """A network in training and its progress.

    Attributes:
        model: the network.
        average: running average (EMA) of its weights.
        optimizer: AdamW.
        schedule: learning-rate schedule.
        sums: (5,) sums over the steps of this epoch, see :data:`SUMS`.
        scaler: gradient scaler; only active for fp16.
        epoch: finished epochs.
        step: finished batches of this epoch.
        history: one row per epoch.
        best: best weights so far.
        saved: start time and duration of the last checkpoint [s].
        threads: CPU threads that the run started with, at most the number of CPUs now.
        seconds: training time up to the last checkpoint; None if partly unknown.
    """

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    sums: Tensor
    scaler: torch.amp.GradScaler
    epoch: int = 0
    step: int = 0
    history: list[Row] = field(default_factory=list)
    best: Best | None = None
    saved: tuple[float, float] = (0.0, 0.0)
    threads: int = field(default_factory=torch.get_num_threads)
    seconds: float | None = 0.0

    @classmethod
    def start(cls, config: TrainConfig, device: torch.device, steps: int) -> "TrainState":
        """The initial state of a run with this number of optimiser updates."""
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
        scaler = torch.amp.GradScaler(device.type, enabled=half)
        return cls(model, average, optimizer, schedule, sums, scaler)

    def after_update(self, decay: float) -> None:
        """Advance the learning rate and the EMA."""
        updates = self.schedule.last_epoch  # counted on the host
        self.schedule.step()
        update_average(self.average, self.model, updates, decay)

    def save(self, run: Run) -> None:
        """Write checkpoint and history."""
        began, (last, _) = time.monotonic(), self.saved
        self.seconds = None if self.seconds is None else self.seconds + began - last
        parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
        plain = {name: getattr(self, name) for name in ("sums", *PLAIN, "threads", "seconds")}
        best = None if self.best is None else vars(self.best)
        with atomic_write(run.checkpoint) as part, part.open("wb") as file:
            try:
                torch.save(parts | plain | {"best": best}, file)
            except RuntimeError as error:  # hides the cause, such as a full disk
                raise (error.__context__ or error) from None
        if self.history:
            run.write_history(self.history)
        self.saved = began, time.monotonic() - began

    def resume(self, run: Run) -> None:
        """Continue from the checkpoint of the run, if there is one."""
        if not run.checkpoint.is_file():
            return
        try:
            states = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
            for name in STATEFUL:
                getattr(self, name).load_state_dict(states.get(name, {}))  # scaler: of fp16 alone
            self.sums[: len(states["sums"])].copy_(states["sums"])  # older ones had four
            for name in PLAIN:
                setattr(self, name, states[name])
            self.seconds = states.get("seconds")  # absent in older checkpoints, as threads
            self.best = None if states["best"] is None else Best(**states["best"])
            begun = states.get("threads", self.threads)
            self.threads = min(begun, max(self.threads, len(available_cpus())))
        except Exception as error:  # damaged bytes raise anything
            raise InputError(
                f"{run.checkpoint} is damaged; delete it to start this run again"
            ) from error


WHOLE_RATE = 1 / 6
"""Learning rate at the start of the epochs on whole images, as a share of the maximum."""


def rate_of(config: TrainConfig, steps: int) -> Any:
    """Learning rate by update, as a share of the maximum: linear warm-up, then cosine or constant.

    The epochs on whole images follow a separate cosine that starts at :data:`WHOLE_RATE`.
    """
    whole = steps * config.whole_epochs // config.epochs
    first = steps - whole
    warmup = min(config.warmup_steps, first // 4)

    def decayed(step: int, of: int) -> float:
        constant = config.schedule == "constant"
        return 1.0 if constant else 0.5 * (1 + math.cos(math.pi * step / max(of, 1)))

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if step < first or not whole:
            return decayed(step - warmup, first - warmup)
        return WHOLE_RATE * decayed(step - first, whole)

    return rate


def update_average(average: AveragedModel, model: nn.Module, updates: int, decay: float) -> None:
    """Update the running average (EMA) of a network.

    Unlike ``AveragedModel.update_parameters`` it does not wait for the device. The decay rises from
    0 to ``decay``, so that early weights are forgotten.

    Args:
        average: the running average.
        model: the network.
        updates: number of earlier updates.
        decay: final share of the average that an update keeps.
    """
    kept = min(decay, (1 + updates) / (10 + updates)) if updates else 0.0
    with torch.no_grad():
        pair = [list(each.parameters()) for each in (average.module, model)]
        get_ema_multi_avg_fn(kept)(*pair, updates)
        for old, new in zip(average.module.buffers(), model.buffers(), strict=True):
            old.copy_(new)
    average.n_averaged += 1


PRIOR = 0.01
"""Initial probability of target."""

NARROW = 8
"""Input channels up to which :func:`init_output_bias` makes output weights positive."""


def init_output_bias(backbone: nn.Module) -> None:
    """Set the output bias so that a network starts at a target probability of 0.01, in place.

    About 0.1 % of all pixels are targets; from 0.5 a small network predicts nothing for dozens of
    epochs. Weights of an output layer with at most 8 input channels are made positive: after a
    ReLU, negative ones alone could never raise the output above its bias.

    Args:
        backbone: a network. Its output layers are those of its method ``output_layers``, else its
            last convolution with one output channel. If there is none, or it has no bias, nothing
            changes and a warning is issued.

    Example:
        >>> network = nn.Conv2d(3, 1, 1)
        >>> init_output_bias(network)
        >>> round(network.bias.sigmoid().item(), 3)
        0.01
    """
    layers = _output_layers(backbone)
    if not layers or any(layer.bias is None for layer in layers):
        warnings.warn(
            f"{type(backbone).__name__} has no output convolution with a bias that could be set to "
            "the prior. It starts at a probability of about 0.5 and may predict nothing for many "
            "epochs. Add a method output_layers() that returns its output layers",
            stacklevel=2,
        )
        return
    for layer in layers:
        with torch.no_grad():
            layer.bias.fill_(math.log(PRIOR / (1 - PRIOR)))  # type: ignore[union-attr]
            if layer.in_channels <= NARROW:
                layer.weight.abs_()


def _output_layers(backbone: nn.Module) -> list[nn.Conv2d]:
    """The layers that give logits."""
    named: Any = getattr(backbone, "output_layers", None)
    if callable(named) and not isinstance(named, nn.Module):  # a submodule may have that name
        return list(named())
    single = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 1]
    return single[-1:]
