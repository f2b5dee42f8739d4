"""Read and check probability maps in image files written by any program.

A single file rarely shows the meaning of its levels, so all files of a folder are checked together.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .._support.errors import InputError
from .._support.progress import progress
from ..data.images import Raster, _differs_in_alpha, read_raster
from ..ops.size_classes import MOST_SHARE

DIM = 102
"""A warning is issued if no map of a set exceeds this level of 255, such as percent in 8 bit."""

LABELS = 25
"""Maximum level of label images with few objects."""

COLOURED = ("RGB", "P", "CMYK", "YCbCr", "LAB")
"""How Pillow's modes begin of files that may hold colours."""

HOW_TO_SAVE = "cv2.imwrite(name, np.uint16(65535 * prob))"


@dataclass(frozen=True)
class _Look:
    """What the check found in one file.

    Attributes:
        path: the file.
        peak: its highest level, as a share of the full range.
        high: share of its pixels above half the full range.
        marked: share of its pixels above 0.
        flat: the levels above 0 if all pixels of an object have one, as in masks and labels.
    """

    path: Path
    peak: float
    high: float
    marked: float
    flat: frozenset[int] | None

    @property
    def is_numbered(self) -> bool:
        """Whether objects have low levels, such as 1: a mask of 0 and 1, or labels."""
        return bool(self.flat) and max(self.flat or ()) <= max(LABELS, len(self.flat or ()))


def check_maps(paths: Sequence[Path]) -> bool:
    """Check all files of a set together; warn about suspicious ones.

    Returns:
        Whether they are masks of 0 and 1, in which 1 is probability 1.

    Raises:
        ValueError: if files are in colour, inverted or label images, levels are not probabilities,
            or masks of 0 and 1 are mixed with masks of 0 and 255; the message names a file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> cv2.imwrite(str(path), np.eye(3, dtype=np.uint8))
        True
        >>> check_maps([path])
        True
    """
    looks = [_look(path) for path in progress(paths, "reading", unit="map")]
    are_masks = all(look.flat is not None and look.flat <= {1} for look in looks)
    if not are_masks:
        _check_numbered(looks)
    _check_inverted(looks, are_masks=are_masks)
    brightest = max(looks, key=lambda look: look.peak)
    if brightest.peak <= np.float32(DIM / 255) and not (are_masks and brightest.peak):
        warnings.warn(
            f"{brightest.path} reaches {brightest.peak:.2g} of the full range, the maximum of "
            f"{len(looks)} maps, so higher thresholds find nothing. White (255 in 8 bit, 65535 in "
            f"16 bit) is probability 1: save the maps with {HOW_TO_SAVE}",
            stacklevel=4,
        )
    return are_masks


def read_map(path: Path) -> Raster:
    """Read the file of a map; colour pictures are refused.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.png"
        >>> cv2.imwrite(str(path), np.array([[0, 51]], np.uint8))
        True
        >>> read_map(path).probability
        array([[0. , 0.2]], dtype=float32)
    """
    raster = read_raster(path)
    fault = ""
    if raster.levels.min() == raster.levels.max() and _differs_in_alpha(path):
        fault = "is uniform except for its alpha channel"
    elif _is_coloured(path, raster.mode):
        fault = "is a colour picture"
    if fault:
        raise InputError(
            f"{path} {fault}, so its gray levels are not probabilities; save the maps as gray "
            f"files, for example with {HOW_TO_SAVE}, or pass arrays to ThresholdTuner"
        )
    return raster


def _is_coloured(path: Path, mode: str) -> bool:
    """Whether any pixel has channels that differ."""
    if not mode.startswith(COLOURED):
        return False
    kind = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    channels = cv2.imdecode(np.fromfile(path, np.uint8), kind)
    return channels is not None and bool((channels != channels[..., :1]).any())


def _look(path: Path) -> _Look:
    """Read a file and find what tells probabilities from masks, labels and inverted maps."""
    raster = read_map(path)
    try:
        prob = raster.probability
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    shares = float((prob > 0.5).mean()), float((prob > 0).mean())
    return _Look(path, float(prob.max()), *shares, _flat_levels(raster))


def _flat_levels(raster: Raster) -> frozenset[int] | None:
    """The levels above 0 of a file of integers, if no two of them touch; else None."""
    if raster.levels.dtype.kind != "u":
        return None
    levels = raster.levels.astype(np.float64)
    brightest = cv2.dilate(levels, np.ones((3, 3), np.uint8))  # of every pixel's neighbours
    if (brightest != levels)[levels > 0].any():
        return None
    return frozenset(np.unique(raster.levels).tolist()) - {0}


def _check_numbered(looks: Sequence[_Look]) -> None:
    """Refuse labels, and masks of 0 and 1 among those of 0 and 255; warn of them among maps."""
    numbered = [look for look in looks if look.is_numbered]
    if not numbered:
        return
    numbered.sort(key=lambda look: len(look.flat or ()), reverse=True)
    first = numbered[0]
    fault = (
        f"{_first_of(numbered, looks)}: only levels from 0 to {max(first.flat or ())}, as in masks "
        "of 0 and 1 or label images; save targets as 255 and background as 0, for example with "
        "cv2.imwrite(name, np.uint8(255 * (labels > 0)))"
    )
    others_are_masks = any(look.peak == 1 for look in looks)
    are_flat = all(look.flat is not None for look in looks)
    if are_flat and (others_are_masks or len(first.flat or ()) > 1):
        raise InputError(fault)
    warnings.warn(f"{fault}. They are read as probabilities up to {first.peak:.2g}", stacklevel=5)


def _check_inverted(looks: Sequence[_Look], *, are_masks: bool) -> None:
    """Refuse a set that is high nearly everywhere; warn of single maps that are."""
    shares = {look: look.marked if are_masks else look.high for look in looks}
    inverted = [look for look, share in shares.items() if share > MOST_SHARE]
    if not inverted:
        return
    fault = (
        f"{_first_of(inverted, looks)}: {100 * shares[inverted[0]]:.1f} % of the image is above "
        "one half, so the map may be inverted; targets are white on black: save 1 - prob, or pass "
        "arrays to ThresholdTuner if the maps are right"
    )
    if len(inverted) == len(looks):
        raise InputError(fault)
    warnings.warn(fault, stacklevel=5)


def _first_of(some: Sequence[_Look], looks: Sequence[_Look]) -> str:
    """The first of some files, and how many these are."""
    return f"{some[0].path} ({len(some)} of {len(looks)} maps)"
