"""Several methods on the same images: figures, paired differences, table, plots and files."""

import math
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from .._support.errors import InputError
from .._support.files import read_json, write_json, write_text
from .._support.names import counted
from ..data.dataset import Dataset
from ..data.unions import shared_images
from ..data.weak import weak_masks
from ..metrics import (
    ALL_METRICS,
    BOX_IOU,
    FA_LIMIT,
    INTERVAL_METHOD,
    Protocol,
    protocol_lines,
    threshold_rule,
)
from ..plots import plot_roc
from ..plots.style import save_figure
from ..surface import ROC
from ..tables.render import Style, render_cells, with_interval
from .measure import DRAWS, THRESHOLDS, ImageScores, Scores
from .method import choose_threshold, report_faults, score_images
from .predictions import FAULTS, Predictions, open_predictions

INTERVALS = {
    "level": 0.95,
    "ratios": INTERVAL_METHOD,
    "others": f"percentile bootstrap, {DRAWS} draws of images, seed 0",
}
"""Methods of the intervals; others are areas, AP50, box metrics and numbers of false alarms."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of one or more methods on the same images.

    Attributes:
        record: everything, ready for JSON: images, protocol, faults and metrics by method.
        curves: curves by method, of methods with maps.
    """

    record: dict[str, Any]
    curves: Mapping[str, ROC] = field(default_factory=dict, repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """Strings: a row for every metric; a column for every method and every difference."""
        methods, gains = self.record["methods"], self.record["differences"]
        rows = {name: of["metrics"] for name, of in methods.items()}
        names = [n for n in ALL_METRICS if any(row.get(n) is not None for row in rows.values())]
        columns = {"metric": [ALL_METRICS[name].head for name in names]}
        columns |= {m: [with_interval(row, name) for name in names] for m, row in rows.items()}
        columns |= {m: [with_interval(g, name, "+") for name in names] for m, g in gains.items()}
        table = pd.DataFrame(columns)
        table.attrs = {"name": "evaluation", "caption": self.caption}
        return table

    @property
    def caption(self) -> str:
        """Images, intervals, how predictions were read, and protocols, in words."""
        images = self.record.get("compared") or _images(self.record)
        protocols = {m: of["protocol"]["name"] for m, of in self.record["methods"].items()}
        levels = defaultdict(list)
        for method, of in self.record["methods"].items():
            levels[of["levels"]].append(method)
        read = [f"{', '.join(methods)}: {what}" for what, methods in levels.items()]
        return "; ".join([images, "95 % intervals", *read, *protocol_lines(protocols)])

    def render(self, style: Style | str = "text") -> str:
        """The table as "text", "markdown", "latex", "html" (a page) or "csv" (numbers).

        Raises:
            ValueError: for an unknown style.
        """
        return self._csv() if style == "csv" else render_cells(self.table, style, keys=1)  # type: ignore[arg-type]

    def save(self, out: str | Path) -> list[Path]:
        """Write evaluation.json, the table in every style, and the curves as PNG, PDF and SVG."""
        folder = Path(out)
        endings = {"csv": "csv", "md": "markdown", "tex": "latex", "html": "html"}
        files = [folder / f"evaluation.{ending}" for ending in ("json", *endings)]
        write_json(files[0], self.record)
        for file, style in zip(files[1:], endings.values(), strict=True):
            write_text(file, self.render(style))
        if self.curves:
            files += save_figure(plot_roc(self.curves, precision=True), folder / "curves")
        return files

    @classmethod
    def load(cls, *paths: str | Path) -> "Evaluation":
        """Read files of :meth:`save`, to show them side by side; their protocols may differ.

        Raises:
            ValueError: if a file holds no evaluation.
        """
        form = dict.fromkeys(("methods", "differences"), dict) | {"images": int, "left_out": list}
        form |= dict.fromkeys(("dataset", "split", "fingerprint"), str)
        records = [read_json(path, form) for path in paths]
        folders = [Path(path).resolve().parent for path in paths]
        unique = len({folder.name for folder in folders}) == len(folders)
        methods = {
            name if len(paths) == 1 else f"{folder.name if unique else folder}: {name}": of
            for folder, record in zip(folders, records, strict=True)
            for name, of in record["methods"].items()
        }
        first, several = records[0], len({r["fingerprint"] for r in records}) > 1
        if several:
            told = f"results of different images: {'; '.join(map(_images, records))}"
            warnings.warn(told, stacklevel=2)
            first |= {"compared": told}
        return cls(first | {"methods": methods} | ({"differences": {}} if len(paths) > 1 else {}))

    def _csv(self) -> str:
        """A row for every method, or difference, and metric: value and ends of the interval.

        A void Score has none.
        """
        rows = {name: of["metrics"] for name, of in self.record["methods"].items()}
        cells = [
            (method, name, row[name], *(row["intervals"].get(name) or ("", "")))
            for method, row in (rows | self.record["differences"]).items()
            for name in ALL_METRICS
            if row.get(name) is not None and (name != "score" or row["valid"])
        ]
        heads = ["method", "metric", "value", "low", "high"]
        return str(pd.DataFrame(cells, columns=heads).to_csv(index=False, lineterminator="\n"))


def _images(record: Mapping[str, Any]) -> str:
    """Which images a record is of, in words."""
    left_out = f", {len(record['left_out'])} left out" if record["left_out"] else ""
    return f"{record['dataset']}, {record['split']}: {counted(record['images'], 'image')}{left_out}"


def evaluate_predictions(
    predictions: Mapping[str, str | Path] | Sequence[str | Path] | str | Path,
    images: Dataset,
    *,
    th1: float = 0.5,
    th2: float | None = None,
    choose_on: Dataset | None = None,
    max_fa: float = FA_LIMIT,
    thresholds: Sequence[float] = THRESHOLDS,
    skip_faulty: bool = False,
) -> Evaluation:
    """Evaluate predictions of any program, one or more methods, on the images of a dataset.

    Predictions are paired with images by name, and compared at the size of the image.

    Args:
        predictions: for every method, by name or not, a folder, an npz file or a COCO JSON file,
            see :func:`festkit.evaluation.open_predictions`.
        images: images and masks.
        th1: maps are targets above this.
        th2: weak targets are above this, as in :func:`adjust_sensitivity`; None for none.
        choose_on: images whose masks choose th1: the highest Score with Fa below ``max_fa``; where
            they have no targets, the lowest such threshold. Their predictions are in the same
            folder or file.
        max_fa: highest false-alarm rate when th1 is chosen.
        thresholds: ascending, of the curves, which have the weak targets of th2.
        skip_faulty: leave out images that lack a usable prediction of any method, and count them;
            by default they are an error.

    Raises:
        FileNotFoundError: if there are no such predictions.
        ValueError: if predictions are missing, or cannot be used.

    Example:
        >>> import tempfile
        >>> from festkit.data import load_dataset
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> scenes = make_synthetic_dataset(folder / "scenes", train=0, test=2, size=64)
        >>> images = load_dataset(scenes, "test")
        >>> np.savez(folder / "ours.npz", **{each.name: each.mask for each in images})
        >>> found = evaluate_predictions(folder / "ours.npz", images)
        >>> found.record["methods"]["ours"]["metrics"]["iou"]
        1.0
    """
    scores: dict[str, dict[str, ImageScores]] = {}
    about: dict[str, dict[str, Any]] = {}
    for method, source in _named(predictions).items():
        chosen: dict[str, Any] = {}
        own, rule = th1, threshold_rule(th1, th2)
        if choose_on is not None:
            own, chosen = choose_threshold(
                source, choose_on, images, max_fa, th2=th2, skip=skip_faulty
            )
            rule = f"{threshold_rule(own, th2)}, chosen on {choose_on.name} {choose_on.split}"
        found = open_predictions(source, images.names)
        report_faults(found, skip=skip_faulty, kinds=("missing", "twice"), warn=False)
        scores[method] = score_images(found, images, th1=own, th2=th2, thresholds=thresholds)
        report_faults(found, skip=skip_faulty)
        about[method] = _about(found, own, th2, rule) | chosen
    kept = [name for name in images.names if all(name in of for of in scores.values())]
    if not kept:
        raise InputError("no image has a usable prediction of every method")
    sets = {m: Scores([of[name] for name in kept]) for m, of in scores.items()}
    first, *others = sets
    record = {
        "festkit": __version__,
        "dataset": images.name,
        "split": images.split,
        "fingerprint": images.fingerprint,
        "images": len(kept),
        "notes": _notes(images),
        "left_out": sorted(set(images.names) - set(kept)),
        "box_iou": BOX_IOU,
        "intervals": INTERVALS,
        "methods": {m: about[m] | {"metrics": of.record()} | _curve(of) for m, of in sets.items()},
        "differences": {f"{m} − {first}": sets[m].difference(sets[first]) for m in others},
    }
    curves = {method: roc for method, of in sets.items() if (roc := of.roc) is not None}
    return Evaluation(record, curves)


def _named(
    predictions: Mapping[str, str | Path] | Sequence[str | Path] | str | Path,
) -> dict[str, str | Path]:
    """Sources by the name of their method: that of the file or folder, where they are unique."""
    if isinstance(predictions, Mapping):
        named = dict(predictions)
    else:
        given = [predictions] if isinstance(predictions, str | Path) else list(predictions)
        paths = [Path(source).expanduser().resolve() for source in given]
        if twice := [path for path in paths if paths.count(path) > 1]:
            raise InputError(f"{twice[0]} is given twice; pass every method once")
        words = [path.name if path.is_dir() else path.stem for path in paths]
        unique = len(set(words)) == len(words)
        named = dict(zip(words if unique else map(str, given), given, strict=True))
    if not named:
        raise InputError("no predictions given; pass a folder or file for every method")
    return named


def _notes(images: Dataset) -> list[str]:
    """What limits figures on this dataset: masks drawn from labels, images that count twice."""
    members = {
        part: [pair for pair in images.pairs if pair.name.startswith(f"{part}_")]
        for part in images.name.split("+")
    }
    drawn = [weak_masks(images.weak_masks)] if images.weak_masks else []
    return [*drawn, *shared_images(members)]


def _about(found: Predictions, th1: float, th2: float | None, rule: str) -> dict[str, Any]:
    """What a record says of a method beside its figures."""
    protocol = Protocol(threshold=rule, map="linear" if found.faults["resized"] else "as stored")
    used = {"th1": th1, "th2": th2}
    if found.boxes is not None:
        protocol = Protocol(threshold="all boxes", map="none", mask="> 127, boxes of targets")
        used = dict.fromkeys(used)
    faults = {
        kind: {"count": len(where), "what": FAULTS[kind], "first": where[:5]}
        for kind, where in found.faults.items()
        if where
    }
    return {
        "source": str(found.source),
        "levels": found.levels,
        **used,
        "protocol": protocol.record(),
        "faults": faults,
    }


def _curve(of: Scores) -> dict[str, Any]:
    """The points of the curves, for JSON."""
    curve = of.roc
    if curve is None:
        return {}
    names = ("thresholds", "tpr", "fpr", "precision", "pd", "fa")
    points = {name: np.asarray(getattr(curve, name), float).tolist() for name in names}
    return {"curves": {n: [None if math.isnan(v) else v for v in p] for n, p in points.items()}}
