"""Paired timing: two ways of doing the same, in turn, so that a busy machine slows both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


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
    """Time two functions in turn, after one uncounted round."""
    times = [(_seconds(ours, device), _seconds(other, device)) for _ in range(rounds + 1)][1:]
    first, second = zip(*times, strict=True)
    ratio = statistics.median(b / a for a, b in times)
    return Pair(statistics.median(first), statistics.median(second), ratio)


def _seconds(function: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
