"""ACM (2021): asymmetric contextual modulation in a small U-Net.

Paper: Dai et al., Asymmetric Contextual Modulation for Infrared Small Target Detection, WACV 2021,
arXiv 2009.14530. As in the FEST paper: the ResUNet host with AsymBi fusion, three blocks per stage,
channels 8-16-32-64.

Differs from the published code: batch-norm momentum is 0.1. The published 0.9 comes from a
framework in which the number means the opposite; in PyTorch it makes the running statistics those
of the last batch. ``bn_momentum=0.9`` restores it.
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Backbone, FCNHead, Stem, check_batch, gate, stage, upconv2x


class AsymBi(nn.Module):
    """Asymmetric bi-directional modulation: both levels modulate each other before they are added.

    Global channel attention of the deep level weights the shallow one; point-wise attention of the
    shallow level weights the deep one.

    With ``group_norm`` each image is normalised by itself (one group of all channels) instead of
    over the batch, so a batch may be as small as one image.

    Shape: deep, shallow (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, *, momentum: float, group_norm: bool = False) -> None:
        super().__init__()
        norm: Callable[[int], nn.Module] = partial(nn.BatchNorm2d, momentum=momentum)
        if group_norm:
            norm = partial(nn.GroupNorm, 1)
        self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), *gate(channels, channels // 4, norm))
        self.detail = nn.Sequential(*gate(channels, channels // 4, norm))
        conv = nn.Conv2d(channels, channels, 3, 1, 1)
        self.merge = nn.Sequential(conv, norm(channels), nn.ReLU())

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Modulate each level by the other and merge them."""
        return self.merge(2 * shallow * self.context(deep) + 2 * deep * self.detail(shallow))


class ACM(Backbone):
    """ACM: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.
        bn_momentum: batch-norm momentum; the published code has 0.9.
        group_norm: group norm instead of batch norm in AsymBi, to train on small batches; the
            published weights have batch norm.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> import torch
        >>> ACM().eval()(torch.zeros(1, 3, 64, 96)).shape
        torch.Size([1, 1, 64, 96])
    """

    def __init__(
        self, in_channels: int = 3, *, bn_momentum: float = 0.1, group_norm: bool = False
    ) -> None:
        super().__init__(in_channels)
        self.group_norm = group_norm
        m = bn_momentum
        self.stem = Stem(in_channels, momentum=m)
        self.encoder1 = stage(16, 16, 3, stride=1, momentum=m)
        self.encoder2 = stage(16, 32, 3, stride=2, momentum=m)
        self.encoder3 = stage(32, 64, 3, stride=2, momentum=m)
        self.up2 = upconv2x(64, 32)
        self.fuse2 = AsymBi(32, momentum=m, group_norm=group_norm)
        self.decoder2 = stage(32, 32, 3, stride=1, momentum=m)
        self.up1 = upconv2x(32, 16)
        self.fuse1 = AsymBi(16, momentum=m, group_norm=group_norm)
        self.decoder1 = stage(16, 16, 3, stride=1, momentum=m)
        self.head = FCNHead(16, momentum=m)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels, a size off 16, or a training batch of one.
        """
        self.check(image)
        check_batch(image, training=self.training and not self.group_norm)
        e1 = self.encoder1(self.stem(image))  # 1/4
        e2 = self.encoder2(e1)  # 1/8
        e3 = self.encoder3(e2)  # 1/16
        d2 = self.decoder2(self.fuse2(self.up2(e3), e2))
        d1 = self.decoder1(self.fuse1(self.up1(d2), e1))
        return F.interpolate(self.head(d1), scale_factor=4, mode="bilinear", align_corners=False)
