"""The results in the tables of the FEST paper."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def paper_numbers() -> dict[str, Any]:
    """The tables by name, each with ``label``, ``caption`` and ``rows``.

    ``source`` gives the source and the units of the numbers.

    Example:
        >>> paper_numbers()["th1"]["label"]
        'Table 4'
    """
    text = files("festkit.backbones").joinpath("paper_numbers.json").read_text(encoding="utf-8")
    numbers: dict[str, Any] = json.loads(text)
    return numbers
