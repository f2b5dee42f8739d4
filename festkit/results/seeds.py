"""What runs must have in common to be seeds of one table, and how their counts are pooled."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from .._errors import InputError
from ..metrics import Counts
from .figures import said_of_row

SAME = ("fingerprint", "split", "profile", "backbone", "rule", "sizes", "epochs", "protocol")
"""What the seeds of a row have in common: the images, the network, and how it was trained."""

ORDERED = ("sizes", "epochs")
"""Of these what every seed of the table of fusion has for itself: it orders the sizes itself."""


def shared_names(table: str) -> list[str]:
    """Of :data:`SAME` what the seeds of a table share.

    Example:
        >>> shared_names("fusion")
        ['fingerprint', 'split', 'profile', 'backbone', 'rule', 'protocol']
    """
    return [name for name in SAME if table != "fusion" or name not in ORDERED]


def check_seeds(
    paths: Sequence[str | Path], runs: Sequence[Mapping[str, Any]], table: pd.DataFrame
) -> None:
    """Refuse to average runs that differ in more than their seed, or not even in it.

    What a run does not say, or says as a list, is not compared.

    Args:
        paths: of the runs, for the message.
        runs: as ``read_results`` returns them.
        table: as ``paper_table`` returns it.

    Raises:
        ValueError: if two runs have a row in common and differ there in :func:`shared_names`, or
            are of one seed.

    Example:
        >>> from festkit.results import paper_table
        >>> runs = [{"schemes": {"th1 0.3": {}}, "seed": seed} for seed in (0, 1)]
        >>> check_seeds(["a", "b"], runs, paper_table("th1"))
        >>> check_seeds(["a", "b"], [runs[0], runs[0]], paper_table("th1"))
        Traceback (most recent call last):
        festkit._errors.InputError: a and b are both of seed 0 and ...
    """
    names = shared_names(table.attrs["name"])
    for (path, run), (other, before) in combinations(zip(paths, runs, strict=True), 2):
        common = [row for row in table.index if row in run["schemes"] and row in before["schemes"]]
        for name in names:
            _check_value(name, common, (path, run), (other, before))
        again = _what_is_one(path, run, other, before)
        if common and again:
            raise InputError(
                f"{path} and {other} are both {again} and have the row {common[0]!r} in common; "
                "pass one of them, since every seed counts once"
            )


def pool_seeds(seeds: Sequence[Sequence[Counts]]) -> list[Counts]:
    """Counts of every image, averaged over seeds; the images stay the units of intervals.

    A sum would count every pixel and target once per seed, as if seeds were new images.

    Args:
        seeds: by seed the counts of every image, in the same order.

    Raises:
        ValueError: if the seeds are of different images.

    Example:
        >>> one = [Counts(images=1, targets=2, detected=1)]
        >>> pool_seeds([one, one])[0].pd
        0.5
    """
    images = [[(c.pixels, c.targets) for c in counts] for counts in seeds]
    if any(each != images[0] for each in images):
        raise InputError(
            "seeds of one row were measured on different images; evaluate all of them on the same"
        )
    totals = [sum(same, Counts()) for same in zip(*seeds, strict=True)]
    return [Counts(**{k: n / len(seeds) for k, n in vars(total).items()}) for total in totals]


def _check_value(
    name: str,
    rows: Sequence[str],
    one: tuple[str | Path, Mapping[str, Any]],
    two: tuple[str | Path, Mapping[str, Any]],
) -> None:
    for row in rows:
        values = [said_of_row(run, name, row) for _, run in (one, two)]
        said = not any(value is None or isinstance(value, list) for value in values)
        if said and values[0] != values[1]:
            raise InputError(
                f"{one[0]} and {two[0]} have the row {row!r} in common and differ in its {name} "
                f"({values[0]}, {values[1]}); pass runs that differ in their seed alone"
            )


def _what_is_one(
    path: str | Path, run: Mapping[str, Any], other: str | Path, before: Mapping[str, Any]
) -> str:
    """In what way two runs are one; empty if they are two."""
    if _file(path) == _file(other):
        return "the same file"
    seeds = [each.get("seed", each.get("seeds")) for each in (run, before)]
    return f"of seed {seeds[0]}" if seeds[0] is not None and seeds[0] == seeds[1] else ""


def _file(path: str | Path) -> Path:
    path = Path(path).resolve()
    return path / "metrics.json" if path.is_dir() else path
