"""A training set for networks at scale factors: squares of the native images, enlarged.

No image is squeezed. A square shows a window of an image at a factor drawn around the factors of
the configuration; its gray levels are normalised by mean and deviation of the whole image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from .._support.devices import send
from .._support.errors import InputError
from .._support.progress import progress
from ..data.dataset import Dataset
from ..ops.gray import gray_statistics
from ..ops.resize import resize_image, resize_mask
from ..ops.tiles import at_least, window_side
from .augment import (
    TargetBank,
    change_sensor,
    cut_targets,
    flip_and_turn,
    part_of_batch,
    paste_targets,
    warp,
)
from .config import TrainConfig

JITTER = 1.2
"""Factors are drawn from the smallest divided by this to the largest times this."""


@dataclass(frozen=True)
class NativeImages:
    """A whole training set at its own sizes, in memory.

    Attributes:
        gray: images (H, W) uint8.
        mask: masks (H, W) bool.
        config: configuration; decides side and factors of the squares.
        mean: mean over images of the mean gray value, in [0, 1].
        std: mean over images of the gray values' standard deviation, in [0, 1].
        device: training device.
        bank: targets for copy-paste, cut from squares.
        vanishing: targets that vanish; none does, for squares are enlarged at will.
    """

    gray: list[NDArray[np.uint8]]
    mask: list[NDArray[np.bool_]]
    config: TrainConfig
    mean: float
    std: float
    device: torch.device
    bank: TargetBank
    vanishing: int = 0

    @classmethod
    def read(
        cls,
        dataset: Dataset,
        config: TrainConfig,
        device: torch.device,
        *,
        within: Dataset | None = None,
    ) -> "NativeImages":
        """Decode every image; see :meth:`TrainingImages.read`.

        Raises:
            ValueError: if no mask has a target.
        """
        scales = config.scales or ()
        wanted, widest = set(dataset.names), window_side(config.size, min(scales) / JITTER)
        grays, masks, levels = [], [], []
        for sample in progress(within or dataset, "reading images", unit="image"):
            levels.append(gray_statistics(sample.image))
            if sample.name in wanted:
                grays.append(at_least(sample.image, widest))
                masks.append(at_least(sample.mask.astype(np.uint8), widest) > 0)
        if not any(mask.any() for mask in masks):
            raise InputError(f"none of the {len(masks)} training masks has a target")
        mean, std = (float(np.mean(each)) for each in zip(*levels, strict=True))
        nothing = torch.zeros(0, 1, config.size, config.size, dtype=torch.uint8, device=device)
        images = cls(grays, masks, config, mean, std, device, cut_targets(nothing, nothing > 0))
        every, generator = torch.arange(len(grays)), Generator().manual_seed(config.seed)
        bank = cut_targets(*images._squares(every, generator, on_target=1.0))
        return replace(images, bank=bank)

    def __len__(self) -> int:
        return len(self.gray)

    def batch(
        self, index: Tensor, crop: tuple[int | None, float], channels: int, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Augmented network input and masks of images by index; see :meth:`TrainConfig.crop_at`."""
        gray, mask = self._squares(index, generator, on_target=crop[1])
        gray, mask = flip_and_turn(gray, mask, generator)
        gray = gray.float() / 255
        if crop[1]:  # else the share of target pixels stays natural
            gray, mask = paste_targets(gray, mask, self.bank, generator)
        gray, mask = warp(gray, mask, generator)
        return self._input(change_sensor(self._normalised(gray, index), generator), channels), mask

    def natural(self, index: Tensor, channels: int, generator: Generator) -> Tensor:
        """Network input of images by index at random places, without augmentation."""
        gray, _ = self._squares(index, generator, on_target=0.0)
        return self._input(self._normalised(gray.float() / 255, index), channels)

    def _squares(
        self, index: Tensor, generator: Generator, *, on_target: float
    ) -> tuple[Tensor, Tensor]:
        """One square of each image: gray levels uint8 and masks, (N, 1, size, size)."""
        total, own = part_of_batch(generator, index)
        draws = torch.rand(total, 5, generator=generator)[own].numpy()
        scales, size = self.config.scales or (), self.config.size
        low, high = min(scales) / JITTER, max(scales) * JITTER
        shape = (len(index), 1, size, size)
        gray, mask = np.empty(shape, np.uint8), np.empty(shape, bool)
        for place, (image, (at, *draw)) in enumerate(zip(index.tolist(), draws, strict=True)):
            side = window_side(size, low * (high / low) ** float(at))
            window = self._window(image, side, draw, on_target)
            gray[place, 0] = resize_image(self.gray[image][window], size)
            mask[place, 0], _ = resize_mask(self.mask[image][window], size)
        return send(torch.from_numpy(gray), self.device), send(torch.from_numpy(mask), self.device)

    def _window(
        self, image: int, side: int, draw: Sequence[float], on_target: float
    ) -> tuple[slice, slice]:
        """A window of an image, on a random target pixel with this probability."""
        wanted, chosen, *places = draw
        shape, pixels = self.mask[image].shape, np.flatnonzero(self.mask[image])
        held = wanted < on_target and len(pixels) > 0
        target = divmod(int(pixels[int(chosen * len(pixels))]), shape[1]) if held else (0, 0)
        starts = []
        for at, length, place in zip(target, shape, places, strict=True):
            first = max(at - side + 1, 0) if held else 0
            last = min(at, length - side) if held else length - side
            starts.append(first + int(place * (last - first + 1)))
        top, left = starts
        return slice(top, top + side), slice(left, left + side)

    def _normalised(self, gray: Tensor, index: Tensor) -> Tensor:
        """Gray values in [0, 1], normalised by mean and deviation of their whole image."""
        levels = [gray_statistics(self.gray[image]) for image in index.tolist()]
        mean, std = send(torch.tensor(levels), gray.device).T[:, :, None, None, None]
        return (gray - mean) / std

    def _input(self, gray: Tensor, channels: int) -> Tensor:
        """Normalised values as network input, channels last."""
        image = gray.expand(-1, channels, -1, -1)
        return image.contiguous(memory_format=torch.channels_last)
