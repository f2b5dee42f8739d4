"""Published threshold rules by name; state the rule with every number."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from .._support.names import find_name
from ..ops.components import binarize
from .detector import Floats, normalize_map

LEVELS = 256
"""Gray levels of a map in the rule "best256"."""


def _dna(target_map: Floats, share: float = 0.7, k: float = 0.5) -> float:
    """The larger of a share of the maximum and mean + k σ (issue 33 of DNA-Net)."""
    return max(share * float(target_map.max()), _ksigma(target_map, k))


def _ksigma(target_map: Floats, k: float = 5) -> float:
    """Mean + k standard deviations."""
    return float(target_map.mean(dtype=np.float64) + k * target_map.std(dtype=np.float64))


def _ipi(target_map: Floats, share: float = 0.5, k: float = 8) -> float:
    """The larger of a share of the maximum and mean + k standard deviations (Gao et al., 2013)."""
    return max(share * float(target_map.max()), _ksigma(target_map, k))


def _fixed(_: Floats, value: float = 0.5) -> float:
    """One value for every image."""
    return value


RULES: dict[str, Callable[..., float]] = {
    "dna": _dna,
    "k-sigma": _ksigma,
    "ipi": _ipi,
    "fixed": _fixed,
}
"""Rules that need no ground truth; all act on the map in [0, 1] (``normalize_map``)."""


def detect(target_map: NDArray[Any], rule: str = "k-sigma", **parameters: float) -> Any:
    """Detect target pixels in a target map with a threshold rule.

    Args:
        target_map: (H, W), at least 0, of any unit.
        rule: "k-sigma" (mean + k σ; k = 5), "dna" (max of 0.7 max and mean + 0.5 σ), "ipi" (max of
            0.5 max and mean + 8 σ) or "fixed" (0.5 of the range).
        parameters: parameters of the rule: k, share, value.

    Returns:
        (H, W) bool; pixels strictly above the threshold. A flat map has none.

    Raises:
        ValueError: for an unknown rule, or for "best256", which needs a whole set.

    Example:
        >>> detect(np.array([[0.0, 0.0, 9.0]]), "fixed")
        array([[False, False,  True]])
    """
    if rule == "best256":
        raise InputError("best256 chooses on the ground truth of a whole set; use best_threshold")
    scaled = normalize_map(target_map)
    limit = RULES[find_name("threshold rule", rule, RULES)](scaled, **parameters)
    return binarize(scaled, limit if scaled.any() else 1)


def best_threshold(
    target_maps: Iterable[NDArray[Any]], masks: Iterable[NDArray[Any]]
) -> tuple[float, float]:
    """The threshold with the highest IoU over a whole set ("best256").

    This is an oracle: it uses the ground truth, so its results are biased upwards. State this with
    the results.

    Args:
        target_maps: maps (H, W); each is scaled to [0, 1], then quantised to 256 levels.
        masks: (H, W) bool each.

    Returns:
        The threshold, in [0, 1], and the IoU above it, in [0, 1].

    Example:
        >>> best_threshold([np.array([[0.0, 0.6, 1.0]])], [np.array([[False, True, True]])])
        (0.0, 1.0)
    """
    counts = np.zeros((2, LEVELS), np.int64)
    for target_map, mask in zip(target_maps, masks, strict=True):
        level = np.minimum((normalize_map(target_map) * LEVELS).astype(np.int64), LEVELS - 1)
        for truth in (0, 1):
            counts[truth] += np.bincount(
                level[np.asarray(mask, bool) == bool(truth)], minlength=LEVELS
            )
    false, hit = (each[::-1].cumsum()[::-1] for each in counts)  # at this level or above
    iou = hit[1:] / np.maximum(hit[0] + false[1:], 1)
    best = int(iou.argmax())
    return best / LEVELS, float(iou[best])
