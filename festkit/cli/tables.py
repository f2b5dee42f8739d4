"""The commands ``festkit tables ...``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from .._support.errors import FestkitError, MissingFileError, ProcessError

if TYPE_CHECKING:
    from ..jobs.job import Job


def list_tables() -> None:
    """List the paper's tables and figures: name, number, rows, caption."""
    from ..backbones.paper import paper_numbers
    from ..tables.specs import TABLES

    for name, spec in TABLES.items():
        table = paper_numbers().get(name, {})
        rows = f"{len(table['rows']):2} rows " if table else "drawn in the paper, without numbers"
        print(f"{name:16} {spec.label:8} {rows} {table.get('caption', '')}".rstrip())


def show(
    name: tyro.conf.Positional[str],
    format: Literal["text", "markdown", "latex", "html"] = "text",
    ours: tuple[Path, ...] = (),
) -> None:
    """Print a table of the paper, next to our own metrics if they are given.

    Args:
        name: name of the table as printed by tables list, or its number.
        format: output format. latex needs the packages booktabs and, with ours, graphicx; html is a
            whole page.
        ours: metrics.json files (or their folders) of the table's notebook, one per seed.
    """
    from ..tables.compare import compare_files
    from ..tables.paper import paper_table
    from ..tables.render import render_table

    table = paper_table(name)
    print(render_table(compare_files(ours, table) if ours else table, format), end="")


@dataclass(frozen=True)
class Request:
    """Options of the tables.

    Attributes:
        table: name, number or notebook (see tables list), fig5, fig7, or all.
        profile: smoke checks within minutes that everything runs; quick takes hours on a CPU; paper
            is the paper's recipe, for a GPU.
        dataset: names or folders; default synthetic scenes for smoke, NUAA-SIRST for quick, and the
            paper's datasets for paper, with the union of the public sets instead of W-IRSTD.
        backbone: networks; default all eight for the table that compares them, else the network of
            the profile.
        seed: random seeds of the trainings; results are averaged over seeds.
        folder: folder of all jobs; finished jobs are skipped.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: device of the trainings: auto, cpu, cuda, cuda:N or mps.
        threads: CPU threads per job; default one per CPU that is idle when the job starts.
    """

    table: tyro.conf.Positional[str]
    profile: Literal["smoke", "quick", "paper"] = "smoke"
    dataset: tuple[str, ...] = ()
    backbone: tuple[str, ...] = ()
    seed: tuple[int, ...] = (0,)
    folder: Path = Path("runs/tables")
    data_root: str | None = None
    device: str = "auto"
    threads: int | None = None

    def jobs(self) -> "list[Job]":
        """The jobs of these tables."""
        from ..tables.plan import plan_jobs

        root = None if self.data_root is None else str(Path(self.data_root).resolve())
        datasets = [str(Path(n).resolve()) if Path(n).is_dir() else n for n in self.dataset]
        return plan_jobs(
            self.table, self.profile, datasets, backbones=self.backbone or None, seeds=self.seed,
            data_root=root, device=self.device, threads=self.threads,
        )  # fmt: skip


def plan(plan: tyro.conf.OmitArgPrefixes[Request]) -> None:
    """List the jobs of a table: which are done, and how long the others will take.

    Times are estimated from finished jobs of the same kind in the folder.
    """
    _print_plan(_checked(plan, keep_stale=False)[0], plan.folder)


def run(
    plan: tyro.conf.OmitArgPrefixes[Request],
    workers: int = 1,
    scheduler: str | None = None,
    max_minutes: float | None = None,
    dry_run: bool = False,
    keep_stale: bool = False,
) -> None:
    """Reproduce one table of the paper, or all: train, evaluate, compare.

    After an interrupt or a failure the same command resumes. A job is stale if the code, the
    notebook or the images have changed since it ran. Stale jobs are listed and run again; their old
    folders are kept.

    Args:
        plan: options of the tables.
        workers: number of parallel jobs.
        scheduler: address of a Dask scheduler (tcp://...) whose workers run the jobs instead.
        max_minutes: time limit per job in minutes; the next run resumes a stopped job.
        dry_run: only list the jobs, like tables plan.
        keep_stale: use the results of stale jobs; the tables mark them.
    """
    from ..jobs.schedule import run_jobs, unfinished
    from ..tables.render import render_table
    from ..tables.results import save_gathered, save_paper_tables

    jobs, stale = _checked(plan, keep_stale=keep_stale)
    if dry_run:
        _print_plan(jobs, plan.folder)
        return
    if scheduler is None and (missing := _missing_datasets(unfinished(jobs, plan.folder))):
        raise MissingFileError("\n".join(missing))
    outcomes = run_jobs(
        jobs, plan.folder, workers=workers, scheduler=scheduler, max_minutes=max_minutes
    )
    save_gathered(plan.folder, stale, [job.key for job in jobs])
    done = [outcome.folder for outcome in outcomes if outcome.status == "done"]
    for table in save_paper_tables(done, plan.folder / "tables", stale).values():
        print(render_table(table, "text"))
    for folder in done:
        if not folder.name.startswith("02_train"):
            print(folder / f"{folder.name.rpartition('-')[0]}.html")
    print(f"{len(done)} of {len(jobs)} jobs done; tables in {plan.folder / 'tables'}")
    missing = [f"\n{each.key}: {each.reason}" for each in outcomes if each.status != "done"]
    if missing:
        raise ProcessError(
            f"not all jobs are done; run the same command to continue{''.join(missing)}"
        )


def _checked(plan: Request, *, keep_stale: bool) -> "tuple[list[Job], dict[str, str]]":
    """The jobs of a plan, and why done jobs are stale, by key, after printing it."""
    from ..jobs.stale import check_done

    jobs, stale = check_done(plan.jobs(), plan.folder, keep_stale=keep_stale)
    for key, why in stale.items():
        print(f"{key} is stale: {why}")
    if stale and keep_stale:
        print("results of stale jobs are used and marked in the tables")
    elif stale:
        print("stale jobs run again under new keys; --keep-stale uses the old results")
    return jobs, stale


def _print_plan(jobs: "list[Job]", folder: Path) -> None:
    """Print every job with its time, the time left, and datasets that are missing."""
    from ..jobs.schedule import estimate_minutes, unfinished

    left, minutes = unfinished(jobs, folder), estimate_minutes(jobs, folder)
    for job in jobs:
        known = minutes[job.key]
        time = "" if known is None else f"{known:.1f} minutes"
        print(f"{job.key:34} {time if job.key in left else 'done':14} {job.title}")
    known_left = [value for key in left if (value := minutes[key]) is not None]
    unknown = len(left) - len(known_left)
    parts = [f"about {sum(known_left):.0f} minutes of one worker"] if known_left else []
    if unknown:
        parts.append(f"time unknown for {unknown}, since nothing like them is done here")
    state = f"{len(jobs)} jobs, {len(jobs) - len(left)} done, {len(left)} left"
    print(": ".join([state, "; ".join(parts)]) if parts else state)
    for line in _missing_datasets(left):
        print(line)


def _missing_datasets(jobs: "dict[str, Job]") -> list[str]:
    """The errors of opening the jobs' datasets, one per dataset."""
    from ..data.dataset import load_dataset

    parameters = [job.parameters for job in jobs.values()]
    named = [each for each in parameters if isinstance(each.get("dataset"), str)]
    errors = []
    for name, root in sorted({(each["dataset"], each.get("data_root")) for each in named}, key=str):
        try:
            load_dataset(name, "test", root=root)
        except FestkitError as error:
            errors.append(str(error))
    return errors
