"""Where the time of a training step goes, and images per second beside a plain pipeline.

``python -m benchmarks.training [--device cuda] [--write]``
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import tyro

from festkit._support.files import write_utf8
from festkit.backbones import create_backbone
from festkit.data.dataset import load_dataset
from festkit.scenes import make_synthetic_dataset
from festkit.training.batches import TrainingImages
from festkit.training.config import TrainConfig
from festkit.training.interrupt import Stop
from festkit.training.loop import Loop
from festkit.training.processes import join_processes
from festkit.training.run import Run

from .plain import PlainImages, train_plain
from .report import machine, write_section

BATCH, IMAGES = 8, 16

LEAST_SECONDS = 5.0
"""Small networks train for several epochs, so that every row takes about as long."""


def main(
    backbones: Sequence[str] = ("ACM", "MLCL-Net", "MSDA-Net"),
    sizes: Sequence[int] = (256, 512),
    device: str = "cpu",
    threads: int = 1,
    write: bool = False,
) -> None:
    """Time training steps of some backbones on synthetic scenes.

    Args:
        backbones: names of the catalogue.
        sizes: sides of the network input in px; the plain pipeline is timed at the first alone.
        device: cpu or cuda.
        threads: threads that torch may use on the CPU.
        write: write both tables to benchmarks/RESULTS.md, too.
    """
    torch.set_num_threads(threads)
    lines = [*machine(torch.device(device), threads), *_head()]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            scenes = make_synthetic_dataset(f"{folder}/{size}", train=IMAGES, test=1, size=size)
            for name in backbones:
                plain = size == sizes[0]
                config = TrainConfig(
                    str(scenes), size=size, backbone=name, epochs=1, batch_size=BATCH,
                    protocol="last", device=device,
                )  # fmt: skip
                row = _measure(config, Path(folder) / f"run-{name}-{size}", plain=plain)
                print(row, flush=True)
                lines.append(row)
    if write:
        write_section(f"Training, {device.upper()}", lines)


def _head() -> list[str]:
    return [
        f"Batch {BATCH}, EEDM; ms per image. Outside: all but forward, backward and optimiser, "
        "that is batches, loss, running average, counting. Plain: DataLoader, numpy augmentation, "
        "distance transforms, sorting, float32 contiguous (benchmarks/plain.py); in "
        "brackets ours in float32.",
        "",
        "| backbone | size | forward | backward | optimiser | outside | share | images/s "
        "| plain, images/s | ours / plain (in float32) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]


def _measure(config: TrainConfig, folder: Path, *, plain: bool) -> str:
    parts, total, images = time_parts(config, folder)
    inner = sum(parts.values())
    columns = [1e3 * parts[name] / images for name in ("forward", "backward", "optimiser")]
    cells = [f"{value:.2f}" for value in (*columns, 1e3 * (total - inner) / images)]
    cells += [f"{100 * (total - inner) / total:.1f} %", f"{images / total:.2f}"]
    cells += _beside_plain(config, folder, images / total) if plain else ["", ""]
    return f"| {config.backbone} | {config.size} | " + " | ".join(cells) + " |"


def _beside_plain(config: TrainConfig, folder: Path, ours: float) -> list[str]:
    images = PlainImages(load_dataset(config.dataset, "train"), config.size)
    network = create_backbone(str(config.backbone)).to(config.device)
    began = time.perf_counter()
    train_plain(network, images, BATCH, 1)
    steps = max(IMAGES // BATCH, round(LEAST_SECONDS / (time.perf_counter() - began)))
    began = time.perf_counter()
    train_plain(network, images, BATCH, steps)
    plain = steps * BATCH / (time.perf_counter() - began)
    single = replace(config, precision="fp32")
    _, total, seen = time_parts(single, folder.with_suffix(".fp32"))
    return [f"{plain:.2f}", f"{ours / plain:.2f} ({seen / total / plain:.2f})"]


def time_parts(config: TrainConfig, folder: Path) -> tuple[dict[str, float], float, int]:
    """Seconds inside forward, backward and optimiser, in all but checkpoints, and images seen."""
    dataset = load_dataset(config.dataset, "train")
    spent = dict.fromkeys(("forward", "backward", "optimiser", "checkpoint"), 0.0)
    with join_processes(torch.device(config.device)) as processes, Stop(None) as stop:
        images = TrainingImages.read(dataset, config, processes.device)
        began = time.perf_counter()
        Loop(config, Run(folder / "warm"), images, dataset[:0], processes).train(stop, resume=False)
        epochs = max(1, round(LEAST_SECONDS / (time.perf_counter() - began)))
        longer = replace(config, epochs=epochs)
        loop = Loop(longer, Run(folder / "timed"), images, dataset[:0], processes)
        _note_times(loop, spent)
        began = time.perf_counter()
        loop.train(stop, resume=False)
        total = time.perf_counter() - began
    return spent, total - spent.pop("checkpoint"), epochs * len(images)


def _note_times(loop: Loop, spent: dict[str, float]) -> None:
    """Let forward, backward and optimiser add up the seconds they take."""

    def clock(name: str, sign: int) -> None:
        _wait(loop.device)
        spent[name] += sign * time.perf_counter()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            clock(name, -1)
            result = function(*arguments, **options)
            clock(name, 1)
            return result

        return call

    loop.state.model.forward = timed("forward", loop.state.model.forward)  # type: ignore[method-assign]
    loop._backward = timed("backward", loop._backward)  # type: ignore[method-assign]
    loop.state.save = timed("checkpoint", loop.state.save)  # type: ignore[method-assign]
    loop.state.optimizer.register_step_pre_hook(lambda *_: clock("optimiser", -1))
    loop.state.optimizer.register_step_post_hook(lambda *_: clock("optimiser", 1))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
