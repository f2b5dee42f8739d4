"""The check of a dataset folder: every file read, every fact for the report."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ._areas import MOST_SHARE, POINT_AREA, SPOT_AREA
from ._catalogue import find_folder
from ._images import Mask, format_size, read_raster, resize_mask, same_aspect
from ._layouts import DatasetFolder, Pair, open_folder
from ._progress import progress
from ._report import DatasetReport, SplitFigures


def check_dataset(folder_or_name: str | Path, *, root: str | Path | None = None) -> DatasetReport:
    """Read every file of a dataset and report what it holds and what is wrong.

    Args:
        folder_or_name: a known name, a folder under the root, or the path of a folder.
        root: where datasets lie; default the environment's FESTKIT_DATA, else ``data``.

    Returns:
        The report; counts of a known dataset that differ from its card are faults.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the name is unknown or the folder follows no known layout.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp()) / "sky"
        >>> for place in ("train/image", "train/mask"):
        ...     (folder / place).mkdir(parents=True)
        ...     Image.new("L", (6, 4), 255).save(folder / place / "a.png")
        >>> print(str(check_dataset(folder)).splitlines()[0])
        sky: 1 images, 1/0 train/test, 1 targets (0 test), 0 non-binary masks
    """
    name, path = find_folder(folder_or_name, root)
    folder = open_folder(path)
    looks, unreadable = _look_at_all(name, folder)
    leaked, identical = _identical_images(looks, folder)
    unequal = [look for look in looks if look.mask_shape != look.shape]
    test = set(folder.splits["test"])
    is_deep = any(look.is_deep for look in looks)
    return DatasetReport(
        name=name,
        folder=path,
        layout=str(folder.layout),
        figures=_figures_of_splits(looks, folder),
        sizes=Counter((look.shape[1], look.shape[0]) for look in looks),
        modes=Counter(look.mode for look in looks),
        bit_depths=Counter(look.bits for look in looks),
        levels=folder.pairs[0].files.levels if is_deep else None,
        lists=tuple(file.relative_to(path).as_posix() for file in folder.lists),
        missing_images=_names(pair for pair in folder.listed if not pair.image.is_file()),
        missing_masks=_names(
            pair for pair in folder.pairs if pair.image.is_file() and not pair.mask.is_file()
        ),
        unreadable=unreadable,
        mismatched_pairs=tuple(look.sizes for look in unequal if look.areas is None),
        implausible_masks=tuple(
            f"{look.pair.name}: {100 * look.share:.1f} %"
            for look in looks
            if look.share > MOST_SHARE
        ),
        lost_images=tuple(look.lost_gray for look in looks if look.lost_gray),
        in_both_splits=_names(set(folder.splits["train"]) & test),
        in_train_and_val=_names(folder.trained_val),
        in_val_and_test=_names(set(folder.splits.get("val", ())) & test),
        leaked_images=leaked,
        identical_images=identical,
        turned_images=_names(look.pair for look in looks if look.turned),
        nonbinary_masks=_names(look.pair for look in looks if not look.mask_is_binary),
        resampled_pairs=tuple(look.sizes for look in unequal if look.areas is not None),
        empty_masks=_names(look.pair for look in looks if look.areas == ()),
        listed_twice=_listed_twice(folder),
        unlisted=_names(folder.unlisted),
        lone_masks=tuple(file.name for file in folder.lone_masks),
        passed_over=tuple(
            file.relative_to(path).as_posix() + "/" * file.is_dir() for file in folder.passed_over
        ),
    )


@dataclass(frozen=True)
class _Look:
    """What one pair of files showed; ``areas`` is None where the mask does not fit the image."""

    pair: Pair
    mode: str
    bits: int
    is_deep: bool
    turned: bool
    shape: tuple[int, ...]
    mask_shape: tuple[int, ...]
    gray_mean: float
    gray_std: float
    lost_gray: str
    digest: str
    mask_is_binary: bool
    areas: tuple[int, ...] | None

    @property
    def sizes(self) -> str:
        mask, image = format_size(self.mask_shape), format_size(self.shape)
        return f"{self.pair.name}: mask {mask}, image {image}"

    @property
    def share(self) -> float:
        """Of the image, on targets."""
        return sum(self.areas or ()) / (self.shape[0] * self.shape[1])


def _look_at_all(name: str, folder: DatasetFolder) -> tuple[list[_Look], tuple[str, ...]]:
    """What every complete pair showed, and a sentence for each that cannot be read."""
    looks, unreadable = [], []
    complete = [pair for pair in folder.pairs if pair.image.is_file() and pair.mask.is_file()]
    for pair in progress(complete, f"checking {name}", unit="image"):
        try:
            looks.append(_look(pair))
        except ValueError as error:
            unreadable.append(str(error))
    return looks, tuple(unreadable)


def _look(pair: Pair) -> _Look:
    files = pair.files
    image, mask = read_raster(pair.image), files.mask(pair.mask)
    gray = files.gray(image)
    fits = same_aspect(mask.levels.shape, gray.shape)
    return _Look(
        pair=pair,
        mode=image.mode,
        bits=image.bits,
        is_deep=image.is_deep,
        turned=image.turned,
        shape=gray.shape,
        mask_shape=mask.levels.shape,
        gray_mean=float(gray.mean()) / 255,
        gray_std=float(gray.std()) / 255,
        lost_gray=files.lost_gray(pair.image, image, gray),
        digest=hashlib.sha256(f"{gray.shape}".encode() + image.levels.tobytes()).hexdigest(),
        mask_is_binary=mask.is_binary,
        areas=_target_areas(resize_mask(mask.mask, gray.shape)) if fits else None,
    )


def _target_areas(mask: Mask) -> tuple[int, ...]:
    from .components import find_components  # noqa: PLC0415 - opening a dataset needs no torch

    return tuple(find_components(mask).area.tolist())


def _identical_images(
    looks: Iterable[_Look], folder: DatasetFolder
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Groups of images with equal gray levels: those across train and test, and the others."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for look in looks:
        groups[look.digest].append(look.pair)
    images_of = {split: {pair.image for pair in ps} for split, ps in folder.splits.items()}
    trained = images_of["train"] | images_of.get("val", set())
    leaked: list[str] = []
    identical: list[str] = []
    for group in groups.values():
        if len(group) > 1:
            images = {pair.image for pair in group}
            across = images & trained and images & images_of["test"]
            (leaked if across else identical).append(" = ".join(_names(group)))
    return tuple(leaked), tuple(identical)


def _figures_of_splits(looks: Iterable[_Look], folder: DatasetFolder) -> dict[str, SplitFigures]:
    by_image = {look.pair.image: look for look in looks}
    images = {split: {pair.image for pair in pairs} for split, pairs in folder.splits.items()}
    images = {"all": {pair.image for pair in folder.pairs}, **images}
    return {
        split: _figures(
            sum(path.is_file() for path in paths),
            [look for path, look in by_image.items() if path in paths],
        )
        for split, paths in images.items()
    }


def _figures(images: int, looks: Sequence[_Look]) -> SplitFigures:
    fitting = [(look.areas, look.shape) for look in looks if look.areas is not None]
    areas = np.array([area for found, _ in fitting for area in found], int)
    pixels = sum(height * width for _, (height, width) in fitting)
    quantiles = np.quantile(areas, (0, 0.05, 0.5, 0.95, 1)).tolist() if len(areas) else ()
    return SplitFigures(
        images=images,
        several=sum(len(found) > 1 for found, _ in fitting),
        targets=len(areas),
        point=int(np.sum(areas <= POINT_AREA)),
        spot=int(np.sum((areas > POINT_AREA) & (areas <= SPOT_AREA))),
        extended=int(np.sum(areas > SPOT_AREA)),
        areas=tuple(quantiles),
        target_share=int(areas.sum()) / pixels if pixels else 0.0,
        gray_mean=_mean([look.gray_mean for look in looks]),
        gray_std=_mean([look.gray_std for look in looks]),
    )


def _listed_twice(folder: DatasetFolder) -> tuple[str, ...]:
    counts = (Counter(pairs) for pairs in folder.splits.values())
    return _names(pair for count in counts for pair, times in count.items() if times > 1)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _names(pairs: Iterable[Pair]) -> tuple[str, ...]:
    return tuple(sorted(pair.name for pair in pairs))
