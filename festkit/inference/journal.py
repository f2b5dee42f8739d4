"""The finished frames of one file, a line each, so that a killed run continues after the last."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._support.files import NUMBER, check_form
from ..data.weak import region_of
from ..sensitivity import Detection, Target
from .frames import Frame

Record = dict[str, Any]

TARGET = {
    **{"kind": str, "row": NUMBER, "column": NUMBER, "area": int, "peak": NUMBER},
    **{"box": [int], "counts": [int], "temperature?": NUMBER},
}

FORM = {
    **{"frame": int, "time": NUMBER | None, "height": int, "width": int},
    **{"targets": [TARGET], "marks": [[int]]},
}
"""What a line holds. ``counts`` are the run lengths of a target's region over the columns of the
frame, as in COCO, and ``marks`` the pixels of the weak targets in the mask."""

END = {"facts": {"frames": int, "many": bool, "rate": NUMBER}}
"""The last line of a finished file."""


def make_record(frame: Frame, found: Detection) -> Record:
    """What is kept of a frame."""
    height, width = frame.raster.levels.shape
    targets = []
    for target in found.targets():
        row, column = target.centroid
        facts: Record = {"kind": target.kind, "row": row, "column": column, "area": target.area}
        facts |= {"peak": target.peak, "box": list(target.box)}
        facts["counts"] = _runs(target, height, width)
        if frame.in_celsius:
            hottest = frame.raster.levels[tuple(target.pixels.T)].max()
            facts["temperature"] = round(float(hottest), 2)
        targets.append(facts)
    of = {"frame": frame.number, "time": frame.time, "height": height, "width": width}
    return {**of, "targets": targets, "marks": found.weak.tolist()}


def _runs(target: Target, height: int, width: int) -> list[int]:
    """Lengths of the runs of background and target over the columns, as COCO counts them."""
    places = np.sort(target.pixels[:, 1] * height + target.pixels[:, 0])
    starts = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    ends = np.append(starts[1:], len(places)) - 1
    edges = np.stack([places[starts], places[ends] + 1], axis=1).ravel()
    return np.diff([0, *edges, height * width]).tolist()


def mask_of(record: Record) -> NDArray[np.bool_]:
    """(H, W) mask of a frame: strong regions and weak centroids."""
    size = record["height"], record["width"]
    mask = np.zeros(size, bool)
    for target in record["targets"]:
        if target["kind"] == "strong":
            mask |= region_of(target["counts"], *size)
    for row, column in record["marks"]:
        mask[row, column] = True
    return mask


class Journal:
    """The lines of one file of frames: a header, one line per frame, and an end.

    Lines of another version of the file count as none, and neither does a last line that was cut
    off.

    Args:
        path: the journal.
        digest: checksum of the file of frames.

    Attributes:
        kept: number of finished frames.
        facts: what was noted at the end; None before.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self._path, self._header = path, {"sha256": digest}
        self._file: BinaryIO | None = None
        self._good = self.kept = 0
        self.facts: dict[str, Any] | None = None
        for number, (value, length) in enumerate(self._lines()):
            self._good += length
            self.facts = value.get("facts")
            self.kept = number - bool(self.facts)

    def _lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """The lines and their lengths, up to the first that is not as it was written."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                try:
                    value = json.loads(line)
                    if number:
                        check_form(self._path, value, END if "facts" in value else FORM)
                except (ValueError, TypeError):
                    return
                if not line.endswith(b"\n") or (number == 0 and value != self._header):
                    return
                yield value, len(line)

    def records(self) -> Iterator[Record]:
        """The finished frames of earlier calls, in order."""
        kept = self.kept
        for number, (value, _) in enumerate(self._lines()):
            if 0 < number <= kept:
                yield value

    def append(self, record: Record) -> None:
        """Add a finished frame."""
        self._write(record)

    def finish(self, facts: dict[str, Any]) -> None:
        """Mark the file as finished."""
        if not self.facts:
            self._write({"facts": facts})

    def close(self) -> None:
        """Close the journal as it is."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, value: dict[str, Any]) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
            os.truncate(self._path, self._good)
            self._file = self._path.open("ab")
            if not self._good:
                self._write(self._header)
        line = json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n"
        self._file.write(line.encode())
        self._file.flush()
