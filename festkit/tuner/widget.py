"""The widget, which answers requests of the page.

The page requests single images, the metrics at its thresholds, and the surface once. Images are
sent immediately. Metrics and surface require reading the whole set, so they are computed in
threads. A new request cancels an older one of the same kind.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, get_args

import anywidget
import traitlets

from .._support.errors import InputError
from ..model import Rule
from ..sensitivity import check_threshold
from ..surface import ThresholdSurface
from .charts import (
    CHUNK,
    STEPS,
    Message,
    SetMetrics,
    frame_message,
    measure,
    measure_all,
    nearest_tick,
    setup,
    surface_message,
    thumbnails_message,
)
from .frames import Source, is_ordered

Question = dict[str, Any]

PAGE = Path(__file__).parent / "page"

SCRIPTS = ("canvas.js", "detect.js", "viewer.js", "charts.js", "controls.js", "tuner.js")
"""The page, in reading order; together they are one module."""


def page_script() -> str:
    """The JavaScript module of the page."""
    return "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)


class TunerWidget(anywidget.AnyWidget):
    """Widget model: the current thresholds, and answers to requests of the page.

    Attributes:
        th1: strong threshold, a whole multiple of 1e-4 in [0, 1].
        th2: weak threshold, likewise.
        rule: source of weak targets.
        index: index of the displayed image.
    """

    _esm = traitlets.Unicode(page_script()).tag(sync=True)
    _css = traitlets.Unicode((PAGE / "tuner.css").read_text(encoding="utf-8")).tag(sync=True)

    setup = traitlets.Dict().tag(sync=True)
    th1 = traitlets.Float(0.5).tag(sync=True)
    th2 = traitlets.Float(0.1).tag(sync=True)
    rule = traitlets.Enum(get_args(Rule), "per_scale").tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    def __init__(self, source: Source, th1: float, th2: float, rule: Rule) -> None:
        self._first = source.read(0)
        super().__init__(setup=setup(source, self._first), th1=th1, th2=th2, rule=rule)
        self._source = source
        self._surfaces: dict[str, ThresholdSurface] = {}
        self._newest: dict[str, Question] = {}
        self._asking = Lock()  # or a worker could strike out a question that has just come
        self._workers = {
            name: ThreadPoolExecutor(1) for name in ("metrics", "surface", "save", "thumbnails")
        }
        self.on_msg(self._answer)

    def close(self) -> None:
        """Remove the widget from its pages and stop its computations."""
        with self._asking:
            self._newest.clear()
        for worker in self._workers.values():
            worker.shutdown(wait=False, cancel_futures=True)
        super().close()

    @property
    def ordered(self) -> bool:
        """Whether th2 must not exceed th1 under the current rule."""
        return is_ordered(self._first, self.rule)

    @traitlets.validate("th1", "th2")
    def _rounded(self, proposal: Any) -> float:
        """A threshold in [0, 1] as a whole multiple of 1e-4."""
        check_threshold(proposal["trait"].name, proposal["value"])
        return nearest_tick(proposal["value"]) / STEPS

    def _answer(self, _: Any, question: Question, __: Any = None) -> None:
        """Answer one question of the page, or of one of several pages."""
        kind = question.get("type")
        if kind == "image":
            self._reply(self._image, question)
        elif kind in self._workers and (kind == "save" or self._newest.get(kind) != question):
            with self._asking:  # one that equals the newest is under way
                self._newest[kind] = question
            self._workers[kind].submit(self._reply, getattr(self, f"_{kind}"), question)

    def _reply(self, answer: Callable[[Question], Message | None], question: Question) -> None:
        """Send the answer to a question, or the error."""
        try:
            message = answer(question)
        except Exception as error:  # the page shows it; otherwise it would wait for ever
            content = {"type": "error", "about": question["type"], "text": str(error)}
            message = content | {k: question[k] for k in ("index", "rule") if k in question}, []
        with self._asking:
            if self._newest.get(question["type"]) is question:
                del self._newest[question["type"]]
        if message is not None and self.comm is not None:
            self.send(*message)

    def _watch(self, question: Question) -> Callable[[int], bool]:
        """Tell the page how far a question is, and stop when a newer one came."""

        def watch(done: int) -> bool:
            """Send progress; whether the question is still the newest."""
            if done and done % CHUNK == 0:
                total = len(self._source)
                self.send({"type": "progress", "about": question["type"], "done": done / total})
            return self._newest.get(question["type"]) is question

        return watch

    def _image(self, question: Question) -> Message:
        """One image with its maps."""
        index = int(question["index"])
        return frame_message(self._source.read(index), index)

    def _measured(self, question: Question, watch: Callable[[int], bool]) -> Any:
        """The metrics at the thresholds of a question."""
        th1, th2 = (nearest_tick(float(question[name])) / STEPS for name in ("th1", "th2"))
        return measure(self._source, th1, th2, question["rule"], watch)

    def _metrics(self, question: Question) -> Message | None:
        """The metrics of the set and of every image."""
        found: SetMetrics | None = self._measured(question, self._watch(question))
        if found is None:
            return None
        content = {"type": "metrics"} | found.chosen
        records = [counts.record().items() for counts in found.counts]
        rows = [{name: value for name, value in each if value is not None} for each in records]
        targets = {"strong": found.strong, "weak": found.weak, "marks": found.marks}
        return content | targets | {"total": found.record(), "rows": rows}, []

    def _surface(self, question: Question) -> Message | None:
        """The metrics over both thresholds."""
        rule = question["rule"]
        surface = self._surfaces.get(rule) or measure_all(self._source, rule, self._watch(question))
        if surface is None:
            return None
        self._surfaces[rule] = surface
        return surface_message(surface, rule)

    def _thumbnails(self, _: Question) -> Message:
        """All images, small."""
        return thumbnails_message(self._source)

    def _save(self, question: Question) -> Message:
        """Keep the thresholds of a question."""
        if self._source.keep is None:
            raise InputError(
                "thresholds cannot be saved, since these maps belong to no run or FEST; copy the "
                "thresholds as code"
            )
        found: SetMetrics = self._measured(question, lambda done: True)
        tuned = found.chosen | {"chosen_on": dict(self._source.images)} | found.record()
        text = f"{found.th1:g} / {found.th2:g} saved to {self._source.keep(tuned)}"
        if self._source.images.get("protocol") == "paper":
            text += "\nThey were chosen on test images: say so when you report metrics on these."
        return {"type": "saved", "th1": found.th1, "th2": found.th2, "text": text}, []
