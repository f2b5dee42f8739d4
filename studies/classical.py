"""Training-free detectors on the public test lists: ``python -m studies.classical``.

Writes docs/classical.md. Each method's figures are kept under ``runs/classical``; interrupted, the
same command continues with what is missing.
"""

import time
import tomllib
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import torch
import tyro

import festkit as fk
from festkit._support.files import read_json, write_json, write_text, write_utf8
from festkit._support.progress import progress
from festkit.classical import best_threshold, detect, normalize_map
from festkit.data import Sample
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
    "BEMD, no entropy weight": {"name": "BEMD", "entropy": None},
    "MPCM, both signs": {"name": "MPCM", "bright_only": False},
}
"""What is measured: every method with its defaults, and five variants."""

SLOW = ("IPI", "NIPPS")
"""Methods that are measured on every k-th image."""

METRICS = {"iou": 100.0, "pd": 100.0, "fa": 1e6}

PUBLISHED = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
"""IoU, Pd and Fa by dataset, method and source."""


def main(
    dataset: tuple[str, ...] = DATASETS,
    slow: tuple[int, ...] = (2, 8, 16),
    data_root: str | None = None,
    out: Path = Path("runs/classical"),
    page: Path = Path("docs/classical.md"),
) -> None:
    """Measure what is missing, on one thread, and write the page.

    Args:
        dataset: of which the test list is measured.
        slow: of each dataset, every how many images IPI and NIPPS are measured on.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        out: folder of the figures.
        page: the Markdown file.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parts = []
    for name, k in zip(dataset, slow, strict=True):
        images = fk.load_dataset(name, "test", root=data_root)
        rows = {}
        for title in VARIANTS:
            step = k if title in SLOW else 1
            file = out / name / f"{title}, {step}.json"
            if not file.is_file():
                write_json(file, measured(title, list(images[::step])))
            rows[title] = read_json(file)
        parts += [f"## {name}", "", f"{len(images)} test images.", "", *table(name, rows), ""]
        write_text(page, HEAD + "\n".join(parts) + TAIL)
    print(f"wrote {page}")


def measured(title: str, samples: list[Sample]) -> dict[str, Any]:
    """Cells by rule, and CPU time of a typical image [ms]."""
    detector = fk.create_detector(**VARIANTS[title])
    maps, spent = [], []
    for sample in progress(samples, title, unit="image"):
        before = time.process_time()
        maps.append(detector.target_map(sample.image))
        spent.append(time.process_time() - before)
    scaled = [normalize_map(each) for each in maps]
    threshold, _ = best_threshold(scaled, [sample.mask for sample in samples])
    found = {"best256": [binarize(each, threshold) for each in scaled]}
    found |= {rule: [detect(each, **given) for each in maps] for rule, given in RULES.items()}
    counted = {
        rule: cells([count(mask, s.mask) for mask, s in zip(masks, samples, strict=True)])
        for rule, masks in found.items()
    }
    facts = {"ms": 1e3 * median(spent), "images": len(samples), "parameters": repr(detector)}
    return counted | facts


def cells(counts: list[Counts]) -> list[str]:
    """IoU, Pd and Fa with their intervals."""
    total, ends = sum(counts, Counts()), confidence_intervals(counts)
    return [
        f"{by * getattr(total, name):.1f} [{by * ends[name][0]:.1f}, {by * ends[name][1]:.1f}]"
        for name, by in METRICS.items()
    ]


def table(dataset: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """One row for each method and rule, and the published results of each method."""
    lines = [
        "| method | images | CPU ms an image | rule | IoU [%] | Pd [%] | Fa [10⁻⁶] |",
        "|:--|--:|--:|:--|--:|--:|--:|",
    ]
    for title, row in rows.items():
        lead = [f"{title}: `{row['parameters']}`", str(row["images"]), f"{row['ms']:.1f}"]
        for rule in ("best256", *RULES):
            shown = "best256 (oracle)" if rule == "best256" else rule
            lines.append("| " + " | ".join([*lead, shown, *row[rule]]) + " |")
            lead = ["", "", ""]
        for published in filter(None, PUBLISHED.get(dataset, {}).get(title, "").split("; ")):
            source, figures = published.split(maxsplit=1)
            cells = [*lead, f"published, {source}", *figures.split(" / ")]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


HEAD = """# Training-free detectors on the public test lists

By `python -m studies.classical`, one thread of a busy machine. The rule decides as much as the
method. *best256* is the one threshold of 256 levels with the highest IoU over the whole test list:
an oracle that uses the ground truth, so its results are biased upwards. *k-sigma* is mean + 5 σ,
*dna* the larger of 0.7 max and mean + 0.5 σ, both on each image's map scaled to [0, 1]. Targets
are 8-connected, centroids match below 3 px, and every image has its own size. In brackets: 95 %
intervals over images. IPI and NIPPS are slow and are measured on every k-th image of a list; the
column *images* gives the number. CPU time is the median over the images.

Published results: A is the README of DRPCA-Net, B that of LW-DSTransNet. For one method they differ
by a factor of up to eight.

## Why results of one method differ

- **Window.** The square of the top-hat and the lines of Max-Median must exceed the target. With 5
  px instead of 15 px, Max-Median's IoU on NUAA-SIRST falls to a fraction of itself, as from A to B.
- **Rule.** *dna* keeps the peak of a target and loses its area: few false alarms and a low IoU.
  Mean + k σ depends on k; B takes values from 1 (RLCM) to 8 (IPI).
- **Port.** A public port of Max-Median overwrites one of the four directions; one of PSTNN
  overwrites overlapping patches instead of averaging them. IPI depends on λ, from the sides of the
  image or of the patch image, and on where its solver stops.
- **Sign.** MPCM as published also responds to dark targets; here `bright_only` is the default, and
  the symmetric form has a row of its own.
- **Border.** Borders are replicated here. With zeros, bright borders become false
  alarms.

"""

TAIL = """
No published IoU on these three sets was found for TDLMS, DT-CWT, BEMD, LCM, Max-Mean and the new
top-hat.
"""


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
