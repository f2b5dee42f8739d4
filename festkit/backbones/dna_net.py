"""DNA-Net (2022): the dense nested interactive module (DNIM), a grid of attention blocks.

Paper: Li et al., Dense Nested Attention Network for Infrared Small Target Detection, IEEE TIP 32,
2023, arXiv 2106.00487. This is its ResNet-18 form with filters 16-32-64-128-256.

Node L^{i,j} of DNIM is ``nodes["i_j"]``: at 1 / 2^i of the resolution, j columns from the encoder
(j = 0). The feature pyramid fusion module (FPFM) is ``gather`` and ``final``.

Differs from the published code: the three side heads exist only with ``deep_supervision``; the main
output comes first instead of last.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Backbone, ChannelAttention, SpatialAttention, two_convs, upsample_bilinear

FILTERS = (16, 32, 64, 128, 256)

DEPTH = len(FILTERS)


class CSAMBlock(nn.Module):
    """Residual block with the channel and spatial attention module (CSAM).

    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = two_convs(in_channels, out_channels)
        self.channels = ChannelAttention(out_channels, reduction=16)
        self.pixels = SpatialAttention(mean_first=True, bias=False)
        self.shortcut = nn.Sequential()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add the weighted residual to the (projected) input."""
        body = self.body(x)
        body = self.channels(body) * body
        body = self.pixels(body) * body
        return (body + self.shortcut(x)).relu()


def _node(i: int, j: int, in_channels: int) -> nn.Sequential:
    """Node L^{i,j}: one block at full resolution (i = 0), two below."""
    own = FILTERS[i]
    above = FILTERS[i - 1] if i else 0
    total = j * own + FILTERS[i + 1] + above if j else above or in_channels
    return nn.Sequential(CSAMBlock(total, own), *([CSAMBlock(own, own)] if i else []))


class DNANet(Backbone):
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

    def __init__(self, in_channels: int = 3, *, deep_supervision: bool = False) -> None:
        super().__init__(in_channels)
        self.deep_supervision = deep_supervision
        self.nodes = nn.ModuleDict(
            {f"{i}_{j}": _node(i, j, in_channels) for j in range(DEPTH) for i in range(DEPTH - j)}
        )
        self.gather = nn.ModuleList(nn.Conv2d(channels, 16, 1) for channels in FILTERS[1:])
        self.final = CSAMBlock(5 * 16, 16)
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
        self.check(image)
        grid: dict[tuple[int, int], Tensor] = {}
        for diagonal in range(DEPTH):
            for i in range(diagonal, -1, -1):
                j = diagonal - i
                grid[i, j] = self.nodes[f"{i}_{j}"](_inputs(grid, i, j, image))
        deepest = [
            upsample_bilinear(conv(grid[i, DEPTH - 1 - i]), 2**i)
            for i, conv in enumerate(self.gather, start=1)
        ]
        main = self.head(self.final(torch.cat([*reversed(deepest), grid[0, DEPTH - 1]], dim=1)))
        if not (self.deep_supervision and self.training):
            return main
        sides = [head(grid[0, j]) for j, head in enumerate(self.side_heads, start=1)]
        return [main, *sides]


def _inputs(grid: dict[tuple[int, int], Tensor], i: int, j: int, image: Tensor) -> Tensor:
    """Inputs of node L^{i,j}: the nodes before it in its row, the one below, the one above."""
    if j == 0:
        return F.max_pool2d(grid[i - 1, 0], 2) if i else image
    inputs = [grid[i, before] for before in range(j)]
    inputs.append(upsample_bilinear(grid[i + 1, j - 1]))
    if i:
        inputs.append(upsample_bilinear(grid[i - 1, j], 0.5))
    return torch.cat(inputs, dim=1)
