from pathlib import Path

import numpy as np
import pytest
from smallbooks import notebook

from festkit.jobs import find_notebook, run_notebook, write_parametrised
from festkit.jobs.parameters import check_parameters, read_parameters

CELL = """
import math
epochs: int = 3  # passes
rate: float = 0.1
fast: bool = False
name: str = "a"
root: str = None
sizes: list = [256]
pair: list[int] = [1, 2]
options: dict = {}
either: int | str = 1
kept: int | None = 1
profile: Literal["smoke", "quick"] = "smoke"
run = None
seed = 0
where = Path(".")
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return notebook(tmp_path_factory.mktemp("book"), parameters=CELL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 4),
        ("rate", 1),
        ("rate", 1.5),
        ("fast", True),
        ("name", "b"),
        ("root", None),
        ("root", "data"),
        ("sizes", []),
        ("pair", [3]),
        ("options", {"a": [1, None]}),
        ("either", "x"),
        ("either", 2),
        ("kept", None),
        ("profile", "quick"),
        ("run", None),
        ("run", ["a", "b"]),
        ("seed", 7),
        ("where", "there"),
    ],
)
def test_it_is_accepted_as_it_is(book, name, value):
    assert check_parameters(book, {name: value}) == {name: value}


def test_a_tuple_becomes_a_list(book):
    assert check_parameters(book, {"sizes": (1, 2)}) == {"sizes": [1, 2]}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", "4", "int"),
        ("epochs", 4.0, "int"),
        ("epochs", True, "int"),
        ("epochs", None, "int"),
        ("epochs", np.int64(4), "int"),
        ("rate", "0.1", "float"),
        ("rate", True, "float"),
        ("fast", 1, "bool"),
        ("name", Path("a"), "str"),
        ("root", 3, "str or None"),
        ("sizes", 256, "list"),
        ("pair", "12", "list"),
        ("options", [], "dict"),
        ("either", 1.5, "int or str"),
        ("kept", "1", "int or None"),
        ("profile", "smok", "'smoke' or 'quick'"),
        ("seed", "0", "int"),
    ],
)
def test_another_type_is_refused_before_anything_starts(book, tmp_path, name, value, expected):
    with pytest.raises(ValueError, match=f"parameter {name} of book.ipynb is ") as refused:
        run_notebook(book, {name: value}, tmp_path / "out")
    assert str(refused.value).endswith(f" ({type(value).__name__}), expected {expected}")
    assert repr(value) in str(refused.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=f"expected {expected}$"):
        write_parametrised(book, {name: value}, tmp_path / "copy.ipynb")


@pytest.mark.parametrize("value", [Path("a"), float("nan"), {1, 2}, [float("inf")]])
def test_what_a_cell_cannot_hold_is_refused(book, value):
    with pytest.raises(ValueError, match=r"parameter run of book\.ipynb is .*a plain value"):
        check_parameters(book, {"run": value})


def test_the_kits_own_notebooks_are_read():
    quickstart = read_parameters(find_notebook("00_quickstart"))
    assert quickstart["sizes"].default == [256, 384]
    assert quickstart["data_root"].kinds == ("str", "None")
    assert read_parameters(find_notebook("04_threshold_tuner"))["run"].kinds == ()


def test_a_notebook_without_parameters(tmp_path):
    book = notebook(tmp_path, parameters="")
    assert read_parameters(book) == {}
    with pytest.raises(ValueError, match=r"unknown parameter of book\.ipynb 'n'"):
        check_parameters(book, {"n": 1})
