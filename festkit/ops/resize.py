"""Resizing of maps, images and masks: linear, half-pixel centres."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from operator import index
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .._support.arguments import as_numbers, refuse_channels_last
from .._support.errors import InputError, InputTypeError
from .._support.jit import compiled
from .._support.tensors import is_tensor, torch
from .components import compact, find_components

if TYPE_CHECKING:
    from torch import Tensor

Map = TypeVar("Map", "NDArray[Any]", "Tensor")


def resize_map(prob: Map, size: int | tuple[int, int]) -> Map:
    """Resize maps by linear interpolation: half-pixel centres, border clamped, no antialiasing.

    The same definition as OpenCV's linear resize and PyTorch's bilinear with
    ``align_corners=False``. Positions are computed in float64 and values in float32, which agrees
    with float64 to 2e-7; the libraries' float32 positions are up to 6e-5 away at odd ratios. NaN
    and infinite values only affect pixels in whose interpolation they have a weight.

    Args:
        prob: (..., H, W) array or tensor.
        size: side of the square result, or (height, width) [px].

    Returns:
        (..., height, width) float32, an array or a tensor on the same device.

    Raises:
        ValueError: if the map has fewer than 2 dimensions, or a side of it or of ``size`` is below
            one pixel.
        TypeError: if the map is not an array or tensor, or the size is not whole numbers.

    Example:
        >>> resize_map(np.array([[0.0, 1.0]], np.float32), (1, 4))
        array([[0.  , 0.25, 0.75, 1.  ]], dtype=float32)
    """
    check_map("the map", prob)
    height, width = _sides(size)
    if prob.ndim < 2 or min(height, width, *prob.shape[-2:]) < 1:
        raise InputError(f"cannot resize a map of {tuple(prob.shape)} to {height} x {width} px")
    resized: Any
    if is_tensor(prob) and (prob.device.type != "cpu" or prob.requires_grad):
        resized = resize_tensor(prob.float(), height, width, _lerp_tensor)
    elif is_tensor(prob):
        resized = torch.from_numpy(_resize_array(prob.float().numpy(), height, width))
    else:
        resized = _resize_array(prob.astype(np.float32, copy=False), height, width)
    return cast(Map, resized)


def resize_image(image: NDArray[np.uint8], size: int | tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an 8-bit gray image (H, W) linearly, rounded back to 8 bit.

    Example:
        >>> resize_image(np.array([[0, 100]], np.uint8), (1, 4))
        array([[  0,  25,  75, 100]], dtype=uint8)
    """
    gray: NDArray[np.float32] = resize_map(image.astype(np.float32), size)
    return np.rint(gray).astype(np.uint8)


MASK_RULE = "8-bit linear, above 127; a target that would vanish keeps its strongest pixel"
"""How training masks are resized, as records say it."""


def resize_mask(mask: NDArray[np.bool_], size: int) -> tuple[NDArray[np.bool_], int]:
    """A training mask at the size of the network input: OpenCV's 8-bit linear resize, above 127.

    A pixel that is exactly half covered is target. A target that would vanish keeps the pixel that
    it covers most.

    Args:
        mask: (H, W) bool.
        size: side of the square result [px].

    Returns:
        The mask (size, size) bool, and the number of targets that would have vanished.

    Example:
        >>> mask = np.zeros((8, 8), bool)
        >>> mask[2:4, 3:5] = mask[0, 0] = True
        >>> small, vanishing = resize_mask(mask, 4)
        >>> int(small.sum()), vanishing
        (3, 1)
    """

    def covered(part: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """How much of each pixel a mask covers, of 255."""
        levels = part.astype(np.uint8) * np.uint8(255)
        return np.asarray(cv2.resize(levels, (size, size)), np.uint8)  # linear

    resized, vanishing = covered(mask) > 127, 0
    found = find_components(mask[None])
    for label in range(len(found.box)):
        target = np.zeros(mask.shape, bool)
        target.flat[found.pixels[found.label == label]] = True
        share = covered(target)
        if not share.any():  # the target lies between the pixels that a linear resize reads
            area = target.astype(np.float32)
            share = np.asarray(cv2.resize(area, (size, size), interpolation=cv2.INTER_AREA))
        if not share.any():  # where a side grows, OpenCV's area is linear, too: take the centre
            centre = (np.argwhere(target).mean(0) + 0.5) * size / mask.shape
            share[tuple(centre.astype(int))] = 1
        if not (resized & (share > 0)).any():
            resized.flat[share.argmax()] = True
            vanishing += 1
    return resized, vanishing


def check_map(name: str, prob: object) -> None:
    """Refuse what is not an array or tensor of numbers."""
    if not (isinstance(prob, np.ndarray) or is_tensor(prob)):
        raise InputTypeError(
            f"{name} is {short(prob)}, expected an array or tensor (..., H, W); pass numpy.asarray"
        )
    as_numbers(name, prob)
    refuse_channels_last(name, prob.shape)


def _sides(size: Any) -> tuple[int, int]:
    """Height and width of a size."""
    sides = (size, size) if isinstance(size, Integral) and not isinstance(size, bool) else size
    try:
        height, width = (index(side) for side in sides)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"size is {short(size)}, expected a whole number of pixels, or (height, width)"
        ) from error
    return height, width


def _taps(source: int, target: int, pixel: Any) -> tuple[Any, Any, Any]:
    """For target pixels 0, 1, ... the source pixels before and after each, and the weight after.

    Exact, in whole numbers of half target pixels. A pixel of weight 0 is not looked at: before and
    after are then the same. Weights are looked up: OpenVINO divides by multiplying with an inverse.

    Args:
        source: pixels of the source.
        target: pixels of the target.
        pixel: 0 to ``target - 1``, an array or tensor of int64.
    """
    position = ((2 * pixel + 1) * source - target).clip(0, 2 * target * (source - 1))
    before = position // (2 * target)
    rest = position - 2 * target * before
    if is_tensor(rest):
        weights: Any = torch.arange(2 * target, device=rest.device) / (2 * target)
    else:
        weights = (np.arange(2 * target) / (2 * target)).astype(np.float32)
    return before, before + (rest > 0), weights[rest]


def _resize_array(maps: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize an array by compiled loops."""
    rows, columns = (
        _taps(source, target, np.arange(target))
        for source, target in zip(maps.shape[-2:], (height, width), strict=True)
    )
    shape = *maps.shape[:-2], height, width
    resized = np.empty(shape, np.float32)
    flat = compact(maps.reshape(-1, *maps.shape[-2:]))
    _resize(flat, rows, columns, resized.reshape(-1, *shape[-2:]))
    return resized


@compiled
def _resize(maps: Any, rows: Any, columns: Any, out: Any) -> None:
    """Resize maps (N, H, W) to ``out`` (N, height, width), row by row."""
    (above, below, down), (left, right, across) = rows, columns
    line = np.empty(maps.shape[2], np.float32)
    for n in range(len(maps)):
        for i in range(len(down)):
            top, bottom = maps[n, above[i]], maps[n, below[i]]
            for x in range(len(line)):
                line[x] = _lerp(top[x], bottom[x], down[i])
            for j in range(len(across)):
                out[n, i, j] = _lerp(line[left[j]], line[right[j]], across[j])


@compiled
def _lerp(a: Any, b: Any, weight: Any) -> Any:
    """Between two values; an infinite one stays infinite."""
    value = a + (b - a) * weight
    if value == value:  # noqa: PLR0124 - not NaN
        return value
    return a if a == b else a * (np.float32(1) - weight) + b * weight


def _lerp_tensor(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """The same of tensors."""
    value = a + (b - a) * weight
    infinite = torch.where(a == b, a, a * (1 - weight) + b * weight)
    return torch.where(value.isnan(), infinite, value)


def lerp_finite(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Between the finite values of two tensors, for exported graphs.

    OpenVINO computes a product and the sum after it with one rounding instead of two, so a gray
    level halfway between two could be rounded the other way. It does so with the factor 1 here,
    which changes nothing.

    Example:
        >>> float(lerp_finite(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.25)))
        0.25
    """
    one = weight * 0 + 1
    return a + (b - a) * weight * one


def resize_tensor(
    maps: Tensor, height: int, width: int, lerp: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """:func:`resize_map` of float32 tensors by operations that can be differentiated and exported.

    Example:
        >>> resize_tensor(torch.tensor([[0.0, 1.0]]), 1, 4, lerp_finite)
        tensor([[0.0000, 0.2500, 0.7500, 1.0000]])
    """
    for axis, target in ((-2, height), (-1, width)):
        pixel = torch.arange(target, device=maps.device)
        before, after, weight = _taps(maps.shape[axis], target, pixel)
        a, b = maps.index_select(axis, before), maps.index_select(axis, after)
        maps = lerp(a, b, weight[:, None] if axis == -2 else weight)
    return maps
