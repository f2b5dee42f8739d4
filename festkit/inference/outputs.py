"""Output formats: pictures, CSV, JSON, COCO and YOLO, each written as the frames come."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._support.files import atomic_write, write_text
from .journal import Record, mask_of
from .sources import Source

COLUMNS = (
    *("image", "frame", "time", "kind", "row", "column", "area", "peak"),
    *("top", "left", "bottom", "right", "temperature"),
)
"""Of ``targets.csv``; ``docs/howto/my_camera.md`` describes them."""

STRONG, WEAK = (230, 159, 0), (240, 228, 66)
"""Colours (red, green, blue) of strong and weak targets in overlays."""

MARGIN, NARROW = 4, 640
"""Distance of a frame in an overlay from its target, and the width [px] below which overlays are
doubled."""

FEWEST_FRAMES, OFTEN, HOT_AREA = 10, 0.8, 9
"""A mark of at most this area [px] on one pixel in this share of at least so many frames is listed
as a hot pixel."""


@dataclass(frozen=True, eq=False)
class Result:
    """The finished record of one frame, see :data:`festkit.inference.journal.FORM`.

    Attributes:
        source: its file.
        is_one_of_many: whether the file holds several frames, which get a folder.
        record: what was found.
        gray: (H, W) uint8 as the networks saw it; None if no picture of it is missing.
        is_new: whether the frame has been finished by this call.
        rate: frames per second of a video.
        is_saved: whether the frame is written as an image.
    """

    source: Source
    is_one_of_many: bool
    record: Record
    gray: NDArray[np.uint8] | None
    is_new: bool
    rate: float = 0.0
    is_saved: bool = False

    @property
    def stem(self) -> str:
        """Name of the outputs of the frame, without extension."""
        return self.source.stem_of(self.record["frame"], of_many=self.is_one_of_many)

    @property
    def image(self) -> str:
        """Name of the frame as an image file."""
        is_own = self.is_one_of_many or self.is_saved
        return f"{self.stem}.png" if is_own else self.source.name


class Writer:
    """One output format; the files of ``stack`` become complete when it closes without an error.

    Args:
        out: folder of all outputs.
        stack: closes what the writer opens.
    """

    def __init__(self, out: Path, stack: ExitStack) -> None:
        self.out, self.stack = out, stack

    def add(self, result: Result) -> None:
        """Write a frame."""

    def end(self, source: Source) -> None:
        """Complete the outputs of a file of frames."""

    def close(self, facts: dict[str, Any]) -> None:
        """Complete the outputs of all files; ``facts`` are the settings and what was read."""

    def open_text(self, name: str) -> TextIO:
        """A text file in the folder."""
        part = self.stack.enter_context(atomic_write(self.out / name))
        return self.stack.enter_context(part.open("w", encoding="utf-8", newline=""))


class _Masks(Writer):
    """``masks/NAME.png``: strong regions and weak centroids white."""

    def add(self, result: Result) -> None:
        path = self.out / "masks" / f"{result.stem}.png"
        if result.is_new or not path.is_file():
            with atomic_write(path) as part:
                Image.fromarray(mask_of(result.record)).save(part, format="png")


class _Images(Writer):
    """``images/NAME.png``: gray levels as the networks saw them."""

    def add(self, result: Result) -> None:
        path = picture_file(self.out, "images", result.source, result.stem)
        if result.gray is not None and (result.is_new or not path.is_file()):
            with atomic_write(path) as part:
                Image.fromarray(result.gray).save(part, format="png")


class _Overlays(Writer):
    """``overlays/NAME.png``, of a video ``overlays/NAME.mp4``: targets in coloured frames."""

    def __init__(self, out: Path, stack: ExitStack) -> None:
        super().__init__(out, stack)
        self._video = ExitStack()
        self._encode: Callable[[NDArray[np.uint8] | None], None] | None = None

    def add(self, result: Result) -> None:
        if result.gray is None:
            return
        picture = draw_overlay(result.gray, result.record)
        if result.source.is_video:
            self._encode = self._encode or self._start(result, picture.shape)
            self._encode(picture)
        else:
            with atomic_write(self._path(result.source, result.stem)) as part:
                Image.fromarray(picture).save(part, format="png")

    def _start(
        self, result: Result, shape: tuple[int, ...]
    ) -> Callable[[NDArray[np.uint8] | None], None]:
        """A function that appends a picture to a new video; None ends it."""
        import av  # noqa: PLC0415 - an extra

        self._video = self.stack.enter_context(ExitStack())
        path = self._path(result.source, result.source.stem)
        part = self._video.enter_context(atomic_write(path))
        container = self._video.enter_context(av.open(str(part), "w", format="mp4"))
        rate = Fraction(result.rate).limit_denominator(1001)
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "18", "preset": "veryfast"}
        )
        stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        stream.pix_fmt = "yuv420p"

        def encode(picture: NDArray[np.uint8] | None) -> None:
            frame = None
            if picture is not None:
                padding = [(0, stream.height - shape[0]), (0, stream.width - shape[1]), (0, 0)]
                frame = av.VideoFrame.from_ndarray(np.pad(picture, padding), format="rgb24")
            container.mux(stream.encode(frame))

        return encode

    def _path(self, source: Source, stem: str) -> Path:
        return picture_file(self.out, "overlays", source, stem)

    def end(self, source: Source) -> None:
        if self._encode:
            self._encode(None)
            self._encode = None
            self._video.close()


class _Table(Writer):
    """``targets.csv``: a row per target, and one for each frame without any."""

    def __init__(self, out: Path, stack: ExitStack) -> None:
        super().__init__(out, stack)
        self._rows = csv.writer(self.open_text("targets.csv"), lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def add(self, result: Result) -> None:
        record = result.record
        time = "" if record["time"] is None else f"{record['time']:.4f}"
        of = (result.source.name, record["frame"], time)
        for target in record["targets"]:
            centre = f"{target['row']:.2f}", f"{target['column']:.2f}"
            facts = target["area"], f"{target['peak']:.4f}", *target["box"]
            self._rows.writerow([*of, target["kind"], *centre, *facts, target.get("temperature")])
        if not record["targets"]:
            self._rows.writerow([*of, *[""] * (len(COLUMNS) - len(of))])


class _Lists(Writer):
    """A JSON object with some facts, and long lists that are written as they grow."""

    def __init__(self, out: Path, stack: ExitStack, *names: str) -> None:
        super().__init__(out, stack)
        self._lists = {
            name: stack.enter_context(TemporaryFile("w+", dir=out, encoding="utf-8"))  # noqa: SIM115
            for name in names
        }

    def append(self, name: str, value: Any) -> None:
        """Add an item to a list."""
        file = self._lists[name]
        file.write((",\n" if file.tell() else "") + json.dumps(value, ensure_ascii=False))

    def write(self, path: str, facts: dict[str, Any]) -> None:
        """Write the object."""
        with atomic_write(self.out / path) as part, part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(facts, indent=2, ensure_ascii=False).removesuffix("\n}"))
            for name, items in self._lists.items():
                file.write(f',\n  "{name}": [\n')
                items.seek(0)
                shutil.copyfileobj(items, file)
                file.write("\n  ]")
            file.write("\n}\n")


class _Detections(_Lists):
    """``detections.json``: settings, files, hot pixels, and every frame with its targets."""

    def __init__(self, out: Path, stack: ExitStack) -> None:
        super().__init__(out, stack, "frames")

    def add(self, result: Result) -> None:
        targets = [
            {name: fact for name, fact in target.items() if name != "counts"}
            for target in result.record["targets"]
        ]
        size = {name: result.record[name] for name in ("frame", "time", "height", "width")}
        self.append("frames", {"image": result.source.name, **size, "targets": targets})

    def close(self, facts: dict[str, Any]) -> None:
        self.write("detections.json", facts)


class _Coco(_Lists):
    """``coco.json``: images, and annotations with box, area and region (run lengths)."""

    def __init__(self, out: Path, stack: ExitStack) -> None:
        super().__init__(out, stack, "images", "annotations")
        self._images = self._annotations = 0

    def add(self, result: Result) -> None:
        record, self._images = result.record, self._images + 1
        size = {"height": record["height"], "width": record["width"]}
        image = {"id": self._images, "file_name": result.image, **size}
        self.append("images", image)
        for target in record["targets"]:
            self._annotations += 1
            y0, x0, y1, x1 = target["box"]
            region = {"size": [*size.values()], "counts": target["counts"]}
            facts = {"category_id": 1, "iscrowd": 0, "area": target["area"], "segmentation": region}
            facts |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "score": target["peak"]}
            number = {"id": self._annotations, "image_id": self._images}
            self.append("annotations", number | facts)

    def close(self, facts: dict[str, Any]) -> None:
        self.write("coco.json", {"categories": [{"id": 1, "name": "target"}]})


class _Yolo(Writer):
    """``labels/NAME.txt``: a line "0 x y width height" per target, in shares of the frame."""

    def add(self, result: Result) -> None:
        height, width = result.record["height"], result.record["width"]
        lines = []
        for target in result.record["targets"]:
            y0, x0, y1, x1 = target["box"]
            centre = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
            shares = (*centre, (x1 - x0) / width, (y1 - y0) / height)
            lines.append("0 " + " ".join(f"{share:.8f}" for share in shares) + "\n")
        write_text(self.out / "labels" / f"{result.stem}.txt", "".join(lines))

    def close(self, facts: dict[str, Any]) -> None:
        write_text(self.out / "classes.txt", "target\n")


class HotPixels(Writer):
    """Marks that stay on one pixel of the frames of a video or folder."""

    def __init__(self, out: Path, stack: ExitStack) -> None:
        super().__init__(out, stack)
        self._frames: Counter[str] = Counter()
        self._marks: Counter[tuple[str, int, int]] = Counter()

    def add(self, result: Result) -> None:
        """Count the small marks of a frame."""
        sequence = result.source.name if result.is_one_of_many else result.source.folder
        self._frames[sequence] += 1
        for target in result.record["targets"]:
            if target["area"] <= HOT_AREA:
                self._marks[sequence, round(target["row"]), round(target["column"])] += 1

    @property
    def found(self) -> list[dict[str, Any]]:
        """Sequence, pixel and number of frames of each."""
        return [
            {"sequence": name, "row": row, "column": column, "frames": count, "of": frames}
            for (name, row, column), count in sorted(self._marks.items())
            if (frames := self._frames[name]) >= FEWEST_FRAMES and count >= OFTEN * frames
        ]


FORMATS: dict[str, type[Writer]] = {
    **{"masks": _Masks, "overlays": _Overlays, "images": _Images, "csv": _Table},
    **{"json": _Detections, "coco": _Coco, "yolo": _Yolo},
}

PICTURES = ("overlays", "images")
"""Formats that need the gray levels of a frame."""


def picture_file(out: Path, name: str, source: Source, stem: str) -> Path:
    """The picture of a frame, or the overlay of a whole video."""
    suffix = "mp4" if name == "overlays" and source.is_video else "png"
    return out / name / f"{stem}.{suffix}"


def draw_overlay(gray: NDArray[np.uint8], record: Record) -> NDArray[np.uint8]:
    """(H, W, 3) a frame with its targets framed in colour, narrow ones twice as large.

    Example:
        >>> draw_overlay(np.zeros((4, 6), np.uint8), {"targets": []}).shape
        (8, 12, 3)
    """
    import cv2  # noqa: PLC0415 - takes a tenth of a second

    scale = 2 if gray.shape[1] < NARROW else 1
    picture = np.repeat(np.repeat(gray, scale, 0), scale, 1)[..., None].repeat(3, 2)
    for target in record["targets"]:
        y0, x0, y1, x1 = (scale * side for side in target["box"])
        corners = (x0 - MARGIN, y0 - MARGIN), (x1 + MARGIN - 1, y1 + MARGIN - 1)
        cv2.rectangle(picture, *corners, STRONG if target["kind"] == "strong" else WEAK, 1)
    return picture


FOLDERS = ("masks", "overlays", "images", "labels")


def remove_parts(out: Path) -> None:
    """Delete the half written files of a killed call, and no other program's."""
    inside = [(out / folder).rglob(".*.part") for folder in (*FOLDERS, "journal")]
    for part in [*out.glob(".*.part"), *(part for parts in inside for part in parts)]:
        if part.is_file():
            part.unlink()


def remove_outputs(out: Path, stem: str) -> None:
    """Delete the outputs of an earlier version of a file of frames."""
    for folder in FOLDERS:
        shutil.rmtree(out / folder / stem, ignore_errors=True)
        for suffix in ("png", "mp4", "txt"):
            (out / folder / f"{stem}.{suffix}").unlink(missing_ok=True)
