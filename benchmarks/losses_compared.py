"""Losses side by side on the test maps of finished runs: seeds, intervals, paired differences.

``python -m benchmarks.losses_compared runs/acm-256-*`` prints two Markdown tables: networks as
they are (Original, th1 = 0.5) and with adjustable sensitivity (LW-FEST, 0.5 / 0.1).
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tyro

from festkit._files import write_text
from festkit._names import find_name
from festkit._run import Run, TrainConfig
from festkit.components import above
from festkit.data import Dataset, load_dataset
from festkit.metrics import Counts, confidence_intervals, evaluate_images
from festkit.sensitivity import adjust_sensitivity

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
        f"{len(testset)} test images. In brackets: 95 % intervals by the bootstrap over images, "
        "seeds summed; Score also with its lowest and highest seed. Differences are paired by "
        "image.",
    ]
    for title, th2 in (("Original, th1 = 0.5", None), ("LW-FEST, th1 = 0.5, th2 = 0.1", 0.1)):
        counted = _count(runs, testset, th2)
        lines += ["", f"### {title}", "", *_table(counted, baseline)]
    return "\n".join(lines) + "\n"


def _comparable(records: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records of runs by folder, if they differ in loss and seed alone, and each in one."""
    if not records:
        raise ValueError("no runs came; name the folders of finished runs")
    settings = [*TrainConfig("NUAA-SIRST", size=256).plain(), "train_split", "test_split"]
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
            above(maps[name], 0.5) if th2 is None else adjust_sensitivity(maps[name], 0.5, th2).mask
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
    summed = {loss: _over_seeds(seeds) for loss, seeds in counted.items()}
    for loss, seeds in counted.items():
        total = sum(summed[loss], Counts())
        intervals = confidence_intervals(summed[loss])
        values = {name: getattr(total, name) for name in METRICS} | {"score": _score(total)}
        cells = [_cell(values[name], intervals[name], by) for name, (_, by) in METRICS.items()]
        scores = [_score(sum(images, Counts())) for images in seeds.values()]
        known = [100 * score for score in scores if score is not None]
        cells.append(f"{min(known):.2f} to {max(known):.2f}" if len(known) == len(scores) else "–")
        cells.append("" if loss == baseline else _difference(summed[loss], summed[baseline]))
        lines.append(f"| {loss} | {len(seeds)} | " + " | ".join(cells) + " |")
    return lines


def _score(counts: Counts) -> float | None:
    """None where it is void: too many false alarms, or nothing to find."""
    return counts.score if counts.valid else None


def _over_seeds(seeds: dict[int, list[Counts]]) -> list[Counts]:
    """Counts of every image, summed over seeds."""
    return [sum(same, Counts()) for same in zip(*seeds.values(), strict=True)]


def _difference(ours: list[Counts], theirs: list[Counts]) -> str:
    first, second = _score(sum(ours, Counts())), _score(sum(theirs, Counts()))
    total = None if first is None or second is None else first - second
    return _cell(total, confidence_intervals(ours, baseline=theirs)["score"], 100, sign="+")


def _cell(
    value: float | None, interval: tuple[float, float] | None, by: float, sign: str = ""
) -> str:
    if value is None or interval is None:
        return "–"
    low, high = interval
    return f"{by * value:{sign}.2f} [{by * low:{sign}.2f}, {by * high:{sign}.2f}]"


if __name__ == "__main__":
    tyro.cli(main)
