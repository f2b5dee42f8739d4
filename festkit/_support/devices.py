"""Choice of device, precision and number of CPU threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import torch
from torch import Tensor

from .cpus import check_threads, idle_cpus
from .errors import InputError
from .names import Precision


def resolve_device(device: str | torch.device) -> torch.device:
    """Return an available device by name; "auto" is CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: if the name is unknown or the device is not available.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    numbers = {"cuda": cuda, "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    device = str(device)
    if device == "auto":
        device = next(kind for kind, number in numbers.items() if number)
    place = None
    with suppress(RuntimeError):  # "cuda:first"
        place = torch.device(device)
    if place is None or place.type not in numbers:
        raise InputError(f"unknown device {device!r}; choose from auto, cpu, cuda, cuda:N and mps")
    if place.type != "cpu" and (place.index or 0) >= numbers[place.type]:
        count = f", which has {cuda} CUDA devices" if place.type == "cuda" else ""
        raise InputError(
            f"device {device!r} is not available on this machine{count}; use 'cpu' or 'auto'"
        )
    return place


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory; on the CPU that is a RuntimeError.

    Example:
        >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
        True
    """
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def resolve_precision(
    precision: Precision, device: torch.device
) -> Literal["fp32", "bf16", "fp16"]:
    """Return the training precision; "auto" is bf16 if the hardware supports it, else fp32.

    Raises:
        ValueError: for fp16 on a device other than CUDA.

    Example:
        >>> resolve_precision("fp32", torch.device("cpu"))
        'fp32'
    """
    if precision == "fp16" and device.type != "cuda":
        raise InputError(f"precision fp16 trains on CUDA only, not on {device.type}; use bf16")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        known = (getattr(torch.cpu, check, None) for check in checks)
        return "bf16" if any(check() for check in known if check) else "fp32"
    return "fp32"


def resolve_threads(threads: int | None = None) -> int:
    """The number of CPU threads to compute with.

    None takes one per CPU that is idle now, of those that this process may use; at least one, and
    at most torch's own number, which OMP_NUM_THREADS and ``torch.set_num_threads`` set. Several
    processes of one training share the idle CPUs. A thread whose CPU is taken by another process
    delays all others at every layer of a network.

    Raises:
        ValueError: if it is not a whole number of at least 1.

    Example:
        >>> resolve_threads(3), resolve_threads() >= 1
        (3, True)
    """
    check_threads(threads)
    if threads is not None:
        return threads
    most = torch.get_num_threads()
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return 1 if most == 1 else max(1, min(most, idle_cpus() // sharing))


@contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Within this, torch computes with so many CPU threads; then with as many as before.

    Example:
        >>> with cpu_threads(2):
        ...     torch.get_num_threads()
        2
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def whole_float32() -> Iterator[None]:
    """Within this, CUDA multiplies float32 as such, not as TF32, which keeps 10 bits of 23.

    By default cuDNN takes TF32 for convolutions from Ampere on.

    Example:
        >>> with whole_float32():
        ...     torch.backends.cudnn.allow_tf32
        False
    """
    cudnn: Any = torch.backends.cudnn  # torch's types lack its parts
    matmul: Any = torch.backends.cuda.matmul
    switches = [cudnn, matmul]
    name: str = "allow_tf32"
    whole: Any = False
    try:
        before = [getattr(switch, name) for switch in switches]
    except RuntimeError:  # unreadable once fp32_precision was set
        switches = [cudnn, cudnn.conv, cudnn.rnn, matmul]
        name, whole = "fp32_precision", "ieee"
        before = [getattr(switch, name) for switch in switches]
    try:
        for switch in switches:
            setattr(switch, name, whole)
        yield
    finally:
        for switch, own in zip(switches, before, strict=True):
            setattr(switch, name, own)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; to CUDA by pinned memory, so that the host does not wait.

    Example:
        >>> send(torch.ones(1), torch.device("cpu")).item()
        1.0
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
