"""PSTNN: patches as a tensor of low tubal rank."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._support.errors import InputError
from .detector import Detector, eight_bit_scale
from .low_rank import soft_values
from .patch_image import check_patches
from .patches import patch_grid


@dataclass(frozen=True)
class PSTNN(Detector):
    """Partial sum of the tensor nuclear norm, with a structure-tensor prior.

    Zhang and Peng, Remote Sens. 11(4), 2019, 382. Patches are the slices of a tensor, which ADMM
    splits into a background of low tubal rank and sparse targets; corners are more likely targets
    than edges. Each pixel is the mean of its patches. Levels outside 0 to 255 are first scaled to
    this range by percentiles, since ``mu`` depends on the range.

    Args:
        patch: side of the square patches [px].
        step: distance of neighbouring patches [px].
        weight: L of λ = L / √(max(n1, n2) n3).
        mu: initial penalty; it grows by a factor of 1.05 per step.
        support: stop when the number of non-zero pixels no longer changes, after a handful of
            steps; False runs to ``tolerance``.
        tolerance: stop when |X - B - T| / |X| is below this.
    """

    patch: int = 40
    step: int = 40
    weight: float = 0.6
    mu: float = 2e-3
    support: bool = True
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_patches(self.patch, self.step)
        if not (self.weight > 0 and self.mu > 0):
            raise InputError(f"weight is {self.weight} and mu {self.mu}, expected both above 0")

    def _target_map(self, image: Tensor) -> Tensor:
        image = eight_bit_scale(image)
        grid = patch_grid(tuple(image.shape), self.patch, self.step)
        prior = torch.from_numpy(corner_prior(image.cpu().numpy())).to(image.device)
        data = grid.cut(image).permute(1, 2, 0)
        target = self._solve(data, grid.cut(prior).permute(1, 2, 0))
        return grid.mean(target.permute(2, 0, 1))

    def _solve(self, data: Tensor, prior: Tensor) -> Tensor:
        """The sparse part of a tensor (n1, n2, n3)."""
        norm = float(data.norm())
        sparse = torch.zeros_like(data)
        if norm == 0:
            return sparse
        height, width, count = data.shape
        spare = self.weight / np.sqrt(max(height, width) * count)
        keep = unpunished_rank(data)
        weight, dual, mu = torch.ones_like(data), torch.zeros_like(data), self.mu
        filled = 0
        for _ in range(500):
            low = tensor_soft_values(data - sparse - dual / mu, 1 / mu, keep)
            sparse = (data - low - dual / mu - spare * weight / mu).clamp(min=0)
            weight = keep / ((sparse + 0.01) * (prior + 1e-12))
            residual = low + sparse - data
            dual = dual + mu * residual
            mu = min(1.05 * mu, 1e10)
            before, filled = filled, int(sparse.count_nonzero())
            if float(residual.norm()) < self.tolerance * norm:
                break
            if self.support and filled == before:
                break
        return sparse


def unpunished_rank(data: Tensor) -> int:
    """Singular values of the mode-3 unfolding of at least a tenth of the largest, 1 to n - 1."""
    flat = data.flatten(0, 1)
    values = torch.linalg.eigvalsh(flat.T @ flat).clamp(min=0).sqrt()
    count = int((values >= 0.1 * values[-1]).sum())
    return max(1, min(count, min(data.shape[:2]) - 1))


def tensor_soft_values(data: Tensor, threshold: float, keep: int) -> Tensor:
    """Lower the singular values of every frontal slice in the Fourier domain of the third mode."""
    slices = torch.fft.rfft(data.permute(2, 0, 1), dim=0)
    lowered = soft_values(slices, threshold, keep)
    return torch.fft.irfft(lowered, n=data.shape[2], dim=0).permute(1, 2, 0)


def corner_prior(image: NDArray[Any]) -> NDArray[Any]:
    """Where corners are strong, in [0, 1], from the structure tensor of the smoothed image."""
    border = cv2.BORDER_REPLICATE
    smooth = cv2.GaussianBlur(image, (3, 3), 2, borderType=border)
    dx = cv2.Sobel(smooth, -1, 1, 0, ksize=1, scale=0.5, borderType=border)
    dy = cv2.Sobel(smooth, -1, 0, 1, ksize=1, scale=0.5, borderType=border)
    xx, yy, xy = (
        cv2.GaussianBlur(each, (3, 3), 9, borderType=border) for each in (dx * dx, dy * dy, dx * dy)
    )
    root = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    high, low = (xx + yy + root) / 2, np.maximum((xx + yy - root) / 2, 0)
    prior = high * low / np.maximum(high + low, 1e-12) * high
    span = prior.max() - prior.min()
    return (prior - prior.min()) / span if span > 0 else np.zeros_like(prior)
