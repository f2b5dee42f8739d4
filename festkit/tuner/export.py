"""The tuner without a browser: a static picture and a table."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..metrics import METRICS
from ..model import Rule
from ..plots import plot_surface, show
from ..tables.records import summary_table
from .charts import SetMetrics, measure_all
from .frames import Frame, Source, detect, is_ordered

DPI = 100


def draw_frame(frame: Frame, th1: float, th2: float, rule: Rule) -> Any:
    """Draw one image with its detections, and its targets enlarged."""
    gray = np.rint(frame.prob * 255).astype(np.uint8) if frame.image is None else frame.image
    return show(gray, detect(frame, th1, th2, rule), frame.mask)


def draw_set(source: Source, found: SetMetrics) -> list[Any]:
    """Draw the image with the most weak targets, and Score over both thresholds."""
    richest = max(range(len(source)), key=lambda k: (found.weak[k], found.strong[k]))
    figures = [draw_frame(source.read(richest), found.th1, found.th2, found.rule)]
    figures[0].suptitle(_headline(source, found), x=0.01, ha="left", weight="bold", fontsize=11)
    surface = measure_all(source, found.rule) if found.counts and found.total.targets else None
    if surface is not None:
        ordered = is_ordered(source.read(richest), found.rule)
        figures.append(plot_surface(surface, ordered=ordered, at=(found.th1, found.th2)))
    return figures


def as_png(figures: Sequence[Any]) -> bytes:
    """Stack figures vertically in one PNG file."""
    pictures = [_image(figure) for figure in figures]
    size = max(each.width for each in pictures), sum(each.height for each in pictures)
    sheet, top = Image.new("RGB", size, "white"), 0
    for each in pictures:
        sheet.paste(each, ((sheet.width - each.width) // 2, top))
        top += each.height
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def as_text(source: Source, found: SetMetrics) -> str:
    """The metrics of the set, labelled with their thresholds."""
    if not found.counts:
        return _headline(source, found)
    head = f"{source.title}, th1 {found.th1:g}, th2 {found.th2:g}"
    table = summary_table({"now": found.total}).T
    ends = [found.record()["intervals"].get(name) or (None,) for name in METRICS]
    spans = zip(METRICS.values(), ends, strict=True)
    table["95 % interval"] = [" to ".join(map(metric.text, pair)) for metric, pair in spans]
    return f"{head}\n{table.to_string()}"


def _headline(source: Source, found: SetMetrics) -> str:
    """Everything in two lines."""
    head = f"{source.title}\n{len(source)} images at th1 {found.th1:g}, th2 {found.th2:g}: "
    if not found.counts:
        return f"{head}{sum(found.strong)} strong and {sum(found.weak)} weak targets"
    metrics = summary_table({"now": found.total}).loc["now"]
    return head + ", ".join(f"{name} {value}" for name, value in metrics.items())


def _image(figure: Any) -> Image.Image:
    """A figure as a picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return Image.open(file).convert("RGB")
