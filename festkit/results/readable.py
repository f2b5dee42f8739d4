"""Tables as the strings that are printed: two decimals, "–" for nothing, "not run"."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pandas as pd

from .paper import METRICS, key_columns

HEADS = {
    "iou": "IoU [%]",
    "niou": "nIoU [%]",
    "pd": "Pd [%]",
    "fa_e6": "Fa [10⁻⁶]",
    "score": "Score [%]",
}
"""What a figure is called in the heads of tables and on the axes of pictures."""

NONE, NOT_RUN = "–", "not run"


def with_interval(row: Mapping[str, Any], name: str, scale: float) -> str:
    """A ratio of a record and its interval, times ``scale``; "–" for none or a void Score.

    Example:
        >>> with_interval({"pd": 0.5, "intervals": {"pd": (0.25, 1.0)}}, "pd", 100)
        '50.00 [25.00, 100.00]'
    """
    if pd.isna(row[name]) or (name == "score" and not row["valid"]):
        return NONE
    ends = (row.get("intervals") or {}).get(name)
    known = f" [{scale * ends[0]:.2f}, {scale * ends[1]:.2f}]" if ends else ""
    return f"{scale * row[name]:.2f}{known}"


def with_spread(mean: float, sd: float, sign: str = "") -> str:
    """A mean and its standard deviation over seeds; "–" for none, alone where there is one seed.

    Example:
        >>> with_spread(64.25, 1.5), with_spread(64.25, float("nan"))
        ('64.25 ± 1.50', '64.25')
    """
    return NONE if pd.isna(mean) else f"{mean:{sign}.2f}" + ("" if pd.isna(sd) else f" ± {sd:.2f}")


def readable_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table as the strings that are printed: two decimals, "–" for nothing, "not run".

    Args:
        table: of :func:`paper_table` or :func:`compare_with_paper`; columns that say what a row is
            may have been added in front.

    Returns:
        Strings; where ours stand beside the paper's, columns in two levels, of ours alone where the
        paper has no figure at all. Of several seeds ours is mean ± standard deviation.

    Example:
        >>> from festkit.results import paper_table
        >>> readable_table(paper_table("th1")).loc["th1 0.05"].tolist()
        ['0.05', '35.15', '87.72', '138.46', '–']
    """
    compared = "seeds" in table.columns
    paper = compared and table[[f"{name}_paper" for name in METRICS]].notna().any(axis=None)
    columns: dict[Any, list[str]] = {}
    for key in key_columns(table):
        columns["", key] = [_key(value) for value in table[key]]
    for name in METRICS:
        head = HEADS[name]
        if compared:
            columns[head, "ours"] = [_ours(row, name) for _, row in table.iterrows()]
        if paper:
            columns[head, "paper"] = [_number(value) for value in table[f"{name}_paper"]]
            columns[head, "diff."] = [_signed(value) for value in table[f"{name}_difference"]]
        if not compared:
            columns["", head] = [_number(value) for value in table[name]]
    if compared:
        columns["", "seeds"] = [str(seeds or NONE) for seeds in table["seeds"]]
    frame = pd.DataFrame(columns, index=table.index)
    frame.columns = frame.columns if compared else frame.columns.get_level_values(1)
    frame.attrs = dict(table.attrs)
    return frame


def caption_of(frame: pd.DataFrame) -> str:
    """Number and caption in one sentence; empty for a table without.

    Example:
        >>> from festkit.results import paper_table
        >>> caption_of(paper_table("input_size"))
        'Table 1. Input size: MSDA-Net, EEDM loss, W-IRSTD'
    """
    label = f"{frame.attrs['label']}." if "label" in frame.attrs else ""
    return " ".join(filter(None, [label, frame.attrs.get("caption", "")]))


def heads_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Upper and lower head of every column; the upper one is empty where there is one level.

    Example:
        >>> heads_of(pd.DataFrame(columns=["th1"]))
        [('', 'th1')]
    """
    two = frame.columns.nlevels > 1
    return [tuple(column) if two else ("", column) for column in frame.columns]


def groups_of(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Upper heads and how many columns each spans.

    Example:
        >>> columns = pd.MultiIndex.from_product([["IoU"], ["ours", "paper"]])
        >>> groups_of(pd.DataFrame(columns=columns))
        [('IoU', 2)]
    """
    return [(group, len(list(run))) for group, run in groupby(head for head, _ in heads_of(frame))]


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    return NONE if pd.isna(value) else f"{value:g}"


def _number(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:.2f}"


def _signed(value: float) -> str:
    """With its sign, which a zero has only as "+0.00"."""
    return NONE if pd.isna(value) else f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def _ours(row: pd.Series, name: str) -> str:
    if not row["seeds"]:
        return NOT_RUN
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
    return with_spread(row[name], row[f"{name}_sd"]) + interval
