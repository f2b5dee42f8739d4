"""The interface of a network, and the check of networks from outside the catalogue."""

from collections.abc import Mapping
from copy import deepcopy
from itertools import chain
from textwrap import shorten
from typing import Any

import torch
from torch import Generator, Tensor, nn

from .._support.devices import is_out_of_memory
from .._support.errors import InputError
from . import backbone_name, in_catalogue, integer_attribute

EXPECTED = (
    "A network takes (N, C, size, size) float32 and returns logits (N, 1, size, size): a tensor, a "
    "list or tuple of such, the main ones first, or a dict with them under 'out'; the loss is the "
    "mean over all of them"
)

DRAWS = 8
"""Random sets of parameters with which an output in [0, 1] is tried again."""


def input_channels(backbone: nn.Module) -> int:
    """Input channels of a network: its attribute ``in_channels``, by default 3.

    Raises:
        ValueError: if the attribute is not an integer from 1 on.
    """
    return integer_attribute(backbone, "in_channels", 3)


def own_copy(network: nn.Module) -> nn.Module:
    """A deep copy of a network; the original keeps its weights, mode, device and memory layout.

    Raises:
        ValueError: if it is not a network, or cannot be copied.

    Example:
        >>> own_copy(nn.Conv2d(3, 1, 1)).out_channels
        1
    """
    if not isinstance(network, nn.Module):
        raise InputError(
            f"expected the name of a backbone or a torch.nn.Module, got {type(network).__name__}"
        )
    try:
        return deepcopy(network)
    except Exception as error:  # such as tensors left over from a forward pass
        raise InputError(
            f"{backbone_name(network)} cannot be copied ({shorten(str(error), 200)}), but festkit "
            "needs a copy; pass a network that copy.deepcopy can copy"
        ) from error


def device_of(backbone: nn.Module) -> torch.device:
    """The device of a network; the CPU if it has no parameters."""
    return next(backbone.parameters(), torch.empty(0)).device


def main_logits(backbone: nn.Module, image: Tensor) -> Tensor:
    """The main logits (N, 1, H, W) of a network for images (N, C, H, W).

    Raises:
        ValueError: if the output has another form, see :data:`EXPECTED`.

    Example:
        >>> main_logits(nn.Conv2d(1, 1, 1), torch.zeros(2, 1, 4, 6)).shape
        torch.Size([2, 1, 4, 6])
    """
    output = backbone(image)
    return _checked(backbone, image, output, _outputs(output)[:1])[0]


def logits_of(backbone: nn.Module, image: Tensor) -> list[Tensor]:
    """All outputs to train for images (N, C, H, W): logits (N, 1, H, W), the main ones first.

    Raises:
        ValueError: if the output has another form, see :data:`EXPECTED`, or a side output has
            another shape.

    Example:
        >>> class Net(nn.Conv2d):
        ...     def forward(self, image):
        ...         return {"out": [super().forward(image)] * 2}
        >>> [tuple(logits.shape) for logits in logits_of(Net(1, 1, 1), torch.zeros(2, 1, 4, 6))]
        [(2, 1, 4, 6), (2, 1, 4, 6)]
    """
    output = backbone(image)
    return _checked(backbone, image, output, _outputs(output))


@torch.no_grad()
def check_network(backbone: nn.Module, size: int) -> None:
    """Run a network on noise, and check that it returns logits and not probabilities.

    Args:
        backbone: a network in eval mode; a backbone of the catalogue is not checked.
        size: side of the square network input [px].

    Raises:
        ValueError: if the network fails, does not return logits (N, 1, size, size), or ends in a
            sigmoid, so that its output is always in [0, 1]. A second sigmoid would make every pixel
            a target.

    Example:
        >>> check_network(nn.Sequential(nn.Conv2d(3, 1, 1), nn.Sigmoid()).eval(), 32)
        Traceback (most recent call last):
        festkit._support.errors.InputError: Sequential ends in a sigmoid...
    """
    if in_catalogue(backbone):
        return
    name, channels = backbone_name(backbone), input_channels(backbone)
    noise = torch.randn((1, channels, size, size), generator=Generator().manual_seed(0))
    probe = (noise * torch.logspace(-1, 2, size)).to(device_of(backbone))  # from faint to bright
    try:
        main = main_logits(backbone, probe)
    except InputError:
        raise
    except Exception as error:  # the network is not ours
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"{name} fails for an image {tuple(probe.shape)}: {shorten(str(error), 200)}. "
            f"{EXPECTED}. A network that does not take {channels} channels needs an attribute "
            "in_channels"
        ) from error
    low, high = main.aminmax()
    if 0 <= low < high <= 1 and _stays_within(backbone, probe):
        raise InputError(
            f"{name} ends in a sigmoid or a similar function: its output is in [0, 1], from "
            f"{low:.3g} to {high:.3g}. festkit expects logits and applies the sigmoid itself; with "
            "two sigmoids every pixel would be a target. Return the input of that sigmoid, or "
            "torch.logit(probability, 1e-6)"
        )


def _stays_within(backbone: nn.Module, probe: Tensor) -> bool:
    """Whether the output stays in [0, 1] when all parameters are multiplied by random numbers.

    Logits may be in [0, 1] by chance.
    """
    random = Generator().manual_seed(0)
    for _ in range(DRAWS):
        drawn = own_copy(backbone)
        for parameter in drawn.parameters():
            parameter.mul_(torch.randn(parameter.shape, generator=random).to(parameter))
        low, high = main_logits(drawn, probe).aminmax()
        if not 0 <= low <= high <= 1:  # also NaN
            return False
    return True


def _outputs(output: Any) -> list[Any]:
    """All outputs within lists, tuples and dicts, of which "out" counts; at least one."""
    if isinstance(output, Mapping):
        return _outputs(output.get("out"))
    if isinstance(output, list | tuple):
        return list(chain.from_iterable(map(_outputs, output))) or [None]
    return [output]


def _checked(
    backbone: nn.Module, image: Tensor, output: object, outputs: list[Any]
) -> list[Tensor]:
    """These outputs of a whole output, if each is logits (N, 1, H, W)."""
    wanted = (len(image), 1, *image.shape[2:])
    for number, logits in enumerate(outputs):
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            raise InputError(
                f"{backbone_name(backbone)} gives {_shapes(output)} for images "
                f"{tuple(image.shape)}: output {number} is {_shapes(logits)}, expected {wanted}. "
                f"{EXPECTED}"
            )
    return outputs


def _shapes(output: object) -> str:
    """Shapes of an output within its lists, tuples and dicts, for messages."""
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        parts = [f"{name!r}: {_shapes(part)}" for name, part in output.items()]
        return f"a dict of {', '.join(parts)}"
    if isinstance(output, list | tuple):
        return f"[{', '.join(map(_shapes, output))}]"
    return type(output).__name__
