"""Labels that are no mask files: boxes, polygons and points, and the exact regions of COCO.

Masks drawn from boxes, polygons and points are weak: IoU, nIoU and Fa then measure the labels, not
the targets.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from .._support.errors import InputError
from .images import Mask, Raster

PER_IMAGE = ("points", "yolo", "voc", "labelme")
"""Formats of label files that hold the labels of one image each; the others hold many."""


@dataclass(frozen=True)
class Shapes:
    """The weak labels of one image.

    Attributes:
        items: points (x, y), boxes (x, y, width, height) or polygons (x1, y1, x2, y2, x3, y3, ...),
            in px from the upper left corner.
        relative: whether all numbers are fractions of the width and height of the image.
        regions: exact regions: run lengths over the columns, height and width of each.
    """

    items: tuple[tuple[float, ...], ...]
    relative: bool = False
    regions: tuple[tuple[tuple[int, ...], int, int], ...] = ()

    @property
    def kinds(self) -> set[str]:
        """Which kinds of labels there are: points, boxes, polygons."""
        return {{2: "points", 4: "boxes"}.get(len(item), "polygons") for item in self.items}

    def draw(self, shape: tuple[int, ...]) -> Mask:
        """The mask of an image of a size (H, W); every label marks at least one pixel.

        Raises:
            ValueError: if a label is outside the image.

        Example:
            >>> Shapes(((1, 0, 2, 2), (0, 1))).draw((2, 4)).astype(int)
            array([[0, 1, 1, 0],
                   [1, 1, 1, 0]])
        """
        height, width = shape
        mask = np.zeros((height, width), bool)
        for counts, *size in self.regions:
            if size != [height, width]:
                raise InputError(f"a region is of {size} px, its image of {[height, width]}")
            mask |= region_of(counts, height, width)
        for item in self.items:
            scale = (width, height) if self.relative else (1, 1)
            numbers = [number * scale[place % 2] for place, number in enumerate(item)]
            part = _polygon(numbers, shape) if len(item) > 4 else _box(numbers, shape)
            if not part.any():
                place = ", ".join(f"{number:g}" for number in numbers)
                raise InputError(f"label ({place}) is outside its image of {width} × {height} px")
            mask |= part
        return mask

    def raster(self, shape: tuple[int, ...]) -> Raster:
        """The mask as an image file would hold it."""
        return Raster(self.draw(shape).astype(np.uint8), "/".join(sorted(self.kinds)), 1)


def region_of(counts: Sequence[int], height: int, width: int) -> Mask:
    """(H, W) mask of the run lengths of a region over the columns, background first, as in COCO.

    Raises:
        ValueError: if they are not as long as the image.

    Example:
        >>> region_of([1, 2, 3], 2, 3).astype(int)
        array([[0, 1, 0],
               [1, 0, 0]])
    """
    if sum(counts) != height * width or min(counts, default=0) < 0:
        raise InputError(f"run lengths of {sum(counts)} px in an image of {width} × {height} px")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def _run_lengths(text: str) -> list[int]:
    """Run lengths in COCO's text form: 5 bits a letter, each as the step from the last but one."""
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def _box(numbers: list[float], shape: tuple[int, ...]) -> Mask:
    """The pixels of a point or a box."""
    x, y, width, height = (*numbers, 0, 0)[:4]
    left, top, right, bottom = (math.floor(side + 0.5) for side in (x, y, x + width, y + height))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    part = np.zeros(shape, bool)
    part[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return part


def _polygon(numbers: list[float], shape: tuple[int, ...]) -> Mask:
    """The pixels whose centre is inside a polygon, else the one that holds the mean of its corners.

    A polygon along the sides of a box then marks the same pixels as the box.
    """
    part = np.zeros(shape, bool)
    corners = np.reshape(numbers, (-1, 2))
    rows, columns = (np.arange(length) + 0.5 for length in shape)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crossed = np.flatnonzero((y0 <= rows) != (y1 <= rows))
        at = x0 + (rows[crossed] - y0) * (x1 - x0) / ((y1 - y0) or 1)
        part[crossed] ^= columns < at[:, None]
    return part if part.any() else _box([*corners.mean(axis=0) - 0.5], shape)


def read_labels(path: Path, form: str) -> Shapes:
    """The labels of one image from its own file.

    Args:
        path: the label file.
        form: "points" (lines ``x y``), "yolo" (lines ``class cx cy width height``, of 1), "voc" or
            "labelme" (polygons, rectangles and points).

    Raises:
        ValueError: if the file has another form.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_text("0 0.5 0.5 0.25 0.5")
        >>> read_labels(path, "yolo")
        Shapes(items=((0.375, 0.25, 0.25, 0.5),), relative=True, regions=())
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return Shapes(tuple(_PARSERS[form](text)), form == "yolo")
    except (ValueError, KeyError, AttributeError, TypeError, ElementTree.ParseError) as error:
        raise InputError(f"{path} is not a label file in {form} form: {error}") from error


def has_form(path: Path, form: str) -> bool:
    """Whether the first line of a label file is in a form of :func:`read_labels`."""
    text = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    if form == "labelme":
        return text.startswith("{") and '"shapes"' in text
    first = text.partition("\n")[0]
    columns = len(first.replace(",", " ").split())
    return first.startswith("<") if form == "voc" else columns == {"points": 2, "yolo": 5}[form]


def _rows(text: str, columns: int) -> Iterator[list[float]]:
    """The numbers of every line."""
    for line in filter(None, map(str.strip, text.splitlines())):
        numbers = [float(word) for word in line.replace(",", " ").split()]
        if len(numbers) != columns or not np.isfinite(numbers).all():
            raise ValueError(f"line {line!r}, expected {columns} numbers")
        yield numbers


def _points(text: str) -> Iterator[tuple[float, ...]]:
    """Points x, y."""
    yield from map(tuple, _rows(text, 2))


def _yolo(text: str) -> Iterator[tuple[float, ...]]:
    """Boxes as fractions, from their class, centre and size."""
    for row in _rows(text, 5):
        _, x, y, width, height = row
        if not all(0 <= number <= 1 for number in row[1:]):
            raise ValueError(f"{row[1:]}, expected fractions of the image in [0, 1]")
        yield x - width / 2, y - height / 2, width, height


def _voc(text: str) -> Iterator[tuple[float, ...]]:
    """Boxes from their corners."""
    for box in ElementTree.fromstring(text).iter("bndbox"):
        left, top, right, bottom = (
            float(str(box.findtext(name))) for name in ("xmin", "ymin", "xmax", "ymax")
        )
        yield left, top, right - left, bottom - top


def _labelme(text: str) -> Iterator[tuple[float, ...]]:
    """Polygons, rectangles as boxes, and points."""
    for shape in json.loads(text)["shapes"]:
        kind, points = shape.get("shape_type", "polygon"), shape["points"]
        if kind == "rectangle":
            (left, right), (top, bottom) = map(sorted, zip(*points, strict=True))
            yield left, top, right - left, bottom - top
        elif kind == "point" and len(points) == 1:
            yield tuple(number - 0.5 for number in points[0])  # a pixel reaches from 0 to 1
        elif kind == "polygon" and len(points) > 2:
            yield tuple(float(number) for point in points for number in point)
        else:
            raise ValueError(
                f"a {kind} of {len(points)} points, expected polygon, rectangle or point"
            )


_PARSERS = {"points": _points, "yolo": _yolo, "voc": _voc, "labelme": _labelme}


def coco_shapes(label: Mapping[str, Any]) -> Shapes:
    """The region or the polygons of a COCO annotation, else its box.

    Raises:
        KeyError: if it has neither.
        ValueError: if a polygon is none.

    Example:
        >>> coco_shapes({"bbox": [3, 4, 5, 5]}).items
        ((3.0, 4.0, 5.0, 5.0),)
    """
    polygons = label.get("segmentation")
    if isinstance(polygons, dict):
        counts, (height, width) = polygons["counts"], polygons["size"]
        counts = _run_lengths(counts) if isinstance(counts, str) else counts
        return Shapes((), regions=((tuple(counts), height, width),))
    shapes = [tuple(map(float, shape)) for shape in polygons or [label["bbox"]]]
    odd = [len(shape) for shape in shapes if len(shape) < 6 or len(shape) % 2]
    if polygons and odd:
        raise ValueError(f"a polygon of {odd[0]} numbers, expected 6, 8, 10, ...")
    return Shapes(tuple(shapes))


def read_coco(path: Path) -> dict[str, Shapes] | None:
    """Labels by file name of the image, from a COCO JSON: regions or polygons, else boxes.

    Returns:
        The labels; None for another JSON.

    Raises:
        ValueError: if an entry of the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:
        return None
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        return None
    try:
        names = {each["id"]: str(each["file_name"]) for each in content["images"]}
        items: dict[str, list[tuple[float, ...]]] = {name: [] for name in names.values()}
        regions: dict[str, list[tuple[tuple[int, ...], int, int]]] = {name: [] for name in items}
        for label in content["annotations"]:
            shapes = coco_shapes(label)
            items[names[label["image_id"]]] += shapes.items
            regions[names[label["image_id"]]] += shapes.regions
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is a damaged COCO JSON: {type(error).__name__} {error}"
        ) from error
    return {n: Shapes(tuple(items[n]), regions=tuple(regions[n])) for n in items}


def read_rectangles(path: Path, frames: list[str]) -> dict[str, Shapes]:
    """Labels by name of the frame, from ``{"exist": [0, 1, ...], "gt_rect": [[x, y, w, h], ...]}``.

    Args:
        path: the JSON of a sequence.
        frames: names of its frames, in order; one entry each. Entries beyond get a name of their
            own, ``entry N``.

    Raises:
        ValueError: if the file has another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        rows = [
            (tuple(map(float, box)),) if there and len(box) == 4 else ()
            for there, box in zip(content["exist"], content["gt_rect"], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no exist and gt_rect of one length: {error}") from error
    beyond = [f"entry {number + 1}" for number in range(len(frames), len(rows))]
    return {name: Shapes(items) for name, items in zip((*frames, *beyond), rows, strict=False)}


def kinds_of(labels: Mapping[str, Shapes]) -> str:
    """The kinds of all labels, for messages.

    Example:
        >>> kinds_of({"a": Shapes(((1, 1),)), "b": Shapes(((0, 0, 2, 2),))})
        'boxes and points'
    """
    return " and ".join(sorted(set().union(*(shapes.kinds for shapes in labels.values()))))


def weak_masks(kinds: str) -> str:
    """What to say of masks that are drawn from labels.

    Example:
        >>> weak_masks("boxes")
        'weak masks, drawn from boxes: IoU, nIoU and Fa measure these, not the targets'
    """
    return f"weak masks, drawn from {kinds}: IoU, nIoU and Fa measure these, not the targets"
