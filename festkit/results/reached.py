"""Where ours stay behind the paper's, and which are highest: sentences made of the records."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from .._entries import ENTRIES, FAMILIES, Family
from .._shelf import fused_record, read_record
from .paper import METRICS
from .readable import HEADS, with_interval

Row = Mapping[str, Any]


def distance_lines(compared: pd.DataFrame) -> list[str]:
    """One list item for every row of ours that is worse than the paper's in a figure.

    Args:
        compared: as :func:`festkit.results.compare_with_paper` returns it.
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
    for name in METRICS:
        ours, theirs = round(row[name], 2), round(row[f"{name}_paper"], 2)
        head = HEADS[name].partition(" ")[0]
        if (ours > theirs) if name == "fa_e6" else (ours < theirs):
            yield f"{head} {ours:.2f} against {theirs:.2f}"
        elif math.isnan(ours) and not math.isnan(theirs):
            yield f"{head} void against {theirs:.2f}"


def gain_lines(compared: pd.DataFrame) -> list[str]:
    """One list item for every row of ours beside the Original of the same backbone.

    Args:
        compared: as :func:`festkit.results.compare_with_paper` returns it.
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
    for name in METRICS:
        gain, papers = (row[n] - original[n] for n in (name, f"{name}_paper"))
        if not math.isnan(gain):
            paper = "void" if math.isnan(papers) else f"{papers:+.2f}"
            yield f"{HEADS[name].partition(' ')[0]} {gain:+.2f} (paper {paper})".replace("-", "−")


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
            f"- {family.backbone}: `{name}` {how}, Score {with_interval(valid[best], 'score', 100)}"
            f"; of {len(valid) - 1} others the intervals of {rivals} meet its own"
        )


def _score_interval(row: Row) -> tuple[float, float]:
    low, high = row["intervals"]["score"]
    return low, high
