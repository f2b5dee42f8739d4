"""Trained weights: their recipes, files and records (`pretrained.toml` holds the recipes)."""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._support.errors import InputError, MissingFileError
from ._support.files import NUMBER, read_json
from ._support.names import find_name
from .backbones import backbone_name
from .training.config import TrainConfig
from .training.run import METRICS_ROW

UNION = "NUAA-SIRST+NUDT-SIRST+IRSTD-1K"
"""The public sets; it also stands for the paper's W-IRSTD, which is not available as files."""


@dataclass(frozen=True)
class Entry:
    """One network at one input size, and the training that makes it.

    Attributes:
        name: such as "nuaa-sirst/acm-256-eedm"; its files have the same name.
        config: configuration of the training, without folders and device.
        start: name of the entry whose weights it starts from; None starts at the prior.
        cpu_minutes: wall-clock minutes on one CPU core in fp32, measured or estimated; None if
            unknown.
        gpu_minutes: estimated wall-clock minutes on an NVIDIA H100; an H200 needs at most as many.
        scenes: arguments of make_synthetic_dataset, if the dataset is synthetic.

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
    """The entries of one backbone on one dataset, and their roles in the paper's table.

    Attributes:
        name: such as "nuaa-sirst/acm".
        backbone: name of the backbone.
        dataset: name of the training images in FEST.from_pretrained.
        scales: entries that are fused, in the order of the scales.
        light: the scale used as LW-FEST (one size with AS).
        original: the entry used as Original: BCE, no AS, at the size of ``light``.

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


def _read_catalogue() -> tuple[dict[str, Entry], dict[str, Family]]:
    """Entries, in the order in which they are trained, and families, by name."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    recipes = tomllib.loads(text)
    entries = {
        name: Entry(
            name,
            TrainConfig(**recipes["defaults"] | recipe["train"]),
            recipe.get("start"),
            recipe["minutes"].get("cpu"),
            recipe["minutes"]["gpu"],
            recipes["scenes"] if recipe.get("scenes") else None,
        )
        for name, recipe in recipes["entries"].items()
    }
    families = {}
    for name, parts in recipes["families"].items():
        scales = tuple(f"{name}-{scale}" for scale in parts["scales"])
        light = f"{name}-{parts['light']}" if "light" in parts else scales[-1]
        original = f"{name}-{parts['original']}" if "original" in parts else None
        families[name] = Family(name, parts["backbone"], parts["dataset"], scales, light, original)
    return entries, families


ENTRIES, FAMILIES = _read_catalogue()
"""Every entry and every family by name; several scales make a FEST, one a LW-FEST."""


def find_entry(name: str) -> Entry:
    """The entry of a name; case and hyphens do not matter.

    Raises:
        ValueError: for an unknown name; the message lists the known names and the closest one.

    Example:
        >>> find_entry("NUAA-SIRST/ACM-256-BCE").config.loss
        'BCE'
    """
    return ENTRIES[find_name("entry", name, ENTRIES)]


def scales_of(name: str) -> tuple[str, ...]:
    """The entries of a name: the scales of a family, or the entry itself.

    Example:
        >>> scales_of("nuaa-sirst/acm-512-bce")
        ('nuaa-sirst/acm-512-bce',)
    """
    return FAMILIES[name].scales if name in FAMILIES else (name,)


def family_of(name: str) -> Family | None:
    """The family of an entry; None if it has none.

    Example:
        >>> family_of("nuaa-sirst/acm-512-bce").name
        'nuaa-sirst/acm'
    """
    parts = ((family, (*family.scales, family.original)) for family in FAMILIES.values())
    return next((family for family, names in parts if name in names), None)


_TEXTS = ("entry", "sha256", "device", "train_split", "test_split", "protocol")

_ENTRY: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("trained_on", "seed"), int),
    "minutes": NUMBER | None,
    "test": [METRICS_ROW],
}

_MEASUREMENT: dict[str, Any] = {
    **dict.fromkeys(("entry", "dataset", "test_split", "command"), str),
    "scales": dict,
    "test": [METRICS_ROW],
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
    """Path of the weights of an entry, which may not exist."""
    return weights_dir() / f"{name}.safetensors"


def record_file(name: str, dataset: str | None = None) -> Path:
    """Path of the record of an entry, or of the evaluation of an entry or FEST on a dataset.

    Example:
        >>> record_file("union/acm-256", "NUAA-SIRST").name
        'acm-256.on-nuaa-sirst.json'
    """
    on = "" if dataset is None else f".on-{dataset.lower()}"
    return weights_dir() / f"{name}{on}.json"


def read_record(name: str, dataset: str | None = None) -> dict[str, Any] | None:
    """Read this record; None if it does not exist."""
    path = record_file(name, dataset)
    return read_named(path) if path.is_file() else None


def fused_record(family: Family) -> dict[str, Any] | None:
    """The record of the FEST of a family on its own dataset; None if it does not exist."""
    if len(family.scales) == 1:
        return None
    return read_record(family.name, ENTRIES[family.scales[0]].config.dataset)


def read_named(path: Path) -> dict[str, Any]:
    """A record's file.

    Raises:
        ValueError: if it is damaged, or does not have two rows of metrics (without and with AS).
    """
    record: dict[str, Any] = read_json(path, _MEASUREMENT if ".on-" in path.name else _ENTRY)
    if len(record["test"]) != 2:
        raise InputError(
            f"{path} has {len(record['test'])} rows of metrics, expected one without AS and one "
            "with; restore it, or evaluate again"
        )
    return record


def outdated(measurement: Mapping[str, Any]) -> str:
    """Why an evaluation record is outdated; empty if it is current.

    The record has the checksum of every scale. The scales must match the catalogue, and the
    checksums must match their records.
    """
    scales, wanted = measurement["scales"], scales_of(measurement["entry"])
    if tuple(scales) != wanted:
        found = " + ".join(scales) or "no scale"
        return f"measured with {found}, not with {' + '.join(wanted)}"
    known = {name: (read_record(name) or {}).get("sha256") for name in scales}
    replaced = [name for name, digest in scales.items() if known[name] != digest]
    return f"measured with other weights of {', '.join(replaced)}" if replaced else ""


def sha256(path: Path) -> str:
    """The checksum of a file, 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained() -> list[str]:
    """Names of the entries with weights, in the order of the catalogue."""
    return [name for name in ENTRIES if weights_file(name).is_file()]


def required_file(name: str) -> Path:
    """The weights of an entry.

    Raises:
        FileNotFoundError: if they are missing; the message lists the available ones and how to
            train.
    """
    if not weights_file(name).is_file():
        raise MissingFileError(
            f"{name} has no weights in {weights_dir()}. Available: "
            f"{', '.join(trained()) or 'no entry (they come with a clone of the repository)'}. "
            f"To train it: festkit zoo train {name}"
        )
    return weights_file(name)


def find_family(backbone: str, dataset: str) -> Family:
    """The family of a backbone on a dataset; case and hyphens do not matter.

    Raises:
        ValueError: if the catalogue has none; the message lists the available ones.

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
        FileNotFoundError: if one of them is missing.
        ValueError: if the catalogue has no such family.
    """
    return [required_file(scale) for scale in find_family(backbone, dataset).scales]
