"""DNA-Net (2022): a dense grid of nodes in which deep and shallow features meet again and again.

Paper: Li et al., Dense Nested Attention Network for Infrared Small Target Detection, IEEE TIP 32,
2023, arXiv 2106.00487. This is its ResNet-18 form with filters 16-32-64-128-256.

Node (i, j) lies at depth i, at 1 / 2^i of the resolution, j steps from the encoder (j = 0).

Differs from the published code: the three side heads exist only with ``deep_supervision``; the main
output comes first, there it comes last.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ChannelAttention, check_image, upsample_bilinear

FILTERS = (16, 32, 64, 128, 256)

DEPTH = len(FILTERS)


class SpatialAttention(nn.Module):
    """Where to look: a 7x7 convolution over the mean and the largest channel.

    Shape: (N, C, H, W) -> (N, 1, H, W) in (0, 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The weight of every pixel."""
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return self.conv(summary).sigmoid()


class AttentiveBlock(nn.Module):
    """Residual block whose body is weighed by channel, then by pixel.

    Shape: (N, inside, H, W) -> (N, out, H, W).
    """

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, out, 3, padding=1),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1),
            nn.BatchNorm2d(out),
        )
        self.channels = ChannelAttention(out, reduction=16)
        self.pixels = SpatialAttention()
        self.shortcut = nn.Sequential()
        if inside != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Add the weighed body to the (projected) input."""
        body = self.body(x)
        body = self.channels(body) * body
        body = self.pixels(body) * body
        return (body + self.shortcut(x)).relu()


def _node(depth: int, step: int, in_channels: int) -> nn.Sequential:
    """Node (depth, step): one block at full resolution, two below."""
    own = FILTERS[depth]
    if step == 0:
        inside = FILTERS[depth - 1] if depth else in_channels
    else:
        inside = step * own + FILTERS[depth + 1] + (FILTERS[depth - 1] if depth else 0)
    blocks = [AttentiveBlock(inside, own)]
    return nn.Sequential(*blocks, *([AttentiveBlock(own, own)] if depth else []))


class DNANet(nn.Module):
    """DNA-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.
        deep_supervision: in training return the logits of all four heads, the main one first.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W); in training
        with deep supervision a list of four such logits.

    Example:
        >>> DNANet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    divisor = 16

    def __init__(self, in_channels: int = 3, *, deep_supervision: bool = False) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision
        self.nodes = nn.ModuleDict(
            {
                f"{depth}_{step}": _node(depth, step, in_channels)
                for step in range(DEPTH)
                for depth in range(DEPTH - step)
            }
        )
        self.gather = nn.ModuleList(nn.Conv2d(channels, 16, 1) for channels in FILTERS[1:])
        self.final = AttentiveBlock(5 * 16, 16)
        self.side_heads = nn.ModuleList(
            nn.Conv2d(16, 1, 1) for _ in range(3 if deep_supervision else 0)
        )
        self.head = nn.Conv2d(16, 1, 1)

    def output_layers(self) -> list[nn.Module]:
        """The convolutions whose outputs are logits."""
        return [self.head, *self.side_heads]

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 16.
        """
        check_image(image, in_channels=self.in_channels, divisor=self.divisor)
        grid: dict[tuple[int, int], Tensor] = {}
        for diagonal in range(DEPTH):
            for depth in range(diagonal, -1, -1):
                step = diagonal - depth
                grid[depth, step] = self.nodes[f"{depth}_{step}"](_inputs(grid, depth, step, image))
        deepest = [
            upsample_bilinear(conv(grid[depth, DEPTH - 1 - depth]), 2**depth)
            for depth, conv in enumerate(self.gather, start=1)
        ]
        main = self.head(self.final(torch.cat([*reversed(deepest), grid[0, DEPTH - 1]], dim=1)))
        if not (self.deep_supervision and self.training):
            return main
        sides = [head(grid[0, step]) for step, head in enumerate(self.side_heads, start=1)]
        return [main, *sides]


def _inputs(grid: dict[tuple[int, int], Tensor], depth: int, step: int, image: Tensor) -> Tensor:
    """What flows into a node: its row so far, the node below it, the node above it."""
    if step == 0:
        return F.max_pool2d(grid[depth - 1, 0], 2) if depth else image
    row = [grid[depth, earlier] for earlier in range(step)]
    below = upsample_bilinear(grid[depth + 1, step - 1])
    above = [_halve(grid[depth - 1, step])] if depth else []
    return torch.cat([*row, below, *above], dim=1)


def _halve(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=True)
