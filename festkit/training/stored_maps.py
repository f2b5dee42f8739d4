"""Stored probability maps with images and masks, of one run or of several scales."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError, MissingFileError
from ..data.dataset import Dataset, Sample, load_dataset
from ..fusion import fuse
from ..metrics import Counts, count
from ..sensitivity import Detection, adjust_sensitivity
from .run import Run, StoredMaps


class PredictedImage(NamedTuple):
    """An image with its mask and probability maps.

    Attributes:
        sample: image and mask.
        prob: (H, W) float32 in [0, 1]; fused where there are several runs.
        scales: the map (H, W) of each run, in order.
    """

    sample: Sample
    prob: NDArray[np.float32]
    scales: tuple[NDArray[np.float32], ...]

    def detect(
        self, th1: float = 0.5, th2: float | None = None, *, per_scale: bool = True
    ) -> Detection:
        """Adjustable sensitivity; weak targets from each scale's map or from the fused map."""
        scales = list(self.scales) if per_scale and len(self.scales) > 1 else None
        return adjust_sensitivity(self.prob, th1, th2, scale_maps=scales)


@dataclass(frozen=True)
class RunMaps:
    """The images of a split with the stored maps of one or more runs, read on access.

    Attributes:
        title: networks, sizes and images, as a title.
        sizes: input sizes of the runs [px]; of runs at scale factors, sides of the tiles.
        dataset: the images.
        stored: stored maps of each run.
        records: record of each run.
        split: "test" or "holdout".

    Example:
        >>> from festkit.data import Dataset
        >>> len(RunMaps("nothing", (), Dataset("sky", "test", ()), ()))
        0
    """

    title: str
    sizes: tuple[int, ...]
    dataset: Dataset = field(repr=False)
    stored: tuple[StoredMaps, ...] = field(repr=False)
    records: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    split: str = "test"

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> PredictedImage:
        sample = self.dataset[index]
        scales = tuple(each[sample.name] for each in self.stored)
        return PredictedImage(sample, fuse(list(scales), scales[0].shape), scales)

    def __iter__(self) -> Iterator[PredictedImage]:
        return (self[index] for index in range(len(self)))

    def evaluate(
        self, th1: float = 0.5, th2: float | None = None, *, per_scale: bool = True
    ) -> list[Counts]:
        """Counts of every image at these thresholds.

        Args:
            th1: threshold of strong targets, in [0, 1].
            th2: threshold of weak targets, in [0, 1]; None for strong targets alone.
            per_scale: take weak targets from the map of each scale, as in the published results,
                or from the fused map.

        Raises:
            ValueError: for a threshold out of range.
        """
        return [
            count(image.detect(th1, th2, per_scale=per_scale).mask, image.sample.mask)
            for image in self
        ]

    def close(self) -> None:
        """Close the files; images can no longer be read."""
        for each in self.stored:
            each.close()

    def of_scales(self, scales: Sequence[int]) -> "RunMaps":
        """The same images with the maps of some runs, in this order.

        Args:
            scales: indices of the runs.
        """
        stored = tuple(self.stored[k] for k in scales)
        return _run_maps([self.records[k] for k in scales], self.dataset, stored, self.split)

    def with_scales(self, *others: "RunMaps") -> "RunMaps":
        """The same images, with the maps of other runs as further scales.

        Args:
            others: maps of the same images.

        Raises:
            ValueError: if the images differ.
        """
        rows = (self, *others)
        if any(each.dataset != self.dataset for each in others):
            found = ", ".join(each.title for each in rows)
            raise InputError(f"the maps are of different images ({found}); pass maps of the same")
        records = [record for each in rows for record in each.records]
        stored = tuple(one for each in rows for one in each.stored)
        return _run_maps(records, self.dataset, stored, self.split)


def open_maps(
    *runs: Run | str | Path,
    split: str = "test",
    dataset: str | Path | None = None,
    root: str | Path | None = None,
) -> RunMaps:
    """Open the stored maps of a finished run, or of several runs that are the scales of a FEST.

    Args:
        runs: runs or their folders, on the same images, in the order of the scales.
        split: "test", or "holdout", the training images held out for validation.
        dataset: name or folder of the images. Default: the dataset of the run, searched next to the
            run, at its path during training, and under the root.
        root: folder of the datasets; default: FESTKIT_DATA, else ``data``. If given, the path
            during training is ignored.

    Raises:
        FileNotFoundError: if a run has not finished, or its maps or images are missing.
        ValueError: if there are no runs, the split is unknown, the images differ from those of the
            runs, or maps are damaged.

    Example:
        >>> import json, tempfile
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> scenes = make_synthetic_dataset(folder / "scenes", train=2, test=1, size=64)
        >>> images, run = load_dataset(scenes, "test"), Run(folder / "run")
        >>> run.write_maps("test", {images.names[0]: np.full((64, 64), 0.2, np.float32)})
        >>> record = {"backbone": "ACM", "size": 64, "dataset": "scenes"}
        >>> record["test_split"] = images.fingerprint
        >>> _ = (run.folder / "record.json").write_text(json.dumps(record))
        >>> maps = open_maps(run)
        >>> maps.title, maps[0].prob.shape
        ('ACM 64 on scenes, test images', (64, 64))
    """
    opened = [Run.of(run) for run in runs]
    if not opened:
        raise InputError("no runs given; pass at least one finished run")
    if split not in ("test", "holdout"):
        raise InputError(f"split is {split!r}, expected 'test' or 'holdout'")
    records = [run.record for run in opened]
    stored = tuple(StoredMaps(run.folder / f"{split}_maps.npz") for run in opened)
    images = _open_images(records, opened[0], split, dataset, root)
    mapped = replace(images, pairs=tuple(pair for pair in images.pairs if pair.name in stored[0]))
    for own in stored:
        if set(own) != set(stored[0]) or len(mapped) < len(own):
            raise InputError(
                f"{own.path.parent} has maps of {len(own)} images, of which {len(mapped)} are in "
                f"the {images.split} split of {images.name}; pass the dataset of the run, or copy "
                f"{own.path.name} again if it is damaged"
            )
    return _run_maps(records, mapped, stored, split)


def _run_maps(
    records: Sequence[Mapping[str, Any]],
    images: Dataset,
    stored: tuple[StoredMaps, ...],
    split: str,
) -> RunMaps:
    """Maps with a title such as "ACM 256 + 384 on NUAA-SIRST, test images"."""
    sizes = tuple(int(record["size"]) for record in records)
    names = [record["backbone"] for record in records]
    titles = [
        " + ".join(f"{factor:g} x" for factor in record.get("scales") or ()) or str(record["size"])
        for record in records
    ]
    scales = [
        title if k and names[k] == names[k - 1] else f"{names[k]} {title}"
        for k, title in enumerate(titles)
    ]
    title = f"{' + '.join(scales)} on {images.name}, {split} images"
    return RunMaps(title, sizes, images, stored, tuple(records), split)


def _open_images(
    records: list[dict[str, Any]],
    run: Run,
    split: str,
    dataset: str | Path | None,
    root: str | Path | None,
) -> Dataset:
    """The dataset of the stored maps, from the first place that holds it."""
    part = "train" if split == "holdout" else "test"
    expected = {record[f"{part}_split"] for record in records}
    refused: list[Exception] = []
    for place in _places(records[0], run, root) if dataset is None else [dataset]:
        try:
            images = load_dataset(place, part, root=root)
        except (FileNotFoundError, ValueError) as error:
            told = (
                f"the images of the run are missing ({error}); pass their folder (dataset, "
                "--dataset), or the folder of all datasets (root, --data-root, FESTKIT_DATA)"
            )
            refused.append(MissingFileError(told))
            continue
        if expected == {images.fingerprint}:
            return images
        told = (
            f"the {part} images of {images.name} are not those of the run "
            f"({images.fingerprint}, expected {', '.join(sorted(expected))}); pass its dataset"
        )
        refused.append(InputError(told))
    raise refused[0]


def _places(record: Mapping[str, Any], run: Run, root: str | Path | None) -> list[str | Path]:
    """Where the images may be: next to the run, where they were at training time, or by name.

    A folder next to the run may be another run with the name of the dataset.
    """
    name = record["dataset"]
    beside = run.folder.parent / name
    known = run.dataset_folder if root is None else None
    places = [beside if beside.is_dir() else None, known, name]
    return [place for place in places if place is not None]
