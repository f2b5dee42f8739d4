"""The class ThresholdTuner: probability maps in, thresholds and metrics out."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from IPython import get_ipython

from .._support.errors import InputError
from .._support.names import find_name
from ..data.dataset import Dataset
from ..model import Model, Rule
from ..sensitivity import check_threshold
from ..training.run import Run
from . import sources
from .charts import STEPS, SetMetrics, measure, nearest_tick
from .frames import Source, is_ordered


class ThresholdTuner:
    """Drag th1 and th2 over probability maps and see every target and metric change.

    JupyterLab and Voila show a widget; headless runs and exports show a picture. Thresholds are
    rounded to four decimals.

    Args:
        probs: probability maps (H, W) in [0, 1], one per image, of any size; for several scales the
            fused maps. A mapping also sets the names.
        masks: true masks (H, W), bool; without them there are no metrics.
        images: gray images (H, W), uint8; without them the maps are shown.
        names: names of the images; default: the keys of ``probs``, or numbers.
        scale_maps: for every image, the maps of its scales at the size of the image. Weak targets
            then come from these maps, as in :func:`festkit.adjust_sensitivity`.
        th1: initial strong threshold, in [0, 1].
        th2: initial weak threshold, in [0, 1]; at most th1, unless weak targets come from
            ``scale_maps``.

    Attributes:
        th1: current strong threshold. Setting it lowers th2 if th2 must not exceed th1.
        th2: current weak threshold. Setting it raises th1 likewise.
        rule: "per_scale" or "fused": source of weak targets for several scales. "fused" lowers th2
            to at most th1.

    Raises:
        ValueError: if there are no maps, maps are not probabilities, shapes or numbers differ, or
            thresholds are out of order or outside [0, 1].

    Example:
        >>> import numpy as np
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> tuner = ThresholdTuner([prob], [prob > 0], th1=0.5, th2=0.1)
        >>> tuner.metrics().total.pd
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
        """Tune the stored maps of a training run, or of several runs that are fused as scales.

        Saving writes the thresholds to the runs' records and into a FEST. It is saved in the folder
        of a single run, or next to several runs, named after them
        (``fest-tuned-64-eedm+96-eedm.safetensors``).

        Args:
            paths: run folders, in the order of the scales.
            split: "test", or "holdout" (the training images held out for validation).
            dataset: name or folder of the images; default: the dataset of the run.
            root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
            th1: initial strong threshold, in [0, 1]; default: the last saved value, else 0.5.
            th2: initial weak threshold, in [0, 1], at most th1 unless weak targets come from
                several scales; default: the last saved value, else the lower of 0.1 and th1.

        Raises:
            FileNotFoundError: if a run is missing or has not finished, or its images are missing.
            ValueError: if the images are not those of the runs, or thresholds are out of order or
                outside [0, 1].
        """
        runs = [Run.of(path) for path in paths]
        return cls._of(sources.of_runs(runs, split=split, dataset=dataset, root=root), th1, th2)

    @classmethod
    def from_fest(
        cls, fest: Model, dataset: Dataset, *, th1: float | None = None, th2: float | None = None
    ) -> "ThresholdTuner":
        """Tune the maps that a FEST computes on a dataset; saving sets the FEST's thresholds.

        The maps are kept in memory, 4 bytes per pixel and scale.

        Args:
            fest: trained networks.
            dataset: the images, with their true masks.
            th1: initial strong threshold, in [0, 1]; default: the FEST's.
            th2: initial weak threshold, in [0, 1], at most th1 unless weak targets come from
                several scales; default: the FEST's, else the lower of 0.1 and th1.

        Raises:
            ValueError: if the dataset has no images or cannot be read, the FEST has no gray
                statistics, or thresholds are out of order or outside [0, 1].
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
        """Tune probability maps in gray image files of 8 or 16 bit, from any program.

        White is probability 1. If no file has a level above 1, the files are masks of 0 and 1. All
        files are checked first. Warnings are issued for maps that seem inverted, masks of 0 and 1
        among brighter maps, and sets that nowhere exceed 25 of 255.

        Args:
            probs: folder of the maps.
            images: folder of the images, with the same names up to the suffix.
            masks: folder of the true masks, likewise, or with ``_pixels0`` after the name.
            allow_missing: skip names that one of the folders lacks; a warning gives their number.
                Skipped images are excluded from all metrics, including Pd.
            th1: initial strong threshold, in [0, 1].
            th2: initial weak threshold, in [0, 1], at most th1.

        Raises:
            FileNotFoundError: if a folder is missing, or lacks a file that another folder has.
            ValueError: if there are no image files, a file is unreadable or in colour, two files
                have the same name, all maps are inverted, a file is a label image (1, 2, ...) or a
                0/1 mask among 0/255 masks, or thresholds are out of order or outside [0, 1].
        """
        source = sources.of_folder(probs, images, masks, allow_missing=allow_missing)
        return cls._of(source, th1, th2)

    @classmethod
    def _of(cls, source: Source, th1: float | None, th2: float | None) -> "ThresholdTuner":
        """A tuner of a source."""
        tuner = cls.__new__(cls)
        tuner._open(source, th1, th2)
        return tuner

    def _open(self, source: Source, th1: float | None, th2: float | None) -> None:
        """Check thresholds, those that the source starts with unless others are given."""
        known = {name: value for name, value in source.start.items() if value is not None}
        started: dict[str, Any] = {"th1": 0.5, "rule": "per_scale"} | known
        th1 = float(started["th1"] if th1 is None else th1)
        th2 = float(started.get("th2", min(0.1, th1)) if th2 is None else th2)
        for name, value in (("th1", th1), ("th2", th2)):
            check_threshold(name, value)
        first = source.read(0)  # so that errors are raised here, not in the page
        if th2 > th1 and is_ordered(first, started["rule"]):
            raise InputError(
                f"th2 is {th2}, above th1 = {th1}, but weak targets are below th1: pass th2={th1} "
                "or less, or a higher th1"
            )
        self._source = source
        self._first: tuple[float, float, Rule] = th1, th2, started["rule"]

    def close(self) -> None:
        """Remove the tuner from the page and close its files."""
        if "widget" in self.__dict__:
            self.widget.close()
        self._source.close()

    @cached_property
    def widget(self) -> Any:
        """The widget, for layouts and links: ``jslink((tuner.widget, "th1"), ...)``."""
        from .widget import TunerWidget  # noqa: PLC0415 - headless runs need no widgets

        return TunerWidget(self._source, *self._first)

    @property
    def th1(self) -> float:
        """Current strong threshold."""
        return self._now[0]

    @th1.setter
    def th1(self, value: float) -> None:
        self._set("th1", value, lambda w: setattr(w, "th2", min(w.th2, value)))

    @property
    def th2(self) -> float:
        """Current weak threshold."""
        return self._now[1]

    @th2.setter
    def th2(self, value: float) -> None:
        self._set("th2", value, lambda w: setattr(w, "th1", max(w.th1, value)))

    @property
    def rule(self) -> Rule:
        """Source of weak targets for several scales."""
        return self._now[2]

    @rule.setter
    def rule(self, value: Rule) -> None:
        find_name("rule", value, get_args(Rule))
        self._set("rule", value, lambda w: setattr(w, "th2", min(w.th2, w.th1)))

    def _set(self, name: str, value: Any, keep_order: Callable[[Any], None]) -> None:
        """Set a value of the widget, and the other threshold where th2 must not exceed th1."""
        with self.widget.hold_sync():
            setattr(self.widget, name, value)
            if self.widget.ordered:
                keep_order(self.widget)

    def metrics(self) -> SetMetrics:
        """Counts of every image at the current thresholds."""
        found = measure(self._source, *self._now)
        assert found is not None  # nothing interrupts it
        return found

    @property
    def _now(self) -> tuple[float, float, Rule]:
        """Thresholds and rule: the widget's once it exists."""
        if "widget" in self.__dict__:
            return self.widget.th1, self.widget.th2, self.widget.rule
        th1, th2, rule = self._first
        return nearest_tick(th1) / STEPS, nearest_tick(th2) / STEPS, rule

    def __repr__(self) -> str:
        return f"ThresholdTuner({self._source.title}, th1={self.th1:g}, th2={self.th2:g})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """A widget where a page can show it, and always a picture for exports."""
        shell = get_ipython()
        if shell is not None and not hasattr(shell, "kernel"):
            return {"text/plain": repr(self)}  # a terminal shows no pictures
        from . import export as picture  # noqa: PLC0415 - drawing is slow to import

        if has_page():
            drawn = [picture.draw_frame(self._source.read(self.widget.index), *self._now)]
            bundle = self.widget._repr_mimebundle_()[0] | {"text/plain": repr(self)}
        else:
            found = self.metrics()
            drawn = picture.draw_set(self._source, found)
            bundle = {"text/plain": picture.as_text(self._source, found)}
        return bundle | {"image/png": picture.as_png(drawn)}


def has_page() -> bool:
    """Whether this notebook is open in a page that can show widgets.

    Headless kernels (papermill, nbconvert) run with ``allow_stdin`` off. Voila's do, too, but it
    shows the widget.
    """
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return True
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    parent = kernel.get_parent("shell")
    return bool(parent.get("content", {}).get("allow_stdin", False))
