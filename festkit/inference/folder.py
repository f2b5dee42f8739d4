"""Predict files of frames and write the results to a folder; an interrupted call can be resumed."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from .._support.ahead import ahead
from .._support.cpus import check_threads
from .._support.errors import ExistingFileError, InputError
from .._support.files import read_json, write_json
from .._support.locks import file_lock
from .._support.names import find_name
from .._support.progress import progress
from ..data.images import format_size
from ..data.report import first_names
from ..model import Model
from ..sensitivity import Detection
from .frames import RawFormat
from .gray import POLARITIES, AskedLevels, GrayRules, Polarity, check_asked
from .journal import make_record
from .outputs import FORMATS, PICTURES, HotPixels, Result, Writer, remove_outputs, remove_parts
from .reading import tiled_maps, warn_if_shrunk
from .sources import Source, Sources, find_sources, not_read
from .stream import Begin, End, Event, Reader, Seen, in_batches, is_full

Format = Literal["masks", "overlays", "images", "csv", "json", "coco", "yolo"]


class SkippedImages(InputError):
    """Some of many files could not be read or written, or not to their end; all others are done.

    Attributes:
        table: ``targets.csv`` of what was read.

    Example:
        >>> SkippedImages(["a.png is truncated"], 5, Path("targets.csv")).table.name
        'targets.csv'
    """

    def __init__(self, faults: Sequence[str], files: int, table: Path) -> None:
        super().__init__(faults, files, table)
        self.table = table

    def __str__(self) -> str:
        faults, files, table = self.args
        number = f"{len(faults)} of {files} files were not read to the end; other results: {table}"
        more = [f"and {len(faults) - 10} more"] if len(faults) > 10 else []
        return "\n  ".join([number, *faults[:10], *more])


def predict_images(
    fest: Model,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    formats: Sequence[Format] = ("masks", "csv", "json"),
    tile: int | None = None,
    levels: AskedLevels = "auto",
    polarity: Polarity = "white-hot",
    raw: str | None = None,
    palette_to_gray: bool = False,
    threads: int | None = None,
) -> Path:
    """Find the targets of many frames and write them to a folder.

    ``out`` then holds, by ``formats``,

    - "csv": ``targets.csv``, always: a row per target with file, frame, time, kind, centroid, area,
      peak and box, whose bottom and right are exclusive; one row for a frame without targets;
    - "masks": ``masks/NAME.png``, strong regions and weak centroids, at the frame's own size;
    - "overlays": ``overlays/NAME.png``, of a video ``overlays/NAME.mp4``, with targets framed;
    - "images": ``images/NAME.png``, the gray levels that the networks saw;
    - "json": ``detections.json``, all frames, the levels and polarity of each file, hot pixels;
    - "coco": ``coco.json``, boxes, areas and regions; "yolo": ``labels/NAME.txt``, boxes;

    and ``prediction.json`` (the settings) and ``journal/`` (the finished frames). Files in
    subfolders keep the subfolder in their name, as in ``masks/1/0001.png``; frames of a file are
    numbered, as in ``masks/film/000012.png``. Frames are read one at a time. The same call resumes
    after an interrupt, and computes nothing again for further formats. The peak of a weak target is
    taken from the scale that found it and may exceed th1. All formats list every object once (see
    :meth:`Detection.targets`); the masks contain every mark, as the metrics count them.

    Args:
        fest: networks and thresholds.
        images: a file (png, bmp, jpg, pgm, tif of one or more pages, npy or npz of (N, H, W),
            radiometric jpg, video), a folder, which is searched recursively, a glob, a text file
            with a path per line, "-" for paths on standard input, or a list of these.
        out: folder of the results.
        formats: what to write.
        tile: side [px] of the tiles for large frames, see :func:`tiled_maps`; None processes every
            frame as a whole.
        levels: gray levels of the files that become 0 and 255. "auto": 8 bit as they are, deeper
            ones by the percentiles 0.1 and 99.99 of the images of each folder and format, or of
            each file of several frames. "folder" and "file" do so at any depth. "full" or None: the
            full range. Chosen levels are printed and stored for resumed calls.
        polarity: "white-hot", "black-hot" (gray levels are inverted), or "auto" by the strongest
            small spots of up to 16 frames, see :func:`festkit.inference.gray.spot_factor`.
        raw: size and type of frames without a header, such as "640x512:uint16".
        palette_to_gray: read pictures in false colours by their luma instead of refusing them.
        threads: number of CPU threads; default: ``fest.threads``.

    Returns:
        ``targets.csv``.

    Raises:
        FileNotFoundError: if a path does not exist or contains no frames.
        ValueError: if there are no paths, a setting is invalid, or two files have the same name.
        SkippedImages: when all others are done, if a file cannot be read to its end, or written.
        FileExistsError: if ``out`` contains predictions of another FEST or of other folders, or
            other files.
        BlockingIOError: if another process writes to ``out``.
        OSError: if the disk is full; finished frames stay.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.fromarray(np.zeros((40, 60), np.uint8)).save(folder / "sky.png")
        >>> from festkit import FEST
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
        >>> table = predict_images(fest, folder, folder / "out", formats=["coco"])
        >>> sorted(path.name for path in table.parent.iterdir())
        ['coco.json', 'journal', 'prediction.json', 'targets.csv']
    """
    if threads is not None:
        check_threads(threads)
        fest = copy(fest)
        fest.threads = threads
    names = dict.fromkeys(find_name("format", name, FORMATS) for name in ("csv", *formats))
    asked, hot = check_asked(levels), find_name("polarity", polarity, POLARITIES)
    options = {"levels": asked, "polarity": hot, "raw": raw, "tile": tile and int(tile)}
    options["palette_to_gray"] = palette_to_gray
    out = Path(out)
    given = [images] if isinstance(images, str | Path) else images
    sources = find_sources(given, leave=out, raw=RawFormat.parse(raw) if raw else None)
    _detect(fest, [np.zeros((32, 32), np.uint8)], tile)  # refuses wrong settings at once
    if out.is_file():
        raise ExistingFileError(f"{out} is a file; pass a folder for the predictions")
    with file_lock(out / ".lock", wait=False):
        settings = _settings(fest, options, sources)
        kept = _claim(out, settings)
        remove_parts(out)
        resumed: Any = {"kept": kept, "keep": partial(_store, out, settings)}
        rules = GrayRules(sources.files, asked, hot, in_colour=palette_to_gray, **resumed)
        reader = Reader(out, rules, tuple(name for name in PICTURES if name in names))
        return _write(fest, sources, reader, settings, [*names])


def _write(
    fest: Model, sources: Sources, reader: Reader, settings: dict[str, Any], names: Sequence[str]
) -> Path:
    """Write all formats; the table."""
    table = reader.out / "targets.csv"
    for name in ("targets.csv", "detections.json", "coco.json"):  # present only when complete
        (reader.out / name).unlink(missing_ok=True)
    with ExitStack() as stack:
        hot = HotPixels(reader.out, stack)
        writers = [hot, *(FORMATS[name](reader.out, stack) for name in names)]
        bar = stack.enter_context(
            progress(None, "predicting", unit="frame", total=len(sources.files))
        )
        run = _Run(fest, reader, settings["tile"], writers, bar)
        for events in in_batches(ahead(reader.read(sources.files)), fest.batch):
            run.take(events)
        faults = [*run.faults.values()]
        unknown = (f"{path} is of an unknown format" for path in sources.others)
        facts = {"settings": settings, "files": run.files, "hot_pixels": hot.found}
        facts["not_read"] = [*faults, *unknown]
        for writer in writers:
            writer.close(facts)
    _tell([*reader.rules.notes[:3], *run.complaints()], hot, sources)
    if faults:
        raise SkippedImages(faults, len(sources.files), table)
    return table


def _tell(notes: Sequence[str], hot: HotPixels, sources: Sources) -> None:
    """Warn of what may have gone wrong."""
    for note in notes:
        warnings.warn(note, stacklevel=4)
    for pixel in hot.found[:3]:
        where = "{sequence}: row {row}, column {column}".format(**pixel)
        warnings.warn(
            f"{where} has a mark in {pixel['frames']} of {pixel['of']} frames: a hot pixel, or a"
            " target that does not move",
            stacklevel=4,
        )
    if sources.others:
        warnings.warn(not_read(sources.others), stacklevel=4)


class _Run:
    """The second half of a call: predict what is read, and write all formats."""

    def __init__(
        self, fest: Model, reader: Reader, tile: int | None, writers: Sequence[Writer], bar: Any
    ) -> None:
        self.fest, self.reader, self.tile, self.writers, self.bar = fest, reader, tile, writers, bar
        self.faults: dict[Source, str] = {}
        self.files: list[dict[str, Any]] = []
        self._complaint, self._complained = "", Counter[str]()

    def take(self, events: Sequence[Event]) -> None:
        """Predict the frames among some events that are not finished, and write all."""
        seen = [event for event in events if isinstance(event, Seen)]
        found: dict[Seen, Detection] = {}
        if any(event.record is None for event in seen):
            grays = [event.prepare() for event in seen]  # all, so that batches are always the same
            found = dict(zip(seen, _detect(self.fest, grays, self.tile), strict=True))
        for event in events:
            if event.source in self.faults and not isinstance(event, End):
                continue
            try:
                if isinstance(event, Begin):
                    self._begin(event)
                elif isinstance(event, Seen):
                    self._write(event, found.get(event))
                else:
                    self._end(event)
            except OSError as error:
                if is_full(error):
                    raise
                self.faults[event.source] = str(error)

    def complaints(self) -> Iterator[str]:
        """The first complaint about gray levels, and which files have one."""
        if self._complained:
            yield self._complaint
        if (frames := self._complained.total()) > 1:
            files = first_names([*self._complained])
            yield f"{frames} frames have few or no gray levels left, in {files}"

    def _begin(self, event: Begin) -> None:
        self.bar.total += max(event.count, 1) - 1
        if not event.journal.kept:
            remove_outputs(self.reader.out, event.source.stem)

    def _write(self, event: Seen, found: Detection | None) -> None:
        record = event.record
        if record is None and event.frame and found:
            record = make_record(event.frame, found)
            event.journal.append(record)
        if record is None:
            return
        result = Result(
            event.source,
            is_one_of_many=event.facts["many"],
            record=record,
            gray=event.gray,
            is_new=event.record is None,
            rate=event.facts["rate"],
            is_saved="images" in self.reader.pictures,
        )
        for writer in self.writers:
            writer.add(result)
        self._complaint = self._complaint or event.complaint
        if event.complaint:
            self._complained[event.source.name] += 1
        self.bar.update()

    def _end(self, event: End) -> None:
        for writer in self.writers:
            writer.end(event.source)
        self.files.append(event.facts)
        if event.fault:
            self.faults.setdefault(event.source, event.fault)
        elif event.journal and event.source not in self.faults:
            event.journal.finish(event.facts)
        if event.journal:
            event.journal.close()


def _detect(
    fest: Model, grays: Sequence[NDArray[np.uint8]], tile: int | None
) -> Sequence[Detection]:
    """The targets of frames of one size, as a whole or by tiles."""
    if tile is not None:
        return [fest.detect(tiled_maps(fest, gray, tile)) for gray in grays]
    warn_if_shrunk(f"images of {format_size(grays[0].shape)}", max(grays[0].shape), fest)
    found: Any = fest.predict(np.stack(grays))
    return cast(Sequence[Detection], found)


def _settings(fest: Model, options: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """Everything that decides the result, and the folders of the images."""
    thresholds = {"th1": fest.th1, "th2": fest.th2}
    levels = options["levels"]
    return {
        "festkit": __version__,
        "folders": list(sources.roots),
        "rule": fest.rule,
        **fest.identity(),
        **{name: None if value is None else float(value) for name, value in thresholds.items()},
        **options,
        "levels": list(levels) if isinstance(levels, tuple) else levels,
    }


def _claim(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Take a folder for these predictions, or continue them; the gray rules chosen before."""
    path = out / "prediction.json"
    before = read_json(path) if path.is_file() else {}
    if path.is_file() and (not before or not isinstance(before, dict)):
        raise InputError(f"{path} is damaged; delete {out}, or choose another folder")
    if not before and any(not file.name.startswith(".") for file in out.iterdir()):
        raise ExistingFileError(
            f"{out} holds other files; choose another folder for the predictions"
        )
    now = {name: (before.get(name), value) for name, value in settings.items()} if before else {}
    changed = [f"{name} {old!r} -> {new!r}" for name, (old, new) in now.items() if old != new]
    if changed:
        raise ExistingFileError(
            f"{out} contains predictions with other settings ({'; '.join(changed)}); choose "
            "another folder or delete this one"
        )
    kept: dict[str, Any] = before.get("gray_rules", {})
    if not before:
        _store(out, settings, kept)
    return kept


def _store(out: Path, settings: dict[str, Any], kept: dict[str, Any]) -> None:
    """Write the settings and the gray rules."""
    write_json(out / "prediction.json", settings | {"gray_rules": kept})
