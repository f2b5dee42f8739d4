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

SENSITIVITY, TRAINING_STEP, WEAK = "NUAA-SIRST", 4, 0.5
"""Adjustable sensitivity (AS) is measured on this dataset, with th1 from every so many training
images, and th2 relative to th1."""

METRICS = {"iou": 100.0, "pd": 100.0, "fa": 1e6}

PUBLISHED = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
"""IoU, Pd and Fa by dataset, method and source."""


def main(
    dataset: tuple[str, ...] = DATASETS,
    slow: tuple[int, ...] = (1, 16, 32),
    data_root: str | None = None,
    out: Path = Path("runs/classical"),
    page: Path = Path("docs/classical.md"),
) -> None:
    """Measure what is missing, on one thread, and write the page.

    Args:
        dataset: of which the test list is measured, and on NUAA-SIRST the use of AS.
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
    if SENSITIVITY in dataset:
        train = list(fk.load_dataset(SENSITIVITY, "train", root=data_root)[::TRAINING_STEP])
        test = list(fk.load_dataset(SENSITIVITY, "test", root=data_root))
        rows = {}
        for title in (name for name in fk.list_detectors() if name not in SLOW):
            file = out / SENSITIVITY / f"{title}, AS.json"
            if not file.is_file():
                write_json(file, refined(title, train, test))
            rows[title] = read_json(file)
        parts += refined_table(rows, len(train))
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
    values = in_units(counts)
    return ["{:.1f} [{:.1f}, {:.1f}]".format(*values[name]) for name in METRICS]


def in_units(counts: list[Counts], baseline: list[Counts] | None = None) -> dict[str, Any]:
    """IoU, Pd and Fa in printed units, or their gain over a baseline, each with its interval."""
    total, before = sum(counts, Counts()), sum(baseline or [], Counts())
    ends = confidence_intervals(counts, baseline=baseline)
    values = {name: getattr(total, name) for name in METRICS}
    if baseline:
        values = {name: value - getattr(before, name) for name, value in values.items()}
    return {name: [by * x for x in (values[name], *ends[name])] for name, by in METRICS.items()}


def refined(title: str, train: list[Sample], test: list[Sample]) -> dict[str, Any]:
    """Results with and without AS, and the difference; th1 has the highest IoU on ``train``."""
    detector = fk.create_detector(title)
    maps = [
        normalize_map(detector.target_map(s.image)) for s in progress(train, title, unit="image")
    ]
    th1, _ = best_threshold(maps, [sample.mask for sample in train])
    maps = [
        normalize_map(detector.target_map(s.image)) for s in progress(test, title, unit="image")
    ]
    off, on = (
        [
            count(fk.adjust_sensitivity(each, th1, th2).mask, sample.mask)
            for each, sample in zip(maps, test, strict=True)
        ]
        for th2 in (None, WEAK * th1)
    )
    given = {"off": off, "on": on}
    shown = {name: in_units(counts) for name, counts in given.items()}
    return {"th1": th1, **shown, "gain": in_units(on, off)}


def refined_table(rows: dict[str, dict[str, Any]], train: int) -> list[str]:
    """The section on AS, and its answer."""
    lines = [
        f"## Does adjustable sensitivity help? ({SENSITIVITY})",
        "",
        f"th1 is the threshold with the highest IoU on {train} training images, th2 is {WEAK} th1, "
        "both on maps scaled to [0, 1]. Nothing is chosen on test images. *on − off* is the paired "
        "difference.",
        "",
        "| method | th1 | AS | IoU [%] | Pd [%] | Fa [10⁻⁶] |",
        "|:--|--:|:--|--:|--:|--:|",
    ]
    for title, row in rows.items():
        lead = f"{title} | {row['th1']:.2f}"
        for name, shown in (("off", "off"), ("on", "on"), ("gain", "on − off")):
            sign = "+" if name == "gain" else ""
            form = f"{{:{sign}.1f}} [{{:{sign}.1f}}, {{:{sign}.1f}}]"
            cells = [form.format(*row[name][metric]).replace("-", "−") for metric in METRICS]
            lines.append("| " + " | ".join([lead, shown, *cells]) + " |")
            lead = " | "
    return [*lines, "", answer(rows), ""]


def answer(rows: dict[str, dict[str, Any]]) -> str:
    """Whether AS helps where targets are found and not filled."""
    found = {name: row for name, row in rows.items() if row["off"]["pd"][0] >= 90}
    if not found:
        return "No method reaches a Pd of 90 % at its th1."
    better = [name for name, row in found.items() if row["gain"]["pd"][1] > 0]
    filled = [name for name, row in found.items() if row["gain"]["iou"][1] > 0]
    gains = {metric: [row["gain"][metric][0] for row in found.values()] for metric in METRICS}
    span = {
        metric: f"{min(values):+.1f} to {max(values):+.1f}".replace("-", "−")
        for metric, values in gains.items()
    }
    return (
        f"Pd is at least 90 % without AS for {len(found)} methods ({', '.join(found)}). For these "
        f"AS changes Pd by {span['pd']} points, IoU by {span['iou']} points, and Fa by "
        f"{span['fa']} · 10⁻⁶. The whole interval is above 0 for Pd of {len(better)} and for IoU "
        f"of {len(filled)} of them. AS adds one pixel for every weak target, so it cannot give a "
        "target its shape."
    )


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


HEAD = """---
html_theme.sidebar_secondary.remove: true
---

# Training-free detectors on the public test lists

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
