"""MSDA-Net (2025): high frequencies in four directions say where small targets are.

Paper: Zhao et al., Multi-Scale Direction-Aware Network for Infrared Small Target Detection, IEEE
TGRS 2025, arXiv 2406.02037. Directions come from the Haar wavelet.

Differs from the published code: the wavelet is a plain convolution with autograd's gradient, so
that the network trains in any precision (the published one trains under float16 autocast alone);
14,048 parameters that no path reaches are left out; repeated pools and ReLUs are written once; the
wavelet's constant is 0.5, where the published one is a rounded 0.4999999701976776.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._support.errors import InputError
from .blocks import (
    DownUnit,
    ResidualUnit,
    SpatialAttention,
    SqueezeExcitation,
    check_image,
    conv_bn_relu,
    full_stem,
    init_kaiming,
    pixel_head,
    upsample_bilinear,
)

HAAR = torch.tensor(
    [
        [[1.0, 1.0], [-1.0, -1.0]],  # LH
        [[1.0, -1.0], [1.0, -1.0]],  # HL
        [[1.0, -1.0], [-1.0, 1.0]],  # HH
        [[1.0, 1.0], [1.0, 1.0]],  # LL
    ]
)
"""Signs of the 2x2 Haar kernels; each is scaled by ``HAAR_SCALE``."""

HAAR_SCALE = 0.5

MAX_CHANNELS = 10
"""The wavelet's three bands per input channel share the 32 channels of the second stage."""


class Haar(nn.Module):
    """Haar wavelet responses of every channel on its own.

    Args:
        bands: how many of LH, HL, HH, LL.
        stride: 2 halves the size; 1 keeps it, with a zero row above and a zero column to the left.

    Shape: (N, C, H, W) -> list of ``bands`` maps (N, C, H / stride, W / stride).
    """

    kernels: Tensor

    def __init__(self, bands: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("kernels", HAAR_SCALE * HAAR[:bands, None], persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """One map per band."""
        if self.stride == 1:
            x = F.pad(x, (1, 0, 1, 0))
        channels = x.shape[1]
        return [
            F.conv2d(
                x,
                kernel.to(x.dtype).expand(channels, -1, -1, -1),
                stride=self.stride,
                groups=channels,
            )
            for kernel in self.kernels
        ]


class FrequencyAttention(nn.Module):
    """High-frequency direction injection: every Haar band points at pixels of its own.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.haar = Haar(bands=4, stride=1)
        self.attentions = nn.ModuleList(SpatialAttention() for _ in range(4))
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the pixels that any direction points at."""
        bands = zip(self.attentions, self.haar(x), strict=True)
        weight = torch.stack([attention(band) for attention, band in bands]).sum(0)
        return (x + self.conv(x * weight)).relu()


class DirectionAwareUnit(nn.Module):
    """Multi-scale direction-aware unit: four reaches, then attention to directions and channels.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(channels, channels, 1, bias=False),
                _reach(channels, 1, dilation=1),
                _reach(channels, 3, dilation=3),
                _reach(channels, 5, dilation=5),
            ]
        )
        self.body = nn.Sequential(
            conv_bn_relu(4 * channels, channels, bias=False),
            FrequencyAttention(channels),
            SqueezeExcitation(channels),
            conv_bn_relu(channels, channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the branches find to the input."""
        seen = torch.cat([branch(x) for branch in self.branches], dim=1)
        return (x + self.body(seen)).relu()


class LocalRelation(nn.Module):
    """Multi-scale local relation learning on a level before fusion.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(channels, channels, 1, bias=False),
                _reach(channels, 3, dilation=3),
                _reach(channels, 5, dilation=5),
            ]
        )
        self.merge = conv_bn_relu(3 * channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Merge what the branches see."""
        return self.merge(torch.cat([branch(x) for branch in self.branches], dim=1))


def _reach(channels: int, kernel: int, *, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        conv_bn_relu(channels, channels, kernel, bias=False),
        conv_bn_relu(channels, channels, 3, dilation=dilation, bias=False),
    )


class FeatureFusion(nn.Module):
    """Deep and shallow features, aligned with each other before they are added.

    Shape: deep (N, inside, H, W), shallow (N, out, 2 H, 2 W) -> (N, out, 2 H, 2 W).
    """

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.align = nn.Sequential(
            conv_bn_relu(inside + out, inside, 1), conv_bn_relu(inside, inside)
        )
        self.project = conv_bn_relu(inside, out, 1)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Add the aligned deep features to the shallow ones."""
        deep = upsample_bilinear(deep)
        aligned = self.align(torch.cat([deep, shallow], dim=1))
        return shallow + self.project(deep + aligned)


def _shortcut(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 16, 1), nn.ReLU())


class MSDANet(nn.Module):
    """MSDA-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> MSDANet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    divisor = 16

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        if not 1 <= in_channels <= MAX_CHANNELS:
            raise InputError(f"in_channels is {in_channels}, expected 1 to {MAX_CHANNELS}")
        self.in_channels = in_channels
        unit = DirectionAwareUnit
        self.encoder1 = nn.Sequential(full_stem(in_channels), ResidualUnit(16), unit(16), unit(16))
        self.wavelet = Haar(bands=3, stride=2)
        self.down2 = DownUnit(16, 32 - 3 * in_channels)
        self.encoder2 = nn.Sequential(unit(32), unit(32))
        self.encoder3 = nn.Sequential(DownUnit(32, 64), unit(64), unit(64))
        self.encoder4 = nn.Sequential(DownUnit(64, 64), unit(64), unit(64))
        self.encoder5 = nn.Sequential(DownUnit(64, 64), unit(64), unit(64))
        self.shortcuts = nn.ModuleList(_shortcut(channels) for channels in (16, 32, 64, 64))
        self.gather = nn.Sequential(
            nn.Conv2d(128, 128, 1), nn.ReLU(), nn.Conv2d(128, 64, 1), nn.ReLU()
        )
        self.relations = nn.ModuleList(LocalRelation(c) for c in (16, 32, 64, 64, 64))
        self.fusions = nn.ModuleList(
            FeatureFusion(deep, shallow)
            for shallow, deep in ((16, 32), (32, 64), (64, 64), (64, 64))
        )
        self.head = pixel_head(16)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 16.
        """
        check_image(image, in_channels=self.in_channels, divisor=self.divisor)
        e1 = self.encoder1(image)  # 1/1
        e2 = self.encoder2(torch.cat([*self.wavelet(image), self.down2(e1)], dim=1))  # 1/2
        e3 = self.encoder3(e2)  # 1/4
        e4 = self.encoder4(e3)  # 1/8
        e5 = self.encoder5(e4)  # 1/16
        sides = [
            shortcut(F.max_pool2d(level, size))
            for shortcut, level, size in zip(
                self.shortcuts, (e1, e2, e3, e4), (16, 8, 4, 2), strict=True
            )
        ]
        e5 = self.gather(torch.cat([e5, *reversed(sides)], dim=1))
        pairs = zip(self.relations, (e1, e2, e3, e4, e5), strict=True)
        levels = [relation(level) for relation, level in pairs]
        y = levels.pop()
        for fusion in reversed(self.fusions):
            y = fusion(y, levels.pop())
        return self.head(y)
