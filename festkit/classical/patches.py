"""Images as overlapping patches, and back."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor


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

    def _places(self) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of each patch."""
        for y, x in product(self.rows, self.columns):
            yield slice(y, y + self.height), slice(x, x + self.width)

    def mean(self, patches: Tensor) -> Tensor:
        """The image (H, W) of patches, by the mean where they overlap."""
        total, count = patches.new_zeros((2, *self._sides()))
        for place, patch in zip(self._places(), patches, strict=True):
            total[place] += patch
            count[place] += 1
        return total / count

    def median(self, patches: Tensor) -> Tensor:
        """The image (H, W) of patches, by the median where they overlap.

        Fast where most values are 0, as in sparse patches: such a pixel is 0 without sorting.
        """
        down, across = _apart(self.rows, self.height), _apart(self.columns, self.width)
        layers = patches.new_full((down, across, *self._sides()), torch.inf)  # no overlap within
        zeros, count = torch.zeros((2, *self._sides()), dtype=torch.int64, device=patches.device)
        for k, (place, patch) in enumerate(zip(self._places(), patches, strict=True)):
            i, j = divmod(k, len(self.columns))
            layers[i % down, j % across][place] = patch
            zeros[place] += patch == 0
            count[place] += 1
        mixed = 2 * zeros <= count
        values, count = layers.flatten(0, 1)[:, mixed].sort(0).values, count[mixed][None]
        low, high = values.gather(0, (count - 1) // 2), values.gather(0, count // 2)
        image = patches.new_zeros(self._sides())
        image[mixed] = ((low + high) / 2)[0]
        return image

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


def _apart(starts: tuple[int, ...], side: int) -> int:
    """The smallest k so that no patch overlaps the k-th after it."""
    gaps = range(1, len(starts))
    return next(
        (k for k in gaps if all(b - a >= side for a, b in zip(starts, starts[k:], strict=False))),
        len(starts),
    )
