"""Read image files of all formats and bit depths as gray levels and masks.

8-bit gray levels follow Pillow's ``convert("L")``; an OpenCV gray read applies the gAMA chunk of a
PNG and is then up to 18 levels off. Files of more than 8 bit, integer or float, keep their own
levels. Colour is converted to luma. Files in which zero is white are inverted, so that larger is
brighter. The EXIF orientation is applied, so positions are those that viewers and OpenCV show.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._support.errors import InputError
from .decoding import decode

Gray = NDArray[np.uint8]

Mask = NDArray[np.bool_]

EXTENSIONS = (".png", ".bmp", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff")

_FLIPS = ((1, 1), (1, -1), (-1, -1), (-1, 1))
"""Steps through rows and columns, by orientation; from 5 on, the same of the transposed image."""


@dataclass(frozen=True, eq=False)
class Raster:
    """Content of an image file.

    Attributes:
        levels: (H, W) gray levels as stored, integers or floats; brighter is larger.
        mode: Pillow's mode of the file, such as L, RGB, P, 1 or I;16, else the type of the levels.
        bits: bits per channel: 1, 8, 16, 32 or 64.
        turned: whether an EXIF orientation was applied.
        least_top: lower bound of the level that means "target" in a mask, see ``top``.
        coloured: share of coloured pixels, see :class:`festkit.data.decoding.Decoded`.
    """

    levels: NDArray[Any]
    mode: str
    bits: int
    turned: bool = False
    least_top: int = 1
    coloured: float = 0.0

    @property
    def gray(self) -> Gray:
        """(H, W) 8-bit gray levels; deeper unsigned integers are scaled from their full range.

        Raises:
            ValueError: for signed integers and floats, which have no full range.
        """
        if self.levels.dtype == np.uint8:
            return self.levels
        if self.levels.dtype.kind != "u":
            raise InputError(
                f"levels of {self.levels.dtype} ({self.levels.min():g} to {self.levels.max():g})"
                " have no full range; pass the levels of black and white (levels), or 'auto'"
            )
        top = int(np.iinfo(self.levels.dtype).max)
        return np.rint(self.levels * (255 / top)).astype(np.uint8)

    @property
    def probability(self) -> NDArray[np.float32]:
        """(H, W) levels divided by their full range; floats must already be in [0, 1].

        Raises:
            ValueError: for floats beyond [0, 1] and signed integers.
        """
        kind, low, high = self.levels.dtype.kind, self.levels.min(), self.levels.max()
        if kind == "i" or (kind == "f" and not 0 <= low <= high <= 1):
            raise InputError(
                f"levels of {self.levels.dtype} from {low:g} to {high:g} are not probabilities;"
                " expected floats in [0, 1], or unsigned integers whose maximum stands for 1"
            )
        top = 1 if kind == "f" else np.iinfo(self.levels.dtype).max
        return (self.levels / top).astype(np.float32)

    @property
    def top(self) -> int:
        """The level of targets in a mask: 1, 255, 65535 or 2³² − 1, the least that fits."""
        peak = max(self.levels.max(), self.least_top)
        return next(top for top in (1, 255, 2**16 - 1, 2**32 - 1) if peak <= top)

    @property
    def mask(self) -> Mask:
        """(H, W) the levels above 127 of 255, as a mask is binarised."""
        if self.levels.dtype.kind == "f":
            return self.levels.astype(np.float64) * 255 > 127 * self.top
        return np.asarray(self.levels > 127 * self.top // 255)

    @property
    def is_binary(self) -> bool:
        """Whether a mask contains only 0 and its top level."""
        return bool(np.isin(self.levels, (0, self.top)).all())

    @property
    def is_deep(self) -> bool:
        """Whether the file has more than 8 bit."""
        return self.levels.dtype != np.uint8


def read_raster(path: str | Path, page: Any = None) -> Raster:
    """Read one image file.

    Args:
        path: a png, bmp, jpg, pgm or tif file; its EXIF orientation is applied. TIFF may have
            integers or floats of any depth (floats in which zero is white are negated), other
            formats 8 or 16 bit.
        page: a page of the open TIFF; None expects a file of one image.

    Raises:
        ValueError: if the file is missing, truncated, not an image or of another format, or has
            several images of one size or values that are not finite.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.array([[0, 25700, 65535]], np.uint16)).save(path)
        >>> read_raster(path).gray
        array([[  0, 100, 255]], dtype=uint8)
    """
    path = Path(path)
    try:
        levels, mode, bits, orientation, coloured = decode(path, page)
    except InputError:
        raise
    except Exception as error:  # damaged files make decoders fail in many ways
        raise InputError(f"cannot read image file {path}: {error}") from error
    if not np.isfinite(levels).all():
        raise InputError(
            f"{path} contains NaN or infinity; replace them, for example by its minimum"
        )
    return turn(Raster(levels, mode, bits, coloured=coloured), orientation)


def turn(raster: Raster, orientation: int) -> Raster:
    """An image as viewers show it, by its EXIF orientation.

    Example:
        >>> turn(Raster(np.array([[1, 2]]), "I", 64), 6).levels.tolist()
        [[1], [2]]
    """
    turned = 2 <= orientation <= 8
    rows, columns = _FLIPS[(orientation - 1) % 4 if turned else 0]
    shown = (raster.levels.T if turned and orientation > 4 else raster.levels)[::rows, ::columns]
    return replace(raster, levels=np.array(shown, order="C"), turned=turned)  # writable, too


def read_mask(path: str | Path, least_top: int = 1) -> Raster:
    """Read a mask file; one that marks something, but nothing above 127 of 255, is refused.

    Args:
        path: see :func:`read_raster`.
        least_top: level that means "target" in the other masks of the folder, if known.

    Raises:
        ValueError: see :func:`read_raster`; also if the file has class labels instead of black and
            white, has colours, or differs in its alpha channel only.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
        >>> read_mask(path).mask
        array([[False,  True]])
    """
    raster = replace(read_raster(path), least_top=least_top)
    if fault := next(_faults_of_mask(Path(path), raster), ""):
        raise InputError(f"mask {path} {fault}; save targets as white (255) on black")
    return raster


def _faults_of_mask(path: Path, raster: Raster) -> Iterator[str]:
    """What makes a file no mask."""
    low, peak = raster.levels.min(), raster.levels.max()
    if low < 0 or peak >= 2**32:
        yield f"has levels from {low:g} to {peak:g}"
    if low == peak and _differs_in_alpha(path):
        yield "has one colour and differs in its alpha channel only, which masks do not use"
    if peak and not raster.mask.any():
        beside = f" ({raster.least_top} is a target in other masks)" * (raster.least_top > 1)
        yield f"has levels up to {peak} but none above 127 of 255{beside}, so it would be empty"
    if raster.coloured:
        yield "is a colour picture, whose gray levels depend on the hue"


def same_aspect(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two sizes (H, W) are one image at two scales, to within a pixel of the smaller.

    Example:
        >>> same_aspect((220, 325), (400, 592)), same_aspect((256, 320), (320, 256))
        (True, False)
    """
    return abs(shape[0] * other[1] - shape[1] * other[0]) <= max(*shape, *other)


def resize_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask at another size (H, W), every pixel from the nearest one.

    Example:
        >>> resize_mask(np.array([[False, True]]), (2, 4)).astype(int)
        array([[0, 0, 1, 1],
               [0, 0, 1, 1]])
    """
    height, width = shape
    resized = Image.fromarray(mask.view(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized) > 0


def format_size(shape: tuple[int, ...]) -> str:
    """A size (H, W) as people write it.

    Example:
        >>> format_size((220, 325))
        '325 × 220 px'
    """
    return f"{shape[1]} × {shape[0]} px"


def _differs_in_alpha(path: Path) -> bool:
    """Whether the alpha channel of an image varies."""
    with Image.open(path) as image:
        if not image.has_transparency_data:
            return False
        low, high = image.convert("RGBA").getchannel("A").getextrema()
    return low != high
