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
        return f"{self.title} [{self.unit}]"

    def text(self, ratio: float | None) -> str:
        """The printed number, two decimals; "–" for None and NaN."""
        return "–" if ratio is None or math.isnan(ratio) else f"{self.scale * ratio:.2f}"


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
