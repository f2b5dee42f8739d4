"""Choices made from stored maps: the order of fused scales, and the hardest images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._support.errors import InputError
from ..fusion import fuse
from ..metrics import Counts, count, count_targets
from ..sensitivity import adjust_sensitivity
from ..training.stored_maps import RunMaps


class FusionStep(NamedTuple):
    """Some scales, fused.

    Attributes:
        scales: indices of the fused runs, in the order in which they were added.
        counts: counts of every image.
    """

    scales: tuple[int, ...]
    counts: list[Counts]


def greedy_fusion(maps: RunMaps, th1: float = 0.5) -> list[FusionStep]:
    """Greedy fusion: start with the best scale, then add the scale that gives the best Score.

    The best scale has the highest Score of the fused maps, even if its Fa makes the Score void.
    Ties go to the first. The order is chosen on the evaluated images, as in the paper (section
    4.4). On test images the result is therefore optimistic.

    Args:
        maps: stored maps of all scales.
        th1: threshold of strong targets, in [0, 1]; weak targets are not used.

    Returns:
        One step per number of scales, from one to all.

    Raises:
        ValueError: for a threshold out of range.

    Example:
        >>> from festkit.data import Dataset
        >>> [step.scales for step in greedy_fusion(RunMaps("", (64,), Dataset("", "test", ()), ()))]
        []
    """
    steps: list[FusionStep] = []
    rest = list(range(len(maps.stored)))
    while rest:
        tried = _fuse_each(maps, steps[-1].scales if steps else (), rest, th1)
        scores = [sum(step.counts, Counts()).score for step in tried]
        best = tried[np.nan_to_num(scores, nan=-1).argmax()]
        steps.append(best)
        rest.remove(best.scales[-1])
    return steps


def _fuse_each(
    maps: RunMaps, fused: tuple[int, ...], others: list[int], th1: float
) -> list[FusionStep]:
    """What every other scale makes of those already fused."""
    steps = [FusionStep((*fused, other), []) for other in others]
    for image in maps:
        for step in steps:
            prob = fuse([image.scales[k] for k in step.scales], image.prob.shape)
            found = adjust_sensitivity(prob, th1, None)
            step.counts.append(count(found.mask, image.sample.mask))
    return steps


def rank_by_gain(before: Sequence[Counts], after: Sequence[Counts]) -> list[int]:
    """The images by what one method gains over another, largest gain first.

    Additional targets count first, then additional correct pixels and fewer false ones.

    Args:
        before: counts of every image with the first method.
        after: counts of the same images with the second method.

    Returns:
        Indices of the images; ties keep the order of the set.

    Raises:
        ValueError: if the numbers of images differ.

    Example:
        >>> one, two = (Counts(images=1, targets=2, detected=n) for n in (1, 2))
        >>> rank_by_gain([one, one], [one, two])
        [1, 0]
    """
    gains = [
        (b.detected - a.detected, b.intersection - a.intersection + a.false_pixels - b.false_pixels)
        for a, b in zip(before, after, strict=True)
    ]
    return sorted(range(len(gains)), key=gains.__getitem__, reverse=True)


def hardest_images(
    maps: Sequence[RunMaps], number: int = 4, *, th1: float = 0.5, th2: float | None = None
) -> list[int]:
    """The images with the most missed targets and false alarms, over one or more methods.

    Args:
        maps: stored maps of every method, on the same images.
        number: maximum number of images.
        th1: threshold of strong targets, in [0, 1].
        th2: threshold of weak targets, in [0, 1]; None looks for none.

    Returns:
        Indices, hardest image first; ties keep the order of the set.

    Raises:
        ValueError: if there are no maps, their images differ, or ``number`` is below 1.

    Example:
        >>> from festkit.data import Dataset
        >>> hardest_images([RunMaps("nothing", (), Dataset("sky", "test", ()), ())])
        []
    """
    if not maps or number < 1:
        raise InputError(f"got {len(maps)} maps and {number} images, expected at least one of each")
    if any(each.dataset != maps[0].dataset for each in maps):
        raise InputError(
            f"the maps are of different images ({', '.join(each.title for each in maps)}); pass "
            "maps of the same split of one dataset"
        )
    errors = np.zeros(len(maps[0]), int)
    for each in maps:
        for index, image in enumerate(each):
            counts = count_targets(image.detect(th1, th2).mask, image.sample.mask)
            errors[index] += counts.targets - counts.detected + counts.false_targets
    return np.argsort(-errors, kind="stable")[:number].tolist()
