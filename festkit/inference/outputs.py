"""Output files of one image: mask, picture and targets (written last)."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._support.errors import InputError
from .._support.files import NUMBER, atomic_write, read_json, write_json, write_text
from ..sensitivity import Detection

Draw = Callable[[NDArray[np.uint8], Detection], Any]
"""Function that draws an image and its detection on a figure, such as festkit.show."""

SUFFIXES = {"targets": ".json", "masks": ".png", "pictures": ".png"}
"""Kinds of files, each in a folder of this name: every target, and the checksum of the image file;
strong regions and weak centroids white; the image with its targets enlarged."""

TARGET = {"kind": str, "centroid": [NUMBER], "area": NUMBER, "peak": NUMBER, "box": [NUMBER]}

TARGETS_FORM = {"image": str, "sha256": str, "targets": [TARGET]}
"""Schema of the targets file of an image."""

COLUMNS = ("image", "kind", "row", "column", "area", "peak", "top", "left", "bottom", "right")


@dataclass(frozen=True)
class ImageOutputs:
    """The files of one image in a folder of predictions.

    Attributes:
        folder: folder of all predictions.
        image: the image file.
        name: path relative to the image folder, with slashes.
    """

    folder: Path
    image: Path
    name: str

    def file(self, kind: str) -> Path:
        """The output file of a kind (a key of :data:`SUFFIXES`)."""
        return self.folder / kind / f"{PurePosixPath(self.name).with_suffix('')}{SUFFIXES[kind]}"

    def is_done(self, *, drawn: bool) -> bool:
        """Whether all files exist and match the current image."""
        if not all(self.file(kind).is_file() for kind in SUFFIXES if drawn or kind != "pictures"):
            return False
        try:
            record = read_json(self.file("targets"), TARGETS_FORM)
        except InputError:  # a damaged file is written anew
            return False
        return bool(record["sha256"] == _digest(self.image))

    def remove(self) -> None:
        """Delete the output files of the image."""
        for kind in SUFFIXES:
            self.file(kind).unlink(missing_ok=True)

    def write(self, gray: NDArray[np.uint8], found: Detection, draw: Draw | None) -> None:
        """Write all output files of the image."""
        self.remove()
        with atomic_write(self.file("masks")) as part:
            Image.fromarray(found.mask).save(part, format="png")
        if draw is not None:
            with atomic_write(self.file("pictures")) as part:
                draw(gray, found).savefig(part, dpi=120, format="png")
        names = ("kind", "centroid", "area", "peak", "box")
        targets = [{name: getattr(each, name) for name in names} for each in found.targets()]
        record: dict[str, Any] = {"image": self.name, "sha256": _digest(self.image)}
        record |= {"height": gray.shape[0], "width": gray.shape[1], "targets": targets}
        write_json(self.file("targets"), record)


def write_table(path: Path, images: Iterable[ImageOutputs]) -> None:
    """Write the targets of many images as one CSV table, in the order of the images."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for outputs in images:
        record = read_json(outputs.file("targets"))
        for target in record["targets"]:
            row, column = (f"{value:.2f}" for value in target["centroid"])
            peak = f"{target['peak']:.4f}"
            facts = (target["kind"], row, column, target["area"], peak, *target["box"])
            writer.writerow([record["image"], *facts])
    write_text(path, text.getvalue())


def _digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
