"""Paired timing: two ways of doing the same, in turn, so that a busy machine slows both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

LEAST_SECONDS = 0.005


@dataclass(frozen=True)
class Pair:
    """Median times of our way and the alternative, and the median of their ratios, round by round.

    Attributes:
        ours: seconds.
        other: seconds.
        ratio: other / ours; above 1 ours is faster.
    """

    ours: float
    other: float
    ratio: float


def compare(
    ours: Callable[[], object], other: Callable[[], object], *, rounds: int, device: torch.device
) -> Pair:
    """Time two functions in turn; what is short is repeated, so that both work on warm caches."""
    repeats = [_repeats(call, device) for call in (ours, other)]
    times = [
        (_seconds(ours, device, repeats[0]), _seconds(other, device, repeats[1]))
        for _ in range(rounds)
    ]
    first, second = zip(*times, strict=True)
    ratio = statistics.median(b / a for a, b in times)
    return Pair(statistics.median(first), statistics.median(second), ratio)


def _repeats(call: Callable[[], object], device: torch.device) -> int:
    """Calls that take about :data:`LEAST_SECONDS` together, found out after a first, cold one."""
    call()
    return max(1, round(LEAST_SECONDS / _seconds(call, device, 1)))


def _seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds per call."""
    _wait(device)
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    _wait(device)
    return (time.perf_counter() - began) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
