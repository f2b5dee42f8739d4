"""What is exported: the pipeline from gray frames to probability maps, or from tiles of frames."""

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
        refuse_detectors(fest)
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


class TilePipeline(nn.Module):
    """The network of a FEST at scale factors, from tiles to their maps.

    What lies around it, the tiles of a frame and the blending of their maps, is
    :func:`festkit.ops.tiles.map_by_tiles`.

    Args:
        fest: one network at one or several scale factors.

    Raises:
        ValueError: if a scale is a detector or a size, or the factors have different networks.

    Example:
        >>> fest = FEST({1.5: "ACM"}, tile=32)
        >>> tiles, level = torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.tensor(0.4)
        >>> TilePipeline(fest)(tiles, level, level).shape
        torch.Size([2, 1, 32, 32])
    """

    def __init__(self, fest: FEST) -> None:
        super().__init__()
        refuse_detectors(fest)
        first, *others = fest.networks
        equal = all(_same_weights(first, other) for other in others)
        if not equal or not all(isinstance(key, float) for key in fest.backbones):
            raise InputError(
                "only sizes, or scale factors with one network, can be exported together; export "
                "each network to its own file"
            )
        self.network = deepcopy(first).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.eval()

    def forward(self, gray: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Map tiles to probabilities.

        Args:
            gray: (N, 1, tile, tile) uint8.
            mean: mean of the frame, in [0, 1].
            std: standard deviation of the frame, in [0, 1].

        Returns:
            (N, 1, tile, tile) float32 in [0, 1].
        """
        statistics: Any = {"mean": mean, "std": std}
        return probabilities(self.network, gray.float() / 255, **statistics)


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have the same tensors under the same names."""
    state, others = one.state_dict(), other.state_dict()
    return state.keys() == others.keys() and all(
        torch.equal(tensor, others[name]) for name, tensor in state.items()
    )


def refuse_detectors(fest: FEST) -> None:
    """Refuse a FEST with training-free detectors.

    Raises:
        ValueError: if it has one.

    Example:
        >>> refuse_detectors(FEST({32: "ACM"}))
    """
    if len(fest.networks) < len(fest.backbones):
        raise InputError("a detector cannot be exported; export a FEST of networks alone")
