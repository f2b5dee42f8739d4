"""Title, unit and scale of each metric, shared by tables and plots."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a ratio is printed.

    Attributes:
        name: name of the ratio in :class:`Counts`.
        title: name in tables and plots.
        unit: unit of the printed number.
        scale: factor from the ratio to the printed number.

    Example:
        >>> METRICS["fa"].head, METRICS["fa"].text(3.25e-6)
        ('Fa [10⁻⁶]', '3.25')
    """

    name: str
    title: str
    unit: str = "%"
    scale: float = 100.0

    @property
    def head(self) -> str:
        """Title and unit, for table heads and axes."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title

    def text(self, ratio: float | None, sign: str = "") -> str:
        """The printed number, two decimals; "–" for None and NaN; with its sign if it is "+"."""
        return "–" if ratio is None or math.isnan(ratio) else f"{self.scale * ratio:{sign}.2f}"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("iou", "IoU"),
        Metric("niou", "nIoU"),
        Metric("pd", "Pd"),
        Metric("fa", "Fa", "10⁻⁶", 1e6),
        Metric("score", "Score"),
    )
}
"""The metrics of tables, in the order of their columns."""

ALL_METRICS = METRICS | {
    metric.name: metric
    for metric in (
        Metric("precision", "precision"),
        Metric("recall", "recall"),
        Metric("f1", "F1"),
        Metric("hiou", "hIoU"),
        Metric("target_iou", "target IoU"),
        Metric("target_iou_point", "target IoU, point (to 9 px)"),
        Metric("target_iou_spot", "target IoU, spot (to 81 px)"),
        Metric("target_iou_extended", "target IoU, extended"),
        Metric("false_per_frame", "false alarms per frame", "", 1),
        Metric("false_per_megapixel", "false alarms per megapixel", "", 1),
        Metric("ap50", "AP50"),
        Metric("box_precision", "box precision"),
        Metric("box_recall", "box recall"),
        Metric("roc_auc", "area under ROC"),
        Metric("pr_auc", "area under PR"),
        Metric("pd_auc", "mean Pd to Fa 10⁻⁴"),
    )
}
"""The metrics of an evaluation of predictions, in the order of its rows."""
