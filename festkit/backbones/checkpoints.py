"""Checkpoint files as they are passed around, read without running anything in them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._support.errors import InputError, MissingFileError
from . import read_tensors

_PREFIXES = ("module.", "model.", "_orig_mod.")

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params")
"""Names of the network to take where a checkpoint holds several, the surest first."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, unwrapped and without the prefixes of wrappers.

    Args:
        path: a .safetensors or .npz file, or one written by ``torch.save``: .pth, .pth.tar, .pt.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unreadable, holds no tensors, or would run code to be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "net.pth.tar"
        >>> torch.save({"state_dict": {"module.bias": torch.zeros(1)}, "epoch": 7}, path)
        >>> read_checkpoint(path)
        {'bias': tensor([0.])}
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no checkpoint {path}")
    if path.suffix == ".safetensors":
        return plain_tensors(read_tensors(path), path)
    return plain_tensors(_read_npz(path) if path.suffix == ".npz" else _read_torch(path), path)


def plain_tensors(checkpoint: Any, source: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a state dict or a checkpoint around one; ``source`` names it in errors.

    Raises:
        ValueError: if there is no state dict in it.
    """
    if not isinstance(checkpoint, Mapping):
        raise InputError(f"{source} holds {type(checkpoint).__name__}, expected tensors by name")
    found = _networks(checkpoint)
    if len(found) > 1:
        raise InputError(
            f"{source} holds several networks, {', '.join(found)}; read it with torch.load(path, "
            "map_location='cpu', weights_only=True) and pass the one you want"
        )
    checkpoint = next(iter(found.values()), checkpoint)
    tensors: dict[str, Tensor] = {}
    for key, value in checkpoint.items():
        if not isinstance(value, Tensor):
            continue
        name = _without_prefixes(str(key))
        if name in tensors:
            raise InputError(f"{source} holds {name} twice, under different prefixes")
        if value.is_complex() or not value.isfinite().all():
            raise InputError(f"{source}: {key} is complex or holds NaN or infinite values")
        tensors[name] = value
    if not tensors:
        names = ", ".join(map(str, list(checkpoint)[:5]))
        raise InputError(f"{source} holds no tensors, only {names or 'nothing'}")
    return tensors


def _networks(checkpoint: Mapping[Any, Any], place: str = "") -> dict[str, Mapping[Any, Any]]:
    """The state dicts within a checkpoint, by where they are in it, whatever it calls them.

    Where there are several, a known name decides, and those without a weight of two dimensions are
    none, such as scores.
    """
    found: dict[str, Mapping[Any, Any]] = {}
    for name in _WRAPPERS:
        if isinstance(checkpoint.get(name), Mapping):
            named = _networks(checkpoint[name], f"{place}[{name!r}]")
            if any(map(_is_deep, named.values())):
                return named
    for name, value in checkpoint.items():
        kept = isinstance(name, str) and not name.lower().startswith("optim")
        if kept and isinstance(value, Mapping):
            found |= _networks(value, f"{place}[{name!r}]")
    if not found and any(isinstance(value, Tensor) for value in checkpoint.values()):
        return {place: checkpoint}
    deep = {name: part for name, part in found.items() if _is_deep(part)}
    return deep if len(found) > 1 and deep else found


def _is_deep(part: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor) and value.ndim > 1 for value in part.values())


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_plain_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        unknown = re.search(r"GLOBAL ([\w.]+)", str(error))
        kind = f" ({unknown[1]})" if unknown else ""
        raise InputError(
            f"{path} is damaged, or holds more than tensors and numbers{kind}, which only running "
            "code could rebuild; it is refused. Ask for a state dict, as torch.save makes of "
            "network.state_dict()"
        ) from error


def _plain_numbers() -> list[Any]:
    """What numpy needs to rebuild a number, as checkpoints keep their scores; none of it runs."""
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # numpy 1, numpy 2
    kinds = {type(np.dtype(kind)) for kind in np.typecodes["AllInteger"] + "efd?"}
    return [*((scalar, name) for name in names), np.dtype, *kinds]


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except Exception as error:  # a damaged file fails in many ways
        raise InputError(f"{path} is not a readable .npz file of plain arrays ({error})") from error


def _without_prefixes(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name
