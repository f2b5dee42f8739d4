"""Training-free detectors beside the libraries' ways: ``python -m benchmarks.detectors``.

CPU time of one thread, since machines are busy; both ways run in turn.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import scipy.ndimage
import skimage.morphology
import torch
import tyro
from numpy.typing import NDArray

from festkit._support.files import write_utf8
from festkit.classical import create_detector, list_detectors
from festkit.classical.contrast import MPCM
from festkit.classical.patches import patch_grid
from festkit.scenes import make_scene

from .report import machine, write_section
from .scaling import shortest

Image = NDArray[Any]
Way = Callable[[Image], object]

FRAMES = {"224 × 280": (224, 280), "512²": (512, 512)}
"""A typical frame of NUAA-SIRST, and one of IRSTD-1K."""

SLOW = ("IPI", "NIPPS", "PSTNN")
"""Timed in one round."""


def main(rounds: int = 5, only: str = "", write: bool = False) -> None:
    """Time every detector on a synthetic scene.

    Args:
        rounds: of every measurement; the shortest time counts.
        only: time only the detectors whose name contains this.
        write: write the table to benchmarks/RESULTS.md, too.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    lines = [
        *machine(torch.device("cpu"), 1),
        f"Shortest of {rounds} rounds ({', '.join(SLOW)}: one), CPU time of one thread; scene 0 of "
        "festkit.scenes, uint8.",
        "",
        "| method | frame | ours [ms] | alternative | alternative [ms] | alternative / ours |",
        "|---|---|--:|---|--:|--:|",
    ]
    print("\n".join(lines))
    scene = make_scene(0, size=512).image
    for name in (each for each in list_detectors() if only in each):
        for frame, (height, width) in FRAMES.items():
            line = row(name, frame, scene[:height, :width], 1 if name in SLOW else rounds)
            print(line, flush=True)
            lines.append(line)
    if write:
        write_section("Training-free detectors, CPU", lines)


def row(name: str, frame: str, image: Image, rounds: int) -> str:
    """One line of the table."""
    detector = create_detector(name)
    ours = 1e3 * shortest(lambda: detector.target_map(image), rounds)
    line = f"| {name} | {frame} | {ours:.3g} |"
    if name not in OTHERS:
        return line + " none found | | |"
    title, way = OTHERS[name]
    other = 1e3 * shortest(lambda: way(image), rounds)
    return line + f" {title} | {other:.3g} | {other / ours:.2f} |"


def lines_by_scipy(image: Image) -> Image:
    """Max-Median by four median filters."""
    diagonal = np.eye(15, dtype=bool)
    row = np.zeros_like(diagonal)
    row[7] = True
    lines = (row, row.T, diagonal, diagonal[::-1])
    medians = [scipy.ndimage.median_filter(image, footprint=line, mode="nearest") for line in lines]
    return np.maximum(image - np.maximum.reduce(medians).astype(np.float32), 0)


def means_by_scipy(image: Image) -> Image:
    """Max-Mean by four correlations."""
    diagonal = np.eye(15, dtype=np.float32) / 15
    row = np.zeros_like(diagonal)
    row[7] = 1 / 15
    values = image.astype(np.float32)
    lines = (row, row.T, diagonal, diagonal[::-1])
    means = [scipy.ndimage.correlate(values, line, mode="nearest") for line in lines]
    return np.maximum(values - np.maximum.reduce(means), 0)


def new_top_hat_by_scipy(image: Image) -> Image:
    """Dilation by a ring, erosion by a square."""
    ring = np.ones((19, 19), bool)
    ring[5:14, 5:14] = False
    dilated = scipy.ndimage.grey_dilation(image, footprint=ring, mode="nearest")
    return image - np.minimum(image, scipy.ndimage.grey_erosion(dilated, (19, 19), mode="nearest"))


def contrast_by_scipy(image: Image) -> Image:
    """MPCM by mean filters and shifted views."""
    values, contrast = image.astype(np.float32), np.zeros(image.shape, np.float32)
    height, width = image.shape
    for d in MPCM().scales:
        mean = scipy.ndimage.uniform_filter(np.pad(values, d, mode="edge"), d, mode="nearest")
        middle = mean[d : d + height, d : d + width]
        ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
        rise = [
            np.maximum(middle - mean[d * i : d * i + height, d * j : d * j + width], 0)
            for i, j in ring
        ]
        pairs = [rise[k] * rise[k + 4] for k in range(4)]
        np.maximum(contrast, np.minimum.reduce(pairs), out=contrast)
    return contrast


def one_decomposition(image: Image) -> object:
    """The singular values and vectors of the patch image, which solvers need at every step."""
    grid = patch_grid(image.shape, 50, 10)
    patches = grid.cut(torch.from_numpy(image).float()).flatten(1).T.contiguous()
    return np.linalg.svd(patches.numpy(), full_matrices=False)


OTHERS: dict[str, tuple[str, Way]] = {
    "Top-Hat": (
        "scikit-image white_tophat",
        lambda image: skimage.morphology.white_tophat(image, np.ones((9, 9))),
    ),
    "New Top-Hat": ("scipy.ndimage grey_dilation, grey_erosion", new_top_hat_by_scipy),
    "Max-Median": ("four scipy.ndimage median_filter", lines_by_scipy),
    "Max-Mean": ("four scipy.ndimage correlate", means_by_scipy),
    "MPCM": ("scipy.ndimage uniform_filter, numpy", contrast_by_scipy),
    "IPI": ("ONE numpy SVD of the patch image", one_decomposition),
    "NIPPS": ("ONE numpy SVD of the patch image", one_decomposition),
}
"""Another way of the same, where a library has one."""


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
