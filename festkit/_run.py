"""A training run's configuration and its folder.

The help of ``festkit train`` is made of this file: torch and numpy are imported where they work.
"""

import csv
import hashlib
import io
import math
import shlex
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ._catalogue import dataset_name, members_of
from ._cpus import check_threads
from ._errors import ExistingFileError, InputError, MissingFileError
from ._files import NUMBER, read_json, whole_file, write_json, write_text
from ._names import LOSS_NAMES, Precision, find_name
from .backbones import backbone_card, backbone_name, check_options, said_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch.nn import Module
else:
    Module = object

MAP_LEVELS = 65535
"""Probability maps are stored as 16-bit integers, this being probability 1."""

FIGURES: dict[str, Any] = {
    "th1": NUMBER,
    "valid": bool,
    **dict.fromkeys(("iou", "niou", "pd", "fa", "score", "th2"), NUMBER | None),
    **dict.fromkeys(("images?", "pixels?", "targets?", "detected?", "false_pixels?"), int),
    **dict.fromkeys(("intersection?", "predicted?", "true?", "empty?"), int),
    "iou_sum?": NUMBER,
    "intervals?": dict,
}
"""What a record's row of figures holds; a ratio of nothing is None."""

RECORD: dict[str, Any] = {
    "dataset?": str,
    "size?": int,
    "backbone?": str,
    "train_split?": str,
    "test_split?": str,
    "mean?": NUMBER,
    "std?": NUMBER,
    "test?": [FIGURES],
}
"""What the record of a run holds; one by another hand may lack what is not asked for."""

Protocol = Literal["holdout", "paper", "last"]

CHOICES: dict[str, tuple[str, ...]] = {
    "protocol": get_args(Protocol),
    "precision": get_args(Precision),
    "schedule": ("cosine", "constant"),
    "data_on": ("device", "host"),
}

PLACES = ("out", "data_root", "device", "data_on", "workers", "threads")
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
        average_decay: share of the running average of the weights that an update keeps, in [0, 1);
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
        compiled: let torch.compile build the network; minutes at first, worth it on CUDA.
        device: "cpu", "cuda", "mps", or "auto": the fastest at hand.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        out: run folder; None names one under ``runs`` after the configuration.
        data_on: "device" keeps the training images there; "host" in main memory, for large sets.
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
    average_decay: float = 0.998
    protocol: Protocol = "holdout"
    holdout: float = 0.15
    validate_every: int = 5
    seed: int = 0
    initial_weights: str | None = None
    precision: Precision = "auto"
    compiled: bool = False
    device: str = "auto"
    data_root: str | None = None
    out: str | None = None
    data_on: Literal["device", "host"] = "device"
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
        check_threads(self.threads)
        find_name("loss", self.loss, LOSS_NAMES)
        if self.loss_options:
            from .losses import create_loss

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
        if not 0 <= self.average_decay < 1:
            raise InputError(f"average_decay is {self.average_decay}, expected it in [0, 1)")
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
        for name in PLACES:
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
            if option.name in PLACES or value in (option.default, {}):
                continue
            value = backbone_name(self.backbone) if option.name == "backbone" else value
            pairs = value.items() if isinstance(value, Mapping) else [(value,)]
            pairs = [] if value is True else pairs  # a switch
            flag = "--" + option.name.replace("_", "-")
            words += [flag, *(str(part) for pair in pairs for part in pair)]
        return shlex.join(words)


DEFAULTS = {f.name: f.default for f in fields(TrainConfig) if f.default is not MISSING}
"""Of every option that has one: what a record means that was written before the option came."""


class StoredMaps(Mapping[str, "NDArray[np.float32]"]):
    """A run's file of probability maps (H, W) by image, each read when it is asked for.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, when it is opened or when a map is read.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> run = Run(Path(tempfile.mkdtemp()))
        >>> run.write_maps("test", {"a": np.full((2, 3), 0.2, np.float32)})
        >>> StoredMaps(run.folder / "test_maps.npz")["a"].shape
        (2, 3)
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise MissingFileError(
                f"{path.parent} has no {path.name}; the maps of a holdout are kept by runs with "
                "protocol='holdout', those of the test images by all that finished"
            )
        self.path = path
        with self._refusing_damage():
            self._file = zipfile.ZipFile(path)
            self._names = dict.fromkeys(n.removesuffix(".npy") for n in self._file.namelist())

    def __getitem__(self, image: str) -> "NDArray[np.float32]":
        import numpy as np

        if image not in self._names:
            raise KeyError(image)
        if self._file.fp is None:
            raise InputError(f"{self.path} has been closed; open the run again")
        with self._refusing_damage():
            content = self._file.read(f"{image}.npy")  # whole, so that its checksum is compared
            levels = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            if levels.dtype != np.uint16 or levels.ndim != 2:
                raise ValueError(f"{image} is {levels.dtype} of shape {levels.shape}")
        return levels.astype(np.float32) / np.float32(MAP_LEVELS)

    def __contains__(self, image: object) -> bool:
        return image in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def close(self) -> None:
        """Close the file; nothing is read from it any more."""
        self._file.close()

    @contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # damaged archives fail in many ways
            raise InputError(
                f"{self.path} is damaged or cannot be read ({error}); copy it again from where "
                f"it was made, or remove {self.path.parent} and train the run again"
            ) from error


class _Record(dict[str, Any]):
    """A record's named values; one that is asked for and absent is named with the file."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, name: str) -> Any:
        raise InputError(f"{self._path} lacks {name}; restore the file, or train the run again")


@dataclass(frozen=True)
class Run:
    """A training run's folder: configuration, history, weights, test probability maps, record.

    Attributes:
        folder: where it all lies.

    Example:
        >>> Run(Path("runs/never-trained")).finished
        False
    """

    folder: Path

    @classmethod
    def of(cls, run: "Run | str | Path") -> "Run":
        """A run, or the one of a folder.

        Example:
            >>> Run.of("runs/never-trained").folder.name
            'never-trained'
        """
        return run if isinstance(run, Run) else cls(Path(run))

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; its record is written last."""
        return (self.folder / "record.json").is_file()

    @property
    def record(self) -> dict[str, Any]:
        """What was trained, on what, how, and the figures on the test split.

        Raises:
            FileNotFoundError: if the run has not finished.
            ValueError: if the record is damaged.
        """
        if not self.finished:
            raise MissingFileError(f"{self.folder} holds no finished run; {self._what_to_pass()}")
        path = self.folder / "record.json"
        return _Record(path, read_json(path, RECORD))

    def _what_to_pass(self) -> str:
        """What helps where there is no finished run: the runs of its folders, if it has any."""
        inside = [path.parent for path in sorted(self.folder.glob("*/record.json"))]
        if not inside:
            return "train it to its end"
        folders = " ".join(shlex.quote(str(folder)) for folder in inside)
        return f"its folders do: pass one, or several as the scales of a FEST, of {folders}"

    @property
    def dataset_folder(self) -> str | None:
        """Where the images lay when it was trained; None if it is not known, or they are gone."""
        path = self.folder / "config.json"
        place: str | None = read_json(path).get("dataset_folder") if path.is_file() else None
        here = place is not None and all(Path(each).is_dir() for each in members_of(place))
        return place if here else None

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / "weights.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The file from which a killed run continues; gone once the run has finished."""
        return self.folder / "checkpoint.pt"

    def forget(self) -> None:
        """Remove checkpoint and history, to start afresh."""
        for path in (self.checkpoint, self.folder / "history.csv"):
            path.unlink(missing_ok=True)

    def history(self) -> list[dict[str, float]]:
        """One row per epoch; iou, pd and fa are those of the images that choose, NaN if unasked.

        Raises:
            FileNotFoundError: if the run has none.
            ValueError: if it is damaged.
        """
        path = self.folder / "history.csv"
        if not path.is_file():
            raise MissingFileError(f"{path} is not there; train the run, or restore the file")
        try:
            names, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
            return [dict(zip(names, map(float, row), strict=True)) for row in rows]
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); restore the file") from error

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Write one row per epoch to ``history.csv``."""
        lines = [",".join(rows[0]), *(",".join(map(repr, row.values())) for row in rows)]
        write_text(self.folder / "history.csv", "\n".join(lines) + "\n")

    def test_maps(self) -> "dict[str, NDArray[np.float32]]":
        """Probability maps (H, W) of the test images by name, each at its image's own size."""
        return self.maps("test")

    def maps(self, name: str) -> "dict[str, NDArray[np.float32]]":
        """Probability maps (H, W) by image, each at its image's own size.

        Args:
            name: "test" or "holdout".

        Raises:
            FileNotFoundError: if the run has none of them.
        """
        stored = StoredMaps(self.folder / f"{name}_maps.npz")
        try:
            return dict(stored)
        finally:
            stored.close()

    def write_maps(self, name: str, maps: "Mapping[str, NDArray[np.float32]]") -> None:
        """Store probability maps by image, rounded to 16 bit and compressed."""
        import numpy as np

        levels = {name: np.rint(prob * MAP_LEVELS).astype(np.uint16) for name, prob in maps.items()}
        with (
            whole_file(self.folder / f"{name}_maps.npz") as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for image, level in levels.items():  # savez would take some for its own arguments
                with archive.open(f"{image}.npy", "w") as file:
                    np.lib.format.write_array(file, level)


def _digest(path: str) -> str:
    if not Path(path).is_file():
        raise MissingFileError(f"there is no weights file {path}")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


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


def open_run(
    config: TrainConfig, *, train_split: str, test_split: str, dataset_folder: str | None = None
) -> Run:
    """The run folder of a configuration: a new one, or the one that already holds this run.

    What a killed run left half-written is removed: nobody else may be training it. A finished run
    of an older version, whose training masks may be others, is returned with a warning.

    Args:
        config: what is to be trained.
        train_split: fingerprint of the training images; they may change under their name.
        test_split: fingerprint of the test images.
        dataset_folder: where the images lie, for :attr:`Run.dataset_folder`; it may change.

    Raises:
        FileExistsError: if the folder holds a run of another configuration or on other images,
            other files, or a checkpoint of training masks that are not known.

    Example:
        >>> import tempfile
        >>> config = TrainConfig("NUAA-SIRST", size=256, out=tempfile.mkdtemp())
        >>> open_run(config, train_split="0123456789ab", test_split="ba9876543210").finished
        False
    """
    from .fusion import MASK_RULE

    run = Run(config.folder)
    written = run.folder / "config.json"
    now = config.plain() | {"train_split": train_split, "test_split": test_split}
    now["training_masks"] = MASK_RULE
    if config.initial_weights is not None:  # the same file may be rewritten, or lie elsewhere
        now["initial_weights"] = f"sha256 {_digest(config.initial_weights)}"
    found = {path.name for path in run.folder.iterdir()} if run.folder.is_dir() else set()
    there = {name for name in found if not name.startswith(".")}
    if there and "config.json" not in there:
        raise ExistingFileError(f"{run.folder} holds other files; choose another run folder")
    before = read_json(written, {"dataset?": str}) if there else {}
    if "dataset" in before:  # older ones hold what was typed
        before["dataset"] = dataset_name(before["dataset"])
    old = DEFAULTS | {"training_masks": MASK_RULE} | before  # older ones lack what came later
    changed = [f"{k} {old.get(k)!r} -> {now[k]!r}" for k in now if old.get(k) != now[k]]
    if changed and len(there) > 1:
        raise ExistingFileError(
            f"{run.folder} already holds another run ({'; '.join(changed)}); "
            "choose another run folder (out) or remove this one"
        )
    if there and "training_masks" not in before:
        _check_masks(run)
    if not run.finished:  # whoever has just finished it may still write beside the record
        for name in found - there:
            if name.endswith(".part"):
                (run.folder / name).unlink()
        place = {} if dataset_folder is None else {"dataset_folder": dataset_folder}
        write_json(written, now | place)
    return run


def _check_masks(run: Run) -> None:
    """Refuse to continue a run whose configuration does not say how its masks were resized."""
    if run.finished and "training_masks" not in run.record:
        warnings.warn(
            f"{run.folder} is a finished run of an older version, whose training masks may lack "
            "targets; to train it again, choose another run folder (out)",
            stacklevel=3,
        )
    elif not run.finished and run.checkpoint.is_file():
        raise ExistingFileError(
            f"{run.folder} was begun by an older version, on other training masks; remove its "
            f"checkpoint {run.checkpoint.name}, or choose another run folder (out)"
        )
