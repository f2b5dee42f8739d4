"""Read images and videos of any bit depth as 8-bit gray levels; predict large frames in tiles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._support.arguments import check_number
from .._support.errors import InputError
from .._support.files import check_path
from .._support.names import find_name
from ..data.images import Gray, read_raster
from ..data.levels import percentiles
from ..model import Images, Model
from ..ops.gray import gray_image
from ..ops.tiles import blend_tiles, tile_corners
from .frames import RawFormat
from .gray import (
    POLARITIES,
    AskedLevels,
    GrayRule,
    GrayRules,
    Polarity,
    check_asked,
    false_colours,
)
from .sources import find_sources, not_read


def read_image(path: str | Path, levels: AskedLevels = "auto") -> Gray:
    """Read an image file as 8-bit gray levels.

    The EXIF orientation is applied.

    Args:
        path: a png, bmp, jpg, pgm or tif file: gray, RGB, RGBA, palette or 1-bit, 8 or 16 bit. TIFF
            may also have 32 or 64 bit, signed integers, or floats.
        levels: gray levels (black, white) of the file that become 0 and 255; levels outside are
            clipped. "auto" keeps 8-bit files unchanged and uses the percentiles 0.1 and 99.99 of
            the pixels of deeper files; "file" does so at any depth. "full" or None uses the full
            range, up to 65535 for 16 bit.
            Use the same levels for all images of a sensor, with white above the targets.

    Returns:
        (H, W) uint8. A warning is issued if few gray levels remain or the image is in false
        colours.

    Raises:
        ValueError: if not black < white; if the file is missing, truncated, not an image, or
            contains several images; or for None with signed or float levels, which have no full
            range.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp()) / "12bit.png"
        >>> Image.fromarray(np.array([[1000, 1400, 3000]], np.uint16)).save(path)
        >>> read_image(path, levels=(1000, 2000))
        array([[  0, 102, 255]], dtype=uint8)
    """
    check_path("path", path)
    asked, path = check_asked(levels), Path(path)
    raster = read_raster(path)
    if isinstance(asked, str):
        stored = asked == "auto" and not raster.is_deep
        asked = None if stored else percentiles([raster])
    gray, complaint = GrayRule(asked).gray(raster, path.name)
    if complaint := complaint or false_colours(raster, path.name):
        warnings.warn(complaint, stacklevel=2)
    return gray


def read_frames(
    images: str | Path | Sequence[str | Path],
    *,
    levels: AskedLevels = "auto",
    polarity: Polarity = "white-hot",
    raw: str | None = None,
    palette_to_gray: bool = False,
) -> Iterator[tuple[str, Gray]]:
    """Read the frames of images and videos one at a time, as :func:`predict_images` does.

    A warning is issued for a file that cannot be read to its end; reading continues with the next.
    Another one names files of unknown formats.

    Args:
        images: see :func:`predict_images`.
        levels: see :func:`predict_images`.
        polarity: see :func:`predict_images`.
        raw: see :func:`predict_images`.
        palette_to_gray: see :func:`predict_images`.

    Yields:
        The name of a frame, numbered for a file of several, and gray levels (H, W) uint8.

    Raises:
        FileNotFoundError: if a path does not exist or contains no frames.
        ValueError: if a setting is invalid.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "film.npy"
        >>> np.save(path, np.zeros((2, 4, 6), np.uint8))
        >>> [(name, gray.shape) for name, gray in read_frames(path)]
        [('film/000000', (4, 6)), ('film/000001', (4, 6))]
    """
    given = [images] if isinstance(images, str | Path) else images
    hot = find_name("polarity", polarity, POLARITIES)
    sources = find_sources(given, raw=RawFormat.parse(raw) if raw else None)
    if sources.others:
        warnings.warn(not_read(sources.others), stacklevel=2)
    rules = GrayRules(sources.files, check_asked(levels), hot, in_colour=palette_to_gray)
    for source in sources.files:
        try:
            with source.open() as file:
                for frame, rule in rules.apply(source, file):
                    name = source.stem_of(frame.number, of_many=not file.is_still)
                    yield name, rule.gray(frame.raster, name)[0]
        except (ValueError, OSError) as error:
            warnings.warn(str(error), stacklevel=2)


FEW = 9
"""Number of squares that are cheap at any size."""


def tiled_maps(fest: Model, image: Images, tile: int) -> list[NDArray[np.float32]]:
    """Probability maps of a large image, one per network, merged from overlapping tiles.

    Images are resized to the network's input, so small targets in large frames may vanish. Here
    each network processes square tiles of the frame instead. Tiles overlap by at least a quarter.
    Overlapping maps are averaged, weighted by the distance to the tile's edge. Pass the maps to
    :meth:`FEST.detect`, which treats a target on a tile border as one. A warning is issued if tiles
    are far larger than the input size, or if there are many far smaller ones.

    Args:
        fest: networks and thresholds.
        image: gray image (H, W), see :meth:`FEST.scale_maps`.
        tile: side of the tiles [px], at least 16. Use about the size of the training images, so
            that targets appear as large as in training. Smaller images are one tile.

    Returns:
        (H, W) float32 in [0, 1] per network, in the order of the sizes.

    Raises:
        ValueError: if ``tile`` is not a whole number of at least 16, or see
            :meth:`FEST.scale_maps`.

    Example:
        >>> from festkit import FEST
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
        >>> [prob.shape for prob in tiled_maps(fest, np.zeros((70, 100), np.uint8), 32)]
        [(70, 100)]
    """
    check_number("tile", tile)
    if tile < 16 or tile != int(tile):
        raise InputError(f"tile is {tile}, expected a whole number of px, at least 16")
    if not all(isinstance(size, int) for size in fest.backbones):
        raise InputError(
            "tile is for networks at one size; detectors and networks at scale factors take whole "
            "frames: leave tile out"
        )
    tile = int(tile)
    image = gray_image(image)
    corners = tile_corners(image.shape, tile)
    side, size = min(tile, max(image.shape)), max(fest.backbones)
    warn_if_shrunk(f"tiles of {side} px", side, fest)
    if len(corners) > FEW and 4 * side < size:
        warnings.warn(
            f"tiles of {side} px are enlarged to {size} px; each of the {len(corners)} tiles per "
            "image takes as long as a whole image. Set tile (--tile) to about the size of the "
            "training images",
            stacklevel=2,
        )
    maps = (
        ((top, left), np.stack(fest.scale_maps(image[top : top + tile, left : left + tile])))
        for top, left in corners
    )
    return list(blend_tiles(maps, (len(fest.backbones), *image.shape)))


def warn_if_shrunk(images: str, side: int, fest: Model) -> None:
    """Warn if small targets may vanish because images of this longer side [px] are shrunk.

    Detectors take every image at its own size.
    """
    size = max((size for size in fest.backbones if isinstance(size, int)), default=side)
    if side >= 2 * size:
        warnings.warn(
            f"{images} are shrunk to {size} px, so small targets may vanish; use tiles of about "
            f"{size} px (tile, --tile)",
            stacklevel=4,
        )
