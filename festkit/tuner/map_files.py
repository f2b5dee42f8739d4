"""Probability maps in image files of any program: reading and checking them.

One file seldom shows what its levels mean, so all files of a folder are checked together.
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
"""Of 255: a set of maps that nowhere exceeds it is warned of, such as percent in 8 bit."""

LABELS = 25
"""Labels of few objects are no higher."""

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
    """Check the files of a set together; warn of suspicious ones.

    Returns:
        Whether they are masks of 0 and 1, whose 1 is probability 1.

    Raises:
        ValueError: naming a file, for colours, levels that are no probabilities, inverted maps,
            numbered objects, or masks of 0 and 1 among masks of 0 and 255.

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
            f"{brightest.path} reaches {brightest.peak:.2g} of the full range, the most of"
            f" {len(looks)} maps, so higher thresholds find nothing; white (255 of 8 bit, 65535 of"
            f" 16) is probability 1: save the maps by {HOW_TO_SAVE}",
            stacklevel=4,
        )
    return are_masks


def read_map(path: Path) -> Raster:
    """A map's file, unless it is a picture in colours.

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
        fault = "has one colour and differs in its alpha channel only"
    elif _is_coloured(path, raster.mode):
        fault = "is a picture in colours"
    if fault:
        raise InputError(
            f"{path} {fault}, and its gray levels are no probabilities; save the maps as gray"
            f" files, for instance by {HOW_TO_SAVE}, or pass arrays to ThresholdTuner"
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
        f"{_first_of(numbered, looks)}: no levels but 0 and up to"
        f" {max(first.flat or ())}, as in masks of 0 and 1 and in labels of objects; save targets"
        " as 255 and background as 0, for instance by cv2.imwrite(name, np.uint8(255 * (labels >"
        " 0)))"
    )
    others_are_masks = any(look.peak == 1 for look in looks)
    are_flat = all(look.flat is not None for look in looks)
    if are_flat and (others_are_masks or len(first.flat or ()) > 1):
        raise InputError(fault)
    warnings.warn(f"{fault}. They are read as probability {first.peak:.2g} and less", stacklevel=5)


def _check_inverted(looks: Sequence[_Look], *, are_masks: bool) -> None:
    """Refuse a set that is high nearly everywhere; warn of single maps that are."""
    shares = {look: look.marked if are_masks else look.high for look in looks}
    inverted = [look for look, share in shares.items() if share > MOST_SHARE]
    if not inverted:
        return
    fault = (
        f"{_first_of(inverted, looks)}: {100 * shares[inverted[0]]:.1f} % of the image is above one"
        " half, as if it were inverted; targets are white on black: save 1 - prob, or pass arrays"
        " to ThresholdTuner if the maps are right"
    )
    if len(inverted) == len(looks):
        raise InputError(fault)
    warnings.warn(fault, stacklevel=5)


def _first_of(some: Sequence[_Look], looks: Sequence[_Look]) -> str:
    """The first of some files, and how many these are."""
    return f"{some[0].path} ({len(some)} of {len(looks)} maps)"
