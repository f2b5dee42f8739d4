import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from smallbooks import notebook

from festkit.jobs import notebook_setup
from festkit.jobs.execute import run_notebook
from festkit.jobs.parameters import (
    NOTEBOOKS,
    check_parameters,
    find_notebook,
    read_assigned,
    read_notebook,
    write_parametrised,
)

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
    with pytest.raises(ValueError, match=r"parameter run of book\.ipynb is .*a JSON value"):
        check_parameters(book, {"run": value})


def test_the_kits_own_notebooks_are_read():
    quickstart = read_notebook(find_notebook("00_quickstart")).parameters
    assert quickstart["sizes"].default == [256, 384]
    assert quickstart["data_root"].kinds == ("str", "None")
    kinds = read_notebook(find_notebook("04_threshold_tuner")).parameters["run"].kinds
    assert kinds == ("str", "list", "None")


def test_a_notebook_without_parameters(tmp_path):
    book = notebook(tmp_path, parameters="")
    assert read_notebook(book).parameters == {}
    with pytest.raises(ValueError, match=r"unknown parameter of book\.ipynb 'n'"):
        check_parameters(book, {"n": 1})


class TestAnnotations:
    @pytest.mark.parametrize(
        ("line", "kinds"),
        [
            ("a: str | None = None", ("str", "None")),
            ("a: Optional[int] = None", ("int", "None")),
            ("a: Union[int, list[str], None] = 1", ("int", "list", "None")),
            ("a: 'float | None' = None", ("float", "None")),
            ("a: Literal['x', 'y'] | None = None", ("'x'", "'y'", "None")),
            ("a: str | Path = 'x'", ()),
            ("a: Optional[Path] = None", ()),
        ],
    )
    def test_every_spelling_of_a_union(self, line, kinds):
        (parameter,) = read_assigned(line)
        assert parameter.kinds == kinds


def said(**space):
    """What a notebook's first cell is told of these values."""
    with pytest.raises(ValueError, match="parameter") as refused:
        notebook_setup({"In": ["", CELL], **DEFAULTS, **space})
    return str(refused.value)


DEFAULTS = {parameter.name: parameter.default for parameter in read_assigned(CELL)}
ANNOTATED = {each.name: each.default for each in read_assigned(CELL) if each.annotated}


class TestInTheNotebook:
    def test_what_its_cell_says_is_accepted(self):
        given = {"rate": 1, "fast": True, "kept": None, "profile": "quick"}
        assert notebook_setup({"In": ["", CELL], **DEFAULTS, **given}) == ANNOTATED | given

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("fast", "false", False),
            ("epochs", "4", 4),
            ("rate", "1e-2", 0.01),
            ("kept", "null", None),
            ("sizes", "[7700, 9200]", [7700, 9200]),
            ("options", '{"epochs": 3}', {"epochs": 3}),
            ("pair", '["a", "b"]', ["a", "b"]),
            ("name", "[a]", "[a]"),
            ("root", "7", "7"),
        ],
    )
    def test_text_of_another_type_is_read(self, name, text, value):
        space = {"In": ["", CELL], **DEFAULTS, name: text}
        assert notebook_setup(space)[name] == value
        assert space[name] == value
        assert type(space[name]) is type(value)

    def test_a_list_is_read_where_text_is_accepted_too(self):
        levels = {"In": ["levels: str | list | None = 'auto'"], "levels": "[7700,9200]"}
        assert notebook_setup(levels) == {"levels": [7700, 9200]}

    @pytest.mark.parametrize(("profile", "times"), [("smoke", 1), ("quick", 0)])
    def test_a_smoke_run_says_so_in_large_type(self, profile, times, monkeypatch):
        shown = []
        monkeypatch.setattr("IPython.display.display", shown.append)
        notebook_setup({"In": ["", CELL], **DEFAULTS, "profile": profile})
        assert len(shown) == times
        assert all("Smoke run: not a result" in each.data for each in shown)

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("fast", "no", "is 'no' (str), expected bool; with papermill, use: "
             "-y 'fast: false'"),
            ("rate", "0,4", "is '0,4' (str), expected float; with papermill, use: "
             "-y 'rate: 0.01'"),
            ("root", 2024, "is 2024 (int), expected str or None; with papermill, pass text "
             "with: -r root 2024"),
            ("sizes", "[1, b]", "is '[1, b]' (str), expected list; with papermill, use: "
             "-y 'sizes: [a, b]'"),
            ("profile", "smok", "is 'smok' (str), expected 'smoke' or 'quick'"),
        ],
    )  # fmt: skip
    def test_another_type_is_told_with_the_way_to_give_it(self, name, value, expected):
        assert said(**{name: value}) == f"parameter {name} {expected}"

    def test_the_types_are_those_of_the_cell_as_it_was_run_last(self):
        cells = ["", "a: int = 1", "a: str = 'x'", "!ls", "notebook_setup(globals())"]
        assert notebook_setup({"In": cells, "a": "y"}) == {"a": "y"}

    def test_a_name_that_no_cell_sets_is_refused(self):
        cells = ["", CELL, "# Parameters\nfats = True\n"]
        with pytest.raises(ValueError, match=r"unknown parameter of the notebook 'fats'.*'fast'"):
            notebook_setup({"In": cells, **DEFAULTS, "fats": True})

    def test_a_variable_of_the_readers_own_is_not(self):
        space = {"In": ["", CELL, "mine = 3"], **DEFAULTS, "mine": 3}
        assert notebook_setup(space) == ANNOTATED

    @pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
    def test_each_of_the_kits_notebooks_checks_in_its_first_cell(self, path):
        parameters, first, *_ = read_notebook(path).code
        assert "fk.notebook_setup(globals())" in first
        for parameter in read_assigned(parameters):
            assert parameter.annotated
            assert parameter.kinds
            assert parameter.accepts(parameter.default)

    @pytest.mark.system
    def test_under_papermills_own_command(self, tmp_path):
        book = notebook(
            tmp_path,
            "import festkit as fk\nfk.notebook_setup(globals())",
            "print(weak)",
            parameters="weak: bool = True\nimages: str | None = None",
        )
        words = [sys.executable, "-m", "papermill", book, tmp_path / "out.ipynb"]

        def ran(*more):
            return subprocess.run([*words, *more], capture_output=True, text=True, check=False)

        assert ran("-y", "weak: false", "-r", "images", "2024").returncode == 0
        assert ran("-p", "weak", "false").returncode == 0
        failed = ran("-p", "weak", "no")
        assert failed.returncode == 1
        assert failed.stderr.strip().endswith(
            "InputError: parameter weak is 'no' (str), expected bool; with papermill, use: "
            "-y 'weak: false'"
        )
