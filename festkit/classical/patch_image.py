"""IPI and NIPPS: background patches are alike, targets are few."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._support.errors import InputError
from .detector import Detector
from .low_rank import singular, soft_values
from .patches import patch_grid

SPARE, MORE = 10, 32
"""Random vectors from which further singular vectors are found: the last rank, at most MORE, and a
few to spare."""

FIRST, GROWTH, LARGEST = 1.25, 1.5, 1.25e7
"""The penalty μ at the first step, its factor from step to step, and its limit; the first and last
times the largest singular value of D."""

BLOCK = 2**16
"""Entries of a matrix that are processed together, so that they stay in the cache."""

MOST_STEPS = 1000
"""Maximum number of solver steps."""

TRUNCATION = 0.3
"""A background of a higher rank, relative to the patch image, has taken up the noise (the rule of
the program that Gao et al. published)."""


@dataclass(frozen=True)
class IPI(Detector):
    """Infrared patch-image model.

    Gao, Meng, Yang, Wang, Zhou and Hauptmann, IEEE TIP 22(12), 2013. The columns of D are the
    image's patches. ``min |B|_* + λ |T|_1, D = B + T`` splits them into a background of low rank
    and sparse targets, here by inexact augmented Lagrange multipliers, which has the same minimiser
    as the published accelerated gradient. Each pixel is the median of its patches in |T|, bright
    ones only. Patches at the border are flush with it, where the published program leaves pixels
    out.

    Args:
        patch: side of the square patches [px].
        step: distance of neighbouring patches [px].
        rule: λ is 1 over the root of the larger side of the "image", or of the larger or smaller
            side of the patch image D ("patch_max", "patch_min").
        tolerance: stop when |D - B - T| / |D| is below this.
    """

    patch: int = 50
    step: int = 10
    rule: Literal["image", "patch_max", "patch_min"] = "patch_min"
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_patches(self.patch, self.step)
        if self.rule not in ("image", "patch_max", "patch_min"):
            raise InputError(f"rule is {self.rule!r}, expected image, patch_max or patch_min")

    def _dtype(self) -> torch.dtype:
        return torch.float32

    def _target_map(self, image: Tensor) -> Tensor:
        grid = patch_grid(tuple(image.shape), self.patch, self.step)
        patches = grid.cut(image).flatten(1).T.contiguous()
        sides = {"image": image.shape, "patch_max": patches.shape, "patch_min": patches.shape}
        longest = min if self.rule == "patch_min" else max
        _, target = robust_pca(
            patches, longest(sides[self.rule]) ** -0.5, truncation=TRUNCATION, tol=self.tolerance
        )
        return grid.median(target.T.clamp(min=0).unflatten(1, (grid.height, grid.width)))


@dataclass(frozen=True)
class NIPPS(Detector):
    """Non-negative patch-image model with the partial sum of singular values.

    Dai, Wu, Song and Guo, Infrared Phys. Technol. 81, 2017. ``min Σ_{i>N} σ_i(B) + λ |T|_1, D = B +
    T, T >= 0`` does not penalise the N singular values of at least 0.005 of the largest. Each pixel
    is the mean of its patches in T.

    Args:
        patch: side of the square patches [px].
        step: distance of neighbouring patches [px].
        weight: L of λ = L / √min(m, n).
        tolerance: stop when |D - B - T| / |D| is below this.
    """

    patch: int = 50
    step: int = 10
    weight: float = 2
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_patches(self.patch, self.step)

    def _dtype(self) -> torch.dtype:
        return torch.float32

    def _target_map(self, image: Tensor) -> Tensor:
        grid = patch_grid(tuple(image.shape), self.patch, self.step)
        patches = grid.cut(image).flatten(1).T.contiguous()
        spare = self.weight * min(patches.shape) ** -0.5
        _, target = robust_pca(
            patches,
            spare,
            energy=0.005,
            nonnegative=True,
            truncation=TRUNCATION,
            tol=self.tolerance,
        )
        return grid.mean(target.T.unflatten(1, (grid.height, grid.width)))


def robust_pca(
    data: Tensor,
    weight: float,
    *,
    energy: float | None = None,
    nonnegative: bool = False,
    truncation: float = 1,
    tol: float = 1e-7,
) -> tuple[Tensor, Tensor]:
    """Split a matrix into low rank and sparse parts by inexact augmented Lagrange multipliers.

    With Y the multipliers, a step is ``T = soft(D + Y/μ - B, λ/μ)``, ``B = SVT(D + Y/μ - T, 1/μ)``,
    ``Y += μ (D - B - T)``. D + Y/μ - T is D + Y/μ cut to B ± λ/μ, and Y/μ becomes this less the new
    B, so neither T nor Y is computed at every step.

    Args:
        data: (m, n) float.
        weight: λ of the sparse part.
        energy: singular values of at least this share of the largest are not lowered.
        nonnegative: whether the sparse part is at least 0.
        truncation: stop when the rank exceeds this share of the smaller side.
        tol: of the residual over the data, in the Frobenius norm.

    Returns:
        The low-rank part and the sparse part, (m, n) each.

    Example:
        >>> spike = torch.zeros(30, 30); spike[3, 4] = 50
        >>> low, sparse = robust_pca(torch.ones(30, 30) + spike, 0.2)
        >>> bool(torch.allclose(sparse, spike, atol=1e-3))
        True
    """
    norm = float(data.norm())
    if norm == 0:
        return data, torch.zeros_like(data)
    values, vectors = singular(data)
    spectral = float(values[0])
    keep = max(1, int((values >= energy * spectral).sum())) if energy else 0
    rank, most_rank = keep, max(keep, truncation * min(data.shape))
    mu, low, scaled = _first_step(
        data,
        values,
        vectors,
        share=1 / max(spectral, float(data.abs().max()) / weight),
        weight=weight,
        keep=keep,
        tol=tol,
        most_rank=most_rank,
    )
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((data.shape[1], MORE + SPARE), generator=generator).to(data)
    target = torch.empty_like(data)
    rows = -(-BLOCK // data.shape[1])
    blocks = list(zip(*(each.split(rows) for each in (data, scaled, low, target)), strict=True))
    for _ in range(MOST_STEPS):
        for data_, scaled_, low_, target_ in blocks:
            torch.minimum(data_ + scaled_, low_ + weight / mu, out=target_)
            if not nonnegative:
                torch.maximum(target_, low_ - weight / mu, out=target_)
        guess = torch.cat([vectors[:, :rank], noise[:, : min(rank, MORE) + SPARE]], dim=1)
        _, vectors, rank = soft_values(target, 1 / mu, keep, guess, out=low)
        residual = torch.stack([(t - b - y).norm() for _, y, b, t in blocks]).norm()
        if float(residual) <= tol * norm or rank > most_rank:
            break
        growth = min(GROWTH, LARGEST / (mu * spectral))
        mu *= growth
        for _, scaled_, low_, target_ in blocks:
            torch.sub(target_, low_, out=scaled_).div_(growth)
    return low, (data + scaled).sub_(target)


def _first_step(
    data: Tensor,
    values: Tensor,
    vectors: Tensor,
    *,
    share: float,
    weight: float,
    keep: int,
    tol: float,
    most_rank: float,
) -> tuple[float, Tensor, Tensor]:
    """μ, B and Y / μ before the first step at which T is not 0 or the steps end.

    Until then B and Y have the singular vectors of D, so a step changes singular values alone. They
    are kept as shares of those of D; ``share`` is that of the first Y.
    """

    def matrix(shares: Tensor) -> Tensor:
        """The matrix whose singular values are these shares; all but the first are equal."""
        rest = float(shares[-1])
        first = int((shares != rest).sum())
        used = vectors[:, :first]
        return torch.addmm(data, data @ (used * (shares[:first] - rest)), used.T, beta=rest)

    mu = FIRST / float(values[0])
    low, dual = torch.zeros_like(values), torch.full_like(values, share)
    while True:
        lifted = 1 + dual / mu
        after = (lifted - 1 / (mu * values)).clamp(min=0)
        after[:keep] = lifted[:keep]
        ends = (values * (1 - after)).norm() <= tol * values.norm() or (after > 0).sum() > most_rank
        if ends or matrix(lifted - low).abs().max() > weight / mu:
            return mu, matrix(low), matrix(dual / mu)
        low, dual, mu = after, mu * (lifted - after), GROWTH * mu


def check_patches(side: int, step: int) -> None:
    """Refuse patches that leave pixels out."""
    if not 1 <= step <= side:
        raise InputError(f"patch is {side} and step {step}, expected 1 <= step <= patch")
