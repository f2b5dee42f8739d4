"""Weights from a web server or from a repository of the Hugging Face hub."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from .._support.download import download
from .._support.errors import DownloadError, InputError, MissingFileError, MissingPackageError
from .._support.files import atomic_write, sha256, write_json
from .._support.names import find_name
from .._support.shipped import shipped_folder
from .catalogue import ENTRIES, FAMILIES, scales_of
from .files import fetched_dir, read_named, read_record, record_file, weights_file

HUB = "hf://"

FEST_FILE = "fest.safetensors"
"""The file of a whole FEST, in a folder or a repository of the hub."""

VARIABLE = "FESTKIT_WEIGHTS_URL"
"""Environment variable of the default source."""

FORMS = "https://... (a folder with the layout of weights/) or hf://owner/name"


def fetch_weights(name: str, source: str | None = None) -> list[Path]:
    """Download the weights of an entry, or of all scales of a family; present ones are kept.

    Args:
        name: an entry or a family.
        source: see :data:`FORMS`; None takes the environment variable FESTKIT_WEIGHTS_URL.

    Returns:
        The weights files, in the order of the scales.

    Raises:
        ValueError: for an unknown name, an entry without a record, or no valid source.
        ConnectionError: if a file cannot be downloaded, or differs from its record.

    Example:
        >>> [path.name for path in fetch_weights("union/acm")]
        ['acm-256.safetensors']
    """
    names = scales_of(find_name("entry", name, (*ENTRIES, *FAMILIES)))
    return [_fetch_entry(scale, source or os.environ.get(VARIABLE, "")) for scale in names]


def _fetch_entry(name: str, source: str) -> Path:
    """One weights file, from where it is."""
    record = read_record(name) or _shipped_record(name)
    if weights_file(name).is_file() and sha256(weights_file(name)) == record["sha256"]:
        return weights_file(name)
    file = f"{name}.safetensors"
    path = fetched_dir() / file
    if source.startswith(HUB):
        _copy(hub_file(source, file), path, record["sha256"], source)
    elif source.startswith(("https://", "http://")):
        download(f"{source.rstrip('/')}/{quote(file)}", path, record["sha256"])
    else:
        what = f"the source is {source!r}" if source else "no source of weights"
        raise InputError(
            f"{what}; pass --source, or set {VARIABLE}, to {FORMS}. Without a network, copy {file} "
            f"from another machine to {path}, or train it: festkit zoo train {name}"
        )
    if not record_file(name).is_file():
        write_json(path.with_suffix(".json"), record)
    return path


def _shipped_record(name: str) -> dict[str, str]:
    """The record that came with the kit, where FESTKIT_WEIGHTS lacks it."""
    path = shipped_folder("weights") / f"{name}.json"
    if not path.is_file():
        raise InputError(
            f"this version of festkit has no record of {name}, so the checksum of its weights is "
            f"unknown. Train it (festkit zoo train {name}), or update festkit"
        )
    return read_named(path)


def _copy(found: Path, path: Path, digest: str, source: str) -> None:
    """Copy a file out of the hub's own cache, if it is the right one."""
    if sha256(found) != digest:
        raise DownloadError(
            f"{path.name} of {source} is not the expected file: its SHA-256 starts with "
            f"{sha256(found)[:12]}, expected {digest[:12]}. Nothing was kept; check the repository"
        )
    with atomic_write(path) as part:
        shutil.copyfile(found, part)


def hub_file(address: str, file: str) -> Path:
    """A file of a repository of the Hugging Face hub, in the hub's own cache.

    Args:
        address: "hf://owner/name", or "hf://owner/name@revision" for a branch, tag or commit.
        file: its path in the repository.

    Raises:
        ValueError: for an address of another form.
        ImportError: if huggingface_hub is not installed.
        ConnectionError: if the file cannot be downloaded.

    Example:
        >>> hub_file("hf://acm", "fest.safetensors")
        Traceback (most recent call last):
        festkit._support.errors.InputError: hf://acm is no repository of the hub; expected hf://...
    """
    found = re.fullmatch(rf"{HUB}(\w[\w.-]*/\w[\w.-]*)(?:@([\w./-]+))?", address)
    if found is None:
        raise InputError(
            f"{address} is no repository of the hub; expected hf://owner/name or "
            "hf://owner/name@revision"
        )
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError('install the hub: pip install "festkit[hub]"') from error
    try:
        return Path(hf_hub_download(found[1], file, revision=found[2]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DownloadError(f"cannot get {file} of {address}: {reason}") from error


def saved_fest(source: str | Path) -> Path:
    """The file of a FEST that FEST.save_pretrained has written.

    Args:
        source: its folder, or a repository of the hub, see :func:`hub_file`.

    Raises:
        FileNotFoundError: if a folder has no such file.

    Example:
        >>> saved_fest("ACM")
        Traceback (most recent call last):
        festkit._support.errors.MissingFileError: ACM is no folder with fest.safetensors and not ...
    """
    if str(source).startswith(HUB):
        return hub_file(str(source), FEST_FILE)
    path = Path(source).expanduser() / FEST_FILE
    if not path.is_file():
        raise MissingFileError(
            f"{source} is no folder with {FEST_FILE} and not hf://owner/name; of a backbone, also "
            "pass the dataset: FEST.from_pretrained('ACM', 'NUAA-SIRST')"
        )
    return path
