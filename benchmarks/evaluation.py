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
import tyro

import festkit as fk
from festkit._support.files import write_utf8

SIDE, NUMBERS = 512, (125, 250, 500, 1000)

MOST_SECONDS, MOST_RATIO = 20.0, 2.6


def main() -> int:
    """Print the table; 1 if a limit is exceeded."""
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as folder:
        images = write_maps(Path(folder))
        fk.evaluate_predictions(Path(folder) / "maps", images[:2])  # compiles
        seconds = []
        print("| images | CPU s | ms an image | wall s |\n|--:|--:|--:|--:|")
        for number in NUMBERS:
            began = time.process_time(), time.perf_counter()
            fk.evaluate_predictions(Path(folder) / "maps", images[:number])
            seconds.append(time.process_time() - began[0])
            wall = time.perf_counter() - began[1]
            print(
                f"| {number} | {seconds[-1]:.1f} | {1e3 * seconds[-1] / number:.1f} | {wall:.1f} |"
            )
    worst = max(after / before for before, after in pairwise(seconds))
    print(f"twice the images take at most {worst:.2f} times as long")
    return int(seconds[-1] > MOST_SECONDS or worst > MOST_RATIO)


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
