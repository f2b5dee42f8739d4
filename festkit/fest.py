"""The FEST framework: several networks, one per input size, fused and refined (paper figure 1).

With one size this is the paper's LW-FEST: the EEDM loss and adjustable sensitivity, no fusion. A
network may run at a scale factor of the image instead of a size.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._support.arguments import check_number, html_table
from ._support.cards import check_scale, saved_origin
from ._support.cpus import check_threads
from ._support.devices import cpu_threads, resolve_device, resolve_threads
from ._support.errors import InputError, InputTypeError
from ._support.files import write_json, write_text
from ._support.names import normalize_name
from .backbones import backbone_name, create_backbone
from .backbones.contract import check_network, device_of, own_copy
from .backbones.forward import probability_map
from .backbones.scaled import scaled_map
from .classical.detector import Detector, normalize_map
from .metrics import Counts
from .model import Model, Rule, check_rule, scale_title
from .pretrained import UNIVERSAL, pretrained_files
from .pretrained.fetch import FEST_FILE, saved_fest
from .pretrained.model_card import model_card
from .pretrained.scales import (
    check_together,
    keys_of,
    network_for,
    origin_of,
    read_scales,
    statistics_of,
    tile_of,
    write_scales,
)
from .sensitivity import check_threshold
from .training.config import TrainConfig, check_scales, check_size
from .training.parallel import train_at_once
from .training.run import Run
from .training.trainer import train
from .weights import load_weights, read_card

SCALES_FILE = "fest.json"
"""File that :meth:`FEST.fit` writes next to its runs: their sizes, in the order of the scales."""

BATCH = 8
"""Images that go through the networks together on an accelerator."""

TILE = 128
"""Default side of the tiles at scale factors [px]."""

SETTINGS = ("th1", "th2", "rule", "mean", "std")
"""Attributes of a FEST that its card stores unchanged."""


class FEST(Model):
    """Networks by input size or scale factor, and the thresholds that turn their map into targets.

    Args:
        backbones: {size [px]: name of a backbone, or any network (N, C, size, size) -> logits (N,
            1, size, size)}. The order of the sizes is the order of the scales. A network with other
            than 3 input channels needs an attribute ``in_channels``. It may also return a list or
            tuple that starts with the main logits, or a dict with the key "out". The FEST copies
            the network and leaves the original unchanged. A scale may also be a training-free
            detector, under a name: {"PSTNN": create_detector("PSTNN")}; its map is computed at the
            image's own size and scaled to [0, 1]. A float is a scale factor instead of a size,
            {1.3: network, 2.0: network}: the image is enlarged by it and seen in tiles, so that no
            frame is squeezed; one network may serve several factors. It needs no mean and std.
        th1: threshold of strong targets, in [0, 1].
        th2: threshold of weak targets, in [0, 1]; None disables weak targets.
        rule: source of weak targets. "per_scale": the map of each scale in order, as in the
            published results. "fused": the fused map, as in the paper's text. With one scale both
            rules agree.
        mean: mean gray value of the training set, in [0, 1]; :meth:`fit` and :meth:`from_runs` set
            it.
        std: standard deviation of the training set's gray values, in [0, 1]; set likewise.
        tile: side of the tiles at scale factors [px], the size that their networks were trained on.
        threads: number of CPU threads. Default: one per idle CPU, measured at the first image and
            then kept, because the number of threads affects rounding.
        device: device of training and prediction: "cpu", "cuda", "mps", or "auto" (the fastest).

    Attributes:
        backbones: the networks by size or scale factor, in eval mode; detectors by name.
        device: device of the networks; :meth:`to` changes it.
        chosen_on: dataset and metrics of the threshold tuning, if any; saved with the FEST.
        bf16: whether networks multiply in bfloat16 (autocast); False by default.
        origin: training dataset and fingerprints of its training and test images, if known; saved
            with the FEST.

    Raises:
        ValueError: for missing or invalid sizes, a threshold or statistic out of range, an unknown
            rule, backbone or device, one network for two sizes, or a network that fails on noise,
            does not return logits of the input size, or ends in a sigmoid.

    Example:
        >>> fest = FEST({32: "ACM", 48: "ACM"}, mean=0.4, std=0.1)
        >>> fest.predict(np.zeros((40, 30), np.uint8)).mask.shape
        (40, 30)
    """

    def __init__(
        self,
        backbones: Mapping[Any, str | nn.Module | Detector],
        th1: float = 0.5,
        th2: float | None = 0.1,
        *,
        rule: Rule = "per_scale",
        mean: float | None = None,
        std: float | None = None,
        tile: int = TILE,
        threads: int | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        if not isinstance(backbones, Mapping):
            raise InputTypeError(
                f"backbones is {short(backbones)}, expected networks by size: {{512: network}}"
            )
        if not backbones:
            raise InputError("FEST needs at least one size, for instance {512: 'ACM', 768: 'ACM'}")
        check_rule(rule)
        _check_statistics(mean, std)
        check_threads(threads)
        check_threshold("th1", th1)
        if th2 is not None:
            check_threshold("th2", th2)
        by_size = {size: net for size, net in backbones.items() if not isinstance(size, float)}
        networks = [net for net in by_size.values() if not isinstance(net, str)]
        if len({id(net) for net in networks}) < len(networks):
            raise InputError(
                "every size needs its own network, but one was passed for several sizes"
            )
        self.device = resolve_device(device)
        self.bf16 = False
        self.backbones: dict[Any, Any] = {}
        for size, given in backbones.items():
            if isinstance(given, Detector):
                self.backbones[str(size)] = given
                continue
            network = create_backbone(given) if isinstance(given, str) else own_copy(given)
            side: Any = size  # what is no size is refused
            if isinstance(side, float):
                check_scales([side])
                check_size(tile, network, name="tile")
            else:
                check_size(side, network)
            self.backbones[side] = _ready(network, self.device)
            check_network(network, tile if isinstance(side, float) else side)
        self._names = {size: net for size, net in backbones.items() if isinstance(net, str)}
        self.th1, self.th2 = float(th1), None if th2 is None else float(th2)
        self.rule = rule
        self.mean, self.std, self.tile, self.threads = mean, std, tile, threads
        self.chosen_on: dict[str, Any] | None = None
        self.origin: dict[str, str] | None = None

    def __repr__(self) -> str:
        networks = ", ".join(
            f"{scale_name(net)} {scale_title(size)}"
            if isinstance(net, nn.Module)
            else scale_name(net)
            for size, net in self.backbones.items()
        )
        return f"FEST({networks}; th1={self.th1:g}, th2={self.th2}, rule={self.rule!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the settings, and a row for every network."""
        facts = {name: getattr(self, name) for name in (*SETTINGS, "device")}
        facts["trained on"] = (self.origin or {}).get("dataset")
        settings = ", ".join(
            f"{name} {fact:.4g}" if isinstance(fact, float) else f"{name} {fact}"
            for name, fact in facts.items()
            if fact is not None
        )
        networks = {scale_title(size): scale_name(net) for size, net in self.backbones.items()}
        return html_table(f"FEST: {settings}", networks)

    @classmethod
    def from_runs(
        cls,
        runs: Sequence[Run | str | Path],
        th1: float = 0.5,
        th2: float | None = 0.1,
        *,
        rule: Rule | None = None,
        backbones: Mapping[Any, nn.Module] | None = None,
        device: str | torch.device = "auto",
    ) -> "FEST":
        """Combine finished training runs, one per size or scale factor.

        A run at several scale factors is one network at each of them.

        Args:
            runs: runs or their folders, in the order of the scales.
            th1: threshold of strong targets, in [0, 1].
            th2: threshold of weak targets, in [0, 1].
            rule: see :class:`FEST`; default: "fused" for one run at several factors, as its metrics
                are, else "per_scale".
            backbones: networks by size or scale factor, if they are not in the catalogue.
            device: see :class:`FEST`.

        Raises:
            FileNotFoundError: if a run has not finished.
            ValueError: if there are no runs, two have the same size, or they were trained on
                different data.
        """
        opened = [Run.of(run) for run in runs]
        scales = [(run.record, run.weights) for run in opened]
        return cls._of_scales(
            scales, backbones or {}, {"th1": th1, "th2": th2, "rule": rule, "device": device}
        )

    @classmethod
    def from_weights(
        cls, files: Sequence[str | Path], *, device: str | torch.device = "auto"
    ) -> "FEST":
        """Combine weights files, one per size, using their cards.

        The thresholds are those of the first card, else the defaults of :class:`FEST`.

        Args:
            files: weights of runs or of the zoo, in the order of the scales.
            device: see :class:`FEST`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if there are no files, two have the same size, they were trained on
                different images, or a card is incomplete.
        """
        scales = [(read_card(path), path) for path in files]
        for card, path in scales:
            check_scale(card, path)
        first = scales[0][0] if scales else {}
        thresholds = {name: first[name] for name in ("th1", "th2", "rule") if name in first}
        return cls._of_scales(scales, {}, thresholds | {"device": device})

    @classmethod
    def _of_scales(
        cls,
        scales: Sequence[tuple[Mapping[str, Any], str | Path]],
        backbones: Mapping[Any, nn.Module],
        settings: Mapping[str, Any],
    ) -> "FEST":
        """A FEST of weights files with their cards, in the order of the scales."""
        cards = [card for card, _ in scales]
        check_together(cards)
        nets: dict[int | float, nn.Module] = {}
        for card, path in scales:
            network = load_weights(path, network_for(card, backbones))
            nets |= dict.fromkeys(keys_of(card), network)
        mean, std = statistics_of(cards)
        alone = len(cards) == 1 and len(nets) > 1
        rule = settings.get("rule") or ("fused" if alone else "per_scale")
        given = {**settings, "rule": rule}
        fest = cls(nets, tile=tile_of(cards, TILE), mean=mean, std=std, **given)
        fest.origin = origin_of(cards[0])
        return fest

    @classmethod
    def from_pretrained(
        cls,
        backbone: str | Path,
        dataset: str | None = None,
        *,
        device: str | torch.device = "auto",
    ) -> "FEST":
        """Load a pretrained FEST: of the zoo, of a hub repository, or of a folder.

        Weights of the zoo must be here already, those of all sizes (``festkit weights fetch``);
        :func:`festkit.open_model` opens a single size. Only a repository of the hub is downloaded.

        Args:
            backbone: with a dataset, the name of a backbone of the zoo; case and hyphens do not
                matter. Without, "universal", the network for frames of any camera;
                "hf://owner/name" or "hf://owner/name@revision" of the Hugging Face hub (needs
                huggingface_hub); or a folder of :meth:`save_pretrained`.
            dataset: training dataset, such as "NUAA-SIRST"; "synthetic" (synthetic scenes only), or
                "union" (the three public training sets).
            device: see :class:`FEST`.

        Raises:
            FileNotFoundError: if the weights of a size, or the file in the folder, are missing; the
                message says how to get them.
            ConnectionError: if the repository cannot be downloaded.
            ValueError: if the zoo has no such entry, or the file is no FEST.

        Example:
            >>> fest = FEST.from_pretrained("acm", "nuaa-sirst")
            >>> fest.th1, fest.th2, round(fest.mean, 3)
            (0.5, 0.1, 0.434)
        """
        if dataset is None and normalize_name(str(backbone)) != UNIVERSAL:
            return cls.load(saved_fest(backbone), device=device)
        return cls.from_weights(pretrained_files(str(backbone), dataset), device=device)

    def fit(
        self,
        dataset: str,
        *,
        out: str | Path,
        devices: Sequence[str] | None = None,
        **options: Any,
    ) -> list[Run]:
        """Train a network at every size or scale factor and use the trained weights.

        At a scale factor it is trained on squares of :attr:`tile` px. ``festkit train --scales``
        trains one network for several factors.

        Args:
            dataset: see :class:`TrainConfig`.
            out: folder of the runs, one subfolder per size; finished runs are not repeated. Open it
                later with :func:`festkit.open_model`, or with :meth:`from_runs` for networks
                outside the catalogue.
            devices: devices such as ``("cuda:0", "cuda:1")`` on which sizes are trained in
                parallel, each in its own process. Default: sizes are trained in sequence on the
                device of the FEST.
            options: other fields of :class:`TrainConfig`. With ``device`` the FEST is moved first.

        Returns:
            The runs, in the order of the sizes.
        """
        self.to(options.pop("device", self.device))
        options |= {"dataset": dataset, "device": str(self.device)}
        self._refuse_detectors("fit")
        networks = {size: self._names.get(size, net) for size, net in self.backbones.items()}
        configs = [
            TrainConfig(
                size=self.tile if isinstance(size, float) else size,
                scales=(size,) if isinstance(size, float) else None,
                backbone=given,
                out=str(Path(out) / str(size)),
                **options,
            )
            for size, given in networks.items()
        ]
        runs = train_at_once(configs, devices) if devices else [train(c) for c in configs]
        for run, (size, net) in zip(runs, self.backbones.items(), strict=True):
            by_name = size in self._names  # may have been trained with options
            trained = load_weights(run.weights, None if by_name else net)
            self.backbones[size] = _ready(trained, self.device)
        self.mean, self.std = statistics_of([run.record for run in runs])
        self.origin, self.chosen_on = origin_of(runs[0].record), None
        write_json(Path(out) / SCALES_FILE, {"sizes": list(self.backbones)})
        return runs

    def to(self, device: str | torch.device) -> "FEST":
        """Move the networks to a device: "cpu", "cuda", "mps", or "auto": the fastest available.

        Raises:
            ValueError: if the name is unknown or the device is not available.

        Example:
            >>> FEST({32: "ACM"}).to("cpu").th1
            0.5
        """
        self.device = resolve_device(device)
        for network in self.networks:
            network.to(self.device)
        return self

    def _maps(self, gray: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The maps of all scales, of one image or of several together."""
        self.check_statistics()
        self.threads = resolve_threads(self.threads)
        with cpu_threads(self.threads):
            return [self._map(size, gray) for size in self.backbones]

    def _map(self, size: Any, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The maps of one scale."""
        scale = self.backbones[size]
        if isinstance(scale, Detector):
            return normalize_map(scale.target_map(gray))
        if isinstance(size, float):
            with torch.autocast(device_of(scale).type, torch.bfloat16, self.bf16):
                frames = gray.reshape(-1, *gray.shape[-2:])
                maps = [scaled_map(scale, frame, size, self.tile) for frame in frames]
            return np.stack(maps).reshape(gray.shape)
        statistics: Any = {"mean": self.mean, "std": self.std}  # scale_maps refuses unknown ones
        with torch.autocast(device_of(scale).type, torch.bfloat16, self.bf16):
            return probability_map(scale, gray, size, **statistics)

    @property
    def batch(self) -> int:
        """Images that go through the networks together: one on the CPU, which gains nothing."""
        with_detectors = len(self.networks) < len(self.backbones)
        return 1 if self.device.type == "cpu" or with_detectors else BATCH

    def identity(self) -> dict[str, Any]:
        """What decides the maps: networks, gray statistics, and a digest of the weights."""
        digest = hashlib.sha256()
        for network in self.networks:
            for name, tensor in network.state_dict().items():
                values = tensor.cpu().contiguous().reshape(-1).view(torch.uint8)
                digest.update(name.encode() + values.numpy().tobytes())
        return (
            {
                "networks": {str(size): scale_name(net) for size, net in self.backbones.items()},
                "weights": digest.hexdigest()[:12],
                "mean": self.mean,
                "std": self.std,
            }
            | ({"tile": self.tile} if any(isinstance(key, float) for key in self.backbones) else {})
            | ({"runtime": "torch-bf16"} if self.bf16 else {})
        )

    def check_statistics(self) -> None:
        """Refuse networks without the gray statistics of their training set, or with wrong ones.

        Raises:
            ValueError: if they are unknown or out of range.

        Example:
            >>> FEST({32: "ACM"}, mean=0.4, std=0.1).check_statistics()
        """
        sizes = any(isinstance(size, int) for size in self.backbones)
        if sizes and (self.mean is None or self.std is None):
            raise InputError(
                "the gray statistics of the training set are unknown: call fit, or pass mean= and "
                "std= to FEST"
            )
        _check_statistics(self.mean, self.std)  # they may have been set since

    @property
    def networks(self) -> list[nn.Module]:
        """The scales that are networks."""
        return [net for net in self.backbones.values() if isinstance(net, nn.Module)]

    def _refuse_detectors(self, what: str) -> None:
        if len(self.networks) < len(self.backbones):
            raise InputError(f"{what} takes networks alone, and this FEST has detectors")

    def save(self, path: str | Path) -> Path:
        """Write networks, thresholds and statistics to one ``.safetensors`` file.

        Example:
            >>> import tempfile
            >>> path = FEST({32: "ACM"}, th2=0.2).save(f"{tempfile.mkdtemp()}/fest.safetensors")
            >>> FEST.load(path).th2
            0.2
        """
        self._refuse_detectors("save")
        card = {name: getattr(self, name) for name in (*SETTINGS, "chosen_on", "origin")}
        return write_scales(path, self.backbones, self.tile, card)

    def save_pretrained(
        self, folder: str | Path, counts: Mapping[str, Counts] | None = None
    ) -> Path:
        """Write a folder to share, for instance as a repository of the Hugging Face hub.

        Args:
            folder: gets ``fest.safetensors`` (see :meth:`save`) and a model card, ``README.md``:
                networks, training images, metrics, protocol, licences, how to load.
            counts: counts of :meth:`evaluate` by name of the images, for the card.

        Example:
            >>> import tempfile
            >>> folder = FEST({32: "ACM"}, th2=0.2).save_pretrained(tempfile.mkdtemp())
            >>> FEST.from_pretrained(folder).th2
            0.2
        """
        folder = Path(folder)
        card = read_card(self.save(folder / FEST_FILE))
        write_text(folder / "README.md", model_card(card, counts or {}))
        return folder

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        backbones: Mapping[Any, nn.Module] | None = None,
        device: str | torch.device = "auto",
    ) -> "FEST":
        """Read a file written by :meth:`save`.

        Args:
            path: the file.
            backbones: networks by size or scale factor, if they are not in the catalogue.
            device: see :class:`FEST`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it contains no FEST, or does not fit the networks.
        """
        nets, tile, card = read_scales(path, backbones or {}, TILE)
        settings = {name: card[name] for name in SETTINGS}
        fest = cls(nets, **settings, tile=tile, device=device)
        fest.chosen_on, fest.origin = card.get("chosen_on"), saved_origin(card, path)
        return fest


def scale_name(scale: Any) -> str:
    """Of a network its name, of a detector its parameters."""
    return repr(scale) if isinstance(scale, Detector) else backbone_name(scale)


def _ready(network: nn.Module, device: torch.device) -> nn.Module:
    """A network in eval mode, on the device and in the faster memory layout, channels last."""
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval()


def _check_statistics(mean: float | None, std: float | None) -> None:
    """Refuse gray statistics that are not those of values in [0, 1]."""
    for name, value in (("mean", mean), ("std", std)):
        if value is not None:
            check_number(name, value)
    if mean is not None and not 0 <= mean <= 1:
        raise InputError(f"mean is {mean}, expected a gray value in [0, 1]; divide by 255")
    if std is not None and not 0 < std <= 1:
        raise InputError(f"std is {std}, expected a gray value above 0, at most 1; divide by 255")
