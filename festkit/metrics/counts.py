"""Counts and their ratios (paper section 4.2, equations 9 to 12)."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from .._support.arguments import html_table
from .names import METRICS, Metric

FA_LIMIT = 1e-4
"""A Score is valid only if Fa is below this (paper section 4.2)."""


@dataclass(frozen=True)
class Sums:
    """Counts that add with ``+``, and the two ratios that all of them know."""

    ratios: ClassVar[tuple[str, ...]]

    pixels: int = 0
    targets: int = 0
    detected: int = 0
    false_pixels: int = 0

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def parts(self) -> dict[str, tuple[Any, Any]]:
        """Numerator and denominator of every ratio that is one fraction, by its name.

        Example:
            >>> Counts(targets=4, detected=3).parts()["pd"]
            (3, 4)
        """
        return {"pd": (self.detected, self.targets), "fa": (self.false_pixels, self.pixels)}

    @property
    def pd(self) -> float:
        """Detection rate: matched targets / targets, in [0, 1] (equation 10)."""
        return self._ratio("pd")

    @property
    def fa(self) -> float:
        """False-alarm rate: false pixels / all pixels, a plain fraction (equation 11)."""
        return self._ratio("fa")

    def record(self) -> dict[str, int | float | bool | None]:
        """Counts and ratios by name, ready for JSON: None for an undefined ratio.

        Example:
            >>> record = Counts(images=1, pixels=4, intersection=1, predicted=1, true=2).record()
            >>> record["iou"], record["pd"]
            (0.5, None)
        """
        counts: dict[str, int | float | bool | None] = asdict(self)
        return counts | {name: null_if_nan(getattr(self, name)) for name in self.ratios}

    def _ratio(self, name: str) -> float:
        """A ratio by name; NaN if its denominator is 0."""
        part, whole = self.parts()[name]
        return part / whole if whole else math.nan

    def _repr_html_(self) -> str:
        """The ratios as a table, for Jupyter; "–" for none and for a void Score."""
        record = self.record()
        values = record | ({} if record.get("valid", True) else {"score": None})
        named = {n: METRICS.get(n) or Metric(n, n.replace("_", " ")) for n in self.ratios}
        facts = {metric.head: metric.text(values[name]) for name, metric in named.items()}
        return html_table(type(self).__name__, facts)


@dataclass(frozen=True)
class Counts(Sums):
    """Counts of one or more images for all metrics; they can be added with ``+``.

    Attributes:
        images: number of images.
        empty: images without true or predicted pixels.
        pixels: number of pixels.
        intersection: pixels predicted and true.
        predicted: pixels predicted.
        true: pixels true.
        iou_sum: sum over images of intersection / union; an empty image adds 0.
        targets: true targets, 8-connected.
        detected: true targets matched by a predicted one.
        false_pixels: predicted pixels outside matched predicted targets.
        ratios: names of the ratios.

    Example:
        >>> a = Counts(images=1, pixels=100, intersection=3, predicted=3, true=4, iou_sum=0.75,
        ...            targets=1, detected=1, false_pixels=0)
        >>> (a + a).iou, (a + a).pd, (a + a).valid
        (0.75, 1.0, True)
    """

    ratios = (
        "iou", "niou", "niou_nonempty", "precision", "recall", "f1", "pd", "fa", "score",
    )  # fmt: skip

    images: int = 0
    empty: int = 0
    intersection: int = 0
    predicted: int = 0
    true: int = 0
    iou_sum: float = 0.0

    @property
    def union(self) -> int:
        """Pixels predicted or true."""
        return self.predicted + self.true - self.intersection

    def parts(self) -> dict[str, tuple[Any, Any]]:
        """Numerator and denominator of every ratio but Score, by its name.

        Example:
            >>> Counts(images=1, intersection=1, predicted=1, true=2).parts()["iou"]
            (1, 2)
        """
        return super().parts() | {
            "iou": (self.intersection, self.union),
            "niou": (self.iou_sum, self.images),
            "niou_nonempty": (self.iou_sum, self.images - self.empty),
            "precision": (self.intersection, self.predicted),
            "recall": (self.intersection, self.true),
            "f1": (2 * self.intersection, self.predicted + self.true),
        }

    @property
    def iou(self) -> float:
        """Foreground intersection over union of the whole set, in [0, 1] (equation 9)."""
        return self._ratio("iou")

    @property
    def niou(self) -> float:
        """Mean over images of intersection over union, in [0, 1].

        An image without true or predicted pixels (0/0) counts as 0, as in the published evaluation.
        """
        return self._ratio("niou")

    @property
    def niou_nonempty(self) -> float:
        """The same mean without images that have no true or predicted pixels, in [0, 1]."""
        return self._ratio("niou_nonempty")

    @property
    def precision(self) -> float:
        """Predicted pixels that are true, in [0, 1]."""
        return self._ratio("precision")

    @property
    def recall(self) -> float:
        """True pixels that are predicted, in [0, 1]."""
        return self._ratio("recall")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall (Dice), in [0, 1]; 0 if one side is empty."""
        return self._ratio("f1")

    @property
    def score(self) -> float:
        """0.5 IoU + 0.5 Pd, in [0, 1] (equation 12); see :attr:`valid`."""
        return 0.5 * self.iou + 0.5 * self.pd

    @property
    def valid(self) -> bool:
        """Whether Score is defined and Fa is below 1e-4, as the paper requires."""
        return not math.isnan(self.score) and self.fa < FA_LIMIT

    def record(self) -> dict[str, int | float | bool | None]:
        """Counts, union, ratios and validity by name, ready for JSON.

        Example:
            >>> Counts(images=1, pixels=4, intersection=1, predicted=1, true=2).record()["union"]
            2
        """
        return super().record() | {"union": self.union, "valid": self.valid}


@dataclass(frozen=True)
class TargetCounts(Sums):
    """Counts of one or more images for target metrics; they can be added with ``+``.

    Attributes:
        pixels: number of pixels of the images.
        targets: true targets, 8-connected.
        detected: true targets matched by a predicted one.
        false_targets: predicted targets without a match.
        false_pixels: pixels of these targets.
        iou_sum: sum over matched pairs of the pixel IoU of their two targets.
        ratios: names of the ratios.

    Example:
        >>> a = TargetCounts(pixels=100, targets=2, detected=1, false_targets=1, iou_sum=0.75)
        >>> a.pd, a.precision, a.target_iou, a.hiou
        (0.5, 0.5, 0.75, 0.25)
    """

    ratios = ("pd", "fa", "precision", "f1", "target_iou", "hiou")

    false_targets: int = 0
    iou_sum: float = 0.0

    def parts(self) -> dict[str, tuple[Any, Any]]:
        """Numerator and denominator of every ratio, by its name.

        Example:
            >>> TargetCounts(targets=3, detected=2, iou_sum=1.5).parts()["target_iou"]
            (1.5, 2)
        """
        return super().parts() | {
            "precision": (self.detected, self.detected + self.false_targets),
            "f1": (2 * self.detected, self.targets + self.detected + self.false_targets),
            "target_iou": (self.iou_sum, self.detected),
            "hiou": (self.iou_sum, self.targets + self.false_targets),
        }

    @property
    def precision(self) -> float:
        """Predicted targets that are matched, in [0, 1]."""
        return self._ratio("precision")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and Pd, in [0, 1]; 0 if one side is empty."""
        return self._ratio("f1")

    @property
    def target_iou(self) -> float:
        """Mean pixel IoU of the matched pairs, in [0, 1]: segmentation quality of found targets."""
        return self._ratio("target_iou")

    @property
    def hiou(self) -> float:
        """Hierarchical IoU, in [0, 1]: IoU of localisation times :attr:`target_iou`.

        Localisation IoU is detected / (targets + false targets). The factor "detected" cancels out,
        so the result is 0 if nothing is detected.
        """
        return self._ratio("hiou")


def null_if_nan(value: float) -> float | None:
    """The number, or None for NaN, for JSON.

    Example:
        >>> null_if_nan(0.5), null_if_nan(math.nan)
        (0.5, None)
    """
    return None if math.isnan(value) else value
