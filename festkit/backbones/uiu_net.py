"""UIU-Net (2022): a U-shaped network whose every stage is a U-shaped network itself.

Paper: Wu et al., UIU-Net: U-Net in U-Net for Infrared Small Object Detection, IEEE TIP 32, 2023,
arXiv 2212.00968. Stages are residual U-blocks of falling height; the decoder joins levels by
interactive cross attention.

Differs from the published code: side logits are returned in training with ``deep_supervision``
alone; nothing returns sigmoids.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import check_batch, check_image, conv_bn_relu


class ResidualU(nn.Module):
    """Residual U-block (RSU): a small U-Net of a given height around which its input passes.

    Shape: (N, inside, H, W) -> (N, out, H, W).
    """

    def __init__(self, height: int, inside: int, middle: int, out: int) -> None:
        super().__init__()
        self.enter = conv_bn_relu(inside, out)
        downs = [conv_bn_relu(out, middle)]
        downs += [conv_bn_relu(middle, middle) for _ in range(height - 2)]
        self.down = nn.ModuleList(downs)
        self.bottom = conv_bn_relu(middle, middle, dilation=2)
        ups = [conv_bn_relu(2 * middle, middle) for _ in range(height - 2)]
        self.up = nn.ModuleList([*ups, conv_bn_relu(2 * middle, out)])

    def forward(self, x: Tensor) -> Tensor:
        """Add what the U finds to its (projected) input."""
        x = self.enter(x)
        levels: list[Tensor] = []
        y = x
        for depth, down in enumerate(self.down):
            y = down(_pool(y) if depth else y)
            levels.append(y)
        y = self.bottom(y)
        for up, level in zip(self.up, reversed(levels), strict=True):
            y = up(torch.cat([_fit(y, level), level], dim=1))
        return y + x


class DilatedU(nn.Module):
    """Residual U-block that widens its view by dilation instead of pooling (RSU-4F).

    Shape: (N, inside, H, W) -> (N, out, H, W).
    """

    def __init__(self, inside: int, middle: int, out: int) -> None:
        super().__init__()
        self.enter = conv_bn_relu(inside, out)
        self.down = nn.ModuleList(
            conv_bn_relu(out if dilation == 1 else middle, middle, dilation=dilation)
            for dilation in (1, 2, 4)
        )
        self.bottom = conv_bn_relu(middle, middle, dilation=8)
        self.up = nn.ModuleList(
            conv_bn_relu(2 * middle, out if dilation == 1 else middle, dilation=dilation)
            for dilation in (4, 2, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the U finds to its (projected) input."""
        x = self.enter(x)
        levels: list[Tensor] = []
        y = x
        for down in self.down:
            y = down(y)
            levels.append(y)
        y = self.bottom(y)
        for up, level in zip(self.up, reversed(levels), strict=True):
            y = up(torch.cat([y, level], dim=1))
        return y + x


class CrossAttention(nn.Module):
    """Interactive cross attention (IC-A): deep context weighs channels, shallow detail pixels.

    Shape: deep, shallow (N, C, H, W) -> (N, 2 C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 4
        self.deep = conv_bn_relu(channels, channels, 1)
        self.context = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, 1),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, channels, 1),
            nn.BatchNorm2d(channels),
            nn.Sigmoid(),
        )
        self.detail = conv_bn_relu(channels, narrow, 1)
        self.where = nn.Conv2d(2, 1, 3, padding=1, bias=False)
        self.merge = conv_bn_relu(channels, channels)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Both inputs, each weighed by the other; one merging convolution serves both."""
        deep = self.deep(deep)
        chosen = shallow * self.context(deep)
        detail = self.detail(chosen)
        summary = torch.cat([detail.mean(1, keepdim=True), detail.amax(1, keepdim=True)], dim=1)
        placed = deep * self.where(summary).sigmoid()
        return torch.cat([self.merge(2 * chosen), self.merge(2 * placed)], dim=1)


class UIUNet(nn.Module):
    """UIU-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.
        deep_supervision: in training return the fused logits first, then the six side logits.

    Shape: image (N, in_channels, H, W) of any size -> logits (N, 1, H, W); in training with deep
        supervision a list of seven such logits.

    Example:
        >>> UIUNet().eval()(torch.zeros(1, 3, 32, 40)).shape
        torch.Size([1, 1, 32, 40])
    """

    divisor = 1

    def __init__(self, in_channels: int = 3, *, deep_supervision: bool = False) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision
        self.encoders = nn.ModuleList(
            [
                ResidualU(7, in_channels, 32, 64),
                ResidualU(6, 64, 32, 128),
                ResidualU(5, 128, 64, 256),
                ResidualU(4, 256, 128, 512),
                DilatedU(512, 256, 512),
                DilatedU(512, 256, 512),
            ]
        )
        self.attentions = nn.ModuleList(CrossAttention(c) for c in (512, 512, 256, 128))
        self.decoders = nn.ModuleList(
            [
                DilatedU(1024, 256, 512),
                ResidualU(4, 1024, 128, 256),
                ResidualU(5, 512, 64, 128),
                ResidualU(6, 256, 32, 64),
                ResidualU(7, 128, 16, 64),
            ]
        )
        self.side_heads = nn.ModuleList(
            nn.Conv2d(channels, 1, 3, padding=1) for channels in (64, 64, 128, 256, 512, 512)
        )
        self.head = nn.Conv2d(6, 1, 1)

    def output_layers(self) -> list[nn.Module]:
        """The convolutions that start at the prior.

        The head adds up the side logits; these start there only where they are outputs themselves.
        """
        return [self.head, *(self.side_heads if self.deep_supervision else ())]

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels, or a training batch of one.
        """
        check_image(image, in_channels=self.in_channels, divisor=self.divisor)
        check_batch(image, training=self.training)
        levels: list[Tensor] = []
        x = image
        for depth, encoder in enumerate(self.encoders):
            x = encoder(_pool(x) if depth else x)  # 1/1 to 1/32
            levels.append(x)
        y = levels.pop()
        outputs = [y]
        for attention, decoder in zip([*self.attentions, None], self.decoders, strict=True):
            shallow = levels.pop()
            y = _fit(y, shallow)
            joined = attention(y, shallow) if attention else torch.cat([y, shallow], dim=1)
            y = decoder(joined)
            outputs.append(y)
        heads = zip(self.side_heads, reversed(outputs), strict=True)
        sides = [head(output) for head, output in heads]
        sides = [sides[0], *(_fit(side, sides[0]) for side in sides[1:])]
        main = self.head(torch.cat(sides, dim=1))
        return [main, *sides] if self.deep_supervision and self.training else main


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, ceil_mode=True)


def _fit(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
