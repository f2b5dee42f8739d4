"""Multi-scale fusion (paper section 3.2): one network per input size, their maps averaged.

An image is resized to each network's square input, the networks' probability maps are resized back
to the image and averaged as probabilities. Every resize of the kit is :func:`resize_map`, and every
network output becomes a probability in :func:`probability_map`.
"""

import warnings
from collections.abc import Sequence
from numbers import Integral
from operator import index
from reprlib import repr as short
from typing import Any, TypeVar, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._arguments import as_numbers
from ._compiled import HAS_NUMBA, compiled
from ._contract import device_of, input_channels, main_logits
from ._devices import whole_float32
from ._errors import InputError, InputTypeError
from .components import find_components

GRAY = "expected a gray image (H, W) of uint8, uint16 or float in [0, 1], or several (N, H, W)"

DARK = 2**14
"""Where no level of a 16-bit image reaches this, 8 bit keep little of it."""

Map = TypeVar("Map", NDArray[Any], Tensor)


def resize_map(prob: Map, size: int | tuple[int, int]) -> Map:
    """Resize maps by linear interpolation: half-pixel centres, border clamped, no antialiasing.

    The same definition as OpenCV's linear resize and PyTorch's bilinear with
    ``align_corners=False``. Positions are computed in float64 and values in float32, which agrees
    with float64 to 2e-7; the libraries' float32 positions are up to 6e-5 away at odd ratios.
    NaN and infinite values reach the pixels whose interpolation they have a weight in, no others.

    Args:
        prob: (..., H, W) array or tensor.
        size: side of the square result, or (height, width) [px].

    Returns:
        (..., height, width) float32 of the same kind, on the same device.

    Raises:
        ValueError: if the map has fewer than 2 dimensions, or a side of it or of ``size`` is below
            one pixel.
        TypeError: if the map is no array or tensor, or the size no whole numbers.

    Example:
        >>> resize_map(np.array([[0.0, 1.0]], np.float32), (1, 4))
        array([[0.  , 0.25, 0.75, 1.  ]], dtype=float32)
    """
    _check_kind("the map", prob)
    height, width = _sides(size)
    if prob.ndim < 2 or min(height, width, *prob.shape[-2:]) < 1:
        raise InputError(f"cannot resize a map of {tuple(prob.shape)} to {height} x {width} px")
    rows, columns = _taps(prob.shape[-2], height), _taps(prob.shape[-1], width)
    resized: Any
    if isinstance(prob, Tensor) and (prob.device.type != "cpu" or prob.requires_grad):
        resized = _resize_tensor(prob.float(), rows, columns)
    elif isinstance(prob, Tensor):
        resized = torch.from_numpy(_resize_array(prob.float().numpy(), rows, columns))
    else:
        resized = _resize_array(prob.astype(np.float32, copy=False), rows, columns)
    return cast(Map, resized)


def fuse(maps: Sequence[Map], size: int | tuple[int, int]) -> Map:
    """Average several probability maps at one size (paper section 3.2).

    Args:
        maps: one map (..., H_k, W_k) per scale, values in [0, 1].
        size: side of the square result, or (height, width) [px]; usually the image's own size.

    Returns:
        (..., height, width) float32 of the kind of the maps.

    Raises:
        ValueError: if ``maps`` is empty, or not all of its maps are of the same images.
        TypeError: if they are not all arrays, or all tensors on one device.

    Example:
        >>> fuse([np.zeros((2, 2), np.float32), np.ones((4, 4), np.float32)], 2)
        array([[0.5, 0.5],
               [0.5, 0.5]], dtype=float32)
    """
    if not isinstance(maps, Sequence | np.ndarray | Tensor) or isinstance(maps, str):
        raise InputTypeError(f"maps is {short(maps)}, expected a list of one map per scale")
    if len(maps) == 0:
        raise InputError("fuse needs at least one probability map, got none")
    for prob in maps:
        _check_kind("a map", prob)
        if _place(prob) != _place(maps[0]):
            raise InputTypeError(
                f"maps came as {_place(maps[0])} and {_place(prob)}; pass arrays alone, or tensors "
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

    A pixel that is exactly half target is target. A target of which no pixel would be left keeps
    the pixel that it covers most.

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


def network_input(gray: Tensor, *, mean: float, std: float, channels: int = 3) -> Tensor:
    """Normalise gray images and repeat them over the network's input channels.

    Args:
        gray: (N, 1, H, W) float, gray value in [0, 1].
        mean: mean gray value of the training set, in [0, 1].
        std: standard deviation of the training set's gray values, in [0, 1].
        channels: input channels of the network.

    Returns:
        (N, channels, H, W) float.

    Example:
        >>> network_input(torch.full((1, 1, 2, 2), 0.7), mean=0.5, std=0.1).shape
        torch.Size([1, 3, 2, 2])
    """
    return ((gray - mean) / std).expand(-1, channels, -1, -1)


def gray_levels(image: object) -> NDArray[np.uint8]:
    """Gray images as every network sees them, of 8 bit.

    Args:
        image: (H, W), or (N, H, W) of several, array or tensor: uint8; uint16, whose 65535 is
            white; or float in [0, 1], whose 1 is white.

    Returns:
        The same shape, uint8. A warning says so where 16 bit leave all but nothing of an image, and
        where a tensor (3, H, W) may be one colour image.

    Raises:
        ValueError: for anything else, and for channels last: (H, W, 1) to (H, W, 4).

    Example:
        >>> gray_levels(np.array([[0.0, 0.5, 1.0]]))
        array([[  0, 128, 255]], dtype=uint8)
        >>> gray_levels("sky.png")
        Traceback (most recent call last):
        festkit._errors.InputError: expected a gray image (H, W) of uint8, ..., got str...
    """
    if isinstance(image, Tensor):
        if image.ndim == 3 and len(image) == 3:
            warnings.warn(
                f"a tensor {tuple(image.shape)} is taken for three gray images; of one colour "
                "image pass a channel, image[0]",
                stacklevel=2,
            )
        plain = image.detach().cpu()
        image = (plain.float() if plain.is_floating_point() else plain).numpy()
    if not isinstance(image, np.ndarray) or isinstance(image, np.ma.MaskedArray):
        raise InputError(f"{GRAY}, got {type(image).__name__}; festkit.read_image reads a file")
    came = f"{image.shape} {image.dtype}"
    if image.ndim == 3 and image.shape[2] <= 4:
        raise InputError(f"{GRAY}, got {came}, channels last; take one, as by image[..., 0]")
    if image.ndim not in (2, 3) or not image.size:
        raise InputError(f"{GRAY}, got {came}")
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        _warn_of_darkness(int(image.max()))
        return np.rint(image / np.float32(257)).astype(np.uint8)
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"{GRAY}, got {came}; divide by the level that is white")
    if not (image.min() >= 0 and image.max() <= 1):  # NaN is neither
        raise InputError(
            f"{GRAY}, got {came} from {image.min():g} to {image.max():g}; divide by the level that "
            "is white"
        )
    return np.rint(255 * image).astype(np.uint8)


def gray_image(image: object) -> NDArray[np.uint8]:
    """The same of one image (H, W).

    Raises:
        ValueError: as :func:`gray_levels`, and for several images.
    """
    gray = gray_levels(image)
    if gray.ndim != 2:
        raise InputError(f"expected one gray image (H, W), got {gray.shape}; pass one by one")
    return gray


def _warn_of_darkness(brightest: int) -> None:
    if brightest < DARK:
        warnings.warn(
            f"the brightest level of 16-bit images is {brightest} of 65535: all is nearly black. "
            "Divide by the sensor's white, such as 16383 of 14 bit, to pass them as float in "
            "[0, 1]",
            stacklevel=2,
        )


@torch.inference_mode()
@whole_float32()
def probability_map(
    backbone: nn.Module, image: NDArray[Any] | Tensor, size: int, *, mean: float, std: float
) -> NDArray[np.float32]:
    """What one network at one input size sees in an image.

    Args:
        backbone: network (N, C, size, size) -> logits (N, 1, size, size), in eval mode.
        image: (H, W) gray, as :func:`gray_levels` takes it.
        size: side of the square network input [px].
        mean: mean gray value of the training set, in [0, 1].
        std: standard deviation of the training set's gray values, in [0, 1].

    Returns:
        (H, W) float32, probability of target in [0, 1], at the image's own size.

    Raises:
        ValueError: if the image is no gray image, or the network gives no logits.

    Example:
        >>> network = nn.Conv2d(3, 1, 1).eval()
        >>> probability_map(network, np.zeros((6, 8), np.uint8), 16, mean=0.4, std=0.1).shape
        (6, 8)
    """
    levels = gray_image(image)
    pixels = torch.from_numpy(resize_image(levels, size)).to(device_of(backbone))
    gray = pixels[None, None].float() / 255
    batch = network_input(gray, mean=mean, std=std, channels=input_channels(backbone))
    batch = batch.contiguous(memory_format=torch.channels_last)
    logits = main_logits(backbone, batch)
    prob = logits.float().sigmoid()[0, 0].cpu().numpy()
    return resize_map(prob, (levels.shape[0], levels.shape[1]))


def _check_kind(name: str, prob: object) -> None:
    if not isinstance(prob, np.ndarray | Tensor):
        raise InputTypeError(
            f"{name} is {short(prob)}, expected an array or tensor (..., H, W); pass numpy.asarray"
        )
    as_numbers(name, prob)


def _place(prob: NDArray[Any] | Tensor) -> str:
    return f"a tensor on {prob.device}" if isinstance(prob, Tensor) else "an array"


def _sides(size: Any) -> tuple[int, int]:
    """Height and width of a size."""
    sides = (size, size) if isinstance(size, Integral) else size
    try:
        height, width = (index(side) for side in sides)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"size is {short(size)}, expected a whole number of pixels, or (height, width)"
        ) from error
    return height, width


def _taps(source: int, target: int) -> tuple[Any, Any, Any]:
    """For every target pixel the source pixels before and after it, and the weight of the latter.

    A pixel of weight 0 is not looked at: both are then the same.
    """
    position = (np.arange(target) + 0.5) * (source / target) - 0.5
    position = np.clip(position, 0, source - 1)
    before = position.astype(np.int64)
    weight = (position - before).astype(np.float32)
    return before, before + (weight > 0), weight


def _resize_array(maps: NDArray[np.float32], rows: Any, columns: Any) -> NDArray[np.float32]:
    if not HAS_NUMBA:
        return np.asarray(_resize_tensor(torch.from_numpy(maps.copy()), rows, columns))
    shape = *maps.shape[:-2], len(rows[2]), len(columns[2])
    resized = np.empty(shape, np.float32)
    flat = maps.reshape(-1, *maps.shape[-2:])
    _resize(
        np.require(flat, requirements=["C", "A", "W"]),
        rows,
        columns,
        resized.reshape(-1, *shape[-2:]),
    )
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


def _resize_tensor(maps: Tensor, rows: Any, columns: Any) -> Tensor:
    """The same by tensor operations, on the maps' device and differentiable."""
    for axis, taps in ((-2, rows), (-1, columns)):
        before, after, weight = (torch.from_numpy(tap).to(maps.device) for tap in taps)
        a, b = maps.index_select(axis, before), maps.index_select(axis, after)
        weight = weight[:, None] if axis == -2 else weight
        value = a + (b - a) * weight
        infinite = torch.where(a == b, a, a * (1 - weight) + b * weight)
        maps = torch.where(value.isnan(), infinite, value)
    return maps
