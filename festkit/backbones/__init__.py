"""The catalogue of backbones, the paper's "basic models": one file per network, one entry here.

A backbone maps an image (N, C, H, W) to logits (N, 1, H, W) of the same size, in train and eval
alike. Adding a network is one file and one line in ``_CATALOGUE``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .._names import find_name
from .acm import ACM


@dataclass(frozen=True)
class BackboneCard:
    """What is known of a backbone before it is built.

    Attributes:
        name: the name as the FEST paper prints it.
        build: its class; takes ``in_channels``.
        parameters: trainable numbers with 3 input channels.
        divisor: input height and width must be multiples of this.
        paper: title, venue and link.
    """

    name: str
    build: Callable[..., nn.Module]
    parameters: int
    divisor: int
    paper: str


_CATALOGUE = {
    card.name: card
    for card in [
        BackboneCard(
            name="ACM",
            build=ACM,
            parameters=397_971,
            divisor=ACM.divisor,
            paper="Dai et al., Asymmetric Contextual Modulation for Infrared Small Target "
            "Detection, WACV 2021, https://arxiv.org/abs/2009.14530",
        ),
    ]
}


def list_backbones() -> list[str]:
    """Names of all backbones, as the paper prints them.

    Example:
        >>> "ACM" in list_backbones()
        True
    """
    return list(_CATALOGUE)


def backbone_card(name: str) -> BackboneCard:
    """What is known of a backbone; case and hyphens in the name do not matter.

    Raises:
        ValueError: for an unknown name; the message lists the known ones and the nearest.

    Example:
        >>> backbone_card("acm").parameters
        397971
    """
    return _CATALOGUE[find_name("backbone", name, _CATALOGUE)]


def create_backbone(
    name: str, *, in_channels: int = 3, weights: str | Path | None = None
) -> nn.Module:
    """Build a backbone by name.

    Args:
        name: a name of :func:`list_backbones`; case and hyphens do not matter.
        in_channels: channels of the input; infrared gray is repeated over them.
        weights: a ``.safetensors`` file written by festkit; None leaves PyTorch's initialisation,
            which follows ``torch.manual_seed``.

    Raises:
        FileNotFoundError: if there is no such weights file.
        ValueError: for an unknown name, or weights that are not of this network.

    Example:
        >>> import torch
        >>> create_backbone("ACM", in_channels=1).eval()(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 1, 32, 32])
    """
    backbone = backbone_card(name).build(in_channels=in_channels)
    if weights is not None:
        fill_backbone(backbone, read_tensors(weights), weights)
    return backbone


def backbone_name(backbone: str | nn.Module) -> str:
    """The catalogue's name of a backbone, or the class name of any other network.

    Raises:
        ValueError: for a name that the catalogue does not know.

    Example:
        >>> backbone_name("acm"), backbone_name(ACM()), backbone_name(nn.Conv2d(3, 1, 1))
        ('ACM', 'ACM', 'Conv2d')
    """
    if isinstance(backbone, str):
        return find_name("backbone", backbone, _CATALOGUE)
    known = (card.name for card in _CATALOGUE.values() if card.build is type(backbone))
    return next(known, type(backbone).__name__)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is unreadable.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no weights file {path}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error})") from error


def fill_backbone(backbone: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Put tensors into a network, in place; ``source`` names them in an error.

    Raises:
        ValueError: if they are not the tensors of this network; the message names the first
            that misfit.
    """
    try:
        backbone.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = shorten(str(error), 400)
        raise ValueError(f"{source} does not fit {type(backbone).__name__}: {reason}") from error
