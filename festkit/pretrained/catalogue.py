"""The catalogue of trained weights: entries and families (`entries.toml` holds the recipes)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._support.errors import InputError
from .._support.names import find_name
from ..backbones import backbone_name
from ..training.config import TrainConfig

UNIVERSAL = "universal"
"""The family for frames of any camera."""

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
        scenes: arguments of make_synthetic_dataset, if the dataset, or the last of a union, is
            synthetic.
        thresholds: th1, th2 and rule of its card.

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
    thresholds: Mapping[str, Any] = field(default_factory=lambda: {"th1": 0.5, "th2": 0.1})

    @property
    def scenes_name(self) -> str:
        """Name of its synthetic scenes.

        Example:
            >>> ENTRIES["universal/acm-128"].scenes_name
            'synthetic-hard'
        """
        return self.config.dataset.split("+")[-1]


@dataclass(frozen=True)
class Family:
    """The entries of one backbone on one dataset, and their roles in the paper's table.

    Attributes:
        name: such as "nuaa-sirst/acm", or "universal".
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
    text = Path(__file__).with_name("entries.toml").read_text(encoding="utf-8")
    recipes = tomllib.loads(text)
    entries = {
        name: Entry(
            name,
            TrainConfig(**recipes["defaults"] | recipe["train"]),
            recipe.get("start"),
            recipe["minutes"].get("cpu"),
            recipe["minutes"]["gpu"],
            recipes["scenes"] | recipe["scenes"] if "scenes" in recipe else None,
            **{key: recipe[key] for key in ("thresholds",) if key in recipe},
        )
        for name, recipe in recipes["entries"].items()
    }
    families = {}
    for name, parts in recipes["families"].items():
        scales = tuple(parts.get("entries") or (f"{name}-{scale}" for scale in parts["scales"]))
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


def find_family(backbone: str, dataset: str | None = None) -> Family:
    """The family of a backbone on a dataset, or of its own name; case and hyphens do not matter.

    Raises:
        ValueError: if the catalogue has none; the message lists the available ones.

    Example:
        >>> find_family("dnanet", "nuaa sirst").name
        'nuaa-sirst/dna-net'
    """
    if dataset is None:
        return FAMILIES[find_name("family", backbone, FAMILIES)]
    name = backbone_name(backbone)
    own = {family.dataset: family for family in FAMILIES.values() if family.backbone == name}
    if not own:
        known = ", ".join(dict.fromkeys(family.backbone for family in FAMILIES.values()))
        raise InputError(f"the zoo has no entry of {name}; it has those of {known}")
    return own[find_name(f"dataset of the zoo's {name}", dataset, own)]
