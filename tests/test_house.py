"""The rules of the house: who may import whom, what is public, what stays light."""

import ast
import inspect
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import festkit

HOUSE = Path(festkit.__file__).parent
ROOT = HOUSE.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))

# A room imports only rooms above it. A folder is one room.
ROOMS = [
    "_support",
    "ops",
    "data",
    "scenes",
    "backbones",
    "classical",
    "losses",
    "fusion",
    "sensitivity",
    "metrics",
    "surface",
    "model",
    "weights",
    "training",
    "pretrained",
    "fest",
    "runtime",
    "inference",
    "jobs",
    "tables",
    "plots",
    "evaluation",
    "tuner",
    "zoo",
    "cli",
    "__main__",
]
ONLY_USER = {
    "papermill": "jobs",
    "matplotlib": "plots",
    "seaborn": "plots",
    "anywidget": "tuner",
    "ipywidgets": "tuner",
}
PUBLIC = [
    "Counts",
    "Detection",
    "EEDMLoss",
    "FEST",
    "FestkitError",
    "Job",
    "Run",
    "Target",
    "ThresholdSurface",
    "ThresholdTuner",
    "TrainConfig",
    "adjust_sensitivity",
    "backbone_card",
    "check_dataset",
    "confidence_intervals",
    "count",
    "create_backbone",
    "create_detector",
    "create_loss",
    "eedm_loss",
    "evaluate",
    "evaluate_predictions",
    "export",
    "fuse",
    "import_state_dict",
    "list_backbones",
    "list_datasets",
    "list_detectors",
    "load_dataset",
    "load_results",
    "load_weights",
    "make_synthetic_dataset",
    "notebook_setup",
    "open_maps",
    "open_model",
    "paper_table",
    "plan_jobs",
    "plot_history",
    "plot_roc",
    "plot_surface",
    "predict_images",
    "read_image",
    "resize_map",
    "roc",
    "run_jobs",
    "run_notebook",
    "save_weights",
    "show",
    "split_dataset",
    "summary_table",
    "threshold_surface",
    "tiled_maps",
    "train",
]


def room_of(path):
    """The room a file belongs to; None for festkit/__init__.py itself."""
    first = path.relative_to(HOUSE).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


def imported(path):
    """Dotted names of everything a file imports, at its top or inside a function."""
    package = ["festkit", *path.relative_to(HOUSE).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(HOUSE.rglob("*.py"))
FILE_IDS = [path.relative_to(HOUSE).as_posix() for path in FILES]


def test_every_room_has_its_place():
    assert {room for room in map(room_of, FILES) if room} == set(ROOMS)
    modules = {name.split(".")[0] for name in os.listdir(HOUSE) if name.startswith("_")}
    assert modules - {"__pycache__"} == {"__init__", "__main__", "_support"}


@pytest.mark.parametrize("path", FILES, ids=FILE_IDS)
def test_a_room_imports_only_rooms_above_it(path):
    room = room_of(path)
    allowed = ROOMS[: ROOMS.index(room) + 1] if room else ["_support"]
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("festkit.")}
    assert ours - {"__version__"} <= set(allowed)


@pytest.mark.parametrize("path", FILES, ids=FILE_IDS)
def test_only_one_room_knows_papermill_one_matplotlib_and_one_widgets(path):
    used = {name.partition(".")[0] for name in imported(path)}
    for package, room in ONLY_USER.items():
        assert package not in used or room_of(path) == room


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "HOUSE", tmp_path)
    file = tmp_path / "scenes" / "sky.py"
    file.parent.mkdir()
    file.write_text(
        "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\n"
        "def late():\n    from ..h import i\n    from .. import j\n"
    )
    assert imported(file) == {
        "a.b",
        "c.d",
        "festkit.scenes.e",
        "festkit.scenes.f.g",
        "festkit.h.i",
        "festkit.j",
    }


DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = [
    "app",
    "cluster",
    "video",
    "radiometric",
    "hub",
    "export",
]  # extras of users, whose packages the kit imports where it needs them
WHERE = {"festkit": OPTIONAL, "notebooks": [], "tests": ["*"], "docs": ["*"], "benchmarks": ["*"]}


def declared(extras):
    """Names of the packages that an installation with these extras asks for."""
    every = DECLARED["optional-dependencies"]
    lists = [every[name] for name in (every if extras == ["*"] else extras)]
    lines = itertools.chain(DECLARED["dependencies"], *lists)
    return {re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in lines}


distributions = cache(packages_distributions)
"""Distributions by package; looking them up takes a second."""


def packages_of(folder):
    """Names of the packages that files of a folder import by themselves."""
    cells = [
        "".join(cell["source"])
        for path in folder.glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    files = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    modules = {
        name.partition(".")[0]
        for node in itertools.chain.from_iterable(ast.walk(ast.parse(t)) for t in cells + files)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    known = distributions()
    found = {known[name][0] for name in modules - sys.stdlib_module_names if name in known}
    return {name.lower().replace("_", "-") for name in found} - {"festkit"}


@pytest.mark.parametrize("folder", WHERE)
def test_every_package_that_is_imported_is_declared(folder):
    found = packages_of(ROOT / folder)
    assert "numpy" in found
    assert found - declared(WHERE[folder]) == set()


def test_every_package_that_is_declared_is_pinned():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    assert declared(["*"]) - pinned == set()


def test_the_drawing_of_imports_is_of_these_rooms():
    spec = spec_from_file_location("imports", ROOT / "docs" / "imports.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [*module.ROOMS, "__main__"] == ROOMS
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", page, re.MULTILINE)
    assert told == module.ROOMS
    for file in re.findall(r"`((?:\w+/)*\w+\.py)`", page.partition("## Where to change what")[2]):
        assert (HOUSE / file).is_file(), file


def test_import_is_light():
    code = "import festkit, sys; dir(festkit); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert "festkit" in loaded
    assert not loaded & {"torch", "matplotlib", "numpy", "cv2", "pandas", "papermill", "anywidget"}


def test_public_names_change_only_on_purpose():
    assert sorted(festkit.__all__) == sorted(PUBLIC)
    assert sorted(dir(festkit)) == sorted(PUBLIC)
    assert len(PUBLIC) <= 53


USER = """\
import numpy as np

import festkit as fk

try:
    found = fk.adjust_sensitivity(np.zeros((8, 8), np.float32), th1=0.5, th2=0.1)
    fest = fk.FEST.load("fest.safetensors")
    counts = fest.evaluate(fk.load_dataset("sky", "test"))
except fk.FestkitError as error:
    print(error)
reveal_type((found, fest, counts))
fk.TrainConfig("sky", size="256")
fk.create_backbone(3)
"""


@pytest.mark.slow
def test_a_type_checker_sees_real_types(tmp_path):
    """Run as a user does; what ``make lint`` has found out about torch is taken over."""
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(tmp_path / "user.py")],
        cwd=ROOT, env=os.environ | {"MYPYPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    told = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    kinds = "festkit.sensitivity.Detection, festkit.fest.FEST, festkit.metrics.counts.Counts"
    assert told[:3] == [
        f'note: Revealed type is "tuple[{kinds}]"',
        'error: Argument "size" to "TrainConfig" has incompatible type "str"; '
        'expected "int"  [arg-type]',
        'error: Argument 1 to "create_backbone" has incompatible type "int"; '
        'expected "str"  [arg-type]',
    ], done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("Found 2 errors in 1 file")


def test_the_version_of_the_citation_is_that_of_the_kit():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {festkit.__version__}" in lines


def test_a_former_name_says_what_it_is_now():
    with pytest.warns(FutureWarning, match=r"festkit\.open_fest is now festkit\.open_model"):
        assert festkit.open_fest is festkit.open_model


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'festkit' has no attribute 'nothing'"):
        festkit.nothing  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_documented_with_an_example(name):
    value = getattr(festkit, name)
    text = inspect.getdoc(value)
    assert text, f"{name} has no docstring"
    assert "Example:\n    >>> " in text, f"the docstring of {name} has no Example"
    if inspect.isclass(value):
        own = vars(value).get("__doc__")
        assert own, f"{name} inherits its docstring"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_lives_in_it(room):
    assert import_module(f"festkit.{room}").__doc__


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_hold_no_outputs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_every_link_of_the_pages_leads_somewhere():
    made = ROOT / "docs" / "_build", ROOT / "docs" / "reference" / "api"
    pages = [*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("docs/**/*.md")]
    pages = [page for page in pages if not any(page.is_relative_to(each) for each in made)]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert links
    assert [
        f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()
    ] == []
