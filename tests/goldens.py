"""The stored worked examples, and how their compact maps are read."""

import json
from pathlib import Path

import numpy as np
import pytest

FIGURES = Path(__file__).parent / "figures"
GOLDENS = json.loads((FIGURES / "as_eedm_goldens.json").read_text(encoding="utf-8"))


def each_case(section):
    """Run a test once for every case of a section, as its argument ``case``."""
    return pytest.mark.parametrize("case", GOLDENS[section], ids=lambda case: case["name"])


def dense(sparse):
    """(H, W) float32 map of a shape, a fill value and [y, x, value] triples."""
    values = np.full(sparse["shape"], sparse["fill"], np.float32)
    for y, x, value in sparse["px"]:
        values[y, x] = value
    return values


def bits(rows):
    """Bool mask of rows of 0 and 1; nested lists of rows give a batch."""
    if isinstance(rows[0], str):
        return np.array([[letter == "1" for letter in row] for row in rows])
    return np.stack([bits(image) for image in rows])
