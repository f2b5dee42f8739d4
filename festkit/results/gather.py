"""What many jobs have measured, in one tidy table, and as the paper's tables."""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .._files import read_json, whole_file
from ..experiments.tables import COMPARED
from ..metrics import Counts
from .beside import compare_files
from .figures import has_figures, said_of_row
from .paper import list_paper_tables, paper_table
from .printing import save_table
from .seeds import shared_names

RUN = (
    "table", "dataset", "split", "profile", "protocol", "epochs", "seed", "backbone", "sizes",
    "loss", "loss_options", "rule", "th1", "th2", "fingerprint",
)  # fmt: skip
"""What a row says of its run, where the run says it."""


def load_results(folder: str | Path, taken: Collection[str] = ()) -> pd.DataFrame:
    """The figures of all jobs that are done, one row for each scheme of each.

    Args:
        folder: of the jobs, as given to ``run_jobs``.
        taken: keys of jobs that stand for others of the same notebook, parameters and images,
            whichever ended last.

    Returns:
        Columns ``job`` and ``row``, what the run says of the row (table, dataset, split, profile,
        protocol, epochs, seed, backbone, sizes, loss, loss_options, rule, th1, th2, fingerprint),
        then counts and ratios as in ``Counts.record``, and the ends of 95 % intervals as
        ``iou_low`` and ``iou_high``. Ratios are fractions, NaN where undefined. Empty if
        nothing is done; files that hold no figures by scheme are passed over, and so is a job
        that was made anew since, of the same images.

    Raises:
        ValueError: for a file that is not readable JSON.

    Example:
        >>> import tempfile
        >>> from festkit.metrics import Counts
        >>> from festkit.results import save_results
        >>> folder = Path(tempfile.mkdtemp())
        >>> hit = Counts(images=1, pixels=4, intersection=1, predicted=1, true=1)
        >>> _ = save_results(folder / "done" / "a-job", {"th1 0.5": hit}, seed=3)
        >>> print(load_results(folder)[["job", "row", "seed", "iou"]].to_string(index=False))
          job     row  seed  iou
        a-job th1 0.5     3  1.0
    """
    rows = [row for path in _files(folder, taken) for row in _rows(path)]
    table = pd.DataFrame(rows, columns=None if rows else ["job", "row", *RUN])
    for name in table.columns.intersection(list(RUN)):
        kinds = {type(value) for value in table[name].dropna()}
        if len(kinds) > 1:  # a number in one run, a list of numbers in another: one kind, text
            table[name] = table[name].map(str, na_action="ignore")
    return table


def save_gathered(
    folder: str | Path, stale: Mapping[str, str] | None = None, taken: Collection[str] = ()
) -> list[Path]:
    """Write :func:`load_results` as ``results.csv`` and ``results.parquet`` into the jobs' folder.

    Args:
        folder: of the jobs.
        stale: by key, why a job is stale, as :func:`festkit.jobs.check_done` tells it; given any,
            a column ``stale`` says so.
        taken: as for :func:`load_results`.

    Example:
        >>> import tempfile
        >>> [path.name for path in save_gathered(tempfile.mkdtemp())]
        ['results.csv', 'results.parquet']
    """
    table = load_results(folder, taken)
    if stale:
        table["stale"] = table["job"].map(stale)
    paths = [Path(folder) / f"results.{kind}" for kind in ("csv", "parquet")]
    for path, write in zip(paths, (_write_csv, _write_parquet), strict=True):
        with whole_file(path) as part:
            write(table, part)
    return paths


def save_paper_tables(
    jobs: Iterable[Path], out: str | Path, stale: Mapping[str, str] | None = None
) -> dict[str, pd.DataFrame]:
    """Write each of the paper's tables that these jobs filled, seeds averaged, in all formats.

    Figures of runs that differ in more than their seed (profile, network, images, sizes and the
    like) are never averaged; the table that compares networks on the paper's datasets holds them
    all.

    Args:
        jobs: folders of jobs that are done; those that fill no table are passed over.
        out: folder of the files.
        stale: by key, why a job is stale, as :func:`festkit.jobs.check_done` tells it; captions
            say so.

    Returns:
        The tables by the name of their files, TABLE-PROFILE-DATASET-NETWORK, in the paper's order.

    Example:
        >>> import tempfile
        >>> from festkit.metrics import Counts
        >>> from festkit.results import save_results
        >>> folder = Path(tempfile.mkdtemp())
        >>> hit = Counts(images=1, pixels=4, intersection=1, predicted=1, true=1)
        >>> run = {"table": "th1", "profile": "smoke", "dataset": "scenes"}
        >>> _ = save_results(folder / "a-job", {"th1 0.5": hit}, **run)
        >>> list(save_paper_tables([folder / "a-job"], folder / "tables"))
        ['th1-smoke-scenes']
    """
    known = list_paper_tables()
    runs = {folder: read_json(folder / "metrics.json") for folder in jobs}
    filled = {
        folder: run
        for folder, run in runs.items()
        if has_figures(run) and run.get("table") in known
    }
    groups: dict[tuple[int, str], list[Path]] = {}
    for folder, run in filled.items():
        groups.setdefault((known.index(run["table"]), _group(run)), []).append(folder)
    tables = {}
    for (number, group), folders in sorted(groups.items()):
        name = _file_name([runs[folder] for folder in folders])
        name = name if name not in tables else f"{name}-{group}"
        tables[name] = compare_files(folders, paper_table(known[number]))
        tables[name].attrs["caption"] += _said_of_stale(folders, stale or {})
        save_table(out, tables[name], name)
    return tables


def _said_of_stale(folders: list[Path], stale: Mapping[str, str]) -> str:
    old = [f"{each.name} ({stale[each.name]})" for each in folders if each.name in stale]
    return f". Stale: {', '.join(old)}" if old else ""


def _group(run: dict[str, Any]) -> str:
    """What runs must share to be seeds of one table; the same text for all that do."""
    if _is_compared(run):
        parts = [run.get(name) for name in ("profile", "split", "rule", "protocol")]
    else:
        images = run.get("fingerprint", run.get("dataset"))
        parts = [images, *map(run.get, shared_names(run["table"]))]
    text = json.dumps([_is_compared(run), *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _is_compared(run: dict[str, Any]) -> bool:
    """Whether its rows say on which of the paper's datasets they were measured."""
    dataset = str(run.get("dataset"))
    rows = [row.rpartition(", ")[2] for row in run["schemes"]]
    return run["table"] == "backbones" and dataset in COMPARED and {*rows} == {dataset}


def _file_name(runs: list[dict[str, Any]]) -> str:
    first = runs[0]
    datasets = dict.fromkeys(Path(str(run.get("dataset"))).name for run in runs)
    network = first.get("backbone") if isinstance(first.get("backbone"), str) else None
    seeds = {run.get("seed") for run in runs}
    averaged = f"{len(seeds)}seeds" if len(seeds) > 1 else None
    parts = [first["table"], first.get("profile", "own"), "+".join(datasets), network, averaged]
    return "-".join(str(part) for part in parts if part).lower()


def _files(folder: str | Path, taken: Collection[str]) -> list[Path]:
    """The figures of every job; of one that was made anew of the same images, one alone."""
    best: dict[tuple[str, str | None], tuple[bool, str, Path]] = {}
    for path in Path(folder).glob("done/*/metrics.json"):
        environment = path.with_name("environment.json")
        record = read_json(environment) if environment.is_file() else {}
        job, key = record.get("job", {}), path.parent.name
        made = job.get("name", key), job.get("origin", {}).get("images")
        found = key in taken, record.get("ended") or "", path
        best[made] = max(best.get(made, found), found)
    return sorted(path for *_, path in best.values())


def _rows(path: Path) -> list[dict[str, Any]]:
    run = read_json(path)
    return [
        {"job": path.parent.name, "row": row} | _said(run, row) | _flat(record)
        for row, record in (run["schemes"].items() if has_figures(run) else ())
    ]


def _said(run: dict[str, Any], row: str) -> dict[str, Any]:
    return {name: _cell(said_of_row(run, name, row)) for name in RUN if name in run}


def _cell(value: Any) -> Any:
    """Lists and options as text: columns hold plain values."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in record.items() if name != "intervals"}
    values |= {name: math.nan for name in Counts.ratios if name in values and values[name] is None}
    intervals = record.get("intervals") or {}
    for name in [name for name in Counts.ratios if name in intervals]:
        low, high = intervals[name] or (math.nan, math.nan)
        values |= {f"{name}_low": low, f"{name}_high": high}
    return values


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)
