"""Decode image files of every format: gray levels, as stored, and the EXIF orientation."""

import io
import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .._support.errors import InputError


class Decoded(NamedTuple):
    """The pixels of an image file as stored, not turned.

    Attributes:
        levels: (H, W) gray levels.
        mode: Pillow's mode, or the type of the levels.
        bits: bits per channel.
        orientation: EXIF orientation.
        coloured: share of pixels whose channels differ by more than a quarter of the brightest
            level; JPEG leaves less of gray.
    """

    levels: NDArray[Any]
    mode: str
    bits: int
    orientation: int
    coloured: float = 0.0


_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_ORIENTATION = 274  # tag of EXIF and of TIFF

_PNG_EXIF = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""Chunks of a PNG that may hold an orientation."""

_LUMA = np.array([0.299, 0.587, 0.114])


def decode(path: Path, page: Any = None) -> Decoded:
    """The pixels of an image file, and what is known of them.

    Args:
        path: the file.
        page: a page of the open TIFF; None expects a file of one image.

    Raises:
        ValueError: if it has several images or channels that are not read.
        Exception: whatever a decoder raises for a damaged file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.zeros((2, 3), np.uint8)).save(path)
        >>> decode(path)[1:]
        ('L', 8, 1, 0.0)
    """
    if page is not None:
        return _decode_page(path, page)
    return _decode_tiff(path) or _decode_other(path)


def open_tiff(path: Path) -> Any:
    """A TIFF with its pages, kept open.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "film.tif"
        >>> _tifffile().imwrite(path, np.zeros((2, 4, 6), np.uint16))
        >>> with open_tiff(path) as tiff:
        ...     len(tiff.pages)
        2
    """
    return _tifffile().TiffFile(path)


def page_sizes(path: Path) -> dict[int, tuple[int, int]]:
    """Size (H, W) of every page of a TIFF by its number, without reduced copies.

    Raises:
        ValueError: if the file is damaged.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "film.tif"
        >>> _tifffile().imwrite(path, np.zeros((2, 4, 6), np.uint16))
        >>> page_sizes(path)
        {0: (4, 6), 1: (4, 6)}
    """
    try:
        with _tifffile().TiffFile(path) as tiff:
            return {
                number: (page.imagelength, page.imagewidth)
                for number, page in enumerate(tiff.pages)
                if not page.is_reduced
            }
    except Exception as error:  # damaged files make decoders fail in many ways
        raise InputError(f"cannot read image file {path}: {error}") from error


def colour_share(stored: NDArray[Any]) -> float:
    """Share of coloured pixels of (H, W) or (H, W, channels), see :class:`Decoded`.

    Example:
        >>> colour_share(np.array([[[9, 9, 9], [200, 9, 9]]], np.uint8))
        0.5
    """
    if stored.ndim == 2 or stored.shape[-1] < 3:
        return 0.0
    red, green, blue = np.moveaxis(stored[..., :3], -1, 0)
    if (red == green).all() and (green == blue).all():
        return 0.0
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return float((spread > (64 if stored.dtype == np.uint8 else stored[..., :3].max() / 4)).mean())


def is_deep(path: Path) -> bool:
    """Whether a file stores more than 8 bit a channel, by its first bytes and tags.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.zeros((2, 3), np.uint16)).save(path)
        >>> is_deep(path)
        True
    """
    try:
        if not _is_tiff(path):
            return _is_deep_png(path)
        with _tifffile().TiffFile(path) as tiff:
            return _is_deep_page(tiff.pages.first)
    except Exception:  # damaged in any way: reading it says so
        return False


def orientation(path: Path) -> int:
    """The EXIF orientation of a file, by which it is turned; 1 leaves it as it is stored.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> Image.fromarray(np.zeros((2, 3), np.uint8)).save(path)
        >>> orientation(path)
        1
    """
    try:
        if not _is_tiff(path):
            data = path.read_bytes()
            if data.startswith(b"\x89PNG") and not any(mark in data for mark in _PNG_EXIF):
                return 1  # Pillow decodes a whole PNG to find out
            with Image.open(io.BytesIO(data)) as image:
                return int(image.getexif().get(_ORIENTATION, 1))
        with _tifffile().TiffFile(path) as tiff:
            return int(tiff.pages.first.tags.valueof(_ORIENTATION, 1))
    except Exception:  # damaged in any way: reading it says so
        return 1


def _decode_tiff(path: Path) -> Decoded | None:
    """A TIFF of more than 8 bit; None for other files."""
    if not _is_tiff(path):
        return None
    with open_tiff(path) as tiff:
        page = tiff.pages.first
        same = [series for series in tiff.series if series.keyframe.shape == page.shape]
        _expect_one(path, sum(series.size // page.size for series in same))  # no thumbnails
        return _decode_deep(path, page) if _is_deep_page(page) else None


def _decode_page(path: Path, page: Any) -> Decoded:
    """A page of an open TIFF; no other page is read, apart from palettes and 1 bit."""
    if _is_deep_page(page):
        return _decode_deep(path, page)
    if page.dtype != np.uint8 or page.photometric not in (1, 2):
        return _decode_other(path, page)
    stored = _tiff_pixels(path, page)
    image = Image.fromarray(stored[..., :3] if stored.ndim == 3 else stored)
    gray, turned = np.asarray(image.convert("L")), page.tags.valueof(_ORIENTATION, 1)
    return Decoded(gray, image.mode, 8, turned, colour_share(stored))


def _decode_deep(path: Path, page: Any) -> Decoded:
    """A page of more than 8 bit."""
    stored = _tiff_pixels(path, page)
    levels, coloured = _luma(path, stored), colour_share(stored)
    kind, bits = page.photometric.name, int(np.ravel(page.bitspersample)[0])
    if page.photometric not in (0, 1, 2) or levels.dtype.kind not in "uif":
        raise InputError(f"{path} is a TIFF of {kind} {page.dtype}; save it as gray or RGB")
    if page.photometric == 0:  # white is zero
        levels = _inverted(levels, bits)
    mode = "I;16" if levels.dtype == np.uint16 and kind != "RGB" else f"{kind} {levels.dtype}"
    turned = page.tags.valueof(_ORIENTATION, 1)
    return Decoded(levels, mode, 8 * levels.dtype.itemsize, turned, coloured)


def _tiff_pixels(path: Path, page: Any) -> NDArray[Any]:
    """(H, W) or (H, W, channels) as stored."""
    ends = [sum(piece) for piece in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if max(ends) > path.stat().st_size:
        raise EOFError("the file is truncated")
    try:
        stored = np.asarray(page.asarray())
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        data = np.frombuffer(_bytes_of(path, page), np.uint8)
        return _opencv_pixels(data).astype(page.dtype)  # has codecs
    return np.moveaxis(stored, 0, -1) if page.axes == "SYX" else stored


def _inverted(levels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Levels whose white is zero, turned so that brighter is larger."""
    if levels.dtype.kind == "u":
        return (2**bits - 1 - levels.astype(np.uint64)).astype(levels.dtype)
    return ~levels if levels.dtype.kind == "i" else -levels


def _decode_other(path: Path, page: Any = None) -> Decoded:
    """A file that Pillow reads; PNG of 16 bit by OpenCV, as colour, too."""
    with Image.open(path) as image:
        image.verify()  # the checksums and the end of a PNG, which loading does not ask for
    source: Path | io.BytesIO = path
    turned = 0
    if _is_tiff(path):
        with open_tiff(path) as tiff:
            first = tiff.pages.first if page is None else page
            source = io.BytesIO(_bytes_of(path, first))
            turned = first.tags.valueof(_ORIENTATION, 1)
    with Image.open(source) as image:
        _expect_one(path, _count_pages(image))
        image.load()
    turned = turned or image.getexif().get(_ORIENTATION, 1)
    image.info.pop("transparency", None)  # alpha plays no part in gray levels
    is_gray = image.mode[0] in "1LIF" and image.mode != "LAB"
    coloured = 0.0 if is_gray else colour_share(np.asarray(image.convert("RGB")))
    if _is_deep_png(path) or (image.format == "PPM" and image.mode == "I"):  # Pillow scales PGM
        levels = _luma(path, _opencv_pixels(np.fromfile(path, np.uint8)))
        return Decoded(levels, image.mode, 16, turned, coloured)
    if image.mode[0] in "IF":
        raise InputError(f"{path} is a {image.format} of more than 8 bit; save it as PNG or TIFF")
    bits = 1 if image.mode == "1" else 8
    return Decoded(np.asarray(image.convert("L")), image.mode, bits, turned, coloured)


def _bytes_of(path: Path, page: Any) -> mmap.mmap:
    """The bytes of a TIFF, mapped, as if it held only one page, which is not to be turned.

    OpenCV turns it, and Pillow mixes up its pixels.
    """
    form = page.parent.tiff
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    (tags,) = struct.unpack_from(form.tagnoformat, data, page.offset)
    struct.pack_into(form.offsetformat, data, form.offsetsize, page.offset)  # the first page
    after = page.offset + form.tagnosize + tags * form.tagsize
    struct.pack_into(form.offsetformat, data, after, 0)  # no next page
    if tag := page.tags.get(_ORIENTATION):
        struct.pack_into(f"{form.byteorder}H", data, tag.valueoffset, 1)
    return data


def _opencv_pixels(data: NDArray[np.uint8]) -> NDArray[Any]:
    """(H, W) or (H, W, channels) as stored, not turned, in the order red, green, blue, alpha."""
    import cv2  # noqa: PLC0415 - most datasets have 8 bit

    stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError("it is damaged, or compressed in an unknown way")
    return np.asarray(stored if stored.ndim == 2 else stored[..., [2, 1, 0, 3][: stored.shape[2]]])


def _luma(path: Path, stored: NDArray[Any]) -> NDArray[Any]:
    """(H, W) gray levels of (H, W) or (H, W, channels), without alpha."""
    channels = 1 if stored.ndim == 2 else stored.shape[-1]
    if stored.ndim > 3 or channels > 4:
        raise InputError(f"{path} holds {channels} channels; save it as gray or RGB")
    if channels < 3:
        return stored.reshape(*stored.shape[:2], channels)[..., 0]
    colour = stored[..., :3]
    if (colour == colour[..., :1]).all():
        return colour[..., 0]
    luma = colour @ _LUMA
    return (luma if stored.dtype.kind == "f" else np.rint(luma)).astype(stored.dtype)


def _is_tiff(path: Path) -> bool:
    """Whether a file starts as a TIFF does, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) in _TIFF_STARTS


def _is_deep_png(path: Path) -> bool:
    """Whether a file is a PNG of 16 bit."""
    with path.open("rb") as file:
        start = file.read(25)
    return start.startswith(b"\x89PNG") and start[24:] == b"\x10"


def _is_deep_page(page: Any) -> bool:
    """Whether a page of a TIFF has more than 8 bit."""
    return page.dtype not in (np.uint8, np.bool_)


def _tifffile() -> Any:
    """The module tifffile."""
    import tifffile  # noqa: PLC0415 - most datasets have none

    return tifffile


def _expect_one(path: Path, images: int) -> None:
    """Refuse a file of several images."""
    if images > 1:
        raise InputError(f"{path} holds {images} images, expected one; save each to its own file")


def _count_pages(image: Image.Image) -> int:
    """Images in a file, without thumbnails; the first is the one at hand again."""
    first, pages = image.size, 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        pages += image.size == first
    image.seek(0)
    return pages
