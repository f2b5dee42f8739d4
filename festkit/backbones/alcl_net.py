"""ALCL-Net (2022): a ResNet32 encoder, LCL on each of its five levels, SBAM between them.

Paper: Yu et al., Pay Attention to Local Contrast Learning Networks for Infrared Small Target
Detection, IEEE GRSL 19, 2022.
"""

from itertools import pairwise

from torch import Tensor, nn

from .blocks import (
    DownUnit,
    ResidualUnit,
    check_image,
    conv_bn_relu,
    full_stem,
    init_kaiming,
    pixel_head,
    upsample_bilinear,
)

CHANNELS = (16, 32, 64, 128, 256)


class LCL(nn.Sequential):
    """Local contrast learning: a 1x1 convolution, then a 3x3 convolution.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        )


class SBAM(nn.Module):
    """Simplified bilinear interpolation attention module: shallow features gate the deep ones.

    Shape: deep (N, in_channels, H, W), shallow (N, out_channels, 2 H, 2 W) -> as shallow.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deep = conv_bn_relu(in_channels, out_channels, 1)
        self.gate = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 1), nn.BatchNorm2d(out_channels), nn.Sigmoid()
        )

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Add the gated deep features to the shallow ones."""
        return shallow + self.deep(upsample_bilinear(deep)) * self.gate(shallow)


class ALCLNet(nn.Module):
    """ALCL-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> import torch
        >>> ALCLNet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    divisor = 16

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.in_channels = in_channels
        pairs = list(pairwise(CHANNELS))
        first = [full_stem(in_channels), *(ResidualUnit(16) for _ in range(3))]
        self.encoders = nn.ModuleList([nn.Sequential(*first)])
        for shallow, deep in pairs:
            units = (DownUnit(shallow, deep), ResidualUnit(deep), ResidualUnit(deep))
            self.encoders.append(nn.Sequential(*units))
        self.contrasts = nn.ModuleList(LCL(channels) for channels in CHANNELS)
        self.fusions = nn.ModuleList(SBAM(deep, shallow) for shallow, deep in pairs)
        self.head = pixel_head(16)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 16.
        """
        check_image(image, in_channels=self.in_channels, divisor=self.divisor)
        levels = []
        x = image
        for encoder, contrast in zip(self.encoders, self.contrasts, strict=True):
            x = encoder(x)  # 1/1, 1/2, 1/4, 1/8, 1/16
            levels.append(contrast(x))
        y = levels.pop()
        for fusion in reversed(self.fusions):
            y = fusion(y, levels.pop())
        return self.head(y)
