"""Counting where a host would have to wait for its device, on tensors of the CPU.

Tensors that are on the host by nature are read through ``.numpy()``, which is not counted: of a
tensor on another device it would fail.
"""

from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class HostWaits(TorchDispatchMode):
    """Counts the operations for which a host would have to wait for its device."""

    ALWAYS = (
        "nonzero",
        "_local_scalar_dense",
        "is_nonzero",
        "equal",
        "masked_select",
        "bincount",
        "repeat_interleave",
        "unique_consecutive",
        "unique_dim",
        "_unique",
        "_unique2",
    )

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        self.seen[name] += name in self.ALWAYS or by_mask
        return func(*args, **(kwargs or {}))


@contextmanager
def counted_waits():
    """A counter of the waits within the block, by what asks for them."""
    waits = HostWaits()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tolist", "cpu"):  # of a tensor on the CPU these reach no dispatcher
            patch.setattr(torch.Tensor, name, _counting(name, waits.seen))
        with waits:
            yield waits.seen


def _counting(name, seen):
    real = getattr(torch.Tensor, name)

    def call(tensor, *given, **named):
        seen[name] += 1
        return real(tensor, *given, **named)

    return call
