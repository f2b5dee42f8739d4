"""Which device and which precision a machine is best at."""

from typing import Literal

import torch

from ._errors import InputError
from ._names import Precision


def resolve_device(device: str) -> torch.device:
    """The device of a name; "auto" takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: if the name is unknown or the device is not at hand.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    at_hand = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next((name for name, here in at_hand.items() if here), "cpu")
    kind = device.partition(":")[0]
    if kind not in ("cpu", *at_hand):
        raise InputError(f"unknown device {device!r}; known are auto, cpu, cuda, cuda:N and mps")
    if not at_hand.get(kind, True):
        raise InputError(f"device {device!r} is not at hand on this machine; use 'cpu' or 'auto'")
    place = torch.device(device)
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {device!r} is not at hand on this machine, which has "
            f"{torch.cuda.device_count()} CUDA devices, the first of them 'cuda:0'"
        )
    return place


def resolve_precision(
    precision: Precision, device: torch.device
) -> Literal["fp32", "bf16", "fp16"]:
    """The precision to train in; "auto" takes bf16 where the hardware multiplies it.

    Raises:
        ValueError: for fp16 elsewhere than on CUDA.

    Example:
        >>> resolve_precision("fp32", torch.device("cpu"))
        'fp32'
    """
    if precision == "fp16" and device.type != "cuda":
        raise InputError(f"precision fp16 trains on CUDA only, not on {device.type}; take bf16")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        known = (getattr(torch.cpu, check, None) for check in checks)
        return "bf16" if any(check() for check in known if check) else "fp32"
    return "fp32"
