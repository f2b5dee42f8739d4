"""Training-free detectors on the public test lists: ``python -m studies.classical``.

Writes docs/classical.md. Each method's figures are kept under ``runs/classical``; interrupted, the
same command continues with what is missing.
"""

import time
from pathlib import Path
from typing import Any

import cv2
import torch
import tyro

import festkit as fk
from festkit._support.files import read_json, write_json, write_text, write_utf8
from festkit._support.progress import progress
from festkit.classical import best_threshold, detect, normalize_map
from festkit.data import Dataset
from festkit.metrics import Counts, confidence_intervals, count
from festkit.ops.components import binarize

DATASETS = ("NUAA-SIRST", "NUDT-SIRST", "IRSTD-1K")

RULES: dict[str, dict[str, Any]] = {
    "k-sigma": {"rule": "k-sigma", "k": 5},
    "dna": {"rule": "dna"},
}
"""Threshold rules that look at no ground truth, beside best256, which is an oracle."""

VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in fk.list_detectors()},
    "Max-Median, window 5": {"name": "Max-Median", "window": 5},
    "TDLMS, 4 scans": {"name": "TDLMS", "scans": 4},
    "DT-CWT, no isotropy gate": {"name": "DT-CWT", "isotropy": False},
    "MPCM, both signs": {"name": "MPCM", "bright_only": False},
}
"""What is measured: every method with its defaults, and four variants."""

METRICS = {"iou": 100.0, "pd": 100.0, "fa": 1e6}


def main(
    dataset: tuple[str, ...] = DATASETS,
    data_root: str | None = None,
    out: Path = Path("runs/classical"),
    page: Path = Path("docs/classical.md"),
) -> None:
    """Measure what is missing, on one thread, and write the page.

    Args:
        dataset: of which the test list is measured.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        out: folder of the figures.
        page: the Markdown file.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parts = []
    for name in dataset:
        images = fk.load_dataset(name, "test", root=data_root)
        rows = {}
        for title in VARIANTS:
            file = out / name / f"{title}.json"
            if not file.is_file():
                write_json(file, measured(title, images))
            rows[title] = read_json(file)
        parts += [f"## {name}", "", f"{len(images)} test images.", "", *table(rows), ""]
    write_text(page, HEAD + "\n".join(parts))
    print(f"wrote {page}")


def measured(title: str, images: Dataset) -> dict[str, Any]:
    """Cells by rule, and CPU time per image [ms]."""
    detector = fk.create_detector(**VARIANTS[title])
    samples = list(images)
    before = time.process_time()
    maps = [detector.target_map(s.image) for s in progress(samples, title, unit="image")]
    spent = time.process_time() - before
    scaled = [normalize_map(each) for each in maps]
    threshold, _ = best_threshold(scaled, [sample.mask for sample in samples])
    found = {"best256": [binarize(each, threshold) for each in scaled]}
    found |= {rule: [detect(each, **given) for each in maps] for rule, given in RULES.items()}
    counted = {
        rule: cells([count(mask, s.mask) for mask, s in zip(masks, samples, strict=True)])
        for rule, masks in found.items()
    }
    return counted | {"ms": 1e3 * spent / len(samples), "parameters": repr(detector)}


def cells(counts: list[Counts]) -> list[str]:
    """IoU, Pd and Fa with their intervals."""
    total, ends = sum(counts, Counts()), confidence_intervals(counts)
    return [
        f"{by * getattr(total, name):.1f} [{by * ends[name][0]:.1f}, {by * ends[name][1]:.1f}]"
        for name, by in METRICS.items()
    ]


def table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """One row for each method and rule."""
    lines = [
        "| method | rule | IoU [%] | Pd [%] | Fa [10⁻⁶] | CPU ms an image |",
        "|:--|:--|--:|--:|--:|--:|",
    ]
    for title, row in rows.items():
        for rule in ("best256", *RULES):
            first = rule == "best256"
            lead = [title if first else "", f"{rule} (oracle)" if first else rule]
            spent = f"{row['ms']:.1f}" if first else ""
            lines.append("| " + " | ".join([*lead, *row[rule], spent]) + " |")
    return lines


HEAD = """# Training-free detectors on the public test lists

By `python -m studies.classical`, one thread. The rule decides as much as the method: *best256* is
the one threshold of 256 levels with the highest IoU over the whole test list, an oracle that looks
at the ground truth, so its figures are biased upwards. *k-sigma* is mean + 5 σ, *dna* the larger of
0.7 max and mean + 0.5 σ, both on each image's map scaled to [0, 1]. Targets are 8-connected,
centroids match below 3 px, everything at the images' own size. In brackets 95 % intervals over
images. Windows and other parameters are the defaults of `fk.create_detector`, unless the first
column names them.

"""


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
