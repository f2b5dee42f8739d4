"""The whole pipeline as one network, from gray frames of any size to probability maps."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from .._support.errors import InputError
from ..backbones.forward import probabilities
from ..fest import FEST
from ..ops.resize import lerp_finite, resize_tensor


class Pipeline(nn.Module):
    """What :meth:`FEST.scale_maps` and :meth:`FEST.probability` compute, in tensor operations.

    Args:
        fest: networks of fixed sizes, with the gray statistics of their training set.

    Raises:
        ValueError: if a scale is a detector, or the statistics are unknown.

    Example:
        >>> pipeline = Pipeline(FEST({32: "ACM", 48: "ACM"}, mean=0.4, std=0.1))
        >>> [tuple(map.shape) for map in pipeline(torch.zeros(2, 1, 40, 30, dtype=torch.uint8))]
        [(2, 1, 40, 30), (2, 2, 40, 30)]
    """

    def __init__(self, fest: FEST) -> None:
        super().__init__()
        if len(fest.networks) < len(fest.backbones):
            raise InputError("a detector cannot be exported; export a FEST of networks alone")
        fest.check_statistics()
        self.sizes = list(fest.backbones)
        self.statistics: Any = {"mean": fest.mean, "std": fest.std}
        networks = [deepcopy(network).cpu() for network in fest.networks]
        self.networks = nn.ModuleList(networks).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.eval()

    def forward(self, gray: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames to probabilities.

        Args:
            gray: (N, 1, H, W) uint8.

        Returns:
            The fused map (N, 1, H, W) and the map of every scale (N, S, H, W), float32 in [0, 1].
        """
        levels = gray.float()
        height, width = gray.shape[-2:]
        maps = []
        for size, network in zip(self.sizes, self.networks, strict=True):
            resized = resize_tensor(levels, size, size, lerp_finite).round() / 255
            prob = probabilities(network, resized, **self.statistics)
            maps.append(resize_tensor(prob, height, width, lerp_finite))
        return sum(maps[1:], maps[0]) / len(maps), torch.cat(maps, 1)
