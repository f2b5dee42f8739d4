"""Every pair of thresholds at once: exact counts of a whole test set over th1 and th2.

Adjustable sensitivity has two thresholds, so its metrics form a surface. Instead of thresholding
and labelling once per pair, each map gets one component tree per threshold, and pixels are counted
only where a tree changes; the result is the same to the last pixel.

Reading order: `component_tree` (components at every level), `region` (counts of a part of a frame),
`image` (counts of a frame), `table` (the surface), `curves` (ROC).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._support.arguments import as_numbers, check_range
from .._support.cpus import available_cpus
from .._support.errors import InputError
from .._support.progress import progress
from .._support.tensors import is_tensor
from ..metrics import as_mask
from ..sensitivity import as_maps, check_threshold
from .curves import ROC
from .image import add_image
from .region import TABLES
from .table import OperatingPoint, ThresholdSurface

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EIGHT_BIT", "ROC", "OperatingPoint", "ThresholdSurface", "roc", "threshold_surface"]

EIGHT_BIT = tuple(level / 255 for level in range(256))
"""The thresholds that tell 8-bit maps apart."""

MOST_CELLS = 1 << 23
"""Maximum number of pairs; their tables take 400 MB."""

CHUNK = 8
"""Images counted in one table set. Sums come out the same for any number of workers."""

Floats = NDArray[np.float64]

Map: TypeAlias = "NDArray[Any] | Tensor"

Image = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]


def threshold_surface(
    probs: Iterable[Map],
    masks: Iterable[Map],
    th1: Sequence[float] | NDArray[np.floating],
    th2: Sequence[float] | NDArray[np.floating],
    *,
    scale_maps: Iterable[Sequence[Map]] | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> ThresholdSurface:
    """Exact metrics of a test set for every pair of thresholds of adjustable sensitivity.

    The first call on a machine compiles the code, which takes about half a minute.

    Args:
        probs: probability maps (H, W) in [0, 1], one per image; for several scales the fused maps.
            Images may differ in size.
        masks: true masks (H, W), bool, in the same order.
        th1: ascending strong thresholds in [0, 1], such as ``numpy.linspace(0.05, 0.95, 19)``,
            ``EIGHT_BIT``, or ``numpy.unique(prob)`` of a small map.
        th2: ascending weak thresholds in [0, 1].
        scale_maps: for every image, the maps of its scales at the size of the image. Weak targets
            then come from these in order, else from ``probs``, as in :func:`adjust_sensitivity`.
        workers: number of threads; default: one per processor.
        quiet: hide the progress bar.

    Raises:
        ValueError: if thresholds are empty, too many, not ascending or outside [0, 1], numbers of
            images or shapes differ, or maps are not probabilities.
        TypeError: if thresholds are not numbers, or a map is a masked array or not numeric.

    Example:
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> surface = threshold_surface([prob], [prob > 0], th1=[0.2, 0.5], th2=[0.1, 0.4])
        >>> surface.pd
        array([[1. , 1. ],
               [1. , 0.5]])
    """
    images = _images(probs, masks, scale_maps)
    return _surface(images, (th1, th2), workers, _length(probs), quiet=quiet)


def roc(
    probs: Iterable[Map],
    masks: Iterable[Map],
    thresholds: Sequence[float] | NDArray[np.floating] = EIGHT_BIT,
    *,
    workers: int | None = None,
) -> ROC:
    """ROC and Pd–Fa curve of plain thresholding, without weak targets.

    Args:
        probs: probability maps (H, W) in [0, 1], one per image.
        masks: true masks (H, W), bool, in the same order.
        thresholds: ascending thresholds in [0, 1].
        workers: number of threads; default: one per processor.

    Raises:
        ValueError: see :func:`threshold_surface`; or if the masks have no true or no false pixels.

    Example:
        >>> prob = np.array([[0.9, 0.2], [0.4, 0.1]])
        >>> roc([prob], [prob > 0.3], thresholds=[0.0, 0.3, 0.5]).tpr
        array([1. , 1. , 0.5])
    """
    grids = thresholds, [1.0]
    images = _images(probs, masks, None)
    return _surface(images, grids, workers, _length(probs)).roc(th2=1.0)


def _surface(
    images: Iterator[Image],
    grids: tuple[Any, Any],
    workers: int | None,
    length: int | None,
    *,
    quiet: bool = False,
) -> ThresholdSurface:
    """Count images by the chunk, as many chunks at a time as there are workers."""
    th1, th2 = _grid("th1", grids[0]), _grid("th2", grids[1])
    if th1.size * th2.size > MOST_CELLS:
        raise InputError(
            f"{th1.size} × {th2.size} thresholds exceed the maximum of {MOST_CELLS} pairs; use "
            "fewer, such as the 8-bit levels (EIGHT_BIT)"
        )
    workers = len(available_cpus()) if workers is None else workers
    check_range("workers", workers, "[1, inf)", "a number of threads")
    surface = ThresholdSurface.of_no_images(th1, th2)
    quiet = quiet or length == 1
    bar = progress(None, "threshold surface", unit="image", total=length, quiet=quiet)
    with ThreadPoolExecutor(workers) as pool:
        chunks = iter(lambda: list(islice(images, CHUNK)), [])
        while wave := list(islice(chunks, workers)):
            counted = map if len(wave) == 1 else pool.map
            for part in counted(lambda chunk: _count(chunk, th1, th2), wave):
                surface += part
                bar.update(part.images)
    bar.close()
    if not surface.images:
        raise InputError("no images given; pass at least one map and its true mask")
    return surface


def _length(items: Iterable[Any]) -> int | None:
    """The number of items, if they know it."""
    return len(items) if isinstance(items, Sized) else None


def _grid(name: str, thresholds: Sequence[float] | NDArray[np.floating]) -> Floats:
    """Checked thresholds as float64."""
    grid: Floats = as_numbers(name, thresholds)
    grid = np.array(grid.cpu() if is_tensor(grid) else grid, np.float64)
    if grid.ndim != 1 or not len(grid):
        raise InputError(f"{name} has shape {grid.shape}, expected a list of thresholds")
    for value in grid[[0, -1]]:
        check_threshold(name, float(value))
    if not (np.diff(grid) > 0).all():
        raise InputError(f"{name} must be strictly ascending; sort it (numpy.unique)")
    return grid


def _images(
    probs: Iterable[Map], masks: Iterable[Map], scale_maps: Iterable[Sequence[Map]] | None
) -> Iterator[Image]:
    """Fused map (1, H, W), maps of weak targets (S, H, W) and truth (1, H, W), checked."""
    missing: Any = object()
    given: list[Iterable[Any]] = [probs, masks, *([] if scale_maps is None else [scale_maps])]
    for index, parts in enumerate(zip_longest(*given, fillvalue=missing)):
        if any(part is missing for part in parts):
            raise InputError(
                f"maps, masks or scale maps ended after {index} images; pass one of each per image"
            )
        yield _image(*parts)


def _image(prob: Map, mask: Map, scale_maps: Sequence[Map] | None = None) -> Image:
    """One image of :func:`_images`; weak targets come from the fused map by default."""
    fused, truth = _one("prob", as_maps("prob", prob)), as_mask("mask", mask)
    maps = [fused]
    if scale_maps is not None:
        maps = [_one("scale map", as_maps("scale map", scale)) for scale in scale_maps]
    truth = _one("mask", truth.reshape(truth.shape[0] if truth.ndim > 2 else 1, *truth.shape[-2:]))
    if not maps:
        raise InputError("an image has no scale maps; pass them for every image, or None")
    for other in (truth, *maps):
        if other.shape != fused.shape:
            raise InputError(
                f"a map has shape {fused.shape[1:]}, but its mask or a scale map "
                f"{other.shape[1:]}; resize maps to the size of the mask (resize_map)"
            )
    return fused, np.concatenate(maps), truth.view(np.uint8)


def _one(name: str, maps: Any) -> NDArray[Any]:
    """The only image of a batch (1, H, W), in the one layout that is compiled for."""
    if len(maps) != 1:
        raise InputError(f"a {name} has {len(maps)} images; pass one map (H, W) per image")
    array = maps.cpu().numpy() if is_tensor(maps) else maps
    return np.require(array, requirements=["C", "W", "E"])


def _count(images: list[Image], th1: Floats, th2: Floats) -> ThresholdSurface:
    """The surface of some images."""
    shape = len(th1), len(th2)
    tables = np.zeros((TABLES, *shape), np.int64), np.zeros(shape), np.zeros(shape, np.int64)
    low1, low2 = th1.astype(np.float32), th2.astype(np.float32)
    targets = sum(add_image(tables, image, low1, low2) for image in images)
    pixels = sum(truth.size for _, _, truth in images)
    true = sum(int(np.count_nonzero(truth)) for _, _, truth in images)
    (intersection, predicted, detected, matched), iou_sum, empty = tables
    counted = intersection, predicted, detected, matched, iou_sum, empty
    return ThresholdSurface(th1, th2, *counted, len(images), pixels, targets, true)
