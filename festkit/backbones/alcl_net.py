"""ALCL-Net (2022): a ResNet32 encoder, LCL on each of its five levels, SBAM between them.

Paper: Yu et al., Pay Attention to Local Contrast Learning Networks for Infrared Small Target
Detection, IEEE GRSL 19, 2022.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from .blocks import (
    Backbone,
    DownUnit,
    ResidualUnit,
    conv_bn_relu,
    conv_layers,
    full_stem,
    fuse_levels,
    init_kaiming,
    pixel_head,
    upsample_bilinear,
)

CHANNELS = (16, 32, 64, 128, 256)


def resnet_encoders(in_channels: int, unit: Callable[[int], nn.Module]) -> nn.ModuleList:
    """The five encoders of ALCL- and GGL-Net, each with two units after its first layers."""
    first = nn.Sequential(full_stem(in_channels), ResidualUnit(16), unit(16), unit(16))
    deeper = [
        nn.Sequential(DownUnit(shallow, deep), unit(deep), unit(deep))
        for shallow, deep in pairwise(CHANNELS)
    ]
    return nn.ModuleList([first, *deeper])


class LCL(nn.Sequential):
    """Local contrast learning: a 1x1 convolution, then a 3x3 convolution.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        point, local = (nn.Conv2d(channels, channels, k, padding=k // 2) for k in (1, 3))
        super().__init__(point, nn.ReLU(), local, nn.ReLU())


class SBAM(nn.Module):
    """Simplified bilinear interpolation attention module: shallow features gate the deep ones.

    Shape: deep (N, in_channels, H, W), shallow (N, out_channels, 2 H, 2 W) -> as shallow.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deep = conv_bn_relu(in_channels, out_channels, 1)
        conv, norm, _ = conv_layers(out_channels, out_channels, 1)
        self.gate = nn.Sequential(conv, norm, nn.Sigmoid())

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Add the gated deep features to the shallow ones."""
        return shallow + self.deep(upsample_bilinear(deep)) * self.gate(shallow)


class ALCLNet(Backbone):
    """ALCL-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> import torch
        >>> ALCLNet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(in_channels)
        self.encoders = resnet_encoders(in_channels, ResidualUnit)
        self.contrasts = nn.ModuleList(LCL(channels) for channels in CHANNELS)
        self.fusions = nn.ModuleList(SBAM(deep, shallow) for shallow, deep in pairwise(CHANNELS))
        self.head = pixel_head(16)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 16.
        """
        self.check(image)
        levels, x = [], image
        for encoder, contrast in zip(self.encoders, self.contrasts, strict=True):
            x = encoder(x)  # 1/1, 1/2, 1/4, 1/8, 1/16
            levels.append(contrast(x))
        return self.head(fuse_levels(self.fusions, levels))
