"""Maps and masks whose components are hard to get right."""

import numpy as np


def blobs(size, count, seed):
    """Map in [0, 1] of Gaussian blobs of 0.8 to 4 px, some of them beyond the border."""
    rng = np.random.default_rng(seed)
    values = np.zeros((size, size), np.float32)
    rows, columns = np.mgrid[:size, :size]
    for y, x, sigma, peak in rng.uniform([0, 0, 0.8, 0.2], [size, size, 4, 1], (count, 4)):
        distance = np.hypot(rows - y, columns - x) / sigma
        values = np.maximum(values, np.float32(peak * np.exp(-(distance**2) / 2)))
    return values


def spiral(side):
    """One line from the corner to the middle, its turns one pixel apart."""
    mask = np.zeros((side, side), bool)
    y, x, dy, dx = 0, 0, 0, 1
    mask[0, 0] = True
    for length in [side - 1, *np.repeat(np.arange(side - 1, 0, -2), 2)]:
        for _ in range(length):
            y, x = y + dy, x + dx
            mask[y, x] = True
        dy, dx = dx, -dy
    return mask


def comb(side):
    """Teeth on one back."""
    mask = np.zeros((side, side), bool)
    mask[:, ::2] = mask[-1] = True
    return mask


def rings(side):
    """Closed squares around one centre, one inside the other."""
    distance = np.abs(np.arange(side) - side // 2)
    return np.maximum.outer(distance, distance) % 2 == 0


def checkerboard(side):
    return np.add.outer(np.arange(side), np.arange(side)) % 2 == 0
