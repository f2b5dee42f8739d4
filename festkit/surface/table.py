"""The surface: integer tables over two grids of thresholds, and the metrics derived from them."""

import io
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._support.arguments import ArrayValues, check_number
from .._support.errors import InputError
from .._support.files import atomic_write, read_json, write_json
from ..metrics import FA_LIMIT, Counts
from .curves import ROC

Ints = NDArray[np.int64]

Floats = NDArray[np.float64]

_TABLES = ("intersection", "predicted", "detected", "matched", "iou_sum", "empty")

_SUMS = ("images", "pixels", "targets", "true")


class OperatingPoint(NamedTuple):
    """A pair of thresholds and the counts of a test set at it.

    Attributes:
        th1: strong threshold.
        th2: weak threshold.
        counts: counts of the whole set.

    Example:
        >>> OperatingPoint(0.5, 0.1, Counts(targets=4, detected=3)).counts.pd
        0.75
    """

    th1: float
    th2: float
    counts: Counts


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdSurface(ArrayValues):
    """Exact counts for every pair of thresholds; tables (A, B) are indexed [th1, th2].

    Ratios are arrays (A, B), NaN where the denominator is 0. Surfaces of different images over the
    same grids can be added with ``+``.

    Attributes:
        th1: (A,) ascending strong thresholds.
        th2: (B,) ascending weak thresholds.
        intersection: pixels predicted and true.
        predicted: pixels predicted.
        detected: true targets matched by a predicted one.
        matched: pixels of matched predicted targets.
        iou_sum: sum over images of intersection / union; 0/0 adds 0.
        empty: images without true or predicted pixels.
        images: number of images.
        pixels: number of pixels.
        targets: true targets.
        true: pixels true.

    Example:
        >>> from festkit.surface import threshold_surface
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> surface = threshold_surface([prob], [prob > 0], th1=[0.2, 0.5], th2=[0.1, 0.4])
        >>> surface.at(0.5, 0.1).pd
        1.0
        >>> surface.best(max_fa=1e-4)[:2]
        (0.2, 0.1)
        >>> surface
        ThresholdSurface(th1=0.2..0.5 (2), th2=0.1..0.4 (2), images=1, targets=2, best=...)
    """

    th1: Floats
    th2: Floats
    intersection: Ints
    predicted: Ints
    detected: Ints
    matched: Ints
    iou_sum: Floats
    empty: Ints
    images: int
    pixels: int
    targets: int
    true: int

    @classmethod
    def of_no_images(cls, th1: Floats, th2: Floats) -> "ThresholdSurface":
        """A surface of zero images, as a start for sums.

        Example:
            >>> ThresholdSurface.of_no_images(np.array([0.5]), np.array([0.1])).images
            0
        """
        none = np.zeros((len(th1), len(th2)), np.int64)
        values: dict[str, Any] = dict.fromkeys(_TABLES, none) | {"iou_sum": none.astype(float)}
        values |= dict.fromkeys(_SUMS, 0)
        return cls(th1, th2, **values)

    def _facts(self) -> dict[str, Any]:
        """Grids, images, targets and the best point, by name."""
        valid = (self.fa < FA_LIMIT) & ~np.isnan(self.score)
        best = self.best() if valid.any() else None
        return {
            "th1": _span(self.th1),
            "th2": _span(self.th2),
            "images": self.images,
            "targets": self.targets,
            "best": f"{best.counts.score:.4f} at {best.th1:g}, {best.th2:g}"
            if best
            else "none valid",
        }

    def __add__(self, other: "ThresholdSurface") -> "ThresholdSurface":
        if not isinstance(other, ThresholdSurface):
            return NotImplemented
        for name in ("th1", "th2"):
            if not np.array_equal(getattr(self, name), getattr(other, name)):
                raise InputError(f"surfaces with different grids of {name} cannot be added")
        sums = {name: getattr(self, name) + getattr(other, name) for name in (*_TABLES, *_SUMS)}
        return replace(self, **sums)

    @property
    def iou(self) -> Floats:
        """Foreground intersection over union of the whole set, in [0, 1]."""
        return _ratio(self.intersection, self.predicted + self.true - self.intersection)

    @property
    def niou(self) -> Floats:
        """Mean over images of intersection over union, in [0, 1]."""
        return _ratio(self.iou_sum, self.images)

    @property
    def pd(self) -> Floats:
        """Detection rate, in [0, 1]."""
        return _ratio(self.detected, self.targets)

    @property
    def fa(self) -> Floats:
        """False-alarm rate, a plain fraction."""
        return _ratio(self.predicted - self.matched, self.pixels)

    @property
    def score(self) -> Floats:
        """0.5 IoU + 0.5 Pd, in [0, 1]; valid only where :attr:`fa` is below 1e-4."""
        return 0.5 * self.iou + 0.5 * self.pd

    def at(self, th1: float, th2: float) -> Counts:
        """Counts at one pair of thresholds of the grids.

        Raises:
            ValueError: if a threshold is not on its grid.
        """
        return self._counts(self._index("th1", th1), self._index("th2", th2))

    def along_th1(self, th2: float) -> list[Counts]:
        """Counts at every strong threshold, for one weak threshold of the grid."""
        return [self._counts(i, self._index("th2", th2)) for i in range(len(self.th1))]

    def along_th2(self, th1: float) -> list[Counts]:
        """Counts at every weak threshold, for one strong threshold of the grid."""
        return [self._counts(self._index("th1", th1), j) for j in range(len(self.th2))]

    def best(self, max_fa: float = FA_LIMIT, *, ordered: bool = False) -> OperatingPoint:
        """The thresholds with the highest Score among those whose Fa is below a limit.

        Ties are resolved by the lowest Fa, then th2 below th1, then the highest th2 and th1. With
        ``ordered`` only pairs with th2 <= th1 are considered, as in the paper's text.

        Raises:
            ValueError: if no pair of thresholds is within the limit, or the Score is undefined.
        """
        check_number("max_fa", max_fa)
        allowed = (self.fa < max_fa) & ~np.isnan(self.score)
        if ordered:
            allowed &= self.th2[None, :] <= self.th1[:, None]
        if not allowed.any():
            raise InputError(
                f"no pair of thresholds has a Score and Fa below {max_fa:.3g}; the lowest Fa is "
                f"{self.fa.min():.3g}. Widen the grids, or allow more false alarms"
            )
        i, j = np.nonzero(allowed)
        th1, th2 = self.th1[i], self.th2[j]
        k = np.lexsort((th1, th2, th2 < th1, -self.fa[i, j], self.score[i, j]))[-1]
        return OperatingPoint(float(th1[k]), float(th2[k]), self._counts(i[k], j[k]))

    def roc(self, th2: float) -> ROC:
        """ROC, precision–recall and Pd–Fa curves over th1, for one weak threshold of the grid.

        Raises:
            ValueError: if there are no true or no false pixels.
        """
        j = self._index("th2", th2)
        if not 0 < self.true < self.pixels:
            raise InputError(
                f"{self.true} of {self.pixels} pixels are true; a ROC needs true and false pixels"
            )
        hits, others = self.intersection[:, j], self.predicted[:, j] - self.intersection[:, j]
        tpr, fpr = hits / self.true, others / (self.pixels - self.true)
        precision = _ratio(hits, self.predicted[:, j])
        return ROC(self.th1, tpr, fpr, self.pd[:, j], self.fa[:, j], precision)

    def save(self, path: str | Path) -> Path:
        """Write the surface to a ``.json`` or ``.npz`` file.

        Example:
            >>> import tempfile
            >>> surface = ThresholdSurface.of_no_images(np.array([0.5]), np.array([0.1, 0.2]))
            >>> path = surface.save(f"{tempfile.mkdtemp()}/surface.npz")
            >>> ThresholdSurface.load(path).th2
            array([0.1, 0.2])
        """
        path, values = Path(path), {f.name: getattr(self, f.name) for f in fields(self)}
        if _format(path) == ".json":
            write_json(path, {name: np.asarray(value).tolist() for name, value in values.items()})
        else:
            with atomic_write(path) as part, part.open("wb") as file:
                np.savez_compressed(file, **values)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "ThresholdSurface":
        """Read a file written by :meth:`save`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it contains no surface.
        """
        path = Path(path)
        try:
            values = read_json(path) if _format(path) == ".json" else _read_npz(path)
            return _from_values(values)
        except OSError:
            raise
        except Exception as error:  # damaged files make readers fail in many ways
            raise InputError(f"{path} contains no threshold surface ({error!r})") from error

    def _index(self, name: str, value: float) -> int:
        """Position of a threshold on its grid."""
        check_number(name, value)
        grid: Floats = getattr(self, name)
        nearest = int(np.argmin(np.abs(grid - value)))
        if np.float32(grid[nearest]) != np.float32(value):  # thresholds compare as float32
            raise InputError(f"{name} = {value} is not on the grid; nearest is {grid[nearest]:.9g}")
        return nearest

    def _counts(self, i: int, j: int) -> Counts:
        """Counts at one pair of thresholds, by position."""
        cell: dict[str, Any] = {name: getattr(self, name)[i, j].item() for name in _TABLES}
        false_pixels = cell["predicted"] - cell.pop("matched")
        sums = {name: getattr(self, name) for name in _SUMS}
        return Counts(**cell, **sums, false_pixels=false_pixels)


def _from_values(values: dict[str, Any]) -> ThresholdSurface:
    """A surface from the plain values of a file, checked."""
    checked: dict[str, Any] = {name: int(values[name]) for name in _SUMS}
    for name in ("th1", "th2", *_TABLES):
        kind = np.float64 if name in ("th1", "th2", "iou_sum") else np.int64
        checked[name] = np.asarray(values[name]).astype(kind, casting="same_kind")
    shape = len(checked["th1"]), len(checked["th2"])
    for name in _TABLES:
        if checked[name].shape != shape:
            raise InputError(f"table {name} does not have the shape {shape} of the grids")
    return ThresholdSurface(**checked)


def _span(grid: Floats) -> str:
    """Ends and length of a grid, for print."""
    return f"{grid[0]:g}..{grid[-1]:g} ({len(grid)})"


def _format(path: Path) -> str:
    """The suffix of a file, if a surface can be stored so."""
    if path.suffix not in (".json", ".npz"):
        raise InputError(f"{path.name} is neither .json nor .npz; use one of these suffixes")
    return path.suffix


def _read_npz(path: Path) -> dict[str, Any]:
    """Arrays of a file by name."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        return dict(file)


def _ratio(part: Any, whole: Any) -> Floats:
    """Elementwise part / whole; NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
