"""Evaluate 1,000 maps of 512² px at 50 thresholds; time grows as the images do.

``python -m benchmarks.evaluation`` writes synthetic images, masks and 8-bit maps to a temporary
folder, evaluates 125 to 1,000 of them and prints CPU seconds. Fails if 1,000 take over 20 CPU
seconds (10 on two cores), or twice the images over 2.6 times as long.
"""

import time
import warnings
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
import tyro
from matplotlib.figure import Figure

import festkit as fk
from festkit._support.cpus import available_cpus
from festkit._support.files import write_utf8

from .report import RESULTS, machine, write_section

SIDE, NUMBERS = 512, (125, 250, 500, 1000)

MOST_SECONDS, MOST_RATIO = 20.0, 2.6

PLOT = "evaluation.svg"


def main(write: bool = False) -> int:
    """Print the table; 1 if a limit is exceeded.

    Args:
        write: write table and plot to benchmarks/RESULTS.md, too.
    """
    warnings.simplefilter("ignore")
    lines = ["| images | CPU s | ms an image | wall s |", "|--:|--:|--:|--:|"]
    print("\n".join(lines))
    seconds = []
    with TemporaryDirectory() as folder:
        images = write_maps(Path(folder))
        fk.evaluate_predictions(Path(folder) / "maps", images[:2])  # compiles
        for number in NUMBERS:
            began = time.process_time(), time.perf_counter()
            fk.evaluate_predictions(Path(folder) / "maps", images[:number])
            cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
            seconds.append(cpu)
            lines.append(f"| {number} | {cpu:.1f} | {1e3 * cpu / number:.1f} | {wall:.1f} |")
            print(lines[-1], flush=True)
    worst = max(after / before for before, after in pairwise(seconds))
    lines += ["", f"Twice the images take at most {worst:.2f} times as long."]
    print(lines[-1])
    if write:
        draw(seconds).savefig(RESULTS.with_name(PLOT), metadata={"Date": None})
        what = "Of `festkit evaluate`: 8-bit maps of 512² px, 50 thresholds, figures and intervals."
        where = machine(torch.device("cpu"), len(available_cpus()))
        plot = f"![CPU seconds over images]({PLOT})"
        write_section("Evaluation of predictions, CPU", [*where, what, "", *lines, "", plot])
    return int(seconds[-1] > MOST_SECONDS or worst > MOST_RATIO)


def draw(seconds: list[float]) -> Figure:
    """CPU seconds over images, beside a straight line through the origin."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot((0, NUMBERS[-1]), (0, seconds[-1]), "--", color="0.6", label="proportional")
    axes.plot(NUMBERS, seconds, "o-", label="festkit evaluate")
    axes.set(xlabel="images of 512² px", ylabel="CPU seconds", xlim=(0, None), ylim=(0, None))
    axes.legend()
    return figure


def write_maps(folder: Path) -> fk.data.Dataset:
    """Noisy frames of two targets, their masks, and maps that find them above a weak background."""
    rng = np.random.default_rng(0)
    for name in ("set/images", "set/masks", "maps"):
        (folder / name).mkdir(parents=True)
    for number in range(NUMBERS[-1]):
        target = np.zeros((SIDE, SIDE), np.float32)
        target[tuple(rng.integers(20, SIDE - 20, (2, 2)))] = 10
        target = cv2.GaussianBlur(target, (0, 0), 1.5)
        ground = cv2.GaussianBlur(rng.normal(size=target.shape).astype(np.float32), (0, 0), 2)
        pictures = {
            "set/images": 90 + 60 * ground + 100 * target,
            "set/masks": 255.0 * (target > 0.3),
            "maps": 255 * (target + 0.05 * ground),
        }
        for name, picture in pictures.items():
            levels = np.uint8(np.clip(np.rint(picture), 0, 255))
            cv2.imwrite(str(folder / name / f"{number:04}.png"), levels)
    return fk.load_dataset(folder / "set", "all")


if __name__ == "__main__":
    write_utf8()
    if tyro.cli(main):
        raise SystemExit(1)
