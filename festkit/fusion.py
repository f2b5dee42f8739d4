"""Multi-scale fusion (paper section 3.2): one network per input size, their maps averaged.

An image is resized to each network's square input, the networks' probability maps are resized back
to the image and averaged as probabilities. Every resize of the kit is :func:`resize_map`, and every
network output becomes a probability in :func:`probability_map`.
"""

from __future__ import annotations

from collections.abc import Sequence
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._support.errors import InputError, InputTypeError
from ._support.tensors import is_tensor
from .ops.resize import Map, check_map, resize_map

if TYPE_CHECKING:
    from torch import Tensor


def fuse(maps: Sequence[Map], size: int | tuple[int, int]) -> Map:
    """Average several probability maps at one size (paper section 3.2).

    Args:
        maps: one map (..., H_k, W_k) per scale, values in [0, 1].
        size: side of the square result, or (height, width) [px]; usually the size of the image.

    Returns:
        (..., height, width) float32, an array or tensor like the maps.

    Raises:
        ValueError: if ``maps`` is empty, or the leading dimensions of the maps differ.
        TypeError: if the maps are neither all arrays nor all tensors on one device.

    Example:
        >>> fuse([np.zeros((2, 2), np.float32), np.ones((4, 4), np.float32)], 2)
        array([[0.5, 0.5],
               [0.5, 0.5]], dtype=float32)
    """
    if not (isinstance(maps, Sequence | np.ndarray) or is_tensor(maps)) or isinstance(maps, str):
        raise InputTypeError(f"maps is {short(maps)}, expected a list of one map per scale")
    if len(maps) == 0:
        raise InputError("fuse needs at least one probability map, got none")
    for prob in maps:
        check_map("a map", prob)
        if _place(prob) != _place(maps[0]):
            raise InputTypeError(
                f"got maps as {_place(maps[0])} and {_place(prob)}; pass only arrays, or tensors "
                "on one device (torch.from_numpy, .cpu().numpy())"
            )
        if prob.shape[:-2] != maps[0].shape[:-2]:
            raise InputError(
                f"maps of shape {tuple(maps[0].shape)} and {tuple(prob.shape)} cannot be fused; "
                "all but the last two dimensions must be equal"
            )
    total = resize_map(maps[0], size)
    for prob in maps[1:]:
        total = total + resize_map(prob, size)
    return total / len(maps)


def _place(prob: NDArray[Any] | Tensor) -> str:
    return f"a tensor on {prob.device}" if is_tensor(prob) else "an array"
