"""A training set on the device, and its batches.

Images are decoded and resized once and stay in memory as 8-bit gray levels. A batch depends only on
seed, epoch and step, so a run can resume at any step.
"""

import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from .._support.devices import send
from .._support.errors import InputError
from .._support.progress import progress
from ..backbones.forward import network_input
from ..data.dataset import Dataset
from ..ops.resize import resize_image, resize_mask
from .augment import PartGenerator, TargetBank, augment, cut_targets
from .config import TrainConfig
from .squares import NativeImages


class Batch(NamedTuple):
    """One training batch, or the part of it that this process computes.

    Attributes:
        image: (N, C, S, S) float, normalised, channels last; S is the crop, where there is one.
        mask: (N, 1, S, S) bool.
        total: images of the whole batch, over all processes.
    """

    image: Tensor
    mask: Tensor
    total: int


@dataclass(frozen=True)
class TrainingImages:
    """A whole training set at one size, see also :class:`NativeImages`.

    Attributes:
        gray: (N, 1, S, S) uint8.
        mask: (N, 1, S, S) bool.
        bank: all targets, for copy-paste, on the training device.
        mean: mean over images of the mean gray value, in [0, 1].
        std: mean over images of the gray values' standard deviation, in [0, 1].
        device: training device.
        vanishing: targets that vanish at this size; each is kept as one pixel.
    """

    gray: Tensor
    mask: Tensor
    bank: TargetBank
    mean: float
    std: float
    device: torch.device
    vanishing: int = 0

    @classmethod
    def read(
        cls,
        dataset: Dataset,
        config: TrainConfig,
        device: torch.device,
        *,
        within: Dataset | None = None,
    ) -> "TrainingImages":
        """Decode and resize every image; warn if there are no targets.

        Args:
            dataset: the images to train on.
            config: configuration; decides size and storage of the images.
            device: training device.
            within: dataset from which mean and std are computed; default: ``dataset`` itself.

        Raises:
            ValueError: if the standard deviation is 0.
        """
        size, listed = config.size, dataset if within is None else within
        shape = (len(dataset), 1, size, size)
        gray, mask, vanishing = np.empty(shape, np.uint8), np.empty(shape, bool), 0
        place = {name: index for index, name in enumerate(dataset.names)}
        levels = []
        for sample in progress(listed, "reading images", unit="image"):
            levels.append((sample.image.mean(), sample.image.std()))
            if (index := place.get(sample.name)) is not None:
                gray[index, 0] = resize_image(sample.image, size)
                mask[index, 0], lost = resize_mask(sample.mask, size)
                vanishing += lost
        mean, std = (float(np.mean(each)) / 255 for each in zip(*levels, strict=True))
        if std == 0:
            raise InputError(
                f"every training image of {dataset.name} is uniform; check the image files"
            )
        if not mask.any():
            warnings.warn(
                f"none of the {len(dataset)} training masks of {dataset.name} has a target at "
                f"{size} px, so the network would learn nothing. Check the masks with check_dataset"
                "",
                stacklevel=3,
            )
        grays, masks = torch.from_numpy(gray), torch.from_numpy(mask)
        bank = cut_targets(grays, masks).to(device)
        if config.cache_on == "device":
            grays, masks = grays.to(device), masks.to(device)
        return cls(grays, masks, bank, mean, std, device, vanishing)

    def __len__(self) -> int:
        return len(self.gray)

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Gray levels (N, 1, S, S) uint8 and masks of images by index, on the training device."""
        index = send(index, self.gray.device)
        return send(self.gray[index], self.device), send(self.mask[index], self.device)

    def batch(
        self, index: Tensor, crop: tuple[int | None, float], channels: int, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Augmented network input and masks of images by index; see :meth:`TrainConfig.crop_at`."""
        side, on_target = crop
        gray, mask = self.at(index)
        gray, mask = augment(gray, mask, self.bank, generator, crop=side, on_target=on_target)
        return self.normalised(gray, channels), mask

    def natural(self, index: Tensor, channels: int, generator: Generator) -> Tensor:
        """Network input of images by index, without augmentation."""
        return self.normalised(self.at(index)[0].float() / 255, channels)

    def normalised(self, gray: Tensor, channels: int) -> Tensor:
        """Normalised network input, channels last, from gray values in [0, 1]."""
        image = network_input(gray, mean=self.mean, std=self.std, channels=channels)
        return image.contiguous(memory_format=torch.channels_last)


def read_images(
    dataset: Dataset, config: TrainConfig, device: torch.device, *, within: Dataset | None = None
) -> TrainingImages | NativeImages:
    """A training set in memory: at one size, or for networks at scale factors.

    Args:
        dataset: the images to train on.
        config: configuration; ``scales`` decides.
        device: training device.
        within: dataset from which mean and std are computed; default: ``dataset`` itself.

    Raises:
        ValueError: see :meth:`TrainingImages.read` and :meth:`NativeImages.read`.
    """
    kind = TrainingImages if config.scales is None else NativeImages
    return kind.read(dataset, config, device, within=within)


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch, for this process.

    Attributes:
        images: the training set.
        config: configuration; decides batch size, seed and workers.
        rank: rank of this process.
        processes: number of processes; each takes its part of every batch.

    Raises:
        ValueError: if a batch has fewer than two images per process.
    """

    images: TrainingImages | NativeImages
    config: TrainConfig
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        held = min(self.config.batch_size, len(self.images))
        if held < self._least:
            raise InputError(
                f"a batch of {held} images is too small for {self.processes} processes, since "
                "batch norm needs two images per process; use a larger batch_size or fewer "
                "processes"
            )

    @property
    def _least(self) -> int:
        """Fewest images of a batch."""
        return 2 * self.processes

    @property
    def starts(self) -> range:
        """First index of each batch; a last batch too small for all processes is dropped."""
        return range(0, len(self.images) - self._least + 1, self.config.batch_size)

    @property
    def images_per_epoch(self) -> int:
        """Number of images in the batches of an epoch."""
        return min(self.starts[-1] + self.config.batch_size, len(self.images))

    def of_epoch(self, epoch: int, channels: int, *, first: int = 0) -> Iterator[Batch]:
        """Batches from step ``first`` on; worker threads prepare some ahead."""
        generator = Generator().manual_seed(seed_of(self.config.seed, epoch))
        order = torch.randperm(len(self.images), generator=generator)
        steps = range(first, len(self.starts))
        if not self.config.workers:
            yield from (self._batch(order, channels, epoch, step) for step in steps)
            return
        with ThreadPoolExecutor(self.config.workers) as pool:
            waiting: deque[Future[tuple[Batch, Any]]] = deque()
            for step in steps:
                waiting.append(pool.submit(self._prepare, order, channels, epoch, step))
                if len(waiting) > 2 * self.config.workers:
                    yield _hand_over(*waiting.popleft().result())
            while waiting:
                yield _hand_over(*waiting.popleft().result())

    def _prepare(self, *of_batch: Any) -> tuple[Batch, Any]:
        """A batch prepared by a worker; on CUDA with its own stream and an event."""
        if self.images.device.type != "cuda":
            return self._batch(*of_batch), None
        with torch.cuda.stream(torch.cuda.Stream(self.images.device)) as stream:
            batch = self._batch(*of_batch)
            return batch, stream.record_event()

    def _batch(self, order: Tensor, channels: int, epoch: int, step: int) -> Batch:
        """One batch, augmented."""
        start = self.starts[step]
        chosen = order[start : start + self.config.batch_size]
        generator = PartGenerator()
        generator.manual_seed(seed_of(self.config.seed, epoch, step))
        generator.total, generator.own = len(chosen), slice(self.rank, None, self.processes)
        index, crop = chosen[generator.own], self.config.crop_at(epoch)
        return Batch(*self.images.batch(index, crop, channels, generator), len(chosen))


def _hand_over(batch: Batch, ready: Any) -> Batch:
    """Make the training stream wait for a batch and keep its memory."""
    if ready is not None:
        stream = torch.cuda.current_stream(batch.mask.device)
        stream.wait_event(ready)
        batch.image.record_stream(stream)
        batch.mask.record_stream(stream)
    return batch


def seed_of(*key: int) -> int:
    """A seed derived from the seed of the run, the epoch and the step.

    Example:
        >>> seed_of(0, 1, 2) == seed_of(0, 1, 2) != seed_of(0, 2, 1)
        True
    """
    words = np.random.SeedSequence([part % 2**32 for part in key]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))
