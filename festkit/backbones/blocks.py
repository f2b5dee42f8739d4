"""Parts that several backbones share, and the checks every backbone makes of its input.

First the checks; then the parts of ACM and ALCNet, in which ``momentum`` is PyTorch's: the share of
the new batch in the running statistics; then those of the other networks.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._support.errors import InputError


def check_image(image: Tensor, *, in_channels: int, divisor: int) -> None:
    """Refuse an input that a network cannot take, before its first convolution.

    Raises:
        ValueError: naming what came, what was expected and the next size that fits.

    Example:
        >>> import torch
        >>> check_image(torch.zeros(1, 3, 64, 64), in_channels=3, divisor=16)
    """
    if image.ndim != 4 or image.shape[1] != in_channels:
        raise InputError(
            f"expected images (N, {in_channels}, H, W), got {tuple(image.shape)}; "
            f"a network for other channels is made with in_channels="
        )
    height, width = image.shape[-2:]
    if height % divisor or width % divisor:
        fit = tuple(-(-side // divisor) * divisor for side in (height, width))
        raise InputError(
            f"image size {height} x {width} is not a multiple of {divisor}; "
            f"the next size that fits is {fit[0]} x {fit[1]}"
        )


def check_batch(image: Tensor, *, training: bool) -> None:
    """Refuse a training batch of one where batch norm follows a global pool.

    Raises:
        ValueError: if ``training`` and the batch holds one image.
    """
    if training and image.shape[0] == 1:
        raise InputError(
            "a training batch of 1 has no batch statistics after the global pool; "
            "use batches of at least 2, or eval() for a single image (ACM and ALCNet also train "
            "on one with group_norm=True)"
        )


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions.

    Shape: (N, inside, H, W) -> (N, out, H / stride, W / stride).
    """

    def __init__(self, inside: int, out: int, *, stride: int = 1, momentum: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or inside != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, out, 1, stride, bias=False),
                nn.BatchNorm2d(out, momentum=momentum),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the body finds to the (projected) input."""
        return (self.body(x) + self.shortcut(x)).relu()


def stage(inside: int, out: int, blocks: int, *, stride: int, momentum: float) -> nn.Sequential:
    """A stage of basic blocks; the first one changes channels and size.

    Shape: (N, inside, H, W) -> (N, out, H / stride, W / stride).
    """
    first = BasicBlock(inside, out, stride=stride, momentum=momentum)
    rest = [BasicBlock(out, out, momentum=momentum) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


class Stem(nn.Sequential):
    """Normalised image to features at a quarter of its size.

    Shape: (N, in_channels, H, W) -> (N, 16, H / 4, W / 4).
    """

    def __init__(self, in_channels: int, *, momentum: float) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels, momentum=momentum),
            nn.Conv2d(in_channels, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8, momentum=momentum),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 1, 1, bias=False),
            nn.BatchNorm2d(8, momentum=momentum),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16, momentum=momentum),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )


class AsymmetricFusion(nn.Module):
    """Asymmetric contextual modulation (AsymBi): deep context gates detail, and detail gates depth.

    The deep features, pooled over the image, say *what* matters in the shallow ones; the shallow
    features say pixel by pixel *where* the deep ones matter.

    With ``group_norm`` every image is normalised by itself (one group of all channels) instead of
    over the batch, so that batches may be small, down to one image.

    Shape: deep, shallow (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, *, momentum: float, group_norm: bool = False) -> None:
        super().__init__()

        def norm(width: int) -> nn.Module:
            return (
                nn.GroupNorm(1, width) if group_norm else nn.BatchNorm2d(width, momentum=momentum)
            )

        self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_gate(channels, norm))
        self.detail = nn.Sequential(*_gate(channels, norm))
        self.merge = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1), norm(channels), nn.ReLU()
        )

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Modulate each input by the other and merge them."""
        return self.merge(2 * shallow * self.context(deep) + 2 * deep * self.detail(shallow))


def _gate(channels: int, norm: Callable[[int], nn.Module]) -> list[nn.Module]:
    narrow = channels // 4
    return [
        nn.Conv2d(channels, narrow, 1),
        norm(narrow),
        nn.ReLU(),
        nn.Conv2d(narrow, channels, 1),
        norm(channels),
        nn.Sigmoid(),
    ]


def upconv2x(inside: int, out: int) -> nn.ConvTranspose2d:
    """Learned upsampling.

    Shape: (N, inside, H, W) -> (N, out, 2 H, 2 W).
    """
    return nn.ConvTranspose2d(inside, out, 4, 2, 1)


class FCNHead(nn.Sequential):
    """Features to logits through a narrow hidden layer; the last layer is the output layer.

    Shape: (N, channels, H, W) -> (N, 1, H, W).
    """

    def __init__(self, channels: int, *, momentum: float) -> None:
        narrow = channels // 4
        super().__init__(
            nn.Conv2d(channels, narrow, 3, 1, 1, bias=False),
            nn.BatchNorm2d(narrow, momentum=momentum),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(narrow, 1, 1),
        )


def conv_bn_relu(
    inside: int, out: int, kernel: int = 3, *, dilation: int = 1, bias: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the size stays.

    Shape: (N, inside, H, W) -> (N, out, H, W).
    """
    padding = dilation * (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(inside, out, kernel, padding=padding, dilation=dilation, bias=bias),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


def full_stem(in_channels: int) -> nn.Sequential:
    """Image to 16 channels at full resolution.

    Shape: (N, in_channels, H, W) -> (N, 16, H, W).
    """
    return nn.Sequential(conv_bn_relu(in_channels, 16), conv_bn_relu(16, 16))


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions around which the signal passes.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the body finds to its input."""
        return (self.body(x) + x).relu()


class DownUnit(nn.Module):
    """Residual unit to half the size: a pooled path and a strided one, each with its own ReLU.

    Shape: (N, inside, H, W) -> (N, out, H / 2, W / 2).
    """

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, out, 3, padding=1),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(out, out, 3, padding=1),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inside, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the pooled and the strided path."""
        return (self.body(x) + self.shortcut(x)).relu()


def local_contrast_learning(channels: int) -> nn.Sequential:
    """Local contrast learning (LCL): a pointwise look at a pixel, then at its neighbours.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
    )


class SqueezeExcitation(nn.Module):
    """Weigh every channel by what it holds on average over the image.

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
    """Which channels matter: one small map applied to their largest and to their mean value.

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
        """The weight of every channel."""
        largest, mean = x.amax((2, 3), keepdim=True), x.mean((2, 3), keepdim=True)
        return (self.gate(largest) + self.gate(mean)).sigmoid()


class SpatialAttention(nn.Module):
    """Where to look: a 7x7 convolution over the largest and the mean channel.

    Shape: (N, C, H, W) -> (N, 1, H, W) in (0, 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """The weight of every pixel."""
        summary = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        return self.conv(summary).sigmoid()


def pixel_head(channels: int) -> nn.Sequential:
    """Features to logits, pixel by pixel.

    Shape: (N, C, H, W) -> (N, 1, H, W).
    """
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, 1, 1))


def upsample_bilinear(x: Tensor, factor: int = 2) -> Tensor:
    """Enlarge by bilinear interpolation with aligned corners.

    Shape: (N, C, H, W) -> (N, C, factor H, factor W).
    """
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)


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
