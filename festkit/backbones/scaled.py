"""Probability maps of a network at a scale factor of the image, whatever the size of the frame.

The paper resizes every image to a square. Here the image keeps its proportions: it is enlarged by a
factor, and the network sees it in overlapping tiles of the side that it was trained on. So a target
has the same size for the network in a frame of any size, and the global pooling of a network sees
what it saw in training.
"""

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._support.devices import whole_float32
from ..ops.gray import gray_statistics
from ..ops.resize import resize_image, resize_map
from ..ops.tiles import blend_tiles, tile_corners
from .contract import device_of
from .forward import probabilities

BATCH = 16
"""Tiles that go through the network together."""

Corner = tuple[int, int]


def window_side(tile: int, scale: float) -> int:
    """Side of the window of the image that becomes one tile [px].

    Example:
        >>> window_side(128, 1.6)
        80
    """
    return max(round(tile / scale), 1)


def at_least(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image whose sides are at least ``side``, mirrored at the right and the bottom.

    Example:
        >>> at_least(np.array([[1, 2, 3]], np.uint8), 4)[0]
        array([1, 2, 3, 3], dtype=uint8)
    """
    missing = [max(side - length, 0) for length in image.shape]
    if not any(missing):
        return image
    bottom, right = missing
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REFLECT), np.uint8)


@torch.inference_mode()
@whole_float32()
def scaled_map(
    backbone: nn.Module, gray: NDArray[np.uint8], scale: float, tile: int
) -> NDArray[np.float32]:
    """The probability map of one network at one scale factor.

    Every frame is normalised by its own mean and standard deviation.

    Args:
        backbone: network (N, C, tile, tile) -> logits (N, 1, tile, tile), in eval mode.
        gray: one image, (H, W).
        scale: factor by which the image is enlarged, above 0.
        tile: side of the network input [px]; tiles overlap by at least a quarter.

    Returns:
        (H, W) float32, probability of target in [0, 1].

    Raises:
        ValueError: if the network does not return logits.

    Example:
        >>> network = nn.Conv2d(3, 1, 1).eval()
        >>> scaled_map(network, np.zeros((50, 90), np.uint8), 2.0, 64).shape
        (50, 90)
    """
    side = window_side(tile, scale)
    height, width = gray.shape
    padded = at_least(gray, side)
    mean, std = gray_statistics(gray)

    def tiles() -> Iterator[tuple[Corner, NDArray[np.float32]]]:
        corners = iter(tile_corners(padded.shape, side))
        while batch := list(islice(corners, BATCH)):
            windows = [padded[top : top + side, left : left + side] for top, left in batch]
            pixels = torch.from_numpy(np.stack([resize_image(one, tile) for one in windows]))
            levels = pixels.to(device_of(backbone))[:, None].float() / 255
            prob = probabilities(backbone, levels, mean=mean, std=std)[:, 0].cpu().numpy()
            yield from zip(batch, resize_map(prob, side), strict=True)

    return blend_tiles(tiles(), padded.shape)[:height, :width]
