"""Probability maps of a network at a scale factor of the image, whatever the size of the frame.

The paper resizes every image to a square. Here the image keeps its proportions: it is enlarged by a
factor, and the network sees it in overlapping tiles of the side that it was trained on. So a target
has the same size for the network in a frame of any size, and the global pooling of a network sees
what it saw in training.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._support.devices import whole_float32
from ..ops.gray import gray_statistics
from ..ops.tiles import map_by_tiles
from .contract import device_of
from .forward import probabilities


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
    mean, std = gray_statistics(gray)

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The maps of some tiles."""
        levels = torch.from_numpy(pixels).to(device_of(backbone))[:, None].float() / 255
        return probabilities(backbone, levels, mean=mean, std=std)[:, 0].cpu().numpy()

    return map_by_tiles(gray, scale, tile, predict)
