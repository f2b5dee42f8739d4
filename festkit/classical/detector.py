"""Interface of training-free detectors: from an image to a target map."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._support.arguments import as_numbers, refuse_channels_last
from .._support.errors import InputError

Image = TypeVar("Image", NDArray[Any], Tensor)
Floats = NDArray[np.float32]

EIGHT_BIT = 255
"""Largest gray level of 8-bit images."""

ROBUST = (0.1, 99.99)
"""Percentiles [%] that become 0 and 255 where a method needs the gray scale of 8 bit."""


@dataclass(frozen=True)
class Detector(ABC):
    """Base of training-free detectors; a subclass is a dataclass of its parameters.

    A target map is not a mask: it is large where a target stands out from its surroundings, and 0
    on a constant image. Borders are replicated.
    """

    def target_map(self, image: Image) -> Image:
        """The target map of an image, or of each image of a batch.

        Args:
            image: (H, W) or (N, H, W) array or tensor of finite gray levels, of any depth.

        Returns:
            float32, at least 0, of the same shape, kind and device. Its unit depends on the
            method; :func:`normalize_map` scales it to [0, 1].

        Raises:
            ValueError: for an invalid shape, or levels that are NaN or infinite.
            TypeError: for non-numeric input.

        Example:
            >>> import numpy as np
            >>> from festkit.classical import create_detector
            >>> image = np.full((32, 32), 100, np.uint8)
            >>> image[15:17, 20:22] = 180
            >>> found = create_detector("Top-Hat").target_map(image)
            >>> np.argwhere(found == found.max()).min(axis=0)
            array([15, 20])
        """
        values = as_numbers("image", image)
        shape = tuple(values.shape)
        refuse_channels_last("image", shape)
        if len(shape) not in (2, 3) or min(shape[-2:]) < 1:
            raise InputError(f"image has shape {shape}, expected (H, W) or (N, H, W)")
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(_native(values))
        if tensor.numel() and not all(map(math.isfinite, map(float, tensor.aminmax()))):
            raise InputError("image contains NaN or infinite levels; replace them first")
        images = tensor.to(self._dtype()).reshape(-1, *shape[-2:])
        maps = [self._target_map(each) for each in images.unbind()] or [images]
        found = torch.stack(maps) if len(maps) > 1 else maps[0]
        found = found.reshape(shape).float()
        return cast(Image, found if isinstance(values, Tensor) else found.numpy())

    def _dtype(self) -> torch.dtype:
        return torch.float32

    @abstractmethod
    def _target_map(self, image: Tensor) -> Tensor:
        """The map of one image (H, W), on its device."""


class ArrayDetector(Detector):
    """Base of detectors that compute on the CPU, with numpy, OpenCV and numba."""

    def _target_map(self, image: Tensor) -> Tensor:
        found = self._array_map(np.ascontiguousarray(image.cpu().numpy()))
        return torch.from_numpy(np.ascontiguousarray(found, np.float32)).to(image.device)

    @abstractmethod
    def _array_map(self, image: NDArray[Any]) -> NDArray[Any]:
        """The map of one image (H, W)."""


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """A copy that torch can take: no unsigned integers of 16 bit or more, no foreign byte order."""
    return values.astype(np.float64 if values.dtype.itemsize > 2 else np.float32)


def normalize_map(target_map: Image) -> Image:
    """Scale each map to [0, 1] by its own smallest and largest value; a flat map becomes 0.

    Args:
        target_map: (H, W) or (N, H, W) array or tensor.

    Returns:
        float32 array or tensor of the same shape, used like probabilities by thresholds, metrics
        and the tuner.

    Example:
        >>> import numpy as np
        >>> normalize_map(np.array([[2.0, 4.0], [3.0, 2.0]]))
        array([[0. , 1. ],
               [0.5, 0. ]], dtype=float32)
    """
    values = as_numbers("target_map", target_map)
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(_native(values))
    low, high = tensor.amin((-2, -1), keepdim=True), tensor.amax((-2, -1), keepdim=True)
    span = torch.where(high > low, high - low, torch.ones_like(high))
    scaled = ((tensor - low) / span).float()
    return cast(Image, scaled if isinstance(values, Tensor) else scaled.numpy())


def eight_bit_scale(image: Tensor) -> Tensor:
    """Scale gray levels to the range of 8 bit, for parameters given in this range.

    Images within 0 to 255 are unchanged. In others, the percentiles ``ROBUST`` become 0 and 255.
    """
    if not image.numel() or (image.min() >= 0 and image.max() <= EIGHT_BIT):
        return image
    share = torch.tensor(ROBUST, dtype=image.dtype, device=image.device) / 100
    flat = image.flatten().sort().values
    low, high = flat[(share * (flat.numel() - 1)).long()]
    return (image - low) * (EIGHT_BIT / (high - low)) if high > low else torch.zeros_like(image)
