"""Time every case and print one line each: ``python -m benchmarks [--device cuda]``."""

import os
from collections.abc import Iterator
from itertools import chain

import cv2
import torch
import tyro

from festkit._support.files import write_utf8

from .case import Case
from .cases import cases
from .engine import run_case
from .report import machine, write_section
from .timing import compare


def main(  # noqa: PLR0917 - every one is an option of the command line
    device: str = "cpu",
    threads: int = 1,
    rounds: int = 15,
    write: bool = False,
    run: str | None = None,
    only: str = "",
) -> None:
    """Time festkit beside the obvious alternatives, in turn, within one run.

    Args:
        device: cpu or cuda.
        threads: threads that torch and OpenCV may use on the CPU.
        rounds: counted rounds of every case.
        write: write the table to benchmarks/RESULTS.md, too.
        run: a finished run folder, whose stored test maps are counted over 100 × 100 thresholds.
        only: time only the cases whose name contains this.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    place = torch.device(device)
    lines = [
        *machine(place, threads),
        f"Medians of {rounds} rounds.",
        "",
        "| what | ours [ms] | alternative | alternative [ms] | alternative / ours |",
        "|---|--:|---|--:|--:|",
    ]
    print("\n".join(lines))
    for case in chosen_cases(place, run, only):
        pair = compare(case.ours, case.other, rounds=rounds, device=place)
        row = (
            f"| {case.name} | {1e3 * pair.ours:.3g} | {case.alternative} "
            f"| {1e3 * pair.other:.3g} | {pair.ratio:.2f} |"
        )
        print(row, flush=True)
        lines.append(row)
    if write:
        write_section(place.type.upper(), lines)


def chosen_cases(place: torch.device, run: str | None, only: str) -> Iterator[Case]:
    """The cases to time; that of a run comes last."""
    every = cases(place)
    every = every if run is None else chain(every, [run_case(run, workers=os.cpu_count() or 1)])
    return (case for case in every if only in case.name)


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
