"""Our figures beside the paper's, row by row."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._names import find_name
from ..metrics import FA_LIMIT, Counts, record_of
from .figures import read_results
from .paper import METRICS, key_columns

UNITS = {
    "iou": ("iou", 100.0),
    "pd": ("pd", 100.0),
    "fa_e6": ("fa", 1e6),
    "score": ("score", 100.0),
}
"""Of every column of the paper's: our ratio, and what makes the paper's unit of it."""

SAME = ("fingerprint", "split", "backbone")
"""What the seeds of a row have in common: the images and the network."""

Figures = Sequence[Counts] | Sequence[Mapping[str, Any]]


def compare_with_paper(
    ours: Mapping[str, Figures], table: pd.DataFrame, *, measured: str
) -> pd.DataFrame:
    """Ours, the paper's and the difference, in the paper's rows and units.

    Several seeds are averaged, and so are the ends of their intervals: an interval says how far one
    seed's figure would move with other test images. A Score whose Fa is not below 1e-4 is void,
    and so is the mean with one.

    Args:
        ours: by the name of the row (the table's index) the counts of every image of one seed, or
            the records of one or more seeds, as :func:`save_results` writes them.
        table: as :func:`paper_table` returns it, or some of its rows.
        measured: what ours were measured on; it goes into the caption.

    Returns:
        The table's own columns that say what a row is, and for every figure ``iou``, ``pd``,
        ``fa_e6`` and ``score``: ours under its name, its 95 % interval as ``iou_low`` and
        ``iou_high``, ``iou_paper`` and ``iou_difference``; then ``seeds``, 0 for a row that has not
        been run.

    Raises:
        ValueError: for a row that the table does not have, or one without figures.

    Example:
        >>> from festkit.results import paper_table
        >>> hit = Counts(images=1, pixels=10**6, intersection=3, predicted=3, true=4, targets=1,
        ...              detected=1)
        >>> row = compare_with_paper(
        ...     {"th1 0.3": [hit, hit]}, paper_table("th1"), measured="two images"
        ... ).loc["th1 0.3"]
        >>> row[["iou", "iou_paper", "iou_difference", "seeds"]].round(2).tolist()
        [75.0, 64.22, 10.78, 1.0]
    """
    by_row = {find_name("row of the table", name, table.index): ours[name] for name in ours}
    records = {name: _records(name, figures) for name, figures in by_row.items()}
    rows = [_row(records.get(name, []), table.loc[name]) for name in table.index]
    found = table[key_columns(table)].join(pd.DataFrame(rows, index=table.index))
    found.attrs = {**table.attrs, "caption": f"{table.attrs['caption']}. Ours: {measured}"}
    return found


def compare_files(paths: Sequence[str | Path], table: pd.DataFrame) -> pd.DataFrame:
    """The same of what runs wrote, one file or folder per seed; rows of other tables are left out.

    Args:
        paths: files ``metrics.json`` of :func:`save_results`, or their folders.
        table: as :func:`compare_with_paper` takes it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file holds no figures, or none of this table, or if files that have a row
            in common say that they are of different images or networks.

    Example:
        >>> import tempfile
        >>> from festkit.results import paper_table, save_results
        >>> hit = Counts(images=1, pixels=4, intersection=1, predicted=1, true=1)
        >>> path = save_results(tempfile.mkdtemp(), {"th1 0.3": hit})
        >>> compare_files([path], paper_table("th1")).loc["th1 0.3", ["iou", "seeds"]].tolist()
        [100.0, 1.0]
    """
    runs = [read_results(path) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if not set(run["schemes"]) & set(table.index):
            raise ValueError(
                f"{path} has no row of the table {table.attrs['name']}; it has "
                f"{', '.join(run['schemes'])}, the table {', '.join(table.index)}"
            )
    _check_same(paths, runs, set(table.index))
    rows = {
        row: [run["schemes"][row] for run in runs if row in run["schemes"]] for row in table.index
    }
    texts = [str(run.get("measured", path)) for path, run in zip(paths, runs, strict=True)]
    return compare_with_paper(
        {row: records for row, records in rows.items() if records},
        table,
        measured="; ".join(dict.fromkeys(texts)),
    )


def _check_same(
    paths: Sequence[str | Path], runs: Sequence[Mapping[str, Any]], rows: set[str]
) -> None:
    """Refuse to average what is of different images or networks."""
    for (path, run), (other, before) in combinations(zip(paths, runs, strict=True), 2):
        common = rows & set(run["schemes"]) & set(before["schemes"])
        for name in SAME if common else ():
            values = run.get(name), before.get(name)
            if all(isinstance(value, str) for value in values) and values[0] != values[1]:
                raise ValueError(
                    f"{path} and {other} have rows in common and differ in {name} ({values[0]}, "
                    f"{values[1]}); pass seeds of one network on the same images"
                )


def _records(name: str, figures: Figures) -> list[Mapping[str, Any]]:
    """One record per seed."""
    if not len(figures):
        raise ValueError(f"{name!r} has no figures; leave the row out if it has not been run")
    counts = [entry for entry in figures if isinstance(entry, Counts)]
    records = [entry for entry in figures if isinstance(entry, Mapping)]
    if len(figures) not in (len(counts), len(records)):
        raise ValueError(
            f"{name!r} has figures of {', '.join(sorted({type(e).__name__ for e in figures}))}; "
            "pass the Counts of every image of one seed, or one record per seed (record_of)"
        )
    return records or [record_of(counts)]


def _row(records: Sequence[Mapping[str, Any]], paper: pd.Series) -> dict[str, float]:
    row: dict[str, float] = {}
    for column in METRICS:
        ratio, scale = UNITS[column]
        mean, low, high = (scale * value for value in _mean(records, ratio))
        row |= {column: mean, f"{column}_low": low, f"{column}_high": high}
        row |= {f"{column}_paper": paper[column], f"{column}_difference": mean - paper[column]}
    return row | {"seeds": len(records)}


def _mean(records: Sequence[Mapping[str, Any]], ratio: str) -> tuple[float, float, float]:
    """Mean over the seeds of a ratio and of its interval's ends; NaN for what one does not have."""
    parts = [_with_interval(record, ratio) for record in records]
    mean, low, high = np.mean(np.array(parts, float), axis=0) if parts else (np.nan,) * 3
    return float(mean), float(low), float(high)


def _with_interval(record: Mapping[str, Any], ratio: str) -> tuple[Any, Any, Any]:
    """A seed's ratio and the ends of its interval; nothing of a Score that is void."""
    fa = record.get("fa")
    if ratio == "score" and (fa is None or not fa < FA_LIMIT):
        return np.nan, np.nan, np.nan
    low, high = (record.get("intervals") or {}).get(ratio) or (np.nan, np.nan)
    return record.get(ratio), low, high
