"""Adjustable sensitivity (AS), the paper's post-processing (section 3.4, figure 2).

Strong targets are the pixels above th1; they keep their mask. Weak targets are the components above
th2 without a strong pixel. Each weak target adds one pixel, its centroid, so it counts as detected
with little loss of segmentation accuracy.

Not to be confused with hysteresis thresholding, which keeps the *whole* low-threshold region around
a strong pixel: AS keeps the strong mask as it is, and drops the low-threshold region around it.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._support.arguments import (
    ArrayValues,
    as_numbers,
    check_batch_shape,
    check_range,
    html_table,
)
from ._support.errors import InputError
from ._support.jit import compiled
from ._support.tensors import is_tensor, torch
from .ops.components import Components, binarize, columns, compact, find_components
from .ops.components.compiled import find

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", "NDArray[Any]", "Tensor")

MERGE_DISTANCE = 3.0
"""A weak target closer than this to a target listed before it is the same object [px]."""

BLOCK = 512
"""Pixels looked at together."""

BITS_OF_ONE = np.float32(1).view(np.uint32)
"""Read as unsigned integers, floats ascend from 0 to infinity; NaN and negative ones come after."""


@dataclass(frozen=True)
class Target:
    """One detected target.

    Attributes:
        kind: "strong" (above th1) or "weak" (peak between th2 and th1; in the map of a single scale
            the peak may be higher, if the fused map is not above th1).
        centroid: mean row and column [px].
        area: area of the strong region, or of the weak component above th2 [px].
        peak: largest probability in the map in which the target was found.
        box: rows and columns (y0, x0, y1, x1), half open [px].
        image: index in the batch, 0 for a single map.
        pixels: (area, 2) row and column of every pixel of its region.

    Example:
        >>> prob = np.zeros((9, 9), np.float32); prob[6, 5:8] = 0.25
        >>> adjust_sensitivity(prob).targets()
        [Target(kind='weak', centroid=(6.0, 6.0), area=3, peak=0.25, box=(6, 5, 7, 8), image=0)]
    """

    kind: Literal["strong", "weak"]
    centroid: tuple[float, float]
    area: int
    peak: float
    box: tuple[int, int, int, int]
    image: int
    pixels: NDArray[np.int64] = field(repr=False, compare=False)

    def _repr_html_(self) -> str:
        facts = {name: fact for name, fact in asdict(self).items() if name != "pixels"}
        return html_table(f"{self.kind} target", facts | {"peak": f"{self.peak:.4g}"})


@dataclass(frozen=True, eq=False, repr=False)
class Detection(ArrayValues):
    """Result of adjustable sensitivity, as arrays or tensors like the input.

    Attributes:
        mask: bool, the shape of the input: strong regions and weak centroids.
        strong: bool, the shape of the input: probability above th1.
        weak: (K, 2) row and column of the weak centroids of one map; for a batch (K, 3), starting
            with the image index. Two weak targets may share a pixel.
        th1: threshold of strong targets.
        th2: threshold of weak targets; None if weak targets were disabled.

    ``mask`` and ``weak`` follow the paper, as do the counts: several scales may each mark the same
    object. :meth:`targets` lists every object once.

    Example:
        >>> prob = np.array([[0.8, 0.0, 0.3], [0.0, 0.0, 0.0]], np.float32)
        >>> found = adjust_sensitivity(prob)
        >>> found.mask
        array([[ True, False,  True],
               [False, False, False]])
        >>> found
        Detection(shape=(2, 3), strong_pixels=1, weak=1, th1=0.5, th2=0.1)
    """

    mask: Any
    strong: Any
    weak: Any
    th1: float
    th2: float | None
    _prob: Any
    _weak_parts: tuple[_Weak, ...]

    def numpy(self) -> Detection:
        """Convert tensors to numpy arrays.

        Example:
            >>> adjust_sensitivity(torch.tensor([[0.9]])).numpy().mask
            array([[ True]])
        """
        return replace(
            self, mask=_numpy(self.mask), strong=_numpy(self.strong), weak=_numpy(self.weak)
        )

    def _facts(self) -> dict[str, Any]:
        """Shape, strong pixels, number of weak centroids and thresholds, by name."""
        return {
            "shape": tuple(self.mask.shape),
            "strong_pixels": int(self.strong.sum()),
            "weak": len(self.weak),
            "th1": self.th1,
            "th2": self.th2,
        }

    def targets(self) -> list[Target]:
        """List all targets: strong ones in raster order, then weak ones in order of detection.

        A weak target whose centroid is closer than 3 px to a listed one is treated as the same
        object and skipped, such as the mark of a second scale half a pixel away. Counts and tables
        follow the paper and count every mark of :attr:`mask`.

        Targets are measured on the map that was passed, so do not modify it before this call.

        Example:
            >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
            >>> [(t.kind, t.centroid, t.area) for t in adjust_sensitivity(prob).targets()]
            [('strong', (2.0, 2.0), 1), ('weak', (6.0, 6.0), 3)]
        """
        shape = tuple(self._prob.shape[-2:])
        strong = _targets("strong", find_components(self._prob, self.th1), slice(None), shape)
        weak = (
            _targets("weak", find_components(part.prob, self.th2), part.chosen, shape)
            for part in self._weak_parts
            if self.th2 is not None
        )
        return _one_per_object(strong, list(chain.from_iterable(weak)))


def _one_per_object(strong: list[Target], weak: list[Target]) -> list[Target]:
    """The strong targets, and the weak ones that are not too close to one listed before."""
    listed: dict[tuple[int, int, int], list[Target]] = defaultdict(list)
    targets = []
    for target in [*strong, *weak]:
        row, column = (int(position // MERGE_DISTANCE) for position in target.centroid)
        around = [(target.image, row + v, column + u) for v in (-1, 0, 1) for u in (-1, 0, 1)]
        others = [other for cell in around for other in listed.get(cell, ())]
        distances = [math.dist(target.centroid, other.centroid) for other in others]
        if target.kind == "strong" or min(distances, default=math.inf) >= MERGE_DISTANCE:
            listed[target.image, row, column].append(target)
            targets.append(target)
    return targets


def adjust_sensitivity(
    prob: Array,
    th1: float = 0.5,
    th2: float | None = 0.1,
    *,
    scale_maps: Sequence[Array] | None = None,
) -> Detection:
    """Detect targets with a strong and a weak threshold (paper section 3.4).

    Components are 8-connected. The published code uses filled contours instead, which differ only
    for components with holes.

    Args:
        prob: (H, W), (N, H, W) or (N, 1, H, W), floats in [0, 1]; for several scales their fused
            map. NaN counts as background, with a warning.
        th1: threshold of strong targets, in [0, 1]; pixels must exceed it.
        th2: threshold of weak targets, in [0, 1]; None disables them. On one map, th2 >= th1 allows
            no weak targets and gives a warning.
        scale_maps: the map of each scale at the size of ``prob``. Without them, weak targets come
            from ``prob``, as the paper states. With them, weak targets come from the scales in
            order, as in the published results: a component is weak if it contains neither a strong
            pixel nor a centroid of an earlier scale. Then th2 >= th1 is meaningful.

    Returns:
        A :class:`Detection` with numpy arrays, or with tensors on the device of ``prob``.

    Raises:
        ValueError: if a threshold or a probability lies outside [0, 1], if maps are not
            floating-point, if shapes do not fit, or if ``scale_maps`` is empty.
        TypeError: if a threshold is not one number, or a map is a masked array or not numeric.

    Example:
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> adjust_sensitivity(prob, th1=0.5, th2=0.1).weak
        array([[6, 6]])
    """
    _check_thresholds(th1, th2, one_map=scale_maps is None)
    prob = as_numbers("prob", prob)
    fused, strong, mask = _threshold("prob", prob, th1)
    maps = [fused] if scale_maps is None else [as_maps("scale map", m) for m in scale_maps]
    if not maps:
        raise InputError("scale_maps is empty; pass the map of every scale, or None to use prob")
    for scale in maps:
        if (scale.shape, scale.device) != (fused.shape, fused.device):
            raise InputError(
                f"a scale map has shape {tuple(scale.shape)} on {scale.device}, the fused map"
                f" {tuple(fused.shape)} on {fused.device}; resize every scale map to the image"
                " (resize_map) and move all maps to one device"
            )
    nowhere = math.inf  # no component is above it
    weak = [_inject_weak(mask, scale, nowhere if th2 is None else th2) for scale in maps]
    join = torch.cat if is_tensor(strong) else np.concatenate
    centres = join([part.centres for part in weak])
    return Detection(
        mask=_like(prob, mask.reshape(prob.shape)),
        strong=_like(prob, strong.reshape(prob.shape)),
        weak=_like(prob, centres if prob.ndim > 2 else centres[:, 1:]),
        th1=th1,
        th2=th2,
        _prob=fused,
        _weak_parts=tuple(weak),
    )


class _Weak(NamedTuple):
    """The weak targets of one map: numbers of its components; (K, 3) image, row, column."""

    prob: Any
    chosen: Any
    centres: Any


def _inject_weak(mask: Any, prob: Any, th2: float) -> _Weak:
    """Add the centroid pixels of the components that do not meet the mask."""
    if isinstance(mask, np.ndarray):
        return _Weak(prob, *_inject(mask, compact(prob), np.float32(th2)))
    found = find_components(prob, th2)
    lone = ~found.overlaps(mask)
    chosen = lone.nonzero().flatten()
    centres = columns(found.image, *found.centroid_pixel.T)[chosen]
    mask[tuple(centres.T)] = True
    return _Weak(prob, chosen, centres)


@compiled
def _inject(mask: Any, prob: Any, th2: Any) -> Any:
    """The same on arrays, in one call: numbers of the components, and their centres."""
    image, _, area, sum_y, sum_x, _, _, pixels, label = find(prob, th2)
    inside, lone = mask.reshape(-1), np.ones(len(area), np.bool_)
    for k in range(len(pixels)):
        lone[label[k]] &= not inside[pixels[k]]
    chosen = np.flatnonzero(lone)
    centres = np.empty((len(chosen), 3), np.int64)
    for row in range(len(chosen)):
        k = chosen[row]
        n, y, x = image[k], sum_y[k] // area[k], sum_x[k] // area[k]
        centres[row] = n, y, x
        mask[n, y, x] = True
    return chosen, centres


def check_threshold(name: str, value: float) -> None:
    """Refuse a threshold outside [0, 1].

    Raises:
        ValueError: if it is outside [0, 1].
        TypeError: if it is not one number.

    Example:
        >>> check_threshold("th1", 0.5)
    """
    check_range(name, value, "[0, 1]", "a probability")


def _check_thresholds(th1: float, th2: float | None, *, one_map: bool) -> None:
    """Refuse thresholds out of range; warn if they leave no room for weak targets."""
    check_threshold("th1", th1)
    if th2 is None:
        return
    check_threshold("th2", th2)
    if one_map and th2 >= th1:
        warnings.warn(
            f"th2 = {th2} is not below th1 = {th1}, so this map can have no weak targets",
            stacklevel=3,
        )


def as_maps(name: str, prob: NDArray[Any] | Tensor) -> Any:
    """Checked probability maps as float32 (N, H, W), in an array, or a tensor off the CPU.

    Raises:
        ValueError: for an invalid shape or type, or values outside [0, 1].

    Example:
        >>> as_maps("prob", np.zeros((4, 5))).shape
        (1, 4, 5)
    """
    return _in_unit_range(name, _as_floats(name, prob))


def _threshold(name: str, prob: NDArray[Any] | Tensor, threshold: float) -> tuple[Any, Any, Any]:
    """Checked maps as of :func:`as_maps`, and twice what is above a threshold.

    Fresh memory costs more than a comparison, so compiled code reads the maps once and writes only
    where something is above: pages of zeros that nobody writes are never made.
    """
    maps = _as_floats(name, prob)
    if isinstance(maps, np.ndarray) and maps.flags.carray:
        strong, mask = np.zeros((2, *maps.shape), bool)
        level = np.float32(abs(threshold))  # of -0, too
        if _mark_above(maps, level, strong, mask) <= BITS_OF_ONE:
            return maps, strong, mask
    maps = _in_unit_range(name, maps)
    strong = binarize(maps, threshold)
    return maps, strong, strong.clone() if is_tensor(strong) else strong.copy()


@compiled
def _mark_above(maps: Any, threshold: Any, strong: Any, mask: Any) -> Any:
    """Mark what is above a threshold in two arrays of zeros; the bits of the highest value."""
    bits, level = maps.reshape(-1).view(np.uint32), np.float32(threshold).view(np.uint32)
    first, second, highest = strong.reshape(-1), mask.reshape(-1), np.uint32(0)
    for start in range(0, len(bits), BLOCK):
        block, top = bits[start : start + BLOCK], np.uint32(0)
        for i in range(len(block)):
            top = max(top, block[i])
        highest = max(highest, top)
        if top > level:
            here, there = first[start : start + BLOCK], second[start : start + BLOCK]
            for i in range(len(block)):
                here[i] = there[i] = block[i] > level
    return highest


def _as_floats(name: str, prob: NDArray[Any] | Tensor) -> Any:
    """Floating-point maps as float32 (N, H, W)."""
    prob = as_numbers(name, prob)
    floating = prob.is_floating_point() if is_tensor(prob) else prob.dtype.kind == "f"
    if not floating:
        raise InputError(
            f"{name} is {prob.dtype}, expected floating-point probabilities in [0, 1]; "
            "divide 8-bit maps by 255, pass masks of 0 and 1 as astype(numpy.float32)"
        )
    check_batch_shape(name, prob.shape)
    count = prob.shape[0] if prob.ndim > 2 else 1
    return _native(prob).reshape(count, *prob.shape[-2:])


def _in_unit_range(name: str, maps: Any) -> Any:
    """The maps with NaN replaced by 0, if everything else is a probability."""
    low, high = _range(maps)
    if math.isnan(low):
        missing = maps != maps  # noqa: PLR0124
        warnings.warn(
            f"{name} has {int(missing.sum())} NaN in {math.prod(maps.shape)} values; they count as "
            "background",
            stacklevel=4,
        )
        where: Any = torch.where if is_tensor(maps) else np.where
        maps = where(missing, 0, maps)
        low, high = _range(maps)
    if low < -1e-6 or high > 1 + 1e-6:
        raise InputError(
            f"{name} runs from {low:.4g} to {high:.4g}, expected probabilities in [0, 1]; if these "
            "are logits, apply torch.sigmoid first"
        )
    return maps


def _native(prob: NDArray[Any] | Tensor) -> Any:
    """Where the work is done: in float32 arrays on the CPU, else in float32 tensors."""
    if not is_tensor(prob):
        return prob.astype(np.float32, copy=False)
    floats = prob.detach().float()
    return floats.numpy() if prob.device.type == "cpu" else floats


def _range(maps: Any) -> tuple[float, float]:
    """Least and largest value, both NaN if there is one; zeros for no values."""
    if math.prod(maps.shape) == 0:
        return 0.0, 0.0
    if is_tensor(maps):
        low, high = torch.stack(maps.aminmax()).tolist()
        return low, high
    return float(maps.min()), float(maps.max())


def _targets(
    kind: Literal["strong", "weak"], found: Components, chosen: Any, shape: tuple[int, int]
) -> list[Target]:
    """Targets of the chosen components of maps (H, W)."""
    columns = (found.centroid, found.area, found.peak, found.box, found.image)
    rows = zip(*(column[chosen].tolist() for column in columns), strict=True)
    label, area = _numpy(found.label), _numpy(found.area)
    places = _numpy(found.pixels)[np.argsort(label, kind="stable")] % math.prod(shape)
    regions = np.split(np.stack(np.divmod(places, shape[1]), axis=1), np.cumsum(area))
    numbers = np.arange(len(area))[chosen if isinstance(chosen, slice) else _numpy(chosen)]
    return [
        Target(kind, tuple(centroid), area, peak, tuple(box), image, regions[k])
        for k, (centroid, area, peak, box, image) in zip(numbers, rows, strict=True)
    ]


def _numpy(array: NDArray[Any] | Tensor) -> NDArray[Any]:
    """An array, of a tensor likewise."""
    return array.cpu().numpy() if is_tensor(array) else array


def _like(prob: NDArray[Any] | Tensor, result: Any) -> Any:
    """A result as a tensor if the map was one; tensors pass."""
    made_here = is_tensor(prob) and isinstance(result, np.ndarray)
    return torch.from_numpy(result) if made_here else result
