"""The numbers that the FEST paper prints, as its tables hold them."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def paper_numbers() -> dict[str, Any]:
    """Every table that has rows by its name, each with ``label``, ``caption`` and ``rows``.

    Beside them ``source`` says whence the numbers are, and their units.

    Example:
        >>> paper_numbers()["th1"]["label"]
        'Table 4'
    """
    text = files("festkit.backbones").joinpath("paper_numbers.json").read_text(encoding="utf-8")
    numbers: dict[str, Any] = json.loads(text)
    return numbers
