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

COLOURED = ("RGB", "P", "CMYK", "YCbCr", "LAB")
"""How Pillow's modes begin of files that may hold colours."""

DIM = 102
"""Of 255: a set of maps that nowhere exceeds it is warned of, such as percent in 8 bit."""

LABELS = 25
"""Labels of few objects are no higher."""

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
        is_binary: whether it holds no levels but 0 and the highest of the full range.
    """

    path: Path
    peak: float
    high: float
    marked: float
    flat: frozenset[int] | None
    is_binary: bool

    @property
    def is_counted(self) -> bool:
        """Whether the levels are 1, or 1 and 2, and so on: a mask of 0 and 1, or labels."""
        return bool(self.flat) and max(self.flat or ()) == len(self.flat or ())


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
        _refuse_labels(looks)
        _check_counted(looks)
    _check_inverted(looks, are_masks=are_masks)
    brightest = max(looks, key=lambda look: look.peak)
    if brightest.peak <= np.float32(DIM / 255) and not (are_masks and brightest.peak):
        warnings.warn(
            f"{brightest.path} reaches {brightest.peak:.2g} of the full range, and none of the"
            f" {len(looks)} maps more, so higher thresholds find nothing; white (255 of 8 bit,"
            f" 65535 of 16) is 1. Save maps of percent, or of fewer bits, by {HOW_TO_SAVE}",
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
    if raster.levels.min() == raster.levels.max() and _differs_in_alpha(path):
        raise InputError(
            f"{path} has one colour and differs in its alpha channel only, which maps do not use; "
            "save probabilities as gray levels, without alpha"
        )
    if raster.mode.startswith(COLOURED):
        kind = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        channels = cv2.imdecode(np.fromfile(path, np.uint8), kind)
        if channels is not None and (channels != channels[..., :1]).any():
            raise InputError(
                f"{path} is a picture in colours, whose gray levels are no probabilities; save the "
                f"maps as gray files, for instance by {HOW_TO_SAVE}, or pass arrays to "
                "ThresholdTuner"
            )
    return raster


def _look(path: Path) -> _Look:
    raster = read_map(path)
    try:
        prob = raster.probability
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return _Look(
        path,
        float(prob.max()),
        float((prob > 0.5).mean()),
        float((prob > 0).mean()),
        _flat_levels(raster),
        bool(np.isin(prob, (0, 1)).all()),
    )


def _flat_levels(raster: Raster) -> frozenset[int] | None:
    """The levels above 0 of a file of integers, if no two of them touch; else None."""
    if raster.levels.dtype.kind != "u":
        return None
    levels = raster.levels.astype(np.float64)
    brightest = cv2.dilate(levels, np.ones((3, 3), np.uint8))  # of every pixel's neighbours
    if (brightest != levels)[levels > 0].any():
        return None
    return frozenset(np.unique(raster.levels).tolist()) - {0}


def _refuse_labels(looks: Sequence[_Look]) -> None:
    """Refuse a set in which every object has one level, of few: they are numbers."""
    if any(look.flat is None for look in looks):
        return
    levels = frozenset[int]().union(*(look.flat or () for look in looks))
    several = [look.path for look in looks if len(look.flat or ()) > 1]
    if several and max(levels) <= max(LABELS, len(levels)):
        raise InputError(
            f"{several[0]} numbers its objects with levels up to {max(levels)}, as labels do,"
            " which are no probabilities; save targets as 255 and background as 0, for instance by"
            " cv2.imwrite(name, np.uint8(255 * (labels > 0)))"
        )


def _check_counted(looks: Sequence[_Look]) -> None:
    """Refuse masks of 0 and 1 among those of 0 and 255; warn of them among gray maps."""
    counted = [look for look in looks if look.is_counted]
    if not counted or len(counted) == len(looks):
        return
    others = [look for look in looks if not look.is_counted]
    brightest = max(others, key=lambda look: look.peak)
    summary = (
        f"{_first_of(counted, looks)}: no levels but 0 to {len(counted[0].flat or ())}, as in masks"
        f" of 0 and 1 and in labels, though {brightest.path.name} beside reaches"
        f" {brightest.peak:.2g} of the full range"
    )
    if brightest.peak == 1 and all(look.is_binary for look in others):
        raise InputError(f"{summary}; save targets as 255 and background as 0 in all files")
    warnings.warn(
        f"{summary}; they are read as probability {counted[0].peak:.2g} and less; save targets"
        " as 255 if these are such",
        stacklevel=5,
    )


def _check_inverted(looks: Sequence[_Look], *, are_masks: bool) -> None:
    """Refuse a set that is high nearly everywhere; warn of single maps that are."""
    shares = [look.marked if are_masks else look.high for look in looks]
    inverted = [k for k, share in enumerate(shares) if share > MOST_SHARE]
    if not inverted:
        return
    first = _first_of([looks[k] for k in inverted], looks)
    summary = (
        f"{first}: {100 * shares[inverted[0]]:.1f} % of the image is above one half, as if it were"
        " inverted; targets are white on black: save 1 - prob"
    )
    if len(inverted) == len(looks):
        raise InputError(f"{summary}, or pass arrays to ThresholdTuner if the maps are right")
    warnings.warn(summary, stacklevel=5)


def _first_of(some: Sequence[_Look], looks: Sequence[_Look]) -> str:
    """The first of some files, and how many these are."""
    return f"{some[0].path} ({len(some)} of {len(looks)} maps)"
