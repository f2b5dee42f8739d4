"""MSDA-Net (2025): multi-scale and direction-aware modules, directions from the Haar wavelet.

Paper: Zhao et al., Multi-Scale Direction-Aware Network for Infrared Small Target Detection, IEEE
TGRS 2025, arXiv 2406.02037. Its modules: HFDI (high-frequency direction injection of the image,
without parameters), MSDA (multi-scale local relation learning, MLRL, and multi-directional feature
awareness, MDFA), FA (feature aggregation of all levels) and FAF (feature alignment fusion).

Differs from the published code: the wavelet is a plain convolution, so the network trains in any
precision (the published one trains under float16 autocast alone); 14,048 parameters that no path
reaches are left out; repeated pools and ReLUs are written once; the wavelet's constant is 0.5,
where the published one is a rounded 0.4999999701976776.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._support.errors import InputError
from .blocks import (
    Backbone,
    DownUnit,
    ResidualUnit,
    SpatialAttention,
    SqueezeExcitation,
    conv_bn_relu,
    conv_layers,
    full_stem,
    fuse_levels,
    init_kaiming,
    pixel_head,
    pixel_layers,
    upsample_bilinear,
)

SIGNS = {"LH": (1, 1, -1, -1), "HL": (1, -1, 1, -1), "HH": (1, -1, -1, 1), "LL": (1, 1, 1, 1)}
"""Signs of the Haar kernels, row by row."""

HAAR = torch.tensor(list(SIGNS.values())).float().reshape(4, 2, 2)
"""The 2x2 Haar kernels; each is scaled by ``HAAR_SCALE``."""

HAAR_SCALE = 0.5

CHANNELS = (16, 32, 64, 64, 64)
"""Channels of the five levels."""

MAX_CHANNELS = 10
"""HFDI adds three bands per input channel to the second stage, which has 32 channels."""


class Haar(nn.Module):
    """Haar wavelet responses, channel by channel. With three bands and stride 2 this is HFDI.

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
        channels = int(x.shape[1])  # a constant of the exported graph
        filters = (kernel.to(x.dtype).expand(channels, -1, -1, -1) for kernel in self.kernels)
        return [F.conv2d(x, each, stride=self.stride, groups=channels) for each in filters]


class MDFA(nn.Module):
    """Multi-directional feature awareness: spatial attention on each of the four Haar bands.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.haar = Haar(bands=4, stride=1)
        self.attentions = nn.ModuleList(SpatialAttention() for _ in range(4))
        self.conv = nn.Sequential(*conv_layers(channels, channels)[:2])

    def forward(self, x: Tensor) -> Tensor:
        """Weight the pixels by the sum of the four attention maps, and add the input."""
        bands = zip(self.attentions, self.haar(x), strict=True)
        weight = torch.stack([attention(band) for attention, band in bands]).sum(0)
        return (x + self.conv(x * weight)).relu()


class MSDA(nn.Module):
    """Multi-scale direction-aware module: MLRL with four branches, MDFA, channel attention.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = _branches(channels, 1, 3, 5)
        self.body = nn.Sequential(
            conv_bn_relu(4 * channels, channels, bias=False),
            MDFA(channels),
            SqueezeExcitation(channels),
            conv_bn_relu(channels, channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the input."""
        scales = torch.cat([branch(x) for branch in self.branches], dim=1)
        return (x + self.body(scales)).relu()


class MLRL(nn.Module):
    """Multi-scale local relation learning, on every level before fusion.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = _branches(channels, 3, 5)
        self.merge = conv_bn_relu(3 * channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Merge the three branches."""
        return self.merge(torch.cat([branch(x) for branch in self.branches], dim=1))


def _branches(channels: int, *kernels: int) -> nn.ModuleList:
    """A 1x1 convolution; and for each kernel one of that size and a dilated one after it."""
    branches = nn.ModuleList([conv_bn_relu(channels, channels, 1, bias=False)])
    for kernel in kernels:
        local = conv_bn_relu(channels, channels, kernel, bias=False)
        wide = conv_bn_relu(channels, channels, dilation=kernel, bias=False)
        branches.append(nn.Sequential(local, wide))
    return branches


class FAF(nn.Module):
    """Feature alignment fusion: aligns deep and shallow features before they are added.

    Shape: deep (N, in_channels, H, W), shallow (N, out_channels, 2 H, 2 W) -> as shallow.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.align = nn.Sequential(
            conv_bn_relu(in_channels + out_channels, in_channels, 1),
            conv_bn_relu(in_channels, in_channels),
        )
        self.project = conv_bn_relu(in_channels, out_channels, 1)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Add the aligned deep features to the shallow ones."""
        deep = upsample_bilinear(deep)
        aligned = self.align(torch.cat([deep, shallow], dim=1))
        return shallow + self.project(deep + aligned)


class MSDANet(Backbone):
    """MSDA-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> MSDANet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(in_channels)
        if not 1 <= in_channels <= MAX_CHANNELS:
            raise InputError(f"in_channels is {in_channels}, expected 1 to {MAX_CHANNELS}")
        self.encoder1 = nn.Sequential(full_stem(in_channels), ResidualUnit(16), MSDA(16), MSDA(16))
        self.hfdi = Haar(bands=3, stride=2)
        self.down2 = DownUnit(16, 32 - 3 * in_channels)
        self.encoder2 = nn.Sequential(MSDA(32), MSDA(32))
        self.encoder3 = nn.Sequential(DownUnit(32, 64), MSDA(64), MSDA(64))
        self.encoder4 = nn.Sequential(DownUnit(64, 64), MSDA(64), MSDA(64))
        self.encoder5 = nn.Sequential(DownUnit(64, 64), MSDA(64), MSDA(64))
        self.shortcuts = nn.ModuleList(pixel_layers(channels, 16) for channels in (16, 32, 64, 64))
        self.gather = pixel_layers(128, 128, 64)
        self.relations = nn.ModuleList(MLRL(channels) for channels in CHANNELS)
        self.fusions = nn.ModuleList(FAF(deep, shallow) for shallow, deep in pairwise(CHANNELS))
        self.head = pixel_head(16)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 16.
        """
        self.check(image)
        e1 = self.encoder1(image)  # 1/1
        e2 = self.encoder2(torch.cat([*self.hfdi(image), self.down2(e1)], dim=1))  # 1/2
        e3 = self.encoder3(e2)  # 1/4
        e4 = self.encoder4(e3)  # 1/8
        e5 = self.encoder5(e4)  # 1/16
        e5 = self._aggregate((e1, e2, e3, e4), e5)
        pairs = zip(self.relations, (e1, e2, e3, e4, e5), strict=True)
        levels = [relation(level) for relation, level in pairs]
        return self.head(fuse_levels(self.fusions, levels))

    def _aggregate(self, levels: tuple[Tensor, ...], deepest: Tensor) -> Tensor:
        """FA, feature aggregation: all levels, pooled to the deepest, merged with it."""
        sizes = (16, 8, 4, 2)
        pooled = (F.max_pool2d(x, size) for x, size in zip(levels, sizes, strict=True))
        sides = [shortcut(x) for shortcut, x in zip(self.shortcuts, pooled, strict=True)]
        return self.gather(torch.cat([deepest, *reversed(sides)], dim=1))
