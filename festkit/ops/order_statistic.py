"""Fast selection of the hardest pixels: the exact k-th smallest loss, and EEDM built on it.

The loss is computed by compiled loops on the CPU, in float32; torch gives the same result on other
devices.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._support.errors import InputError, ProcessError
from .._support.jit import compiled

TIED = 4
"""Steps of a float (5e-7 of a float32) by which losses that count as equal differ at most: torch's
vector and scalar code give softplus of one logit up to two steps apart."""


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The k-th smallest of all values, exactly; NaN sorts last.

    Args:
        values: any shape, at least one element; no gradient flows through.
        k: rank from 0 to ``values.numel() - 1``.

    Returns:
        Scalar tensor on the device of ``values``; the host does not wait for the device.

    Raises:
        ValueError: if k is out of range or there are no values.

    Example:
        >>> kth_smallest(torch.tensor([3.0, 1.0, 2.0]), 1)
        tensor(2.)
    """
    flat = values.detach().flatten()
    if flat.numel() == 0:
        raise InputError("there is no k-th smallest of no values; check for an empty batch")
    if not 0 <= k < flat.numel():
        raise InputError(f"rank {k} is outside 0 to {flat.numel() - 1}, the ranks of the values")
    if flat.device.type != "cpu" or torch.compiler.is_compiling():
        return _largest_of_smallest(flat, k)
    exact = flat if flat.dtype == torch.float64 else flat.float()  # numpy has no bfloat16
    return torch.tensor(np.partition(exact.numpy(), k)[k], dtype=flat.dtype)


def least_kept(value: Tensor) -> Tensor:
    """The least float that counts as equal to one, see :data:`TIED`.

    Example:
        >>> least_kept(torch.tensor(1.0)) < 1
        tensor(True)
    """
    kinds = torch.float32, value.dtype  # half precision has coarser steps than losses differ by
    tolerance = TIED * min(torch.finfo(kind).eps for kind in kinds)
    return torch.minimum(value * (1 - tolerance), value * (1 + tolerance))


def can_fuse(logits: Tensor) -> bool:
    """Whether :func:`fused_eedm` takes these logits: on the CPU, not in torch.compile."""
    return logits.device.type == "cpu" and not torch.compiler.is_compiling()


def fused_eedm(
    logits: Tensor, mask: Tensor, edge: Tensor, *, edge_weight: float, rank: int
) -> Tensor:
    """EEDM loss in few passes, equal to its plain composition to the last bit.

    Every product and sum is rounded as there, and softplus and its derivative are torch's own. Of
    the forward pass only the logits and a byte per pixel are stored. It has no second
    derivative.

    Args:
        logits: (N, 1, H, W) float32 on the CPU.
        mask: (N, 1, H, W) bool.
        edge: (N, 1, H, W) bool, the pixels that weigh ``edge_weight``.
        edge_weight: above 0; all others weigh 1.
        rank: rank of the smallest loss that is kept, in ascending order.

    Returns:
        Scalar tensor, float32.

    Raises:
        ValueError: if there are no pixels.
        RuntimeError: if a backward pass uses ``create_graph=True``.

    Example:
        >>> mask = torch.tensor([[[[False, True]]]])
        >>> fused_eedm(torch.zeros(1, 1, 1, 2), mask, mask, edge_weight=3.0, rank=1)
        tensor(2.0794)
    """
    loss: Tensor = _FusedEEDM.apply(logits, mask, edge, edge_weight, rank)
    return loss


class _FusedEEDM(torch.autograd.Function):
    """Few full-size buffers, for fresh memory costs more than the sums done in it."""

    @staticmethod
    def forward(  # noqa: PLR0917 - apply takes no keywords
        ctx: Any, logits: Tensor, mask: Tensor, edge: Tensor, edge_weight: float, rank: int
    ) -> Tensor:
        weight = np.float32(edge_weight)
        loss = _negate_where(mask, logits)
        torch.ops.aten.softplus.out(loss, 1, 20, out=loss)
        on_edge, level = _flat(edge), torch.empty(loss.shape, dtype=torch.uint8)
        _weigh(_flat(loss), on_edge, weight)
        threshold = least_kept(kth_smallest(loss, rank)).numpy()[()]
        ctx.count = int(_drop_below(_flat(loss), threshold, on_edge, _flat(level)))
        ctx.save_for_backward(logits, mask, level)
        ctx.weight = weight
        return loss.sum() / ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        if torch.is_grad_enabled():  # the result would seem constant, without a word
            raise ProcessError(
                "EEDM on the CPU has no second derivative (create_graph=True was asked for); write "
                "it out as hard_mining(pixel_bce(logits, mask) * weight, keep_ratio)"
            )
        logits, mask, level = ctx.saved_tensors
        slope = torch.empty(logits.shape, dtype=torch.float32)
        _slopes(_flat(level), (grad / ctx.count).numpy()[()], ctx.weight, _flat(slope))
        error = _negate_where(mask, logits)
        torch.ops.aten.softplus_backward.grad_input(slope, error, 1, 20, grad_input=slope)
        return _negate_where(mask, slope, out=error), None, None, None, None


def _negate_where(mask: Tensor, values: Tensor, out: Tensor | None = None) -> Tensor:
    """The values, negated under the mask."""
    out = torch.empty(values.shape, dtype=torch.float32) if out is None else out
    _negate(_flat(mask), _flat(values), _flat(out))
    return out


def _flat(tensor: Tensor) -> Any:
    """One-dimensional array; of the same memory if the tensor is contiguous."""
    return tensor.detach().reshape(-1).numpy()


def _largest_of_smallest(flat: Tensor, k: int) -> Tensor:
    """By top-k, which all of a device works on; torch.kthvalue keeps to one block of threads."""
    return flat.topk(k + 1, largest=False, sorted=False).values.max()


@compiled
def _negate(mask: Any, values: Any, out: Any) -> None:
    """Negate under the mask; 0 stays 0, as the sum of both branches' gradients would be."""
    for i in range(len(values)):
        out[i] = np.float32(0) - values[i] if mask[i] else values[i]


@compiled
def _weigh(loss: Any, edge: Any, weight: Any) -> None:
    """Multiply the losses on edges by their weight."""
    for i in range(len(loss)):
        loss[i] *= weight if edge[i] else np.float32(1)


@compiled
def _drop_below(loss: Any, threshold: Any, edge: Any, level: Any) -> Any:
    """Multiply dropped losses by 0; level is 0 there, 1 where kept, 2 where kept on an edge."""
    count = np.int64(0)
    for i in range(len(loss)):
        kept = np.uint8(loss[i] >= threshold)
        loss[i] *= np.float32(kept)
        level[i] = kept << edge[i]
        count += np.int64(kept)
    return count


@compiled
def _slopes(level: Any, unit: Any, weight: Any, out: Any) -> None:
    """Gradient of the mean for every unweighted loss."""
    dropped, on_edge = unit * np.float32(0), unit * weight
    for i in range(len(level)):
        kept = on_edge if level[i] == 2 else unit
        out[i] = kept if level[i] else dropped
