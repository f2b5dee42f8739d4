"""What a job's figures come from: the kit's version and code, the notebook, the images."""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .. import _ROOM_OF, __version__
from .parameters import code_cells

HOUSE = Path(__file__).resolve().parents[1]

NO_FIGURES = (
    "_check", "_errors", "_progress", "_report", "plots", "results/latex", "results/page",
    "results/printing", "results/readable", "tuner",
)  # fmt: skip
"""Rooms, and files of rooms, that draw, report or print; no figure depends on them."""

UNKNOWN = "its record does not say what it was made from"
"""What is said of jobs of early versions."""

SAID = {
    "festkit": "festkit was {old}, now is {new}",
    "notebook": "the code of its notebook has changed",
    "rooms": "the code of {names} has changed",
    "images": "the images of its dataset have changed",
    "needs": "what it needs has changed",
}
"""What is said of each part that differs."""


def origin_of(
    notebook: Path, dataset: str | None, root: str | None, needs: list[str]
) -> dict[str, Any]:
    """What the figures of a notebook come from, besides its parameters.

    Args:
        notebook: its file.
        dataset: name or folder of its images; None where another job makes them.
        root: folder of the datasets.
        needs: keys of the jobs whose outputs it takes.

    Returns:
        ``festkit``, its version; ``notebook``, a hash of its code; ``rooms``, a hash of the code of
        each part of the kit that it uses; ``images``, their fingerprint, None if they are not
        there; ``needs``.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> origin = origin_of(find_notebook("00_quickstart"), None, None, [])
        >>> "training" in origin["rooms"], "plots" in origin["rooms"]
        (True, False)
    """
    code = code_cells(notebook)
    return {
        "festkit": __version__,
        "notebook": _hash(*code),
        "rooms": {room: _room(room)[0] for room in sorted(_rooms_behind("\n".join(code)))},
        "images": None if dataset is None else _fingerprint(dataset, root),
        "needs": sorted(needs),
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How what figures came from differs from what they would come from now, in words.

    Images that are not there now, or were not then, are not compared. Records of early
    versions hold nothing.

    Example:
        >>> old = {"festkit": "0.1.0", "images": "a1", "rooms": {"fusion": "b2", "losses": "c3"}}
        >>> differences(old, {"festkit": "0.2.0", "images": None, "rooms": {"fusion": "b4"}})
        ['festkit was 0.1.0, now is 0.2.0', 'the code of fusion, losses has changed']
    """
    if not old:
        return [UNKNOWN]
    parts = [name for name in SAID if old.get(name) != new.get(name)]
    rooms = [dict(each.get("rooms", {}).items()) for each in (old, new)]
    names = sorted({name for name, _ in rooms[0].items() ^ rooms[1].items()})
    return [
        SAID[name].format(old=old.get(name), new=new.get(name), names=", ".join(names))
        for name in parts
        if name != "images" or None not in (old.get(name), new.get(name))
    ]


def look_again() -> None:
    """Forget what has been read of the kit's files, of datasets and for records of jobs.

    Example:
        >>> look_again()
    """
    _room.cache_clear()
    _fingerprint.cache_clear()
    last_look.cache_clear()


@cache
def last_look() -> object:
    """Another object after each :func:`look_again`.

    Example:
        >>> before = last_look()
        >>> look_again()
        >>> last_look() is before
        False
    """
    return object()


def _rooms_behind(code: str) -> set[str]:
    """The rooms that code of a notebook uses, and those that these use."""
    aliases = "|".join(["festkit", *re.findall(r"import festkit as (\w+)", code)])
    words = re.findall(rf"\b(?:{aliases})\.(\w+)", code)
    for names in re.findall(r"from festkit import \(?([\w\s,]+)", code):
        words += re.findall(r"\w+", names)
    found: set[str] = set()
    left = {_ROOM_OF.get(word, word) for word in words}
    while left:
        room = left.pop()
        if room not in found and room not in NO_FIGURES and _files(room):
            found.add(room)
            left |= _room(room)[1]
    return found


def _files(room: str) -> list[Path]:
    alone = HOUSE / f"{room}.py"
    paths = [alone] if alone.is_file() else sorted((HOUSE / room).rglob("*.py"))
    return [
        path
        for path in paths
        if path.relative_to(HOUSE).with_suffix("").as_posix() not in NO_FIGURES
    ]


@cache
def _room(name: str) -> tuple[str, frozenset[str]]:
    """A hash of a room's code without comments and docstrings, and the rooms that it imports."""
    read = [
        _code(path.read_text(encoding="utf-8"), len(path.relative_to(HOUSE).parts))
        for path in _files(name)
    ]
    used = {room for _, rooms in read for room in rooms}
    return _hash(*(code for code, _ in read)), frozenset(used - {name})


@cache
def _code(text: str, depth: int) -> tuple[str, frozenset[str]]:
    """A file's code without comments and docstrings, and the rooms that it imports."""
    tree = ast.parse(text)
    return ast.unparse(_Undocumented().visit(tree)), frozenset(_imported(tree, depth))


class _Undocumented(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node


def _imported(tree: ast.Module, depth: int) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.partition(".")[0] for name in names)


@cache
def _fingerprint(dataset: str, root: str | None) -> str | None:
    from ..data.dataset import load_dataset  # noqa: PLC0415 - it takes a second to import

    found = []
    for split in ("train", "test"):
        with suppress(OSError, ValueError):  # the notebook will say what is wrong
            found.append(load_dataset(dataset, split, root=root).fingerprint)
    return "-".join(found) or None


def _hash(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
