"""The field's figures: IoU, nIoU, Pd, Fa and Score (paper section 4.2, equations 9 to 12).

An image, a worker or a whole test set returns :class:`Counts`, which add; ratios are taken once, at
the end, over everything that was added.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .components import find_components

MATCH_DISTANCE = 3.0
"""Centroids closer than this match [px]."""

FA_LIMIT = 1e-4
"""A Score counts only while Fa is below this (paper section 4.2)."""


@dataclass(frozen=True)
class Counts:
    """What one or more images contribute to every metric; counts add with ``+``.

    A ratio with nothing in its denominator (no targets, say) is None.

    Attributes:
        images: number of images.
        pixels: number of pixels.
        intersection: pixels predicted and true.
        union: pixels predicted or true.
        iou_sum: sum over images of intersection / union; an empty image predicted empty adds 0,
            as in the published evaluation.
        targets: true targets, 8-connected.
        detected: true targets matched by a predicted one.
        false_pixels: predicted pixels outside matched predicted targets.

    Example:
        >>> a = Counts(images=1, pixels=100, intersection=3, union=4, iou_sum=0.75, targets=1,
        ...            detected=1, false_pixels=0)
        >>> (a + a).iou, (a + a).pd, (a + a).valid
        (0.75, 1.0, True)
    """

    images: int = 0
    pixels: int = 0
    intersection: int = 0
    union: int = 0
    iou_sum: float = 0.0
    targets: int = 0
    detected: int = 0
    false_pixels: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Counts)))

    @property
    def iou(self) -> float | None:
        """Foreground intersection over union of the whole set, in [0, 1] (equation 9)."""
        return _ratio(self.intersection, self.union)

    @property
    def niou(self) -> float | None:
        """Mean over images of intersection over union, in [0, 1]."""
        return _ratio(self.iou_sum, self.images)

    @property
    def pd(self) -> float | None:
        """Detection rate: matched targets / targets, in [0, 1] (equation 10)."""
        return _ratio(self.detected, self.targets)

    @property
    def fa(self) -> float | None:
        """False-alarm rate: false pixels / all pixels, a plain fraction (equation 11)."""
        return _ratio(self.false_pixels, self.pixels)

    @property
    def score(self) -> float | None:
        """0.5 IoU + 0.5 Pd, in [0, 1] (equation 12); counts only where :attr:`valid`."""
        if self.iou is None or self.pd is None:
            return None
        return 0.5 * self.iou + 0.5 * self.pd

    @property
    def valid(self) -> bool:
        """Whether Score is defined and Fa is below 1e-4, as the paper demands."""
        return self.score is not None and self.fa is not None and self.fa < FA_LIMIT

    def record(self) -> dict[str, int | float | bool | None]:
        """Counts and ratios by name, ready for JSON.

        Example:
            >>> Counts(images=1, pixels=4, intersection=1, union=2).record()["iou"]
            0.5
        """
        counts: dict[str, int | float | bool | None] = asdict(self)
        ratios = ("iou", "niou", "pd", "fa", "score", "valid")
        return counts | {name: getattr(self, name) for name in ratios}


def count(
    pred: NDArray[np.bool_] | Tensor,
    mask: NDArray[np.bool_] | Tensor,
    *,
    max_distance: float = MATCH_DISTANCE,
) -> Counts:
    """Compare one predicted mask, or a batch of them, with the truth.

    Targets are 8-connected components, taken per image in raster order of their first pixel. Every
    true target takes the first remaining predicted one whose centroid lies closer than
    ``max_distance``: first, not nearest; overlap plays no role. All pixels of predicted targets
    that nobody took are false.

    Args:
        pred: (H, W), (N, H, W) or (N, 1, H, W), bool or 0/1.
        mask: the truth, of the same shape.
        max_distance: centroids at this distance or farther do not match [px].

    Raises:
        ValueError: if the shapes differ, values other than 0 and 1 occur, or ``max_distance`` is
            not above 0.

    Example:
        >>> truth = np.zeros((8, 8), bool); truth[2:4, 2:4] = True
        >>> pred = truth.copy(); pred[7, 7] = True
        >>> result = count(pred, truth)
        >>> result.pd, result.false_pixels, result.iou
        (1.0, 1, 0.8)
    """
    if not max_distance > 0:
        raise ValueError(f"max_distance is {max_distance}, expected a distance above 0 px")
    pred, mask = _as_mask("pred", pred), _as_mask("mask", mask)
    if pred.shape != mask.shape:
        raise ValueError(
            f"prediction {pred.shape} and truth {mask.shape} differ in shape; "
            "resize the probability map to the truth's size before thresholding it"
        )
    pairs = zip(_images(pred), _images(mask), strict=True)
    return sum((_count_image(p, m, max_distance) for p, m in pairs), Counts())


def evaluate(
    preds: Iterable[NDArray[np.bool_] | Tensor], masks: Iterable[NDArray[np.bool_] | Tensor]
) -> Counts:
    """Counts over a whole set; images may differ in size.

    Args:
        preds: predicted masks, one per image, as :func:`count` takes them.
        masks: the truths, in the same order.

    Raises:
        ValueError: if there are not as many predictions as truths.

    Example:
        >>> truth = np.eye(4, dtype=bool)
        >>> evaluate([truth, ~truth], [truth, truth]).pd
        1.0
    """
    total = Counts()
    missing: Any = object()
    for index, (pred, mask) in enumerate(zip_longest(preds, masks, fillvalue=missing)):
        if pred is missing or mask is missing:
            short = "predictions" if pred is missing else "truths"
            raise ValueError(f"only {index} {short} came; every image needs one of each")
        total = total + count(pred, mask)
    return total


def match_targets(
    pred_centroids: NDArray[np.float64], true_centroids: NDArray[np.float64], max_distance: float
) -> NDArray[np.int64]:
    """For every true target the predicted one it takes, or -1.

    Args:
        pred_centroids: (P, 2) row and column [px], in raster order of the targets.
        true_centroids: (T, 2), likewise.
        max_distance: strict upper bound on the distance [px].

    Returns:
        (T,) index of the first remaining predicted target that is close enough.

    Example:
        >>> match_targets(np.array([[5.0, 5.0]]), np.array([[5.0, 7.0], [5.0, 5.0]]), 3.0)
        array([ 0, -1])
    """
    match = np.full(len(true_centroids), -1, np.int64)
    free = np.ones(len(pred_centroids), bool)
    for index, centre in enumerate(true_centroids):
        dy, dx = (pred_centroids - centre).T
        near = np.flatnonzero(free & (np.sqrt(dy * dy + dx * dx) < max_distance))
        if len(near):
            match[index] = near[0]
            free[near[0]] = False
    return match


def _count_image(pred: NDArray[np.bool_], mask: NDArray[np.bool_], max_distance: float) -> Counts:
    predicted, true = find_components(pred), find_components(mask)
    match = match_targets(predicted.centroid, true.centroid, max_distance)
    taken = match[match >= 0]
    intersection = int(np.count_nonzero(pred & mask))
    union = int(np.count_nonzero(pred | mask))
    return Counts(
        images=1,
        pixels=mask.size,
        intersection=intersection,
        union=union,
        iou_sum=intersection / union if union else 0.0,
        targets=len(true),
        detected=len(taken),
        false_pixels=int(np.count_nonzero(pred) - predicted.area[taken].sum()),
    )


def _images(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return masks.reshape(-1, *masks.shape[-2:])


def _as_mask(name: str, value: NDArray[np.generic] | Tensor) -> NDArray[np.bool_]:
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.ndim not in (2, 3) and not (array.ndim == 4 and array.shape[1] == 1):
        raise ValueError(
            f"{name} has shape {array.shape}, expected (H, W), (N, H, W) or (N, 1, H, W)"
        )
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"{name} is {array.dtype} with values other than 0 and 1; "
            "pass a bool mask, for instance prob > 0.5"
        )
    return array.astype(bool)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
