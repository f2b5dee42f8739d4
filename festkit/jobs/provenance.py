"""What a job's figures come from: the kit's version and code, the notebook, the images."""

import ast
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from .parameters import code_cells

HOUSE = Path(__file__).resolve().parents[1]

REPORTING = ("cli", "plots", "tuner", "_support/errors", "_support/progress", "data/check",
             "tables/render", "zoo")  # fmt: skip
"""Rooms and files that draw, report or print; no result depends on them."""

UNKNOWN = "its record does not say what it was made from"
"""What is said of jobs of early versions."""

SAID = {
    "festkit": "festkit was {old}, now is {new}",
    "notebook": "the code of its notebook has changed",
    "code": "the code of festkit has changed",
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
        ``festkit``, its version; ``notebook``, a hash of its code; ``code``, a hash of
        the kit's code that computes; ``images``, their fingerprint, None if they are not
        there; ``needs``.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> origin = origin_of(find_notebook("00_quickstart"), None, None, [])
        >>> sorted(origin)
        ['code', 'festkit', 'images', 'needs', 'notebook']
    """
    code = code_cells(notebook)
    return {
        "festkit": __version__,
        "notebook": _hash(*code),
        "code": _code(),
        "images": None if dataset is None else _fingerprint(dataset, root),
        "needs": sorted(needs),
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How what figures came from differs from what they would come from now, in words.

    Images that are not there now, or were not then, are not compared. Records of early
    versions hold nothing.

    Example:
        >>> old = {"festkit": "0.1.0", "images": "a1", "code": "b2"}
        >>> differences(old, {"festkit": "0.2.0", "images": None, "code": "c3"})
        ['festkit was 0.1.0, now is 0.2.0', 'the code of festkit has changed']
    """
    if not old:
        return [UNKNOWN]
    parts = [name for name in SAID if old.get(name) != new.get(name)]
    return [
        SAID[name].format(old=old.get(name), new=new.get(name))
        for name in parts
        if name != "images" or None not in (old.get(name), new.get(name))
    ]


def look_again() -> None:
    """Forget what has been read of the kit's files, of datasets and for records of jobs.

    Example:
        >>> look_again()
    """
    _code.cache_clear()
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


@cache
def _code() -> str:
    """A hash of the kit's code that computes, without comments and docstrings."""
    paths = [path for path in sorted(HOUSE.rglob("*.py")) if not _only_reports(path)]
    return _hash(*(_stripped(path.read_text(encoding="utf-8")) for path in paths))


def _only_reports(path: Path) -> bool:
    place = path.relative_to(HOUSE).with_suffix("")
    return not {place.as_posix(), place.parts[0]}.isdisjoint(REPORTING)


@cache
def _stripped(text: str) -> str:
    return ast.unparse(_Undocumented().visit(ast.parse(text)))


class _Undocumented(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node


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
