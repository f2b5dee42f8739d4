"""The commands ``festkit tables ...``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from .._support.errors import FestkitError, MissingFileError, ProcessError

if TYPE_CHECKING:
    from ..jobs.job import Job


def list_tables() -> None:
    """List the paper's tables and figures: name, number, rows, what they hold."""
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
    """Print a table of the paper, with our own metrics if there are any.

    Args:
        name: as tables list prints it, or its number.
        format: latex needs the packages booktabs and, with ours, graphicx; html is a whole page.
        ours: metrics.json of runs of the table's notebook, or their folders, one per seed.
    """
    from ..tables.compare import compare_files
    from ..tables.paper import paper_table
    from ..tables.render import render_table

    table = paper_table(name)
    print(render_table(compare_files(ours, table) if ours else table, format), end="")


@dataclass(frozen=True)
class Request:
    """Which tables to make, and how.

    Attributes:
        table: name, number or notebook (see tables list), fig5, fig7, or all.
        profile: smoke shows in minutes that everything runs; quick takes hours on a CPU; paper is
            the paper's recipe, for a GPU.
        dataset: names or folders; default synthetic scenes for smoke, NUAA-SIRST for quick, and for
            paper the paper's, with the union of the public sets for W-IRSTD.
        backbone: networks; default all eight where they are compared, else the profile's.
        seed: of trainings; several are averaged.
        folder: of all jobs; finished jobs are skipped.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: where trainings run: auto, cpu, cuda, cuda:N or mps.
        threads: CPU threads of a job; default one per CPU that is idle when it starts.
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
        """The jobs that make them."""
        from ..tables.plan import plan_jobs

        root = None if self.data_root is None else str(Path(self.data_root).resolve())
        datasets = [str(Path(n).resolve()) if Path(n).is_dir() else n for n in self.dataset]
        return plan_jobs(
            self.table, self.profile, datasets, backbones=self.backbone or None, seeds=self.seed,
            data_root=root, device=self.device, threads=self.threads,
        )  # fmt: skip


def plan(plan: tyro.conf.OmitArgPrefixes[Request]) -> None:
    """List the jobs that make a table, which are done, and how long the others will take.

    Times are estimated from similar jobs that are done in the folder.
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
    """Make a table of the paper, or all: train, evaluate, compare with the paper.

    After an interrupt or a failure the same command continues. Jobs are stale if they ran with
    another version or other code of the kit, or on other images; they are listed and run again,
    and their folders stay.

    Args:
        plan: which tables to make.
        workers: number of parallel jobs.
        scheduler: address of a Dask scheduler (tcp://...) whose workers run the jobs instead.
        max_minutes: minutes after which a job is stopped; the next run continues it.
        dry_run: only list the jobs, as tables plan does.
        keep_stale: use stale jobs as they are; the tables say so.
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
        raise ProcessError(f"not all jobs are done; the same command continues{''.join(missing)}")


def _checked(plan: Request, *, keep_stale: bool) -> "tuple[list[Job], dict[str, str]]":
    """The jobs of a plan, and why done jobs are stale, by key, after printing it."""
    from ..jobs.stale import check_done

    jobs, stale = check_done(plan.jobs(), plan.folder, keep_stale=keep_stale)
    for key, why in stale.items():
        print(f"{key} is stale: {why}")
    if stale and keep_stale:
        print("stale jobs are used as they are; the tables say so")
    elif stale:
        print("stale jobs are run again under new keys; tables run --keep-stale uses them")
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
