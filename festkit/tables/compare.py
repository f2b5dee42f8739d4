"""Our metrics next to the paper's, row by row."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._support.errors import InputError
from .._support.names import find_name
from ..metrics import FA_LIMIT, Counts, confidence_intervals, record_of
from .paper import COLUMNS, key_columns
from .records import counts_of_images, read_results, results_file, row_value
from .render import NONE
from .specs import TABLES

RULES = {
    "per scale": "weak targets from each scale's own map",
    "fused": "weak targets from the fused map",
}
"""Where weak targets come from, in words."""

Seeds = Sequence[Counts] | Sequence[Mapping[str, Any]]
Run = Mapping[str, Any]


def shared_names(table: str) -> list[str]:
    """What all seeds of a row have in common: the images, the network, and how it was trained.

    Example:
        >>> shared_names("fusion")
        ['fingerprint', 'split', 'profile', 'backbone', 'rule', 'protocol']
    """
    sizes = [] if TABLES[table].orders_sizes else ["sizes", "epochs"]
    return ["fingerprint", "split", "profile", "backbone", "rule", *sizes, "protocol"]


def check_seeds(paths: Sequence[str | Path], runs: Sequence[Run], table: pd.DataFrame) -> None:
    """Refuse to average runs of the same seed, or that differ in more than their seed.

    Values that a run lacks, or gives as a list, are not compared.

    Args:
        paths: paths of the runs, for the error message.
        runs: the results of ``read_results``.
        table: the result of ``paper_table``.

    Raises:
        ValueError: if two runs have a row in common and differ there in :func:`shared_names`, or
            have the same seed.

    Example:
        >>> from festkit.tables import paper_table
        >>> runs = [{"schemes": {"th1 0.3": {}}, "seed": seed} for seed in (0, 1)]
        >>> check_seeds(["a", "b"], runs, paper_table("th1"))
        >>> check_seeds(["a", "b"], [runs[0], runs[0]], paper_table("th1"))
        Traceback (most recent call last):
        festkit._support.errors.InputError: a and b share the row 'th1 0.3' and the seed 0; ...
    """
    names = shared_names(table.attrs["name"])
    for (path, run), (other, before) in combinations(zip(paths, runs, strict=True), 2):
        common = [row for row in table.index if row in run["schemes"] and row in before["schemes"]]
        for name, row in product(names, common):
            value, another = (row_value(each, name, row) for each in (run, before))
            known = not any(each is None or isinstance(each, list) for each in (value, another))
            if known and value != another:
                raise InputError(
                    f"{path} and {other} share the row {row!r} but differ in its {name} ({value}, "
                    f"{another}); pass runs that differ only in the seed"
                )
        seed, another = (each.get("seed", each.get("seeds")) for each in (run, before))
        are_one = results_file(path).resolve() == results_file(other).resolve()
        if common and (are_one or seed == another is not None):
            raise InputError(
                f"{path} and {other} share the row {common[0]!r} and the seed {seed}; pass only "
                "one of them"
            )


def pool_seeds(seeds: Sequence[Sequence[Counts]]) -> list[Counts]:
    """Counts of every image, averaged over seeds; the images stay the units of intervals.

    A sum would count every pixel and target once per seed, as if seeds were new images.

    Args:
        seeds: for every seed, the counts of every image, in the same order.

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
            "the seeds of a row were evaluated on different images; evaluate all on the same images"
        )
    totals = [sum(same, Counts()) for same in zip(*seeds, strict=True)]
    return [Counts(**{k: n / len(seeds) for k, n in vars(total).items()}) for total in totals]


def compare_with_paper(
    ours: Mapping[str, Seeds], table: pd.DataFrame, *, measured: str
) -> pd.DataFrame:
    """Our metrics, the paper's and the difference, in the paper's rows and units.

    Several seeds give the mean of the ratio, its standard deviation over the seeds, and the
    interval of the pooled counts (the counts of every image, averaged over the seeds). The interval
    covers other test images, not other seeds. A Score is void if its Fa is not below 1e-4. A mean
    that includes a void Score is void, too.

    Args:
        ours: for every row (the table's index), the counts of every image of one seed, or the
            records of one or more seeds as written by :func:`save_results`. Records of several
            seeds need ``per_image``, the counts of every image, for an interval.
        table: the result of :func:`paper_table`, or some of its rows.
        measured: description of the run, for the caption.

    Returns:
        The table's key columns, and for each of ``iou``, ``pd``, ``fa_e6`` and ``score``: ours
        under its name, its standard deviation over the seeds as ``iou_sd`` (NaN for one seed), its
        95 % interval as ``iou_low`` and ``iou_high`` (NaN if unknown), ``iou_paper`` and
        ``iou_difference``; then ``seeds``, 0 for a row that has not been run.

    Raises:
        ValueError: for an unknown row, one without metrics, or one whose seeds are of different
            images.

    Example:
        >>> from festkit.tables import paper_table
        >>> hit = Counts(images=1, pixels=10**6, intersection=3, predicted=3, true=4, targets=1,
        ...              detected=1)
        >>> row = compare_with_paper(
        ...     {"th1 0.3": [hit, hit]}, paper_table("th1"), measured="two images"
        ... ).loc["th1 0.3"]
        >>> row[["iou", "iou_paper", "iou_difference", "seeds"]].round(2).tolist()
        [75.0, 64.22, 10.78, 1.0]
    """
    names = {find_name("row of the table", name, table.index): name for name in ours}
    records = {row: _records(name, ours[name]) for row, name in names.items()}
    rows = [_row(records.get(row, []), table.loc[row]) for row in table.index]
    found = table[key_columns(table)].join(pd.DataFrame(rows, index=table.index))
    found.attrs = {**table.attrs, "caption": f"{table.attrs['caption']}. Ours: {measured}"}
    return found


def compare_files(paths: Sequence[str | Path], table: pd.DataFrame) -> pd.DataFrame:
    """Compare the results of runs with the paper; rows of other tables are ignored.

    Args:
        paths: files ``metrics.json`` of :func:`save_results`, or their folders, one per seed.
        table: a table accepted by :func:`compare_with_paper`.

    Returns:
        As :func:`compare_with_paper`, with a column "our size" as :func:`with_sizes` adds it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file contains no metrics of this table, or the seeds cannot be averaged
            (see :func:`check_seeds`).

    Example:
        >>> import tempfile
        >>> from festkit.tables import paper_table, save_results
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
    by_row = {row: [run for run in runs if row in run["schemes"]] for row in table.index}
    ours = {row: [_record(run, row) for run in own] for row, own in by_row.items() if own}
    measured = dict.fromkeys(_measured(*each, table) for each in zip(paths, runs, strict=True))
    sizes = {row: [row_value(run, "sizes", row) for run in own] for row, own in by_row.items()}
    return with_sizes(compare_with_paper(ours, table, measured="; ".join(measured)), sizes)


def with_sizes(table: pd.DataFrame, sizes: Mapping[str, Sequence[str | None]]) -> pd.DataFrame:
    """Add a column "our size" after the key columns, where sizes differ.

    Args:
        table: the result of :func:`compare_with_paper`.
        sizes: for every row, the input sizes [px] of every seed as text, such as "896+768". If
            seeds differ in size, the sizes are joined by "or".

    Returns:
        The table itself if all sizes are the same, since the caption names the size.

    Example:
        >>> from festkit.tables import paper_table
        >>> table = compare_with_paper({}, paper_table("fusion").head(3), measured="nothing")
        >>> with_sizes(table, {"896": ["96"], "896+768": ["96+64", "96+80"]})["our size"].tolist()
        ['96', '96+64 or 96+80', '–']
    """
    texts = {row: list(dict.fromkeys(filter(None, each))) for row, each in sizes.items()}
    if len({size for each in texts.values() for size in each}) < 2:
        return table
    found = table.copy()
    column = [" or ".join(map(str, texts.get(row, []))) or NONE for row in table.index]
    found.insert(len(key_columns(table)), "our size", column)
    return found


def thresholds_in_words(run: Run, table: pd.DataFrame) -> str:
    """The thresholds of a run, and where weak targets come from, unless a column says so.

    Args:
        run: with ``th1``, ``th2`` and ``rule``, or some of them; one value, or by row.
        table: with columns of these names ("weak targets" for the rule), or without.

    Example:
        >>> from festkit.tables import paper_table
        >>> run = {"th1": 0.5, "th2": {"a": None, "b": 0.1}, "rule": "fused"}
        >>> thresholds_in_words(run, paper_table("backbones"))
        'th1 0.5, th2 0.1 or none, weak targets from the fused map'
    """
    words = []
    for name in ("th1", "th2"):
        if name in run and name not in table:
            values = run[name].values() if isinstance(run[name], dict) else [run[name]]
            texts = ["none" if value is None else str(value) for value in values]
            ordered = sorted(dict.fromkeys(texts), key=lambda text: text == "none")
            words.append(f"{name} {' or '.join(ordered)}")
    if "rule" in run and "weak targets" not in table:
        words.append(RULES.get(str(run["rule"]), f"weak targets {run['rule']}"))
    return ", ".join(words)


def _measured(path: str | Path, run: Run, table: pd.DataFrame) -> str:
    """What a run was measured on, and its thresholds unless the text has them."""
    text, words = str(run.get("measured", path)), thresholds_in_words(run, table)
    return text if words in text else f"{text}; {words}"


def _record(run: Run, row: str) -> dict[str, Any]:
    """The record of a row, and the counts of every image if the run has them."""
    images = counts_of_images(run, row)
    return run["schemes"][row] | ({} if images is None else {"per_image": images})


def _records(name: str, seeds: Seeds) -> list[Mapping[str, Any]]:
    """One record per seed."""
    counts = [entry for entry in seeds if isinstance(entry, Counts)]
    records = [entry for entry in seeds if isinstance(entry, Mapping)]
    if not len(seeds) or len(seeds) not in (len(counts), len(records)):
        kinds = ", ".join(sorted({type(entry).__name__ for entry in seeds})) or "no seed"
        raise InputError(
            f"{name!r} has metrics of {kinds}; pass the Counts of every image of one seed, or one "
            "record per seed (record_of), and leave out rows that have not been run"
        )
    return records or [record_of(counts)]


def _row(records: Sequence[Mapping[str, Any]], paper: pd.Series) -> dict[str, float]:
    """The columns of numbers of one row."""
    row: dict[str, float] = {}
    intervals = _intervals(records)
    for column, metric in COLUMNS.items():
        values = metric.scale * pd.Series(
            [_value(each, metric.name) for each in records], dtype=float
        )
        mean = values.mean(skipna=False)
        ends = None if np.isnan(mean) else intervals.get(metric.name)
        low, high = ends or (np.nan, np.nan)
        row |= {column: mean, f"{column}_sd": values.std(skipna=False)}
        row |= {f"{column}_low": metric.scale * low, f"{column}_high": metric.scale * high}
        row |= {f"{column}_paper": paper[column], f"{column}_difference": mean - paper[column]}
    return row | {"seeds": len(records)}


def _intervals(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Those of the only seed, or of the counts pooled over all seeds if all have them."""
    if len(records) == 1:
        return records[0].get("intervals") or {}
    seeds = [record["per_image"] for record in records if "per_image" in record]
    if not records or len(seeds) < len(records) or len(seeds[0]) < 2:
        return {}
    return confidence_intervals(pool_seeds(seeds))


def _value(record: Mapping[str, Any], ratio: str) -> Any:
    """A seed's ratio; None if it has none, or for a void Score."""
    fa = record.get("fa")
    void = ratio == "score" and (fa is None or not fa < FA_LIMIT)
    return None if void else record.get(ratio)
