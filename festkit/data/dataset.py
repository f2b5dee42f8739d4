"""Datasets: folders of images and masks → samples; splits, statistics, checks.

Pixels are read when a sample is accessed. See ``folders`` for folder layouts, ``images`` for
reading image files, ``catalogue`` for public datasets, ``check`` and ``report`` for the check of a
folder.
"""

import base64
import hashlib
import html
import io
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, SupportsIndex, overload

import numpy as np
from PIL import Image

from .._support.errors import InputError
from .._support.names import find_name
from ..ops.size_classes import MOST_SHARE
from .catalogue import find_folder, how_to_list, members_of
from .decoding import is_deep, orientation
from .folders import DatasetFolder, open_folder, what_is_there
from .images import (
    Gray,
    Mask,
    format_size,
    read_raster,
    resize_mask,
    same_aspect,
)
from .pairing import MASK_ENDS, Pair, weak_kinds
from .unions import shared_images
from .weak import weak_masks

SPLITS = ("train", "val", "test", "all")


class Sample(NamedTuple):
    """One image with its ground truth: a tuple (image, mask, name), as a DataLoader collates.

    Attributes:
        image: (H, W) gray levels, uint8.
        mask: (H, W) bool, true on targets.
        name: name within its dataset.

    Example:
        >>> sample = Sample(np.zeros((4, 6), np.uint8), np.eye(4, 6, dtype=bool), "a")
        >>> sample
        Sample(name='a', image=(4, 6) uint8, mask=4 px)
        >>> image, mask, name = sample
        >>> sample == Sample(image.copy(), mask.copy(), "a")
        True
    """

    image: Gray
    mask: Mask
    name: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sample) or self.name != other.name:
            return False
        return np.array_equal(self.image, other.image) and np.array_equal(self.mask, other.mask)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((str(self.name), tuple(self.image.shape)))

    def __repr__(self) -> str:
        shape, dtype = tuple(self.image.shape), self.image.dtype
        return f"Sample(name={self.name!r}, image={shape} {dtype}, mask={int(self.mask.sum())} px)"

    def _repr_html_(self) -> str | None:
        """The image, at most 256 px wide and high, under its name; a batch has none."""
        if not isinstance(self.image, np.ndarray):
            return None
        picture, file = Image.fromarray(self.image), io.BytesIO()
        picture.thumbnail((256, 256))
        picture.save(file, format="png")
        data = base64.b64encode(file.getvalue()).decode()
        size, area = format_size(self.image.shape), int(self.mask.sum())
        caption = html.escape(f"{self.name}, {size}, {area} px on targets")
        return f'<img src="data:image/png;base64,{data}"/><br/>{caption}'


@dataclass(frozen=True, repr=False)
class Dataset(Sequence[Sample]):
    """The samples of one split, read from disk one at a time; a slice is a dataset again.

    Attributes:
        name: name of the dataset; of a union, the names joined by ``+``.
        split: "train", "val", "test" or "all".
        pairs: the files.

    Example:
        >>> pairs = tuple(Pair(name, Path("image.png"), Path("mask.png")) for name in "abc")
        >>> dataset = Dataset("sky", "test", pairs)
        >>> dataset
        Dataset(name='sky', split='test', 3 images)
        >>> len(dataset), dataset[1:].names
        (3, ('b', 'c'))
    """

    name: str
    split: str
    pairs: tuple[Pair, ...]

    def __repr__(self) -> str:
        return f"Dataset(name={self.name!r}, split={self.split!r}, {len(self)} images)"

    def _repr_html_(self) -> str:
        """Name, split, number and first names of the images."""
        names = ", ".join(self.names[:5]) + ", …" * (len(self) > 5)
        caption = f"{self.name}, split {self.split}: {len(self)} images ({names})"
        return f"<p>{html.escape(caption)}</p>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples, in order."""
        return tuple(pair.name for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "Dataset": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "Sample | Dataset":
        if isinstance(index, slice):
            return replace(self, pairs=self.pairs[index])
        return _read_sample(self.pairs[index])

    def mask(self, index: int) -> Mask:
        """The true mask of a sample; the pixels of its image are only read if sizes differ.

        Raises:
            ValueError: see :func:`load_dataset`.
        """
        pair = self.pairs[index]
        with suppress(OSError), Image.open(pair.image) as image:  # a TIFF that Pillow cannot read
            shape = image.size[::-1]
            mask = pair.read_mask(shape).mask
            if mask.shape == shape and mask.mean() <= MOST_SHARE:
                return mask
        return _read_sample(pair).mask

    def statistics(self) -> tuple[float, float]:
        """Mean gray value and mean gray standard deviation, averaged over images, in [0, 1].

        As in the code of the FEST paper, statistics are computed per image, then averaged.

        Raises:
            ValueError: if there are no images or a file cannot be read.
        """
        if not self.pairs:
            raise InputError(f"{self.name} ({self.split}) has no images to compute statistics from")
        grays = (pair.files.gray(read_raster(pair.image)) for pair in self.pairs)
        means, stds = zip(*((gray.mean(), gray.std()) for gray in grays), strict=True)
        return float(np.mean(means)) / 255, float(np.mean(stds)) / 255

    @property
    def weak_masks(self) -> str:
        """What the masks are drawn from, such as "boxes"; empty if they are masks."""
        return weak_kinds(self.pairs)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of 12 hexadecimal digits over the dataset name, the sample names and the files.

        For files of more than 8 bit, the hash includes the black and white levels. For files with
        an EXIF orientation, it includes the orientation.
        """
        digest = hashlib.sha256(self.name.encode())
        for pair in self.pairs:
            mask = repr(pair.labels).encode() if pair.labels else pair.mask.read_bytes()
            for part in (pair.name.encode(), pair.image.read_bytes(), mask):
                digest.update(hashlib.sha256(part).digest())
            for path in (pair.image, pair.mask):
                if (turn := orientation(path)) != 1:
                    digest.update(f"orientation {turn}".encode())
            if is_deep(pair.image):
                digest.update(repr(pair.files.levels).encode())
        return digest.hexdigest()[:12]


def load_dataset(
    name_or_folder: str | Path, split: str, *, root: str | Path | None = None
) -> Dataset:
    """Open one split of a dataset.

    Args:
        name_or_folder: a known name such as "NUAA-SIRST" (case and hyphens do not matter), a
            folder under the root, the path of a folder, or a union of these such as
            "NUAA-SIRST+NUDT-SIRST", whose sample names carry the dataset's name in front.
        split: "train", "test", "all", or "val" where there is one; a folder of images and masks
            without lists has "all" alone.
        root: folder of all datasets; default the environment's FESTKIT_DATA, else ``data``.

    Returns:
        The dataset; images and masks are read when a sample is accessed. Images of more than 8 bit
        are scaled so that the percentiles 0.1 and 99.99 of the dataset are black and white.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the name or split is unknown, the layout is not recognised, the split is
            empty, or an image or mask is missing.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp()) / "sky"
        >>> for place, level in (("train/image", 200), ("train/mask", 0)):
        ...     (folder / place).mkdir(parents=True)
        ...     Image.new("L", (6, 4), level).save(folder / place / "a.png")
        >>> dataset = load_dataset(folder, "train")
        >>> dataset.names, dataset[0].image.shape, dataset[0].mask.sum()
        (('a',), (4, 6), np.int64(0))
        >>> mean, std = dataset.statistics()
        >>> round(mean, 3), std
        (0.784, 0.0)
    """
    split = find_name("split", split, SPLITS)
    parts = [_load_one(member, split, root) for member in members_of(name_or_folder)]
    if len(parts) == 1:
        return parts[0]
    names = [part.name for part in parts]
    pairs = [replace(pair, name=f"{of.name}_{pair.name}") for of in parts for pair in of.pairs]
    for shared in shared_images({part.name: part.pairs for part in parts}):
        warnings.warn(f"the union {name_or_folder}: {shared}", stacklevel=2)
    if len({pair.name for pair in pairs}) < len(pairs):
        raise InputError(
            f"the union {name_or_folder} has two datasets of the same name, so their samples cannot"
            " be distinguished; use each name once"
        )
    return Dataset("+".join(names), split, tuple(pairs))


def _load_one(name_or_folder: str | Path, split: str, root: str | Path | None) -> Dataset:
    """One split of a single dataset, its files all there."""
    name, path = find_folder(name_or_folder, root)
    folder = open_folder(path)
    if not folder.pairs:
        lone = f", only {len(folder.lone_masks)} masks or labels" * bool(folder.lone_masks)
        raise InputError(f"{path} ({folder.layout}) holds no images{lone}")
    if folder.lacks_lists and split != "all":
        raise InputError(
            f"{path} has images and masks, but no list of its {split} split: {how_to_list(path)};"
            " the split 'all' needs no list"
        )
    every = folder.pairs if folder.lacks_lists else folder.listed
    pairs = every if split == "all" else tuple(dict.fromkeys(folder.splits.get(split, ())))
    if not pairs:
        there = ", ".join(known for known, listed in folder.splits.items() if listed) or "none"
        raise InputError(
            f"the {split} split of {name} is empty: {path} ({folder.layout}) lists no image for"
            f" it; splits with images: {there}"
        )
    for pair in pairs:
        require_files(pair)
    dataset = Dataset(name, split, pairs)
    if weak := dataset.weak_masks:
        warnings.warn(f"{name}: {weak_masks(weak)}", stacklevel=3)
    for other in {"train": ("val", "test"), "all": ()}.get(split, (split,)):
        _warn_of_trained(name, folder, other)
    return dataset


def _warn_of_trained(name: str, folder: DatasetFolder, split: str) -> None:
    """Warn of images of another split that are training images, too."""
    if both := folder.trained(split):
        warnings.warn(
            f"{len(both)} of {len(set(folder.splits[split]))} {split} images of {name} are also"
            f" training images ({both[0].name}), so {split} scores will be too high; remove them"
            " from the train list (write train.txt next to trainval.txt), or move that list away",
            stacklevel=4,
        )


def require_files(pair: Pair) -> None:
    """Refuse a pair of which a file is missing.

    Raises:
        ValueError: if the image or the mask is missing.

    Example:
        >>> require_files(Pair("a", Path("images/a"), Path("masks/a")))
        Traceback (most recent call last):
        festkit._support.errors.InputError: a is listed, but images has no image of that name...
    """
    if not pair.image.is_file():
        raise InputError(
            f"{pair.name} is listed, but {pair.image.parent} has no image of that name"
            f"{what_is_there(pair)}; restore the file, correct the list (one image name per line),"
            " or remove the name from the list"
        )
    if not pair.mask.is_file() and not pair.files.masks:
        raise InputError(
            f"image {pair.image} has no labels: {pair.mask.parent} holds no file named"
            f" {pair.mask.name}.*; write one without labels if the image has no targets"
        )
    if not pair.mask.is_file():
        raise InputError(
            f"image {pair.image} has no mask: {pair.mask.parent} holds no png, bmp, jpg or tif file"
            f" named {pair.name}, alone or with {', '.join(MASK_ENDS[1:])}"
        )


def _read_sample(pair: Pair) -> Sample:
    """Read the files of a pair."""
    files, raster = pair.files, read_raster(pair.image)
    image = files.gray(raster)
    mask = pair.read_mask(image.shape).mask
    if lost := files.lost_gray(pair.image, raster, image):
        warnings.warn(f"{lost}. Make one dataset per sensor", stacklevel=3)
    if mask.shape != image.shape:
        sizes = f"mask {format_size(mask.shape)}, image {format_size(image.shape)}"
        if not same_aspect(mask.shape, image.shape):
            raise InputError(
                f"{pair.name}: image and mask differ in size and aspect ratio ({sizes}), so they do"
                f" not belong together; replace {pair.image} or {pair.mask}"
            )
        warnings.warn(
            f"{pair.name}: mask resampled to the size of its image ({sizes})", stacklevel=3
        )
        mask = resize_mask(mask, image.shape)
    if mask.mean() > MOST_SHARE:
        warnings.warn(
            f"{pair.name}: the mask marks {100 * mask.mean():.1f} % of the image as target and"
            f" may be inverted; targets are white on black ({pair.mask})",
            stacklevel=3,
        )
    return Sample(image, mask, pair.name)
