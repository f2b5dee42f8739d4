"""MLCL-Net (2022): three scales, each searched for local contrast at three reaches.

Paper: Yu et al., Infrared Small Target Detection Based on Multiscale Local Contrast Learning
Networks, Infrared Physics & Technology 123, 2022. This is its small form, which the FEST paper
uses; the base form has one more residual unit in every stage.
"""

import torch
from torch import Tensor, nn

from .blocks import (
    DownUnit,
    ResidualUnit,
    check_image,
    full_stem,
    init_kaiming,
    pixel_head,
    upsample_bilinear,
)


class MultiReachContrast(nn.Module):
    """Multi-scale local contrast learning: three branches that compare a pixel with its vicinity.

    Each branch gathers with a k x k convolution and compares at dilation k, k = 1, 3, 5.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_branch(channels, reach) for reach in (1, 3, 5))
        self.merge = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Merge what the branches see."""
        return self.merge(torch.cat([branch(x) for branch in self.branches], dim=1))


def _branch(channels: int, reach: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, reach, padding=reach // 2),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=reach, dilation=reach),
        nn.ReLU(),
    )


def _project(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 64, 1), nn.ReLU())


class MLCLNet(nn.Module):
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
        super().__init__()
        self.in_channels = in_channels
        more = int(base)
        self.stem = full_stem(in_channels)
        self.encoder1 = nn.Sequential(*(ResidualUnit(16) for _ in range(2 + more)))
        self.encoder2 = nn.Sequential(
            DownUnit(16, 32), *(ResidualUnit(32) for _ in range(1 + more))
        )
        self.encoder3 = nn.Sequential(
            DownUnit(32, 64), *(ResidualUnit(64) for _ in range(1 + more))
        )
        self.contrast1, self.project1 = MultiReachContrast(16), _project(16)
        self.contrast2, self.project2 = MultiReachContrast(32), _project(32)
        self.contrast3, self.project3 = MultiReachContrast(64), _project(64)
        self.head = pixel_head(64)
        init_kaiming(self)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels or a size off 4.
        """
        check_image(image, in_channels=self.in_channels, divisor=self.divisor)
        e1 = self.encoder1(self.stem(image))  # 1/1
        e2 = self.encoder2(e1)  # 1/2
        e3 = self.encoder3(e2)  # 1/4
        p3 = self.project3(self.contrast3(e3))
        p2 = self.project2(self.contrast2(e2))
        p1 = self.project1(self.contrast1(e1))
        return self.head(upsample_bilinear(upsample_bilinear(p3) + p2) + p1)
