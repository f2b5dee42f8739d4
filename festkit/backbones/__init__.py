"""The backbones, the FEST paper's "basic models": one file per network, one card each.

A backbone maps an image (N, C, H, W) to logits (N, 1, H, W) of the same size, in training and
evaluation. With ``deep_supervision=True`` some return a list of logits in training, the main ones
first. To add a network, add its file here and its card to ``cards.toml``. Torch is only imported
when a network is built.
"""

import inspect
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from .._support.errors import InputError
from .._support.names import find_name
from .cards import CATALOGUE, BackboneCard

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "BackboneCard",
    "backbone_card",
    "backbone_name",
    "backbone_options",
    "check_options",
    "create_backbone",
    "fill_backbone",
    "in_catalogue",
    "integer_attribute",
    "list_backbones",
    "network_card",
]


def list_backbones() -> list[str]:
    """Names of all backbones, spelled as in the paper.

    Example:
        >>> "ACM" in list_backbones()
        True
    """
    return list(CATALOGUE)


def backbone_card(name: str) -> BackboneCard:
    """The card of a backbone: paper, parameters, operations, size limits.

    Args:
        name: a name of :func:`list_backbones`; case and hyphens do not matter.

    Raises:
        ValueError: for an unknown name; the message lists the known names.

    Example:
        >>> backbone_card("acm").parameters
        397971
    """
    return CATALOGUE[find_name("backbone", name, CATALOGUE)]


def create_backbone(
    name: str,
    *,
    in_channels: int = 3,
    weights: str | Path | None = None,
    **options: Any,
) -> "nn.Module":
    """Build a backbone by name.

    Args:
        name: a name of :func:`list_backbones`; case and hyphens do not matter.
        in_channels: number of input channels; gray images are repeated over them.
        weights: a ``.safetensors`` file written by festkit; None initialises randomly, controlled
            by ``torch.manual_seed``.
        options: options of the network, such as ``deep_supervision`` (DNA-Net, UIU-Net), ``base``
            (MLCL-Net), ``bn_momentum`` and ``group_norm`` (ACM, ALCNet).

    Raises:
        FileNotFoundError: if the weights file does not exist.
        ValueError: for an unknown name or option, or weights of another network.

    Example:
        >>> import torch
        >>> create_backbone("ACM", in_channels=1).eval()(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 1, 32, 32])
    """
    from .checkpoints import read_tensors

    check_options(name, options)
    backbone = backbone_card(name).build(in_channels=in_channels, **options)
    vars(backbone)["options"] = dict(options)
    if weights is not None:
        fill_backbone(backbone, read_tensors(weights), weights)
    return backbone


def check_options(backbone: "str | nn.Module", options: Mapping[str, bool | float]) -> None:
    """Check that a backbone has these options; networks outside the catalogue have none.

    Raises:
        ValueError: for an unknown option; the message lists the known ones.

    Example:
        >>> check_options("DNA-Net", {"deep_supervision": True})
    """
    name, known = backbone_name(backbone), []
    if options and isinstance(backbone, str):
        known = list(inspect.signature(backbone_card(name).build).parameters)
        known.remove("in_channels")
    for option in options:
        if option not in known:
            raise InputError(
                f"{name} has no option {option!r}; it has {', '.join(known) or 'no options'}"
            )


def backbone_name(backbone: "str | nn.Module") -> str:
    """Catalogue name of a backbone, or class name of another network.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> from torch import nn
        >>> networks = "acm", create_backbone("ACM"), nn.Conv2d(3, 1, 1)
        >>> [backbone_name(network) for network in networks]
        ['ACM', 'ACM', 'Conv2d']
    """
    if isinstance(backbone, str):
        return find_name("backbone", backbone, CATALOGUE)
    return _catalogue_name(backbone) or type(backbone).__name__


def _catalogue_name(backbone: "nn.Module") -> str | None:
    kind = type(backbone)
    network = f"{kind.__module__}:{kind.__qualname__}"
    return next((card.name for card in CATALOGUE.values() if card.network == network), None)


def in_catalogue(backbone: "nn.Module") -> bool:
    """Whether a network is an instance of a backbone of the catalogue.

    Example:
        >>> from torch import nn
        >>> in_catalogue(create_backbone("ACM")), in_catalogue(nn.Conv2d(3, 1, 1))
        (True, False)
    """
    return _catalogue_name(backbone) is not None


def integer_attribute(backbone: "nn.Module | BackboneCard", name: str, default: int) -> int:
    """A positive integer attribute of a network, or the default if it has none.

    Raises:
        ValueError: if the attribute is anything else.

    Example:
        >>> integer_attribute(create_backbone("ACM", in_channels=1), "in_channels", 3)
        1
    """
    value = getattr(backbone, name, default)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(
            f"{type(backbone).__name__}.{name} is {value!r}, expected an integer of at least 1 "
            f"(default {default} without the attribute). Rename the attribute if it has another "
            "meaning"
        )
    return int(value)


def backbone_options(backbone: "nn.Module") -> dict[str, Any]:
    """Options passed to :func:`create_backbone`; empty for networks outside the catalogue."""
    return dict(getattr(backbone, "options", {})) if in_catalogue(backbone) else {}


def network_card(network: "nn.Module") -> dict[str, Any]:
    """Card entries from which a network can be rebuilt."""
    return {
        "backbone": backbone_name(network),
        "in_channels": integer_attribute(network, "in_channels", 3),
        "backbone_options": backbone_options(network),
    }


def fill_backbone(
    backbone: "nn.Module", tensors: "Mapping[str, Tensor]", source: str | Path
) -> None:
    """Load tensors into a network, in place; ``source`` names them in an error.

    Raises:
        ValueError: if they do not fit the network; the message names the first that do not.
    """
    try:
        backbone.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = shorten(str(error), 400)
        raise InputError(f"{source} does not fit {type(backbone).__name__}: {reason}") from error
