"""Read checkpoint files of several formats without executing code from them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .._support.cards import check_whole
from .._support.errors import InputError, MissingFileError

_PREFIXES = ("module.", "model.", "_orig_mod.")

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params")
"""Where a checkpoint holds several state dicts, the first of these names is the network."""


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file by name, after a check of its checksum.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is unreadable or damaged.
    """
    with open_safetensors(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = file.metadata() or {}
    check_whole(tensors, header, path)
    return tensors


@contextmanager
def open_safetensors(path: str | Path) -> Iterator[Any]:
    """Open a ``.safetensors`` file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is unreadable.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"no such weights file: {path}")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file ({error})") from error


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without wrappers and their prefixes.

    Args:
        path: a .safetensors or .npz file, or one written by ``torch.save``: .pth, .pth.tar, .pt.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is unreadable, has no tensors, or would execute code.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "net.pth.tar"
        >>> torch.save({"state_dict": {"module.bias": torch.zeros(1)}, "epoch": 7}, path)
        >>> read_checkpoint(path)
        {'bias': tensor([0.])}
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"no such checkpoint: {path}")
    readers = {".safetensors": read_tensors, ".npz": _read_npz}
    return state_dict_of(readers.get(path.suffix, _read_torch)(path), path)


def state_dict_of(checkpoint: Any, source: str | Path) -> dict[str, Tensor]:
    """Tensors by name, from a state dict or a checkpoint that contains one.

    ``source`` names the checkpoint in an error.

    Raises:
        ValueError: if it has no state dict, or several.
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
    """The state dicts in a checkpoint, by their place in it.

    Of several, one with a known name is taken; those without a tensor of two dimensions, such as
    scores, are no networks.
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
    """Whether a tensor of it has two dimensions."""
    return any(isinstance(value, Tensor) and value.ndim > 1 for value in part.values())


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_numpy_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        unknown = re.search(r"GLOBAL ([\w.]+)", str(error))
        kind = f" ({unknown[1]})" if unknown else ""
        raise InputError(
            f"{path} is damaged, or contains objects other than tensors and numbers{kind}, which "
            "would execute code; it is refused. Use a state dict, written with "
            "torch.save(network.state_dict(), path)"
        ) from error


def _numpy_globals() -> list[Any]:
    """The globals that numpy numbers need, such as scores in a checkpoint; they run no code."""
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
    """A tensor's name without the prefixes of wrappers."""
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name
