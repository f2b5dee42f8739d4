"""Predictions of other programs: which file is of which image, and what its numbers mean."""

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError, MissingFileError
from .._support.names import counted
from ..data.images import format_size, read_raster
from ..data.pairing import find_files
from ..data.weak import Shapes
from ..metrics import Boxes
from ..ops.resize import resize_map
from .labels import read_coco_rows, read_yolo_boxes, stem_of

SUFFIXES = ("_prediction", "_pred", "_prob", "_mask", "_output", "_result", "_seg", "_pixels0")
"""What other programs write after the name of an image."""

FAULTS = {
    "missing": "images without a prediction",
    "twice": "images with several predictions (keep one)",
    "unreadable": "unreadable predictions",
    "colour": "colour pictures (save gray levels)",
    "not finite": "maps with NaN or infinity",
    "logits": "maps that are no probabilities (save 1 / (1 + exp(-logits)))",
    "mixed": "masks of 0 and 1 among those of 0 and 255 (save all alike)",
    "transposed": "maps with height and width exchanged (save rows first)",
    "inverted": "maps above the threshold on over half of the image (targets must be high)",
    "no image": "predictions of no image in the split, not used",
    "suffix": "predictions with a suffix after the image's name",
    "number": "images named by a number alone, found by the digits of their name",
    "resized": "maps resized to the size of the image, linearly",
    "outside": "boxes beyond the frame or without area, clipped or dropped",
}
"""What may be wrong with predictions; those before "inverted" cannot be used."""

UNUSABLE = tuple(FAULTS)[: list(FAULTS).index("inverted")]

LEAST_TOP = 25
"""Integers up to this, but above 1, are labels rather than gray levels."""

FIRST_MAPS = 20
"""Maps that are read to tell masks from gray levels."""

Read = Callable[[], NDArray[Any]]

Found = TypeVar("Found")


class UnusableError(InputError):
    """One prediction that cannot be used.

    Example:
        >>> UnusableError("logits", "-3 to 8").kind
        'logits'
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


@dataclass(frozen=True)
class Predictions:
    """The predictions of one method, by the name of their image.

    Attributes:
        source: file or folder.
        levels: what the numbers mean, in words.
        top: the level that is probability 1.
        maps: a function by image that reads its map; empty for boxes.
        regions: shapes and score of every target by image, from which maps are drawn; None for
            files of maps.
        boxes: rows (y0, x0, y1, x1, score) by image, as shares of the frame if ``normalised``;
            None for maps.
        normalised: whether boxes are shares of the frame.
        faults: what is wrong, by a key of :data:`FAULTS`: the predictions, in words.
    """

    source: Path
    levels: str
    top: float = 1.0
    maps: Mapping[str, Read] = field(default_factory=dict, repr=False)
    regions: Mapping[str, list[tuple[Shapes, float]]] | None = field(default=None, repr=False)
    boxes: Mapping[str, NDArray[np.float64]] | None = field(default=None, repr=False)
    normalised: bool = False
    faults: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def stored(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The probability map of an image as it is stored; regions are drawn at the size (H, W).

        Raises:
            UnusableError: if it is damaged, or its numbers are no probabilities.
        """
        levels = self._drawn(name, shape) if self.regions is not None else self.maps[name]()
        low, high = levels.min(), levels.max()
        if not math.isfinite(low) or not math.isfinite(high):
            raise UnusableError("not finite", name)
        if low < 0 or high > self.top:
            raise UnusableError("logits", f"{name}: {low:g} to {high:g}")
        if high == 1 < self.top and self.levels.startswith("masks"):
            raise UnusableError("mixed", name)
        return levels.astype(np.float32) / np.float32(self.top)

    def resized(
        self, name: str, prob: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """The stored map of an image of a size (H, W), at that size.

        Raises:
            UnusableError: if its height and width are exchanged.
        """
        if prob.shape == shape:
            return prob
        sizes = f"{name}: {format_size(prob.shape)}, image {format_size(shape)}"
        if prob.shape == shape[::-1]:
            raise UnusableError("transposed", sizes)
        self.faults["resized"].append(sizes)
        return resize_map(prob, (shape[0], shape[1]))

    def _drawn(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The map of an image's regions: the score of each, 0 elsewhere."""
        drawn = np.zeros(shape, np.float32)
        for shapes, score in sorted((self.regions or {}).get(name, []), key=itemgetter(1)):
            try:
                drawn[shapes.draw(shape)] = score
            except InputError as error:
                raise UnusableError("unreadable", f"{name}: {error}") from error
        return drawn

    def boxes_of(self, name: str, shape: tuple[int, ...]) -> Boxes:
        """The boxes of an image, clipped to its frame; an image without any has none.

        Shares of the frame are rounded to hundredths of a pixel, as their files are rounded.
        """
        rows = (self.boxes or {}).get(name, np.zeros((0, 5)))
        frame = np.array([*shape, *shape], np.float64)
        box = np.round(rows[:, :4] * frame, 2) if self.normalised else rows[:, :4]
        inside = np.clip(box, 0, frame)
        kept = (inside[:, 2:] > inside[:, :2]).all(1)
        outside = (np.abs(inside - box) > 1e-3).any(1) | ~kept
        self.faults["outside"].extend([name] * int(outside.sum()))
        return Boxes(inside[kept], rows[kept, 4])


def open_predictions(source: str | Path, names: Sequence[str]) -> Predictions:
    """Find the predictions of images in a folder or file, and what their numbers mean.

    Args:
        source: a folder of images (png, bmp, jpg, tif; 8 or 16 bit), of npy or npz files, or of
            YOLO text files; an npz file with one map per image name; or a COCO JSON file of boxes,
            or of regions if it has no boxes.
        names: names of the images.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: if it holds no predictions, or none of these images.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "maps.npz"
        >>> np.savez(file, a_pred=np.array([[0, 255]], np.uint8))
        >>> found = open_predictions(file, ["a"])
        >>> found.levels, found.stored("a", (1, 2))
        ('masks of 0 and 255', array([[0., 1.]], dtype=float32))
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise MissingFileError(f"no such file or folder of predictions: {path}")
    if path.suffix == ".json":
        coco = read_coco_rows(path, names)
        rows, faults = _paired(coco.rows.items(), names, path)
        faults["number"] = coco.numbered
        if coco.regions:
            return Predictions(path, coco.words, regions=rows, faults=faults)
        boxes = {name: np.array(own, float).reshape(-1, 5) for name, own in rows.items()}
        return Predictions(path, coco.words, boxes=boxes, faults=faults)
    texts = sorted(path.rglob("*.txt")) if path.is_dir() else []
    files = _map_files(path)
    if not files and texts:
        stems = (text.relative_to(path).with_suffix("").as_posix() for text in texts)
        paired, faults = _paired(zip(stems, texts, strict=True), names, path)
        yolo = {name: read_yolo_boxes(text) for name, text in paired.items()}
        words = "YOLO boxes (class, centre, width, height, and the score if there is one)"
        return Predictions(path, words, boxes=yolo, normalised=True, faults=faults)
    if not files:
        raise InputError(
            f"{path} holds no predictions; expected png, bmp, jpg, tif, npy or npz maps, YOLO txt "
            "files, or a COCO json file"
        )
    maps, faults = _paired(files, names, path)
    faults["missing"] = [name for name in names if name not in maps]
    top, words = _top(path, maps.values())
    return Predictions(path, words, top, maps, faults=faults)


def _paired(
    files: Iterable[tuple[str, Found]], names: Sequence[str], path: Path
) -> tuple[dict[str, Found], dict[str, list[str]]]:
    """What belongs to every image, by its own name or one with a suffix, and the faults."""
    paired: dict[str, Found] = {}
    faults: dict[str, list[str]] = {kind: [] for kind in FAULTS}
    known, stem = set(names), ""
    for stem, found in files:
        bare = next((stem[: -len(s)] for s in SUFFIXES if stem.lower().endswith(s)), stem)
        name = _image_of(stem, known) or _image_of(bare, known)
        if name is None:
            faults["no image"].append(stem)
            continue
        if not _image_of(stem, known):
            faults["suffix"].append(stem)
        if name in paired:
            faults["twice"].append(name)
        paired.setdefault(name, found)
    if stem and not paired:
        raise InputError(
            f"{path} has no prediction for any of the {counted(len(names), 'image')}: it holds "
            f"{stem}, the first image is {names[0]}; name predictions after images"
        )
    faults["twice"] = list(dict.fromkeys(faults["twice"]))
    return paired, faults


def _image_of(stem: str, known: Container[str]) -> str | None:
    """The image that a path names: as a whole, in a union (sky/a is sky_a), or by its end."""
    parts = stem.split("/")
    tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((each for each in (stem, "_".join(parts), *tails) if each in known), None)


def _map_files(path: Path) -> list[tuple[str, Read]]:
    """Functions that read maps, each with its name without extension."""
    if path.suffix == ".npz":
        stored = _npz(path)
        return [(stem_of(key), partial(_array, stored, key)) for key in stored]
    if not path.is_dir():
        raise InputError(f"{path} is neither a folder nor an npz or json file")
    if (path / "prediction.json").is_file():  # of festkit predict
        path /= "masks"
        if not path.is_dir():
            raise InputError(f"{path.parent} has no masks; run festkit predict with --format masks")
    arrays = sorted(file for kind in ("npy", "npz") for file in path.rglob(f"*.{kind}"))
    readers = [(file, _gray) for file in find_files(path)[0]] + [(file, _array) for file in arrays]
    return [
        (stem_of(file.relative_to(path).with_suffix("").as_posix()), partial(read, file))
        for file, read in readers
    ]


def _gray(path: Path) -> NDArray[Any]:
    """Levels of an image file."""
    try:
        raster = read_raster(path)
    except InputError as error:
        kind = "not finite" if "NaN" in str(error) else "unreadable"
        raise UnusableError(kind, str(error)) from error
    if raster.coloured:
        raise UnusableError("colour", path.name)
    return raster.levels


def _npz(path: Path) -> Any:
    """An open npz file."""
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # damaged archives fail in many ways
        raise InputError(f"{path} is damaged or no npz file ({error})") from error


def _array(file: Any, key: str | None = None) -> NDArray[Any]:
    """A map (H, W) of numbers of an npy file, an npz file of one array, or an open npz file."""
    try:
        array = file[key] if key is not None else np.load(file, allow_pickle=False)
        if isinstance(array, np.lib.npyio.NpzFile):
            (only,) = array.files
            array = array[only]
        for axis in (0, 0, -1):  # (1, 1, H, W), (1, H, W) or (H, W, 1)
            array = array.squeeze(axis) if array.ndim > 2 and array.shape[axis] == 1 else array
        if array.ndim != 2 or array.dtype.kind not in "buif":
            raise ValueError(f"{array.dtype} of shape {array.shape}, expected numbers (H, W)")
    except Exception as error:  # damaged files fail in many ways
        raise UnusableError("unreadable", f"{key or file}: {error}") from error
    return np.asarray(array)


def _top(path: Path, readers: Iterable[Read]) -> tuple[float, str]:
    """The level of probability 1, from as many maps as are needed to tell, and in words."""
    peak, masks = 0.0, True
    for number, read in enumerate(readers, 1):
        try:
            levels = read()
        except UnusableError:  # reported when the image is measured
            continue
        if levels.dtype == bool:
            return 1.0, "masks of true and false"
        high = float(levels.max())
        if levels.dtype.kind == "f" and (levels != np.rint(levels)).any():
            return 1.0, "floats, 1 is probability 1"
        if not math.isfinite(high):  # likewise
            continue
        peak, masks = max(peak, high), masks and bool(np.isin(levels, (0, high)).all())
        known = peak > 255 or (peak > LEAST_TOP and levels.dtype == np.uint8)
        if known and (not masks or number >= FIRST_MAPS):
            break
    if 1 < peak <= LEAST_TOP:
        raise InputError(
            f"{path} has whole numbers up to {peak:g} alone, as in label images; save probability "
            "maps, or masks of 0 and 255"
        )
    top = next((top for top in (1, 255, 2**16 - 1) if peak <= top), 2**32 - 1)
    words = f"masks of 0 and {top}" if masks else f"gray levels, {top} is probability 1"
    return float(top), words
