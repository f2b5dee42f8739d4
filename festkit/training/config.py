"""The configuration of a training run, checked when it is created."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from .._support.errors import InputError, InputTypeError
from .._support.names import LOSS_NAMES, Precision, find_name
from ..backbones import backbone_card, backbone_name, check_options, integer_attribute
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

RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (lambda v: v >= 1, "at least 1"),
    "batch_size": (lambda v: v >= 2, "at least 2"),
    "accumulate": (lambda v: v >= 1, "at least 1"),
    "natural_epochs": (lambda v: v >= 0, "at least 0"),
    "whole_epochs": (lambda v: v >= 0, "at least 0"),
    "learning_rate": (lambda v: 0 < v < math.inf, "a number above 0"),
    "warmup_steps": (lambda v: v >= 0, "at least 0"),
    "weight_decay": (lambda v: 0 <= v < math.inf, "a number of at least 0"),
    "clip_norm": (lambda v: 0 < v < math.inf, "a number above 0, or None"),
    "ema_decay": (lambda v: 0 <= v < 1, "a number in [0, 1)"),
    "holdout": (lambda v: 0 < v < 1, "a share in (0, 1)"),
    "validate_every": (lambda v: v >= 1, "at least 1"),
    "seed": (lambda v: -(2**63) <= v < 2**63, "an integer of 64 bit"),
    "workers": (lambda v: v >= 0, "at least 0"),
}
"""Valid values of numeric fields."""

MAX_FACTOR = 8
"""Largest scale factor; the smallest is its inverse."""

RUNTIME_PARAMETERS = ("out", "data_root", "device", "cache_on", "workers", "threads")
"""Fields that affect where and how fast a run is computed, but not its result."""


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of a training run.

    Attributes:
        dataset: name of a dataset, a folder, or a union such as "NUAA-SIRST+NUDT-SIRST".
        size: side of the square network input [px]; a multiple of the backbone's divisor. With
            ``scales``, side of the squares and tiles.
        backbone: a name of the catalogue, or any network (N, C, H, W) -> logits (N, 1, H, W). A
            network with other than 3 input channels needs an attribute ``in_channels``.
        backbone_options: options of a backbone of the catalogue, such as ``{"base": True}`` for
            MLCL-Net. With ``{"deep_supervision": True}`` the loss is the mean over all outputs.
        loss: BCE, SoftIoU, Dice, EE, DM or EEDM.
        loss_options: options of the loss, such as ``{"edge_weight": 4, "keep_ratio": 0.5}``.
        epochs: passes over the training images.
        batch_size: images per step, at least 2.
        accumulate: batches per optimiser update; their gradients are averaged.
        crop: side [px] of random training crops, half of which contain a target; smaller crops make
            a step cheaper. None trains on whole images.
        natural_epochs: number of final epochs whose crops, or squares of ``scales``, are at random
            positions, so that the share of target pixels is natural.
        whole_epochs: epochs on whole images after the crop epochs; their learning rate starts at
            a sixth of ``learning_rate``.
        scales: factors by which images are enlarged, such as (1.3, 2.0), instead of being resized
            to a square; inference averages the maps of all factors. The network is trained on
            squares of the native images, enlarged by random factors from the smallest / 1.2 to the
            largest x 1.2. Half of the squares contain a target, except in the last
            ``natural_epochs``.
        learning_rate: maximum learning rate of AdamW.
        schedule: learning-rate schedule: "cosine" decays to zero; "constant" as in the published
            code.
        warmup_steps: updates of linear warm-up, at most a quarter of all.
        weight_decay: weight decay of AdamW.
        clip_norm: maximum gradient norm; None disables clipping.
        ema_decay: decay of the running average (EMA) of the weights, in [0, 1); 0 keeps the last
            weights.
        protocol: images used to choose the epoch. "holdout": held-out training images; their best
            thresholds are recorded, not applied. "paper": the test images. "last": none, the last
            epoch is kept.
        holdout: share of the training images held out by the protocol "holdout".
        validate_every: epochs between validations.
        seed: random seed of initialisation, batches and augmentation.
        initial_weights: weights file to start from. None initialises the output bias at the prior,
            even for a network passed as ``backbone``; to continue from trained weights, pass their
            file.
        precision: "fp32", "bf16", "fp16" (CUDA only), or "auto": bf16 if the hardware supports it.
        compile: use torch.compile; adds minutes at the start, speeds up training on CUDA.
        device: "cpu", "cuda", "mps", or "auto": the fastest available.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
        out: run folder; default: a folder in ``runs`` named after the configuration.
        cache_on: keep the training images on the "device", or on the "host" for large sets. With
            ``scales`` they are always on the host, at their own sizes.
        workers: threads that prepare batches in advance; 0 prepares each batch when needed.
        threads: number of CPU threads. Default: one per idle CPU, measured at the start; a resumed
            run keeps its number. The number of threads affects rounding.

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
    scales: tuple[float, ...] | None = None
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
        for name, (is_valid, expected) in RANGES.items():
            value = getattr(self, name)
            _check_kind(name, value)
            if value is not None and not is_valid(value):
                raise InputError(f"{name} is {value}, expected {expected}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                known = ", ".join(choices)
                raise InputError(f"{name} is {getattr(self, name)!r}, expected one of {known}")
        if self.threads is not None:
            from .._support.cpus import check_threads  # help and lists need no torch

            check_threads(self.threads)
        find_name("loss", self.loss, LOSS_NAMES)
        if self.loss_options:
            from ..losses import create_loss

            create_loss(self.loss, **self.loss_options)
        check_options(self.backbone, self.backbone_options)
        check_size(self.size, self.backbone)
        self._check_crop()

    def _check_crop(self) -> None:
        late = self.natural_epochs + self.whole_epochs
        if self.scales is not None:
            check_scales(self.scales)
            if self.crop is not None or self.whole_epochs:
                raise InputError(
                    "crop and whole_epochs are for images resized to a square; with scales, size "
                    "is the side of the squares"
                )
        elif self.crop is None:
            if late:
                raise InputError("natural_epochs and whole_epochs need crop; set crop as well")
            return
        else:
            check_size(self.crop, self.backbone, name="crop")
            if self.crop > self.size:
                raise InputError(f"crop is {self.crop}, expected at most size, {self.size}")
        if late > self.epochs:
            raise InputError(
                f"natural_epochs + whole_epochs is {late}, expected at most epochs, {self.epochs}"
            )

    def crop_at(self, epoch: int) -> tuple[int | None, float]:
        """The crops of an epoch, counted from 0.

        Returns:
            Side [px], or None for whole images; share of the crops placed on a target, in [0, 1].

        Example:
            >>> config = TrainConfig("sky", 256, epochs=9, crop=128, natural_epochs=3)
            >>> config.crop_at(5), config.crop_at(6)
            ((128, 0.5), (128, 0.0))
        """
        whole_from = self.epochs - self.whole_epochs
        side = self.crop if self.scales is None else self.size
        if side is None or epoch >= whole_from:
            return None, 0.0
        return side, 0.0 if epoch >= whole_from - self.natural_epochs else 0.5

    @property
    def folder(self) -> Path:
        """The run folder."""
        if self.out is not None:
            return Path(self.out)
        options = [f"{name}={value}" for name, value in self.backbone_options.items()]
        network = [backbone_name(self.backbone), *options]
        parts = [dataset_name(self.dataset), *network, str(self.size), self.loss]
        return Path("runs") / "-".join([*parts, f"seed{self.seed}"]).lower()

    def to_dict(self) -> dict[str, Any]:
        """The fields that decide the result, as JSON values with canonical names.

        Example:
            >>> TrainConfig("NUAA-SIRST", size=256).to_dict()["loss"]
            'EEDM'
        """
        names = {
            "backbone": backbone_name(self.backbone),
            "loss": find_name("loss", self.loss, LOSS_NAMES),
            "backbone_options": dict(self.backbone_options),
            "loss_options": dict(self.loss_options),
            "dataset": dataset_name(self.dataset),
            "scales": None if self.scales is None else list(self.scales),
        }
        return {k: v for k, v in (vars(self) | names).items() if k not in RUNTIME_PARAMETERS}

    def command(self) -> str:
        """The command that trains this configuration.

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
            listed = [value] if isinstance(value, list | tuple) else [(value,)]
            pairs = value.items() if isinstance(value, Mapping) else listed
            pairs = [] if value is True else pairs  # a switch
            flag = "--" + option.name.replace("_", "-")
            words += [flag, *(str(part) for pair in pairs for part in pair)]
        return shlex.join(words)


DEFAULTS = {f.name: f.default for f in fields(TrainConfig) if f.default is not MISSING}
"""Defaults of the fields. Older records lack newer fields, which then have their defaults."""


def _check_kind(name: str, value: object) -> None:
    """Refuse what is no number, and a fraction where the default is a whole number."""
    whole = type(DEFAULTS.get(name)) is int
    kind, told = (Integral, "a whole number") if whole else (Real, "a number")
    if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
        raise InputTypeError(f"{name} is {value!r}, expected {told}")


def check_size(size: int, backbone: str | Module, *, name: str = "size") -> None:
    """Check a size of the square network input.

    Args:
        size: side of the square [px].
        backbone: its name, or a network.
        name: name of the size in the message.

    Raises:
        ValueError: for an unknown backbone or an invalid size; the message gives the next valid
            size.

    Example:
        >>> check_size(256, "ACM")
    """
    known = backbone_card(backbone) if isinstance(backbone, str) else backbone
    divisor = integer_attribute(known, "divisor", 1)
    if not isinstance(size, int):
        raise InputError(f"{name} is {size!r}, expected a whole number of px")
    smallest = integer_attribute(known, "smallest", divisor)
    if size < smallest or size % divisor:
        fit = -(-max(size, smallest) // divisor) * divisor
        factor = f"; a scale factor is a float, such as {size}.0" if 0 < size <= MAX_FACTOR else ""
        raise InputError(
            f"{name} {size} px is not a positive multiple of {divisor}, as "
            f"{backbone_name(backbone)} requires; the next valid size is {fit}{factor}"
        )


def check_scales(scales: Sequence[float]) -> None:
    """Check scale factors.

    Raises:
        ValueError: if there are none, one is out of range, or two are equal.
        TypeError: if they are no sequence of numbers.

    Example:
        >>> check_scales((1.3, 2.0))
    """
    listed = isinstance(scales, Sequence) and not isinstance(scales, str)
    if not listed or not all(isinstance(f, Real) and not isinstance(f, bool) for f in scales):
        raise InputTypeError(f"scales is {scales!r}, expected numbers, such as (1.3, 2.0)")
    wrong = [factor for factor in scales if not 1 / MAX_FACTOR <= factor <= MAX_FACTOR]
    if wrong or not scales or len(set(scales)) < len(scales):
        raise InputError(
            f"scales is {tuple(scales)}, expected different factors of the image's size, each from "
            f"{1 / MAX_FACTOR} to {MAX_FACTOR}; a size instead is a whole number of px"
        )


FORMER_NAMES = {"average_decay": "ema_decay", "compiled": "compile"}
"""Field names in configurations and cards of earlier versions."""


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration or card with the current field names.

    Example:
        >>> current_names({"average_decay": 0.99, "size": 256})
        {'ema_decay': 0.99, 'size': 256}
    """
    return {FORMER_NAMES.get(name, name): value for name, value in values.items()}
