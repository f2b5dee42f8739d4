"""Losses for small targets: EEDM (paper section 3.3) and its baselines.

Every loss takes logits and a bool mask, both (N, 1, H, W), and is computed in float32.

EEDM weights the pixels along target contours, then averages only the hardest share of all pixels.
Its two parts alone are EE (edge enhancement) and DM (difficulty mining). In the published code
every pixel gets the edge weight, so the edge map has no effect; here it acts as the paper
describes.
"""

import inspect
import math
from reprlib import repr as short

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._support.arguments import check_range
from ._support.errors import InputError, InputTypeError
from ._support.names import LOSS_NAMES, find_name
from .ops.order_statistic import can_fuse, fused_eedm, kth_smallest, least_kept


def edge_map(mask: Tensor) -> Tensor:
    """Target contours: pixels with one of their 4 neighbours in the other class (section 3.3).

    The contour is two pixels wide, one inside and one outside the target. Border pixels are
    replicated beyond the frame, so the frame itself is not an edge; the published code marks parts
    of it.

    Args:
        mask: (..., H, W) bool.

    Returns:
        (..., H, W) bool.

    Raises:
        ValueError: if the mask is not bool.

    Example:
        >>> mask = torch.zeros(3, 4, dtype=torch.bool); mask[1, 1] = True
        >>> edge_map(mask).int()
        tensor([[0, 1, 0, 0],
                [1, 1, 1, 0],
                [0, 1, 0, 0]], dtype=torch.int32)
    """
    _check_mask(mask)
    edge = torch.zeros_like(mask)
    rows = mask[..., 1:, :] ^ mask[..., :-1, :]
    columns = mask[..., :, 1:] ^ mask[..., :, :-1]
    edge[..., 1:, :] |= rows
    edge[..., :-1, :] |= rows
    edge[..., :, 1:] |= columns
    edge[..., :, :-1] |= columns
    return edge


def hard_mining(loss: Tensor, keep_ratio: float) -> Tensor:
    """Mean of the hardest share of all values (paper equations 6 to 8).

    The share is taken over the whole batch. Values equal to the smallest kept one are kept too;
    float32 values within a relative 5e-7 count as equal. The selection has no gradient.

    Args:
        loss: any shape, one loss per pixel.
        keep_ratio: share to keep, in (0, 1]; 1 gives the mean.

    Returns:
        Scalar tensor; NaN if any value is NaN.

    Raises:
        ValueError: if keep_ratio is outside (0, 1] or there are no values.

    Example:
        >>> hard_mining(torch.tensor([1.0, 2.0, 3.0, 4.0]), keep_ratio=0.5)
        tensor(3.5000)
    """
    _check_options(1.0, keep_ratio)
    kept = loss.detach() >= least_kept(kth_smallest(loss, _rank(loss, keep_ratio)))
    return (loss * kept).sum() / kept.sum()


def eedm_loss(
    logits: Tensor, mask: Tensor, *, edge_weight: float = 4.0, keep_ratio: float = 0.5
) -> Tensor:
    """Edge enhancement difficulty mining loss (paper section 3.3, equations 1 to 8).

    The binary cross-entropy of every pixel is multiplied by ``edge_weight`` on contours
    (:func:`edge_map`). The loss is the mean over the hardest ``keep_ratio`` of all pixels of the
    batch (:func:`hard_mining`). With several processes, each selects pixels in its part of the
    batch.

    On the CPU a fused form gives the same value and gradient to the last bit; it has no second
    derivative.

    Args:
        logits: (N, 1, H, W).
        mask: (N, 1, H, W) bool.
        edge_weight: weight of contour pixels, above 0; other pixels have weight 1.
        keep_ratio: share of pixels to keep, in (0, 1].

    Returns:
        Scalar tensor, float32.

    Raises:
        ValueError: for an invalid shape or mask type, or an option out of range.

    Example:
        >>> mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool); mask[0, 0, 1, 1] = True
        >>> loss = eedm_loss(torch.zeros(1, 1, 4, 4), mask)
        >>> bool(loss > eedm_loss(torch.zeros(1, 1, 4, 4), mask, edge_weight=1))
        True
    """
    _check_options(edge_weight, keep_ratio)
    _check_pair(logits, mask)
    edge = edge_map(mask)
    if can_fuse(logits):
        rank = _rank(logits, keep_ratio)
        return fused_eedm(logits.float(), mask, edge, edge_weight=edge_weight, rank=rank)
    weight = torch.where(edge, edge_weight, 1.0)
    return hard_mining(pixel_bce(logits, mask) * weight, keep_ratio)


def pixel_bce(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of every pixel, (N, 1, H, W) float32 (paper equation 4).

    Computed as softplus, with a small relative error at any value. The usual form has an absolute
    error of about 1e-6: confident background pixels would tie at 0, and mining keeps ties.

    Raises:
        ValueError: if the shapes differ or the mask is not bool.

    Example:
        >>> pixel_bce(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1, dtype=torch.bool)).item()
        0.6931...
    """
    _check_pair(logits, mask)
    logits = logits.float()
    return F.softplus(torch.where(mask, -logits, logits))


def soft_iou_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """One minus the soft IoU, averaged over images.

    With probabilities p and truth y of an image: 1 - (sum p y + 1) / (sum p + sum y - sum p y + 1).
    The added ones make it defined on empty masks.

    Raises:
        ValueError: if the shapes differ or the mask is not bool.

    Example:
        >>> empty = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
        >>> soft_iou_loss(torch.full((1, 1, 4, 4), -100.0), empty).item()
        0.0
    """
    both, prob, true = _overlap(logits, mask)
    return (1 - (both + 1) / (prob + true - both + 1)).mean()


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, averaged over images.

    With probabilities p and truth y of an image: 1 - (2 sum p y + 1) / (sum p + sum y + 1).
    The added ones make it defined on empty masks.

    Raises:
        ValueError: if the shapes differ or the mask is not bool.

    Example:
        >>> full = torch.ones(1, 1, 4, 4, dtype=torch.bool)
        >>> dice_loss(torch.full((1, 1, 4, 4), 100.0), full).item()
        0.0
    """
    both, prob, true = _overlap(logits, mask)
    return (1 - (2 * both + 1) / (prob + true + 1)).mean()


class BCELoss(nn.Module):
    """Mean of :func:`pixel_bce`.

    Example:
        >>> BCELoss()(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool))
        tensor(0.6931)
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W) logits and bool mask to a scalar."""
        return pixel_bce(logits, mask).mean()


class SoftIoULoss(nn.Module):
    """:func:`soft_iou_loss` as a module.

    Example:
        >>> SoftIoULoss()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2, dtype=torch.bool))
        tensor(0.4000)
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W) logits and bool mask to a scalar."""
        return soft_iou_loss(logits, mask)


class DiceLoss(nn.Module):
    """:func:`dice_loss` as a module.

    Example:
        >>> DiceLoss()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2, dtype=torch.bool))
        tensor(0.2857)
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W) logits and bool mask to a scalar."""
        return dice_loss(logits, mask)


class EEDMLoss(nn.Module):
    """:func:`eedm_loss` with its options; the paper's choice is the default.

    Args:
        edge_weight: weight of contour pixels, above 0.
        keep_ratio: share of pixels to keep, in (0, 1].

    Example:
        >>> mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool); mask[0, 0, 1, 1] = True
        >>> EEDMLoss()(torch.zeros(1, 1, 4, 4), mask)
        tensor(1.3430)
    """

    def __init__(self, edge_weight: float = 4.0, keep_ratio: float = 0.5) -> None:
        super().__init__()
        _check_options(edge_weight, keep_ratio)
        self.edge_weight = edge_weight
        self.keep_ratio = keep_ratio

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W) logits and bool mask to a scalar."""
        return eedm_loss(logits, mask, edge_weight=self.edge_weight, keep_ratio=self.keep_ratio)

    def extra_repr(self) -> str:
        """The options, for ``print(loss)``."""
        return f"edge_weight={self.edge_weight}, keep_ratio={self.keep_ratio}"


class EELoss(EEDMLoss):
    """Edge enhancement alone: EEDM with all pixels kept.

    Args:
        edge_weight: weight of contour pixels, above 0.

    Example:
        >>> EELoss(edge_weight=3)
        EELoss(edge_weight=3, keep_ratio=1.0)
    """

    def __init__(self, edge_weight: float = 4.0) -> None:
        super().__init__(edge_weight=edge_weight, keep_ratio=1.0)


class DMLoss(EEDMLoss):
    """Difficulty mining alone: EEDM with the same weight for all pixels.

    Args:
        keep_ratio: share of pixels to keep, in (0, 1].

    Example:
        >>> DMLoss(keep_ratio=0.3)
        DMLoss(edge_weight=1.0, keep_ratio=0.3)
    """

    def __init__(self, keep_ratio: float = 0.5) -> None:
        super().__init__(edge_weight=1.0, keep_ratio=keep_ratio)


LOSSES: dict[str, type[nn.Module]] = dict(
    zip(LOSS_NAMES, (BCELoss, SoftIoULoss, DiceLoss, EELoss, DMLoss, EEDMLoss), strict=True)
)


def create_loss(name: str, **options: float) -> nn.Module:
    """A loss by name: BCE, SoftIoU, Dice, EE, DM or EEDM.

    Args:
        name: case and hyphens do not matter.
        options: options of that loss, such as ``edge_weight`` and ``keep_ratio`` of EEDM.

    Raises:
        ValueError: for an unknown name or option; the message lists the known ones.

    Example:
        >>> create_loss("EEDM", edge_weight=5)
        EEDMLoss(edge_weight=5, keep_ratio=0.5)
    """
    loss = LOSSES[find_name("loss", name, LOSSES)]
    known = [] if loss.__init__ is nn.Module.__init__ else list(inspect.signature(loss).parameters)
    for option in [name for name in options if name not in known]:
        raise InputError(
            f"{name} has no option {option!r}; it has {', '.join(known) or 'no options'}"
        )
    return loss(**options)


def _overlap(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums per image: probability times truth, probability, truth."""
    _check_pair(logits, mask)
    prob, true = logits.float().sigmoid(), mask.float()
    pixels = (1, 2, 3)
    return (prob * true).sum(pixels), prob.sum(pixels), true.sum(pixels)


def _check_pair(logits: Tensor, mask: Tensor) -> None:
    """Refuse what is not a batch of logits with its mask."""
    _check_tensor("logits", logits)
    _check_mask(mask)
    if logits.ndim != 4 or logits.shape[1] != 1 or logits.shape != mask.shape:
        raise InputError(
            f"logits {tuple(logits.shape)} and mask {tuple(mask.shape)} must both be (N, 1, H, W)"
        )


def _check_mask(mask: Tensor) -> None:
    """Refuse a mask that is no bool tensor."""
    _check_tensor("mask", mask)
    if mask.dtype != torch.bool:
        raise InputError(f"the mask is {mask.dtype}, expected torch.bool; pass mask > 0.5")


def _check_tensor(name: str, value: object) -> None:
    """Refuse an array or anything else that is no tensor."""
    if not isinstance(value, Tensor):
        raise InputTypeError(f"{name} is {short(value)}, expected a tensor (torch.from_numpy)")


def _rank(loss: Tensor, keep_ratio: float) -> int:
    """Rank of the smallest kept loss in ascending order."""
    kept_at_least = math.ceil(round(keep_ratio * loss.numel(), 6))
    return loss.numel() - max(kept_at_least, 1)


def _check_options(edge_weight: float, keep_ratio: float) -> None:
    """Refuse options of EEDM that are out of range."""
    check_range("edge_weight", edge_weight, "(0, inf)")
    check_range("keep_ratio", keep_ratio, "(0, 1]", "a share")
