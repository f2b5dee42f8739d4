"""Many images into files: stopped at any moment, the same call continues."""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._files import read_json, write_json
from .._images import EXTENSIONS, format_size, read_raster
from .._progress import progress
from ..backbones import backbone_name
from ..fest import FEST
from ..sensitivity import Detection
from .tiles import tiled_maps
from .written import Draw, Written, write_table


def predict_images(
    fest: FEST,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    tile: int | None = None,
    draw: Draw | None = None,
) -> Path:
    """Find the targets of many images and write them to a folder.

    ``out`` then holds ``targets.csv`` (one row per target: image, kind, centroid, area, peak, box),
    ``targets/NAME.json`` (the same of one image), ``masks/NAME.png`` (strong regions and weak
    centroids, the image's own size), with ``draw`` ``pictures/NAME.png``, and ``prediction.json``
    (networks and thresholds). What is there already, made by the same FEST of the same image, is
    not made again.

    Args:
        fest: networks and thresholds.
        images: image files (png, bmp, jpg, tif; 8 or 16 bit), folders of them (not the folders
            within), or several of these. A sequence is a folder of its frames.
        out: folder of the results.
        tile: side [px] of the squares in which large frames are looked at, see :func:`tiled_maps`;
            None shows a network the whole image.
        draw: what makes a picture of an image and its detection, such as ``festkit.show``.

    Returns:
        ``targets.csv``.

    Raises:
        FileNotFoundError: for a path that is not there, or if there is no image in it.
        ValueError: for no path; if two images bear one name; or, when all others are done, if an
            image cannot be read.
        FileExistsError: if ``out`` holds the predictions of another FEST, or other files.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.fromarray(np.zeros((40, 60), np.uint8)).save(folder / "sky.png")
        >>> table = predict_images(FEST({32: "ACM"}, mean=0.4, std=0.1), folder, folder / "out")
        >>> sorted(path.name for path in table.parent.iterdir())
        ['masks', 'prediction.json', 'targets', 'targets.csv']
    """
    files = _image_files([images] if isinstance(images, str | Path) else images)
    out = Path(out)
    _claim(out, _settings(fest, tile))
    table = out / "targets.csv"
    table.unlink(missing_ok=True)  # it stands for the whole
    done, faults = [], []
    for file in progress(files, "predicting", unit="image"):
        written = Written(out, file)
        if not written.is_done(drawn=draw is not None):
            try:
                gray = read_raster(file).gray
            except ValueError as error:
                faults.append(str(error))
                continue
            written.write(gray, _detect(fest, gray, tile), draw)
        done.append(written)
    write_table(table, done)
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ValueError(
            f"{len(faults)} of {len(files)} images are left out, the others are in {table}: "
            f"{'; '.join(faults[:3])}{more}"
        )
    return table


def _detect(fest: FEST, gray: NDArray[np.uint8], tile: int | None) -> Detection:
    if tile is not None:
        return fest.detect(tiled_maps(fest, gray, tile))
    largest = max(fest.backbones)
    if max(gray.shape) >= 2 * largest:
        warnings.warn(
            f"images of {format_size(gray.shape)} are shrunk to {largest} px, and small targets "
            "with them; tile= looks at them in squares, at their own resolution",
            stacklevel=3,
        )
    return fest.predict(gray)


def _image_files(paths: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"there is no image file or folder {path}")
        found = [path] if path.is_file() else sorted(path.iterdir())
        found = [file for file in found if file.suffix.lower() in EXTENSIONS]
        if not found:
            raise FileNotFoundError(f"{path} holds no image ({', '.join(EXTENSIONS)})")
        files += found
    if not files:
        raise ValueError("no images came; name image files, or folders of them")
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(file.stem, file)
        if other is not file:
            raise ValueError(
                f"{other} and {file} would be written under one name; predict them into two folders"
            )
    return files


def _settings(fest: FEST, tile: int | None) -> dict[str, Any]:
    """What decides the result, apart from the images."""
    digest = hashlib.sha256()
    for network in fest.backbones.values():
        for name, tensor in network.state_dict().items():
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    settings = {name: getattr(fest, name) for name in ("th1", "th2", "rule", "mean", "std")}
    networks = {str(size): backbone_name(net) for size, net in fest.backbones.items()}
    return {"networks": networks, "weights": digest.hexdigest()[:12], **settings, "tile": tile}


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Take a folder for these predictions, or continue them."""
    path = out / "prediction.json"
    if not path.is_file():
        if out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir()):
            raise FileExistsError(f"{out} holds other files; choose another folder for predictions")
        write_json(path, settings)
        return
    before = read_json(path)
    changed = [
        f"{n} {before.get(n)!r} -> {settings[n]!r}"
        for n in settings
        if before.get(n) != settings[n]
    ]
    if changed:
        raise FileExistsError(
            f"{out} holds predictions by other settings ({'; '.join(changed)}); choose another "
            "folder or remove this one"
        )
