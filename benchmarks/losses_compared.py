"""Losses side by side on the test maps of finished runs: seeds, intervals, paired differences.

``python -m benchmarks.losses_compared runs/acm-256-*`` prints two Markdown tables: networks as
they are (Original, th1 = 0.5) and with adjustable sensitivity (LW-FEST, 0.5 / 0.1).
"""

from collections import defaultdict
from pathlib import Path

import tyro

from festkit._run import Run
from festkit.components import above
from festkit.data import Dataset, load_dataset
from festkit.metrics import Counts, confidence_intervals, evaluate_images
from festkit.sensitivity import adjust_sensitivity

METRICS = {"iou": ("IoU", 100), "pd": ("Pd", 100), "fa": ("Fa e-6", 1e6), "score": ("Score", 100)}


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
    found = [Run(Path(folder)) for folder in runs]
    records = [run.record for run in found]
    settings = ("dataset", "backbone", "size", "epochs", "protocol", "test_split")
    for name in settings:
        values = {str(record.get(name)) for record in records}
        if len(values) > 1:
            raise SystemExit(f"the runs differ in {name}: {', '.join(sorted(values))}")
    testset = load_dataset(records[0]["dataset"], "test", root=data_root)
    lines = [
        ", ".join(f"{name} {records[0].get(name)}" for name in settings) + ".",
        f"{len(testset)} test images. In brackets: 95 % intervals by the bootstrap over images, "
        "seeds summed; Score also with its lowest and highest seed. Differences are paired by "
        "image.",
    ]
    for title, th2 in (("Original, th1 = 0.5", None), ("LW-FEST, th1 = 0.5, th2 = 0.1", 0.1)):
        counted = _count(found, testset, th2)
        lines += ["", f"### {title}", "", *_table(counted, baseline)]
    print("\n".join(lines))
    if out is not None:
        Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")


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
        raise SystemExit("the losses have no seed in common; train the same seeds with each")
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
        cells = [
            _cell(getattr(total, name), intervals[name], by) for name, (_, by) in METRICS.items()
        ]
        scores = [100 * (sum(images, Counts()).score or 0) for images in seeds.values()]
        cells.append(f"{min(scores):.2f} to {max(scores):.2f}")
        cells.append("" if loss == baseline else _difference(summed[loss], summed[baseline]))
        lines.append(f"| {loss} | {len(seeds)} | " + " | ".join(cells) + " |")
    return lines


def _over_seeds(seeds: dict[int, list[Counts]]) -> list[Counts]:
    """Counts of every image, summed over seeds."""
    return [sum(same, Counts()) for same in zip(*seeds.values(), strict=True)]


def _difference(ours: list[Counts], theirs: list[Counts]) -> str:
    total = (sum(ours, Counts()).score or 0) - (sum(theirs, Counts()).score or 0)
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
