"""Losses side by side on the test maps of finished runs: seeds, intervals, paired differences.

``python -m studies.losses runs/acm-256-*`` prints two Markdown tables: networks as
they are (Original, th1 = 0.5) and with adjustable sensitivity (LW-FEST, 0.5 / 0.1).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from festkit._support.files import write_text, write_utf8
from festkit._support.names import find_name
from festkit.data.dataset import Dataset, load_dataset
from festkit.metrics import Counts, confidence_intervals, evaluate_images
from festkit.ops.components import binarize
from festkit.sensitivity import adjust_sensitivity
from festkit.tables.compare import pool_seeds
from festkit.tables.render import NONE, with_spread
from festkit.training.config import TrainConfig
from festkit.training.run import Run

METRICS = {"iou": ("IoU", 100), "pd": ("Pd", 100), "fa": ("Fa e-6", 1e6), "score": ("Score", 100)}

SHOWN = ("dataset", "backbone", "size", "epochs", "protocol", "precision", "test_split")
"""Settings of the runs that are printed above the tables."""

FREE = ("loss", "seed")
"""Settings in which the runs may differ."""


def main(
    runs: tyro.conf.Positional[tuple[str, ...]],
    baseline: str = "BCE",
    data_root: str | None = None,
    out: str | None = None,
) -> None:
    """Compare losses over the seeds of their runs.

    Args:
        runs: folders of finished runs that differ in loss and seed alone.
        baseline: the loss from which differences are taken.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        out: a Markdown file to write, too.
    """
    try:
        text = compare([Run(Path(folder)) for folder in runs], baseline, data_root)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error
    print(text, end="")
    if out is not None:
        write_text(out, text)


def compare(runs: list[Run], baseline: str, data_root: str | None = None) -> str:
    """The tables of several runs, in Markdown.

    Raises:
        FileNotFoundError: if a run has not finished, or the dataset is not there.
        ValueError: if runs differ in more than loss and seed, two are of one loss and seed, the
            losses share no seed, no run has the baseline's loss, or the test images are others.
    """
    records = _comparable({str(run.folder): run.record for run in runs})
    baseline = find_name("loss of these runs", baseline, {str(r["loss"]): r for r in records})
    testset = load_dataset(records[0]["dataset"], "test", root=data_root)
    if testset.fingerprint != records[0]["test_split"]:
        raise ValueError(f"the test images of {testset.name} here are not those of the runs")
    lines = [
        ", ".join(f"{name} {records[0].get(name)}" for name in SHOWN) + ".",
        f"{len(testset)} test images. Mean ± standard deviation over the seeds; in brackets 95 % "
        "intervals over images, of the counts of all seeds; Score also with its lowest and highest "
        "seed. Differences are paired by seed and by "
        "image.",
    ]
    for title, th2 in (("Original, th1 = 0.5", None), ("LW-FEST, th1 = 0.5, th2 = 0.1", 0.1)):
        counted = _count(runs, testset, th2)
        lines += ["", f"## {title}", "", *_table(counted, baseline)]
    return "\n".join(lines) + "\n"


def _comparable(records: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records of runs by folder, if they differ in loss and seed alone, and each in one."""
    if not records:
        raise ValueError("no runs came; name the folders of finished runs")
    settings = [*TrainConfig("NUAA-SIRST", size=256).to_dict(), "train_split", "test_split"]
    for name in settings:
        values = {str(record.get(name)) for record in records.values()}
        if len(values) > 1 and name not in FREE:
            raise ValueError(f"the runs differ in {name}: {', '.join(sorted(values))}")
    first: dict[tuple[Any, ...], str] = {}
    for folder, record in records.items():
        key = tuple(record[name] for name in FREE)
        if first.setdefault(key, folder) != folder:
            raise ValueError(
                f"{first[key]} and {folder} are of one loss and seed; name one of them"
            )
    return list(records.values())


def _count(
    runs: list[Run], testset: Dataset, th2: float | None
) -> dict[str, dict[int, list[Counts]]]:
    """Counts of every test image by loss and seed, for the seeds that all losses have."""
    masks = [sample.mask for sample in testset]
    counted: dict[str, dict[int, list[Counts]]] = defaultdict(dict)
    for run in runs:
        maps, record = run.test_maps(), run.record
        preds = (
            binarize(maps[name], 0.5)
            if th2 is None
            else adjust_sensitivity(maps[name], 0.5, th2).mask
            for name in testset.names
        )
        counted[record["loss"]][record["seed"]] = evaluate_images(preds, masks)
    common = set.intersection(*(set(seeds) for seeds in counted.values()))
    if not common:
        raise ValueError("the losses have no seed in common; train the same seeds with each")
    return {loss: {seed: seeds[seed] for seed in sorted(common)} for loss, seeds in counted.items()}


def _table(counted: dict[str, dict[int, list[Counts]]], baseline: str) -> list[str]:
    heads = [head for head, _ in METRICS.values()]
    lines = [
        "| loss | seeds | " + " | ".join(heads) + f" | Score by seed | Score − {baseline} |",
        "|---|--:|" + "--:|" * (len(heads) + 2),
    ]
    pooled = {loss: pool_seeds([*seeds.values()]) for loss, seeds in counted.items()}
    values = {loss: _values(seeds) for loss, seeds in counted.items()}
    for loss, seeds in counted.items():
        intervals = confidence_intervals(pooled[loss])
        cells = [
            _cell(values[loss][name], intervals[name], by) for name, (_, by) in METRICS.items()
        ]
        scores = 100 * values[loss]["score"]
        known = not np.isnan(scores).any()
        cells.append(f"{scores.min():.2f} to {scores.max():.2f}" if known else NONE)
        if loss == baseline:
            cells.append("")
        else:
            gains = values[loss]["score"] - values[baseline]["score"]
            ends = confidence_intervals(pooled[loss], baseline=pooled[baseline])["score"]
            cells.append(_cell(gains, ends, 100, sign="+"))
        lines.append(f"| {loss} | {len(seeds)} | " + " | ".join(cells) + " |")
    return lines


def _values(seeds: Mapping[int, Sequence[Counts]]) -> dict[str, NDArray[np.float64]]:
    """By metric the ratio of every seed; NaN for a Score that is void."""
    totals = [sum(images, Counts()) for images in seeds.values()]
    found = {name: np.array([getattr(total, name) for total in totals]) for name in METRICS}
    found["score"][[not total.valid for total in totals]] = math.nan
    return found


def _cell(
    values: NDArray[np.float64], interval: tuple[float, float], by: float, sign: str = ""
) -> str:
    """Mean, standard deviation over the seeds and interval; nothing where a seed has no value."""
    mean = by * values.mean()
    if math.isnan(mean):
        return NONE
    sd = by * values.std(ddof=1) if len(values) > 1 else math.nan
    low, high = (by * end for end in interval)
    return f"{with_spread(mean, sd, sign)} [{low:{sign}.2f}, {high:{sign}.2f}]"


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
