"""ALCNet (2021) as published comparisons use it: a feature pyramid with AsymBi fusion.

Paper: Dai et al., Attentional Local Contrast Networks for Infrared Small Target Detection, TGRS
2021, arXiv 2012.08573. Under this name the FEST paper and others report results of a different
network: the FPN form of ACM with four blocks per stage, three transposed convolutions and no
local-contrast operator. It is here because those results belong to it. The network of the ALCNet
paper itself is ``ALCNet-LC``.

Differs from the published code: two stages of four blocks that no path reaches (92,928 parameters)
are left out; batch-norm momentum is 0.1 (see ``acm``).
"""

import torch.nn.functional as F
from torch import Tensor

from .acm import AsymBi
from .blocks import Backbone, FCNHead, Stem, check_batch, stage, upconv2x


class ALCNet(Backbone):
    """ALCNet: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.
        bn_momentum: batch-norm momentum; the published code has 0.9.
        group_norm: group norm instead of batch norm in AsymBi, to train on small batches; the
            published weights have batch norm.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> import torch
        >>> ALCNet().eval()(torch.zeros(1, 3, 64, 96)).shape
        torch.Size([1, 1, 64, 96])
    """

    def __init__(
        self, in_channels: int = 3, *, bn_momentum: float = 0.1, group_norm: bool = False
    ) -> None:
        super().__init__(in_channels)
        self.group_norm = group_norm
        m = bn_momentum
        self.stem = Stem(in_channels, momentum=m)
        self.encoder1 = stage(16, 16, 4, stride=1, momentum=m)
        self.encoder2 = stage(16, 32, 4, stride=2, momentum=m)
        self.encoder3 = stage(32, 64, 4, stride=2, momentum=m)
        self.up2 = upconv2x(64, 32)
        self.fuse2 = AsymBi(32, momentum=m, group_norm=group_norm)
        self.up1 = upconv2x(32, 16)
        self.fuse1 = AsymBi(16, momentum=m, group_norm=group_norm)
        self.up0 = upconv2x(16, 8)
        self.head = FCNHead(8, momentum=m)

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
        d2 = self.fuse2(self.up2(e3), e2)
        d1 = self.fuse1(self.up1(d2), e1)
        logits = self.head(self.up0(d1))  # 1/2
        return F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
