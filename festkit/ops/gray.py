"""Gray images as arrays or tensors, of 8 bit, 16 bit or floats, as the 8 bit of the networks."""

import warnings

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.tensors import is_tensor

GRAY = "expected a gray image (H, W) of uint8, uint16 or float in [0, 1], or several (N, H, W)"

FLAT = 8.0
"""Least standard deviation by which a frame is normalised [gray levels]."""

DARK = 0.25
"""Minimum share of white for the maximum of an image of more than 8 bit; below, it is too dark."""


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
    if is_tensor(image):
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


def gray_statistics(gray: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of an image (H, W), in [0, 1]; the latter at least 8 levels.

    In flatter frames, such as those of a clear sky, noise and the steps of the gray levels would
    look like targets.

    Example:
        >>> gray_statistics(np.full((4, 6), 51, np.uint8))
        (0.2, 0.03137254901960784)
    """
    return float(gray.mean()) / 255, max(float(gray.std()), FLAT) / 255
