"""Probability maps of a table: from given runs, shipped weights or new trainings."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._support.errors import InputError
from .._support.files import write_json
from .._support.progress import progress
from ..data.dataset import load_dataset
from ..fest import FEST
from ..pretrained import find_family, read_record, required_file
from ..training.config import current_names
from ..training.run import Run
from ..training.stored_maps import RunMaps
from .runs import open_rows
from .specs import find_table, paper_dataset, table_trainings
from .trainings import make_scenes, train_all

SHIPPED = "shipped"
"""The profile that trains nothing: weights of the zoo, trained on NUAA-SIRST."""

SCENES: Mapping[str, Any] = {"train": 0, "test": 24, "size": 256, "preset": "nuaa"}
"""Synthetic scenes on which shipped weights are shown."""


MEASURED = ("test", "holdout", "thresholds", "measured", "minutes", "sha256", "checksum")
"""What a card says of its own images and file."""


def open_table(
    table: str,
    profile: str,
    out: str | Path,
    *,
    dataset: str | Path = "synthetic",
    runs: Mapping[str, Sequence[Run | str | Path]] | None = None,
    backbone: str | Sequence[str] | None = None,
    split: str = "test",
    seed: int = 0,
    data_root: str | Path | None = None,
    threads: int | None = None,
    entries: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, RunMaps]:
    """Open the maps of every row of a table; missing ones are trained or computed first.

    Args:
        table: name, number or notebook, such as "th1".
        profile: "shipped" uses the weights that come with festkit; "smoke", "quick" and "paper"
            train.
        out: folder of scenes, trainings and maps.
        dataset: name or folder; "synthetic" makes scenes.
        runs: finished runs by row; if given, nothing is trained.
        backbone: a network, or several; None takes ACM for "shipped", else the profile's.
        split: "test" or "holdout".
        seed: random seed of scenes and trainings.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        threads: CPU threads; None takes one per idle CPU.
        entries: for "shipped", entries of the zoo by row; None takes those of the paper's sizes.

    Raises:
        ValueError: for an unknown table, profile or network, or runs that do not fit the rows.
        FileNotFoundError: for missing weights or images.

    Example:
        >>> open_table("th1", "shipped", "runs/th1")["fused"].title  # doctest: +SKIP
        'ACM 512 + 768 on scenes, test images'
    """
    spec = find_table(table)
    if dataset == "synthetic":
        dataset = _scenes(profile, Path(out), seed)
    backbones = [backbone] if isinstance(backbone, str) else backbone
    if runs is None and profile == SHIPPED:
        place: Any = {"root": data_root, "threads": threads}
        entries = entries or _shipped_rows(spec.name, backbones or ["ACM"])
        runs = {
            row: [shipped_run(entry, dataset, Path(out) / SHIPPED, **place) for entry in own]
            for row, own in entries.items()
        }
    elif runs is None:
        name = load_dataset(dataset, "test", root=data_root).name
        rows = table_trainings(spec.name, profile, backbones=backbones, dataset=name)
        runs = train_all(
            rows, dataset, Path(out) / "runs", seed=seed, data_root=data_root, threads=threads
        )
    return open_rows(spec.name, runs, split=split, dataset=dataset, root=data_root)


def _scenes(profile: str, out: Path, seed: int) -> Path:
    if profile != SHIPPED:
        return make_scenes(out, profile, seed=seed)
    from ..scenes import make_synthetic_dataset  # noqa: PLC0415 - `tables list` needs no scenes

    return make_synthetic_dataset(out / "scenes", seed=seed, **SCENES)


def _shipped_rows(table: str, backbones: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Entries of the zoo by row of a table."""
    families = [find_family(backbone, paper_dataset("NUAA-SIRST")) for backbone in backbones]
    if find_table(table).fused:
        return {"fused": families[0].scales}
    if not find_table(table).compares_networks:
        raise InputError(f"no weights are shipped for the table {table}; use another profile")
    rows: dict[str, tuple[str, ...]] = {}
    for each in families:
        if each.original is None:
            raise InputError(
                f"no weights shipped for the Original of {each.backbone}; choose other backbones"
            )
        schemes = {"Original": (each.original,), "LW-FEST": (each.light,), "FEST": each.scales}
        rows |= {f"{each.backbone}, {name}, NUAA-SIRST": own for name, own in schemes.items()}
    return rows


def shipped_run(
    entry: str,
    dataset: str | Path,
    out: str | Path,
    *,
    root: str | Path | None = None,
    threads: int | None = None,
) -> Run:
    """A run folder of a shipped entry, with its probability maps of a dataset's test images.

    It can be used like any finished run. Maps that already exist are not recomputed.

    Args:
        entry: entry of the zoo, such as "nuaa-sirst/acm-512-eedm".
        dataset: name or folder of the dataset.
        out: parent folder; the run folder is named after the entry.
        root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        threads: CPU threads; None takes one per idle CPU.

    Raises:
        FileNotFoundError: if the weights or the dataset are missing.

    Example:
        >>> shipped_run("nuaa-sirst/acm-512-eedm", "NUAA-SIRST", "runs")  # doctest: +SKIP
        Run('runs/nuaa-sirst-acm-512-eedm')
    """
    images = load_dataset(dataset, "test", root=root)
    weights = required_file(entry)
    run = Run(Path(out) / entry.replace("/", "-"))
    card = current_names(read_record(entry) or {})
    own = {name: value for name, value in card.items() if name not in MEASURED}
    record = own | {"dataset": images.name, "test_split": images.fingerprint, "entry": entry}
    if run.finished and run.record == record:
        return run
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "record.json").unlink(missing_ok=True)
    shutil.copy2(weights, run.weights)
    fest = FEST.from_weights([weights])
    fest.threads = threads
    samples = progress(images, entry, unit="image")
    run.write_maps("test", {each.name: fest.probability(each.image) for each in samples})
    if Path(dataset).is_dir():
        folder = str(Path(dataset).resolve())
        write_json(run.folder / "config.json", {"dataset": images.name, "dataset_folder": folder})
    write_json(run.folder / "record.json", record)  # last: it makes the run a finished one
    return run
