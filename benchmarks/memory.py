"""What it brings a training on the CPU to keep the memory that it frees, and what it costs.

``python -m benchmarks.memory [--write]``
"""

import multiprocessing
import resource
import statistics
import time
from contextlib import nullcontext

import torch
import tyro

from festkit._support.files import write_utf8
from festkit.backbones import create_backbone
from festkit.losses import create_loss
from festkit.training.memory import kept_memory

from .report import machine, write_section

BATCH, WARM, STEPS = 4, 2, 3

CASES = (("ACM", 256), ("ACM", 512), ("ALCNet", 512), ("MLCL-Net", 256), ("MLCL-Net", 384))


def main(rounds: int = 3, write: bool = False) -> None:
    """Time training steps with and without kept memory, in turn, each in a process of its own.

    Args:
        rounds: how often each is timed.
        write: write the table to benchmarks/RESULTS.md, too.
    """
    lines = [
        *machine(torch.device("cpu"), 1),
        f"Steps of {BATCH} images, EEDM; medians of {rounds} processes each. Kept: freed memory "
        "stays with the process (festkit/training/memory.py), as in every training on the CPU.",
        "",
        "| backbone | size | peak memory [GB] | given back [GB] "
        "| kept, images/s | given back, images/s | kept / given back |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(lines))
    for name, size in CASES:
        row = _row(name, size, rounds)
        print(row, flush=True)
        lines.append(row)
    if write:
        write_section("Memory kept while training, CPU", lines)


def _row(name: str, size: int, rounds: int) -> str:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        timed = [
            [pool.apply(time_steps, (name, size, keep)) for keep in (True, False)]
            for _ in range(rounds)
        ]
    (kept, kept_peak), (given, given_peak) = (
        [statistics.median(values) for values in zip(*way, strict=True)]
        for way in zip(*timed, strict=True)
    )
    ratio = statistics.median(pair[0][0] / pair[1][0] for pair in timed)
    return (
        f"| {name} | {size} | {kept_peak:.2f} | {given_peak:.2f} "
        f"| {kept:.2f} | {given:.2f} | {ratio:.2f} |"
    )


def time_steps(name: str, size: int, keep: bool) -> tuple[float, float]:
    """Images per second of a few steps after the first, and the peak memory in GB."""
    torch.set_num_threads(1)
    network = create_backbone(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(BATCH, 3, size, size).contiguous(memory_format=torch.channels_last)
    mask = torch.rand(BATCH, 1, size, size) > 0.999
    optimizer, loss_of = torch.optim.AdamW(network.parameters()), create_loss("EEDM")
    with kept_memory() if keep else nullcontext():
        for step in range(WARM + STEPS):
            outputs = network(image)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            torch.stack([loss_of(logits, mask) for logits in outputs]).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if step + 1 == WARM:
                began = time.perf_counter()
        rate = STEPS * BATCH / (time.perf_counter() - began)
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
