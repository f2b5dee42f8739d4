"""Exact order statistics, for mining the hardest pixels."""

import numpy as np
import torch
from torch import Tensor


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The k-th smallest of all values, exactly; NaN sorts last.

    Args:
        values: any shape, at least one element; no gradient flows through.
        k: rank from 0 to ``values.numel() - 1``.

    Returns:
        Scalar tensor on the device of ``values``.

    Raises:
        ValueError: if k is out of range or there are no values.

    Example:
        >>> kth_smallest(torch.tensor([3.0, 1.0, 2.0]), 1)
        tensor(2.)
    """
    flat = values.detach().flatten()
    if flat.numel() == 0:
        raise ValueError("there is no k-th smallest of no values; check for an empty batch")
    if not 0 <= k < flat.numel():
        raise ValueError(f"rank {k} is outside 0 to {flat.numel() - 1}, the ranks of the values")
    if flat.device.type == "cpu" and flat.dtype != torch.bfloat16:  # which numpy does not know
        return torch.tensor(np.partition(flat.numpy(), k)[k])
    return torch.kthvalue(flat, k + 1).values
