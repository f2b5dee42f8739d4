"""Images as overlapping patches, and back."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._support.jit import compiled
from .max_median import insert_sorted


class Grid(NamedTuple):
    """Where patches begin; the last ones are flush with the border."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    height: int
    width: int

    def cut(self, image: Tensor) -> Tensor:
        """All patches, (n, height, width), row by row."""
        y = torch.tensor(self.rows, device=image.device)
        x = torch.tensor(self.columns, device=image.device)
        windows = image.unfold(0, self.height, 1).unfold(1, self.width, 1)
        return windows[y[:, None], x].flatten(0, 1)

    def mean(self, patches: Tensor) -> Tensor:
        """The image (H, W) of patches, by the mean where they overlap."""
        return self._joined(joined_by_mean, patches)

    def median(self, patches: Tensor) -> Tensor:
        """The image (H, W) of patches, by the median where they overlap."""
        return self._joined(joined_by_median, patches)

    def _joined(self, join: Callable[..., NDArray[Any]], patches: Tensor) -> Tensor:
        table = patches.reshape(len(self.rows), len(self.columns), self.height, self.width)
        values = table.cpu().contiguous().numpy()
        image = join(values, np.array(self.rows), np.array(self.columns), self._sides())
        return torch.from_numpy(image).to(patches.device)

    def _sides(self) -> tuple[int, int]:
        return self.rows[-1] + self.height, self.columns[-1] + self.width


@lru_cache(maxsize=32)
def patch_grid(shape: tuple[int, int], side: int, step: int) -> Grid:
    """The patches of an image (H, W): squares, cut down to the image where it is smaller.

    Example:
        >>> patch_grid((50, 95), 40, 40)
        Grid(rows=(0, 10), columns=(0, 40, 55), height=40, width=40)
    """
    height, width = min(side, shape[0]), min(side, shape[1])
    return Grid(_starts(shape[0], height, step), _starts(shape[1], width, step), height, width)


def _starts(length: int, side: int, step: int) -> tuple[int, ...]:
    """Every ``step``, and the last flush with the end."""
    return tuple(sorted({*range(0, length - side + 1, step), length - side}))


@compiled
def joined_by_mean(patches, rows, columns, shape):  # type: ignore[no-untyped-def]
    """The image of patches (rows, columns, height, width), by the mean where they overlap."""
    height, width = patches.shape[2:]
    total, count = np.zeros(shape, patches.dtype), np.zeros(shape, patches.dtype)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            total[y : y + height, x : x + width] += patches[i, j]
            count[y : y + height, x : x + width] += 1
    return total / count


@compiled
def joined_by_median(patches, rows, columns, shape):  # type: ignore[no-untyped-def]
    """The image of patches (rows, columns, height, width), by the median where they overlap."""
    height, width = patches.shape[2:]
    image = np.empty(shape, patches.dtype)
    values = np.empty(len(rows) * len(columns), patches.dtype)
    top = 0
    for y in range(shape[0]):
        top += rows[top] + height <= y
        left = 0
        for x in range(shape[1]):
            left += columns[left] + width <= x
            count, i = 0, top
            while i < len(rows) and rows[i] <= y:
                j = left
                while j < len(columns) and columns[j] <= x:
                    insert_sorted(values, count, patches[i, j, y - rows[i], x - columns[j]])
                    count += 1
                    j += 1
                i += 1
            image[y, x] = (values[(count - 1) // 2] + values[count // 2]) / 2
    return image
