"""The catalogue of backbones, the paper's "basic models": one file per network, one entry here.

A backbone maps an image (N, C, H, W) to logits (N, 1, H, W) of the same size, in train and eval
alike. Built with ``deep_supervision=True``, some give a list of logits in training, the main ones
first. Adding a network is one file here and its card in ``cards``. The networks, and torch, are
imported when the first is built.
"""

import inspect
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from .._support.cards import check_whole
from .._support.errors import InputError, MissingFileError
from .._support.names import find_name
from .card import BackboneCard
from .cards import CATALOGUE

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
    "list_backbones",
    "read_tensors",
    "said_number",
]


def list_backbones() -> list[str]:
    """Names of all backbones, as the paper prints them.

    Example:
        >>> "ACM" in list_backbones()
        True
    """
    return list(CATALOGUE)


def backbone_card(name: str) -> BackboneCard:
    """What is known of a backbone; case and hyphens in the name do not matter.

    Raises:
        ValueError: for an unknown name; the message lists the known ones and the nearest.

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
        in_channels: channels of the input; infrared gray is repeated over them.
        weights: a ``.safetensors`` file written by festkit; None leaves the network's
            initialisation, which follows ``torch.manual_seed``.
        options: the network's own, such as ``deep_supervision`` of DNA-Net and UIU-Net, ``base`` of
            MLCL-Net, ``bn_momentum`` of ACM and ALCNet.

    Raises:
        FileNotFoundError: if there is no such weights file.
        ValueError: for an unknown name or option, or weights that are not of this network.

    Example:
        >>> import torch
        >>> create_backbone("ACM", in_channels=1).eval()(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 1, 32, 32])
    """
    check_options(name, options)
    backbone = backbone_card(name).build(in_channels=in_channels, **options)
    vars(backbone)["options"] = dict(options)
    if weights is not None:
        fill_backbone(backbone, read_tensors(weights), weights)
    return backbone


def check_options(backbone: "str | nn.Module", options: Mapping[str, bool | float]) -> None:
    """Refuse options that a backbone does not have.

    Raises:
        ValueError: naming the option and those that the backbone has.

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
    """The catalogue's name of a backbone, or the class name of any other network.

    Raises:
        ValueError: for a name that the catalogue does not know.

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


def read_tensors(path: str | Path) -> "dict[str, Tensor]":
    """The tensors of a ``.safetensors`` file by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is unreadable or damaged.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"there is no weights file {path}")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file ({error})") from error
    check_whole(tensors, header, path)
    return tensors


def in_catalogue(backbone: "nn.Module") -> bool:
    """Whether a network is of the catalogue, whatever it was built with.

    Example:
        >>> from torch import nn
        >>> in_catalogue(create_backbone("ACM")), in_catalogue(nn.Conv2d(3, 1, 1))
        (True, False)
    """
    return _catalogue_name(backbone) is not None


def said_number(backbone: "nn.Module | BackboneCard", attribute: str, usual: int) -> int:
    """A whole number from 1 on that a network says of itself in an attribute, or the usual one.

    Raises:
        ValueError: if the attribute is anything else.

    Example:
        >>> said_number(create_backbone("ACM", in_channels=1), "in_channels", 3)
        1
    """
    value = getattr(backbone, attribute, usual)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(
            f"{type(backbone).__name__} has an attribute {attribute} that is {value!r}; festkit "
            f"expects a whole number from 1 on there, or no such attribute, which means {usual}. "
            "Set it, or rename what means something else"
        )
    return int(value)


def backbone_options(backbone: "nn.Module") -> dict[str, Any]:
    """The options that :func:`create_backbone` was given, with which a network is built again.

    Another network has none, whatever its attribute ``options`` means.
    """
    return dict(getattr(backbone, "options", {})) if in_catalogue(backbone) else {}


def fill_backbone(
    backbone: "nn.Module", tensors: "Mapping[str, Tensor]", source: str | Path
) -> None:
    """Put tensors into a network, in place; ``source`` names them in an error.

    Raises:
        ValueError: if they are not the tensors of this network; the message names the first
            that misfit.
    """
    try:
        backbone.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = shorten(str(error), 400)
        raise InputError(f"{source} does not fit {type(backbone).__name__}: {reason}") from error
