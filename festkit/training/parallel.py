"""Train several configurations, in one process per device."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from .._support.devices import resolve_threads
from .config import TrainConfig
from .run import Run
from .trainer import train


def train_at_once(configs: Sequence[TrainConfig], devices: Sequence[str]) -> list[Run]:
    """Train in one process per device; a device with several configurations takes them in turn.

    Args:
        configs: at least one configuration.
        devices: such as ("cuda:0", "cuda:1").

    Returns:
        The runs, in the order of the configurations.
    """
    threads = configs[0].threads or max(1, resolve_threads() // len(devices))
    placed = [
        replace(config, device=devices[k % len(devices)], threads=threads)
        for k, config in enumerate(configs)
    ]
    with ProcessPoolExecutor(len(devices), get_context("spawn")) as pool:
        shares = [placed[k :: len(devices)] for k in range(min(len(devices), len(placed)))]
        trained = list(pool.map(_train_in_turn, shares))
    return [trained[k % len(devices)][k // len(devices)] for k in range(len(placed))]


def _train_in_turn(configs: Sequence[TrainConfig]) -> list[Run]:
    """Train in one process."""
    return [train(config) for config in configs]
