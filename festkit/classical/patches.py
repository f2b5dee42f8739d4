"""Images as overlapping patches, and back."""

from functools import lru_cache
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
        y = torch.tensor(self.rows, device=image.device)[:, None]
        x = torch.tensor(self.columns, device=image.device)[:, None]
        y = y + torch.arange(self.height, device=image.device)
        x = x + torch.arange(self.width, device=image.device)
        return image[y[:, None, :, None], x[None, :, None, :]].flatten(0, 1)

    def _layers(self, patches: Tensor, fill: float) -> Tensor:
        """Patches side by side in as few layers as keep them apart, (layers, H, W)."""
        down, across = _apart(self.rows, self.height), _apart(self.columns, self.width)
        sides = self.rows[-1] + self.height, self.columns[-1] + self.width
        layers = patches.new_full((down * across, *sides), fill)
        for k, patch in enumerate(patches):
            i, j = divmod(k, len(self.columns))
            y, x = self.rows[i], self.columns[j]
            layer = layers[i % down * across + j % across]
            layer[y : y + self.height, x : x + self.width] = patch
        return layers

    def mean(self, patches: Tensor) -> Tensor:
        """The image (H, W) of patches, by the mean where they overlap."""
        count = self._layers(torch.ones_like(patches), 0).sum(0)
        return self._layers(patches, 0).sum(0) / count

    def median(self, patches: Tensor) -> Tensor:
        """The image (H, W) of patches, by the median where they overlap."""
        layers = self._layers(patches, torch.inf).sort(0).values
        count = layers.isfinite().sum(0, keepdim=True)
        low, high = layers.gather(0, (count - 1) // 2), layers.gather(0, count // 2)
        return ((low + high) / 2)[0]


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
