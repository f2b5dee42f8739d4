"""From an image to a probability map: gray levels, normalisation, forward pass, sigmoid."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._support.devices import whole_float32
from .._support.errors import InputError
from ..ops.resize import resize_image, resize_map
from .contract import device_of, input_channels, main_logits

GRAY = "expected a gray image (H, W) of uint8, uint16 or float in [0, 1], or several (N, H, W)"

DARK = 0.25
"""Minimum share of white for the maximum of an image of more than 8 bit; below, it is too dark."""


def network_input(gray: Tensor, *, mean: float, std: float, channels: int = 3) -> Tensor:
    """Normalise gray images and repeat them over the input channels.

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
    """Convert gray images to 8 bit, as for the networks.

    Args:
        image: array or tensor (H, W), or (N, H, W): uint8; uint16 with white at 65535; or float
            in [0, 1].

    Returns:
        uint8, the same shape. A warning is issued for a nearly black 16-bit image, and for a tensor
        (3, H, W), which may be a colour image.

    Raises:
        ValueError: for other input, including channels last, (H, W, 1) to (H, W, 4).

    Example:
        >>> gray_levels(np.array([[0.0, 0.5, 1.0]]))
        array([[  0, 128, 255]], dtype=uint8)
        >>> gray_levels("sky.png")
        Traceback (most recent call last):
        festkit._support.errors.InputError: expected a gray image (H, W) of uint8, ..., got str...
    """
    if isinstance(image, Tensor):
        if image.ndim == 3 and len(image) == 3:
            warnings.warn(
                f"a tensor {tuple(image.shape)} is treated as three gray images; for one colour "
                "image pass a channel, image[0]",
                stacklevel=2,
            )
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
    if not isinstance(image, np.ndarray) or isinstance(image, np.ma.MaskedArray):
        raise InputError(f"{GRAY}, got {type(image).__name__}; festkit.read_image reads a file")
    got = f"{GRAY}, got {image.shape} {image.dtype}"
    if image.ndim == 3 and image.shape[2] <= 4:
        raise InputError(f"{got}, channels last; select one channel, such as image[..., 0]")
    if image.ndim not in (2, 3) or not image.size:
        raise InputError(got)
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        _warn_if_dark(int(image.max()), 65535)
        return np.rint(image / np.float32(257)).astype(np.uint8)
    if image.dtype == bool:
        raise InputError(f"{got}, a mask; pass the image")
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"{got}; divide by the white level")
    if np.isnan(image).any():
        raise InputError(
            f"{got} with {int(np.isnan(image).sum())} NaN; replace them, for example with "
            "numpy.nan_to_num"
        )
    if not (image.min() >= 0 and image.max() <= 1):
        raise InputError(
            f"{got} from {image.min():g} to {image.max():g}; divide by the white level"
        )
    _warn_if_dark(float(image.max()), 1)
    return np.rint(255 * image).astype(np.uint8)


def gray_image(image: object) -> NDArray[np.uint8]:
    """Convert one gray image (H, W) to 8 bit.

    Raises:
        ValueError: see :func:`gray_levels`; also for several images.
    """
    gray = gray_levels(image)
    if gray.ndim != 2:
        raise InputError(
            f"expected one gray image (H, W), got {gray.shape}; pass the images one by one"
        )
    return gray


def _warn_if_dark(brightest: float, white: int) -> None:
    if 0 < brightest < DARK * white:
        warnings.warn(
            f"the brightest level of the image is {brightest:g}, but white is {white}, so it is "
            "nearly black. Divide by the white level of the sensor, such as 16383 for 14 bit, and "
            "pass floats in [0, 1]",
            stacklevel=3,
        )


@torch.inference_mode()
@whole_float32()
def probability_map(
    backbone: nn.Module, image: NDArray[Any] | Tensor, size: int, *, mean: float, std: float
) -> NDArray[np.float32]:
    """Probability maps of one network at one input size.

    Args:
        backbone: network (N, C, size, size) -> logits (N, 1, size, size), in eval mode.
        image: gray image (H, W), or several (N, H, W) that go through the network together, see
            :func:`gray_levels`.
        size: side of the square network input [px].
        mean: mean gray value of the training set, in [0, 1].
        std: standard deviation of the training set's gray values, in [0, 1].

    Returns:
        (H, W) or (N, H, W) float32, probability of target in [0, 1], at the size of the image.

    Raises:
        ValueError: if the image is not gray, or the network does not return logits.

    Example:
        >>> network = nn.Conv2d(3, 1, 1).eval()
        >>> probability_map(network, np.zeros((6, 8), np.uint8), 16, mean=0.4, std=0.1).shape
        (6, 8)
    """
    levels = gray_levels(image)
    each = levels.reshape(-1, *levels.shape[-2:])
    pixels = torch.from_numpy(np.stack([resize_image(one, size) for one in each]))
    gray = pixels.to(device_of(backbone))[:, None].float() / 255
    batch = network_input(gray, mean=mean, std=std, channels=input_channels(backbone))
    batch = batch.contiguous(memory_format=torch.channels_last)
    logits = main_logits(backbone, batch)
    prob = logits.float().sigmoid()[:, 0].cpu().numpy()
    return resize_map(prob, (levels.shape[-2], levels.shape[-1])).reshape(levels.shape)
