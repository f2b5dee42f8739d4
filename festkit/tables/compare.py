"""Our figures beside the paper's, row by row."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._support.errors import InputError
from .._support.names import find_name
from ..metrics import FA_LIMIT, Counts, confidence_intervals, record_of
from .paper import METRICS, key_columns
from .records import counts_of_images, read_results, row_value
from .render import NONE

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
        festkit.InputError: a and b are both of seed 0 and ...
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
        values = [row_value(run, name, row) for _, run in (one, two)]
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


UNITS = {
    "iou": ("iou", 100.0),
    "pd": ("pd", 100.0),
    "fa_e6": ("fa", 1e6),
    "score": ("score", 100.0),
}
"""Of every column of the paper's: our ratio, and what makes the paper's unit of it."""

RULES = {
    "per scale": "weak targets from each scale's own map",
    "fused": "weak targets from the fused map",
}
"""Where weak targets come from, in words."""

Figures = Sequence[Counts] | Sequence[Mapping[str, Any]]


def compare_with_paper(
    ours: Mapping[str, Figures], table: pd.DataFrame, *, measured: str
) -> pd.DataFrame:
    """Ours, the paper's and the difference, in the paper's rows and units.

    Of several seeds: the mean of the ratio, its standard deviation over the seeds, and the interval
    of the pooled counts (of every image, averaged over the seeds), which says how far the figure
    would move with other test images. A Score whose Fa is not below 1e-4 is void, and so is the
    mean with one.

    Args:
        ours: by the name of the row (the table's index) the counts of every image of one seed, or
            the records of one or more seeds, as :func:`save_results` writes them. Records of
            several seeds need ``per_image``, the counts of every image, to have an interval.
        table: as :func:`paper_table` returns it, or some of its rows.
        measured: what ours were measured on; it goes into the caption.

    Returns:
        The table's own columns that say what a row is, and for every figure ``iou``, ``pd``,
        ``fa_e6`` and ``score``: ours under its name, its standard deviation over the seeds as
        ``iou_sd`` (NaN for one seed), its 95 % interval as ``iou_low`` and ``iou_high`` (NaN where
        it is not known), ``iou_paper`` and ``iou_difference``; then ``seeds``, 0 for a row that has
        not been run.

    Raises:
        ValueError: for a row that the table does not have, one without figures, or one whose
            seeds are of different images.

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

    Returns:
        As :func:`compare_with_paper`, with a column "our size" as :func:`with_sizes` adds it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file holds no figures, or none of this table, or if files that have a row
            in common differ in more than their seed, or are of one seed.

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
            raise InputError(
                f"{path} has no row of the table {table.attrs['name']}; it has "
                f"{', '.join(run['schemes'])}, the table {', '.join(table.index)}"
            )
    check_seeds(paths, runs, table)
    of_row = {row: [run for run in runs if row in run["schemes"]] for row in table.index}
    found = compare_with_paper(
        {row: [_record(run, row) for run in own] for row, own in of_row.items() if own},
        table,
        measured="; ".join(dict.fromkeys(map(_measured, paths, runs, [table] * len(runs)))),
    )
    sizes = {row: [row_value(run, "sizes", row) for run in own] for row, own in of_row.items()}
    return with_sizes(found, sizes)


def with_sizes(table: pd.DataFrame, sizes: Mapping[str, Sequence[str | None]]) -> pd.DataFrame:
    """The table with a column "our size" after those that say what a row is.

    Args:
        table: as :func:`compare_with_paper` returns it.
        sizes: by row the input sizes [px] of every seed as text, such as "896+768"; seeds that
            fused other sizes are told apart by "or".

    Returns:
        The same table where all sizes are the same: the caption says it.

    Example:
        >>> from festkit.results import paper_table
        >>> table = compare_with_paper({}, paper_table("fusion").head(3), measured="nothing")
        >>> with_sizes(table, {"896": ["96"], "896+768": ["96+64", "96+80"]})["our size"].tolist()
        ['96', '96+64 or 96+80', '–']
    """
    told = {row: list(dict.fromkeys(filter(None, each))) for row, each in sizes.items()}
    if len({size for each in told.values() for size in each}) < 2:
        return table
    found = table.copy()
    column = [" or ".join(map(str, told.get(row, []))) or NONE for row in table.index]
    found.insert(len(key_columns(table)), "our size", column)
    return found


def thresholds_in_words(run: Mapping[str, Any], table: pd.DataFrame) -> str:
    """The thresholds of a run, and where weak targets come from, if no column says so.

    Args:
        run: with ``th1``, ``th2`` and ``rule``, or some of them; one value, or by row.
        table: of the figures, with columns of these names ("weak targets" for the rule) or without.

    Example:
        >>> from festkit.results import paper_table
        >>> run = {"th1": 0.5, "th2": {"a": None, "b": 0.1}, "rule": "fused"}
        >>> thresholds_in_words(run, paper_table("backbones"))
        'th1 0.5, th2 0.1 or none, weak targets from the fused map'
    """
    words = [
        f"{name} {_either(run[name])}"
        for name in ("th1", "th2")
        if name in run and name not in table
    ]
    if "rule" in run and "weak targets" not in table:
        words.append(RULES.get(str(run["rule"]), f"weak targets {run['rule']}"))
    return ", ".join(words)


def _either(value: Any) -> str:
    values = dict.fromkeys(value.values() if isinstance(value, dict) else [value])
    return " or ".join([str(v) for v in values if v is not None] + ["none"] * (None in values))


def _measured(path: str | Path, run: Mapping[str, Any], table: pd.DataFrame) -> str:
    """What a run was measured on, and its thresholds where that does not say them."""
    text, words = str(run.get("measured", path)), thresholds_in_words(run, table)
    return text if words in text else f"{text}; {words}"


def _record(run: Mapping[str, Any], row: str) -> dict[str, Any]:
    """The record of a row, and the counts of every image where the run holds them."""
    images = counts_of_images(run, row)
    return run["schemes"][row] | ({} if images is None else {"per_image": images})


def _records(name: str, figures: Figures) -> list[Mapping[str, Any]]:
    """One record per seed."""
    if not len(figures):
        raise InputError(f"{name!r} has no figures; leave the row out if it has not been run")
    counts = [entry for entry in figures if isinstance(entry, Counts)]
    records = [entry for entry in figures if isinstance(entry, Mapping)]
    if len(figures) not in (len(counts), len(records)):
        raise InputError(
            f"{name!r} has figures of {', '.join(sorted({type(e).__name__ for e in figures}))}; "
            "pass the Counts of every image of one seed, or one record per seed (record_of)"
        )
    return records or [record_of(counts)]


def _row(records: Sequence[Mapping[str, Any]], paper: pd.Series) -> dict[str, float]:
    row: dict[str, float] = {}
    intervals = _intervals(records)
    for column in METRICS:
        ratio, scale = UNITS[column]
        values = scale * np.array([_value(record, ratio) for record in records], float)
        mean = float(values.mean()) if len(values) else np.nan
        sd = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        ends = None if np.isnan(mean) else intervals.get(ratio)
        low, high = ends or (np.nan, np.nan)
        row |= {column: mean, f"{column}_sd": sd}
        row |= {f"{column}_low": scale * low, f"{column}_high": scale * high}
        row |= {f"{column}_paper": paper[column], f"{column}_difference": mean - paper[column]}
    return row | {"seeds": len(records)}


def _intervals(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of one seed its own; of several those of the pooled counts, where all are known."""
    if len(records) == 1:
        return records[0].get("intervals") or {}
    seeds = [record["per_image"] for record in records if "per_image" in record]
    if not records or len(seeds) < len(records) or len(seeds[0]) < 2:
        return {}
    return confidence_intervals(pool_seeds(seeds))


def _value(record: Mapping[str, Any], ratio: str) -> Any:
    """A seed's ratio; None for what it does not have, and for a Score that is void."""
    fa = record.get("fa")
    void = ratio == "score" and (fa is None or not fa < FA_LIMIT)
    return None if void else record.get(ratio)
