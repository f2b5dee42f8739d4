"""ACM (2021): a small U-shaped network whose two levels modulate each other asymmetrically.

Paper: Dai et al., Asymmetric Contextual Modulation for Infrared Small Target Detection, WACV 2021,
arXiv 2009.14530. This is its ResUNet with the AsymBi fusion, three blocks a stage, 8-16-32-64
channels, as the FEST paper uses it.

Differs from the published code: the running statistics of batch norm take a share of 0.1 from every
batch; the published 0.9 comes from a framework in which the number means the opposite. It makes
evaluation depend on the last batch alone. ``bn_momentum=0.9`` restores it.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import AsymmetricFusion, FCNHead, Stem, check_batch, check_image, stage, upconv2x


class ACM(nn.Module):
    """ACM: image to target logits.

    Args:
        in_channels: channels of the input; the published weights take 3.
        bn_momentum: share of the new batch in the running statistics (see above).
        group_norm: group instead of batch norm in the fusions, for training on small batches; the
            published weights have batch norm.

    Shape: image (N, in_channels, H, W), H and W multiples of 16 -> logits (N, 1, H, W).

    Example:
        >>> import torch
        >>> ACM().eval()(torch.zeros(1, 3, 64, 96)).shape
        torch.Size([1, 1, 64, 96])
    """

    divisor = 16

    def __init__(
        self, in_channels: int = 3, *, bn_momentum: float = 0.1, group_norm: bool = False
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.group_norm = group_norm
        m = bn_momentum
        self.stem = Stem(in_channels, momentum=m)
        self.encoder1 = stage(16, 16, 3, stride=1, momentum=m)
        self.encoder2 = stage(16, 32, 3, stride=2, momentum=m)
        self.encoder3 = stage(32, 64, 3, stride=2, momentum=m)
        self.up2 = upconv2x(64, 32)
        self.fuse2 = AsymmetricFusion(32, momentum=m, group_norm=group_norm)
        self.decoder2 = stage(32, 32, 3, stride=1, momentum=m)
        self.up1 = upconv2x(32, 16)
        self.fuse1 = AsymmetricFusion(16, momentum=m, group_norm=group_norm)
        self.decoder1 = stage(16, 16, 3, stride=1, momentum=m)
        self.head = FCNHead(16, momentum=m)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels, a size off 16, or a training batch of one.
        """
        check_image(image, in_channels=self.in_channels, divisor=self.divisor)
        check_batch(image, training=self.training and not self.group_norm)
        e1 = self.encoder1(self.stem(image))  # 1/4
        e2 = self.encoder2(e1)  # 1/8
        e3 = self.encoder3(e2)  # 1/16
        d2 = self.decoder2(self.fuse2(self.up2(e3), e2))
        d1 = self.decoder1(self.fuse1(self.up1(d2), e1))
        return F.interpolate(self.head(d1), scale_factor=4, mode="bilinear", align_corners=False)
