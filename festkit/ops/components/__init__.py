"""Connected components of a thresholded map: position, area and peak.

A component is a maximal 8-connected set of pixels above a threshold. Components are numbered image
by image, in raster order of their first pixel; all functions that count targets rely on this order.

There are two implementations with identical results: compiled loops for arrays, and tensor
operations that stay on the device of the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..._support.arguments import ArrayValues, as_numbers, check_number
from ..._support.errors import InputError
from ..._support.tensors import is_tensor, torch
from . import compiled

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", "NDArray[Any]", "Tensor")


@dataclass(frozen=True, eq=False, repr=False)
class Components(ArrayValues):
    """K components with P pixels in all, of a map (H, W) or a batch (N, H, W).

    Arrays or tensors, as the map was; integers are int64.

    Attributes:
        image: (K,) index of the image in the batch, 0 for a single map.
        first: (K,) raster index of the first pixel within its image.
        area: (K,) pixels.
        sum_y: (K,) sum of the pixel rows.
        sum_x: (K,) sum of the pixel columns.
        peak: (K,) largest value, float32.
        box: (K, 4) rows and columns [y0, x0, y1, x1), half open.
        pixels: (P,) raster index of every pixel in the whole batch, ascending.
        label: (P,) number of the component each pixel belongs to, 0 to K - 1.
    """

    image: Any
    first: Any
    area: Any
    sum_y: Any
    sum_x: Any
    peak: Any
    box: Any
    pixels: Any
    label: Any

    def __len__(self) -> int:
        return len(self.area)

    def _facts(self) -> dict[str, Any]:
        """Number of components and of their pixels, by name."""
        return {"components": len(self), "pixels": len(self.pixels)}

    @property
    def centroid(self) -> Any:
        """(K, 2) mean row and mean column, float64; float32 on MPS, which has no other."""
        sums = columns(self.sum_y, self.sum_x)
        return (sums.to(exact_type(sums.device)) if is_tensor(sums) else sums) / (
            self.area[:, None]
        )

    @property
    def centroid_pixel(self) -> Any:
        """(K, 2) centroid truncated to a pixel; it may lie outside its component."""
        return columns(self.sum_y // self.area, self.sum_x // self.area)

    def overlaps(self, mask: Any) -> Any:
        """(K,) whether each component shares a pixel with a mask of the batch's shape."""
        hit = mask.reshape(-1)[self.pixels]
        if is_tensor(hit):
            hits = hit.new_zeros(len(self), dtype=torch.int64)
            return hits.index_add_(0, self.label, hit.long()) > 0
        touched = np.zeros(len(self), bool)
        touched[self.label[hit]] = True
        return touched


def exact_type(device: torch.device) -> torch.dtype:
    """The most precise type of floats that a device has.

    Example:
        >>> exact_type(torch.device("cpu")), exact_type(torch.device("mps"))
        (torch.float64, torch.float32)
    """
    return torch.float32 if device.type == "mps" else torch.float64


def columns(*arrays: Array) -> Array:
    """Arrays (K,) side by side, (K, len(arrays)).

    Example:
        >>> columns(np.array([1, 2]), np.array([3, 4]))
        array([[1, 3],
               [2, 4]])
    """
    first = arrays[0]
    return torch.stack(arrays, dim=1) if is_tensor(first) else np.array(arrays).T


def binarize(values: Array, threshold: float) -> Array:
    """The pixels strictly above a threshold, compared as float32; NaN is background.

    Example:
        >>> binarize(np.array([0.1, 0.5, 0.6], np.float32), 0.5)
        array([False, False,  True])
    """
    if is_tensor(values):
        return values.float() > float(np.float32(threshold))
    return np.asarray(values, np.float32) > np.float32(threshold)


def find_components(values: NDArray[Any] | Tensor, threshold: float = 0.5) -> Components:
    """The 8-connected components of ``values > threshold``.

    Args:
        values: (H, W) or (N, H, W), numbers or bool; compared as float32. Images of a batch never
            share a component.
        threshold: strict lower bound.

    Returns:
        Arrays for an array; tensors on the same device for a tensor.

    Raises:
        ValueError: if ``values`` has another number of dimensions.
        TypeError: if ``values`` is a masked array or not numeric, or ``threshold`` is not one
            number.

    Example:
        >>> mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1]], bool)
        >>> find_components(mask).area
        array([2, 1])
    """
    values = as_numbers("values", values)
    check_number("threshold", threshold)
    if values.ndim not in (2, 3):
        raise InputError(
            f"components need a map (H, W) or a batch (N, H, W), got {tuple(values.shape)}"
        )
    batch = values if values.ndim == 3 else values[None]
    if is_tensor(batch):
        from . import tensors  # noqa: PLC0415 - it needs torch

        return Components(*tensors.find(batch.float(), float(np.float32(threshold))))
    if batch.dtype == bool and 0 <= threshold < 1:
        return Components(*compiled.find(compact(batch).view(np.uint8), np.uint8(0)))
    floats = compact(batch.astype(np.float32, copy=False))
    return Components(*compiled.find(floats, np.float32(threshold)))


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """An array in the one layout that is compiled for: C order, aligned, writeable.

    Example:
        >>> compact(np.zeros((2, 3)).T).flags.c_contiguous
        True
    """
    return array if array.flags.carray else np.require(array, requirements=["C", "A", "W"])
