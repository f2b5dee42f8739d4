"""Singular value thresholding through Gram matrices."""

import torch
from torch import Tensor

FEW = 64
"""Up to so many columns, all singular vectors are computed."""


def singular(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values of a matrix (..., m, n), largest first, and its right singular vectors.

    Eigenvectors of the Gram matrix take a fraction of the time of a singular value decomposition.
    """
    gram = matrix.mH @ matrix
    try:
        squares, vectors = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:  # LAPACK in single precision, on some matrices of low rank
        deep = torch.promote_types(gram.dtype, torch.float64)
        squares, vectors = torch.linalg.eigh(gram.to(deep))
    values = squares.flip(-1).clamp(min=0).sqrt()
    return values.to(matrix.real.dtype), vectors.flip(-1).to(matrix.dtype)


def soft_values(
    matrix: Tensor,
    threshold: float,
    keep: int = 0,
    start: Tensor | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor, int]:
    """A matrix with its singular values lowered by a threshold, at least to 0.

    With ``start``, only as many vectors are computed, by a step of subspace iteration; if all of
    their values exceed the threshold, all vectors are.

    Args:
        matrix: (..., m, n), real or complex.
        threshold: what singular values are lowered by.
        keep: how many of the largest stay as they are (partial sum of singular values).
        start: (n, r), near the leading right singular vectors.
        out: memory for the matrix.

    Returns:
        The matrix, the right singular vectors (..., n, r), and how many of them it has.

    Example:
        >>> soft_values(torch.diag(torch.tensor([3.0, 2.0, 0.5])), 1.0)[0].diagonal()
        tensor([2.0000, 1.0000, 0.0000])
    """
    columns = matrix.shape[-1]
    if start is not None and columns > FEW and 3 * start.shape[1] < columns:
        left = torch.linalg.qr(matrix @ start).Q
        part = (left.mH @ matrix).mH  # (n, r)
        values, turns = singular(part)
        if float(values[-1]) <= threshold:
            factor = _factor(values, threshold, keep)
            rank = int((factor > 0).sum())
            turned = turns * factor
            middle = left @ (turns[:, :rank] @ turned[:, :rank].mH)
            lowered = torch.matmul(middle, part.mH, out=out)
            return lowered, part @ turns / values.clamp(min=torch.finfo(values.dtype).tiny), rank
    values, vectors = singular(matrix)
    factor = _factor(values, threshold, keep)
    rank = int((factor > 0).reshape(-1, columns).any(0).sum())
    used = vectors[..., :rank]
    middle = matrix @ (used * factor[..., None, :rank])
    return torch.matmul(middle, used.mH, out=out), vectors, rank


def _factor(values: Tensor, threshold: float, keep: int) -> Tensor:
    """What each singular vector is multiplied by."""
    factor = (1 - threshold / values.clamp(min=torch.finfo(values.dtype).tiny)).clamp(min=0)
    factor[..., :keep] = 1
    return factor
