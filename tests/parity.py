"""The rule by which parity figures fill a network and its input, whatever its module names are."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

WEIGHT, BIAS, NORM_WEIGHT, NORM_BIAS, MEAN, VARIANCE = range(1, 7)


def noise(count: int, kind: int) -> NDArray[np.float64]:
    """Hash noise in [0, 1) of elements 0 to count - 1, for a kind of tensor."""
    x = (np.arange(count, dtype=np.uint64) + 1 + 1000003 * kind).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


def values(shape: tuple[int, ...], kind: int) -> Tensor:
    u = noise(int(np.prod(shape)), kind)
    s = 2 * u - 1
    fan = np.prod(shape) / shape[0]
    filled = {
        WEIGHT: 0.9 * np.sqrt(6 / fan) * s,
        BIAS: 0.1 * s,
        NORM_WEIGHT: 1 + 0.2 * s,
        NORM_BIAS: 0.1 * s,
        MEAN: 0.1 * s,
        VARIANCE: 1 + 0.5 * u,
    }[kind]
    return torch.from_numpy(filled.astype(np.float32)).reshape(shape)


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Fill every tensor of a network by kind and shape, and switch dropout off."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            kinds = {
                "weight": NORM_WEIGHT,
                "bias": NORM_BIAS,
                "running_mean": MEAN,
                "running_var": VARIANCE,
            }
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            kinds = {"weight": WEIGHT, "bias": BIAS}
        else:
            kinds = {}
        for name, kind in kinds.items():
            tensor = getattr(module, name)
            if tensor is not None:
                tensor.copy_(values(tuple(tensor.shape), kind))
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def image(shape: tuple[int, int, int, int]) -> Tensor:
    """The input of the parity figures, float32."""
    b, c, h, w = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij")
    waves = (
        (1 + 0.5 * b) * np.sin(0.05 * h * (c + 1) + 0.9 * b) * np.cos(0.07 * w * (1 + 0.5 * b) + 0.3 * c)
        + 0.3 * np.sin(0.31 * h * w / (1 + b) + 0.5)
        + 0.4 * np.cos(1.7 * b + c)
    )
    return torch.from_numpy(waves.astype(np.float32))


def sample_index(count: int) -> list[int]:
    return [(i * 104729 + 17) % count for i in range(32)]
