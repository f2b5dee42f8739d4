"""IPI and NIPPS: background patches are alike, targets are few."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._support.errors import InputError
from .detector import Detector
from .low_rank import singular, soft_values_near
from .patches import patch_grid

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

    def _target_map(self, image: Tensor) -> Tensor:
        grid = patch_grid(tuple(image.shape), self.patch, self.step)
        patches = grid.cut(image).flatten(1).T.contiguous()
        sides = {"image": image.shape, "patch_max": patches.shape, "patch_min": patches.shape}
        longest = min if self.rule == "patch_min" else max
        target = sparse_part(
            patches, longest(sides[self.rule]) ** -0.5, truncation=TRUNCATION, tol=self.tolerance
        )
        return grid.median(target.T.clamp(min=0))


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

    def _target_map(self, image: Tensor) -> Tensor:
        grid = patch_grid(tuple(image.shape), self.patch, self.step)
        patches = grid.cut(image).flatten(1).T.contiguous()
        spare = self.weight * min(patches.shape) ** -0.5
        target = sparse_part(
            patches,
            spare,
            energy=0.005,
            nonnegative=True,
            truncation=TRUNCATION,
            tol=self.tolerance,
        )
        return grid.mean(target.T)


def sparse_part(
    data: Tensor,
    weight: float,
    *,
    energy: float | None = None,
    nonnegative: bool = False,
    truncation: float = 1,
    tol: float = 1e-7,
) -> Tensor:
    """The sparse part T of a matrix of low rank and sparse parts, D = B + T (robust PCA).

    By inexact augmented Lagrange multipliers Y. A step is ``T = soft(D + Y/μ - B, λ/μ)``,
    ``B = SVT(D + Y/μ - T, 1/μ)``, ``Y += μ (D - B - T)``. D + Y/μ - T is D + Y/μ cut to B ± λ/μ,
    and Y/μ becomes this less the new B, so neither T nor Y is computed at every step. With more
    than a few columns, singular values near 1/μ are approximate (:func:`soft_values_near`).

    Args:
        data: (m, n) float.
        weight: λ of the sparse part.
        energy: singular values of at least this share of the largest are not lowered.
        nonnegative: whether the sparse part is at least 0.
        truncation: stop when the rank exceeds this share of the smaller side.
        tol: of the residual over the data, in the Frobenius norm.

    Example:
        >>> spike = torch.zeros(30, 30); spike[3, 4] = 50
        >>> bool(torch.allclose(sparse_part(torch.ones(30, 30) + spike, 0.2), spike, atol=1e-3))
        True
    """
    norm = float(data.norm())
    if norm == 0:
        return torch.zeros_like(data)
    values, vectors = singular(data)
    spectral = float(values[0])
    keep = max(1, int((values >= energy * spectral).sum())) if energy else 0
    most = max(keep, truncation * min(data.shape))
    share = 1 / max(spectral, float(data.abs().max()) / weight)
    mu, low, scaled = _first_step(
        data, values, vectors, share=share, weight=weight, keep=keep, tol=tol, most=most
    )
    rank = max(keep, 1)
    cut = torch.empty_like(data)
    rows = -(-BLOCK // data.shape[1])
    blocks = list(zip(*(x.split(rows) for x in (data, scaled, low, cut)), strict=True))
    for _ in range(MOST_STEPS):
        for data_, scaled_, low_, cut_ in blocks:
            torch.minimum(data_ + scaled_, low_ + weight / mu, out=cut_)
            if not nonnegative:
                torch.maximum(cut_, low_ - weight / mu, out=cut_)
        vectors, rank = soft_values_near(
            cut, 1 / mu, keep, vectors=vectors, rank=rank, most=most, out=low
        )
        if rank > most:
            break
        residual = torch.stack([(c - b).sub_(y).norm() for _, y, b, c in blocks]).norm()
        if float(residual) <= tol * norm:
            break
        growth = min(GROWTH, LARGEST / (mu * spectral))
        mu *= growth
        for _, scaled_, low_, cut_ in blocks:
            torch.sub(cut_, low_, out=scaled_).div_(growth)
    return scaled.add_(data).sub_(cut)


def _first_step(
    data: Tensor,
    values: Tensor,
    vectors: Tensor,
    *,
    share: float,
    weight: float,
    keep: int,
    tol: float,
    most: float,
) -> tuple[float, Tensor, Tensor]:
    """μ, B and Y / μ before the first step at which T is not 0 or the steps end.

    Until then B and Y have the singular vectors of D, so a step changes singular values alone. They
    are kept as shares of those of D; ``share`` is that of the first Y.
    """
    left = data[:, :0]

    def matrix(shares: Tensor) -> tuple[float, Tensor, Tensor]:
        """a, P and Q of ``a D + P Q``, with these shares; all but the first of them are equal."""
        nonlocal left
        rest = float(shares[-1])
        first = int((shares != rest).sum())
        if left.shape[1] < first:
            left = data @ vectors[:, : 2 * first]
        return rest, left[:, :first] * (shares[:first] - rest), vectors[:, :first].T

    mu = FIRST / float(values[0])
    low, dual = torch.zeros_like(values), torch.full_like(values, share)
    while True:
        lifted = 1 + dual / mu
        after = (lifted - 1 / (mu * values)).clamp(min=0)
        after[:keep] = lifted[:keep]
        ends = (values * (1 - after)).norm() <= tol * values.norm() or (after > 0).sum() > most
        if ends or _exceeds(data, *matrix(lifted - low), weight / mu):
            (a, p, q), (b, r, s) = matrix(low), matrix(dual / mu)
            return mu, torch.addmm(data, p, q, beta=a), torch.addmm(data, r, s, beta=b)
        low, dual, mu = after, mu * (lifted - after), GROWTH * mu


def _exceeds(data: Tensor, a: float, p: Tensor, q: Tensor, limit: float) -> bool:
    """Whether an entry of ``a D + P Q`` is outside ± limit."""
    rows = -(-BLOCK // data.shape[1])
    for part, left in zip(data.split(rows), p.split(rows), strict=True):
        smallest, largest = torch.addmm(part, left, q, beta=a).aminmax()
        if max(float(largest), -float(smallest)) > limit:
            return True
    return False


def check_patches(side: int, step: int) -> None:
    """Refuse patches that leave pixels out."""
    if not 1 <= step <= side:
        raise InputError(f"patch is {side} and step {step}, expected 1 <= step <= patch")
