"""The rule by which parity figures fill a network and its input, and how the figures are taken.

Tensors are filled by what they are and by their shape, whatever a module is called, so that two
implementations of one topology compute the same function and their figures can be compared.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

WEIGHT, BIAS, NORM_WEIGHT, NORM_BIAS, MEAN, VARIANCE = range(1, 7)
NORM_KINDS = {
    "weight": NORM_WEIGHT,
    "bias": NORM_BIAS,
    "running_mean": MEAN,
    "running_var": VARIANCE,
}
LAYER_KINDS = {"weight": WEIGHT, "bias": BIAS}
KIND_NAMES = {WEIGHT: "weight", BIAS: "bias", NORM_WEIGHT: "norm_weight", NORM_BIAS: "norm_bias"}


def noise(count: int, kind: int) -> NDArray[np.float64]:
    """Hash noise in [0, 1) of elements 0 to count - 1, for a kind of tensor."""
    x = (np.arange(count, dtype=np.uint64) + 1 + 1000003 * kind).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


@lru_cache(maxsize=512)
def values(shape: tuple[int, ...], kind: int) -> Tensor:
    """The float32 values of a tensor of a kind and shape."""
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


def kinds(network: nn.Module) -> dict[str, int]:
    """The kind of every tensor that the rule fills, by its name."""
    found = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            known = NORM_KINDS
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            known = LAYER_KINDS
        else:
            continue
        for name, kind in known.items():
            if getattr(module, name) is not None:
                found[f"{path}.{name}".lstrip(".")] = kind
    return found


@torch.no_grad()
def fill(network: nn.Module) -> nn.Module:
    """Fill a network by the rule, and switch dropout off."""
    tensors = network.state_dict(keep_vars=True)
    for name, kind in kinds(network).items():
        tensors[name].copy_(values(tuple(tensors[name].shape), kind))
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def image(shape: tuple[int, int, int, int]) -> Tensor:
    """The input of the parity figures, float32."""
    b, c, h, w = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij")
    rows = np.sin(0.05 * h * (c + 1) + 0.9 * b)
    columns = np.cos(0.07 * w * (1 + 0.5 * b) + 0.3 * c)
    chirp = np.sin(0.31 * h * w / (1 + b) + 0.5)
    waves = (1 + 0.5 * b) * rows * columns + 0.3 * chirp + 0.4 * np.cos(1.7 * b + c)
    return torch.from_numpy(waves.astype(np.float32))


def output_figures(output: Tensor) -> dict[str, float | list[float]]:
    """Figures of a network's logits: moments, range and 32 samples."""
    flat = output.detach().double().flatten().cpu()
    index = [(i * 104729 + 17) % len(flat) for i in range(32)]
    return {
        "mean": flat.mean().item(),
        "std": flat.std(correction=0).item(),
        "l2": flat.norm().item(),
        "min": flat.min().item(),
        "max": flat.max().item(),
        "sample_value": flat[index].tolist(),
    }


def gradient_figures(network: nn.Module, pixels: Tensor) -> dict[str, float | dict[str, float]]:
    """Figures of the gradients of the mean square logit, after its backward pass."""
    by_kind: dict[str, list[Tensor]] = {name: [] for name in KIND_NAMES.values()}
    kind = kinds(network)
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            by_kind[KIND_NAMES[kind[name]]].append(parameter.grad.double().flatten().cpu())
    gradient = torch.cat([grad for grads in by_kind.values() for grad in grads])
    of_pixels = pixels.grad.double().cpu()
    return {
        "input_grad_sum": of_pixels.sum().item(),
        "input_grad_l2": of_pixels.norm().item(),
        "param_grad_sum": gradient.sum().item(),
        "param_grad_l2": gradient.norm().item(),
        "param_grad_l2_by_kind": {
            name: torch.cat(grads).norm().item() for name, grads in by_kind.items() if grads
        },
    }


def running_figures(network: nn.Module) -> dict[str, float]:
    """Sums of the running statistics over all batch norm layers."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return {
        "running_mean_sum_after": sum(n.running_mean.double().sum().item() for n in norms),
        "running_var_sum_after": sum(n.running_var.double().sum().item() for n in norms),
    }
