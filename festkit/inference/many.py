"""Many images into files: stopped at any moment, the same call continues."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import __version__
from .._devices import resolve_threads
from .._errors import ExistingFileError, InputError, MissingFileError
from .._files import read_json, write_json
from .._images import EXTENSIONS, format_size
from .._progress import progress
from ..backbones import backbone_name
from ..fest import FEST
from ..sensitivity import Detection
from .reading import Levels, check_levels, read_levels
from .tiles import tiled_maps
from .written import Draw, Written, write_table


class ImagesLeftOut(InputError):
    """Some of many images could not be read or written; all others are done.

    Attributes:
        table: ``targets.csv`` of the others.

    Example:
        >>> ImagesLeftOut(["a.png is truncated"], 5, Path("targets.csv")).table.name
        'targets.csv'
    """

    def __init__(self, faults: Sequence[str], images: int, table: Path) -> None:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        super().__init__(
            f"{len(faults)} of {images} images are left out, the others are in {table}: "
            f"{'; '.join(faults[:3])}{more}"
        )
        self.table = table
        self._given = faults, images, table

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


def predict_images(
    fest: FEST,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    tile: int | None = None,
    levels: Levels | None = None,
    draw: Draw | None = None,
    threads: int | None = None,
) -> Path:
    """Find the targets of many images and write them to a folder.

    ``out`` then holds ``targets.csv`` (one row per target: image, kind, centroid, area, peak, box
    whose bottom and right are the first row and column after it),
    ``targets/NAME.json`` (the same of one image), ``masks/NAME.png`` (strong regions and weak
    centroids, the image's own size), with ``draw`` ``pictures/NAME.png``, and ``prediction.json``
    (networks, thresholds, folders of the images). What is there already, made by the same FEST of
    the same image, is not made again; files of an image that is no longer named stay, and are not
    in the table. With several scales a weak target's peak is that of the scale that saw it, which
    may be above th1 where the fused map is not.

    Args:
        fest: networks and thresholds.
        images: image files (png, bmp, jpg, tif; 8 or 16 bit), folders of them (not the folders
            within), or several of these. A sequence is a folder of its frames.
        out: folder of the results.
        tile: side [px] of the squares in which large frames are looked at, see :func:`tiled_maps`;
            None shows a network the whole image.
        levels: gray levels of the files that become 0 and 255, see :func:`read_image`. Of images
            that keep few without it the first is warned of, and in the end their number.
        draw: what makes a picture of an image and its detection, such as ``festkit.show``.
        threads: CPU threads to compute with; None takes those of the FEST.

    Returns:
        ``targets.csv``.

    Raises:
        FileNotFoundError: for a path that is not there, or if there is no image in it.
        ValueError: for no path, or settings that do not fit; or if two images bear one name.
        ImagesLeftOut: when all others are done, if an image cannot be read or written.
        FileExistsError: if ``out`` holds predictions by another FEST or of another folder's images,
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
    files = _image_files([images] if isinstance(images, str | Path) else images)
    _detect(fest, np.zeros((32, 32), np.uint8), tile)  # wrong settings are told before any file
    settings = _settings(fest, tile, levels, files)
    out = Path(out)
    _claim(out, settings)
    table = out / "targets.csv"
    table.unlink(missing_ok=True)  # it stands for the whole
    done, faults = [], []
    few = 0
    for file in progress(files, "predicting", unit="image"):
        written = Written(out, file)
        try:
            if not written.is_done(drawn=draw is not None):
                gray, complaint = read_levels(file, levels)
                if complaint and not few:
                    warnings.warn(complaint, stacklevel=2)
                few += bool(complaint)
                written.write(gray, _detect(fest, gray, tile), draw)
            done.append(written)
        except (ValueError, OSError) as error:
            with suppress(OSError):
                written.remove()
            faults.append(str(error))
    write_table(table, done)
    if few > 1:
        warnings.warn(f"{few} of the images of 16 bit are nearly one gray", stacklevel=2)
    if faults:
        raise ImagesLeftOut(faults, len(files), table)
    return table


def _detect(fest: FEST, gray: NDArray[np.uint8], tile: int | None) -> Detection:
    if tile is not None:
        return fest.detect(tiled_maps(fest, gray, tile))
    largest = max(fest.backbones)
    if max(gray.shape) >= 2 * largest:
        warnings.warn(
            f"images of {format_size(gray.shape)} are shrunk to {largest} px, and small targets "
            "with them; tile (--tile) looks at them square by square",
            stacklevel=3,
        )
    return fest.predict(gray)


def _image_files(paths: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise MissingFileError(f"there is no image file or folder {path}")
        found = [path] if path.is_file() else sorted(filter(_is_image, path.iterdir()))
        if not any(map(_is_image, found)):
            raise MissingFileError(f"{path} holds no image ({', '.join(EXTENSIONS)})")
        files += found
    if not files:
        raise InputError("no images came; name image files, or folders of them")
    return _of_different_names({file.resolve(): file for file in files}.values())


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")  # as macOS puts beside files
    return path.suffix.lower() in EXTENSIONS and path.is_file() and not hidden


def _of_different_names(files: Iterable[Path]) -> list[Path]:
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(file.stem, file)
        if other is not file:
            raise InputError(
                f"{other} and {file} would be written under one name; predict them into two folders"
            )
        if file.name.encode(errors="replace") != os.fsencode(file.name):
            raise InputError(f"the name of {file!r} is not text (UTF-8); rename the file")
    return list(first.values())


def _settings(
    fest: FEST, tile: int | None, levels: Levels | None, files: Sequence[Path]
) -> dict[str, Any]:
    """What decides the result, and whence the images are: other folders may have equal names."""
    digest = hashlib.sha256()
    for network in fest.backbones.values():
        for name, tensor in network.state_dict().items():
            values = tensor.cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(name.encode() + values.numpy().tobytes())
    named = {"th1": fest.th1, "th2": fest.th2, "mean": fest.mean, "std": fest.std}
    return {
        "festkit": __version__,
        "folders": sorted({str(file.resolve().parent) for file in files}),
        "networks": {str(size): backbone_name(net) for size, net in fest.backbones.items()},
        "weights": digest.hexdigest()[:12],
        "rule": fest.rule,
        **{name: None if value is None else float(value) for name, value in named.items()},
        "tile": None if tile is None else int(tile),
        "levels": None if levels is None else list(check_levels(levels)),
    }


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Take a folder for these predictions, or continue them."""
    if out.is_file():
        raise ExistingFileError(f"{out} is a file; name a folder for predictions")
    path = out / "prediction.json"
    if not path.is_file():
        if out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir()):
            raise ExistingFileError(
                f"{out} holds other files; choose another folder for predictions"
            )
        write_json(path, settings)
        return
    before = read_json(path)
    if not isinstance(before, dict):
        raise InputError(f"{path} is damaged; remove {out}, or choose another folder")
    changed = [
        f"{n} {before.get(n)!r} -> {settings[n]!r}"
        for n in settings
        if before.get(n) != settings[n]
    ]
    if changed:
        raise ExistingFileError(
            f"{out} holds predictions by other settings ({'; '.join(changed)}); choose another "
            "folder or remove this one"
        )
