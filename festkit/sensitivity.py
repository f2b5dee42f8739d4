"""Adjustable sensitivity (AS), the paper's post-processing (section 3.4, figure 2).

Strong targets are what exceeds th1; they keep their mask. Weak targets are the components of what
exceeds th2 that hold no strong pixel; each adds one pixel, its centroid, so that it counts as
detected without costing segmentation accuracy.

Not to be confused with hysteresis thresholding, which keeps the *whole* low-threshold region around
a strong pixel: AS keeps the strong mask as it is, and drops the low-threshold region around it.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .components import Components, above, find_components

Array = TypeVar("Array", NDArray[Any], Tensor)


@dataclass(frozen=True)
class Target:
    """One detected target.

    Attributes:
        kind: "strong" (above th1) or "weak" (its peak lies between th2 and th1).
        centroid: mean row and column [px].
        area: pixels; of the strong region, or of the weak component above th2.
        peak: largest probability, of the map the target was found in.
        box: rows and columns (y0, x0, y1, x1), half open [px].
        image: index in the batch, 0 for a single map.

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


@dataclass(frozen=True)
class Detection:
    """What adjustable sensitivity finds, as arrays or tensors of the kind of its input.

    Attributes:
        mask: bool, the shape of the input: strong regions and weak centroids.
        strong: bool, the shape of the input: probability above th1.
        weak: (K, 2) row and column of the weak centroids of one map; (K, 3) with the image's index
            in front for a batch. Two weak targets may share a pixel.
        th1: threshold of strong targets.
        th2: threshold of weak targets, None if there was none.

    Example:
        >>> prob = np.array([[0.8, 0.0, 0.3], [0.0, 0.0, 0.0]], np.float32)
        >>> adjust_sensitivity(prob).mask
        array([[ True, False,  True],
               [False, False, False]])
    """

    mask: Any
    strong: Any
    weak: Any
    th1: float
    th2: float | None
    _prob: NDArray[np.float32]
    _weak_targets: tuple[Target, ...]

    def numpy(self) -> "Detection":
        """The same detection with numpy arrays instead of tensors.

        Example:
            >>> adjust_sensitivity(torch.tensor([[0.9]])).numpy().mask
            array([[ True]])
        """
        return replace(
            self, mask=_numpy(self.mask), strong=_numpy(self.strong), weak=_numpy(self.weak)
        )

    def targets(self) -> list[Target]:
        """Every target: the strong ones in raster order, then the weak ones as they were found.

        Example:
            >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
            >>> [(t.kind, t.centroid, t.area) for t in adjust_sensitivity(prob).targets()]
            [('strong', (2.0, 2.0), 1), ('weak', (6.0, 6.0), 3)]
        """
        strong = find_components(self._prob, self.th1)
        return [*_targets("strong", strong, np.arange(len(strong))), *self._weak_targets]


def adjust_sensitivity(
    prob: Array,
    th1: float = 0.5,
    th2: float | None = 0.1,
    *,
    scale_maps: Sequence[Array] | None = None,
) -> Detection:
    """Turn probabilities into targets with a strong and a weak threshold (paper section 3.4).

    Components are sets of 8-connected pixels. The published code works on filled contours instead,
    which differs only for components with holes.

    Args:
        prob: (H, W), (N, H, W) or (N, 1, H, W), floats in [0, 1]; for several scales their fused
            map. NaN counts as background, with a warning.
        th1: strong targets are above this, in [0, 1].
        th2: weak targets are above this, in [0, 1]; None looks for none. On one map th2 >= th1
            leaves just the strong ones, with a warning.
        scale_maps: every scale's own map at the size of ``prob``. Without them weak targets come
            from ``prob``, as the paper says; with them from each scale's map in order, as in the
            published results: a component is weak if it meets neither a strong pixel nor a centroid
            of an earlier scale. Then th2 >= th1 is meaningful.

    Returns:
        A :class:`Detection` of the kind of ``prob``: numpy arrays, or tensors on its device.

    Raises:
        ValueError: if a threshold or a probability lies outside [0, 1], if maps are not
            floating-point, if shapes do not fit, or if ``scale_maps`` is empty.

    Example:
        >>> prob = np.zeros((9, 9), np.float32); prob[2, 2] = 0.8; prob[6, 5:8] = 0.3
        >>> adjust_sensitivity(prob, th1=0.5, th2=0.1).weak
        array([[6, 6]])
    """
    _check_thresholds(th1, th2, one_map=scale_maps is None)
    fused = _as_maps("prob", prob)
    maps = [fused] if scale_maps is None else [_as_maps("scale map", m) for m in scale_maps]
    if not maps:
        raise ValueError("scale_maps is empty; pass every scale's map, or None to use prob itself")
    for scale in maps:
        if scale.shape != fused.shape:
            raise ValueError(
                f"a scale map has shape {scale.shape}, the fused map {fused.shape}; "
                "resize every scale map to the image first (resize_map)"
            )
    strong = above(fused, th1)
    mask, centroids = strong, np.empty((0, 3), np.int64)
    targets: list[Target] = []
    if th2 is not None:
        mask, centroids, targets = _add_weak(strong, maps, th2)
    return Detection(
        mask=_like(prob, mask.reshape(prob.shape).copy()),
        strong=_like(prob, strong.reshape(prob.shape)),
        weak=_like(prob, centroids if prob.ndim > 2 else centroids[:, 1:]),
        th1=th1,
        th2=th2,
        _prob=fused,
        _weak_targets=tuple(targets),
    )


def _add_weak(
    strong: NDArray[np.bool_], maps: Sequence[NDArray[np.float32]], th2: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64], list[Target]]:
    """Inject the centroids of weak components, map after map: mask, pixels, targets."""
    mask = strong.copy()
    weak: list[NDArray[np.int64]] = []
    targets: list[Target] = []
    for prob in maps:
        found = find_components(prob, th2)
        lone = np.flatnonzero(~found.touch(mask))
        centres = np.column_stack([found.image, found.centroid_pixel])[lone]
        mask[tuple(centres.T)] = True
        weak.append(centres)
        targets += _targets("weak", found, lone)
    return mask, np.concatenate(weak), targets


def check_threshold(name: str, value: float) -> None:
    """Refuse a threshold outside [0, 1].

    Raises:
        ValueError: with the name, the value and what is allowed.

    Example:
        >>> check_threshold("th1", 0.5)
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, expected a probability in [0, 1]")


def _check_thresholds(th1: float, th2: float | None, *, one_map: bool) -> None:
    check_threshold("th1", th1)
    if th2 is None:
        return
    check_threshold("th2", th2)
    if one_map and th2 >= th1:
        warnings.warn(
            f"th2 = {th2} is not below th1 = {th1}: on one map there are then no weak targets",
            stacklevel=3,
        )


def _as_maps(name: str, prob: NDArray[Any] | Tensor) -> NDArray[np.float32]:
    """The checked maps as float32 (N, H, W)."""
    floating = prob.is_floating_point() if isinstance(prob, Tensor) else prob.dtype.kind == "f"
    if not floating:
        raise ValueError(
            f"{name} is {prob.dtype}, expected floating-point probabilities in [0, 1]; "
            "divide 8-bit maps by 255"
        )
    array = prob.detach().float().cpu().numpy() if isinstance(prob, Tensor) else prob
    if array.ndim not in (2, 3) and not (array.ndim == 4 and array.shape[1] == 1):
        raise ValueError(
            f"{name} has shape {array.shape}, expected (H, W), (N, H, W) or (N, 1, H, W)"
        )
    missing = np.isnan(array)
    if missing.any():
        warnings.warn(
            f"{name} holds {missing.sum()} NaN of {array.size} values; they count as background",
            stacklevel=3,
        )
        array = np.where(missing, 0, array)
    if array.size and (array.min() < -1e-6 or array.max() > 1 + 1e-6):
        raise ValueError(
            f"{name} runs from {array.min():.4g} to {array.max():.4g}, expected probabilities in "
            "[0, 1]; if these are logits, apply torch.sigmoid first"
        )
    return array.astype(np.float32).reshape(-1, *array.shape[-2:])


def _targets(
    kind: Literal["strong", "weak"], found: Components, chosen: NDArray[np.int64]
) -> list[Target]:
    return [_target(kind, found, int(k)) for k in chosen]


def _target(kind: Literal["strong", "weak"], found: Components, k: int) -> Target:
    row, column = found.centroid[k].tolist()
    y0, x0, y1, x1 = found.box[k].tolist()
    return Target(
        kind=kind,
        centroid=(row, column),
        area=int(found.area[k]),
        peak=float(found.peak[k]),
        box=(y0, x0, y1, x1),
        image=int(found.image[k]),
    )


def _numpy(array: NDArray[Any] | Tensor) -> NDArray[Any]:
    return array.cpu().numpy() if isinstance(array, Tensor) else array


def _like(prob: Array, array: NDArray[Any]) -> Array:
    return torch.from_numpy(array).to(prob.device) if isinstance(prob, Tensor) else array
