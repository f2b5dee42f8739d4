"""The paper's tables and figures: their names, the notebooks that make them, their numbers."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from ._names import find_name, plain

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
        if plain(name) in (plain(notebook), label, label.removeprefix("table")):
            return table
    return find_name("table", name, TABLES)


@cache
def paper_numbers() -> dict[str, Any]:
    """Every table that has rows by its name, each with ``label``, ``caption`` and ``rows``.

    Beside them ``source`` says whence the numbers are, and their units.

    Example:
        >>> paper_numbers()["th1"]["label"]
        'Table 4'
    """
    text = files("festkit").joinpath("paper_numbers.json").read_text(encoding="utf-8")
    numbers: dict[str, Any] = json.loads(text)
    return numbers
