"""What the number of CPU threads costs: our default beside torch's own, idle and busy.

``python -m benchmarks.threads [--write]``, without OMP_NUM_THREADS.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import tyro

from festkit._support.cpus import available_cpus, idle_cpus
from festkit._support.devices import cpu_threads, resolve_threads
from festkit._support.files import write_utf8
from festkit.backbones import create_backbone
from festkit.backbones.forward import probability_map
from festkit.losses import create_loss

from .report import machine, write_section
from .timing import compare

BATCH = 8


def main(size: int = 256, rounds: int = 5, write: bool = False) -> None:
    """Time a training step and a prediction of ACM, alone and beside processes that compute.

    Args:
        size: side of the network input in px.
        rounds: how often each is timed, ours and torch's in turn.
        write: write the table to benchmarks/RESULTS.md, too.
    """
    most, cpus = torch.get_num_threads(), len(available_cpus())
    lines = [
        *machine(torch.device("cpu"), most),
        f"ACM at {size} px, batches of {BATCH}. Ours: as many threads as CPUs are idle when it "
        f"starts; torch's own: {most}. Beside: as many processes as told, each of which keeps a "
        "CPU busy.",
        "",
        "| beside | idle CPUs | our threads | what | ours [ms] | torch's own [ms] | own / ours |",
        "|--:|--:|--:|---|--:|--:|--:|",
    ]
    print("\n".join(lines))
    for beside in (0, 1, cpus):
        with _busy(beside):
            idle, ours = idle_cpus(), resolve_threads()
            for name, work in _works(size):
                pair = compare(
                    _with(ours, work), _with(most, work), rounds=rounds, device=torch.device("cpu")
                )
                row = f"| {beside} | {idle} | {ours} | {name} | {1e3 * pair.ours:.0f} "
                row += f"| {1e3 * pair.other:.0f} | {pair.ratio:.2f} |"
                print(row, flush=True)
                lines.append(row)
    if write:
        write_section("CPU threads", lines)


def _works(size: int) -> Iterator[tuple[str, Callable[[], object]]]:
    network = create_backbone("ACM").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(BATCH, 3, size, size).contiguous(memory_format=torch.channels_last)
    mask = torch.rand(BATCH, 1, size, size) > 0.999
    loss_of = create_loss("EEDM")
    yield "training step", lambda: loss_of(network(image), mask).backward()
    evaluated = create_backbone("ACM").eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    gray = np.zeros((size, size), np.uint8)
    yield "prediction", lambda: probability_map(evaluated, gray, size, mean=0.4, std=0.1)


def _with(threads: int, work: Callable[[], object]) -> Callable[[], object]:
    def call() -> None:
        with cpu_threads(threads):
            work()

    return call


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Beside processes of which each computes on one CPU."""
    script = "while True: pass"
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
