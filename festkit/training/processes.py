"""The processes that share a training: one alone, or those that a launcher has started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(days=1)
"""So long the others wait while one validates or writes; NCCL alone gives up after 10 minutes."""


@dataclass(frozen=True)
class Processes:
    """Where this process computes, and how it agrees with the others.

    They agree by words between hosts (Gloo), for which no host waits for its device.

    Attributes:
        device: of this process.
        rank: number of this process; the first, 0, validates and writes.
        count: how many there are.
        words: the group of all hosts; None where there is one process.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    words: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sums over all processes, on the host."""
        summed = values.detach().to("cpu", copy=True)
        if self.count > 1:
            distributed.all_reduce(summed, group=self.words)
        return summed

    def told_by_main(self, item: Any) -> Any:
        """What the main process passes, in all of them."""
        items = [item]
        if self.count > 1:
            distributed.broadcast_object_list(items, src=0, group=self.words)
        return items[0]

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.count > 1:
            distributed.barrier(group=self.words)

    def shared(self, model: nn.Module) -> nn.Module:
        """A network whose gradients are averaged over all processes.

        On CUDA its batch norms see the whole batch: they are replaced in place, and keep their
        parameters and statistics.
        """
        if self.count == 1:
            return model
        if self.device.type != "cuda":
            return DistributedDataParallel(model)
        whole = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return DistributedDataParallel(whole, device_ids=[self.device])


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """This process among those of its launcher; the current CUDA device is its own meanwhile.

    ``torchrun``, ``accelerate launch`` and ``notebook_launcher`` all tell a process its rank by
    WORLD_SIZE, RANK and LOCAL_RANK.

    Example:
        >>> with joined(torch.device("cpu")) as processes:
        ...     processes.count, processes.total(torch.ones(2)).tolist()
        (1, [1.0, 1.0])
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    on_cuda = device.type == "cuda"
    if on_cuda and count > 1:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    with torch.cuda.device(device) if on_cuda else nullcontext():
        # With its number, for in other threads "cuda" alone is GPU 0.
        place = torch.empty(0, device=device).device
        if count == 1:
            yield Processes(place)
            return
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if on_cuda else "gloo")
        words = distributed.new_group(backend="gloo", timeout=PATIENCE)
        yield Processes(place, rank, count, words)
