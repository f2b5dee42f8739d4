"""Boxes and regions of other programs: COCO JSON and YOLO text files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.files import NUMBER, check_form, read_json
from ..data.images import EXTENSIONS
from ..data.weak import coco_shapes

DETECTION = {"image_id": int | str, "bbox?": [NUMBER], "score?": NUMBER}

MOST_SHARES = 2.0
"""Numbers above this are pixels rather than shares of the frame."""


class CocoRows(NamedTuple):
    """What a COCO file holds.

    Attributes:
        rows: by name of the image: (y0, x0, y1, x1, score) of boxes, (shapes, score) of regions.
        regions: whether they are regions.
        words: what they are.
        numbered: images that are named by a number alone.
    """

    rows: dict[str, list[Any]]
    regions: bool
    words: str
    numbered: list[str]


def read_coco_rows(path: Path, names: Sequence[str]) -> CocoRows:
    """Read COCO results, or a COCO dataset: boxes, or regions if an annotation has no box.

    Args:
        path: the JSON file.
        names: names of the images; without the list ``images``, a number is that of a name.

    Raises:
        ValueError: if the file has another form, or its numbers do not tell the images.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "found.json"
        >>> _ = path.write_text('[{"image_id": "a.png", "bbox": [1, 2, 3, 4], "score": 0.9}]')
        >>> read_coco_rows(path, ["a"]).rows
        {'a': [[2, 1, 6, 4, 0.9]]}
    """
    content = read_json(path)
    whole = content if isinstance(content, dict) else {"annotations": content}
    check_form(path, whole, {"annotations": [DETECTION], "images?": [{"file_name": str}]})
    labels = whole["annotations"]
    if not labels and "images" not in whole:
        raise InputError(f"{path} holds no predictions: its list is empty")
    regions = not all("bbox" in label for label in labels)
    words = "COCO boxes [x, y, width, height] in px"
    if regions:
        words = "COCO regions, with their score"
    elif any(label.get("segmentation") for label in labels):
        words += ", without their segmentation"
    named = _images_of(path, whole) if "images" in whole else _numbered(path, labels, names)
    rows: dict[str, list[Any]] = {stem: [] for stem in named.values()}
    for label in labels:
        row = _region(path, label) if regions else _box(path, label)
        rows[named[label["image_id"]]].append(row)
    numbers = [] if "images" in whole else [key for key in named if named[key] in names]
    numbered = [f"{key} for {named[key]}" for key in numbers if isinstance(key, int)]
    return CocoRows(rows, regions, words, numbered)


def _images_of(path: Path, whole: Mapping[str, Any]) -> dict[Any, str]:
    """The name of every id in the list of images."""
    named = {each.get("id"): stem_of(each["file_name"]) for each in whole["images"]}
    unknown = [
        label["image_id"] for label in whole["annotations"] if label["image_id"] not in named
    ]
    if unknown:
        raise InputError(
            f"{path} has an annotation of image {unknown[0]}, which its list images lacks; add it "
            "there, with id and file_name"
        )
    return named


def _numbered(
    path: Path, labels: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[Any, str]:
    """The name of every id: itself, or the one name with the same number."""
    ids = dict.fromkeys(label["image_id"] for label in labels)
    numbers = {int(d): name for name in names if (d := "".join(filter(str.isdecimal, name)))}
    numeric = [key for key in ids if isinstance(key, int)]
    strange = [key for key in numeric if key not in numbers]
    fault = ""
    if numeric and len(numbers) < len(names):
        fault = f"({numeric[0]}), which is not unique in the dataset's names"
    elif strange and max(numeric) <= len(names):
        fault = f"({strange[0]}) that no name has, so they may be positions in a list"
    if fault:
        raise InputError(
            f"{path} names images by number {fault}; add the list images of COCO, with id and "
            "file_name, or use names"
        )
    return {
        key: numbers.get(key, str(key)) if isinstance(key, int) else stem_of(key) for key in ids
    }


def _box(path: Path, label: Mapping[str, Any]) -> list[float]:
    """The box of an annotation and its score."""
    box, score = label["bbox"], label.get("score", 1.0)
    if len(box) != 4 or not np.isfinite([*box, score]).all():
        raise InputError(
            f"{path}: image {label['image_id']} has the bbox {box} with score {score}, expected "
            "[x, y, width, height] and a score, all finite"
        )
    x, y, width, height = box
    return [y, x, y + height, x + width, score]


def _region(path: Path, label: Mapping[str, Any]) -> Any:
    """The shapes of an annotation and its score."""
    try:
        return coco_shapes(label), label.get("score", 1.0)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: an annotation of image {label['image_id']} has neither a bbox nor a "
            f"segmentation that can be read ({type(error).__name__} {error})"
        ) from error


def stem_of(file_name: str) -> str:
    """The name of an image by that of its file.

    Example:
        >>> stem_of("1/a.PNG"), stem_of("a.1")
        ('1/a', 'a.1')
    """
    path = Path(file_name)
    return (path.with_suffix("") if path.suffix.lower() in EXTENSIONS else path).as_posix()


def read_yolo_boxes(path: Path) -> NDArray[np.float64]:
    """Rows (y0, x0, y1, x1, score) of a text file, as shares of the frame.

    Raises:
        ValueError: if a line is not a class, a box and, if there is one, its score.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_text("0 0.5 0.5 0.5 0.25 0.9")
        >>> read_yolo_boxes(path)
        array([[0.375, 0.25 , 0.625, 0.75 , 0.9  ]])
    """
    try:
        lines = [line.split() for line in path.read_text("utf-8").splitlines()]
        rows = [list(map(float, words)) for words in lines if words]
    except ValueError as error:  # also of the encoding
        raise _no_yolo(path, str(error)) from error
    for row in rows:
        if len(row) not in (5, 6) or not np.isfinite(row).all() or max(row[1:5]) > MOST_SHARES:
            raise _no_yolo(path, " ".join(f"{number:g}" for number in row))
    boxes = [
        [y - high / 2, x - wide / 2, y + high / 2, x + wide / 2, *(score or [1.0])]
        for _, x, y, wide, high, *score in rows
    ]
    return np.array(boxes, float).reshape(-1, 5)


def _no_yolo(path: Path, found: str) -> InputError:
    """The error for a file of another form."""
    return InputError(
        f"{path} is no YOLO file ({found}); expected lines of class, centre x and y, width, height "
        "and the score, in shares of the frame"
    )
