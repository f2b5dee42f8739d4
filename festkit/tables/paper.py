"""The paper's tables, as it prints them: percent, Fa in 1e-6, two decimals.

They are named by what they hold, since the paper's two-column layout numbers some of them twice;
the numbers here count its tables from the first to the last.
"""

from typing import Any

import pandas as pd

from .._support.errors import InputError
from .._support.names import find_name, normalize_name
from ..backbones.paper import paper_numbers
from ..metrics import FA_LIMIT

TABLES = {
    "input_size": "table1_input_size",
    "losses": "table2_losses",
    "fusion": "table3_fusion",
    "th1": "table4_th1",
    "th2": "table5_th2",
    "backbones": "table6_backbones",
    "hyperparameters": "fig5_hyperparameters",
    "sensitivity": "fig7_sensitivity",
}
"""The notebook that makes each table or figure, by what it holds."""


def find_table(name: str) -> str:
    """The name of a table, from it, its notebook's or its number.

    Raises:
        ValueError: for an unknown name, with the known ones.

    Example:
        >>> find_table("table1_input_size"), find_table("6"), find_table("Fig7")
        ('input_size', 'backbones', 'sensitivity')
    """
    for table, notebook in TABLES.items():
        label = notebook.partition("_")[0]
        if normalize_name(name) in (normalize_name(notebook), label, label.removeprefix("table")):
            return table
    return find_name("table", name, TABLES)


METRICS = ("iou", "pd", "fa_e6", "score")
"""Columns of figures: IoU, Pd and Score in percent, Fa in 1e-6."""

ROUNDING = 0.011
"""How far a printed Score may lie from the mean of the printed IoU and Pd."""


def list_paper_tables() -> list[str]:
    """Names of the paper's tables, in order, and of the figure that has rows.

    Example:
        >>> list_paper_tables()[:3]
        ['input_size', 'losses', 'fusion']
    """
    return [name for name, entry in paper_numbers().items() if isinstance(entry, dict)]


def paper_table(name: str | int) -> pd.DataFrame:
    """One table of the paper, one row per printed row.

    Args:
        name: as ``find_table`` takes it: input_size, losses, fusion, th1, th2, backbones, or
            hyperparameters (Fig. 5, whose values the paper only draws); their numbers, 1 to 6; or
            their notebooks, such as "table4_th1".

    Returns:
        Columns that say what a row is (such as th1 and th2, or backbone, scheme and dataset), then
        ``iou``, ``pd`` and ``score`` in percent and ``fa_e6`` in 1e-6; NaN where the paper has a
        dash or is not known. The index names the rows, such as "th1 0.3, th2 0.1"; ``attrs`` hold
        ``name``, ``label``, ``caption`` and ``source``.

    Raises:
        ValueError: for an unknown name, listing the known ones and the nearest; for Fig. 7, which
            has no rows; or if the numbers contradict each other.

    Example:
        >>> table = paper_table("th1")
        >>> table.loc["th1 0.3", ["iou", "pd", "fa_e6", "score"]].tolist()
        [64.22, 80.29, 20.57, 72.26]
        >>> table.attrs["label"], paper_table(4).equals(table)
        ('Table 4', True)
    """
    found = find_table(str(name))
    if found not in list_paper_tables():
        raise InputError(
            f"the paper prints no numbers of {found} ({TABLES[found]}), it only draws them; "
            "pass th1 or th2 for those that it prints of the same maps"
        )
    return _table(found)


def key_columns(table: pd.DataFrame) -> list[str]:
    """The columns that say what a row is: all before the figures.

    Example:
        >>> key_columns(paper_table("th2"))
        ['th1', 'th2']
    """
    columns = [str(column) for column in table.columns]
    return columns[: columns.index(METRICS[0])]


def check_numbers(table: pd.DataFrame) -> None:
    """Refuse figures that contradict each other or are in other units.

    Raises:
        ValueError: if a Score is not (IoU + Pd) / 2 within the rounding of print, stands beside a
            Fa that makes it void, or a figure is no percentage or no multiple of 1e-6.

    Example:
        >>> check_numbers(paper_table("backbones"))
    """
    percent = table[["iou", "pd", "score"]]
    faults = {
        "IoU, Pd or Score is no percentage": ((percent < 1) | (percent > 100)).any(axis=1),
        "Fa is not in 1e-6": (table.fa_e6 < 0.01) | (table.fa_e6 > 1e6),
        "Score is not (IoU + Pd) / 2": (table.score - (table.iou + table.pd) / 2).abs() > ROUNDING,
        "Score is void at this Fa": table.score.notna() & (table.fa_e6 >= 1e6 * FA_LIMIT),
    }
    for fault, rows in faults.items():
        if rows.any():
            raise InputError(f"{table.attrs.get('name')}: {fault} in row {table.index[rows][0]!r}")


def _table(name: str) -> pd.DataFrame:
    entry = paper_numbers()[name]
    table = pd.DataFrame(entry["rows"])
    numbers = [c for c in table.columns if table[c].map(lambda v: not isinstance(v, str)).all()]
    table[numbers] = table[numbers].astype(float)
    table.index = pd.Index([_row_name(row) for row in _keys(table)], name="row")
    table.attrs = {"name": name, "label": entry["label"], "caption": entry["caption"]}
    table.attrs["source"] = paper_numbers()["source"].partition(";")[0]
    check_numbers(table)
    return table


def _keys(table: pd.DataFrame) -> list[dict[str, Any]]:
    return list(table[key_columns(table)].to_dict("records"))


def _row_name(key: dict[str, Any]) -> str:
    """Numbers by their name, words alone; what is empty is left out."""
    words = [
        value if isinstance(value, str) else f"{name} {value:g}"
        for name, value in key.items()
        if not pd.isna(value)
    ]
    return ", ".join(words)
