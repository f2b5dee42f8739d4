"""ROC and precision–recall of pixels and Pd–Fa curve of targets, over the strong threshold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.arguments import ArrayValues, check_range
from ..metrics import FA_LIMIT

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ROC(ArrayValues):
    """Rates at T ascending thresholds.

    Attributes:
        thresholds: (T,) in [0, 1].
        tpr: (T,) true-positive rate of pixels, in [0, 1].
        fpr: (T,) false-positive rate of pixels, in [0, 1].
        pd: (T,) detection rate of targets, in [0, 1].
        fa: (T,) false-alarm rate, a plain fraction.
        precision: (T,) precision of pixels, in [0, 1], NaN where nothing is predicted; None if it
            is not known.

    Example:
        >>> curve = ROC(np.array([0.5]), *np.array([[0.8], [0.1], [1.0], [1e-5]]))
        >>> round(curve.auc, 2)
        0.85
    """

    thresholds: Floats
    tpr: Floats
    fpr: Floats
    pd: Floats
    fa: Floats
    precision: Floats | None = None

    def _facts(self) -> dict[str, Any]:
        """Number of thresholds and the two areas, by name."""
        areas = {"auc": f"{self.auc:.4f}", "pd_auc": f"{self.pd_auc():.4f}"}
        return {"thresholds": len(self.thresholds), **areas}

    @property
    def auc(self) -> float:
        """Area under tpr over fpr from (0, 0) to (1, 1), linear between thresholds."""
        fpr = np.concatenate([[0.0], self.fpr[::-1], [1.0]])
        tpr = np.concatenate([[0.0], self.tpr[::-1], [1.0]])
        return float((np.diff(fpr) * (tpr[1:] + tpr[:-1])).sum() / 2)

    @property
    def pr_auc(self) -> float:
        """Area under precision over recall, in steps; NaN if the precision is not known.

        It is the sum over the thresholds of the gain in recall times the precision.
        """
        if self.precision is None:
            return float("nan")
        gains = self.tpr - np.append(self.tpr[1:], 0.0)
        return float((gains * np.nan_to_num(self.precision)).sum())

    def pd_auc(self, max_fa: float = FA_LIMIT) -> float:
        """Mean Pd over the false-alarm rates from 0 to ``max_fa``, in [0, 1]: see :meth:`pd_steps`.

        Raises:
            ValueError: if ``max_fa`` is not in (0, 1].
        """
        fa, pd = self.pd_steps(max_fa)
        return float((pd[:-1] * np.diff(fa)).sum() / max_fa)

    def pd_steps(self, max_fa: float = FA_LIMIT) -> tuple[Floats, Floats]:
        """Corners of the curve of Pd over Fa, from Fa = 0 to ``max_fa``.

        At every Fa, the curve is the highest Pd of all thresholds with at most this Fa. It has
        steps instead of straight lines, since there is no threshold between two neighbours.

        Raises:
            ValueError: if ``max_fa`` is not in (0, 1].
        """
        check_range("max_fa", max_fa, "(0, 1]", "a false-alarm rate")
        order = np.lexsort((-self.pd, self.fa))
        order = order[self.fa[order] <= max_fa]
        fa = np.concatenate([[0.0], self.fa[order], [max_fa]])
        pd = np.maximum.accumulate(np.concatenate([[0.0], self.pd[order], [0.0]]))
        return fa, pd
