"""Singular value thresholding through Gram matrices."""

import torch
from torch import Tensor

FEW = 64
"""Up to so many columns, all singular vectors are computed."""


def right_vectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values of a matrix (..., m, n), largest first, and its right singular vectors."""
    squares, vectors = torch.linalg.eigh(matrix.mH @ matrix)
    return squares.flip(-1).clamp(min=0).sqrt(), vectors.flip(-1)


def soft_values(
    matrix: Tensor, threshold: float, keep: int = 0, start: Tensor | None = None
) -> tuple[Tensor, Tensor, int]:
    """A matrix with its singular values lowered by a threshold, at least to 0.

    Eigenvectors of the Gram matrix take a fraction of the time of a singular value decomposition.
    With ``start``, only as many vectors are computed, by two steps of subspace iteration; if all of
    their values exceed the threshold, all vectors are.

    Args:
        matrix: (..., m, n), real or complex.
        threshold: what singular values are lowered by.
        keep: how many of the largest stay as they are (partial sum of singular values).
        start: (n, r), near the leading right singular vectors.

    Returns:
        The matrix, the right singular vectors (..., n, r), and how many of them it has.

    Example:
        >>> soft_values(torch.diag(torch.tensor([3.0, 2.0, 0.5])), 1.0)[0].diagonal()
        tensor([2., 1., 0.])
    """
    found = None
    if start is not None and FEW < matrix.shape[-1] and start.shape[1] < matrix.shape[-1] // 3:
        found = _leading(matrix, start)
    if found is None or float(found[0][-1]) > threshold:
        found = right_vectors(matrix)
    values, vectors = found
    factor = (1 - threshold / values.clamp(min=torch.finfo(values.dtype).tiny)).clamp(min=0)
    factor[..., :keep] = 1
    rank = int((factor > 0).reshape(-1, factor.shape[-1]).any(0).sum())
    used = vectors[..., :rank]
    lowered = (matrix @ (used * factor[..., None, :rank])) @ used.mH
    return lowered, vectors, rank


def _leading(matrix: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The leading singular values and right vectors near a subspace."""
    left = torch.linalg.qr(matrix @ start).Q
    left = torch.linalg.qr(matrix @ (matrix.mH @ left)).Q
    part = matrix.mH @ left
    squares, turns = torch.linalg.eigh(part.mH @ part)
    values = squares.flip(-1).clamp(min=0).sqrt()
    vectors = (part @ turns.flip(-1)) / values.clamp(min=torch.finfo(values.dtype).tiny)
    return values, vectors
