"""IPI and NIPPS: background patches are alike, targets are few."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .._support.errors import InputError
from .._support.jit import compiled
from .detector import Detector
from .low_rank import singular, soft_values_near
from .patches import patch_grid

FIRST, GROWTH, LARGEST = 1.25, 1.5, 1.25e7
"""The penalty μ at the first step, its factor from step to step, and its limit; the first and last
times the largest singular value of D."""

BLOCK = 2**16
"""Entries of a matrix that are processed together, so that they stay in the cache."""

COMPILED_ON = ("cpu",)
"""Devices on which a step's sums are compiled loops; others use torch."""

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
    used = data.any(0)
    if not used.all():  # black patches stay black, and LAPACK fails on many zero columns
        target, rest = torch.zeros_like(data), data[:, used]
        if rest.numel():
            share = truncation * min(data.shape) / min(rest.shape)
            target[:, used] = sparse_part(
                rest, weight, energy=energy, nonnegative=nonnegative, truncation=share, tol=tol
            )
        return target
    norm = float(data.norm())
    values, vectors = singular(data)
    spectral = float(values[0])
    keep = max(1, int((values >= energy * spectral).sum())) if energy else 0
    most = max(keep, truncation * min(data.shape))
    share = 1 / max(spectral, _largest(data) / weight)
    mu, low, scaled = _first_step(
        data, values, vectors, share=share, weight=weight, keep=keep, tol=tol, most=most
    )
    rank, growth = max(keep, 1), 1.0
    cut = low + scaled
    for _ in range(MOST_STEPS):
        limit = weight / mu
        limits = -math.inf if nonnegative else -limit, limit
        _next_cut((data, scaled, low, cut), growth, limits)
        vectors, rank = soft_values_near(
            cut, 1 / mu, keep, vectors=vectors, rank=rank, most=most, out=low
        )
        if rank > most or _residual(scaled, low, cut) <= tol * norm:
            break
        growth = min(GROWTH, LARGEST / (mu * spectral))
        mu *= growth
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

    outside: dict[int, float] = {}

    def exceeds(shares: Tensor, limit: float) -> bool:
        """Whether an entry of the matrix with these shares is outside ± limit."""
        a, p, q = matrix(shares)
        first = p.shape[1]
        if first not in outside:
            outside[first] = _largest_sum(data, 1, -left[:, :first], q)
        inside = shares[:first].abs() @ (left[:, :first].abs().amax(0) * q.abs().amax(1))
        bound = abs(a) * outside[first] + float(inside)
        return bound > limit and _largest_sum(data, a, p, q) > limit

    mu = FIRST / float(values[0])
    low, dual = torch.zeros_like(values), torch.full_like(values, share)
    while True:
        lifted = 1 + dual / mu
        after = (lifted - 1 / (mu * values)).clamp(min=0)
        after[:keep] = lifted[:keep]
        ends = (values * (1 - after)).norm() <= tol * values.norm() or (after > 0).sum() > most
        if ends or exceeds(lifted - low, weight / mu):
            (a, p, q), (b, r, s) = matrix(low), matrix(dual / mu)
            return mu, torch.addmm(data, p, q, beta=a), torch.addmm(data, r, s, beta=b)
        low, dual, mu = after, mu * (lifted - after), GROWTH * mu


def _largest_sum(data: Tensor, a: float, p: Tensor, q: Tensor) -> float:
    """The largest magnitude of ``a D + P Q``."""
    rows = -(-BLOCK // data.shape[1])
    blocks = zip(data.split(rows), p.split(rows), strict=True)
    return max(_largest(torch.addmm(part, left, q, beta=a)) for part, left in blocks)


def _largest(values: Tensor) -> float:
    """The largest magnitude."""
    low, high = values.aminmax()
    return max(float(high), -float(low))


def _next_cut(matrices: tuple[Tensor, ...], growth: float, limits: tuple[float, float]) -> None:
    """Begin a step: Y/μ and D + Y/μ - T, in place of those of the step before.

    Args:
        matrices: D, Y/μ, B, and D + Y/μ - T.
        growth: factor of μ.
        limits: smallest and largest value of the last less B.
    """
    data, scaled, low, cut = matrices
    if data.device.type in COMPILED_ON:
        numbers = np.array([1 / growth, *limits], cut.numpy().dtype)
        next_cut(data.numpy(), scaled.numpy(), low.numpy(), cut.numpy(), numbers)
    else:
        torch.sub(cut, low, out=scaled).div_(growth)
        torch.add(data, scaled, out=cut).clamp_(low + limits[0], low + limits[1])


def _residual(scaled: Tensor, low: Tensor, cut: Tensor) -> float:
    """Frobenius norm of D - B - T."""
    if cut.device.type in COMPILED_ON:
        return float(residual(scaled.numpy(), low.numpy(), cut.numpy()))
    return float((cut - low).sub_(scaled).norm())


@compiled
def next_cut(data, scaled, low, cut, numbers):  # type: ignore[no-untyped-def]
    """The compiled part of :func:`_next_cut`."""
    share, least, most = numbers
    for i in range(cut.shape[0]):
        for j in range(cut.shape[1]):
            scaled[i, j] = (cut[i, j] - low[i, j]) * share
            value = max(data[i, j] + scaled[i, j], low[i, j] + least)
            cut[i, j] = min(value, low[i, j] + most)


@compiled
def residual(scaled, low, cut):  # type: ignore[no-untyped-def]
    """The compiled part of :func:`_residual`; a sum for every column, which the CPU vectorises."""
    squares = np.zeros(cut.shape[1], cut.dtype)
    for i in range(cut.shape[0]):
        for j in range(cut.shape[1]):
            rest = cut[i, j] - low[i, j] - scaled[i, j]
            squares[j] += rest * rest
    return math.sqrt(squares.sum())


def check_patches(side: int, step: int) -> None:
    """Refuse patches that leave pixels out."""
    if not 1 <= step <= side:
        raise InputError(f"patch is {side} and step {step}, expected 1 <= step <= patch")
