"""Count pixels and targets: match predicted with true targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._support.arguments import as_numbers, check_batch_shape, check_range
from .._support.errors import InputError, InputTypeError
from .._support.jit import compiled
from .._support.names import find_name
from .._support.tensors import is_tensor
from ..ops.components import Components, find_components
from ..ops.size_classes import SIZE_CLASSES
from .counts import Counts, TargetCounts

if TYPE_CHECKING:
    from torch import Tensor

MATCH_DISTANCE = 3.0
"""Centroids closer than this match [px]."""

FARTHEST = 1e9
"""A distance farther than any two pixels are apart [px]."""

FEW = 8
"""Up to so many predicted targets every one is looked at."""

Mask = NDArray[np.bool_]

SizeClass = Literal["point", "spot", "extended"]


def count(
    pred: Mask | Tensor, mask: Mask | Tensor, *, max_distance: float = MATCH_DISTANCE
) -> Counts:
    """Compare a predicted mask, or a batch, with the true mask.

    Targets are 8-connected components, taken per image in raster order of their first pixel. Every
    true target is matched with the first unmatched predicted target whose centroid is closer than
    ``max_distance``: the first, not the nearest. Overlap is ignored. All pixels of unmatched
    predicted targets are false.

    Args:
        pred: (H, W), (N, H, W) or (N, 1, H, W), bool or 0/1.
        mask: true mask of the same shape.
        max_distance: centroids at this distance or farther do not match [px].

    Raises:
        ValueError: if the shapes differ, values other than 0 and 1 occur, or ``max_distance`` is
            not above 0.
        TypeError: if a mask is a masked array or not numeric, or ``max_distance`` is not one
            number.

    Example:
        >>> truth = np.zeros((8, 8), bool); truth[2:4, 2:4] = True
        >>> pred = truth.copy(); pred[7, 7] = True
        >>> result = count(pred, truth)
        >>> result.pd, result.false_pixels, result.iou
        (1.0, 1, 0.8)
    """
    pairs = _image_pairs(pred, mask, max_distance)
    return sum((_count_image(p, m, max_distance) for p, m in pairs), Counts())


def count_targets(
    pred: Mask | Tensor,
    mask: Mask | Tensor,
    *,
    size_class: SizeClass | None = None,
    max_distance: float = MATCH_DISTANCE,
) -> TargetCounts:
    """Compare a predicted mask, or a batch, with the true mask, target by target.

    Targets are matched as in :func:`count`, regardless of size. A size class then selects true
    targets of that size with their matches, and unmatched predicted targets of that size. The
    counts of the three classes add up to the total, except for the pixels of the images.

    Args:
        pred: (H, W), (N, H, W) or (N, 1, H, W), bool or 0/1.
        mask: true mask of the same shape.
        size_class: "point" (up to 9 px), "spot" (10 to 81 px), "extended" (more), or None for all.
        max_distance: centroids at this distance or farther do not match [px].

    Raises:
        ValueError: see :func:`count`; or if the size class is unknown.

    Example:
        >>> truth = np.zeros((16, 16), bool); truth[2:4, 2:4] = True; truth[8:12, 8:12] = True
        >>> pred = truth.copy(); pred[3, 3] = False; pred[8:12, 8:12] = False
        >>> count_targets(pred, truth).hiou
        0.375
        >>> [count_targets(pred, truth, size_class=area).pd for area in ("point", "spot")]
        [1.0, 0.0]
    """
    areas: tuple[float, float] = (1, math.inf)
    if size_class is not None:
        areas = SIZE_CLASSES[find_name("size class", size_class, SIZE_CLASSES)]
    pairs = _image_pairs(pred, mask, max_distance)
    return sum((_TargetPairs(p, m, max_distance).count(areas) for p, m in pairs), TargetCounts())


def count_size_classes(pred: Mask, mask: Mask) -> dict[SizeClass | None, TargetCounts]:
    """Counts of :func:`count_targets` for all targets, by None, and for every size class.

    Example:
        >>> truth = np.zeros((16, 16), bool); truth[2:4, 2:4] = True; truth[8:12, 8:12] = True
        >>> {size: counts.targets for size, counts in count_size_classes(truth, truth).items()}
        {None: 2, 'point': 1, 'spot': 1, 'extended': 0}
    """
    ((pred, mask),) = _image_pairs(pred, mask, MATCH_DISTANCE)
    pairs = _TargetPairs(pred, mask, MATCH_DISTANCE)
    classes: dict[Any, tuple[float, float]] = {None: (1, math.inf), **SIZE_CLASSES}
    return {size: pairs.count(areas) for size, areas in classes.items()}


def evaluate(preds: Iterable[Mask | Tensor], masks: Iterable[Mask | Tensor]) -> Counts:
    """Counts over a whole set; images may differ in size.

    Args:
        preds: predicted masks, one per image, see :func:`count`.
        masks: true masks, in the same order.

    Raises:
        ValueError: if the numbers of predictions and masks differ.

    Example:
        >>> truth = np.eye(4, dtype=bool)
        >>> evaluate([truth, ~truth], [truth, truth]).pd
        1.0
    """
    return sum(evaluate_images(preds, masks), Counts())


def evaluate_images(preds: Iterable[Mask | Tensor], masks: Iterable[Mask | Tensor]) -> list[Counts]:
    """Counts of every image of a set; :func:`evaluate` returns their sum.

    Args:
        preds: predicted masks, one per image, see :func:`count`.
        masks: true masks, in the same order.

    Raises:
        ValueError: if the numbers of predictions and masks differ.

    Example:
        >>> truth = np.eye(4, dtype=bool)
        >>> [counts.iou for counts in evaluate_images([truth, ~truth], [truth, truth])]
        [1.0, 0.0]
    """
    result: list[Counts] = []
    missing: Any = object()
    for name, given in (("preds", preds), ("masks", masks)):
        if not isinstance(given, Iterable):
            raise InputTypeError(f"{name} is {given!r}, expected a mask for every image")
    for pred, mask in zip_longest(preds, masks, fillvalue=missing):
        if pred is missing or mask is missing:
            short = "preds" if pred is missing else "masks"
            raise InputError(f"{short} ended after {len(result)} images; pass both for every image")
        result.append(count(pred, mask))
    return result


def match_targets(
    pred_centroids: NDArray[np.float64], true_centroids: NDArray[np.float64], max_distance: float
) -> NDArray[np.int64]:
    """Match every true target with a predicted one; -1 if there is none.

    Args:
        pred_centroids: (P, 2) row and column [px], in raster order of the targets.
        true_centroids: (T, 2), likewise.
        max_distance: strict upper bound on the distance [px].

    Returns:
        (T,) index of the first unmatched predicted target that is close enough.

    Example:
        >>> match_targets(np.array([[5.0, 5.0]]), np.array([[5.0, 7.0], [5.0, 5.0]]), 3.0)
        array([ 0, -1])
    """
    pred, true = (np.ascontiguousarray(of, np.float64) for of in (pred_centroids, true_centroids))
    return take_first(pred, np.arange(len(pred)), true, min(float(max_distance), FARTHEST))


@compiled
def take_first(pred: Any, turn: Any, true: Any, max_distance: float) -> Any:
    """For every true target, one after the other, the near one left whose turn comes first.

    The predicted ones lie in buckets by their place, so that each true target looks at few.

    Args:
        pred: (P, 2) centroids [px].
        turn: (P,) integers, all different.
        true: (T, 2) centroids [px].
        max_distance: strict upper bound on the distance, at most :data:`FARTHEST` [px].

    Returns:
        (T,) index of the predicted target, or -1.
    """
    side = max(2 * max_distance, 1.0) if len(pred) > FEW else 4 * FARTHEST
    reach = max_distance * (1 + 1e-9)  # rounding shall hide none
    first, following = _buckets(pred, side)
    match, left = np.full(len(true), -1), np.ones(len(pred), np.bool_)
    for index in range(len(true)):
        y, x = true[index]
        taken = -1
        for v in range(_cell(y - reach, side), _cell(y + reach, side) + 1):
            for u in range(_cell(x - reach, side), _cell(x + reach, side) + 1):
                k = first[_bucket(v, u, len(first))]
                while k >= 0:
                    if left[k] and (taken < 0 or turn[k] < turn[taken]):
                        dy, dx = pred[k, 0] - y, pred[k, 1] - x
                        if np.sqrt(dy * dy + dx * dx) < max_distance:
                            taken = k
                    k = following[k]
        if taken >= 0:
            match[index] = taken
            left[taken] = False
    return match


@compiled
def _buckets(points: Any, side: float) -> Any:
    """The first point of every bucket, and the one after each point in its bucket; -1 for none."""
    size = 1
    while size < 2 * len(points) and len(points) > FEW:
        size *= 2
    first, following = np.full(size, -1, np.int32), np.empty(len(points), np.int32)
    for k in range(len(points)):
        bucket = _bucket(_cell(points[k, 0], side), _cell(points[k, 1], side), size)
        following[k] = first[bucket]
        first[bucket] = k
    return first, following


@compiled
def _cell(position: float, side: float) -> int:
    """Which square of a grid a row or column lies in."""
    return int(np.floor(position / side + 0.5))


@compiled
def _bucket(row: int, column: int, size: int) -> int:
    """A bucket of a square of the grid; ``size`` is a power of 2."""
    return (row * 73_856_093 ^ column * 19_349_663) & (size - 1)


def _count_image(pred: Mask, mask: Mask, max_distance: float) -> Counts:
    """Counts of one image."""
    predicted, true = find_components(pred), find_components(mask)
    match = match_targets(predicted.centroid, true.centroid, max_distance)
    taken = match[match >= 0]
    intersection = int(np.count_nonzero(mask.reshape(-1)[predicted.pixels]))
    union = len(predicted.pixels) + len(true.pixels) - intersection
    return Counts(
        images=1,
        empty=int(union == 0),
        pixels=mask.size,
        intersection=intersection,
        predicted=len(predicted.pixels),
        true=len(true.pixels),
        iou_sum=intersection / union if union else 0.0,
        targets=len(true),
        detected=len(taken),
        false_pixels=len(predicted.pixels) - int(predicted.area[taken].sum()),
    )


class _TargetPairs:
    """Predicted and true targets of one image, matched."""

    def __init__(self, pred: Mask, mask: Mask, max_distance: float) -> None:
        self.pixels = mask.size
        self.predicted, self.true = find_components(pred), find_components(mask)
        centroids = self.predicted.centroid, self.true.centroid
        self.match = match_targets(*centroids, max_distance)
        self.shared = _shared_pixels(pred, mask, self.predicted, self.true, self.match)

    def count(self, areas: tuple[float, float]) -> TargetCounts:
        """Counts of the targets with an area in a range."""
        predicted, true, match = self.predicted, self.true, self.match
        low, high = areas
        chosen = (true.area >= low) & (true.area <= high)
        false = (predicted.area >= low) & (predicted.area <= high)
        false[match[match >= 0]] = False
        hit = np.flatnonzero(chosen & (match >= 0))
        shared = self.shared[hit]
        either = predicted.area[match[hit]] + true.area[hit] - shared
        return TargetCounts(
            pixels=self.pixels,
            targets=int(np.count_nonzero(chosen)),
            detected=len(hit),
            false_targets=int(np.count_nonzero(false)),
            false_pixels=int(predicted.area[false].sum()),
            iou_sum=float((shared / either).sum()),
        )


def _shared_pixels(
    pred: Mask, mask: Mask, predicted: Components, true: Components, match: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(T,) pixels that each true target shares with the predicted one it took."""
    theirs = predicted.label[mask.reshape(-1)[predicted.pixels]]
    ours = true.label[pred.reshape(-1)[true.pixels]]
    return np.bincount(ours[match[ours] == theirs], minlength=len(true))


def _image_pairs(
    pred: Mask | Tensor, mask: Mask | Tensor, max_distance: float
) -> Iterator[tuple[Mask, Mask]]:
    """Prediction and truth of every image, checked."""
    check_range("max_distance", max_distance, "(0, inf]", "a distance in px")
    pred, mask = as_mask("pred", pred), as_mask("mask", mask)
    if pred.shape != mask.shape:
        raise InputError(
            f"prediction {pred.shape} and truth {mask.shape} differ in shape; resize the "
            "probability map to the size of the mask before thresholding"
        )
    shape = mask.shape[0] if mask.ndim > 2 else 1, *mask.shape[-2:]
    return zip(pred.reshape(shape), mask.reshape(shape), strict=True)


def as_mask(name: str, value: NDArray[np.generic] | Tensor) -> Mask:
    """Check a mask and return it as a bool array of the same shape.

    Raises:
        ValueError: if the shape is not (H, W), (N, H, W) or (N, 1, H, W), or values are not 0 or 1.
        TypeError: for a masked or non-numeric array.

    Example:
        >>> as_mask("mask", np.array([[0, 1]]))
        array([[False,  True]])
    """
    array = as_numbers(name, value.detach().cpu().numpy() if is_tensor(value) else value)
    check_batch_shape(name, array.shape)
    mask: Mask = array.astype(bool, copy=False)
    if mask is not array and (mask != array).any():
        raise InputError(
            f"{name} is {array.dtype} with values other than 0 and 1; "
            "pass a bool mask, such as prob > 0.5"
        )
    return mask
