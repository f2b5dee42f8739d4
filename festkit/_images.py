"""Image files as gray levels and masks, in every format and bit depth datasets come in.

Gray levels follow Pillow's ``convert("L")``; an OpenCV gray read applies the gAMA chunk of a PNG
and is then up to 18 levels off. 16-bit gray files are scaled from their full range, 0 to 65535, to
8 bit. 16-bit colour files keep their high byte, as Pillow reads them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ._errors import InputError

Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]

EXTENSIONS = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Raster:
    """What an image file holds.

    Attributes:
        levels: (H, W) gray levels as stored, uint8 or uint16.
        mode: Pillow's mode of the file, such as L, RGB, P, 1 or I;16.
        bits: bits per channel: 1, 8 or 16.
    """

    levels: NDArray[np.uint8] | NDArray[np.uint16]
    mode: str
    bits: int

    @property
    def gray(self) -> Gray:
        """(H, W) 8-bit gray levels; 16 bit is divided by 257 and rounded."""
        if self.levels.dtype == np.uint8:
            return self.levels.astype(np.uint8, copy=False)
        return ((self.levels.astype(np.uint32) + 128) // 257).astype(np.uint8)

    @property
    def top(self) -> int:
        """The level that means "target" in a mask: 1, 255 or 65535, the least that is enough."""
        peak = int(self.levels.max())
        return next(top for top in (1, 255, 65535) if peak <= top)

    @property
    def mask(self) -> Mask:
        """(H, W) the levels above 127 of 255, as a mask is binarised."""
        return self.levels.astype(np.uint32) * 255 > 127 * self.top

    @property
    def is_binary(self) -> bool:
        """Whether a mask holds nothing but 0 and its top level."""
        return bool(np.isin(self.levels, (0, self.top)).all())


def read_raster(path: str | Path) -> Raster:
    """Read one image file.

    Args:
        path: a png, bmp, jpg or tif file of 8 or 16 bit: gray, RGB, RGBA, palette or 1-bit.

    Raises:
        ValueError: if the file is missing, truncated, no image, of another depth, or holds several
            images of one size.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.array([[0, 25700, 65535]], np.uint16)).save(path)
        >>> read_raster(path).gray
        array([[  0, 100, 255]], dtype=uint8)
    """
    image = _decode(Path(path))
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Raster(np.asarray(image).astype(np.uint16), image.mode, 16)
    if image.mode in ("I", "F"):
        raise InputError(
            f"{path} holds 32-bit or signed values (Pillow mode {image.mode}), which have no"
            " stated full scale; save it with 8 or 16 bit"
        )
    return Raster(np.asarray(image.convert("L")), image.mode, 1 if image.mode == "1" else 8)


def read_mask(path: str | Path) -> Raster:
    """Read a mask file; one that marks something, but nothing above 127 of 255, is refused.

    Raises:
        ValueError: as :func:`read_raster`, or for class numbers instead of black and white.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
        >>> read_mask(path).mask
        array([[False,  True]])
    """
    raster = read_raster(path)
    if raster.levels.any() and not raster.mask.any():
        raise InputError(
            f"mask {path} has levels up to {raster.levels.max()} but none above 127 of 255, so it "
            "would be empty; save targets as 255 (or 1) and background as 0"
        )
    return raster


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


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.verify()  # the checksums and the end of a PNG, which loading does not ask for
        with Image.open(path) as image:
            pages = _count_pages(image)
            image.load()
    except Exception as error:  # damaged files make decoders fail in many ways
        raise InputError(f"cannot read image file {path}: {error}") from error
    if pages > 1:
        raise InputError(f"{path} holds {pages} images, expected one; save each to its own file")
    image.info.pop("transparency", None)  # alpha plays no part in gray levels
    return image


def _count_pages(image: Image.Image) -> int:
    """Images in a file, without thumbnails; the first is the one at hand again."""
    first, pages = image.size, 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        pages += image.size == first
    image.seek(0)
    return pages
