"""Networks and FEST by PyTorch, ONNX Runtime and OpenVINO, side by side in one run.

``python -m benchmarks.runtimes [NAME ...] [--dataset NUAA-SIRST]`` prints CPU milliseconds per
frame of one thread, the ratio to PyTorch in float32, and the largest difference of the maps; with a
dataset also IoU, Pd and Fa on its test images. Names are backbones, at 256 px with untrained
weights, or entries of the zoo. ``--rate`` times ``predict_images`` on the test images
instead, in images per second with all CPUs.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro

import festkit as fk
from festkit._support.cpus import available_cpus
from festkit._support.files import write_utf8
from festkit.inference.models import load_fest
from festkit.model import Model
from festkit.runtime import ExportedModel, export
from festkit.runtime.exported import usable_runtimes

SIZE, FRAME = 256, (512, 640)


@dataclass(frozen=True)
class Row:
    """One model on one runtime."""

    runtime: str
    model: Model
    seconds: list[float]


def main(
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    dataset: str | None = None,
    images: int | None = None,
    rounds: int = 7,
    rate: bool = False,
) -> None:
    """Print the table.

    Args:
        names: backbones or entries of the zoo; default: all backbones, and the FEST of ACM.
        dataset: measure on its test images, too.
        images: only so many of them.
        rounds: counted rounds.
        rate: images per second of predict_images on the dataset.
    """
    names = names or (*fk.list_backbones(), "nuaa-sirst/acm")
    if rate and dataset is None:
        raise SystemExit("--rate needs --dataset")
    pictures = None if dataset is None else fk.load_dataset(dataset, "test")[:images]
    print(f"One thread, frame of {FRAME[1]} x {FRAME[0]} px, medians of {rounds} rounds\n")
    columns = ("model", "runtime", "CPU ms", "torch / this", "largest difference of maps")
    columns += ("images/s",) if rate else ("IoU", "Pd", "Fa [1e-6]") if dataset else ()
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in names:
        with TemporaryDirectory() as folder:
            for row in _rows(name, Path(folder), rounds, pictures, rate=rate):
                print(f"| {' | '.join(row)} |", flush=True)


def _rows(
    name: str, folder: Path, rounds: int, pictures: Any, *, rate: bool
) -> list[tuple[str, ...]]:
    """The rows of one model."""
    of_zoo = name not in fk.list_backbones()
    untrained = {"mean": 0.4, "std": 0.15, "device": "cpu"}
    fest = load_fest(name, device="cpu") if of_zoo else fk.FEST({SIZE: name}, **untrained)
    path = export(fest, folder / "fest.onnx")
    names = usable_runtimes(path)
    models: list[Model] = [fest, *(ExportedModel(path, runtime=each) for each in names)]
    rows = [Row(getattr(model, "runtime", "torch"), model, []) for model in models]
    frame = np.random.default_rng(0).integers(0, 256, FRAME, np.uint8)
    for row in rows:
        row.model.threads = 1
        row.model.scale_maps(frame)
    for _ in range(rounds):
        for row in rows:
            start = time.process_time()
            row.model.scale_maps(frame)
            row.seconds.append(time.process_time() - start)
    return [_row(name, row, rows[0], frame, pictures, rate=rate) for row in rows]


def _row(
    name: str, row: Row, torch: Row, frame: np.ndarray, pictures: Any, *, rate: bool
) -> tuple[str, ...]:
    """One line of the table."""
    ours, theirs = np.array(torch.model.scale_maps(frame)), np.array(row.model.scale_maps(frame))
    own, reference = median(row.seconds), median(torch.seconds)
    line = (name, row.runtime, f"{1e3 * own:.0f}", f"{reference / own:.2f}")
    line += (f"{np.abs(ours - theirs).max():.1e}",)
    if pictures is None:
        return line
    if rate:
        return *line, f"{_images_per_second(row.model, pictures):.2f}"
    counts = row.model.evaluate(pictures)
    return *line, f"{100 * counts.iou:.2f}", f"{100 * counts.pd:.2f}", f"{1e6 * counts.fa:.1f}"


def _images_per_second(model: Model, pictures: Any) -> float:
    """The rate of a whole call, reading and writing included."""
    files = [pair.image for pair in pictures.pairs]
    model.threads = len(available_cpus())
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        fk.predict_images(model, files, Path(folder) / "out")
        return len(files) / (time.perf_counter() - start)


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
