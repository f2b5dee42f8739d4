"""One table's figures written with what they were measured on, as the runs' records tell it."""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from .. import __version__
from .._support.errors import InputError
from .._support.files import atomic_write, read_json
from ..metrics import Counts
from ..training.stored_maps import RunMaps
from .compare import (
    compare_files,
    compare_with_paper,
    shared_names,
    thresholds_in_words,
    with_sizes,
)
from .paper import list_paper_tables, paper_table
from .records import has_figures, row_value, save_results
from .render import save_table
from .specs import COMPARED

PROTOCOLS = {
    "paper": "the test images chose the epoch",
    "holdout": "held-out training images chose the epoch",
    "last": "the last epoch was kept",
}

IMAGES = {"test": "test images", "holdout": "held-out training images"}

RECORD_FIELDS = ("backbone", "loss", "loss_options", "epochs", "protocol")
"""What is told as the records have it."""

PAPER_NETWORK, PAPER_IMAGES = "MSDA-Net", "W-IRSTD"
"""Of all of the paper's tables but the one that compares networks."""


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
    """Put ours beside the paper's, and write it: the table's files, and ``metrics.json``.

    Args:
        out: folder; every file appears in it whole.
        paper: as :func:`paper_table` returns it, or some of its rows.
        ours: by row the counts of every image.
        maps: what was counted, by row or the same for all.
        profile: what the runs cost: "smoke", "quick" or "paper".
        note: what the caption must say beyond that.
        more: further plain values for ``metrics.json``, or others than those of the runs; the
            caption says ``th1``, ``th2`` and ``rule`` where no column does. Thresholds that are
            columns of the table are written by row.

    Returns:
        As :func:`compare_with_paper`, with a column "our size" where the rows differ in it. It is
        in ``table.csv``, ``.md``, ``.tex`` and ``.html``, too.

    Raises:
        ValueError: as :func:`compare_with_paper` and :func:`save_results`.

    Example:
        >>> import json, tempfile
        >>> from festkit.training.run import Run
        >>> from festkit.data import load_dataset
        >>> from festkit.maps import open_maps
        >>> from festkit.results import paper_table
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
    told = describe_runs(maps, paper, profile=profile)
    parts = [told["measured"], thresholds_in_words(more, paper), note]
    told["measured"] = "; ".join(filter(None, parts))
    found = compare_with_paper(ours, paper, measured=told["measured"])
    if isinstance(told["sizes"], dict):
        found = with_sizes(found, {row: [size] for row, size in told["sizes"].items()})
    save_table(out, found, "table")
    told = {"table": paper.attrs["name"]} | told | _thresholds(found.loc[found["seeds"] > 0])
    save_results(out, ours, **(told | more))
    return found


def _thresholds(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """By row those that a table's columns name."""
    return {
        name: {str(row): None if pd.isna(value) else value for row, value in table[name].items()}
        for name in ("th1", "th2")
        if name in table
    }


def describe_runs(
    maps: RunMaps | Mapping[str, RunMaps], table: pd.DataFrame, *, profile: str
) -> dict[str, Any]:
    """What figures were measured on, from the runs' records: in words and as plain values.

    Args:
        maps: what was counted, by row or the same for all, on the same images.
        table: of the paper's, to say whether the figures can be compared with it.
        profile: what the runs cost.

    Returns:
        ``measured``, a caption's sentence; ``profile``, ``dataset``, ``split`` and ``fingerprint``
        of the images, ``seed``, or ``seeds`` where there are several, ``sizes`` as text such as
        "896+768+1024", ``backbone``, ``loss``, ``loss_options``, ``epochs`` and ``protocol`` (by
        row where rows differ), and ``versions``.

    Raises:
        ValueError: if no maps came.

    Example:
        >>> from festkit.data import Dataset
        >>> from festkit.results import paper_table
        >>> record = {"backbone": "MSDA-Net", "size": 512, "loss": "EEDM", "epochs": 300}
        >>> record |= {"seed": 0, "protocol": "paper", "initial_weights": None, "loss_options": {}}
        >>> maps = RunMaps("", (512,), Dataset("W-IRSTD", "test", ()), (), (record,))
        >>> describe_runs(maps, paper_table("th1"), profile="paper")["measured"]
        'MSDA-Net at 512 px, EEDM loss, on 0 test images of W-IRSTD; profile paper, 300 epochs, \
seed 0; the test images chose the epoch'
    """
    rows = {"": maps} if isinstance(maps, RunMaps) else dict(maps)
    if not rows:
        raise InputError("no maps came; pass those of at least one row")
    first = next(iter(rows.values()))
    seeds = _distinct("seed", rows)
    return {
        "measured": _measured(rows, table, profile),
        "profile": profile,
        "dataset": first.dataset.name,
        "split": first.split,
        "fingerprint": first.dataset.fingerprint,
        **({"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}),
        "sizes": _by_row({row: "+".join(map(str, each.sizes)) for row, each in rows.items()}),
        **{name: _said_saving(name, rows) for name in RECORD_FIELDS},
        "versions": {"festkit": __version__, "torch": torch.__version__},
    }


def _measured(rows: Mapping[str, RunMaps], table: pd.DataFrame, profile: str) -> str:
    first, losses = next(iter(rows.values())), _distinct("loss", rows)
    records = [record for maps in rows.values() for record in maps.records]
    scales = "+".join(map(str, first.sizes)) if len(rows) == 1 else _sizes(records)
    networks = ", ".join(_distinct("backbone", rows))
    seeds = _distinct("seed", rows)
    parts = [
        f"{networks} at {scales} px{f', {losses[0]} loss' if len(losses) == 1 else ''}, on "
        f"{len(first)} {IMAGES[first.split]} of {first.dataset.name}",
        f"profile {profile}, {_epochs(rows)}, seed{'s' * (len(seeds) > 1)} "
        + ", ".join(map(str, seeds)),
        *(PROTOCOLS[name] for name in _distinct("protocol", rows)),
    ]
    return "; ".join([*parts, *_reservations(first, table, _distinct("backbone", rows))])


def _epochs(rows: Mapping[str, RunMaps]) -> str:
    """How long, and which sizes did not start anew."""
    records = [record for maps in rows.values() for record in maps.records]
    anew = [record for record in records if record["initial_weights"] is None]
    further = [record for record in records if record["initial_weights"] is not None]
    if not further:
        return _length(anew)
    continued = f"{_length(further)} from another training's weights"
    if not anew:
        return continued
    return f"{_length(anew)} anew at {_sizes(anew)} px, {continued} at {_sizes(further)} px"


def _sizes(records: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(size) for size in sorted({record["size"] for record in records}))


def _length(records: Sequence[Mapping[str, Any]]) -> str:
    found = sorted({record["epochs"] for record in records})
    text = " to ".join(str(epochs) for epochs in dict.fromkeys([*found[:1], *found[-1:]]))
    return f"{text} epoch" if text == "1" else f"{text} epochs"


def _reservations(maps: RunMaps, table: pd.DataFrame, networks: Sequence[str]) -> list[str]:
    """Why ours are not comparable with the paper's, if so."""
    images = ", ".join(dict.fromkeys(table["dataset"])) if "dataset" in table else PAPER_IMAGES
    other = []
    if "backbone" not in table and set(networks) != {PAPER_NETWORK}:
        other.append("another network")
    if maps.dataset.name not in images.split(", ") or maps.split != "test":
        other.append("other images")
    theirs = f"the paper's {images}" if "dataset" in table else "the paper's"
    return [f"{' and '.join(other)} than {theirs}, so not comparable"] if other else []


def _distinct(name: str, rows: Mapping[str, RunMaps]) -> list[Any]:
    return list(dict.fromkeys(record[name] for maps in rows.values() for record in maps.records))


def _said_saving(name: str, rows: Mapping[str, RunMaps]) -> Any:
    """One value, or by row where rows differ; of scales that differ, joined by +."""
    values = {row: [record[name] for record in maps.records] for row, maps in rows.items()}
    return _by_row(
        {row: each[0] if _alike(each) else "+".join(map(str, each)) for row, each in values.items()}
    )


def _by_row(values: Mapping[str, Any]) -> Any:
    found = list(values.values())
    return found[0] if _alike(found) else dict(values)


def _alike(values: Sequence[Any]) -> bool:
    return bool(values) and all(value == values[0] for value in values)


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
        stale: by key, why a job is stale, as :func:`festkit.jobs.stale.check_done` tells it; given any,
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
        with atomic_write(path) as part:
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
        stale: by key, why a job is stale, as :func:`festkit.jobs.stale.check_done` tells it; captions
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
        {"job": path.parent.name, "row": row} | _said_gathered(run, row) | _flat(record)
        for row, record in (run["schemes"].items() if has_figures(run) else ())
    ]


def _said_gathered(run: dict[str, Any], row: str) -> dict[str, Any]:
    return {name: _cell(row_value(run, name, row)) for name in RUN if name in run}


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
