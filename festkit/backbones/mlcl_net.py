"""MLCL-Net (2022): multi-scale local contrast learning on three levels of an encoder.

Paper: Yu et al., Infrared Small Target Detection Based on Multiscale Local Contrast Learning
Networks, Infrared Physics & Technology 123, 2022. The default is the small form, as in the FEST
paper; ``base=True`` adds one residual unit to every stage.
"""

import torch
from torch import Tensor, nn

from .blocks import (
    Backbone,
    DownUnit,
    ResidualUnit,
    full_stem,
    init_kaiming,
    pixel_head,
    pixel_layers,
    upsample_bilinear,
)


class MLCL(nn.Module):
    """Multi-scale local contrast learning: a k x k, then a dilated convolution, at k = 1, 3, 5.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_branch(channels, k) for k in (1, 3, 5))
        self.merge = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Merge the three branches."""
        return self.merge(torch.cat([branch(x) for branch in self.branches], dim=1))


def _branch(channels: int, kernel: int) -> nn.Sequential:
    """A convolution of this kernel, then one dilated by its size."""
    local = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
    wide = nn.Conv2d(channels, channels, 3, padding=kernel, dilation=kernel)
    return nn.Sequential(local, nn.ReLU(), wide, nn.ReLU())


def _stage(in_channels: int, channels: int, units: int) -> nn.Sequential:
    """Half the size, then residual units."""
    down = DownUnit(in_channels, channels)
    return nn.Sequential(down, *(ResidualUnit(channels) for _ in range(units)))


class MLCLNet(Backbone):
    """MLCL-Net: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.
        base: the paper's base form, with one more residual unit in every stage.

    Shape: image (N, in_channels, H, W), H and W multiples of 4 -> logits (N, 1, H, W).

    Example:
        >>> import torch
        >>> MLCLNet().eval()(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    divisor = 4

    def __init__(self, in_channels: int = 3, *, base: bool = False) -> None:
        super().__init__(in_channels)
        more = int(base)
        self.stem = full_stem(in_channels)
        self.encoder1 = nn.Sequential(*(ResidualUnit(16) for _ in range(2 + more)))
        self.encoder2 = _stage(16, 32, 1 + more)
        self.encoder3 = _stage(32, 64, 1 + more)
        self.contrast1, self.project1 = MLCL(16), pixel_layers(16, 64)
        self.contrast2, self.project2 = MLCL(32), pixel_layers(32, 64)
        self.contrast3, self.project3 = MLCL(64), pixel_layers(64, 64)
        self.head = pixel_head(64)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 4.
        """
        self.check(image)
        e1 = self.encoder1(self.stem(image))  # 1/1
        e2 = self.encoder2(e1)  # 1/2
        e3 = self.encoder3(e2)  # 1/4
        p3 = self.project3(self.contrast3(e3))
        p2 = self.project2(self.contrast2(e2))
        p1 = self.project1(self.contrast1(e1))
        return self.head(upsample_bilinear(upsample_bilinear(p3) + p2) + p1)
