"""A training's configuration: every setting that decides the outcome, checked when it is made."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from .._support.errors import InputError
from .._support.names import LOSS_NAMES, Precision, find_name
from ..backbones import backbone_card, backbone_name, check_options, said_number
from ..data.catalogue import dataset_name

if TYPE_CHECKING:
    from torch.nn import Module
else:
    Module = object

Protocol = Literal["holdout", "paper", "last"]

CHOICES: dict[str, tuple[str, ...]] = {
    "protocol": get_args(Protocol),
    "precision": get_args(Precision),
    "schedule": ("cosine", "constant"),
    "cache_on": ("device", "host"),
}

RUNTIME_PARAMETERS = ("out", "data_root", "device", "cache_on", "workers", "threads")
"""Fields that say where a run is, not what comes out."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run.

    Attributes:
        dataset: name of a known set, a folder, or a union such as "NUAA-SIRST+NUDT-SIRST".
        size: side of the square network input [px]; a multiple of the backbone's divisor.
        backbone: a name of the catalogue, or any network (N, C, H, W) -> logits (N, 1, H, W);
            a network that does not take 3 channels says so in an attribute ``in_channels``.
        backbone_options: options of a catalogue's backbone, such as ``{"base": True}`` of MLCL-Net;
            with ``{"deep_supervision": True}`` the loss is the mean over all outputs.
        loss: BCE, SoftIoU, Dice, EE, DM or EEDM.
        loss_options: options of the loss, such as ``{"edge_weight": 4, "keep_ratio": 0.5}``.
        epochs: passes over the training images.
        batch_size: images per step, at least 2.
        accumulate: batches whose gradients make one update.
        crop: side [px] of random squares of the resized training images, half of them on a target,
            to train on: a step costs less; None trains on whole images.
        natural_epochs: last epochs of squares in which these lie anywhere, so that the network sees
            the natural share of targets.
        whole_epochs: epochs on whole images after those of squares; there the learning rate starts
            again at a sixth of ``learning_rate``.
        learning_rate: highest rate of AdamW.
        schedule: "cosine" falls to zero, "constant" stays, as published.
        warmup_steps: updates of linear rise before, at most a quarter of all.
        weight_decay: of AdamW.
        clip_norm: largest norm of the gradient; None leaves it as it is.
        ema_decay: share of the running average of the weights that an update keeps, in [0, 1);
            0 keeps the last weights.
        protocol: what chooses the epoch: "holdout", a part of the training images that is not
            trained on, whose best thresholds are recorded, too, but not applied; "paper", the test
            images; "last", nothing.
        holdout: that part, as a share of the training images.
        validate_every: epochs between two looks at the images that choose.
        seed: of initialisation, batches and augmentation.
        initial_weights: weights file to start from; None starts at the prior, which sets the output
            layer anew, also of a network passed as such: continue trained weights by their file.
        precision: "fp32", "bf16", "fp16" (on CUDA), or "auto": bf16 where the hardware multiplies
            it.
        compile: let torch.compile build the network; minutes at first, worth it on CUDA.
        device: "cpu", "cuda", "mps", or "auto": the fastest at hand.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        out: run folder; None names one under ``runs`` after the configuration.
        cache_on: "device" keeps the training images there; "host" in main memory, for large sets.
        workers: threads that prepare batches ahead; 0 prepares each when it is needed.
        threads: CPU threads to compute with; None takes one per idle CPU, measured at the start,
            and a run that continues takes as many as it began with. Other numbers round otherwise.

    Raises:
        ValueError: for a value out of range or an unknown name.

    Example:
        >>> TrainConfig("NUAA-SIRST", size=256, loss="BCE").folder.name
        'nuaa-sirst-acm-256-bce-seed0'
    """

    dataset: str
    size: int
    backbone: str | Module = "ACM"
    backbone_options: Mapping[str, bool | float] = field(default_factory=dict)
    loss: str = "EEDM"
    loss_options: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 80
    batch_size: int = 8
    accumulate: int = 1
    crop: int | None = None
    natural_epochs: int = 0
    whole_epochs: int = 0
    learning_rate: float = 3e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_norm: float | None = None
    ema_decay: float = 0.998
    protocol: Protocol = "holdout"
    holdout: float = 0.15
    validate_every: int = 5
    seed: int = 0
    initial_weights: str | None = None
    precision: Precision = "auto"
    compile: bool = False
    device: str = "auto"
    data_root: str | None = None
    out: str | None = None
    cache_on: Literal["device", "host"] = "device"
    workers: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 2, "accumulate": 1, "warmup_steps": 0}
        least |= {"validate_every": 1, "workers": 0, "natural_epochs": 0, "whole_epochs": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least {low}")
        self._check_ranges()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                known = ", ".join(choices)
                raise InputError(f"{name} is {getattr(self, name)!r}, expected one of {known}")
        if self.threads is not None:
            from .._support.devices import check_threads  # help and lists need no torch

            check_threads(self.threads)
        find_name("loss", self.loss, LOSS_NAMES)
        if self.loss_options:
            from ..losses import create_loss

            create_loss(self.loss, **self.loss_options)
        check_size(self.size, self.backbone)
        if self.crop is not None:
            check_size(self.crop, self.backbone, name="crop")
            if self.crop > self.size:
                raise InputError(f"crop is {self.crop}, expected at most the size, {self.size}")
        self._check_crop_epochs()
        check_options(self.backbone, self.backbone_options)

    def _check_ranges(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}, expected a number above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"weight_decay is {self.weight_decay}, expected a number from 0 on")
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay is {self.ema_decay}, expected it in [0, 1)")
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise InputError(f"clip_norm is {self.clip_norm}, expected a number above 0, or None")
        if not -(2**63) <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}, expected a whole number of 64 bit")
        if not 0 < self.holdout < 1:
            raise InputError(f"holdout is {self.holdout}, expected a share in (0, 1)")

    def _check_crop_epochs(self) -> None:
        late = self.natural_epochs + self.whole_epochs
        if late and self.crop is None:
            raise InputError("natural_epochs and whole_epochs follow squares: set crop, too")
        if late > self.epochs:
            raise InputError(
                f"natural_epochs and whole_epochs are {late} in all, expected at most epochs, "
                f"{self.epochs}"
            )

    def squares_of(self, epoch: int) -> tuple[int | None, float]:
        """The squares of an epoch, counted from 0: their side, and how many hold a target.

        Returns:
            Side [px], or None for whole images; share of the squares drawn on a target, in [0, 1].

        Example:
            >>> config = TrainConfig("sky", 256, epochs=9, crop=128, natural_epochs=3)
            >>> config.squares_of(5), config.squares_of(6)
            ((128, 0.5), (128, 0.0))
        """
        whole_from = self.epochs - self.whole_epochs
        if self.crop is None or epoch >= whole_from:
            return None, 0.0
        return self.crop, 0.0 if epoch >= whole_from - self.natural_epochs else 0.5

    @property
    def folder(self) -> Path:
        """The run folder."""
        if self.out is not None:
            return Path(self.out)
        options = [f"{name}={value}" for name, value in self.backbone_options.items()]
        network = [backbone_name(self.backbone), *options]
        parts = [dataset_name(self.dataset), *network, str(self.size), self.loss]
        return Path("runs") / "-".join([*parts, f"seed{self.seed}"]).lower()

    def plain(self) -> dict[str, Any]:
        """The configuration as JSON values, without what does not decide the outcome.

        A known dataset counts by its name, however it is spelled, another folder by its own.

        Example:
            >>> TrainConfig("NUAA-SIRST", size=256).plain()["loss"]
            'EEDM'
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in RUNTIME_PARAMETERS:
            del values[name]
        names = {
            "backbone": backbone_name(self.backbone),
            "loss": find_name("loss", self.loss, LOSS_NAMES),
            "backbone_options": dict(self.backbone_options),
            "loss_options": dict(self.loss_options),
            "dataset": dataset_name(self.dataset),
        }
        return values | names

    def command(self) -> str:
        """The command line that trains this configuration, with the datasets in FESTKIT_DATA.

        Example:
            >>> TrainConfig("NUAA-SIRST", size=256, loss="BCE").command()
            'festkit train --dataset NUAA-SIRST --size 256 --loss BCE'
        """
        words = ["festkit", "train"]
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in RUNTIME_PARAMETERS or value in (option.default, {}):
                continue
            value = backbone_name(self.backbone) if option.name == "backbone" else value
            pairs = value.items() if isinstance(value, Mapping) else [(value,)]
            pairs = [] if value is True else pairs  # a switch
            flag = "--" + option.name.replace("_", "-")
            words += [flag, *(str(part) for pair in pairs for part in pair)]
        return shlex.join(words)


DEFAULTS = {f.name: f.default for f in fields(TrainConfig) if f.default is not MISSING}
"""Of every option that has one: what a record means that was written before the option came."""


def check_size(size: int, backbone: str | Module, *, name: str = "size") -> None:
    """Refuse a size of the square network input that a backbone cannot take.

    Args:
        size: side of the square [px].
        backbone: its name, or a network.
        name: what the message calls the size.

    Raises:
        ValueError: for an unknown backbone, or with the next size that fits.

    Example:
        >>> check_size(256, "ACM")
    """
    known = backbone_card(backbone) if isinstance(backbone, str) else backbone
    divisor = said_number(known, "divisor", 1)
    if not isinstance(size, int):
        raise InputError(f"{name} is {size!r}, expected a whole number of px")
    smallest = said_number(known, "smallest", divisor)
    if size < smallest or size % divisor:
        fit = -(-max(size, smallest) // divisor) * divisor
        raise InputError(
            f"{name} {size} px is not a positive multiple of {divisor}, which "
            f"{backbone_name(backbone)} needs; the next size that fits is {fit}"
        )


FORMER_NAMES = {"average_decay": "ema_decay", "compiled": "compile"}
"""What fields were called in configurations and cards of earlier versions."""


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a configuration or card, under the names that its fields have now.

    Example:
        >>> current_names({"average_decay": 0.99, "size": 256})
        {'ema_decay': 0.99, 'size': 256}
    """
    return {FORMER_NAMES.get(name, name): value for name, value in values.items()}
