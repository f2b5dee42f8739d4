"""Confidence intervals of all ratios over images.

Images are the sampling units. Each ratio is linearised: image i changes a ratio part / whole by
``(part_i - ratio * whole_i) / whole``, and the variance of the ratio is the sum of the squares of
these influences (Taylor linearisation, the delta method for a ratio of sums). The intervals are:

- for shares: Wilson's interval with the number of independent trials that has this variance;
- for Fa: the gamma interval of Fay and Feuer (1997) for a sum of false alarms of unequal size;
- for differences of two methods: Student's interval of the paired difference.

A few images may dominate a ratio of pixels, or a difference, and the sample may lack them. Their
variance therefore includes one additional image with the largest observed influence. The variance
of Fa, and of its difference, includes one additional false alarm of typical size. Their coverage is
measured in docs/intervals.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.arguments import check_range
from .._support.errors import InputError, InputTypeError
from ..ops.size_classes import SPOT_AREA
from .counts import Counts, Sums, TargetCounts

INTERVAL_METHOD = "linearised"
"""Name of the method in records; older records without a name used the bootstrap."""

OF_PIXELS = {"iou", "precision", "recall", "f1", "score"}
"""Ratios of :class:`Counts` that a few images with many pixels may decide."""

ROUNDING = 1e-12
"""Influences below this are rounding errors."""

Floats = NDArray[np.float64]

Interval = tuple[float, float]


@dataclass(frozen=True)
class _Ratio:
    """A ratio over a set of images, linearised."""

    value: float
    influence: Floats
    """(images,) how far each image moves the value."""
    trials: int
    """Images that have something in the denominator."""
    step: float
    """How far one target or one false alarm more would move the value; 0 for other ratios."""


def confidence_intervals(
    counts: Sequence[Counts] | Sequence[TargetCounts],
    *,
    baseline: Sequence[Counts] | Sequence[TargetCounts] | None = None,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of every ratio, or of the differences to a baseline, over images.

    They cover the choice of images, not the random seed of the training. Their width is positive
    even at 0 and 1, since 20 of 20 detected targets do not prove a Pd of 1.

    Args:
        counts: one per image, at least two.
        baseline: counts of another method on the same images in the same order. The intervals are
            then those of the paired difference ``counts`` - ``baseline``.
        level: nominal coverage, in (0, 1).

    Returns:
        Lower and upper end by name of the ratio; NaN for an undefined ratio.

    Raises:
        ValueError: if there are too few images, the two methods' images differ, or ``level`` is
            out of range.
        TypeError: if Counts and TargetCounts are mixed.

    Example:
        >>> hit, miss = Counts(targets=1, detected=1), Counts(targets=1)
        >>> [round(end, 2) for end in confidence_intervals([hit] * 20)["pd"]]
        [0.82, 1.0]
        >>> better = confidence_intervals([hit] * 50, baseline=[hit, miss] * 25)["pd"]
        >>> [round(end, 2) for end in better]
        [0.35, 0.65]
    """
    check_range("level", level, "(0, 1)", "a share")
    _check_images(counts, baseline)
    z = _quantile(level, len(counts))
    ours = _of_columns(counts)
    ratios = _ratios(ours)
    if baseline is not None:
        theirs = _ratios(_of_columns(baseline))
        return {name: _difference(ratios[name], theirs[name], z) for name in ours.ratios}
    guarded = OF_PIXELS if isinstance(ours, Counts) else set()
    found = {name: _share(ratio, z, guard=name in guarded) for name, ratio in ratios.items()}
    found["fa"] = _rate(ours, ratios["fa"], z)
    return {name: found[name] for name in ours.ratios}


def record_of(counts: Sequence[Counts]) -> dict[str, Any]:
    """Counts, ratios and 95 % intervals of a set by name, from its images' counts.

    Ready for JSON; undefined values are None. The intervals state their ``method``; a single image
    has no intervals.

    Raises:
        ValueError: if there are no images.

    Example:
        >>> hit = Counts(images=1, pixels=4, targets=1, detected=1)
        >>> [round(end, 2) for end in record_of([hit] * 20)["intervals"]["pd"]]
        [0.82, 1.0]
    """
    intervals: dict[str, Any] = {}
    if len(counts) != 1:
        found = confidence_intervals(counts)
        intervals = {k: None if math.isnan(ends[0]) else ends for k, ends in found.items()}
        intervals["method"] = INTERVAL_METHOD
    return {**sum(counts, Counts()).record(), "intervals": intervals}


def _check_images(counts: Sequence[Sums], baseline: Sequence[Sums] | None) -> None:
    """Refuse what is not the counts of two or more images, one each, of both methods."""
    sets = [counts] if baseline is None else [counts, baseline]
    for given in sets:
        if not isinstance(given, Sequence):
            raise InputTypeError(
                f"counts is {type(given).__name__}, expected a list with one entry per image"
            )
    kinds = {type(each) for given in sets for each in given}
    if len(kinds) > 1 or not kinds <= {Counts, TargetCounts}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputTypeError(f"counts mix {names}; expected only Counts, or only TargetCounts")
    most = max((getattr(each, "images", 1) for given in sets for each in given), default=0)
    if len(counts) < 2 or most > 1:
        raise InputError(
            f"got {len(counts)} counts of up to {most} images each; intervals need the counts of "
            "at least 2 single images, as returned by evaluate_images(list(preds), list(masks))"
        )
    if len(sets[-1]) != len(counts):
        raise InputError(
            f"counts are of {len(counts)} images, the baseline's of {len(sets[-1])}; pass counts "
            "of the same images in the same order"
        )
    facts = zip(*([(each.pixels, each.targets) for each in given] for given in sets), strict=True)
    for index, (ours, *theirs) in enumerate(facts):
        if theirs and ours != theirs[0]:
            raise InputError(
                f"image {index} has {ours} pixels and targets in counts, but {theirs[0]} in the "
                "baseline; pass counts of the same images in the same order"
            )


@lru_cache
def _quantile(level: float, images: int) -> float:
    """Half the width that holds ``level`` of Student's distribution, images - 1 degrees of freedom.

    By bisection of the angle whose tangent it is, times the root of the degrees of freedom.
    """
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _within(middle, images - 1) < level else (low, middle)
    return math.sqrt(images - 1) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Share of Student's distribution within an angle (Abramowitz, Stegun: 26.7.3, 26.7.4)."""
    odd = freedom % 2
    sine, cosine = math.sin(angle), math.cos(angle)
    powers = np.arange(odd, freedom - 3, 2)
    terms = np.cumprod((powers + 1) / (powers + 2) * cosine**2)
    series = (freedom > 1) * sine * cosine**odd * (1 + float(terms.sum()))
    return 2 / math.pi * (angle + series) if odd else series


def _of_columns(counts: Sequence[Sums]) -> Any:
    """Counts of which every field is an array over the images."""
    kind = type(counts[0])
    values = attrgetter(*(field.name for field in fields(kind)))
    return kind(*np.array([values(c) for c in counts], float).T)


def _ratios(columns: Any) -> dict[str, _Ratio]:
    """Every ratio of counts over images, linearised."""
    found = {
        name: _ratio(part, whole, _one_more(columns, part))
        for name, (part, whole) in columns.parts().items()
    }
    if "score" in columns.ratios:
        found["score"] = _sum_of(found["iou"], 0.5, found["pd"], 0.5)
    return found


def _one_more(columns: Any, part: Floats) -> float:
    """What one target or one false alarm more would add to a ratio's numerator; 0 for others.

    The usual size of a false alarm weighs every false pixel alike and is that of a small target at
    least.
    """
    if part is columns.false_pixels:
        total = float(part.sum())
        return max(float((part**2).sum()) / total if total else 0.0, SPOT_AREA)
    of_targets = isinstance(columns, TargetCounts) and part is not columns.iou_sum
    return float(of_targets or part is columns.detected)


def _ratio(part: Floats, whole: Floats, one_more: float) -> _Ratio:
    """A fraction, linearised."""
    total, images = float(whole.sum()), len(whole)
    if not total:
        return _Ratio(math.nan, np.full(images, math.nan), 0, math.nan)
    value = float(part.sum() / total)
    influence = (part - value * whole) / total * math.sqrt(images / (images - 1))
    return _Ratio(value, influence, int(np.count_nonzero(whole)), one_more / total)


def _sum_of(one: _Ratio, weight: float, other: _Ratio, factor: float) -> _Ratio:
    """A weighted sum of two ratios."""
    return _Ratio(
        weight * one.value + factor * other.value,
        weight * one.influence + factor * other.influence,
        min(one.trials, other.trials),
        max(abs(weight) * one.step, abs(factor) * other.step),
    )


def _share(ratio: _Ratio, z: float, *, guard: bool) -> Interval:
    """Wilson's interval, for as many independent trials as have the ratio's variance."""
    p = ratio.value
    if math.isnan(p):
        return math.nan, math.nan
    variance, largest = _spread(ratio)
    # Where all images agree, each is one trial.
    trials = p * (1 - p) / (variance + guard * largest) if largest else ratio.trials
    middle = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2))
    low, high = ((middle + side) / (1 + z * z / trials) for side in (-half, half))
    return max(0.0, min(low, p)), min(1.0, max(high, p))


def _rate(counts: Any, ratio: _Ratio, z: float) -> Interval:
    """The gamma interval of Fa: one false alarm more, of the size that is usual, sets its end."""
    pixels, false = float(counts.pixels.sum()), counts.false_pixels
    if not pixels:
        return math.nan, math.nan
    total, squares, size = float(false.sum()), float((false**2).sum()), ratio.step * pixels
    low = _gamma_quantile(total, squares, -z) if total else 0.0
    high = _gamma_quantile(total + size, squares + size**2, z)
    return min(low, total) / pixels, min(high / pixels, 1.0)


def _gamma_quantile(mean: float, variance: float, z: float) -> float:
    """Of a gamma distribution, by the cube root of Wilson and Hilferty."""
    ninth = variance / (9 * mean**2)
    return mean * max(1 - ninth + z * math.sqrt(ninth), 0.0) ** 3


def _difference(ours: _Ratio, theirs: _Ratio, z: float) -> Interval:
    """Student's interval of a paired difference."""
    gain = _sum_of(ours, 1.0, theirs, -1.0)
    if math.isnan(gain.value):
        return math.nan, math.nan
    variance, largest = _spread(gain)
    one_more = max(largest, gain.step**2) or 1 / gain.trials**2
    half = z * math.sqrt(variance + one_more)
    return max(-1.0, gain.value - half), min(1.0, gain.value + half)


def _spread(ratio: _Ratio) -> tuple[float, float]:
    """Sum and largest of the squared influences; 0 where they are 0 but for rounding."""
    squares = ratio.influence**2
    if squares.max() < ROUNDING**2:
        return 0.0, 0.0
    return float(squares.sum()), float(squares.max())
