"""Statistics of targets: area, contrast and signal-to-clutter ratio (SCR)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.files import write_json
from .._support.progress import progress
from ..ops.components import find_components
from ..ops.size_classes import SIZE_CLASSES, kind_of
from .dataset import Dataset, Sample

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

IMAGE_COLUMNS = ("split", "image", "height", "width", "targets")

TARGET_COLUMNS = ("split", "image", "row", "column", "area", "kind", "contrast", "scr")


@dataclass(frozen=True, eq=False)
class TargetStatistics:
    """Measurements of the images and targets of a dataset.

    Attributes:
        name: name of the dataset.
        images: one row per image: split, image (its name), height and width [px], targets.
        targets: one row per target: split, image, row and column of its centroid, area [px], kind
            ("point", "spot" or "extended"), contrast [gray levels of 255] and scr; these two are
            NaN for a target that has no ring.

    Example:
        >>> empty = (pd.DataFrame(columns=list(c)) for c in (IMAGE_COLUMNS, TARGET_COLUMNS))
        >>> TargetStatistics("sky", *empty).record()["all"]["targets"]
        0
    """

    name: str
    images: pd.DataFrame
    targets: pd.DataFrame

    @property
    def splits(self) -> list[str]:
        """The splits that were measured, in order."""
        return list(dict.fromkeys(self.images["split"]))

    def of_split(self, split: str) -> "TargetStatistics":
        """The statistics of one split."""
        images, targets = (of[of["split"] == split] for of in (self.images, self.targets))
        return TargetStatistics(self.name, images, targets)

    def record(self) -> dict[str, Any]:
        """Counts, quantiles and shares of all images and of each split, ready for JSON.

        Quantiles (5, 25, 50, 75, 95 %) of area, contrast, SCR and image side (the square root of
        height times width); shares of the kinds, in [0, 1]. Values without data are None.
        """
        return {"all": self._record()} | {
            split: self.of_split(split)._record() for split in self.splits
        }

    def save(self, out: str | Path, **run: Any) -> Path:
        """Write :meth:`record` as ``metrics.json`` into a folder.

        Args:
            out: folder of the file, which is written atomically.
            run: further JSON values, such as fingerprints and faults.

        Returns:
            The file.

        Raises:
            ValueError: if ``run`` contains NaN or infinity.
            TypeError: if ``run`` contains values that JSON cannot store.
        """
        path = Path(out) / "metrics.json"
        write_json(path, {"dataset": self.name, **run, "figures": self.record()})
        return path

    def _record(self) -> dict[str, Any]:
        """What :meth:`record` says of all images together."""
        images, targets = self.images, self.targets
        sides = np.sqrt((images["height"] * images["width"]).astype(float))
        shares = (
            dict.fromkeys(SIZE_CLASSES)
            if targets.empty
            else {kind: float((targets["kind"] == kind).mean()) for kind in SIZE_CLASSES}
        )
        return {
            "images": len(images),
            "images_without_target": int((images["targets"] == 0).sum()),
            "images_with_several": int((images["targets"] > 1).sum()),
            "targets": len(targets),
            "area_px": _quantiles(targets["area"]),
            "contrast": _quantiles(targets["contrast"]),
            "scr": _quantiles(targets["scr"]),
            "side_px": _quantiles(sides),
            "share": shares,
        }


def measure_targets(*splits: Dataset) -> TargetStatistics:
    """Measure every target of a dataset.

    A target is an 8-connected component of the mask. Its SCR is (target mean - ring mean) / ring
    standard deviation; the ring is its bounding box grown by 20 px, cut at the image's border,
    without the pixels of any target, and its standard deviation counts as at least 0.5 gray levels.

    Args:
        splits: splits of one dataset, such as train and test.

    Returns:
        The measurements of every image and of every target.

    Raises:
        ValueError: if there are no splits, they are of different datasets, or a file cannot be
            read.

    Example:
        >>> import tempfile
        >>> from festkit.data import load_dataset
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp()) / "sky"
        >>> folder = make_synthetic_dataset(folder, train=1, test=2, size=64, seed=3)
        >>> found = measure_targets(load_dataset(folder, "train"), load_dataset(folder, "test"))
        >>> found.images[["split", "height", "width"]].values.tolist()
        [['train', 64, 64], ['test', 64, 64], ['test', 64, 64]]
    """
    names = list(dict.fromkeys(split.name for split in splits))
    if len(names) != 1:
        raise InputError(
            f"got splits of {' and '.join(names) or 'no dataset'}, expected splits of one dataset;"
            " load a union to measure several together"
        )
    images: list[dict[str, Any]] = []
    targets: list[dict[str, Any]] = []
    for dataset in splits:
        label = f"measuring {dataset.name} ({dataset.split})"
        for sample in progress(dataset, label, unit="image"):
            found = measure_sample(sample)
            where = {"split": dataset.split, "image": sample.name}
            height, width = sample.image.shape
            images.append(where | {"height": height, "width": width, "targets": len(found)})
            targets += [where | target for target in found]
    return TargetStatistics(
        names[0],
        pd.DataFrame(images, columns=list(IMAGE_COLUMNS)),
        pd.DataFrame(targets, columns=list(TARGET_COLUMNS)),
    )


def measure_sample(sample: Sample) -> list[dict[str, Any]]:
    """Row, column, area, kind, contrast and SCR of every target of one image.

    Example:
        >>> image = np.zeros((9, 9), np.uint8)
        >>> image[4, 4:6] = 11
        >>> [target] = measure_sample(Sample(image, image > 0, "a"))
        >>> target["row"], target["column"], target["area"], target["scr"]
        (4.0, 4.5, 2, 22.0)
    """
    parts = find_components(sample.mask)
    measured = []
    for number, (row, column) in enumerate(parts.centroid.tolist()):
        own = np.zeros(sample.mask.size, bool)
        own[parts.pixels[parts.label == number]] = True
        area = int(parts.area[number])
        contrast, scr = local_contrast(sample.image, own.reshape(sample.mask.shape), sample.mask)
        values = row, column, area, kind_of(area), contrast, scr
        measured.append(dict(zip(TARGET_COLUMNS[2:], values, strict=True)))
    return measured


def _quantiles(values: pd.Series) -> dict[str, float] | None:
    """Quantiles by their percentage; None if there is no value."""
    known = values.dropna().astype(float)
    if known.empty:
        return None
    return {f"{100 * q:g} %": float(known.quantile(q)) for q in QUANTILES}


Slices = tuple[slice, slice]

RING = 20
"""Width of the ring around the bounding box of a target [px]."""

LEAST_STD = 0.5
"""Least standard deviation of a ring: the finest that 8 bits resolve [gray levels]."""


def surroundings(marked: NDArray[np.bool_], top: int = 0, left: int = 0) -> Slices:
    """The bounding box of marked pixels, moved down and right, then grown by 20 px.

    Example:
        >>> surroundings(np.eye(3, dtype=bool), top=30)
        (slice(10, 53, None), slice(0, 23, None))
    """
    rows, columns = np.flatnonzero(marked.any(1)) + top, np.flatnonzero(marked.any(0)) + left
    return (
        slice(max(int(rows[0]) - RING, 0), int(rows[-1]) + RING + 1),
        slice(max(int(columns[0]) - RING, 0), int(columns[-1]) + RING + 1),
    )


def local_contrast(
    image: NDArray[np.generic], target: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> tuple[float, float]:
    """Contrast of a target, and its signal-to-clutter ratio (SCR).

    Contrast is target mean - ring mean, SCR is contrast / standard deviation of the ring. The ring
    is the bounding box of the target grown by 20 px, as far as the image reaches, without any
    target's pixels. Its standard deviation counts as at least 0.5 gray levels, the finest that 8
    bits resolve, so that a flat ring gives a finite SCR.

    Args:
        image: gray levels, (H, W).
        target: pixels of this target, bool (H, W), at least one.
        mask: pixels of all targets, bool (H, W).

    Returns:
        Contrast [gray levels] and SCR, negative for a dark target; both NaN if targets fill the
        whole surroundings, so that there is no ring.

    Example:
        >>> image = np.zeros((9, 9))
        >>> image[4, 4] = 11.0
        >>> local_contrast(image, image > 10, image > 10)
        (11.0, 22.0)
    """
    around = surroundings(target)
    ring = image[around][~mask[around]].astype(np.float64)
    if not ring.size:
        return float("nan"), float("nan")
    contrast = float(image[target].mean()) - float(ring.mean())
    return contrast, contrast / max(float(ring.std()), LEAST_STD)


def local_scr(
    image: NDArray[np.generic], target: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> float:
    """The SCR of :func:`local_contrast` alone.

    Example:
        >>> image = np.zeros((9, 9))
        >>> image[::2] = 2.0
        >>> image[4, 4] = 11.0
        >>> target = image > 10
        >>> round(local_scr(image, target, target), 1)
        9.9
    """
    return local_contrast(image, target, mask)[1]
