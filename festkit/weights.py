"""Trained weights as safetensors files, each with its card in the file's header.

The card says what the weights are: network, data, size, loss, seed, figures. Files are never
unpickled, and they appear under their name only when they are whole.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ._files import whole_file
from .backbones import create_backbone, fill_backbone, list_backbones, read_tensors

MAX_CHANNELS = 1024
"""More input channels than any sensor has; a card that asks for more is damaged."""


def save_weights(backbone: nn.Module, path: str | Path, card: Mapping[str, Any]) -> Path:
    """Write a network's weights and their card to one ``.safetensors`` file.

    Args:
        backbone: any network.
        path: the file; its folder is made.
        card: plain values (JSON). ``backbone`` and ``in_channels`` let :func:`load_weights` build a
            network of the catalogue by itself.

    Returns:
        The path.

    Raises:
        TypeError: if the card holds something that JSON does not.

    Example:
        >>> import tempfile
        >>> from festkit.backbones import create_backbone
        >>> path = Path(tempfile.mkdtemp()) / "acm.safetensors"
        >>> card = {"backbone": "ACM", "in_channels": 3, "epochs": 0}
        >>> _ = save_weights(create_backbone("ACM"), path, card)
        >>> read_card(path)["epochs"]
        0
    """
    return save_tensors(backbone.state_dict(), path, card)


def load_weights(path: str | Path, backbone: nn.Module | None = None) -> nn.Module:
    """Read weights into a network, ready for inference (eval mode).

    Args:
        path: a file written by :func:`save_weights`.
        backbone: the network to fill; None builds the one its card names.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is unreadable, has no card or one that names no backbone of the
            catalogue, or does not fit the network.

    Example:
        >>> import tempfile
        >>> from festkit.backbones import create_backbone
        >>> path = Path(tempfile.mkdtemp()) / "acm.safetensors"
        >>> card = {"backbone": "ACM", "in_channels": 1}
        >>> _ = save_weights(create_backbone("ACM", in_channels=1), path, card)
        >>> load_weights(path).in_channels
        1
    """
    card = read_card(path)
    if backbone is None:
        backbone = create_from_card(card, path)
    fill_backbone(backbone, read_tensors(path), path)
    return backbone.eval()


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a weights file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no readable safetensors file or has no card.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no weights file {path}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error})") from error
    if "card" not in header:
        raise ValueError(f"{path} has no card; it was not written by festkit")
    try:
        card = json.loads(header["card"])
    except json.JSONDecodeError as error:
        raise ValueError(f"the card of {path} is not readable JSON ({error})") from error
    if not isinstance(card, dict):
        raise ValueError(f"the card of {path} is {type(card).__name__}, expected named values")
    return card


def create_from_card(card: Mapping[str, Any], source: str | Path) -> nn.Module:
    """A new network of the kind a card names; ``source`` names the file in an error.

    Raises:
        ValueError: if it is not of the catalogue, or its number of channels is not one.
    """
    name = card.get("backbone")
    if name not in list_backbones():
        raise ValueError(
            f"the card of {source} names no backbone of the catalogue but {name!r}; pass the "
            "network to fill, or read a whole FEST with FEST.load"
        )
    channels = card.get("in_channels", 3)
    if not (isinstance(channels, int) and 1 <= channels <= MAX_CHANNELS):
        raise ValueError(f"the card of {source} has in_channels {channels!r}, expected 1 to 1024")
    return create_backbone(name, in_channels=channels)


def save_tensors(tensors: Mapping[str, Tensor], path: str | Path, card: Mapping[str, Any]) -> Path:
    """Write named tensors and a card whole; the base of every weights file of the kit."""
    header = {"card": json.dumps(dict(card), allow_nan=False)}
    with whole_file(path) as part:
        plain = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
        part.write_bytes(save(plain, metadata=header))
    return Path(path)
