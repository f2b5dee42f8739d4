"""Where ours stay behind the paper's, and which of ours to take: sentences made of the records."""

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


def advice_lines(dataset: str) -> list[str]:
    """List items: of each FEST its Score beside its scales' alone, and which is highest."""
    families = [f for f in FAMILIES.values() if f.dataset == dataset and len(f.scales) > 1]
    return [line for family in families for line in _advice(family)] or ["- not run"]


def _advice(family: Family) -> Iterator[str]:
    """The Scores with AS of a FEST and of every entry on its dataset with the same backbone."""
    fused = fused_record(family)
    if fused is None:
        return
    dataset = ENTRIES[family.scales[0]].config.dataset
    found = {family.name: fused["test"][1]}
    for entry in ENTRIES.values():
        same = (entry.config.dataset, entry.config.backbone) == (dataset, family.backbone)
        if same and (record := read_record(entry.name)):
            found[entry.name] = record["test"][1]
    valid = {name: row for name, row in found.items() if row["valid"]}
    if valid:
        scores = (f"`{name}` {with_interval(row, 'score', 100)}" for name, row in valid.items())
        best = max(valid, key=lambda name: valid[name]["score"])
        yield f"- {family.backbone}, Score with AS: {', '.join(scores)}. {_choice(best, valid)}"


def _choice(best: str, valid: Mapping[str, Row]) -> str:
    """Which to take, and from which it cannot be told apart."""
    low = _score_interval(valid[best])[0]
    rivals = [n for n, row in valid.items() if n != best and _score_interval(row)[1] >= low]
    apart = f"; the intervals of {_listed(rivals)} meet its own" if rivals else ""
    return f'Highest: `fk.open_fest("{best}")`{apart}.'


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _score_interval(row: Row) -> tuple[float, float]:
    low, high = row["intervals"]["score"]
    return low, high
