"""From an image to a probability map: normalisation, forward pass, sigmoid."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._support.devices import whole_float32
from ..ops.gray import gray_levels
from ..ops.resize import resize_image, resize_map
from .contract import device_of, input_channels, main_logits


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


def probabilities(backbone: nn.Module, gray: Tensor, *, mean: float, std: float) -> Tensor:
    """Probability maps of images that have the size of the network input.

    Args:
        backbone: network (N, C, size, size) -> logits (N, 1, size, size), in eval mode.
        gray: (N, 1, size, size) float, gray value in [0, 1].
        mean: mean gray value of the training set, in [0, 1].
        std: standard deviation of the training set's gray values, in [0, 1].

    Returns:
        (N, 1, size, size) float32 in [0, 1].

    Raises:
        ValueError: if the network does not return logits.

    Example:
        >>> probabilities(nn.Conv2d(3, 1, 1), torch.zeros(2, 1, 8, 8), mean=0.4, std=0.1).shape
        torch.Size([2, 1, 8, 8])
    """
    batch = network_input(gray, mean=mean, std=std, channels=input_channels(backbone))
    batch = batch.contiguous(memory_format=torch.channels_last)
    return main_logits(backbone, batch).float().sigmoid()


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
    prob = probabilities(backbone, gray, mean=mean, std=std)[:, 0].cpu().numpy()
    return resize_map(prob, (levels.shape[-2], levels.shape[-1])).reshape(levels.shape)
