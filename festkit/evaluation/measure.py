"""The figures of one method on the images of a dataset, with 95 % intervals over images."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.images import Mask
from ..metrics import (
    ALL_METRICS,
    SIZE_CLASSES,
    BoxMatches,
    Counts,
    RankedBoxes,
    TargetCounts,
    average_precision,
    confidence_intervals,
    count,
    count_size_classes,
    mask_boxes,
    match_boxes,
    rank_boxes,
    record_of,
)
from ..metrics.matching import SizeClass
from ..ops.size_classes import MOST_SHARE
from ..sensitivity import adjust_sensitivity
from ..surface import ROC, ThresholdSurface, threshold_surface
from .predictions import Predictions

DRAWS = 1000
"""Draws of images for the intervals of what is no ratio of sums, with seed 0."""

THRESHOLDS = tuple(np.arange(1, 51) / 50)
"""Of the curves."""

Floats = NDArray[np.float64]


class ImageScores(NamedTuple):
    """What one image contributes; boxes have no counts, and masks no curve.

    Attributes:
        counts: pixels and targets.
        targets: target by target, of all (None) and of every size class.
        boxes: boxes compared with those of the true targets.
        surface: counts at every threshold.
        graded: whether the map, as stored, has values between 0 and 1.
    """

    counts: Counts | None
    targets: dict[SizeClass | None, TargetCounts]
    boxes: BoxMatches
    surface: ThresholdSurface | None
    graded: bool


def score_image(
    found: Predictions,
    name: str,
    mask: Mask,
    *,
    th1: float,
    th2: float | None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> ImageScores:
    """Compare the prediction of one image with its mask.

    Args:
        found: predictions of the method.
        name: name of the image.
        mask: (H, W) true mask.
        th1: threshold of maps.
        th2: threshold of weak targets; None for none.
        thresholds: of the curves, which have the same weak targets; none if empty.

    Raises:
        UnusableError: if the prediction cannot be used.
    """
    true = mask_boxes(mask).box
    if found.boxes is not None:
        return ImageScores(
            None, {}, match_boxes(found.boxes_of(name, mask.shape), true), None, False
        )
    stored = found.stored(name, mask.shape)
    prob = found.resized(name, stored, mask.shape)
    pred = adjust_sensitivity(prob, th1, th2).mask
    if pred.mean() > MOST_SHARE:
        found.faults["inverted"].append(name)
    boxes = match_boxes(mask_boxes(pred, prob), true)
    surface = None
    if len(thresholds):
        weak = [1.0 if th2 is None else th2]
        surface = threshold_surface([prob], [mask], thresholds, weak, workers=1, quiet=True)
    graded = bool(((stored > 0) & (stored < 1)).any())
    return ImageScores(count(pred, mask), count_size_classes(pred, mask), boxes, surface, graded)


@dataclass(frozen=True)
class Scores:
    """What all images of a method contribute, in one order."""

    images: Sequence[ImageScores]

    @cached_property
    def counts(self) -> list[Counts]:
        """Counts of every image; empty for boxes."""
        return [each.counts for each in self.images if each.counts is not None]

    @cached_property
    def surface(self) -> ThresholdSurface | None:
        """Counts of all images at every threshold; None for masks and boxes."""
        parts = [each.surface for each in self.images if each.surface is not None]
        if not parts or not any(each.graded for each in self.images):
            return None
        return sum(parts[1:], parts[0])

    @property
    def roc(self) -> ROC | None:
        """The curves; None for masks, boxes, and sets without targets."""
        surface = self.surface
        if not surface or not 0 < surface.true < surface.pixels:
            return None
        return surface.roc(float(surface.th2[0]))

    def targets(self, size: SizeClass | None = None) -> list[TargetCounts]:
        """Target counts of every image, of one size class."""
        return [each.targets[size] for each in self.images if each.targets]

    def record(self) -> dict[str, Any]:
        """Every metric by name, and under ``intervals`` its ends; undefined ones are None.

        Of boxes, only what is defined by boxes is there.
        """
        values, ends = self.ratios(), {}
        record: dict[str, Any] = record_of(self.counts) if self.counts else {"valid": True}
        if len(self.images) > 1:
            ends = self.ratio_intervals() | self.drawn_intervals(self.others)
        record |= values | self.others(np.ones(len(self.images)))
        return _tidy(record, ends)

    def difference(self, baseline: "Scores") -> dict[str, Any]:
        """The paired difference to another method on the same images, as :meth:`record`."""
        ours, theirs = self.record(), baseline.record()
        names = [n for n in ALL_METRICS if None not in (ours.get(n), theirs.get(n))]
        record = {name: ours[name] - theirs[name] for name in names}
        ends: dict[str, Any] = {}
        if len(self.images) > 1:
            if self.counts and baseline.counts:
                ends |= self.ratio_intervals(baseline)

            def gain(weights: Floats) -> dict[str, float]:
                other = baseline.others(weights)
                return {n: v - other[n] for n, v in self.others(weights).items() if n in other}

            ends |= self.drawn_intervals(gain)
        return _tidy(record | {"valid": ours["valid"] and theirs["valid"]}, ends)

    def ratios(self) -> dict[str, float]:
        """Target metrics that are ratios of sums; Counts has the others."""
        if not self.counts:
            return {}
        return {
            name: getattr(sum(self.targets(size), TargetCounts()), ratio)
            for name, ratio, size in TARGET_RATIOS
        }

    def ratio_intervals(self, baseline: "Scores | None" = None) -> dict[str, Any]:
        """Their intervals and those of Counts, by linearisation."""
        if not self.counts:
            return {}
        other = None if baseline is None else baseline.counts
        ends: dict[str, Any] = dict(confidence_intervals(self.counts, baseline=other))
        for name, ratio, size in TARGET_RATIOS:
            pair = None if baseline is None else baseline.targets(size)
            ends[name] = confidence_intervals(self.targets(size), baseline=pair)[ratio]
        return ends

    def others(self, weights: Floats) -> dict[str, float]:
        """All other metrics, with every image counted as often as its weight says."""
        sums = {name: float(weights @ values) for name, values in self._sums.items()}
        found = {"ap50": average_precision(self._ranked, weights)}
        found["box_precision"] = _ratio(sums["hits"], sums["boxes"])
        found["box_recall"] = _ratio(sums["hits"], sums["true"])
        if self.counts:
            found["false_per_frame"] = _ratio(sums["false"], float(weights.sum()))
            found["false_per_megapixel"] = _ratio(1e6 * sums["false"], sums["pixels"])
        if self.surface is not None:
            found |= self._areas(weights)
        return found

    def drawn_intervals(self, measure: Callable[[Floats], dict[str, float]]) -> dict[str, Any]:
        """Percentile intervals of a measure over draws of as many images."""
        images = len(self.images)
        generator = np.random.default_rng(0)
        draws = generator.multinomial(images, np.full(images, 1 / images), DRAWS).astype(float)
        found = [measure(weights) for weights in draws]
        ends = {}
        for name in found[0]:
            values = np.array([each[name] for each in found])
            known = values[~np.isnan(values)]
            ends[name] = tuple(np.percentile(known, (2.5, 97.5)).tolist()) if len(known) else None
        return ends

    @cached_property
    def _ranked(self) -> RankedBoxes:
        """The boxes of all images."""
        return rank_boxes([each.boxes for each in self.images])

    @cached_property
    def _sums(self) -> dict[str, Floats]:
        """(images,) numbers that ratios are made of."""
        boxes = [each.boxes for each in self.images]
        lists: dict[str, Sequence[int]] = {
            "hits": [int(each.hit.sum()) for each in boxes],
            "boxes": [len(each.hit) for each in boxes],
            "true": [each.targets for each in boxes],
            "false": [each.false_targets for each in self.targets()] or [0] * len(boxes),
            "pixels": [each.pixels for each in self.counts] or [0] * len(boxes),
        }
        return {name: np.array(values, float) for name, values in lists.items()}

    @cached_property
    def _tables(self) -> dict[str, Floats]:
        """(images, thresholds) tables and (images, 1) sums of the surfaces, by name."""
        names = ("predicted", "intersection", "detected", "matched", "true", "pixels", "targets")
        surfaces = [each.surface for each in self.images]
        return {n: np.array([np.ravel(getattr(s, n)) for s in surfaces], float) for n in names}

    def _areas(self, weights: Floats) -> dict[str, float]:
        """Areas under the curves."""
        t = {name: weights @ table for name, table in self._tables.items()}
        with np.errstate(invalid="ignore", divide="ignore"):
            false = t["predicted"] - t["intersection"]
            rates = t["intersection"] / t["true"], false / (t["pixels"] - t["true"])
            targets = t["detected"] / t["targets"], (t["predicted"] - t["matched"]) / t["pixels"]
            curve = ROC(np.array(()), *rates, *targets, t["intersection"] / t["predicted"])
        return {"roc_auc": curve.auc, "pr_auc": curve.pr_auc, "pd_auc": curve.pd_auc()}


TARGET_RATIOS: list[tuple[str, str, Any]] = [
    *((name, name, None) for name in ("hiou", "target_iou")),
    *((f"target_iou_{size}", "target_iou", size) for size in SIZE_CLASSES),
]
"""Metric, its name in TargetCounts, and the size class."""


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _tidy(record: dict[str, Any], ends: dict[str, Any]) -> dict[str, Any]:
    """The record with its intervals, None for NaN, ready for JSON."""

    def plain(value: Any) -> Any:
        return None if isinstance(value, float) and math.isnan(value) else value

    intervals = {
        name: None if pair is None or math.isnan(pair[0]) else tuple(pair)
        for name, pair in ends.items()
        if name in record
    }
    return {name: plain(value) for name, value in record.items()} | {"intervals": intervals}
