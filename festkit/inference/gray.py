"""From the levels of a frame to 8-bit gray: black and white, and polarity.

Black and white are those of a folder, of a file, or fixed. They are chosen when the first frame of
a folder or file is read, from up to 100 files of the folder, or 16 frames of the file. Files of
different formats in one folder, such as png and tif, have their own.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.progress import say
from ..data.images import Gray, Raster
from ..data.levels import (
    MOST_FILES,
    PERCENTILES,
    Levels,
    check_levels,
    lost_gray,
    percentiles,
    stretch,
    thin,
)
from .frames import Frame, FrameFile
from .sources import Source

LEVELS = ("auto", "file", "folder", "full")

AskedLevels = Levels | Literal["auto", "file", "folder", "full"] | None
"""Black and white; or how they are chosen, see :func:`festkit.inference.predict_images`."""

Polarity = Literal["white-hot", "black-hot", "auto"]

POLARITIES: tuple[Polarity, ...] = ("white-hot", "black-hot", "auto")

DARK_SHARE, NARROW_SHARE = 1 / 4, 1 / 16
"""Shares of the full range: brightest level and spread of pixels that are too low for 8 bit."""

COLOURED = 0.01
"""Share of coloured pixels above which an image counts as false-colour; coloured text has less."""

SPOT = 9
"""Side of the square [px] that a spot has to fit into to speak for a polarity."""

MOST_JUDGED = 16
"""Largest number of frames that the polarity is judged by."""

CLEARLY, FAR = 1.35, 2.0
"""Dark spots so many times as strong as bright ones mean black-hot to "auto"; else they cause a
warning."""

_OWN_LEVELS = (
    "Use levels within its range, or one folder per sensor, or levels of each file (--levels file)"
)


@dataclass(frozen=True)
class GrayRule:
    """How the levels of a frame become gray.

    Attributes:
        levels: black and white; None keeps 8 bit as they are and scales others from full range.
        inverted: whether dark is hot, so that gray levels are inverted.
    """

    levels: Levels | None = None
    inverted: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """Black, white and polarity."""
        black, white = self.levels or (None, None)
        return {"black": black, "white": white, "polarity": POLARITIES[self.inverted]}

    def gray(self, raster: Raster, name: str) -> tuple[Gray, str]:
        """(H, W) 8-bit gray levels, bright where it is hot, and a complaint or an empty text."""
        if self.levels:
            gray = stretch(raster.levels, self.levels)
            lost = lost_gray(Path(name), raster, gray, self.levels)
            complaint = lost and f"{lost}. {_OWN_LEVELS}"
        else:
            gray = raster.gray
            complaint = _few_levels(name, raster) if raster.is_deep else ""
        return 255 - gray if self.inverted else gray, complaint


class GrayRules:
    """The rules of all files of a run.

    Args:
        sources: all files, of which those of one folder may share their levels.
        levels: the result of :func:`check_asked`.
        polarity: see :func:`festkit.inference.predict_images`.
        in_colour: whether false colours are read by their luma.
        kept: rules of an earlier call as a list (black, white, inverted) by folder and type.
        keep: called with all rules when a new one has been chosen.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        levels: AskedLevels,
        polarity: str,
        *,
        in_colour: bool = False,
        kept: Mapping[str, list[Any]] | None = None,
        keep: Callable[[dict[str, list[Any]]], None] = lambda _: None,
    ) -> None:
        self._sources, self._levels, self._polarity = sources, levels, polarity
        self._in_colour, self._kept, self._keep = in_colour, dict(kept or {}), keep
        self.notes: list[str] = []

    def apply(self, source: Source, file: FrameFile) -> Iterator[tuple[Frame, GrayRule]]:
        """The frames of an open file with its rule.

        Raises:
            ValueError: if a frame cannot be read, or is in false colours.
        """
        rule: GrayRule | None = None
        for frame in file:
            if not self._in_colour and (said := false_colours(frame.raster, source.name)):
                raise InputError(f"{said}, or read its luma (palette_to_gray, --palette-to-gray)")
            rule = rule or self._rule_of(source, file, frame.raster)
            yield frame, rule

    def _rule_of(self, source: Source, file: FrameFile, first: Raster) -> GrayRule:
        """The rule of a file by its first frame."""
        by_file = self._levels == "file" or not file.is_still
        key = f"{source.name if by_file else source.group}: {first.levels.dtype}"
        if key not in self._kept:
            frames = file.sample(MOST_JUDGED) if by_file else self._of_folder(source, first)
            named = source.name if by_file else source.group
            rule = self._choose(list(frames) or [Frame(first)], f"{named}: ")
            if file.is_still and by_file:
                return rule
            self._kept[key] = [*(rule.levels or (None, None)), rule.inverted]
            self._keep(self._kept)
        black, white, inverted = self._kept[key]
        return GrayRule(None if black is None else (black, white), inverted)

    def _of_folder(self, source: Source, first: Raster) -> Iterator[Frame]:
        """Evenly spaced images of a file's folder, of its format and type of levels."""
        beside = [other for other in self._sources if other.group == source.group]
        for other in beside[:: math.ceil(len(beside) / MOST_FILES)]:
            try:
                with other.open() as file:
                    frame = file.frame(0)
            except (ValueError, OSError):  # told when its turn comes
                continue
            if frame.raster.levels.dtype == first.levels.dtype:
                yield frame

    def _choose(self, frames: Iterable[Frame], named: str) -> GrayRule:
        """Levels and polarity by some frames; both are printed if they were chosen."""
        rasters: list[Raster] = []
        factors: list[float] = []
        for frame in frames:
            if len(factors) < MOST_JUDGED:
                factors.append(spot_factor(frame.raster.levels))
            rasters.append(replace(frame.raster, levels=thin(frame.raster.levels)))
        factor = median(factors)
        spots = f"dark spots up to {SPOT} px are {1 / factor:.2g} times as strong as bright ones"
        inverted = self._polarity == "black-hot"
        if self._polarity == "auto":
            inverted = factor < 1 / CLEARLY
            say(f"{named}polarity {POLARITIES[inverted]} (auto: {spots})")
        elif not inverted and factor < 1 / FAR:
            self.notes.append(f"{named}{spots}; if black is hot, pass --polarity black-hot")
        levels = self._levels
        if isinstance(levels, str):
            if levels == "auto" and not rasters[0].is_deep:
                return GrayRule(None, inverted)
            low, high = PERCENTILES
            levels = percentiles(rasters, (100 - high, 100 - low) if inverted else (low, high))
            black, white = levels[::-1] if inverted else levels
            say(f"{named}gray levels {black} and {white} become black and white ({self._levels})")
        return GrayRule(levels, inverted)


def spot_factor(levels: NDArray[Any]) -> float:
    """How many times as strong as the strongest dark spot the strongest bright one is.

    Spots are what an opening or closing by a square of 9 px removes (white and black top-hat) from
    the image smoothed over 3 px.

    Example:
        >>> image = np.zeros((20, 20), np.uint8)
        >>> image[8:11, 8:11] = 100
        >>> spot_factor(image) > 10, spot_factor(255 - image) < 0.1
        (True, True)
    """
    import cv2  # noqa: PLC0415 - takes a tenth of a second

    smooth = cv2.GaussianBlur(levels.astype(np.float32), (3, 3), 0)
    square = np.ones((SPOT, SPOT), np.uint8)
    bright = cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, square).max()
    dark = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, square).max()
    least = max(float(np.ptp(smooth)) / 255, 1e-9)
    return float((bright + least) / (dark + least))


def check_asked(levels: AskedLevels) -> AskedLevels:
    """Check the levels that were asked for; "full" becomes None.

    Raises:
        ValueError: if they are neither a known word nor two numbers, the smaller one first.

    Example:
        >>> check_asked("auto"), check_asked((1000, 2000))
        ('auto', (1000, 2000))
    """
    if levels is None or (isinstance(levels, str) and levels == "full"):
        return None
    if isinstance(levels, str) and levels in LEVELS:
        return levels
    return check_levels(cast(Levels, levels))


def false_colours(raster: Raster, name: str) -> str:
    """A complaint about a frame in false colours, or an empty text.

    Example:
        >>> false_colours(Raster(np.zeros((2, 3), np.uint8), "RGB", 8), "a.png")
        ''
    """
    if raster.coloured <= COLOURED:
        return ""
    return (
        f"{name} is a colour picture, and its gray levels depend on the hue: hot red is darker than"
        " yellow. Save the image in gray"
    )


def _few_levels(name: str, raster: Raster) -> str:
    """A complaint about an image that uses little of its range, or an empty text."""
    top = np.iinfo(raster.levels.dtype).max
    low, high = (int(level) for level in np.percentile(raster.levels, (1, 99)))
    brightest = int(raster.levels.max())
    if brightest >= DARK_SHARE * top and high - low >= NARROW_SHARE * top:
        return ""
    return (
        f"{name} has {raster.bits} bit, but 98 % of its pixels lie between levels {low} and {high},"
        f" the brightest at {brightest}; scaled to the full range it is nearly uniform. Pass the"
        " levels of black and white (levels, or --levels BLACK WHITE), with white above the"
        " targets, or 'auto'"
    )
