"""The paper's Tables 1 to 5 and Fig. 5 on the W-IRSTD land/air subset, with ACM.

``python -m studies.wirstd --data-root FOLDER`` trains what is missing under ``runs/wirstd`` and
writes docs/wirstd.md; ``--tables`` without names writes the page from what is finished. FOLDER is
that of ``festkit data build-wirstd``. Interrupted, the same command continues.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import tyro

from festkit._support.files import write_text, write_utf8
from festkit._support.progress import progress
from festkit.metrics import Counts, confidence_intervals, count, record_of
from festkit.tables import (
    Profile,
    compare_with_paper,
    describe_runs,
    find_table,
    open_rows,
    paper_table,
    render_table,
    train_all,
)
from festkit.tables.paper import COLUMNS
from festkit.tables.render import NONE, RECORD_HEAD, markdown_table, record_cells
from festkit.training import Run, RunMaps

from .losses import compare
from .schemes import METRICS, difference_row

DATASET = "W-IRSTD-land-air-subset"

RECIPE = Profile(
    scale=1,
    backbone="ACM",
    small={
        "crop": 192, "epochs": 7, "natural_epochs": 2, "whole_epochs": 1, "learning_rate": 3e-3,
        "protocol": "last", "precision": "fp32",
    },
    large={},
    further=3,
)  # fmt: skip
"""The paper's sizes, on squares of 192 px and once on whole images: a night on one CPU core."""

TABLES = ("input_size", "losses", "hyperparameters")
"""Tables whose trainings, together, are those of all others."""

FUSED_SIZES = 3
"""Number of sizes of the fusion whose thresholds the paper varies: 896+768+1024."""

NO_AS = {"th1": 0.5, "th2": None}

TABLES_OF_PAGE = ("input_size", "losses", "fusion", "th1", "th2", "hyperparameters")

ORDER = ("896", "768", "1024", "640", "512", "384", "256")
"""Sizes in the order in which the paper fuses them; no image here chooses it."""

QUESTIONS = {
    "Does a larger input help?": ("input_size", "512", ("256", "384", "640", "768", "896", "1024")),
    "Does EEDM help?": ("losses", "BCE", ("EE", "DM", "EEDM")),
    "Does a lower th1 help?": ("th1", "th1 0.5", ("th1 0.1", "th1 0.3")),
    "Do weak targets help?": ("th2", "th1 0.3", ("th1 0.3, th2 0.2", "th1 0.3, th2 0.1")),
    "Does weighting the edge help?": (
        "hyperparameters", "edge_weight 1", ("edge_weight 4", "edge_weight 7")
    ),
    "Does dropping easy pixels help?": (
        "hyperparameters", "keep_ratio 0.9", ("keep_ratio 0.5", "keep_ratio 0.1")
    ),
}  # fmt: skip
"""Table, row that is compared with, and rows that are compared."""

HEAD = f"""---
html_theme.sidebar_secondary.remove: true
---

# The paper's tables on data like the paper's

W-IRSTD, on which the paper's Tables 1 to 5 stand, is not public. 2,841 of its 9,000 images come
from public datasets; `festkit data build-wirstd` puts those at hand together again as the *W-IRSTD
land/air subset* ([how](howto/layouts.md)). `python -m studies.wirstd` trains ACM on it and writes
this page: one seed where nothing else is said, the last epoch, th1 0.5 without weak targets unless
a table varies them. Each network sees {RECIPE.small["epochs"] - 1} epochs of squares of 192 px and
one of whole images; sizes other than 512 px start from the network at 512 px, with
{RECIPE.further - 1} epochs of squares and one of whole images. The paper trains MSDA-Net for 300
epochs on images of which two thirds are others, so compare the direction of changes alone. In
brackets are 95 % intervals over images, of differences paired by image; a change is called unclear
if its interval contains zero. IoU, Pd and Score in percent, Fa in 10⁻⁶. A Score is void (–) where
Fa is not below 10⁻⁴. No test image chose an epoch, a threshold or an order of fusion.
The paper varies its thresholds on 896 + 768 + 1024 px fused; here the first three sizes of its
order that are trained stand for them.
"""

Rows = dict[str, list[Counts]]


def main(
    data_root: str,
    out: Path = Path("runs/wirstd"),
    page: Path = Path("docs/wirstd.md"),
    seeds: tuple[int, ...] = (0,),
    tables: tuple[str, ...] = TABLES,
) -> None:
    """Train networks and write the page.

    Args:
        data_root: the folder that holds the subset.
        out: folder of the runs.
        page: the Markdown file.
        seeds: of the trainings.
        tables: those whose networks are trained, in this order.
    """
    for seed in seeds:
        for table in tables:
            rows = find_table(table).rows(RECIPE, RECIPE.backbone, DATASET)
            place = out / f"seed-{seed}"
            train_all(rows, DATASET, place, seed=seed, data_root=data_root, threads=1)
    write_text(page, _page(out, data_root))
    print(f"wrote {page}")


def _page(out: Path, data_root: str) -> str:
    """The page, of the runs that have finished."""
    sizes, losses, options = (_finished(out / "seed-0", table, data_root) for table in TABLES)
    own = [name for name in ORDER if name in sizes]
    fused = {
        "+".join(names): _together([sizes[name] for name in names])
        for names in (own[: number + 1] for number in range(len(own)))
    }
    questions, varied = dict(QUESTIONS), "+".join(own[:3])  # the paper's, once all are trained
    if own:
        questions["Does fusion help?"] = "fusion", own[0], ("+".join(own[:2]), varied)
    maps = {"input_size": sizes, "losses": losses, "fusion": fused, "hyperparameters": options}
    counted = {table: _above(rows) for table, rows in maps.items()}
    if len(own) >= FUSED_SIZES:
        for table in ("th1", "th2"):
            counted[table] = _at_thresholds(fused[varied], paper_table(table))
            maps[table] = dict.fromkeys(counted[table], fused[varied])
    answers, open_ones = ["## Answers"], []
    for question, (table, baseline, names) in questions.items():
        rows = {name: counted.get(table, {}).get(name) for name in (baseline, *names)}
        done = {name: counts for name, counts in rows.items() if counts}
        if len(done) > 1 and baseline in done:
            answers += _answer(question, done, paper_table(table))
        else:
            open_ones.append(question)
    if open_ones:
        answers += ["", f"Not answered, since the networks are not trained: {' '.join(open_ones)}"]
    tables = ["", "## Tables", ""]
    for table in TABLES_OF_PAGE:
        if found_rows := counted.get(table):
            paper = paper_table(table)
            words = describe_runs(maps[table], paper, profile="crops")["measured"]
            if set(found_rows) <= set(paper.index):
                found = compare_with_paper(found_rows, paper, measured=words)
                tables += [render_table(found[found["seeds"] > 0], "markdown")]
            else:
                tables += _fusions(found_rows)
    return "\n".join([HEAD, *answers, *tables, *_over_seeds(out, data_root)])


def _fusions(rows: Rows) -> list[str]:
    """A table of fusions that the paper does not have, as long as its largest size is missing."""
    cells = [[name, *record_cells({**NO_AS, **record_of(own)})] for name, own in rows.items()]
    head = "**Table 3**, with the sizes trained so far, in the paper's order; the paper's starts at"
    return [f"{head} 896 px.", "", markdown_table(["sizes", *RECORD_HEAD], cells, keys=1)]


def _finished(folder: Path, table: str, data_root: str) -> dict[str, RunMaps]:
    """The maps of the rows of a table whose runs have finished."""
    rows = find_table(table).rows(RECIPE, RECIPE.backbone, DATASET)
    runs = {name: [folder / each.name for each in scales] for name, scales in rows.items()}
    done = {name: own for name, own in runs.items() if all(Run(each).finished for each in own)}
    return open_rows(table, done, dataset=DATASET, root=data_root) if done else {}


def _together(maps: Sequence[RunMaps]) -> RunMaps:
    """The same images with all scales."""
    first, *others = maps
    return first.with_scales(*others) if others else first


def _above(rows: Mapping[str, RunMaps]) -> Rows:
    """Counts of every image above 0.5, without weak targets."""
    return {
        name: [
            count(image.detect(0.5, None).mask, image.sample.mask)
            for image in progress(maps, name, unit="image")
        ]
        for name, maps in rows.items()
    }


def _at_thresholds(maps: RunMaps, paper: pd.DataFrame) -> Rows:
    """Counts of every image at the thresholds of a table, weak targets from each scale's map."""
    used = paper.reindex(columns=["th1", "th2"])
    rows: Rows = {name: [] for name in used.index}
    for image in progress(maps, paper.attrs["name"], unit="image"):
        for name, th1, th2 in used.itertuples():
            found = image.detect(th1, None if pd.isna(th2) else th2)
            rows[name].append(count(found.mask, image.sample.mask))
    return rows


def _answer(question: str, rows: Rows, paper: pd.DataFrame) -> list[str]:
    """What rows gain over the first, ours and the paper's."""
    baseline, *others = rows
    heads = " | ".join(head for head, _ in METRICS.values())
    lines = ["", f"### {question}", "", f"| | {heads} |", "|:--|" + "--:|" * len(METRICS)]
    for name in others:
        label = f"{name} − {baseline}"
        lines.append(difference_row(f"{label}, ours", rows[name], rows[baseline]))
        known = paper.reindex([name, baseline])
        gains = [known.loc[name, column] - known.loc[baseline, column] for column in COLUMNS]
        cells = [NONE if pd.isna(gain) else f"{gain:+.2f}".replace("-", "−") for gain in gains]
        lines.append(f"| {label}, paper | {' | '.join(cells)} |")
    ends = confidence_intervals(rows[name], baseline=rows[baseline])
    if not all(sum(rows[each], Counts()).valid for each in (name, baseline)):
        ends["score"] = (math.nan, math.nan)
    here = _in_words({metric: ends[metric] for metric in METRICS})
    there = _in_words(dict(zip(METRICS, [(gain, gain) for gain in gains], strict=True)))
    return [*lines, "", f"{name} instead of {baseline}: {here}. In the paper: {there}."]


def _in_words(ends: Mapping[str, tuple[float, float]]) -> str:
    """Whether each metric rises, by the interval of its change; a void Score is not given."""
    words = []
    for metric, (low, high) in ends.items():
        head = METRICS[metric][0].partition(" ")[0]
        change = "up" if low > 0 else "down" if high < 0 else "unclear"
        words.append(f"{head} {'not given' if pd.isna(low) else change}")
    return ", ".join(words)


def _over_seeds(out: Path, data_root: str) -> list[str]:
    """The losses over the seeds that have been trained, if there are several."""
    size = find_table("losses").rows(RECIPE, RECIPE.backbone, DATASET)
    names = [training.name for (training,) in size.values()]
    runs = [Run(folder / name) for folder in sorted(out.glob("seed-*")) for name in names]
    done = [run for run in runs if run.finished]
    if len({run.folder.parent for run in done}) < 2:
        return ["The losses were trained with one seed."]
    return ["## Losses over seeds", "", compare(done, "BCE", data_root)]


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
