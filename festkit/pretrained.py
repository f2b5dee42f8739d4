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
        config: what is trained, without places.
        start: name of the entry whose weights it continues from; None starts at the prior.
        cpu_minutes: wall-clock minutes on one CPU core in fp32, measured or estimated; None if
            unknown.
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
        ValueError: if it is damaged, or has not two rows of metrics, without AS and with.
    """
    record: dict[str, Any] = read_json(path, _MEASUREMENT if ".on-" in path.name else _ENTRY)
    if len(record["test"]) != 2:
        raise InputError(
            f"{path} has {len(record['test'])} rows of metrics, expected one without AS and one "
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
    known = {name: (read_record(name) or {}).get("sha256") for name in scales}
    replaced = [name for name, digest in scales.items() if known[name] != digest]
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
