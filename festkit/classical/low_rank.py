"""Singular value thresholding through Gram matrices."""

import torch
from torch import Tensor

FEW = 64
"""Up to so many columns, all singular vectors are computed."""

SPARE, MORE = 10, 32
"""Singular vectors that are computed beyond the last rank: as many as this rank, at most MORE, and
a few random ones to spare."""

TILE = 16
"""Products of matrices are fastest with a multiple of so many columns."""


def singular(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values of a matrix (..., m, n), largest first, and its right singular vectors.

    Eigenvectors of the Gram matrix take a fraction of the time of a singular value decomposition.
    """
    for kind in (matrix.dtype, torch.promote_types(matrix.dtype, torch.float64)):
        try:
            squares, vectors = torch.linalg.eigh(_gram(matrix.to(kind)))
        except torch.linalg.LinAlgError:  # LAPACK fails on some matrices of low rank
            continue
        if vectors.isfinite().all():
            values = squares.flip(-1).clamp(min=0).sqrt()
            return values.to(matrix.real.dtype), vectors.flip(-1).to(matrix.dtype)
    _, values, adjoint = torch.linalg.svd(matrix.to(kind), full_matrices=False)
    return values.to(matrix.real.dtype), adjoint.mH.to(matrix.dtype)


def _gram(matrix: Tensor) -> Tensor:
    """Inner products of the columns; numpy computes only half of a symmetric product."""
    if matrix.device.type == "cpu" and matrix.ndim == 2:
        array = matrix.numpy()
        return torch.from_numpy(array.conj().T @ array)
    return matrix.mH @ matrix


def soft_values(matrix: Tensor, threshold: float, keep: int = 0) -> Tensor:
    """A matrix with its singular values lowered by a threshold, at least to 0.

    Args:
        matrix: (..., m, n), real or complex.
        threshold: what singular values are lowered by.
        keep: how many of the largest stay as they are (partial sum of singular values).

    Example:
        >>> soft_values(torch.diag(torch.tensor([3.0, 2.0, 0.5])), 1.0).diagonal()
        tensor([2.0000, 1.0000, 0.0000])
    """
    values, vectors = singular(matrix)
    factor = _factor(values, threshold, keep)
    rank = int((factor > 0).reshape(-1, values.shape[-1]).any(0).sum())
    used = vectors[..., :rank]
    return matrix @ (used * factor[..., None, :rank]) @ used.mH


def soft_values_near(
    matrix: Tensor,
    threshold: float,
    keep: int,
    *,
    vectors: Tensor,
    rank: int,
    most: float,
    out: Tensor,
) -> tuple[Tensor, int]:
    """:func:`soft_values` of a matrix (m, n) whose leading right singular vectors are nearly known.

    A step of subspace iteration improves them and adds others, until the smallest value is below
    the threshold. Values near the threshold are approximate, slightly too small.

    Args:
        matrix: (m, n), real.
        threshold: what singular values are lowered by.
        keep: how many of the largest stay as they are.
        vectors: (n, r) orthonormal, near the leading right singular vectors.
        rank: about how many values exceed the threshold, at most r.
        most: largest rank of use.
        out: (m, n), filled with the result, unless its rank is larger than ``most``.

    Returns:
        The vectors (n, r) to begin with the next time, and the rank of the result, or a number
        above ``most``.
    """
    columns = matrix.shape[1]
    while True:
        size = rank + SPARE + min(rank, MORE)
        if 5 * size > 4 * most:  # so many values tell whether the rank is larger
            size = max(size, int(most) + 1)
        size = -(-size // TILE) * TILE
        found = None
        if columns > FEW and 3 * size <= columns:
            found = _leading(matrix, _extended(vectors[:, : size - SPARE], size))
        if found is None:
            values, vectors = singular(matrix)
            image, left, right = matrix, vectors, vectors
            break
        image, left, values, right = found
        if size > most and float(values[int(most)]) > threshold:
            return vectors, int(most) + 1
        vectors = torch.linalg.qr(right).Q
        if float(values[-1]) <= threshold or size > most:
            break
        rank = size
    factor = _factor(values, threshold, keep)
    rank = int((factor > 0).sum())
    if rank <= most:
        lowered = image @ (left[:, :rank] * factor[:rank])
        torch.matmul(lowered, right[:, :rank].mH, out=out)
    return vectors, rank


def _extended(vectors: Tensor, size: int) -> Tensor:
    """Orthonormal vectors and random ones, orthogonal to them and nearly so to each other."""
    generator = torch.Generator().manual_seed(0)
    shape = len(vectors), size - vectors.shape[1]
    noise = torch.randn(shape, generator=generator).to(vectors) / len(vectors) ** 0.5
    return torch.cat([vectors, noise - vectors @ (vectors.mH @ noise)], dim=1)


def _leading(matrix: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """Singular values and vectors of a matrix M within the image of a nearly orthonormal start.

    The image Y is made orthonormal by the Cholesky factor of its Gram matrix.

    Returns:
        Y, a matrix whose product with Y has the columns u, the values σ, and the columns σ v (no
        division by σ, which may be 0); None if Y does not have full rank.
    """
    image = matrix @ start
    back = matrix.mH @ image
    gram = start.mH @ back
    tiny = torch.finfo(gram.dtype).tiny
    scale = gram.diagonal().clamp(min=tiny).rsqrt()
    root, failed = torch.linalg.cholesky_ex(scale[:, None] * gram * scale, upper=True)
    if failed:
        return None
    basis = torch.linalg.solve_triangular(root, scale.diag(), upper=True, left=False)
    part = back @ basis
    values, turns = singular(part)
    return image, basis @ turns, values, part @ turns


def _factor(values: Tensor, threshold: float, keep: int) -> Tensor:
    """What each singular vector is multiplied by."""
    factor = (1 - threshold / values.clamp(min=torch.finfo(values.dtype).tiny)).clamp(min=0)
    factor[..., :keep] = 1
    return factor
