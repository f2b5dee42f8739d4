"""Time every case and print one line each: ``python -m benchmarks [--device cuda]``."""

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import cv2
import numpy
import torch
import tyro

from .case import Case
from .cases import cases
from .engine import run_case
from .timing import compare

RESULTS = Path(__file__).parent / "RESULTS.md"


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
        f"Device: {torch.cuda.get_device_name(place) if place.type == 'cuda' else 'CPU'}, "
        f"{platform.machine()}, {threads} thread(s), {rounds} rounds, medians.",
        f"Versions: Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {numpy.__version__}, OpenCV {cv2.__version__}.",
        f"Date: {datetime.now(UTC):%Y-%m-%d}.",
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
        _write(place, lines)


def chosen_cases(place: torch.device, run: str | None, only: str) -> Iterator[Case]:
    """The cases to time; that of a run comes last."""
    every = cases(place)
    every = every if run is None else chain(every, [run_case(run, workers=os.cpu_count() or 1)])
    return (case for case in every if only in case.name)


def _write(place: torch.device, lines: list[str]) -> None:
    """Replace the section of this kind of device in RESULTS.md."""
    heading = f"## {place.type.upper()}"
    sections = RESULTS.read_text(encoding="utf-8").split("\n## ")
    kept = [s for s in sections[1:] if not f"## {s}".startswith(heading)]
    body = "\n".join([heading.removeprefix("## "), "", *lines, ""])
    RESULTS.write_text("\n## ".join([sections[0], *sorted([*kept, body])]), encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)
