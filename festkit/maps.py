"""The probability maps that training runs keep, beside the images and truths they belong to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._run import Run, StoredMaps
from .data import Dataset, Sample, load_dataset
from .fusion import fuse
from .metrics import Counts, count, count_targets
from .sensitivity import Detection, adjust_sensitivity


class MappedImage(NamedTuple):
    """An image, its truth and its probabilities.

    Attributes:
        sample: image and truth.
        prob: (H, W) float32 in [0, 1]; of several runs their fused map.
        scales: every run's own map (H, W), in order.
    """

    sample: Sample
    prob: NDArray[np.float32]
    scales: tuple[NDArray[np.float32], ...]

    def detect(
        self, th1: float = 0.5, th2: float | None = None, *, per_scale: bool = True
    ) -> Detection:
        """What stands out at these thresholds; weak targets from each scale's map or the fused."""
        scales = list(self.scales) if per_scale and len(self.scales) > 1 else None
        return adjust_sensitivity(self.prob, th1, th2, scale_maps=scales)


@dataclass(frozen=True)
class RunMaps:
    """The images of one split with the maps that one or more runs keep of them, read when asked.

    Attributes:
        title: networks, sizes and images in words.
        sizes: input sizes of the runs [px].
        dataset: the images.
        stored: every run's maps.

    Example:
        >>> from festkit.data import Dataset
        >>> len(RunMaps("nothing", (), Dataset("sky", "test", ()), ()))
        0
    """

    title: str
    sizes: tuple[int, ...]
    dataset: Dataset
    stored: tuple[StoredMaps, ...]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> MappedImage:
        sample = self.dataset[index]
        scales = tuple(each[sample.name] for each in self.stored)
        return MappedImage(sample, fuse(list(scales), scales[0].shape), scales)

    def __iter__(self) -> Iterator[MappedImage]:
        return (self[index] for index in range(len(self)))

    def evaluate(
        self, th1: float = 0.5, th2: float | None = None, *, per_scale: bool = True
    ) -> list[Counts]:
        """Counts of every image at these thresholds, in order.

        Args:
            th1: threshold of strong targets, in [0, 1].
            th2: threshold of weak targets, in [0, 1]; None looks for none.
            per_scale: whether weak targets come from each scale's own map, as in the published
                results, or from the fused map.

        Raises:
            ValueError: for a threshold out of range.
        """
        return [
            count(image.detect(th1, th2, per_scale=per_scale).mask, image.sample.mask)
            for image in self
        ]


class FusionStep(NamedTuple):
    """Some scales, fused.

    Attributes:
        scales: which of the maps' runs, in the order in which they were added.
        counts: of every image.
    """

    scales: tuple[int, ...]
    counts: list[Counts]


def greedy_fusion(maps: RunMaps, th1: float = 0.5) -> list[FusionStep]:
    """Fuse scale after scale: first the best one alone, then each time the one that helps most.

    Best is the highest Score of the fused maps, even where its Fa makes it void; of equal ones the
    first. The images judged on choose the order, as in the paper (section 4.4): on test images
    this flatters the fusion.

    Args:
        maps: of all scales.
        th1: threshold of strong targets, in [0, 1]; there are no weak ones.

    Returns:
        One step per number of scales, from one to all.

    Raises:
        ValueError: for a threshold out of range.

    Example:
        >>> from festkit.data import Dataset
        >>> [step.scales for step in greedy_fusion(RunMaps("", (64,), Dataset("", "test", ()), ()))]
        []
    """
    steps: list[FusionStep] = []
    rest = list(range(len(maps.stored)))
    while rest:
        fused = steps[-1].scales if steps else ()
        tried = _fuse_each(maps, fused, rest, th1)
        best = max(tried, key=lambda step: sum(step.counts, Counts()).score or 0.0)
        steps.append(best)
        rest.remove(best.scales[-1])
    return steps


def _fuse_each(
    maps: RunMaps, fused: tuple[int, ...], others: list[int], th1: float
) -> list[FusionStep]:
    """What every other scale makes of those already fused."""
    steps = [FusionStep((*fused, other), []) for other in others]
    for image in maps:
        for step in steps:
            prob = fuse([image.scales[k] for k in step.scales], image.prob.shape)
            found = adjust_sensitivity(prob, th1, None)
            step.counts.append(count(found.mask, image.sample.mask))
    return steps


def open_maps(
    *runs: Run | str | Path,
    split: str = "test",
    dataset: str | Path | None = None,
    root: str | Path | None = None,
) -> RunMaps:
    """The stored maps of one finished training run, or of several that are the scales of a FEST.

    Args:
        runs: runs or their folders, on the same images, in the order of the scales.
        split: "test", or "holdout", the training images that were kept from training.
        dataset: name or folder of the images; None takes the run's, beside the run or under the
            root.
        root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if a run has not finished, has no such maps, or its images are gone.
        ValueError: for no runs, an unknown split, or runs on other images than the dataset's.

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
    opened = [run if isinstance(run, Run) else Run(Path(run)) for run in runs]
    if not opened:
        raise ValueError("open_maps needs at least one finished run, got none")
    if split not in ("test", "holdout"):
        raise ValueError(f"split is {split!r}, expected 'test' or 'holdout'")
    records = [run.record for run in opened]
    stored = tuple(_stored(run, split) for run in opened)
    images = _open_images(records, opened[0].folder, split, dataset, root)
    mapped = replace(images, pairs=tuple(pair for pair in images.pairs if pair.name in stored[0]))
    for run, own in zip(opened, stored, strict=True):
        if set(own) != set(stored[0]) or len(mapped) < len(own):
            raise ValueError(
                f"{run.folder} holds maps of {len(own)} images, {len(mapped)} of which are in the "
                f"{images.split} split of {images.name}; pass the dataset that the run was made on"
            )
    sizes = tuple(int(record["size"]) for record in records)
    title = f"{records[0]['backbone']} {' + '.join(map(str, sizes))} on {images.name}"
    return RunMaps(f"{title}, {split} images", sizes, mapped, stored)


def hardest_images(
    maps: Sequence[RunMaps], number: int = 4, *, th1: float = 0.5, th2: float | None = None
) -> list[int]:
    """The images with most errors, over one or more methods: missed targets and false alarms.

    Args:
        maps: of every method, on the same images.
        number: how many images, at most.
        th1: threshold of strong targets, in [0, 1].
        th2: threshold of weak targets, in [0, 1]; None looks for none.

    Returns:
        Indices, the hardest first; of equally hard ones the first in the set.

    Raises:
        ValueError: for no maps, maps of different images, or no number above 0.

    Example:
        >>> from festkit.data import Dataset
        >>> hardest_images([RunMaps("nothing", (), Dataset("sky", "test", ()), ())])
        []
    """
    if not maps or number < 1:
        raise ValueError(f"got {len(maps)} maps and {number} images, expected at least one of each")
    if any(each.dataset != maps[0].dataset for each in maps):
        raise ValueError(
            f"the maps are of different images ({', '.join(each.title for each in maps)}); "
            "pass maps of one split of one dataset"
        )
    errors = np.zeros(len(maps[0]), int)
    for each in maps:
        for index, image in enumerate(each):
            counts = count_targets(image.detect(th1, th2).mask, image.sample.mask)
            errors[index] += counts.targets - counts.detected + counts.false_targets
    return np.argsort(-errors, kind="stable")[:number].tolist()


def _stored(run: Run, split: str) -> StoredMaps:
    path = run.folder / f"{split}_maps.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run.folder} has no {path.name}; the maps of a holdout are kept by runs with "
            "protocol='holdout', those of the test images by all that finished"
        )
    return StoredMaps(path)


def _open_images(
    records: list[dict[str, Any]],
    folder: Path,
    split: str,
    dataset: str | Path | None,
    root: str | Path | None,
) -> Dataset:
    """The images that the runs' maps belong to."""
    if dataset is None:
        beside = folder.parent / records[0]["dataset"]
        dataset = beside if beside.is_dir() else records[0]["dataset"]
    try:
        images = load_dataset(dataset, "train" if split == "holdout" else "test", root=root)
    except (FileNotFoundError, ValueError) as error:
        raise FileNotFoundError(
            f"the images of the run are not at hand ({error}); name their folder (dataset), or the "
            "folder that all datasets lie in (root, --data-root, FESTKIT_DATA)"
        ) from error
    expected = {record[f"{images.split}_split"] for record in records}
    if expected != {images.fingerprint}:
        raise ValueError(
            f"the {images.split} images of {images.name} are not those of the run "
            f"({images.fingerprint}, expected {', '.join(sorted(expected))}); pass its dataset"
        )
    return images
