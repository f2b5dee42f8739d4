"""How far the figures would move with other images: bootstrap intervals of every ratio."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import InputError, InputTypeError
from .counts import Counts, Sums, TargetCounts


def confidence_intervals(
    counts: Sequence[Counts] | Sequence[TargetCounts],
    *,
    baseline: Sequence[Counts] | Sequence[TargetCounts] | None = None,
    level: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> dict[str, tuple[float, float] | None]:
    """Intervals of every ratio by the percentile bootstrap over images.

    As many images as there are get drawn with replacement, ``samples`` times over; an interval
    spans the middle ``level`` of a ratio's values. Draws in which a ratio is undefined are left
    out of it.

    Args:
        counts: one per image, at least two.
        baseline: those of another method on the same images in the same order; the intervals are
            then those of the difference ``counts`` - ``baseline``, paired by image.
        level: share of the draws inside the interval, in (0, 1).
        samples: number of draws.
        seed: of the draws; the same for both methods.

    Returns:
        Lower and upper end by name of the ratio; None for one that is defined in no draw.

    Raises:
        ValueError: if there are too few images, the two methods' images differ, or ``level`` or
            ``samples`` is out of range.
        TypeError: if not all counts are of one kind.

    Example:
        >>> hit, miss = Counts(targets=1, detected=1), Counts(targets=1)
        >>> low, high = confidence_intervals([hit, miss] * 50)["pd"]
        >>> 0.35 < low < 0.45 < 0.55 < high < 0.65
        True
        >>> confidence_intervals([hit, miss], baseline=[hit, miss])["pd"]
        (0.0, 0.0)
    """
    if not 0 < level < 1:
        raise InputError(f"level is {level}, expected a share in (0, 1), such as 0.95")
    if samples < 1:
        raise InputError(f"samples is {samples}, expected at least 1 draw")
    _check_images(counts, baseline)
    drawn = _draw_ratios(counts, samples, seed)
    if baseline is not None:
        drawn = drawn - _draw_ratios(baseline, samples, seed)
    return {
        name: _interval(values[~np.isnan(values)], level)
        for name, values in zip(counts[0].ratios, drawn.T, strict=True)
    }


def record_of(counts: Sequence[Counts]) -> dict[str, Any]:
    """Counts, ratios and 95 % intervals of a set by name, from its images' counts.

    One image has no intervals.

    Raises:
        ValueError: for no image.

    Example:
        >>> hit = Counts(images=1, pixels=4, targets=1, detected=1)
        >>> record_of([hit, hit])["intervals"]["pd"]
        (1.0, 1.0)
    """
    intervals = {} if len(counts) == 1 else confidence_intervals(counts)
    return {**sum(counts, Counts()).record(), "intervals": intervals}


def _check_images(counts: Sequence[Sums], baseline: Sequence[Sums] | None) -> None:
    if len(counts) < 2:
        raise InputError(
            f"counts of {len(counts)} images came; intervals need those of at least 2, one by one "
            "(evaluate_images)"
        )
    kinds = {type(c) for c in [*counts, *(baseline or [])]}
    if len(kinds) > 1 or not isinstance(counts[0], Sums):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputTypeError(f"counts are of {names}; expected Counts alone, or TargetCounts alone")
    if baseline is None:
        return
    if len(counts) != len(baseline):
        raise InputError(
            f"counts of {len(counts)} images and a baseline of {len(baseline)} came; "
            "pass both methods' counts of the same images"
        )
    for index, (ours, theirs) in enumerate(zip(counts, baseline, strict=True)):
        if (ours.pixels, ours.targets) != (theirs.pixels, theirs.targets):
            raise InputError(
                f"image {index} has {ours.pixels} px and {ours.targets} targets in counts, "
                f"{theirs.pixels} px and {theirs.targets} targets in the baseline; "
                "pass both methods' counts of the same images in the same order"
            )


def _draw_ratios(counts: Sequence[Sums], samples: int, seed: int) -> NDArray[np.float64]:
    """(samples, ratios) of the sums over images drawn with replacement; NaN where undefined."""
    rng = np.random.default_rng(seed)
    kind, images = type(counts[0]), len(counts)
    table = np.array([astuple(c) for c in counts], float)
    draws = [rng.integers(images, size=images) for _ in range(samples)]
    times_drawn = np.stack([np.bincount(draw, minlength=images) for draw in draws])
    sums = [kind(*row) for row in (times_drawn @ table).tolist()]
    return np.array([[getattr(s, name) for name in kind.ratios] for s in sums], float)


def _interval(values: NDArray[np.float64], level: float) -> tuple[float, float] | None:
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
