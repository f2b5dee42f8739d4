"""Results of runs: one table compared with the paper, and all jobs in one table."""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .._support.files import atomic_write, read_json
from ..metrics import Counts
from ..training.stored_maps import RunMaps
from . import compare
from .describe import describe_runs
from .paper import list_paper_tables, paper_table
from .records import has_metrics, row_value, save_results
from .render import save_table
from .specs import COMPARED, TABLES


def save_paper_results(
    out: str | Path,
    paper: pd.DataFrame,
    ours: Mapping[str, Sequence[Counts]],
    maps: RunMaps | Mapping[str, RunMaps],
    *,
    profile: str,
    note: str = "",
    **more: Any,
) -> pd.DataFrame:
    """Compare with the paper, and write the table's files and ``metrics.json``.

    Args:
        out: folder of the files.
        paper: the result of :func:`paper_table`, or some of its rows.
        ours: for every row, the counts of every image.
        maps: the maps that were evaluated, by row or the same for all rows.
        profile: profile of the trainings: "smoke", "quick" or "paper".
        note: further text for the caption.
        more: further JSON values for ``metrics.json``; they override the values of the runs. The
            caption states ``th1``, ``th2`` and ``rule`` unless they are columns. Thresholds that
            are columns of the table are written by row.

    Returns:
        As :func:`compare_with_paper`, with a column "our size" if rows differ in it; also written
        as ``table.csv``, ``.md``, ``.tex`` and ``.html``. For the profile "smoke" the paper's
        numbers are omitted, since its networks are barely trained.

    Raises:
        ValueError: see :func:`compare_with_paper` and :func:`save_results`.

    Example:
        >>> import json, tempfile
        >>> from festkit.data import load_dataset
        >>> from festkit.training import Run, open_maps
        >>> from festkit.tables import paper_table
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> scenes = make_synthetic_dataset(folder / "scenes", train=2, test=2, size=64)
        >>> images, run = load_dataset(scenes, "test"), Run(folder / "run")
        >>> run.write_maps("test", {each.name: each.mask.astype("float32") for each in images})
        >>> record = {"backbone": "ACM", "size": 64, "dataset": "scenes", "loss": "EEDM"}
        >>> record |= {"epochs": 3, "seed": 1, "protocol": "last", "initial_weights": None}
        >>> record |= {"loss_options": {}, "test_split": images.fingerprint}
        >>> _ = (run.folder / "record.json").write_text(json.dumps(record))
        >>> maps, paper = open_maps(run), paper_table("th1").head(1)
        >>> ours = {"th1 0.5": maps.evaluate(0.5)}
        >>> table = save_paper_results(folder, paper, ours, maps, profile="smoke")
        >>> table.loc["th1 0.5", "iou"].item()
        100.0
        >>> table.attrs["caption"].partition("Ours: ")[2]
        "ACM at 64 px, EEDM loss, on 2 test images of scenes; profile smoke, 3 epochs, seed 1; \
the last epoch was kept; another network and other images than the paper's, so not comparable"
    """
    run = describe_runs(maps, paper, profile=profile)
    parts = [run["measured"], compare.thresholds_in_words(more, paper), note]
    run["measured"] = "; ".join(filter(None, parts))
    found = compare.compare_with_paper(ours, paper, measured=run["measured"])
    if isinstance(run["sizes"], dict):
        found = compare.with_sizes(found, {row: [size] for row, size in run["sizes"].items()})
    if profile == "smoke":
        _leave_paper_out(found)
    found.attrs["profile"] = profile
    save_table(out, found, "table")
    thresholds = found.loc[found["seeds"] > 0, found.columns.intersection(["th1", "th2"])]
    by_row = thresholds.astype(object).where(thresholds.notna(), None).to_dict()
    save_results(out, ours, **({"table": paper.attrs["name"]} | run | by_row | more))
    return found


RUN = (
    "table", "dataset", "split", "profile", "protocol", "epochs", "seed", "backbone", "sizes",
    "loss", "loss_options", "rule", "th1", "th2", "fingerprint",
)  # fmt: skip
"""Values of a run that its rows repeat."""


def load_results(folder: str | Path, taken: Collection[str] = ()) -> pd.DataFrame:
    """The metrics of all finished jobs, one row per job and scheme.

    Args:
        folder: folder of the jobs, as passed to ``run_jobs``.
        taken: keys of jobs that take precedence over later jobs with the same notebook, parameters
            and images.

    Returns:
        Columns ``job`` and ``row``; values of the run (table, dataset, split, profile, protocol,
        epochs, seed, backbone, sizes, loss, loss_options, rule, th1, th2, fingerprint); counts and
        ratios as in ``Counts.record``; and the ends of 95 % intervals as ``iou_low`` and
        ``iou_high``. Ratios are fractions, NaN where undefined. Without finished jobs the table is
        empty. Files without metrics by scheme are skipped, and so are earlier runs of the same job
        on the same images.

    Raises:
        ValueError: for a file that is not readable JSON.

    Example:
        >>> import tempfile
        >>> from festkit.metrics import Counts
        >>> from festkit.tables import save_results
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
        if table[name].dropna().map(type).nunique() > 1:  # Parquet columns hold one type
            table[name] = table[name].map(str, na_action="ignore")
    return table


def save_gathered(
    folder: str | Path, stale: Mapping[str, str] | None = None, taken: Collection[str] = ()
) -> list[Path]:
    """Write :func:`load_results` as ``results.csv`` and ``results.parquet`` into the jobs' folder.

    Args:
        folder: folder of the jobs.
        stale: why jobs are stale, by key, as :func:`festkit.jobs.check_done` returns it; it
            becomes a column ``stale``.
        taken: see :func:`load_results`.

    Example:
        >>> import tempfile
        >>> [path.name for path in save_gathered(tempfile.mkdtemp())]
        ['results.csv', 'results.parquet']
    """
    table = load_results(folder, taken)
    if stale:
        table["stale"] = table["job"].map(stale)
    paths = [Path(folder) / "results.csv", Path(folder) / "results.parquet"]
    for path, write in zip(paths, (table.to_csv, table.to_parquet), strict=True):
        with atomic_write(path) as part:
            write(part, index=False)
    return paths


def save_paper_tables(
    jobs: Iterable[Path], out: str | Path, stale: Mapping[str, str] | None = None
) -> dict[str, pd.DataFrame]:
    """Write every table of the paper that has finished jobs, averaged over seeds, in all formats.

    Only runs that differ in nothing but the seed are averaged. One table compares all networks on
    the paper's datasets.

    Args:
        jobs: folders of finished jobs; jobs without a table of the paper are skipped.
        out: folder of the files.
        stale: why jobs are stale, by key, as :func:`festkit.jobs.check_done` returns it, for the
            captions.

    Returns:
        The tables by the name of their files, TABLE-PROFILE-DATASET-NETWORK, in the paper's order.
        Those of the profile "smoke" leave the paper's numbers out.

    Example:
        >>> import tempfile
        >>> from festkit.metrics import Counts
        >>> from festkit.tables import save_results
        >>> folder = Path(tempfile.mkdtemp())
        >>> hit = Counts(images=1, pixels=4, intersection=1, predicted=1, true=1)
        >>> run = {"table": "th1", "profile": "smoke", "dataset": "scenes"}
        >>> _ = save_results(folder / "a-job", {"th1 0.5": hit}, **run)
        >>> list(save_paper_tables([folder / "a-job"], folder / "tables"))
        ['th1-smoke-scenes']
    """
    known = list_paper_tables()
    groups: dict[tuple[int, str], dict[Path, dict[str, Any]]] = {}
    for folder in jobs:
        run = read_json(folder / "metrics.json")
        if has_metrics(run) and run.get("table") in known:
            key = known.index(run["table"]), _group(run)
            groups.setdefault(key, {})[folder] = run
    tables, stale = {}, stale or {}
    for (number, group), runs in sorted(groups.items(), key=lambda each: each[0]):
        name = _file_name(list(runs.values()))
        name = f"{name}-{group}" if name in tables else name
        tables[name] = compare.compare_files(list(runs), paper_table(known[number]))
        if all(run.get("profile") == "smoke" for run in runs.values()):
            _leave_paper_out(tables[name])
        old = [f"{each.name} ({stale[each.name]})" for each in runs if each.name in stale]
        tables[name].attrs["caption"] += f". Stale: {', '.join(old)}" if old else ""
        save_table(out, tables[name], name)
    return tables


def _leave_paper_out(table: pd.DataFrame) -> None:
    """Barely trained networks are not compared with the paper's."""
    table[[name for name in table if name.endswith(("_paper", "_difference"))]] = math.nan


def _group(run: dict[str, Any]) -> str:
    """The same text for all runs that are seeds of one table."""
    names = ["profile", "split", "rule", "protocol"]
    parts: list[Any] = [True]
    if not _on_paper_dataset(run):
        parts = [False, run.get("fingerprint", run.get("dataset"))]
        names = compare.shared_names(run["table"])
    text = json.dumps([*parts, *map(run.get, names)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _on_paper_dataset(run: dict[str, Any]) -> bool:
    """Whether the rows name the dataset they were measured on, one of the paper's."""
    dataset = str(run.get("dataset"))
    rows = {row.rpartition(", ")[2] for row in run["schemes"]}
    return TABLES[run["table"]].compares_networks and dataset in COMPARED and rows == {dataset}


def _file_name(runs: list[dict[str, Any]]) -> str:
    """TABLE-PROFILE-DATASET-NETWORK of runs, with the number of seeds."""
    first, seeds = runs[0], len({run.get("seed") for run in runs})
    datasets = dict.fromkeys(Path(str(run.get("dataset"))).name for run in runs)
    parts = [first["table"], first.get("profile", "own"), "+".join(datasets)]
    if isinstance(first.get("backbone"), str):
        parts.append(first["backbone"])
    return "-".join([*parts, f"{seeds}seeds"] if seeds > 1 else parts).lower()


def _files(folder: str | Path, taken: Collection[str]) -> list[Path]:
    """``metrics.json`` of every job; one of those that ran again on the same images."""
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
    """A row for every scheme of a job."""
    run = read_json(path)
    rows = []
    for row, record in run["schemes"].items() if has_metrics(run) else ():
        values = {name: row_value(run, name, row) for name in RUN if name in run}
        for name, value in values.items():  # columns hold plain values
            values[name] = json.dumps(value) if isinstance(value, list | dict) else value
        rows.append({"job": path.parent.name, "row": row} | values | _flat(record))
    return rows


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Counts and ratios of a record, and the ends of its intervals."""
    values = {name: value for name, value in record.items() if name != "intervals"}
    values |= {name: math.nan for name in Counts.ratios if values.get(name, 0) is None}
    intervals = record.get("intervals") or {}
    for name in filter(Counts.ratios.__contains__, intervals):
        values[f"{name}_low"], values[f"{name}_high"] = intervals[name] or (math.nan, math.nan)
    return values
