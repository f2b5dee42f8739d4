"""EEDM, its edge map and its selection beside plain cross-entropy and what is published."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from festkit.losses import edge_map, eedm_loss, pixel_bce
from festkit.ops.order_statistic import kth_smallest
from festkit.scenes import make_scene

from .case import Case
from .plain import edge_by_distance


def loss_cases(device: torch.device) -> Iterator[Case]:
    """The loss of a batch, forward and backward, and its parts."""
    for count, size in ((8, 512), (4, 1024)):
        logits, mask = _batch(count, size, device)
        target = mask.float()
        name = f"EEDM loss and gradient, {count} × {size}²"
        ours = _slope(eedm_loss, logits, mask)
        bce = _slope(F.binary_cross_entropy_with_logits, logits, target)
        yield Case(name, "plain BCE loss and gradient", ours, bce)
        sort = _slope(_sorted_eedm, logits, mask)
        yield Case(name, "the same written out, full sort, autograd", ours, sort)
    logits, mask = _batch(8, 512, device)
    loss = pixel_bce(logits, mask).detach()
    middle = loss.numel() // 2
    yield Case(
        "edge map of 8 masks of 512²",
        "two distance transforms per mask, as published",
        lambda: edge_map(mask),
        lambda: [edge_by_distance(one) for one in mask[:, 0].cpu().numpy()],
    )
    yield Case(
        "median loss of 8 × 512² pixels",
        "torch.kthvalue",
        lambda: kth_smallest(loss, middle),
        lambda: loss.flatten().kthvalue(middle + 1),
    )
    if device.type == "cpu":
        yield Case(
            "median loss of 8 × 512² pixels",
            "numpy.partition",
            lambda: kth_smallest(loss, middle),
            lambda: np.partition(loss.numpy(), middle, axis=None)[middle],
        )


def _batch(count: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits of an untrained network with a prior for background, and masks."""
    mask = torch.from_numpy(make_scene(0, size=size).mask).expand(count, 1, -1, -1).contiguous()
    noise = torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(0))
    return (noise - 4).to(device).requires_grad_(), mask.to(device)


def _slope(loss: Callable[..., Tensor], logits: Tensor, target: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(loss(logits, target), logits)


def _sorted_eedm(logits: Tensor, mask: Tensor) -> Tensor:
    loss = pixel_bce(logits, mask) * torch.where(edge_map(mask), 4.0, 1.0)
    ascending = loss.detach().flatten().sort().values
    kept = loss.detach() >= ascending[len(ascending) // 2]
    return (loss * kept).sum() / kept.sum()
