"""Trained weights as safetensors files with a card in the header; import of published weights.

The card describes the weights: network, data, size, loss, seed, metrics. Files are never unpickled,
and they are written atomically.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ._support.cards import CHECKSUM, checksum, parse_card
from ._support.errors import InputError
from ._support.files import atomic_write, check_form
from .backbones import backbone_name, create_backbone, fill_backbone, list_backbones
from .backbones.checkpoints import open_safetensors, read_checkpoint, read_tensors, state_dict_of
from .backbones.contract import input_channels
from .backbones.published import rename_published

MAX_CHANNELS = 1024
"""More input channels than any sensor has; a card that asks for more is damaged."""


def save_weights(backbone: nn.Module, path: str | Path, card: Mapping[str, Any]) -> Path:
    """Write a network's weights and their card to one ``.safetensors`` file.

    Args:
        backbone: any network.
        path: the file; its folder is created if missing.
        card: JSON values. With ``backbone`` and ``in_channels``, :func:`load_weights` can build a
            network of the catalogue.

    Returns:
        The path.

    Raises:
        TypeError: if the card contains values that JSON cannot store.

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
        backbone: the network to fill; default: the network named in the card.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is unreadable, its card is missing or names no backbone of the
            catalogue, or the weights do not fit the network.

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


@dataclass(frozen=True)
class ImportResult:
    """Published weights loaded into a backbone of the catalogue.

    Attributes:
        backbone: the filled network, in eval mode.
        unused: published tensors without effect: layers that reach no output, or side outputs that
            this network lacks.
        unexpected: names that the published network does not have.
        adapted: our tensors that were converted exactly to another number of input channels.

    Example:
        >>> state = create_backbone("ACM").state_dict()
        >>> import_state_dict(state | {"total_ops": state["head.4.bias"]}, "ACM").unexpected
        ('total_ops',)
    """

    backbone: nn.Module
    unused: tuple[str, ...]
    unexpected: tuple[str, ...]
    adapted: tuple[str, ...]


def import_state_dict(
    path_or_mapping: str | Path | Mapping[str, Any], backbone: str | nn.Module
) -> ImportResult:
    """Load published weights into a backbone, name by name.

    Files are read without executing code. The state dict of a checkpoint is found under any name;
    if there are several, pass one as a mapping. Prefixes such as ``module.`` are dropped. Weights
    are converted between one and three input channels if the outputs on gray images remain exactly
    the same.

    Args:
        path_or_mapping: a .pth, .pth.tar, .pt, .npz or .safetensors file, or tensors by name.
        backbone: a name of the catalogue, which builds a network for 3 channels; or a network made
            by :func:`create_backbone`, which is filled in place.

    Returns:
        The network, with a report by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is unreadable or would execute code; if tensors of the network are
            missing or have another shape; or if the file is of another variant of the network.

    Example:
        >>> state = create_backbone("ACM").state_dict()
        >>> import_state_dict({f"module.{name}": t for name, t in state.items()}, "ACM").unexpected
        ()
    """
    if isinstance(path_or_mapping, Mapping):
        source, published = "the mapping", state_dict_of(path_or_mapping, "the mapping")
    else:
        source, published = str(path_or_mapping), read_checkpoint(path_or_mapping)
    network = create_backbone(backbone) if isinstance(backbone, str) else backbone
    own = network.state_dict()
    tensors, unused, unexpected = _renamed(published, backbone_name(network), own)
    foreign = [name for name in unused if _has_place(name, backbone_name(network))]
    if foreign:
        raise InputError(
            f"{source} is of another variant of {backbone_name(network)}: it also has "
            f"{_some(foreign)}. Build the network as published (create_backbone has options, such "
            "as base=True of MLCL-Net)"
        )
    needed = [name for name in own if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise InputError(
            f"{source} lacks {len(missing)} of {len(own)} tensors of {backbone_name(network)}: "
            f"{_some(missing)}; it has {_some(published)}"
        )
    channels = input_channels(network)
    fitted = {name: _fitted(name, t, own[name], channels, source) for name, t in tensors.items()}
    adapted = tuple(name for name in tensors if tensors[name].shape != own[name].shape)
    fill_backbone(network, {**own, **fitted}, source)
    return ImportResult(network.eval(), tuple(unused), tuple(unexpected), adapted)


def _some(names: Iterable[str]) -> str:
    """The first names, for a message."""
    first = list(islice(names, 21))
    return ", ".join([*first[:20], *("…" for _ in first[20:])])


def _renamed(
    published: Mapping[str, Tensor], backbone: str, own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Published tensors under our names; names without effect; names nobody knows."""
    tensors: dict[str, Tensor] = {}
    unused, unexpected = [], []
    for name, tensor in published.items():
        try:
            ours = name if name in own else rename_published(name, backbone)
        except KeyError:
            unexpected.append(name)
            continue
        if ours is None or ours not in own:
            unused.append(name)
        else:
            tensors[ours] = tensor
    return tensors, unused, unexpected


def _has_place(published: str, backbone: str) -> bool:
    """Whether a published tensor acts in the published network's main output."""
    ours = rename_published(published, backbone)
    return ours is not None and not ours.startswith("side_heads.")


def _fitted(name: str, tensor: Tensor, own: Tensor, channels: int, source: str) -> Tensor:
    """A tensor for another number of equal input channels, if that changes no output."""
    if tensor.shape == own.shape:
        return tensor
    if tensor.numel() == own.numel() == 1:
        return tensor.reshape(own.shape)
    if tensor.ndim == 4 and tensor.shape[2:] == own.shape[2:] and len(tensor) == len(own):
        if channels == own.shape[1] == 1:
            return tensor.float().sum(1, keepdim=True)
        if channels == own.shape[1] and tensor.shape[1] == 1:
            return tensor.float().expand_as(own) / channels
    if tensor.shape == (1,) and own.shape == (channels,):
        return tensor.expand_as(own)
    raise InputError(
        f"{source}: {name} has shape {tuple(tensor.shape)}, expected {tuple(own.shape)}. Weights "
        "for another number of input channels are only converted if the result is exact. Three to "
        "one is not exact, for example, if batch norm precedes the first convolution, because its "
        "shift meets zero padding. Build the network with in_channels as published"
    )


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a weights file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a readable safetensors file or has no card.
    """
    with open_safetensors(path) as file:
        return parse_card(file.metadata() or {}, path)


def create_from_card(card: Mapping[str, Any], source: str | Path) -> nn.Module:
    """Build the network named in a card; ``source`` is the file name for error messages.

    Raises:
        ValueError: if it is not in the catalogue, or the number of channels is invalid.
    """
    name = card.get("backbone")
    if name not in list_backbones():
        raise InputError(
            f"the card of {source} names {name!r}, which is no backbone of the catalogue; pass the "
            "network to fill, or read a whole FEST with FEST.load"
        )
    check_form(f"the card of {source}", card, {"in_channels?": int, "backbone_options?": dict})
    channels = card.get("in_channels", 3)
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(f"the card of {source} has in_channels {channels}, expected 1 to 1024")
    return create_backbone(name, in_channels=channels, **card.get("backbone_options", {}))


def save_tensors(tensors: Mapping[str, Tensor], path: str | Path, card: Mapping[str, Any]) -> Path:
    """Write named tensors, their card and a checksum of both to one file, atomically."""
    compact = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    values = json.loads(json.dumps(dict(card), allow_nan=False))
    values[CHECKSUM] = checksum(compact, values)
    with atomic_write(path) as part:
        part.write_bytes(save(compact, metadata={"card": json.dumps(values)}))
    return Path(path)
