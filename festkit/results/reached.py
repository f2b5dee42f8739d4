"""Where ours stay behind the paper's, and which of ours to take: sentences made of the records."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from .._entries import ENTRIES, FAMILIES, Family
from .._shelf import read_record
from .paper import METRICS
from .readable import HEADS

Row = Mapping[str, Any]

LIMITS = """\
## What limits these figures

Training is short of the paper's: fewer epochs, one seed, and 256 px beside 512 px where the paper fuses 512 and 768. On NUAA-SIRST ACM at 256 px is by far the weaker of its two scales, and fusing averages the maps: the FEST loses in IoU to 512 px alone, where the paper's second scale adds to the first.

False alarms are those of few images: half or more of the FEST's false pixels lie in three test images, hence the wide intervals of Fa. AS brings back missed targets and pays for them in false pixels; at 256 px it does so also for BCE, some of whose misses above 0.5 it finds.
"""  # noqa: E501 - a paragraph is one line


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
        if (ours > theirs) if name == "fa_e6" else (ours < theirs):
            yield f"{HEADS[name].partition(' ')[0]} {ours:.2f} against {theirs:.2f}"


def advice_lines(dataset: str) -> list[str]:
    """List items: of each FEST its Score beside its scales' alone, and which to take."""
    families = [f for f in FAMILIES.values() if f.dataset == dataset and len(f.scales) > 1]
    return [line for family in families for line in _advice(family)] or ["- not run"]


def _advice(family: Family) -> Iterator[str]:
    """The best Score with AS of a FEST and of every entry on its dataset with the same backbone."""
    fused = read_record(family.name, family.dataset)
    if fused is None:
        return
    dataset = ENTRIES[family.scales[0]].config.dataset
    found = {family.name: fused["test"][1]}
    for entry in ENTRIES.values():
        same = (entry.config.dataset, entry.config.backbone) == (dataset, family.backbone)
        if same and (record := read_record(entry.name)):
            found[entry.name] = record["test"][1]
    valid = {name: row["score"] for name, row in found.items() if row["valid"]}
    if valid:
        scores = ", ".join(f"`{name}` {100 * score:.2f}" for name, score in valid.items())
        best = max(valid, key=lambda name: valid[name])
        yield f"- {family.backbone}, Score with AS: {scores}. Take {_call(best, family)}."


def _call(name: str, family: Family) -> str:
    if name == family.name:
        return f'`FEST.from_pretrained("{family.backbone}", "{family.dataset}")`'
    return f'`FEST.from_weights(["weights/{name}.safetensors"])`'
