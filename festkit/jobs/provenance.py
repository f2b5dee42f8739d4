"""The origin of a job's results: the kit's version and code, the notebook, the images."""

import ast
import hashlib
import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from .parameters import read_notebook

HOUSE = Path(__file__).resolve().parents[1]

REPORTING = ("cli", "plots", "tuner", "_support/errors", "_support/progress", "data/check",
             "data/report", "tables/render", "zoo")  # fmt: skip
"""Rooms and files that only draw, report or print, so that no result depends on them."""

CATALOGUES = {"pretrained/entries", "data/datasets", "data/findings", "classical/detectors"}
"""TOML files whose entries change no result of the others."""

CHANGES = {
    "festkit": "festkit was {old} and is now {new}",
    "notebook": "the code of its notebook has changed",
    "code": "the code of festkit has changed",
    "images": "the images of its dataset have changed",
    "needs": "a job it depends on has changed",
}
"""A message for each part of an origin."""


def origin_of(
    notebook: Path, dataset: str | None, root: str | None, needs: list[str]
) -> dict[str, Any]:
    """What the results of a notebook depend on, besides its parameters.

    Args:
        notebook: its file.
        dataset: name or folder of its images; None if another job creates them.
        root: folder of the datasets.
        needs: keys of the jobs whose outputs it uses.

    Returns:
        ``festkit``, its version; ``notebook``, a hash of its code; ``code``, a hash of the kit's
        code that computes; ``images``, their fingerprint, None if they are missing; ``needs``.

    Example:
        >>> from festkit.jobs import find_notebook
        >>> origin = origin_of(find_notebook("00_quickstart"), None, None, [])
        >>> sorted(origin)
        ['code', 'festkit', 'images', 'needs', 'notebook']
    """
    return {
        "festkit": __version__,
        "notebook": _hash(*read_notebook(notebook).code),
        "code": _code(),
        "images": None if dataset is None else _fingerprint(dataset, root),
        "needs": sorted(needs),
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences of an earlier origin from the present one, in words.

    Images are compared if both origins have them.

    Example:
        >>> old = {"festkit": "0.1.0", "images": "a1", "code": "b2"}
        >>> differences(old, {"festkit": "0.2.0", "images": None, "code": "c3"})
        ['festkit was 0.1.0 and is now 0.2.0', 'the code of festkit has changed']
    """
    parts = [name for name in CHANGES if old.get(name) != new.get(name)]
    return [
        CHANGES[name].format(old=old.get(name), new=new.get(name))
        for name in parts
        if name != "images" or None not in (old.get(name), new.get(name))
    ]


def look_again() -> None:
    """Read the kit's files and the datasets again for the next records of jobs.

    Example:
        >>> look_again()
    """
    _code.cache_clear()
    _fingerprint.cache_clear()
    last_look.cache_clear()


@cache
def last_look() -> object:
    """A new object after each :func:`look_again`.

    Example:
        >>> before = last_look()
        >>> look_again()
        >>> last_look() is before
        False
    """
    return object()


@cache
def _code() -> str:
    """A hash of the kit's code that computes, without comments and docstrings, and its data."""
    paths = [path for path in sorted(HOUSE.rglob("*")) if path.suffix in (".py", ".toml")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths if not _only_reports(path)}
    return _hash(
        *(_stripped(t) if p.suffix == ".py" else str(tomllib.loads(t)) for p, t in texts.items())
    )


def _only_reports(path: Path) -> bool:
    """Whether a file draws, reports or prints only."""
    place = path.relative_to(HOUSE).with_suffix("")
    if path.suffix == ".toml" and place.as_posix() in CATALOGUES:
        return True
    return not {place.as_posix(), place.parts[0]}.isdisjoint(REPORTING)


@cache
def _stripped(text: str) -> str:
    """Code without comments and docstrings."""
    return ast.unparse(_Undocumented().visit(ast.parse(text)))


class _Undocumented(ast.NodeTransformer):
    """Removes docstrings and other texts that stand alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """The statement; None if it is a text."""
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node


@cache
def _fingerprint(dataset: str, root: str | None) -> str | None:
    """Fingerprints of the splits of a dataset; None if there are none."""
    from ..data.dataset import load_dataset  # noqa: PLC0415 - it takes a second to import

    found = []
    for split in ("train", "test"):
        with suppress(OSError, ValueError):  # the notebook will say what is wrong
            found.append(load_dataset(dataset, split, root=root).fingerprint)
    return "-".join(found) or None


def _hash(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
