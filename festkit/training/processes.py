"""The processes that share a training: a single one, or those of a launcher (DDP)."""

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
"""Time-out of processes that wait while one validates or writes; NCCL's default is 10 minutes."""


@dataclass(frozen=True)
class Processes:
    """Device and rank of this process, and its communication with the others.

    Control messages go over Gloo, on the host, so that no process waits for its device.

    Attributes:
        device: device of this process.
        rank: rank of this process; rank 0 validates and writes.
        count: number of processes.
        group: Gloo group of all processes; None for a single one.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    group: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes, on the host."""
        summed = values.detach().to("cpu", copy=True)
        if self.count > 1:
            distributed.all_reduce(summed, group=self.group)
        return summed

    def from_main(self, item: Any) -> Any:
        """Broadcast an object of the main process to all."""
        items = [item]
        if self.count > 1:
            distributed.broadcast_object_list(items, src=0, group=self.group)
        return items[0]

    def wait(self) -> None:
        """Wait until all processes reach this point."""
        if self.count > 1:
            distributed.barrier(group=self.group)

    def shared(self, model: nn.Module) -> nn.Module:
        """The network in DDP, which averages gradients over all processes.

        On CUDA, batch norms are converted in place to synchronised ones (SyncBatchNorm).
        """
        if self.count == 1:
            return model
        if self.device.type != "cuda":
            return DistributedDataParallel(model)
        whole = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return DistributedDataParallel(whole, device_ids=[self.device])


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes of a launcher; within the block the CUDA device is this process's own.

    ``torchrun``, ``accelerate launch`` and ``notebook_launcher`` set WORLD_SIZE, RANK and
    LOCAL_RANK.

    Example:
        >>> with join_processes(torch.device("cpu")) as processes:
        ...     processes.count, processes.total(torch.ones(2)).tolist()
        (1, [1.0, 1.0])
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    on_cuda = device.type == "cuda"
    if on_cuda and count > 1:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    with torch.cuda.device(device) if on_cuda else nullcontext():
        # With its index, because "cuda" means GPU 0 in other threads.
        place = torch.empty(0, device=device).device
        if count == 1:
            yield Processes(place)
            return
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if on_cuda else "gloo")
        group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        yield Processes(place, rank, count, group)
