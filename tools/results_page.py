"""Write docs/results.md: the zoo's metrics next to the paper's.

It reads the records in weights/ and needs no dataset: python tools/results_page.py
"""

import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from festkit._support.errors import FestkitError, InputError
from festkit._support.files import write_text
from festkit.data.catalogue import images_of
from festkit.metrics import INTERVAL_METHOD
from festkit.pretrained import (
    ENTRIES,
    FAMILIES,
    Family,
    fused_record,
    outdated,
    read_named,
    read_record,
    weights_dir,
)
from festkit.tables.compare import compare_with_paper
from festkit.tables.paper import COLUMNS, paper_table
from festkit.tables.render import (
    RECORD_HEAD,
    markdown_table,
    record_cells,
    render_table,
    with_interval,
)

PAGE = Path(__file__).parents[1] / "docs" / "results.md"

Row = Mapping[str, Any]

Record = Mapping[str, Any]


def distance_lines(compared: pd.DataFrame) -> list[str]:
    """One list item for every row of ours that is worse than the paper's in a metric.

    Args:
        compared: as :func:`festkit.tables.compare.compare_with_paper` returns it.
    """
    if not compared["seeds"].any():
        return ["- not run"]
    lines = []
    for _, row in compared[compared["seeds"] > 0].iterrows():
        behind = ", ".join(_behind(row))
        if behind:
            lines.append(f"- {row['backbone']}, {row['scheme']}: {behind}")
    return lines or ["- in no figure of what has been run"]


def _behind(row: pd.Series) -> Iterator[str]:
    for name, metric in COLUMNS.items():
        ours, theirs = round(row[name], 2), round(row[f"{name}_paper"], 2)
        if (ours > theirs) if name == "fa_e6" else (ours < theirs):
            yield f"{metric.title} {ours:.2f} against {theirs:.2f}"
        elif math.isnan(ours) and not math.isnan(theirs):
            yield f"{metric.title} void against {theirs:.2f}"


def gain_lines(compared: pd.DataFrame) -> list[str]:
    """One list item for every row of ours beside the Original of the same backbone.

    Args:
        compared: as :func:`festkit.tables.compare.compare_with_paper` returns it.
    """
    ours = compared[compared["seeds"] > 0]
    originals = ours[ours["scheme"] == "Original"].set_index("backbone")
    lines = []
    for _, row in ours[ours["scheme"] != "Original"].iterrows():
        if row["backbone"] in originals.index:
            told = ", ".join(_gains(row, originals.loc[row["backbone"]]))
            lines.append(f"- {row['backbone']}, {row['scheme']}: {told}")
    return lines or ["- not run"]


def _gains(row: pd.Series, original: pd.Series) -> Iterator[str]:
    for name, metric in COLUMNS.items():
        gain, papers = (row[n] - original[n] for n in (name, f"{name}_paper"))
        if not math.isnan(gain):
            paper = "void" if math.isnan(papers) else f"{papers:+.2f}"
            yield f"{metric.title} {gain:+.2f} (paper {paper})".replace("-", "−")


def highest_lines(dataset: str) -> list[str]:
    """List items: of each backbone what has the highest Score, and what cannot be told from it."""
    families = [f for f in FAMILIES.values() if f.dataset == dataset and len(f.scales) > 1]
    return [line for family in families for line in _highest(family)] or ["- not run"]


def _highest(family: Family) -> Iterator[str]:
    """Among a FEST and every entry on its dataset with the same backbone, without and with AS."""
    fused = fused_record(family)
    if fused is None:
        return
    dataset = ENTRIES[family.scales[0]].config.dataset
    records = {family.name: fused}
    for entry in ENTRIES.values():
        same = (entry.config.dataset, entry.config.backbone) == (dataset, family.backbone)
        if same and (record := read_record(entry.name)):
            records[entry.name] = record
    valid = {
        (name, how): row
        for name, record in records.items()
        for how, row in zip(("without AS", "with AS"), record["test"], strict=True)
        if row["valid"]
    }
    if valid:
        best = max(valid, key=lambda key: valid[key]["score"])
        low = _score_interval(valid[best])[0]
        rivals = sum(_score_interval(row)[1] >= low for row in valid.values()) - 1
        name, how = best
        yield (
            f"- {family.backbone}: `{name}` {how}, Score {with_interval(valid[best], 'score')}; of"
            f" {len(valid) - 1} others the intervals of {rivals} meet its own"
        )


def _score_interval(row: Row) -> tuple[float, float]:
    low, high = row["intervals"]["score"]
    return low, high


OLD_METHOD = "bootstrap"
"""What made the intervals of records that name no method."""

METHODS = {
    OLD_METHOD: "by the percentile bootstrap, [too narrow](intervals.md) for Pd, Fa and Score",
    INTERVAL_METHOD: "[linearised](definitions.md#13-intervals-and-differences)",
}
"""What to say of a method."""

INTRODUCTION = """\
# Results: our figures beside the paper's

Written by `python tools/results_page.py` from the records in [weights](../weights/AGENDA.md), each measured on the weights in the same folder; `festkit zoo verify` measures them again. IoU, Pd and Score in percent, Fa in 10⁻⁶, at the images' own size; in brackets 95 % intervals over test images{methods}. What has not been trained says "not run".

*Original* is BCE at one size, above 0.5. *LW-FEST* is EEDM at one size with adjustable sensitivity (AS, th1 0.5, th2 0.1). *FEST* fuses the sizes that are listed, with weak targets per scale. Epochs and some sizes are not the paper's, nor is the training ([what differs](../weights/AGENDA.md#what-differs-from-the-paper)): the paper trains 300 epochs, fuses 512 + 768 (NUDT-SIRST: 256 + 384), and does not say at which size its other rows are; the lists below the tables say what ours are, and where they differ in size the difference between two rows is not the method's alone. The paper's rows of other backbones: `festkit tables show backbones`. Every entry has one seed; the test images chose no epoch, no threshold and no weights (what counts is the running average of the weights after the last epoch), though some entries are in the list after a look at test figures.
"""  # noqa: E501 - a paragraph is one line


def results_page() -> str:
    """The whole page, in Markdown.

    Raises:
        ValueError: if a FEST was measured with other weights than the records beside them are of.

    Example:
        >>> results_page().splitlines()[0]
        "# Results: our figures beside the paper's"
    """
    datasets = paper_table("backbones")["dataset"].unique()
    beside = map(_beside_the_paper, datasets)
    return "\n".join([_introduction(), *beside, _every_entry(), _crossed()])


def _introduction() -> str:
    """What the page shows, and by which methods its intervals were made."""
    named = [*ENTRIES, *(family.name for family in FAMILIES.values())]
    records = [read_record(name) for name in named]
    records += [read_named(path) for path in sorted(weights_dir().glob("*/*.on-*.json"))]
    rows = [row for record in records if record for row in record["test"]]
    used = sorted({row["intervals"].get("method", OLD_METHOD) for row in rows if row["intervals"]})
    told = ", ".join(METHODS.get(method, method) for method in used)
    return INTRODUCTION.replace("{methods}", f" ({told})" if told else "")


def _beside_the_paper(dataset: str) -> str:
    """A dataset's rows of the paper's table with ours beside them, and what ours are."""
    table = paper_table("backbones")
    rows: dict[str, list[Row]] = {}
    made_of = []
    of_paper = table[table["dataset"] == dataset]
    families = [family for family in FAMILIES.values() if family.dataset == dataset]
    families = [family for family in families if family.backbone in set(of_paper["backbone"])]
    for family in families:
        for scheme, (row, entries) in _schemes(family).items():
            rows[f"{family.backbone}, {scheme}, {dataset}"] = [row]
            names = " + ".join(f"`{name}`" for name in entries)
            made_of.append(f"- {family.backbone}, {scheme}: {names}, {record_cells(row)[0]}")
    listed = of_paper["backbone"].isin([family.backbone for family in families])
    own = of_paper[listed].drop(columns="dataset")
    own.attrs = table.attrs | {"caption": dataset}
    compared = compare_with_paper(rows, own, measured=_conditions(dataset))
    lists = {
        "Ours are:": made_of or ["- not run"],
        "Behind the paper are:": distance_lines(compared),
        "What the schemes gain over the same network's Original, in points:": gain_lines(compared),
        "Highest Score on these images, looked up afterwards:": highest_lines(dataset),
    }
    parts = [f"## {dataset}\n", render_table(compared, "markdown")]
    for head, lines in lists.items():
        parts += [f"{head}\n", *lines, ""]
    return "\n".join(parts)


def _schemes(family: Family) -> dict[str, tuple[Row, tuple[str, ...]]]:
    """The family's rows of the paper's table that have been measured, and of which entries."""
    found: dict[str, tuple[Row, tuple[str, ...]]] = {}
    if family.original and (record := read_record(family.original)):
        found["Original"] = record["test"][0], (family.original,)
    if record := read_record(family.light):
        found["LW-FEST"] = record["test"][1], (family.light,)
    if fused := fused_record(family):
        _check_fresh(fused)
        _check_images(fused)
        found["FEST"] = fused["test"][1], tuple(fused["scales"])
    return found


def _conditions(dataset: str) -> str:
    """Splits, protocol and seed of a dataset's entries, each kind once."""
    named = [read_record(e.name) for e in ENTRIES.values() if e.config.dataset == dataset]
    records = [record for record in named if record]
    said = {
        f"{r['trained_on']} training images (split {r['train_split']}), {r['test'][0]['images']} "
        f"test images (split {r['test_split']}), protocol {r['protocol']!r}, seed {r['seed']}"
        for r in records
    }
    return "; ".join(sorted(said)) or "not run"


def _check_fresh(record: Record) -> None:
    """Refuse figures of other scales, or of weights that have been replaced since."""
    reason = outdated(record)
    if reason:
        raise InputError(
            f"{record['entry']} on {record['dataset']} was {reason}, which the shelf now holds; "
            f"measure it again: {record['command']}"
        )


def _check_images(fused: Record) -> None:
    """Refuse a FEST that was measured on other images than its scales."""
    for name in fused["scales"]:
        split = (read_record(name) or {}).get("test_split")
        if split != fused["test_split"]:
            raise InputError(
                f"{fused['entry']} was measured on other images of {fused['dataset']} (split "
                f"{fused['test_split']}) than {name} ({split}); measure it again: "
                f"{fused['command']}"
            )


def _every_entry() -> str:
    """Each entry, and each FEST of several, on the test images of its own dataset."""
    records = {name: read_record(name) for name in ENTRIES}
    several = [family for family in FAMILIES.values() if len(family.scales) > 1]
    records |= {family.name: fused_record(family) for family in several}
    rows = []
    for name, record in records.items():
        lines = _lines(record) if record else [["not run"] + [""] * (len(RECORD_HEAD) - 1)]
        rows += [[f"`{name}`", *line] for line in lines]
    table = markdown_table(["entry, or FEST", *RECORD_HEAD], rows, keys=2)
    return f"## Every entry and FEST, on its own dataset's test images\n\n{table}"


def _crossed() -> str:
    """What was measured on other test images than the entry's own, of sets it saw, and others."""
    seen: list[list[str]] = []
    foreign: list[list[str]] = []
    for path in sorted(weights_dir().glob("*/*.on-*.json")):
        record = read_named(path)
        _check_fresh(record)
        own = {ENTRIES[name].config.dataset for name in record["scales"]}
        trained_on = {member for dataset in own for member in dataset.split("+")}
        images = f"{record['dataset']} ({record['test'][0]['images']})"
        lines = [[f"`{record['entry']}`", images, *r] for r in _lines(record)]
        if record["dataset"] not in own:
            shared = images_of(trained_on) & images_of(record["dataset"].split("+"))
            (seen if shared else foreign).extend(lines)
    return "\n".join(
        [
            "## On other test images, of sets that share images with those the entry saw\n",
            _elsewhere(seen),
            "## On other datasets than the entry's own\n",
            _elsewhere(foreign),
        ]
    )


def _elsewhere(rows: list[list[str]]) -> str:
    empty = ["not run"] + [""] * (len(RECORD_HEAD[1:]) + 2)
    return markdown_table(
        ["entry", "test images", "thresholds", *RECORD_HEAD[1:]], rows or [empty], keys=3
    )


def _lines(record: Record) -> list[list[str]]:
    return [record_cells(row) for row in record["test"]]


def main() -> None:
    """Write the page, to the path given as first argument if there is one."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    try:
        write_text(path, results_page())
    except FestkitError as error:
        sys.exit(f"results_page: {error}")
    print(path)


if __name__ == "__main__":
    main()
