"""The files of trained weights and their records: where they are, and what they must hold."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from .._support.errors import InputError, MissingFileError
from .._support.files import NUMBER, read_json, sha256
from .._support.shipped import INSTALLED, shipped_folder
from ..training.run import METRICS_ROW
from .catalogue import ENTRIES, Family, find_family, scales_of

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

VARIABLE = "FESTKIT_WEIGHTS"
"""Environment variable of the only folder in which weights are then kept and looked up."""


def fetched_dir() -> Path:
    """The folder of downloaded weights: FESTKIT_WEIGHTS, else one in the user's cache.

    Example:
        >>> fetched_dir().name
        'weights'
    """
    return Path(os.environ.get(VARIABLE) or user_cache_path("festkit") / "weights").expanduser()


def weights_dirs() -> tuple[Path, ...]:
    """The folders in which weights are looked up, in this order.

    FESTKIT_WEIGHTS alone if it is set. Else those that come with the kit and the downloaded ones;
    those of an installed kit, which is never written to, come last.
    """
    if os.environ.get(VARIABLE):
        return (fetched_dir(),)
    folders = (shipped_folder("weights"), fetched_dir())
    return folders[::-1] if INSTALLED else folders


def weights_dir() -> Path:
    """The folder in which new weights are stored.

    FESTKIT_WEIGHTS, else the clone's ``weights``, else, without a clone, the user's cache.

    Example:
        >>> weights_dir().name
        'weights'
    """
    return weights_dirs()[0]


def stored_files(pattern: str) -> dict[str, Path]:
    """The files of all weights folders, by their path within their folder, in order.

    Example:
        >>> list(stored_files("union/acm-256.safetensors"))
        ['union/acm-256.safetensors']
    """
    found = {
        path.relative_to(folder).as_posix(): path
        for folder in reversed(weights_dirs())
        for path in folder.glob(pattern)
    }
    return dict(sorted(found.items()))


def _place(name: str) -> Path:
    """The path of a file in the first folder that has it, else in that of new weights."""
    paths = [folder / name for folder in weights_dirs()]
    return next((path for path in paths if path.is_file()), paths[0])


def weights_file(name: str) -> Path:
    """Path of the weights of an entry, which may not exist."""
    return _place(f"{name}.safetensors")


def record_file(name: str, dataset: str | None = None) -> Path:
    """Path of the record of an entry, or of the evaluation of an entry or FEST on a dataset.

    Example:
        >>> record_file("union/acm-256", "NUAA-SIRST").name
        'acm-256.on-nuaa-sirst.json'
    """
    on = "" if dataset is None else f".on-{dataset.lower()}"
    return _place(f"{name}{on}.json")


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


def trained() -> list[str]:
    """Names of the entries with weights, in the order of the catalogue."""
    return [name for name in ENTRIES if weights_file(name).is_file()]


def required_file(name: str) -> Path:
    """The weights of an entry.

    Raises:
        FileNotFoundError: if they are missing; the message lists the available ones and how to
            download or train them.
        ValueError: if downloaded weights are not those of the record.
    """
    path, record = weights_file(name), read_record(name)
    if not path.is_file():
        fetch = f"To download them: festkit weights fetch {name}. " if record else ""
        raise MissingFileError(
            f"{name} has no weights in {weights_dir()}. Available: "
            f"{', '.join(trained()) or 'no entry'}. {fetch}To train it: festkit zoo train {name}"
        )
    fetched = path.is_relative_to(fetched_dir())
    if fetched and record is not None and sha256(path) != record["sha256"]:
        raise InputError(
            f"{path} is of another version of festkit than the record of {name}; to replace it: "
            f"festkit weights fetch {name}"
        )
    return path


def pretrained_files(backbone: str, dataset: str | None = None) -> list[Path]:
    """The weights of a family's scales, in their order; see :func:`find_family`.

    Raises:
        FileNotFoundError: if one of them is missing.
        ValueError: if the catalogue has no such family.
    """
    return [required_file(scale) for scale in find_family(backbone, dataset).scales]
