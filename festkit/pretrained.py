"""Where the zoo's files lie: weights with their card, and the record beside them."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._support.errors import InputError, MissingFileError
from ._support.files import NUMBER, read_json
from ._support.names import find_name
from .backbones import backbone_name
from .training.config import TrainConfig
from .training.run import FIGURES

SCENES = {"train": 600, "test": 100, "size": 256, "preset": "nuaa", "seed": 0}
"""Of the entries that see no real image: the arguments of make_synthetic_dataset."""

UNION = "NUAA-SIRST+NUDT-SIRST+IRSTD-1K"
"""The public sets; it also stands for the paper's W-IRSTD, which is not available as files."""


@dataclass(frozen=True)
class Entry:
    """One network at one input size, and the training that makes it.

    Attributes:
        name: such as "nuaa-sirst/acm-256-eedm"; its files bear it.
        config: what is trained, without places.
        start: name of the entry whose weights it continues from; None starts at the prior.
        cpu_minutes: wall-clock minutes on one CPU core in fp32, measured or estimated; None where
            nobody knows.
        gpu_minutes: wall-clock minutes on an NVIDIA H100, estimated; an H200 needs at most these.
        scenes: arguments of make_synthetic_dataset, where the dataset is made for the entry.

    Example:
        >>> ENTRIES["nuaa-sirst/acm-512-eedm"].start
        'nuaa-sirst/acm-256-eedm'
    """

    name: str
    config: TrainConfig
    start: str | None
    cpu_minutes: int | None
    gpu_minutes: int
    scenes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Family:
    """The entries of one backbone on one dataset, and the parts they take in the paper's table.

    Attributes:
        name: such as "nuaa-sirst/acm".
        backbone: name of the backbone.
        dataset: what FEST.from_pretrained calls the training images.
        scales: entries that are fused, in the order of the scales.
        light: the scale that stands for LW-FEST, one size with AS.
        original: the entry that stands for the network without FEST: BCE, no AS, at the size of
            ``light``.

    Example:
        >>> FAMILIES["nuaa-sirst/acm"].scales
        ('nuaa-sirst/acm-512-eedm', 'nuaa-sirst/acm-768-eedm')
    """

    name: str
    backbone: str
    dataset: str
    scales: tuple[str, ...]
    light: str
    original: str | None = None


def _entry(
    name: str,
    dataset: str,
    size: int,
    *,
    cpu: int | None,
    gpu: int,
    start: str | None = None,
    scenes: Mapping[str, Any] | None = None,
    **training: Any,
) -> Entry:
    """An entry in 32 bit, so that it is the same training on every machine."""
    settings = {"protocol": "last", "precision": "fp32", **training}
    config = TrainConfig(dataset, size=size, **settings)
    return Entry(name, config, start, cpu, gpu, scenes)


def _continued(start: str, dataset: str, size: int, *, to: str, **training: Any) -> Entry:
    """An entry that goes on at half the learning rate from the weights of another.

    That one is of a smaller size, was trained on squares of the images, or for fewer epochs.
    """
    return _entry(to, dataset, size, start=start, learning_rate=1.5e-3, **training)


def _for_gpu(backbone: str, size: int, *, gpu: int) -> Entry:
    """The paper's epochs and learning rate, too long for a CPU; in bf16 where there is any."""
    name = f"nuaa-sirst/{backbone.lower()}-{size}-eedm"
    training: dict[str, Any] = {"epochs": 300, "learning_rate": 5e-4, "precision": "auto"}
    return _entry(name, "NUAA-SIRST", size, cpu=None, gpu=gpu, backbone=backbone, **training)


_NUAA, _NUDT, _IRSTD = "NUAA-SIRST", "NUDT-SIRST", "IRSTD-1K"

_IN_ORDER = (
    _entry("nuaa-sirst/acm-256-eedm", _NUAA, 256, epochs=160, cpu=41, gpu=2),
    _continued(
        "nuaa-sirst/acm-256-eedm", _NUAA, 512, to="nuaa-sirst/acm-512-eedm", epochs=60,
        cpu=139, gpu=2,
    ),
    _entry("nuaa-sirst/acm-256-bce", _NUAA, 256, loss="BCE", epochs=160, cpu=55, gpu=2),
    _continued(
        "nuaa-sirst/acm-256-bce", _NUAA, 512, to="nuaa-sirst/acm-512-bce", loss="BCE", epochs=60,
        cpu=60, gpu=2,
    ),
    _continued(
        "nuaa-sirst/acm-512-eedm", _NUAA, 768, to="nuaa-sirst/acm-768-eedm", epochs=15,
        ema_decay=0.99, cpu=64, gpu=2,
    ),
    _entry(
        "nuaa-sirst/alcnet-256-eedm", _NUAA, 256, backbone="ALCNet", epochs=160, cpu=52, gpu=2
    ),
    _continued(
        "nuaa-sirst/alcnet-256-eedm", _NUAA, 512, to="nuaa-sirst/alcnet-512-eedm",
        backbone="ALCNet", epochs=40, cpu=39, gpu=2,
    ),
    _continued(
        "nuaa-sirst/alcnet-512-eedm", _NUAA, 768, to="nuaa-sirst/alcnet-768-eedm",
        backbone="ALCNet", epochs=15, ema_decay=0.99, cpu=31, gpu=2,
    ),
    _entry(
        "nuaa-sirst/alcnet-256-bce", _NUAA, 256, backbone="ALCNet", loss="BCE", epochs=160,
        cpu=34, gpu=2,
    ),
    _continued(
        "nuaa-sirst/alcnet-256-bce", _NUAA, 512, to="nuaa-sirst/alcnet-512-bce",
        backbone="ALCNet", loss="BCE", epochs=40, cpu=29, gpu=2,
    ),
    _entry(
        "nuaa-sirst/alcnet-lc-256-eedm-crop", _NUAA, 256, backbone="ALCNet-LC", epochs=80,
        crop=128, cpu=103, gpu=2,
    ),
    _continued(
        "nuaa-sirst/alcnet-lc-256-eedm-crop", _NUAA, 256, to="nuaa-sirst/alcnet-lc-256-eedm",
        backbone="ALCNet-LC", epochs=10, ema_decay=0.99, cpu=32, gpu=1,
    ),
    _continued(
        "nuaa-sirst/alcnet-lc-256-eedm", _NUAA, 512, to="nuaa-sirst/alcnet-lc-512-eedm",
        backbone="ALCNet-LC", epochs=6, ema_decay=0.99, cpu=73, gpu=1,
    ),
    _entry(
        "nuaa-sirst/mlcl-net-256-eedm-crop", _NUAA, 256, backbone="MLCL-Net", epochs=80,
        crop=128, cpu=69, gpu=2,
    ),
    _continued(
        "nuaa-sirst/mlcl-net-256-eedm-crop", _NUAA, 256, to="nuaa-sirst/mlcl-net-256-eedm",
        backbone="MLCL-Net", epochs=10, ema_decay=0.99, cpu=47, gpu=1,
    ),
    _continued(
        "nuaa-sirst/mlcl-net-256-eedm", _NUAA, 384, to="nuaa-sirst/mlcl-net-384-eedm",
        backbone="MLCL-Net", epochs=6, ema_decay=0.99, cpu=40, gpu=1,
    ),
    _entry(
        "nuaa-sirst/mlcl-net-256-bce-crop", _NUAA, 256, backbone="MLCL-Net", loss="BCE",
        epochs=80, crop=128, cpu=109, gpu=2,
    ),
    _continued(
        "nuaa-sirst/mlcl-net-256-bce-crop", _NUAA, 256, to="nuaa-sirst/mlcl-net-256-bce",
        backbone="MLCL-Net", loss="BCE", epochs=10, ema_decay=0.99, cpu=30, gpu=1,
    ),
    _continued(
        "nuaa-sirst/mlcl-net-256-bce", _NUAA, 384, to="nuaa-sirst/mlcl-net-384-bce",
        backbone="MLCL-Net", loss="BCE", epochs=6, ema_decay=0.99, cpu=84, gpu=1,
    ),
    _entry(
        "synthetic/acm-256", "synthetic-nuaa", 256, epochs=80, cpu=129, gpu=3, scenes=SCENES
    ),
    _continued(
        "synthetic/acm-256", "synthetic-nuaa", 512, to="synthetic/acm-512", epochs=12,
        ema_decay=0.99, cpu=36, gpu=2, scenes=SCENES,
    ),
    _entry("union/acm-256", UNION, 256, epochs=40, cpu=89, gpu=4),
    _entry("nudt-sirst/acm-256-eedm", _NUDT, 256, epochs=60, cpu=38, gpu=3),
    _continued(
        "nudt-sirst/acm-256-eedm", _NUDT, 384, to="nudt-sirst/acm-384-eedm", epochs=25,
        cpu=54, gpu=2,
    ),
    _entry("irstd-1k/acm-256-eedm", _IRSTD, 256, epochs=50, cpu=82, gpu=3),
    _continued(
        "irstd-1k/acm-256-eedm", _IRSTD, 512, to="irstd-1k/acm-512-eedm", epochs=16,
        cpu=57, gpu=2,
    ),
    _continued(
        "nuaa-sirst/alcnet-512-eedm", _NUAA, 512, to="nuaa-sirst/alcnet-512-eedm-long",
        backbone="ALCNet", epochs=80, cpu=86, gpu=2,
    ),
    _continued(
        "nuaa-sirst/alcnet-512-bce", _NUAA, 512, to="nuaa-sirst/alcnet-512-bce-long",
        backbone="ALCNet", loss="BCE", epochs=80, cpu=82, gpu=2,
    ),
    _continued(
        "nuaa-sirst/alcnet-512-eedm-long", _NUAA, 768, to="nuaa-sirst/alcnet-768-eedm-long",
        backbone="ALCNet", epochs=25, ema_decay=0.99, cpu=46, gpu=2,
    ),
    _for_gpu("MSDA-Net", 512, gpu=70),
    _for_gpu("MSDA-Net", 768, gpu=157),
    _for_gpu("DNA-Net", 512, gpu=45),
    _for_gpu("DNA-Net", 768, gpu=100),
    _for_gpu("GGL-Net", 512, gpu=25),
    _for_gpu("GGL-Net", 768, gpu=56),
    _for_gpu("ALCL-Net", 512, gpu=17),
    _for_gpu("ALCL-Net", 768, gpu=36),
    _for_gpu("UIU-Net", 512, gpu=42),
    _for_gpu("UIU-Net", 768, gpu=95),
)  # fmt: skip

ENTRIES = {entry.name: entry for entry in _IN_ORDER}
"""Every entry by name, in the order in which they are trained."""


def _family(
    name: str,
    backbone: str,
    dataset: str,
    *scales: str,
    light: str | None = None,
    original: str | None = None,
) -> Family:
    """A family; its largest size stands for LW-FEST where no other is named."""
    entries = tuple(f"{name}-{scale}" for scale in scales)
    alone = f"{name}-{light or scales[-1]}"
    part = None if original is None else f"{name}-{original}"
    return Family(name, backbone, dataset, entries, light=alone, original=part)


_FAMILIES = (
    _family(
        "nuaa-sirst/acm", "ACM", _NUAA, "512-eedm", "768-eedm", light="512-eedm",
        original="512-bce",
    ),
    _family(
        "nuaa-sirst/alcnet", "ALCNet", _NUAA, "512-eedm-long", "768-eedm-long",
        light="512-eedm-long", original="512-bce-long",
    ),
    _family("nuaa-sirst/alcnet-lc", "ALCNet-LC", _NUAA, "256-eedm", "512-eedm"),
    _family(
        "nuaa-sirst/mlcl-net", "MLCL-Net", _NUAA, "256-eedm", "384-eedm", original="384-bce"
    ),
    _family("synthetic/acm", "ACM", "synthetic", "256", "512"),
    _family("union/acm", "ACM", "union", "256"),
    _family("nudt-sirst/acm", "ACM", _NUDT, "256-eedm", "384-eedm"),
    _family("irstd-1k/acm", "ACM", _IRSTD, "256-eedm", "512-eedm"),
    *(
        _family(f"nuaa-sirst/{backbone.lower()}", backbone, _NUAA, "512-eedm", "768-eedm")
        for backbone in ("MSDA-Net", "DNA-Net", "GGL-Net", "ALCL-Net", "UIU-Net")
    ),
)  # fmt: skip

FAMILIES = {family.name: family for family in _FAMILIES}
"""Every family by name; several scales make a FEST, one a LW-FEST."""


def find_entry(name: str) -> Entry:
    """The entry of a name; case and hyphens do not matter.

    Raises:
        ValueError: for an unknown name, listing the known ones and the nearest.

    Example:
        >>> find_entry("NUAA-SIRST/ACM-256-BCE").config.loss
        'BCE'
    """
    return ENTRIES[find_name("entry", name, ENTRIES)]


def scales_of(name: str) -> tuple[str, ...]:
    """The entries that are fused under a name: a family's scales, or an entry alone.

    Example:
        >>> scales_of("nuaa-sirst/acm-512-bce")
        ('nuaa-sirst/acm-512-bce',)
    """
    return FAMILIES[name].scales if name in FAMILIES else (name,)


def family_of(name: str) -> Family | None:
    """The family in which an entry takes part; None if it is in none.

    Example:
        >>> family_of("nuaa-sirst/acm-512-bce").name
        'nuaa-sirst/acm'
    """
    for family in FAMILIES.values():
        if name in (*family.scales, family.original):
            return family
    return None


_ENTRY = {
    "entry": str,
    "sha256": str,
    "minutes": NUMBER | None,
    "device": str,
    "train_split": str,
    "trained_on": int,
    "protocol": str,
    "seed": int,
    "test_split": str,
    "test": [FIGURES],
}

_MEASUREMENT = {
    "entry": str,
    "scales": dict,
    "dataset": str,
    "test_split": str,
    "command": str,
    "test": [FIGURES],
}
"""What the record of an entry, and that of a measurement, hold at least."""

_CLONE = Path(__file__).resolve().parents[1] / "weights"


def weights_dir() -> Path:
    """The folder of all weights: the environment's FESTKIT_WEIGHTS, else the clone's ``weights``.

    Example:
        >>> weights_dir().name
        'weights'
    """
    return Path(os.environ.get("FESTKIT_WEIGHTS") or _CLONE).expanduser()


def weights_file(name: str) -> Path:
    """The weights of an entry, there or not."""
    return weights_dir() / f"{name}.safetensors"


def record_file(name: str, dataset: str | None = None) -> Path:
    """The record of an entry, or of what an entry or a FEST was measured to do on a dataset.

    Example:
        >>> record_file("union/acm-256", "NUAA-SIRST").name
        'acm-256.on-nuaa-sirst.json'
    """
    on = "" if dataset is None else f".on-{dataset.lower()}"
    return weights_dir() / f"{name}{on}.json"


def read_record(name: str, dataset: str | None = None) -> dict[str, Any] | None:
    """The same, read; None if there is none."""
    path = record_file(name, dataset)
    return read_named(path) if path.is_file() else None


def fused_record(family: Family) -> dict[str, Any] | None:
    """The record of a family's FEST on the images it was trained for; None if there is none."""
    if len(family.scales) == 1:
        return None
    return read_record(family.name, ENTRIES[family.scales[0]].config.dataset)


def read_named(path: Path) -> dict[str, Any]:
    """A record's file.

    Raises:
        ValueError: if it is damaged, or has not one row of figures without AS and one with.
    """
    record: dict[str, Any] = read_json(path, _MEASUREMENT if ".on-" in path.name else _ENTRY)
    if len(record["test"]) != 2:
        raise InputError(
            f"{path} has {len(record['test'])} rows of figures, expected one without AS and one "
            "with; restore it, or measure again"
        )
    return record


def outdated(measurement: Mapping[str, Any]) -> str:
    """Why a measurement of an entry or a FEST no longer holds; empty if it does.

    It names the checksum of every scale it was taken with: the scales must be those of the
    catalogue, and the checksums those of their records.
    """
    scales, wanted = measurement["scales"], scales_of(measurement["entry"])
    if tuple(scales) != wanted:
        found = " + ".join(scales) or "no scale"
        return f"measured with {found}, not with {' + '.join(wanted)}"
    records = {name: read_record(name) for name in scales}
    replaced = [
        name
        for name, record in records.items()
        if record is None or record["sha256"] != scales[name]
    ]
    return f"measured with other weights of {', '.join(replaced)}" if replaced else ""


def sha256(path: Path) -> str:
    """The checksum of a file, 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained() -> list[str]:
    """Names of the entries whose weights are here, in the order of the catalogue."""
    return [name for name in ENTRIES if weights_file(name).is_file()]


def required_file(name: str) -> Path:
    """The weights of an entry.

    Raises:
        FileNotFoundError: if they are not here; says which are, and how to train these.
    """
    if not weights_file(name).is_file():
        raise MissingFileError(
            f"{name} has no weights in {weights_dir()}; there are those of "
            f"{', '.join(trained()) or 'no entry (they come with a clone of the repository)'}. "
            f"To train it: festkit zoo train {name}"
        )
    return weights_file(name)


def find_family(backbone: str, dataset: str) -> Family:
    """The family of a backbone on a dataset; case and hyphens do not matter.

    Raises:
        ValueError: if the catalogue has none; the message says which there are.

    Example:
        >>> find_family("dnanet", "nuaa sirst").name
        'nuaa-sirst/dna-net'
    """
    name = backbone_name(backbone)
    own = {family.dataset: family for family in FAMILIES.values() if family.backbone == name}
    if not own:
        known = ", ".join(dict.fromkeys(family.backbone for family in FAMILIES.values()))
        raise InputError(f"the zoo has no entry of {name}; it has those of {known}")
    return own[find_name(f"dataset of the zoo's {name}", dataset, own)]


def pretrained_files(backbone: str, dataset: str) -> list[Path]:
    """The weights of a family's scales, in their order.

    Raises:
        FileNotFoundError: if one of them is not here.
        ValueError: if the catalogue has no such family.
    """
    return [required_file(scale) for scale in find_family(backbone, dataset).scales]
