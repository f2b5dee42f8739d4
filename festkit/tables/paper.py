"""The paper's tables, as it prints them: percent, Fa in 1e-6, two decimals.

Tables are named by their subject, since the paper uses some numbers twice.
"""

from typing import Any

import pandas as pd

from .._support.errors import InputError
from ..backbones.paper import paper_numbers
from ..metrics import METRICS
from .specs import find_table

_NAMES = {"iou": "iou", "pd": "pd", "fa_e6": "fa", "score": "score"}

COLUMNS = {column: METRICS[name] for column, name in _NAMES.items()}
"""Columns of numbers: IoU, Pd and Score in percent, Fa in 1e-6."""


def list_paper_tables() -> list[str]:
    """Names of the paper's tables in order, then of the figure with rows (Fig. 5).

    Example:
        >>> list_paper_tables()[:3]
        ['input_size', 'losses', 'fusion']
    """
    return [name for name, entry in paper_numbers().items() if isinstance(entry, dict)]


def paper_table(name: str | int) -> pd.DataFrame:
    """One table of the paper, one row per printed row.

    Args:
        name: input_size, losses, fusion, th1, th2, backbones, or hyperparameters (Fig. 5, whose
            values the paper only draws); a number, 1 to 6; or a notebook, such as "table4_th1".

    Returns:
        Columns that identify a row (such as th1 and th2, or backbone, scheme and dataset), then
        ``iou``, ``pd`` and ``score`` in percent and ``fa_e6`` in 1e-6; NaN where the paper has a
        dash or is not known. The index names the rows, such as "th1 0.3, th2 0.1"; ``attrs`` hold
        ``name``, ``label``, ``caption`` and ``source``.

    Raises:
        ValueError: for an unknown name, listing the known ones and the nearest; or for Fig. 7,
            which has no rows.

    Example:
        >>> table = paper_table("th1")
        >>> table.loc["th1 0.3", ["iou", "pd", "fa_e6", "score"]].tolist()
        [64.22, 80.29, 20.57, 72.26]
        >>> table.attrs["label"], paper_table(4).equals(table)
        ('Table 4', True)
    """
    spec = find_table(str(name))
    if spec.name not in list_paper_tables():
        raise InputError(
            f"the paper prints no numbers for {spec.name} ({spec.notebook}); pass th1 or th2, "
            "which are tables of the same maps"
        )
    return _table(spec.name)


def key_columns(table: pd.DataFrame) -> list[str]:
    """The columns before the metrics, which identify a row.

    Example:
        >>> key_columns(paper_table("th2"))
        ['th1', 'th2']
    """
    columns = [str(column) for column in table.columns]
    return columns[: columns.index("iou")]


def _table(name: str) -> pd.DataFrame:
    """A table with its rows named, numbers as floats."""
    entry = paper_numbers()[name]
    table = pd.DataFrame(entry["rows"])
    numbers = [c for c in table.columns if table[c].map(lambda v: not isinstance(v, str)).all()]
    table[numbers] = table[numbers].astype(float)
    rows = table[key_columns(table)].to_dict("records")
    table.index = pd.Index(map(_row_name, rows), name="row")
    table.attrs = {"name": name, "label": entry["label"], "caption": entry["caption"]}
    table.attrs["source"] = paper_numbers()["source"].partition(";")[0]
    return table


def _row_name(key: dict[str, Any]) -> str:
    """Numbers with their column's name, words as they are; empty cells are left out."""
    filled = {name: value for name, value in key.items() if not pd.isna(value)}
    words = [v if isinstance(v, str) else f"{name} {v:g}" for name, v in filled.items()]
    return ", ".join(words)
