"""The jobs that make a table of the paper; tables share their trainings."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from .._support.errors import InputError
from .._support.names import check_several, find_name
from ..data.catalogue import list_datasets
from ..jobs.job import SYNTHETIC, Job, Output, topological_order
from ..jobs.parameters import find_notebook, read_notebook
from ..pretrained import UNION
from .specs import COMPARED, TABLES, TableSpec, find_table, table_trainings
from .trainings import Training, find_profile

DEVICES = ("auto", "cpu", "cuda", "mps")


def plan_jobs(
    table: str,
    profile: str = "smoke",
    datasets: Sequence[str] | None = None,
    *,
    backbones: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    data_root: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> list[Job]:
    """The jobs that make a table: scenes, trainings, and the table's notebook.

    Args:
        table: name, number or notebook (Table 1 to 6, fig5, fig7), or "all".
        profile: "smoke", "quick" or "paper": see ``festkit.tables.trainings.PROFILES``.
        datasets: names or folders. Default: synthetic scenes for smoke, NUAA-SIRST for quick, and
            the paper's datasets for paper, with the union of the three public sets instead of
            W-IRSTD.
        backbones: networks. Default: all eight for the table that compares networks, and the
            network of the profile for the others.
        seeds: random seeds of the trainings, on the same images; every seed makes its own table.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: device of the trainings.
        threads: CPU threads per job; default: one per CPU that is idle when the job starts.

    Returns:
        The jobs, each after the jobs it depends on; tables share their trainings.

    Raises:
        ValueError: for an unknown table, profile, network, dataset or device; for a string instead
            of a list; or if ``seeds`` is empty.

    Example:
        >>> [job.key.partition("-")[0] for job in plan_jobs("losses")]
        ['01_data', '02_train', '02_train', '02_train', '02_train', '02_train', '02_train', \
'table2_losses']
    """
    runtime = {"data_root": data_root, "threads": threads}
    find_profile(profile)
    check_several(datasets=datasets, backbones=backbones)
    if not seeds:
        raise InputError("seeds is empty, expected at least one, such as (0,)")
    if device.partition(":")[0] not in DEVICES:
        raise InputError(f"device is {device!r}, expected one of {', '.join(DEVICES)}, or cuda:N")
    jobs: list[Job] = []
    for spec in TABLES.values() if table == "all" else [find_table(table)]:
        one = backbones and table == "all" and not spec.compares_networks
        networks = backbones[:1] if backbones and one else backbones
        given = map(_dataset_name, datasets or _default_datasets(spec, profile))
        for dataset, seed in product(given, seeds):
            rows = table_trainings(spec.name, profile, backbones=networks, dataset=dataset)
            images = _images(dataset, profile, runtime)
            common = {"profile": profile, "dataset": images, "seed": seed} | runtime
            runs = {
                row: [_run(each, common, device) for each in scales] for row, scales in rows.items()
            }
            jobs.append(Job(spec.notebook, common | {"runs": runs}))
            if table == "all" and spec.compares_networks:
                jobs += _notebooks_without_table(common, runs)
    return list(topological_order(jobs).values())


def _default_datasets(spec: TableSpec, profile: str) -> tuple[str, ...]:
    """The datasets of a profile."""
    if profile == "paper":
        return COMPARED if spec.compares_networks else (UNION,)
    return (SYNTHETIC,) if profile == "smoke" else ("NUAA-SIRST",)


def _dataset_name(dataset: str) -> str:
    """The catalogue's spelling of a dataset; folders and synthetic scenes as they are."""
    if dataset == SYNTHETIC or Path(dataset).is_dir():
        return dataset
    names = [find_name("dataset", name.strip(), list_datasets()) for name in dataset.split("+")]
    return "+".join(names)


def _images(dataset: str, profile: str, runtime: dict[str, Any]) -> str | Output:
    """A dataset, or the synthetic scenes that the job of 01_data makes."""
    if dataset != SYNTHETIC:
        return dataset
    return Output(Job("01_data", {"scenes": profile} | _accepted("01_data", runtime)), "scenes")


def _run(training: Training, common: dict[str, Any], device: str) -> Output:
    """The run folder of the job of a training."""
    options = dict(training.options) | {"device": device}
    if training.loss_options:
        options["loss_options"] = dict(training.loss_options)
    if training.start:
        first = _run(training.start, common, device).job
        options["initial_weights"] = Output(first, "run/weights.safetensors")
    own = {name: getattr(training, name) for name in ("backbone", "size", "loss")}
    return Output(Job("02_train", own | {"train_options": options} | common), "run")


def _notebooks_without_table(common: dict[str, Any], runs: dict[str, list[Output]]) -> list[Job]:
    """03_fuse_and_refine of the first network, and 01_data unless it made the scenes."""
    network = next(iter(runs)).partition(",")[0]
    own = {row: scales for row, scales in runs.items() if row.startswith(f"{network},")}
    story = Job("03_fuse_and_refine", common | {"runs": own, "backbone": network})
    if isinstance(common["dataset"], Output):
        return [story]
    images = {name: value for name, value in common.items() if name != "seed"}  # 01_data: of scenes
    return [story, Job("01_data", _accepted("01_data", images))]


def _accepted(notebook: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Those of the parameters that a notebook takes."""
    known = read_notebook(find_notebook(notebook)).parameters
    return {name: value for name, value in parameters.items() if name in known}
