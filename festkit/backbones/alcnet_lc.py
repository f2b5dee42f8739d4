"""ALCNet-LC, the network of the ALCNet paper (2021), with its local-contrast operator.

Paper: Dai et al., Attentional Local Contrast Networks for Infrared Small Target Detection, TGRS
2021, arXiv 2012.08573. Its modules: multi-scale local contrast (MLC) by cyclic shifts, and
bottom-up local attentional modulation (BLAM). Results published under the name ALCNet mostly belong
to another network, see ``alcnet``.

The authors' code combines distances in several ways and does not say which one their weights used;
this is the maximum over 13 and 17 px.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._support.errors import InputError
from .blocks import Backbone, FCNHead, conv_bn_relu, gate, stage, upsample_bilinear

SHIFTS = (13, 17)
"""Distances of the local contrast [px of the feature map]."""

REACH = max(SHIFTS)
"""The larger distance."""

LEAST = REACH + 1
"""Smallest side of a map: on a smaller one the larger cyclic shift returns to the pixel itself."""

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, 1))
"""One direction (rows, columns) of each of the four opposite pairs."""


def local_contrast(x: Tensor) -> Tensor:
    """Multi-scale local contrast (MLC) by cyclic shifts.

    At each distance, each of four directions gives the product of the differences between a pixel
    and the two opposite ones. The result is the minimum over directions, then the maximum over
    distances. The gradient goes through the selected pair, the first of equal ones. Half precision
    is computed in float32, because differences of neighbours cancel.

    Shape: (N, C, H, W) -> (N, C, H, W), H and W at least 18.

    Raises:
        ValueError: for a smaller map.

    Example:
        >>> spot = torch.zeros(1, 1, 40, 40); spot[0, 0, 20, 20] = 2.0
        >>> local_contrast(spot)[0, 0, 20, 20].item(), local_contrast(spot).sum().item()
        (4.0, 4.0)
    """
    height, width = x.shape[-2:]
    if min(height, width) < LEAST:
        raise InputError(
            f"a map of {height} x {width} is too small for contrasts over {REACH} px; both sides "
            f"must be at least {LEAST}"
        )
    if x.dtype in (torch.bfloat16, torch.float16):
        return local_contrast(x.float()).to(x.dtype)
    x = x.contiguous()  # shifts are slow in channels-last memory
    around = functional.pad(x, (REACH,) * 4, mode="circular")
    if not x.requires_grad:
        return torch.maximum(*(_least_contrast(x, around, shift) for shift in SHIFTS))
    places = [torch.zeros_like(x, dtype=torch.int64) for _ in SHIFTS]
    near, far = (
        _least_contrast(x.detach(), around.detach(), shift, place)
        for shift, place in zip(SHIFTS, places, strict=True)
    )
    # Gathering the selected pair takes less than half the time of autograd through all eight.
    offset = torch.where((far > near) | far.isnan(), places[1], places[0])
    rows, columns = around.shape[-2:]
    here = _shifted(torch.arange(rows * columns, device=x.device).view(rows, columns), x, 0, 0)
    one, other = (
        around.flatten(2).gather(2, place.flatten(2)).view_as(x)
        for place in (here + offset, here - offset)
    )
    return (one - x) * (other - x)


def _least_contrast(x: Tensor, around: Tensor, shift: int, offset: Tensor | None = None) -> Tensor:
    """Minimum over the directions at one distance.

    ``offset`` is filled with the flat index offset of the selected pair in the padded map.
    """
    contrast = torch.full_like(x, torch.inf)
    for down, right in reversed(DIRECTIONS):  # of equal ones the first is set last
        dy, dx = shift * down, shift * right
        product = (_shifted(around, x, dy, dx) - x) * (_shifted(around, x, -dy, -dx) - x)
        if offset is not None:
            chosen = (product <= contrast) | product.isnan()  # NaN wins, as in minimum
            offset.masked_fill_(chosen, dy * around.shape[-1] + dx)
        contrast = torch.minimum(contrast, product)
    return contrast


def _shifted(around: Tensor, x: Tensor, dy: int, dx: int) -> Tensor:
    """View of the padded map, shifted by (dy, dx)."""
    height, width = x.shape[-2:]
    return around[..., REACH + dy : REACH + dy + height, REACH + dx : REACH + dx + width]


class BLAM(nn.Module):
    """Bottom-up local attentional modulation: shallow features gate the deep ones.

    Shape: deep, shallow (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deep_norm = nn.BatchNorm2d(channels)
        self.shallow_norm = nn.BatchNorm2d(channels)
        self.gate = nn.Sequential(*gate(channels, channels))

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Add the gated deep features to the shallow ones."""
        deep, shallow = self.deep_norm(deep), self.shallow_norm(shallow)
        return deep * self.gate(shallow) + shallow


class ALCNetLC(Backbone):
    """ALCNet-LC: image to target logits.

    Args:
        in_channels: channels of the input.

    Shape: image (N, in_channels, H, W), H and W multiples of 4 and at least 72 -> logits
        (N, 1, H, W).

    Example:
        >>> ALCNetLC().eval()(torch.zeros(1, 3, 72, 80)).shape
        torch.Size([1, 1, 72, 80])
    """

    divisor = 4
    smallest = divisor * LEAST

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(in_channels)
        self.stem = nn.Sequential(
            nn.BatchNorm2d(in_channels, affine=False), conv_bn_relu(in_channels, 16, bias=False)
        )
        self.encoder1 = stage(16, 16, 4, stride=1, momentum=0.1)
        self.encoder2 = stage(16, 32, 4, stride=2, momentum=0.1)
        self.encoder3 = stage(32, 64, 4, stride=2, momentum=0.1)
        self.project2 = conv_bn_relu(32, 16, 1, bias=False)
        self.project3 = conv_bn_relu(64, 16, 1, bias=False)
        self.fuse2 = BLAM(16)
        self.fuse1 = BLAM(16)
        self.head = FCNHead(16, momentum=0.1)

    def forward(self, image: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) to logits (N, 1, H, W).

        Raises:
            ValueError: for other channels, a size off 4, or a side below 72.
        """
        self.check(image)
        e1 = self.encoder1(self.stem(image))  # 1/1
        e2 = self.encoder2(e1)  # 1/2
        e3 = self.encoder3(e2)  # 1/4
        d3 = self.project3(local_contrast(e3))
        d2 = self.fuse2(upsample_bilinear(d3), self.project2(local_contrast(e2)))
        d1 = self.fuse1(upsample_bilinear(d2), local_contrast(e1))
        return self.head(d1)
