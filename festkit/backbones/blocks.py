"""What at least two backbones share: input checks, stems, residual blocks, attention, heads.

A module that a paper introduces is in the file of that paper's network. ``momentum`` is PyTorch's:
the share of the new batch in the running statistics.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._support.errors import InputError


class Backbone(nn.Module):
    """Base of the backbones: the input channels, and the check of an image before it is computed.

    Attributes:
        divisor: height and width of an image must be multiples of this.
        smallest: smallest height and width of an image [px].
    """

    divisor = 16
    smallest = 1

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels

    def check(self, image: Tensor) -> None:
        """Check the shape of an image.

        Raises:
            ValueError: for an invalid shape; the message gives the expected shape and the next
                valid size.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise InputError(
                f"expected images (N, {self.in_channels}, H, W), got {tuple(image.shape)}; "
                "create the network with in_channels= for other channels"
            )
        sides, least = tuple(image.shape[-2:]), max(self.smallest, self.divisor)
        fit = tuple(-(-max(side, least) // self.divisor) * self.divisor for side in sides)
        if sides != fit:
            raise InputError(
                f"image size is {sides[0]} x {sides[1]}, expected multiples of {self.divisor}, at "
                f"least {least}; the next valid size is {fit[0]} x {fit[1]}"
            )


def check_batch(image: Tensor, *, training: bool) -> None:
    """Check that batch norm after a global pool gets more than one value per channel.

    Raises:
        ValueError: if ``training`` and the batch holds one image.
    """
    if training and image.shape[0] == 1:
        raise InputError(
            "a training batch of 1 has no batch statistics after the global pool; "
            "use batches of at least 2, or eval() for a single image (ACM and ALCNet also train "
            "on one with group_norm=True)"
        )


def conv_layers(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = True,
    momentum: float = 0.1,
) -> list[nn.Module]:
    """Convolution, batch norm, ReLU; with stride 1 the size stays."""
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=bias)
    return [conv, nn.BatchNorm2d(out_channels, momentum=momentum), nn.ReLU()]


def conv_bn_relu(in_channels: int, out_channels: int, *args: int, **options: Any) -> nn.Sequential:
    """:func:`conv_layers` as one module.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """
    return nn.Sequential(*conv_layers(in_channels, out_channels, *args, **options))


def two_convs(
    in_channels: int,
    out_channels: int,
    between: Callable[[int], nn.Module] | None = None,
    *,
    stride: int = 1,
    bias: bool = True,
) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm; a ReLU and the module ``between`` after the first.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """
    first = conv_layers(in_channels, out_channels, stride=stride, bias=bias)
    middle = [between(out_channels)] if between else []
    *second, _ = conv_layers(out_channels, out_channels, bias=bias)
    return nn.Sequential(*first, *middle, *second)


def gate(
    channels: int, hidden: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d
) -> list[nn.Module]:
    """Layers of an attention gate: two 1x1 convolutions with norms, and a sigmoid.

    Shape: (N, channels, H, W) -> (N, channels, H, W) in (0, 1).
    """
    enter = [nn.Conv2d(channels, hidden, 1), norm(hidden), nn.ReLU()]
    return [*enter, nn.Conv2d(hidden, channels, 1), norm(channels), nn.Sigmoid()]


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, momentum: float
    ) -> None:
        super().__init__()
        self.body = two_convs(in_channels, out_channels, stride=stride, bias=False)
        self.shortcut = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels, momentum=momentum),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the (projected) input."""
        return (self.body(x) + self.shortcut(x)).relu()


def stage(
    in_channels: int, out_channels: int, blocks: int, *, stride: int, momentum: float
) -> nn.Sequential:
    """A stage of basic blocks; the first one changes channels and size.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """
    first = BasicBlock(in_channels, out_channels, stride=stride, momentum=momentum)
    rest = [BasicBlock(out_channels, out_channels, momentum=momentum) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


class Stem(nn.Sequential):
    """Stem of ACM and ALCNet: normalised image to features at a quarter of its size.

    Shape: (N, in_channels, H, W) -> (N, 16, H / 4, W / 4).
    """

    def __init__(self, in_channels: int, *, momentum: float) -> None:
        conv = partial(conv_layers, bias=False, momentum=momentum)
        super().__init__(
            nn.BatchNorm2d(in_channels, momentum=momentum),
            *conv(in_channels, 8, stride=2),
            *conv(8, 8),
            *conv(8, 16),
            nn.MaxPool2d(3, 2, 1),
        )


def upconv2x(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Upsample by 2 with a transposed convolution.

    Shape: (N, in_channels, H, W) -> (N, out_channels, 2 H, 2 W).
    """
    return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)


class FCNHead(nn.Sequential):
    """Features to logits through a hidden layer of a quarter of the channels.

    Shape: (N, channels, H, W) -> (N, 1, H, W).
    """

    def __init__(self, channels: int, *, momentum: float) -> None:
        narrow = channels // 4
        hidden = conv_layers(channels, narrow, bias=False, momentum=momentum)
        super().__init__(*hidden, nn.Dropout(0.1), nn.Conv2d(narrow, 1, 1))


def full_stem(in_channels: int) -> nn.Sequential:
    """Stem of MLCL-, ALCL-, GGL- and MSDA-Net: image to 16 channels at full resolution.

    Shape: (N, in_channels, H, W) -> (N, 16, H, W).
    """
    return nn.Sequential(conv_bn_relu(in_channels, 16), conv_bn_relu(16, 16))


class ResidualUnit(nn.Module):
    """Residual unit of two 3x3 convolutions.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = two_convs(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the input."""
        return (self.body(x) + x).relu()


class DownUnit(nn.Module):
    """Residual unit to half the size: a pooled path and a strided one, each with its own ReLU.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / 2, W / 2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = two_convs(in_channels, out_channels, lambda _: nn.MaxPool2d(2))
        self.shortcut = conv_bn_relu(in_channels, out_channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Add the pooled and the strided path."""
        return (self.body(x) + self.shortcut(x)).relu()


class SqueezeExcitation(nn.Module):
    """Squeeze and excitation: weight every channel by a gate on its mean.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // 4, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 4, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class ChannelAttention(nn.Module):
    """Weight of every channel, from its maximum and its mean through one shared two-layer map.

    Shape: (N, C, H, W) -> (N, C, 1, 1) in (0, 1).
    """

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weights of the channels."""
        largest, mean = x.amax((2, 3), keepdim=True), x.mean((2, 3), keepdim=True)
        return (self.gate(largest) + self.gate(mean)).sigmoid()


class SpatialAttention(nn.Module):
    """Weight of every pixel, by a 7x7 convolution of the maximum and the mean over channels.

    Args:
        mean_first: the mean before the maximum, as in DNA-Net.
        bias: whether the convolution has a bias.

    Shape: (N, C, H, W) -> (N, 1, H, W) in (0, 1).
    """

    def __init__(self, *, mean_first: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.pools = (torch.mean, torch.amax) if mean_first else (torch.amax, torch.mean)
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weights of the pixels."""
        summary = torch.cat([pool(x, 1, keepdim=True) for pool in self.pools], dim=1)
        return self.conv(summary).sigmoid()


def pixel_head(channels: int) -> nn.Sequential:
    """Features to logits by two 1x1 convolutions.

    Shape: (N, C, H, W) -> (N, 1, H, W).
    """
    return nn.Sequential(*pixel_layers(channels, channels), nn.Conv2d(channels, 1, 1))


def pixel_layers(*channels: int) -> nn.Sequential:
    """1x1 convolutions between these numbers of channels, each followed by a ReLU."""
    convs = [nn.Conv2d(before, after, 1) for before, after in pairwise(channels)]
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.ReLU())))


def upsample_bilinear(x: Tensor, factor: float = 2) -> Tensor:
    """Resize by bilinear interpolation with aligned corners.

    Shape: (N, C, H, W) -> (N, C, factor H, factor W).
    """
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)


def fuse_levels(fusions: Iterable[nn.Module], levels: Iterable[Tensor]) -> Tensor:
    """Fuse features from the deepest level up; each fusion takes (deep, shallow)."""
    fused, *shallower = reversed(list(levels))
    for fusion, shallow in zip(reversed(list(fusions)), shallower, strict=True):
        fused = fusion(fused, shallow)
    return fused


def init_kaiming(network: nn.Module) -> None:
    """Kaiming initialisation (fan out, ReLU) of the convolutions, with zero biases.

    The published code does so for most of them. Those with one output channel, the logits and the
    attention maps, are left to PyTorch: fan out would give them weights far too large.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels > 1:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
