"""UIU-Net (2022): a U-Net whose stages are small U-Nets.

Paper: Wu et al., UIU-Net: U-Net in U-Net for Infrared Small Object Detection, IEEE TIP 32, 2023,
arXiv 2212.00968. Resolution-maintenance deep supervision (RM-DS): stages are residual U-blocks
(RSU), and each has a side output. Interactive-cross attention (IC-A) joins encoder and decoder.

Differs from the published code: side logits are returned only in training with
``deep_supervision``; nothing returns sigmoids.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Backbone, check_batch, conv_bn_relu, gate


class RSU(nn.Module):
    """Residual U-block: a small U-Net with a residual connection around it.

    Args:
        height: levels of the U.
        in_channels: channels of the input.
        mid_channels: channels within the U.
        out_channels: channels of the output.
        dilated: widen the view by dilation instead of pooling (RSU-4F).

    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(
        self,
        height: int,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        *,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        mid, out, self.dilated = mid_channels, out_channels, dilated
        depths = [(depth, 2**depth if dilated else 1) for depth in range(height - 1)]
        self.enter = conv_bn_relu(in_channels, out)
        self.down = nn.ModuleList(
            conv_bn_relu(mid if depth else out, mid, dilation=d) for depth, d in depths
        )
        self.bottom = conv_bn_relu(mid, mid, dilation=8 if dilated else 2)
        self.up = nn.ModuleList(
            conv_bn_relu(2 * mid, mid if depth else out, dilation=d) for depth, d in depths[::-1]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the output of the U to the projected input."""
        x = self.enter(x)
        levels: list[Tensor] = []
        y = x
        for depth, down in enumerate(self.down):
            y = down(_pool(y) if depth and not self.dilated else y)
            levels.append(y)
        y = self.bottom(y)
        for up, level in zip(self.up, reversed(levels), strict=True):
            y = up(torch.cat([_fit(y, level), level], dim=1))
        return y + x


class ICA(nn.Module):
    """Interactive-cross attention (IC-A): deep features weight channels, shallow ones pixels.

    Shape: deep, shallow (N, C, H, W) -> (N, 2 C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 4
        self.deep = conv_bn_relu(channels, channels, 1)
        self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), *gate(channels, narrow))
        self.detail = conv_bn_relu(channels, narrow, 1)
        self.where = nn.Conv2d(2, 1, 3, padding=1, bias=False)
        self.merge = conv_bn_relu(channels, channels)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Weight each level by the other; one convolution merges both."""
        deep = self.deep(deep)
        chosen = shallow * self.context(deep)
        detail = self.detail(chosen)
        summary = torch.cat([detail.mean(1, keepdim=True), detail.amax(1, keepdim=True)], dim=1)
        placed = deep * self.where(summary).sigmoid()
        return torch.cat([self.merge(2 * chosen), self.merge(2 * placed)], dim=1)


class UIUNet(Backbone):
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
        super().__init__(in_channels)
        self.deep_supervision = deep_supervision
        self.encoders = nn.ModuleList(
            [
                RSU(7, in_channels, 32, 64),
                RSU(6, 64, 32, 128),
                RSU(5, 128, 64, 256),
                RSU(4, 256, 128, 512),
                RSU(4, 512, 256, 512, dilated=True),
                RSU(4, 512, 256, 512, dilated=True),
            ]
        )
        self.attentions = nn.ModuleList(ICA(c) for c in (512, 512, 256, 128))
        self.decoders = nn.ModuleList(
            [
                RSU(4, 1024, 256, 512, dilated=True),
                RSU(4, 1024, 128, 256),
                RSU(5, 512, 64, 128),
                RSU(6, 256, 32, 64),
                RSU(7, 128, 16, 64),
            ]
        )
        self.side_heads = nn.ModuleList(
            nn.Conv2d(channels, 1, 3, padding=1) for channels in (64, 64, 128, 256, 512, 512)
        )
        self.head = nn.Conv2d(6, 1, 1)

    def output_layers(self) -> list[nn.Module]:
        """The convolutions whose outputs are logits: with deep supervision, the side heads, too."""
        return [self.head, *(self.side_heads if self.deep_supervision else ())]

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels, or a training batch of one.
        """
        self.check(image)
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
            y = decoder(attention(y, shallow) if attention else torch.cat([y, shallow], dim=1))
            outputs.append(y)
        heads = zip(self.side_heads, reversed(outputs), strict=True)
        sides = [head(output) for head, output in heads]
        sides = [_fit(side, sides[0]) for side in sides]
        main = self.head(torch.cat(sides, dim=1))
        return [main, *sides] if self.deep_supervision and self.training else main


def _pool(x: Tensor) -> Tensor:
    """Half the size, rounded up."""
    return F.max_pool2d(x, 2, ceil_mode=True)


def _fit(x: Tensor, like: Tensor) -> Tensor:
    """Resize to the size of another map."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
