"""The reference pages of the site, made from the code: public names, commands, notebooks."""

import contextlib
import inspect
import io
import os
import re
from importlib import import_module
from pathlib import Path
from unittest import mock

import nbformat

import festkit as fk
from festkit.cli.main import COMMANDS, main
from festkit.jobs import NOTEBOOKS

ROOMS = {
    "fest": "The framework",
    "data": "Datasets",
    "scenes": "Synthetic scenes",
    "backbones": "Backbones",
    "classical": "Training-free detectors",
    "losses": "Losses",
    "training": "Training",
    "fusion": "Fusion",
    "sensitivity": "Adjustable sensitivity",
    "metrics": "Metrics",
    "surface": "Threshold surfaces, ROC",
    "weights": "Weights",
    "runtime": "Export and runtimes",
    "inference": "Inference",
    "jobs": "Jobs",
    "tables": "Tables of the paper",
    "plots": "Figures",
    "tuner": "The threshold tuner",
}
"""Rooms with public names, in the order of a workflow."""

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def write(folder: Path) -> None:
    """Write all pages into a folder."""
    (folder / "api").mkdir(parents=True, exist_ok=True)
    for room, title in ROOMS.items():
        (folder / "api" / f"{room}.md").write_text(room_page(room, title), encoding="utf-8")
    (folder / "cli.md").write_text(command_page(), encoding="utf-8")
    (folder / "notebooks.md").write_text(notebook_page(), encoding="utf-8")


def room_page(room: str, title: str) -> str:
    """The public functions and classes of a room, those of the top level under their short name."""
    module = import_module(f"festkit.{room}")
    top = set(dir(fk))
    names = {name: getattr(module, name) for name in public_names(module)}
    lines = [f"# {title}", "", inspect.getdoc(module) or "", ""]
    for name, value in sorted(names.items(), key=lambda item: (item[0] not in top, item[0])):
        path = name if name in top else f"{room}.{name}"
        kind = "autoclass" if inspect.isclass(value) else "autofunction"
        lines += [f"## fk.{path}", "", "```{eval-rst}", f".. {kind}:: festkit.{path}"]
        lines += ["   :members:", ""] if kind == "autoclass" else []
        lines += ["```", ""]
    return "\n".join(lines)


def public_names(module: object) -> list[str]:
    """Names of the functions and classes that a room defines and shows."""
    name = module.__name__
    shown = getattr(module, "__all__", None) or [each for each in dir(module) if each[0] != "_"]
    values = {each: getattr(module, each) for each in shown}
    return [
        each
        for each, value in values.items()
        if (inspect.isclass(value) or inspect.isroutine(value))
        and value.__module__.startswith(name)
        and value.__doc__
    ]


def command_page() -> str:
    """The help of every command, as the parser prints it."""
    lines = ["# Command line", "", "`festkit COMMAND`, or `python -m festkit COMMAND`.", ""]
    lines += ["```text", help_of([]), "```", ""]
    for name in COMMANDS:
        lines += [f"## festkit {name}", "", "```text", help_of(name.split()), "```", ""]
    return "\n".join(lines)


def help_of(words: list[str]) -> str:
    """What ``festkit WORDS --help`` prints."""
    printed = io.StringIO()
    columns = mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"})
    with columns, contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return ANSI.sub("", printed.getvalue()).strip()


def notebook_page() -> str:
    """The parameters of every notebook, as its first cell sets them."""
    lines = ["# Notebook parameters", ""]
    lines += [
        "Papermill sets them: `-p NAME VALUE` for numbers, `-r NAME TEXT` for text that looks like",
        "a number, `-y 'NAME: [a, b]'` for lists and other values.",
        "",
    ]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        parameters = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
        lines += [f"## {path.stem}", "", "```python", parameters.source, "```", ""]
    return "\n".join(lines)
