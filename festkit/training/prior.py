"""Where training starts: at the rarity of targets instead of at even odds."""

import math
import warnings
from typing import Any

import torch
from torch import nn

PRIOR = 0.01
"""Probability of target at which a network starts."""

NARROW = 8
"""An output layer with at most this many inputs is narrow, see :func:`start_at_prior`."""


def start_at_prior(backbone: nn.Module) -> None:
    """Let a network start with a probability of target of 0.01 instead of 0.5, in place.

    The bias of the output layer is set to log(0.01 / 0.99). Where that layer sees only a few
    channels after a ReLU, its weights are made positive: were all of them negative, no input could
    raise the output above its bias and the network would never detect.

    Args:
        backbone: its output layers are the convolutions that its method ``output_layers`` returns,
            or else the last one with a single output channel.

    A network without such a layer, or whose layer has no bias, is left as it is, with a warning.

    Example:
        >>> network = nn.Conv2d(3, 1, 1)
        >>> start_at_prior(network)
        >>> round(network.bias.sigmoid().item(), 3)
        0.01
    """
    layers = _output_layers(backbone)
    if not layers or any(layer.bias is None for layer in layers):
        warnings.warn(
            f"{type(backbone).__name__} has no output convolution with a bias to hold the prior; "
            "it starts at a probability of about 0.5 and may predict nothing for many epochs. Name "
            "its output layers in a method output_layers()",
            stacklevel=2,
        )
        return
    for layer in layers:
        with torch.no_grad():
            layer.bias.fill_(math.log(PRIOR / (1 - PRIOR)))  # type: ignore[union-attr]
            if layer.in_channels <= NARROW:
                layer.weight.abs_()


def _output_layers(backbone: nn.Module) -> list[nn.Conv2d]:
    named: Any = getattr(backbone, "output_layers", None)
    if callable(named) and not isinstance(named, nn.Module):  # a submodule may bear that name
        return list(named())
    single = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 1]
    return single[-1:]
