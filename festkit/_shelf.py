"""Where the zoo's files lie: weights with their card, and the record beside them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._entries import ENTRIES, FAMILIES, Family, scales_of
from ._errors import InputError, MissingFileError
from ._files import NUMBER, read_json
from ._names import find_name
from ._run import FIGURES
from .backbones import backbone_name

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


def shelf() -> Path:
    """The folder of all weights: the environment's FESTKIT_WEIGHTS, else the clone's ``weights``.

    Example:
        >>> shelf().name
        'weights'
    """
    return Path(os.environ.get("FESTKIT_WEIGHTS") or _CLONE).expanduser()


def weights_file(name: str) -> Path:
    """The weights of an entry, there or not."""
    return shelf() / f"{name}.safetensors"


def record_file(name: str, dataset: str | None = None) -> Path:
    """The record of an entry, or of what an entry or a FEST was measured to do on a dataset.

    Example:
        >>> record_file("union/acm-256", "NUAA-SIRST").name
        'acm-256.on-nuaa-sirst.json'
    """
    on = "" if dataset is None else f".on-{dataset.lower()}"
    return shelf() / f"{name}{on}.json"


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
            f"{name} has no weights in {shelf()}; there are those of "
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
