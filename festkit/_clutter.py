"""How far a target stands out from what surrounds it."""

import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice]

RING = 20
"""How far the surroundings of a target reach beyond its bounding box [px]."""

LEAST_STD = 0.5
"""Least standard deviation of a ring: the finest that 8 bits resolve [gray levels]."""


def surroundings(marked: NDArray[np.bool_], top: int = 0, left: int = 0) -> Window:
    """The bounding box of marked pixels, moved down and right, then grown by 20 px.

    Example:
        >>> surroundings(np.eye(3, dtype=bool), top=30)
        (slice(10, 53, None), slice(0, 23, None))
    """
    rows, columns = np.flatnonzero(marked.any(1)) + top, np.flatnonzero(marked.any(0)) + left
    return (
        slice(max(int(rows[0]) - RING, 0), int(rows[-1]) + RING + 1),
        slice(max(int(columns[0]) - RING, 0), int(columns[-1]) + RING + 1),
    )


def local_contrast(
    image: NDArray[np.generic], target: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> tuple[float, float]:
    """Contrast of a target, and its signal-to-clutter ratio (SCR).

    Contrast is target mean - ring mean, SCR is contrast / standard deviation of the ring. The ring
    is the bounding box of the target grown by 20 px, as far as the image reaches, without any
    target's pixels. Its standard deviation counts as at least 0.5 gray levels, the finest that 8
    bits resolve, so that a flat ring gives a finite SCR.

    Args:
        image: gray levels, (H, W).
        target: pixels of this target, bool (H, W), at least one.
        mask: pixels of all targets, bool (H, W).

    Returns:
        Contrast [gray levels] and SCR, negative for a dark target; both NaN if targets fill the
        whole surroundings, so that there is no ring.

    Example:
        >>> image = np.zeros((9, 9))
        >>> image[4, 4] = 11.0
        >>> local_contrast(image, image > 10, image > 10)
        (11.0, 22.0)
    """
    around = surroundings(target)
    ring = image[around][~mask[around]].astype(np.float64)
    if not ring.size:
        return float("nan"), float("nan")
    contrast = float(image[target].mean()) - float(ring.mean())
    return contrast, contrast / max(float(ring.std()), LEAST_STD)


def local_scr(
    image: NDArray[np.generic], target: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> float:
    """The SCR of :func:`local_contrast` alone.

    Example:
        >>> image = np.zeros((9, 9))
        >>> image[::2] = 2.0
        >>> image[4, 4] = 11.0
        >>> target = image > 10
        >>> round(local_scr(image, target, target), 1)
        9.9
    """
    return local_contrast(image, target, mask)[1]
