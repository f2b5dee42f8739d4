"""Predict many images and write the results to a folder; an interrupted call can be resumed."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import __version__
from .._support.devices import resolve_threads
from .._support.errors import ExistingFileError, InputError, MissingFileError
from .._support.files import read_json, write_json
from .._support.progress import progress
from ..data.images import EXTENSIONS, format_size
from ..data.levels import Levels, auto_levels
from ..data.pairing import find_files
from ..fest import FEST, scale_name
from ..sensitivity import Detection
from .outputs import Draw, ImageOutputs, write_table
from .reading import AskedLevels, check_asked, read_levels, tiled_maps, warn_if_shrunk


class SkippedImages(InputError):
    """Some of many images could not be read or written; all others are done.

    Attributes:
        table: ``targets.csv`` of the other images.

    Example:
        >>> SkippedImages(["a.png is truncated"], 5, Path("targets.csv")).table.name
        'targets.csv'
    """

    def __init__(self, faults: Sequence[str], images: int, table: Path) -> None:
        super().__init__(faults, images, table)
        self.table = table

    def __str__(self) -> str:
        faults, images, table = self.args
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        number = f"{len(faults)} of {images} images were skipped; other results: {table}"
        return f"{number}: {'; '.join(faults[:3])}{more}"


def predict_images(
    fest: FEST,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    tile: int | None = None,
    levels: AskedLevels = "auto",
    draw: Draw | None = None,
    threads: int | None = None,
) -> Path:
    """Find the targets of many images and write them to a folder.

    ``out`` then holds

    - ``targets.csv``: one row per target with image, kind, centroid, area, peak and box, whose
      bottom and right are exclusive;
    - ``targets/NAME.json``: the targets of one image;
    - ``masks/NAME.png``: strong regions and weak centroids, at the image's own size;
    - ``pictures/NAME.png``, with ``draw``;
    - ``prediction.json``: networks, thresholds, gray levels and image folders.

    Images in subfolders keep the subfolder in their name, as in ``masks/1/0001.png``. Existing
    results of the same FEST and the same image are not recomputed. Results of images that are no
    longer passed stay on disk, but are not in the table. The peak of a weak target is taken from
    the scale that found it and may exceed th1. The table, the JSON files and the pictures list
    every object once (see :meth:`Detection.targets`). The masks contain every mark, as the metrics
    count them.

    Args:
        fest: networks and thresholds.
        images: an image file (png, bmp, jpg, tif; any bit depth), a folder, which is searched
            recursively, or a list of these. A sequence is a folder of frames. Files of other
            formats in a folder are skipped with a warning.
        out: folder of the results.
        tile: side [px] of the tiles for large frames, see :func:`tiled_maps`; None processes every
            image as a whole.
        levels: gray levels of the files that become 0 and 255, see :func:`read_image`. "auto"
            chooses one pair for all files of more than 8 bit, prints it and stores it in
            ``prediction.json`` for resumed calls. One warning names the first image with few gray
            levels left, a second one gives the number of such images.
        draw: function that draws an image and its detection, such as ``festkit.show``.
        threads: number of CPU threads; default: ``fest.threads``.

    Returns:
        ``targets.csv``.

    Raises:
        FileNotFoundError: if a path does not exist or contains no image.
        ValueError: if there are no paths, a setting is invalid, or two images have the same name.
        SkippedImages: when all others are done, if an image cannot be read or outputs.
        FileExistsError: if ``out`` contains predictions of another FEST or of other image folders,
            or other files.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.fromarray(np.zeros((40, 60), np.uint8)).save(folder / "sky.png")
        >>> table = predict_images(FEST({32: "ACM"}, mean=0.4, std=0.1), folder, folder / "out")
        >>> sorted(path.name for path in table.parent.iterdir())
        ['masks', 'prediction.json', 'targets', 'targets.csv']
    """
    if threads is not None:
        fest = copy(fest)
        fest.threads = resolve_threads(threads)
    levels = check_asked(levels)
    out = Path(out)
    files = _image_files([images] if isinstance(images, str | Path) else images, out)
    _detect(fest, np.zeros((32, 32), np.uint8), tile)  # refuses wrong settings at once
    chosen = _claim(out, _settings(fest, tile, levels, files), files.values())
    table = out / "targets.csv"
    table.unlink(missing_ok=True)  # present only when complete
    outputs = [ImageOutputs(out, file, name) for name, file in files.items()]
    faults = _write_all(fest, outputs, tile, (levels, chosen), draw)
    write_table(table, (each for each in outputs if each not in faults))
    if faults:
        raise SkippedImages(list(faults.values()), len(files), table)
    return table


def _write_all(
    fest: FEST,
    outputs: Sequence[ImageOutputs],
    tile: int | None,
    levels: tuple[AskedLevels, Levels | None],
    draw: Draw | None,
) -> dict[ImageOutputs, str]:
    """Predict the images that are not done; by image what was wrong with it."""
    faults, complaints = {}, 0
    for each in progress(outputs, "predicting", unit="image"):
        try:
            if not each.is_done(drawn=draw is not None):
                gray, complaint = read_levels(each.image, *levels)
                if complaint and not complaints:
                    warnings.warn(complaint, stacklevel=3)
                complaints += bool(complaint)
                each.write(gray, _detect(fest, gray, tile), draw)
        except (ValueError, OSError) as error:
            with suppress(OSError):
                each.remove()
            faults[each] = str(error)
    if complaints > 1:
        warnings.warn(f"{complaints} images have few or no gray levels left", stacklevel=3)
    return faults


def _detect(fest: FEST, gray: NDArray[np.uint8], tile: int | None) -> Detection:
    """The targets of an image, as a whole or by tiles."""
    if tile is not None:
        return fest.detect(tiled_maps(fest, gray, tile))
    warn_if_shrunk(f"images of {format_size(gray.shape)}", max(gray.shape), fest)
    return fest.predict(gray)


def _image_files(paths: Sequence[str | Path], out: Path) -> dict[str, Path]:
    """Image files by their paths below the folders they came from; ``out`` is not looked into."""
    files: dict[Path, str] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise MissingFileError(f"no such image file or folder: {path}")
        found, others = find_files(path, leave=out) if path.is_dir() else ([path], [])
        found = [file for file in found if file.suffix.lower() in EXTENSIONS]
        skipped = _not_read(path, others)
        if not found:
            raise MissingFileError(f"{path} contains no images ({', '.join(EXTENSIONS)}){skipped}")
        if skipped:
            warnings.warn(f"{path} also contains other files{skipped}", stacklevel=3)
        for file in found:
            name = file.name if path.is_file() else file.relative_to(path).as_posix()
            files.setdefault(file.resolve(), name)
    if not files:
        raise InputError("no images given; pass image files, or folders of them")
    return _of_different_names(files)


def _not_read(folder: Path, others: Sequence[Path]) -> str:
    """The names of files that are no images."""
    if not others:
        return ""
    names = ", ".join(str(other.relative_to(folder)) for other in others[:5])
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return f"; not read are {names}{more}: save them as png or tif"


def _of_different_names(files: Mapping[Path, str]) -> dict[str, Path]:
    """Files by name; names that differ in case only are one file on some disks."""
    first: dict[str, Path] = {}
    for file, name in files.items():
        stem = str(PurePosixPath(name).with_suffix("")).casefold()
        if (other := first.setdefault(stem, file)) is not file:
            raise InputError(
                f"{other} and {file} would have the same output name; write them to different "
                "folders"
            )
        if name.encode(errors="replace") != os.fsencode(name):
            raise InputError(f"the name of {file!r} is not text (UTF-8); rename the file")
    return {name: file for file, name in files.items()}


def _settings(
    fest: FEST, tile: int | None, levels: AskedLevels, files: Mapping[str, Path]
) -> dict[str, Any]:
    """Everything that decides the result, and the folders of the images."""
    digest = hashlib.sha256()
    for network in fest.networks:
        for name, tensor in network.state_dict().items():
            values = tensor.cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(name.encode() + values.numpy().tobytes())
    named = {name: getattr(fest, name) for name in ("th1", "th2", "mean", "std")}
    return {
        "festkit": __version__,
        "folders": sorted({str(_root(name, file)) for name, file in files.items()}),
        "networks": {str(size): scale_name(net) for size, net in fest.backbones.items()},
        "weights": digest.hexdigest()[:12],
        "rule": fest.rule,
        **{name: None if value is None else float(value) for name, value in named.items()},
        "tile": tile and int(tile),
        "levels": list(levels) if isinstance(levels, tuple) else levels,
    }


def _root(name: str, file: Path) -> Path:
    """The folder below which a file has its name; of a link, that of what it leads to."""
    parents = list(file.parents)
    return parents[min(len(PurePosixPath(name).parts), len(parents)) - 1]


def _claim(out: Path, settings: dict[str, Any], files: Iterable[Path]) -> Levels | None:
    """Take a folder for these predictions, or continue them; the levels that "auto" means."""
    if out.is_file():
        raise ExistingFileError(f"{out} is a file; pass a folder for the predictions")
    path = out / "prediction.json"
    before = read_json(path) if path.is_file() else {}
    if path.is_file() and (not before or not isinstance(before, dict)):
        raise InputError(f"{path} is damaged; delete {out}, or choose another folder")
    if not before and out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir()):
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
    chosen = None
    if settings["levels"] == "auto":
        kept = before.get("auto_levels")
        chosen = (kept[0], kept[1]) if kept else auto_levels(files)
    if chosen:
        print(f"gray levels {chosen[0]} and {chosen[1]} become black and white (auto)")
    record = settings | {"auto_levels": chosen and list(chosen)}
    if record != before:
        write_json(path, record)
    return chosen
