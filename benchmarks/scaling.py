"""Growth of cost: ``python -m benchmarks.scaling`` counts, sweeps and refines ever larger inputs.

Counting and the surface grow with the number of targets, adjustable sensitivity with the pixels.
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from festkit._support.files import write_utf8
from festkit.metrics import count
from festkit.sensitivity import adjust_sensitivity
from festkit.surface import threshold_surface

from .engine import TH1, TH2, blob_map
from .report import machine, write_section

SIDE, BLOBS, SIDES = 2048, (1_000, 5_000, 20_000), (256, 512, 1024, 2048, 4096)
MOST_COUNT, MOST_SURFACE, MOST_PASS = 6, 25, 8
"""Largest ratios allowed: 20,000 blobs to 1,000, of count and of the surface; AS to ``p > t``."""


def main(rounds: int = 5, write: bool = False) -> None:
    """Measure on one thread, and fail where a cost grows faster than it should.

    Args:
        rounds: of every measurement; the shortest time counts.
        write: write the figures to benchmarks/RESULTS.md, too.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    lines = [
        *machine(torch.device("cpu"), 1),
        f"Shortest of {rounds} rounds, CPU time of one thread.",
        "",
        "| what | ms | ratio | at most |",
        "|---|--:|--:|--:|",
    ]
    print("\n".join(lines))
    rows = [*target_rows(rounds), *pixel_rows(rounds)]
    lines += [line for line, _ in rows]
    if write:
        write_section("Growth with targets and pixels, CPU", lines)
    too_fast = [line for line, kept in rows if not kept]
    if too_fast:
        raise SystemExit("grows too fast:\n" + "\n".join(too_fast))


def target_rows(rounds: int) -> list[tuple[str, bool]]:
    """Count and surface of 2048² maps with more and more targets, beside those with the fewest."""
    rows, first = [], {}
    for blobs in BLOBS:
        prob = many_blobs(blobs)
        truth = np.roll(prob, 1, axis=0) > 0.4
        pred = adjust_sensitivity(prob).mask
        for name, most, call in (
            ("count", MOST_COUNT, lambda p=pred, t=truth: count(p, t)),
            (
                "surface of 20 × 20 thresholds",
                MOST_SURFACE,
                lambda p=prob, t=truth: threshold_surface([p], [t], TH1, TH2, workers=1),
            ),
        ):
            seconds = shortest(call, rounds)
            ratio = seconds / first.setdefault(name, seconds)
            rows.append(_row(f"{name}, {SIDE}², {blobs:,} blobs", seconds, ratio, most))
    return rows


def pixel_rows(rounds: int) -> list[tuple[str, bool]]:
    """AS of maps of five targets beside one pass over their pixels, in turn."""
    rows = []
    for side in SIDES:
        prob = np.zeros((side, side), np.float32)
        place = min(side, 512)
        prob[:place, :place] = cv2.resize(blob_map(), (place, place), interpolation=cv2.INTER_AREA)
        out = np.empty(prob.shape, bool)
        times = [
            (
                shortest(lambda p=prob: adjust_sensitivity(p), 9),
                shortest(lambda p=prob, o=out: np.greater(p, np.float32(0.5), out=o), 9),
            )
            for _ in range(rounds)
        ]
        ours, other = np.min(times, axis=0)
        name = f"AS, {side}², five blobs; ratio to a pass of `p > t`"
        rows.append(_row(name, ours, ours / other, MOST_PASS))
    return rows


def many_blobs(number: int, seed: int = 0) -> NDArray[np.float32]:
    """A 2048² map of Gaussian blobs of 1 px at random places, peaks 0.2 to 1."""
    rng = np.random.default_rng(seed)
    prob = np.zeros((SIDE, SIDE), np.float32)
    y, x = rng.integers(0, SIDE, (2, number))
    prob[y, x] = rng.uniform(0.2, 1, number)
    return np.minimum(cv2.GaussianBlur(prob, (0, 0), 1) * np.float32(2 * np.pi), 1)


def shortest(call: Callable[[], object], rounds: int) -> float:
    """CPU seconds of this thread; the first call, which may compile, does not count."""
    call()
    seconds = []
    for _ in range(rounds):
        began = time.thread_time()
        call()
        seconds.append(time.thread_time() - began)
    return min(seconds)


def _row(name: str, seconds: float, ratio: float, most: float) -> tuple[str, bool]:
    line = f"| {name} | {1e3 * seconds:.3g} | {ratio:.1f} | {most} |"
    print(line, flush=True)
    return line, ratio <= most


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
