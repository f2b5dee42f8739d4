"""The threshold tuner: th1 and th2 dragged over probability maps, in the notebook.

Everything that moves with the sliders happens in the page, without the kernel: thresholding,
components, weak centroids, matching, painting. The page gets every image once, as numbers that
compare exactly as :func:`festkit.adjust_sensitivity` does, so what it shows is what Python finds.

Reading order: `frames` (what is tuned), `mapfiles` (maps of other programs), `sources` (where it
comes from), `figures` (of the whole set), `messages` (what goes to the page), `widget` (who answers
the page), `picture` (where there is no page), `serve` (in a browser, from the command line); then
``page/``.
"""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from IPython import get_ipython

from .._support.errors import InputError
from ..data.dataset import Dataset
from ..fest import FEST, Rule
from ..sensitivity import check_threshold
from ..training.run import Run
from . import sources
from .charts import STEPS, SetFigures, measure, nearest_tick
from .frames import Source, is_ordered


class ThresholdTuner:
    """Drag th1 and th2 over probability maps, and see every target and every figure follow.

    Displayed in JupyterLab or Voila it is a widget; in a notebook that is run headless, and in what
    is exported, a picture. Thresholds have four decimals; others are rounded.

    Args:
        probs: probability maps (H, W) in [0, 1], one per image, which may differ in size; for
            several scales their fused maps. A mapping gives the images' names along.
        masks: the truths (H, W), bool, if they are known; without them there are no figures.
        images: the gray images (H, W), uint8; without them the maps are shown.
        names: of the images; default the keys, or numbers.
        scale_maps: for every image its scales' own maps, at its size: weak targets then come from
            these, as in :func:`festkit.adjust_sensitivity`.
        th1: strong threshold at first, in [0, 1].
        th2: weak threshold at first, in [0, 1]; at most th1, unless the scales' own maps give weak
            targets: one scale may be above th2 where the mean of all is not above th1.

    Attributes:
        th1: strong threshold, as it stands in the page now; may be set, and takes th2 along where
            that has to be at most th1.
        th2: weak threshold, likewise.
        rule: "per_scale" or "fused", where weak targets come from when there are maps of scales;
            "fused" brings th2 down to th1.

    Raises:
        ValueError: for no maps, maps that are no probabilities, shapes or numbers that differ, or
            thresholds out of order or outside [0, 1].

    Example:
        >>> import numpy as np
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> tuner = ThresholdTuner([prob], [prob > 0], th1=0.5, th2=0.1)
        >>> tuner.figures().total.pd
        1.0
    """

    def __init__(
        self,
        probs: sources.Images,
        masks: sources.Images | None = None,
        images: sources.Images | None = None,
        *,
        names: Sequence[str] | None = None,
        scale_maps: sources.Images | None = None,
        th1: float = 0.5,
        th2: float = 0.1,
    ) -> None:
        self._open(sources.of_arrays(probs, masks, images, names, scale_maps), th1, th2)

    @classmethod
    def from_run(
        cls,
        *paths: str | Path | Run,
        split: str = "test",
        dataset: str | Path | None = None,
        root: str | Path | None = None,
        th1: float | None = None,
        th2: float | None = None,
    ) -> "ThresholdTuner":
        """The stored maps of a training run; of several runs, which are then scales that are fused.

        Saving writes the thresholds to the runs' records and into a FEST: in the folder of one run;
        beside several, named after their folders (``fest-tuned-64-eedm+96-eedm.safetensors``).

        Args:
            paths: run folders, in the order of the scales.
            split: "test", or "holdout", the training images that were kept from training.
            dataset: name or folder of the images; default the run's own: beside it, where they
                were when it was trained, or under the root.
            root: folder of the datasets; default FESTKIT_DATA, else ``data``.
            th1: strong threshold at first, in [0, 1]; default the one saved last, else 0.5.
            th2: weak threshold at first, in [0, 1], at most th1 unless several scales' own maps
                give weak targets; default likewise, else 0.1, or th1 where that is lower.

        Raises:
            FileNotFoundError: if a run is missing or has not finished, or its images are gone.
            ValueError: if runs and images do not belong together, or thresholds are out of order or
                outside [0, 1].
        """
        runs = [Run.of(path) for path in paths]
        source = sources.of_runs(runs, split=split, dataset=dataset, root=root)
        return cls._of(source, th1, th2)

    @classmethod
    def from_fest(
        cls, fest: FEST, dataset: Dataset, *, th1: float | None = None, th2: float | None = None
    ) -> "ThresholdTuner":
        """The maps that a FEST computes on a dataset; saving sets the FEST's thresholds.

        The maps stay in memory, 4 bytes per pixel and scale.

        Args:
            fest: trained networks.
            dataset: the images, with their truths.
            th1: strong threshold at first, in [0, 1]; default the FEST's.
            th2: weak threshold at first, in [0, 1], at most th1 unless several scales' own maps
                give weak targets; default the FEST's; if it has none, 0.1, or th1 where that is
                lower.

        Raises:
            ValueError: for a dataset without images, one that cannot be read, a FEST without gray
                statistics, or thresholds out of order or outside [0, 1].
        """
        return cls._of(sources.of_fest(fest, dataset), th1, th2)

    @classmethod
    def from_folder(
        cls,
        probs: str | Path,
        images: str | Path | None = None,
        masks: str | Path | None = None,
        *,
        allow_missing: bool = False,
        th1: float = 0.5,
        th2: float = 0.1,
    ) -> "ThresholdTuner":
        """Probability maps as gray image files of 8 or 16 bit, from any program.

        White is probability 1. Where no file of the folder has a level above 1, they are masks of 0
        and 1, and 1 is probability 1. Every file is read at once: a warning names maps that are
        high on most of the image, as if inverted, 0/1 files among brighter ones, and a set that is
        nowhere above 25 of 255.

        Args:
            probs: folder of the maps.
            images: folder of the images, of the same names but for the ending.
            masks: folder of the truths, likewise, or with ``_pixels0`` after the name.
            allow_missing: leave out, with a warning that counts them, names that one of the folders
                lacks, such as images that have no map; they count nowhere, not even in Pd.
            th1: strong threshold at first, in [0, 1].
            th2: weak threshold at first, in [0, 1], at most th1.

        Raises:
            FileNotFoundError: if a folder is missing, or a file that another folder has.
            ValueError: if there are no image files, one is unreadable or a picture in colours, two
                are of one name, all maps are inverted, levels are labels 1, 2, ... of objects, one
                file is a 0/1 mask among those of 0 and 255, or thresholds are out of order or
                outside [0, 1].
        """
        source = sources.of_folder(probs, images, masks, allow_missing=allow_missing)
        return cls._of(source, th1, th2)

    @classmethod
    def _of(cls, source: Source, th1: float | None, th2: float | None) -> "ThresholdTuner":
        tuner = cls.__new__(cls)
        tuner._open(source, th1, th2)
        return tuner

    def _open(self, source: Source, th1: float | None, th2: float | None) -> None:
        started: dict[str, Any] = {"th1": 0.5, "rule": "per_scale"} | {
            name: value for name, value in source.start.items() if value is not None
        }
        th1 = float(started["th1"] if th1 is None else th1)
        th2 = float(started.get("th2", min(0.1, th1)) if th2 is None else th2)
        for name, value in (("th1", th1), ("th2", th2)):
            check_threshold(name, value)
        first = source.read(0)  # refuses what cannot be shown, here and not in the page
        if th2 > th1 and is_ordered(first, started["rule"]):
            raise InputError(
                f"th2 is {th2}, above th1 = {th1}; weak targets lie below strong ones: pass "
                f"th2={th1} or less, or a higher th1"
            )
        self._source = source
        self._first: tuple[float, float, Rule] = th1, th2, started["rule"]

    def close(self) -> None:
        """Take the tuner from the page and close its files; for notebooks that make many."""
        if "widget" in self.__dict__:
            self.widget.close()
        self._source.close()

    @cached_property
    def widget(self) -> Any:
        """The widget itself, for layouts and links: ``jslink((tuner.widget, "th1"), ...)``."""
        from .widget import TunerWidget  # noqa: PLC0415 - headless runs need no widgets

        return TunerWidget(self._source, *self._first)

    @property
    def th1(self) -> float:
        """Strong threshold, as it stands in the page now."""
        return self._now[0]

    @th1.setter
    def th1(self, value: float) -> None:
        with self.widget.hold_sync():
            self.widget.th1 = value
            if self.widget.ordered:
                self.widget.th2 = min(self.widget.th2, value)

    @property
    def th2(self) -> float:
        """Weak threshold, as it stands in the page now."""
        return self._now[1]

    @th2.setter
    def th2(self, value: float) -> None:
        with self.widget.hold_sync():
            self.widget.th2 = value
            if self.widget.ordered:
                self.widget.th1 = max(self.widget.th1, value)

    @property
    def rule(self) -> Rule:
        """Where weak targets come from when there are maps of scales."""
        return self._now[2]

    @rule.setter
    def rule(self, value: Rule) -> None:
        if value not in get_args(Rule):
            raise InputError(f"unknown rule {value!r}; known are {', '.join(get_args(Rule))}")
        with self.widget.hold_sync():
            self.widget.rule = value
            if self.widget.ordered:
                self.widget.th2 = min(self.widget.th2, self.widget.th1)

    def figures(self) -> SetFigures:
        """Counts of every image at the thresholds as they stand now."""
        found = measure(self._source, *self._now)
        assert found is not None  # nobody ends it
        return found

    @property
    def _now(self) -> tuple[float, float, Rule]:
        """Thresholds and rule: the widget's, once there is one."""
        if "widget" in self.__dict__:
            return self.widget.th1, self.widget.th2, self.widget.rule
        th1, th2, rule = self._first
        return nearest_tick(th1) / STEPS, nearest_tick(th2) / STEPS, rule

    def __repr__(self) -> str:
        return f"ThresholdTuner({self._source.title}, th1={self.th1:g}, th2={self.th2:g})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """A widget where there is a page to show it; always a picture, for exports."""
        shell = get_ipython()
        if shell is not None and not hasattr(shell, "kernel"):
            return {"text/plain": repr(self)}  # a terminal shows no pictures
        from . import export as picture  # noqa: PLC0415 - drawing is slow to import

        if has_page():
            drawn = [picture.draw_frame(self._source.read(self.widget.index), *self._now)]
            bundle = self.widget._repr_mimebundle_()[0] | {"text/plain": repr(self)}
        else:
            found = self.figures()
            drawn = picture.draw_set(self._source, found)
            bundle = {"text/plain": picture.as_text(self._source, found)}
        return bundle | {"image/png": picture.as_png(drawn)}


def has_page() -> bool:
    """Whether this notebook is open in a page that can show widgets.

    A kernel run headless (papermill, nbconvert) is told so: nobody could answer its ``input()``.
    Voila runs notebooks the same way, but shows them.
    """
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return True
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    parent = kernel.get_parent("shell")
    return bool(parent.get("content", {}).get("allow_stdin", False))
