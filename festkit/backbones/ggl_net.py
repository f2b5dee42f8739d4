"""GGL-Net (2023): gradient magnitude images guide every stage of the encoder.

Paper: Zhao et al., Gradient-Guided Learning Network for Infrared Small Target Detection, IEEE GRSL
20, 2023, arXiv 2512.09497. The paper passes the gradient magnitude image as a second input; here,
as in the FEST code, the network computes it.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .alcl_net import CHANNELS, LCL, resnet_encoders
from .blocks import (
    Backbone,
    ChannelAttention,
    SpatialAttention,
    SqueezeExcitation,
    conv_bn_relu,
    fuse_levels,
    init_kaiming,
    pixel_head,
    two_convs,
    upsample_bilinear,
)


def gradient_image(image: Tensor) -> Tensor:
    """Gradient magnitude by central differences, per channel, zero outside the frame.

    Computed in float32, because squares of small differences underflow in half precision. Where
    the image is flat its own gradient is taken as zero.

    Shape: (N, C, H, W) -> (N, C, H, W).

    Example:
        >>> gradient_image(torch.tensor([[[[0.0, 1.0, 2.0]]]]))
        tensor([[[[0.5000, 1.0000, 0.5000]]]])
    """
    exact = image if image.dtype == torch.float64 else image.float()
    padded = F.pad(exact, (1, 1, 1, 1))
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    square = across**2 + down**2
    flat = square == 0
    return torch.where(flat, 0.0, torch.where(flat, 1.0, square).sqrt()).to(image.dtype)


class SEResidualUnit(nn.Module):
    """Residual unit with squeeze and excitation between its two convolutions.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = two_convs(channels, channels, SqueezeExcitation)

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the input."""
        return (self.body(x) + x).relu()


class GSM(nn.Module):
    """Gradient supplementary module: adds the gradient image to the features of a stage.

    Shape: features (N, C, H, W), gradient (N, G, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, gradient_channels: int) -> None:
        super().__init__()
        edges = two_convs(gradient_channels, channels, SqueezeExcitation)
        self.edges = nn.Sequential(*edges, nn.ReLU())
        self.merge = two_convs(2 * channels, channels, SqueezeExcitation)

    def forward(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Merge features and gradient, and add them to the features."""
        return (self.merge(torch.cat([x, self.edges(gradient)], dim=1)) + x).relu()


class TGFM(nn.Module):
    """Two-way guidance fusion module: deep features weight channels, shallow ones weight pixels.

    Shape: deep (N, in_channels, H, W), shallow (N, out_channels, 2 H, 2 W) -> as shallow.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deep = conv_bn_relu(in_channels, out_channels, 1)
        self.channels = ChannelAttention(out_channels, reduction=8)
        self.pixels = SpatialAttention()

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Weight each level by the other and add them."""
        deep = self.deep(upsample_bilinear(deep))
        return shallow * self.channels(deep) + deep * self.pixels(shallow)


class GGLNet(Backbone):
    """GGL-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> GGLNet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(in_channels)
        self.encoders = resnet_encoders(in_channels, SEResidualUnit)
        self.guides = nn.ModuleList(GSM(channels, in_channels) for channels in CHANNELS)
        self.contrasts = nn.ModuleList(LCL(channels) for channels in CHANNELS)
        self.fusions = nn.ModuleList(TGFM(deep, shallow) for shallow, deep in pairwise(CHANNELS))
        self.head = pixel_head(16)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 16.
        """
        self.check(image)
        gradient = gradient_image(image)
        levels, x = [], image
        stages = zip(self.encoders, self.guides, self.contrasts, strict=True)
        for depth, (encoder, guide, contrast) in enumerate(stages):
            if depth:
                gradient = F.max_pool2d(gradient, 2)
            x = guide(encoder(x), gradient)  # 1/1, 1/2, 1/4, 1/8, 1/16
            levels.append(contrast(x))
        return self.head(fuse_levels(self.fusions, levels))
