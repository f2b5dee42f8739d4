"""Components, adjustable sensitivity, metrics and threshold surfaces beside their alternatives."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import scipy.ndimage
import torch
from numpy.typing import NDArray
from skimage.measure import label, regionprops

from festkit.data.dataset import load_dataset
from festkit.metrics import count
from festkit.sensitivity import adjust_sensitivity
from festkit.surface import EIGHT_BIT, threshold_surface
from festkit.training.run import Run

from .case import Case

Map = NDArray[np.float32]
TH1, TH2 = np.linspace(0.05, 0.95, 20), np.linspace(0.02, 0.4, 20)


def cpu_cases() -> Iterator[Case]:
    """The engine on arrays."""
    blobs, busy = blob_map(), busy_map()
    truth = blobs > 0.4
    pred = adjust_sensitivity(blobs).mask
    as_call = "AS of a 512² map, five blobs"
    out = np.empty_like(truth)
    yield Case(
        as_call,
        "p > t into a bool array",
        lambda: adjust_sensitivity(blobs),
        lambda: np.greater(blobs, np.float32(0.5), out=out),
    )
    for name, values in ((as_call, blobs), ("AS of a 512² map, 4,000 components", busy)):
        algorithm, route = fastest_opencv_route(values)
        yield Case(name, f"OpenCV {algorithm}", _refine(values), route)
        yield Case(name, "scipy.ndimage.label and measurements", _refine(values), _scipy(values))
        yield Case(name, "scikit-image label and regionprops", _refine(values), _skimage(values))
    yield Case(
        "count of a 512² pair, five targets",
        "scikit-image label, regionprops, matching",
        lambda: count(pred, truth),
        lambda: _count_by_skimage(pred, truth),
    )
    labelling = "ONE scikit-image label and regionprops"
    evaluation = "ONE scikit-image evaluation: AS, matching, counts"
    for name, grids in (
        ("surface of 20 × 20 thresholds, 512² map", (TH1, TH2)),
        ("surface of 256 × 256 thresholds (8 bit), 512² map", (EIGHT_BIT[1:],) * 2),
    ):
        yield Case(
            name,
            labelling,
            lambda grids=grids: threshold_surface([blobs], [truth], *grids, workers=1),
            _skimage(blobs),
        )
        yield Case(
            name,
            evaluation,
            lambda grids=grids: threshold_surface([blobs], [truth], *grids, workers=1),
            lambda: _count_by_skimage(_skimage(blobs)(), truth),
        )
    yield Case(
        "surface of 20 × 20 thresholds, 512² map",
        "AS and count of festkit, cell by cell",
        lambda: threshold_surface([blobs], [truth], TH1, TH2, workers=1),
        lambda: [
            count(adjust_sensitivity(blobs, a, b).mask, truth) for a in TH1 for b in TH2 if b < a
        ],
    )


def cuda_cases(device: torch.device) -> Iterator[Case]:
    """The engine on tensors: 64 maps of 1024²."""
    maps = np.zeros((64, 1024, 1024), np.float32)
    maps[:, :512, :512] = blob_map()
    batch = torch.from_numpy(maps).to(device)
    copy = torch.empty_like(batch)
    for name, other in (
        ("device copy of the same bytes", lambda: copy.copy_(batch)),
        ("a read of the same bytes (maximum)", batch.amax),
    ):
        yield Case("AS of 64 maps of 1024²", name, lambda: adjust_sensitivity(batch), other)


def run_case(folder: str, workers: int) -> Case:
    """The surface of a run's stored test maps at 100 × 100 thresholds."""
    run = Run(Path(folder))
    testset = load_dataset(run.record["dataset"], "test")
    stored = run.test_maps()
    maps = [stored[name] for name in testset.names]
    masks = [sample.mask for sample in testset]
    grid = np.linspace(0.01, 0.99, 100)
    size = f"{len(maps)} test maps of {testset.name}, {workers} threads"
    return Case(
        f"surface of 100 × 100 thresholds, {size}",
        "ONE scikit-image evaluation of each map",
        lambda: threshold_surface(maps, masks, grid, grid, workers=workers),
        lambda: [
            _count_by_skimage(_skimage(prob)(), mask)
            for prob, mask in zip(maps, masks, strict=True)
        ],
    )


def blob_map() -> Map:
    """Five targets of peaks 0.2 to 0.99 on an empty 512² map."""
    prob = np.zeros((512, 512), np.float32)
    for y, x, peak in (
        (100, 100, 0.99),
        (200, 300, 0.8),
        (400, 50, 0.4),
        (300, 450, 0.2),
        (50, 500, 0.9),
    ):
        prob[y, x] = peak
    return cv2.GaussianBlur(prob, (0, 0), 2) * np.float32(8 * np.pi)


def busy_map() -> Map:
    """About 4,000 components above 0.1 on a 512² map."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((512, 512)), (0, 0), 1.1)
    low, high = np.quantile(noise, [0.88, 1])
    return (0.1 + (noise - low) / (high - low) * 0.8).clip(0, 1).astype(np.float32)


def fastest_opencv_route(prob: Map) -> tuple[str, Callable[[], object]]:
    """AS by OpenCV, with the fastest of its labelling algorithms on this map."""
    routes = {
        name.removeprefix("CCL_"): _opencv(prob, getattr(cv2, name))
        for name in ("CCL_SAUF", "CCL_BBDT", "CCL_SPAGHETTI")
    }
    name = min(routes, key=lambda name: _best_of(routes[name]))
    return f"connectedComponentsWithStats ({name}, its fastest)", routes[name]


def _best_of(call: Callable[[], object], times: int = 20) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _refine(prob: Map) -> Callable[[], object]:
    return lambda: adjust_sensitivity(prob)


def _opencv(prob: Map, algorithm: int) -> Callable[[], object]:
    def call() -> NDArray[np.bool_]:
        result = prob > np.float32(0.5)
        low = (prob > np.float32(0.1)).view(np.uint8)
        found, labels, _, centroids = cv2.connectedComponentsWithStatsWithAlgorithm(
            low, 8, cv2.CV_32S, algorithm
        )
        lone = np.ones(found, bool)
        lone[labels[result]] = False
        lone[0] = False
        x, y = centroids[lone].astype(int).T
        result[y, x] = True
        return result

    return call


def _scipy(prob: Map) -> Callable[[], object]:
    def call() -> NDArray[np.bool_]:
        result = prob > 0.5
        labels, found = scipy.ndimage.label(prob > 0.1, np.ones((3, 3)))
        numbers = np.arange(1, found + 1)
        peaks = scipy.ndimage.maximum(prob, labels, numbers)
        centres = np.array(scipy.ndimage.center_of_mass(labels > 0, labels, numbers[peaks <= 0.5]))
        result[tuple(centres.reshape(-1, 2).astype(int).T)] = True
        return result

    return call


def _skimage(prob: Map) -> Callable[[], NDArray[np.bool_]]:
    def call() -> NDArray[np.bool_]:
        result = prob > 0.5
        for region in regionprops(label(prob > 0.1, connectivity=2), prob):
            if region.intensity_max <= 0.5:
                y, x = region.centroid
                result[int(y), int(x)] = True
        return result

    return call


def _count_by_skimage(pred: NDArray[np.bool_], mask: NDArray[np.bool_]) -> tuple[int, ...]:
    found = regionprops(label(pred, connectivity=2))
    detected, false_pixels = 0, int(pred.sum())
    for target in regionprops(label(mask, connectivity=2)):
        for k, region in enumerate(found):
            if np.hypot(*np.subtract(region.centroid, target.centroid)) < 3:
                detected += 1
                false_pixels -= int(region.area)
                del found[k]
                break
    return detected, false_pixels, int((pred & mask).sum()), int((pred | mask).sum())
