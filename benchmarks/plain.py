"""The obvious way to train such a network, as a comparison: per sample, per image, in Python.

A DataLoader reads, resizes and augments image by image with numpy and OpenCV; the edge map comes
from distance transforms, the hardest half from sorting all pixel losses. float32, contiguous.
"""

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from festkit.data import dataset as data


class PlainImages(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Image, mask and edge map of one sample at a time, augmented."""

    def __init__(self, samples: data.Dataset, size: int, seed: int = 0) -> None:
        self.samples, self.size, self.rng = samples, size, np.random.default_rng(seed)
        self.mean, self.std = samples.statistics()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        image, mask = self._read(index)
        if self.rng.random() < 0.5:
            image, mask = self._paste(image, mask)
        image, mask = self._turn(image, mask)
        if self.rng.random() < 0.5:
            image, mask = self._warp(image, mask)
        image = self._values(image)
        edge = edge_by_distance(mask)
        channels = np.repeat(((image - self.mean) / self.std)[None], 3, axis=0)
        return tuple(
            torch.from_numpy(np.ascontiguousarray(part, np.float32))
            for part in (channels, mask[None], edge[None])
        )

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        sample, side = self.samples[index], (self.size, self.size)
        mask = cv2.resize(255 * sample.mask.astype(np.uint8), side) > 127
        return cv2.resize(sample.image, side).astype(np.float32) / 255, mask.astype(np.uint8)

    def _paste(self, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        other, targets = self._read(int(self.rng.integers(len(self.samples))))
        count, _, boxes, _ = cv2.connectedComponentsWithStats(targets, connectivity=8)
        if count < 2:
            return image, mask
        left, top, width, height = boxes[int(self.rng.integers(1, count)), :4]
        y = int(self.rng.integers(self.size - height + 1))
        x = int(self.rng.integers(self.size - width + 1))
        image[y : y + height, x : x + width] = other[top : top + height, left : left + width]
        mask[y : y + height, x : x + width] = targets[top : top + height, left : left + width]
        return image, mask

    def _turn(self, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        quarter, flip = int(self.rng.integers(4)), self.rng.random() < 0.5
        image, mask = np.rot90(image, quarter), np.rot90(mask, quarter)
        return (image[:, ::-1], mask[:, ::-1]) if flip else (image, mask)

    def _warp(self, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angle, zoom = self.rng.uniform(-45, 45), self.rng.uniform(0.8, 1.2)
        matrix = cv2.getRotationMatrix2D((self.size / 2, self.size / 2), angle, zoom)
        matrix[:, 2] += self.rng.uniform(-0.1, 0.1, 2) * self.size
        options = {"dsize": (self.size, self.size), "borderMode": cv2.BORDER_REFLECT_101}
        image = cv2.warpAffine(np.ascontiguousarray(image), matrix, **options)
        return image, cv2.warpAffine(np.ascontiguousarray(mask), matrix, **options)

    def _values(self, image: np.ndarray) -> np.ndarray:
        mean = image.mean()
        image = mean + (image - mean) * self.rng.uniform(0.8, 1.2) + self.rng.uniform(-0.2, 0.2)
        if self.rng.random() < 0.5:
            image = image + self.rng.normal(0, 0.01, image.shape)
        return image.clip(0, 1)


def edge_by_distance(mask: np.ndarray) -> np.ndarray:
    """Pixels at most one from the other class, by two distance transforms."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return ((inside + outside) <= 1)[1:-1, 1:-1]


def train_plain(network: nn.Module, images: PlainImages, batch_size: int, steps: int) -> None:
    """Train for so many steps, on the network's device."""
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4)
    network.train()
    done = 0
    while done < steps:
        for batch in DataLoader(images, batch_size, shuffle=True, drop_last=True):
            image, mask, edge = (part.to(device) for part in batch)
            logits = network(image)
            loss = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
            values = (loss * (1 + 3 * edge)).flatten()
            threshold = values.sort().values[len(values) // 2]
            hardest = values[values >= threshold].mean()
            optimizer.zero_grad()
            hardest.backward()
            optimizer.step()
            done += 1
            if done == steps:
                hardest.item()  # waits for the device
                return
