"""The command line: ``python -m festkit COMMAND``, installed as ``festkit``."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from ._names import find_name

if TYPE_CHECKING:
    from .jobs import Job


def demo(
    dataset: str = "synthetic",
    data_root: str | None = None,
    backbone: str = "ACM",
    sizes: tuple[int, int] = (256, 384),
    epochs: int = 12,
    seed: int = 0,
    preset: str = "easy",
    threads: int = 1,
    out: Path | None = None,
) -> None:
    """Train, fuse, refine, measure and draw: one whole FEST result from one command.

    Runs the notebook 00_quickstart headless. A backbone is trained at two sizes with the EEDM loss
    and once with plain BCE for comparison; interrupted, the command continues where it was.

    Args:
        dataset: "synthetic" makes scenes of its own; or a known dataset, or a folder.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        backbone: name of the backbone.
        sizes: sides of the two square network inputs in px.
        epochs: passes over the training images at the first size; the second takes half of them.
        seed: of scenes, initialisation and batches.
        preset: how hard the synthetic scenes are: easy, nuaa or hard.
        threads: CPU threads; small networks gain little from more, and lose on a busy machine.
        out: folder of everything that is written; default runs/demo, for another dataset
            runs/demo-DATASET.
    """
    from .jobs import run_notebook

    if out is None:
        named = "" if dataset == "synthetic" else f"-{Path(dataset).name.lower()}"
        out = Path("runs") / f"demo{named}"
    parameters = {
        "dataset": dataset,
        "data_root": None if data_root is None else str(Path(data_root).resolve()),
        "backbone": backbone,
        "sizes": list(sizes),
        "epochs": epochs,
        "seed": seed,
        "preset": preset,
        "threads": threads,
        "out": str(out.resolve()),
    }
    run_notebook("00_quickstart", parameters, out)
    print(f"\n{(out / 'table.txt').read_text(encoding='utf-8')}")
    written = {
        "00_quickstart.ipynb": "executed notebook",
        "00_quickstart.html": "the same as a page",
        "metrics.json": "every figure of the table",
        "fest.safetensors": "trained FEST, for FEST.load",
        "figure.png": "detections on a test scene",
    }
    for name, meaning in written.items():
        print(f"{out / name}  {meaning}")


def data_check(dataset: tyro.conf.Positional[str], data_root: str | None = None) -> None:
    """Check a dataset folder: counts, sizes, pairs, splits, masks, targets. Faults exit non-zero.

    Args:
        dataset: a known dataset, a folder, or several joined by +.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
    """
    from .data import check_dataset

    reports = [check_dataset(name, root=data_root) for name in dataset.split("+")]
    print("\n\n".join(map(str, reports)))
    if any(report.faults for report in reports):
        raise SystemExit(1)


def data_synth(
    folder: tyro.conf.Positional[str],
    train: int = 160,
    test: int = 40,
    size: int = 256,
    preset: str = "nuaa",
    seed: int = 0,
) -> None:
    """Make a dataset of synthetic infrared scenes with exact masks.

    Args:
        folder: where it is written.
        train: number of training scenes.
        test: number of test scenes.
        size: side of the square scenes in px.
        preset: how hard the scenes are: easy, nuaa or hard.
        seed: the same seed gives the same scenes.
    """
    from .scenes import make_synthetic_dataset

    print(
        make_synthetic_dataset(folder, train=train, test=test, size=size, preset=preset, seed=seed)
    )


def backbones() -> None:
    """List the backbones: parameters, multiply-accumulate operations, size divisor, paper.

    Published parameters are more where some of them reach no output; so are, in brackets, published
    operations.
    """
    from .backbones import backbone_card, list_backbones

    head = ("backbone", "parameters", "published", "GMAC 256²", "GMAC 512²", "n ×", "deep sup.")
    print("{:10} {:>12} {:>12} {:>16} {:>16} {:>4} {:>10}  paper".format(*head))
    for name in list_backbones():
        card = backbone_card(name)
        published = "–" if card.published_parameters is None else f"{card.published_parameters:,}"
        operations = [f"{macs / 1e9:.3f}" for macs in (card.macs_256, card.macs_512)]
        if card.published_macs is not None:
            pairs = zip(operations, card.published_macs, strict=True)
            operations = [f"{own} ({macs / 1e9:.3f})" for own, macs in pairs]
        print(
            f"{name:10} {card.parameters:>12,} {published:>12} {operations[0]:>16} "
            f"{operations[1]:>16} {card.divisor:>4} {'yes' if card.deep_supervision else 'no':>10}"
            f"  {card.paper}"
        )


def train_command() -> Callable[..., None]:
    """The command ``train``, whose options are the fields of TrainConfig."""
    from .plots import plot_history
    from .training import TrainConfig, train

    @dataclass(frozen=True)
    class NamedConfig(TrainConfig):
        __doc__ = TrainConfig.__doc__
        backbone: str = "ACM"

    def command(
        config: tyro.conf.OmitArgPrefixes[NamedConfig],
        resume: Literal["auto", "never"] = "auto",
        max_minutes: float | None = None,
    ) -> None:
        """Train one backbone at one input size; interrupted, it continues where it was.

        Args:
            config: what to train.
            resume: auto continues from the run's checkpoint, never starts afresh.
            max_minutes: after so many minutes the run ends with a checkpoint.
        """
        run = train(config, resume=resume, max_minutes=max_minutes)
        if os.environ.get("RANK", "0") != "0":  # one of several processes, the first of which tells
            return
        if run.finished:
            plot_history(run).savefig(run.folder / "curves.png", dpi=120)
            print(f"finished: {run.folder}")
        else:
            print(
                f"stopped after {max_minutes:g} minutes, the same command continues: {run.folder}"
            )

    return command


def tune(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    split: Literal["test", "holdout"] = "test",
    data_root: str | None = None,
    app: Literal["auto", "lab", "voila"] = "auto",
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Drag both thresholds of a trained run in the browser, until Ctrl-C.

    Opens the notebook 04_threshold_tuner on 127.0.0.1, with a token made for this one time.

    Args:
        runs: run folders; several, trained on the same images, are fused as the scales of a FEST.
        split: test, or holdout: the training images that were kept from training.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        app: lab opens the notebook in JupyterLab, voila shows the tuner alone; auto takes Voila
            where it is installed (pip install "festkit[app]").
        port: of the server; default a free one.
        browser: open the browser; else only the address is printed.
    """
    from .tuner.serve import serve

    serve(runs, split=split, data_root=data_root, app=app, port=port, open_browser=browser)


def tables_list() -> None:
    """List the tables of the paper: name, number, rows, what they hold."""
    from .results import list_paper_tables, paper_table

    for name in list_paper_tables():
        table = paper_table(name)
        print(f"{name:16} {table.attrs['label']:8} {len(table):2} rows  {table.attrs['caption']}")


def tables_show(
    name: tyro.conf.Positional[str],
    format: Literal["text", "markdown", "latex", "html"] = "text",
    ours: tuple[Path, ...] = (),
) -> None:
    """Print a table of the paper, with our own figures beside it if there are any.

    Args:
        name: as tables list names it, or its number.
        format: latex needs the packages booktabs and, with ours, graphicx; html is a whole page.
        ours: metrics.json of a run of the table's notebook, or its folder; several are seeds.
    """
    from .results import compare_files, paper_table, render_table

    table = paper_table(name)
    if ours:
        table = compare_files(ours, table)
    print(render_table(table, format), end="")


@dataclass(frozen=True)
class TablesPlan:
    """What is to be made.

    Attributes:
        table: what it holds, its number or its notebook (see tables list), fig5, fig7, or all.
        profile: smoke proves in minutes that everything runs; quick takes hours on a CPU; paper is
            the paper's recipe, for a GPU.
        dataset: names or folders; default synthetic scenes for smoke, NUAA-SIRST for quick, and for
            paper the paper's, with the union of the public sets for W-IRSTD.
        backbone: networks; default all eight where they are compared, else the profile's.
        seed: of trainings; several are averaged.
        folder: of all jobs; what is done there is not done again.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: where trainings run: auto, cpu or cuda.
        threads: CPU threads of a job.
    """

    table: tyro.conf.Positional[str]
    profile: Literal["smoke", "quick", "paper"] = "smoke"
    dataset: tuple[str, ...] = ()
    backbone: tuple[str, ...] = ()
    seed: tuple[int, ...] = (0,)
    folder: Path = Path("runs/tables")
    data_root: str | None = None
    device: str = "auto"
    threads: int = 1

    def jobs(self) -> "list[Job]":
        """The jobs that make it."""
        from .jobs import plan_jobs

        root = None if self.data_root is None else str(Path(self.data_root).resolve())
        return plan_jobs(
            self.table,
            self.profile,
            [str(Path(name).resolve()) if Path(name).is_dir() else name for name in self.dataset],
            backbones=self.backbone or None,
            seeds=self.seed,
            data_root=root,
            device=self.device,
            threads=self.threads,
        )


def tables_plan(plan: tyro.conf.OmitArgPrefixes[TablesPlan]) -> None:
    """List the jobs that make a table: what is done, and how long the rest will take."""
    _print_plan(plan.jobs(), plan.folder)


def tables_run(
    plan: tyro.conf.OmitArgPrefixes[TablesPlan],
    workers: int = 1,
    scheduler: str | None = None,
    max_minutes: float | None = None,
    dry_run: bool = False,
) -> None:
    """Make a table of the paper, or all: train what is missing, evaluate, print ours beside it.

    Whatever ends it, the same command continues.

    Args:
        plan: what is to be made.
        workers: jobs that run at the same time.
        scheduler: address of a Dask scheduler (tcp://...) whose workers run the jobs instead.
        max_minutes: minutes after which a job is stopped; the next run continues it.
        dry_run: only say what would be run, as tables plan does.
    """
    from .jobs import run_jobs
    from .results import render_table, save_gathered, save_paper_tables

    jobs = plan.jobs()
    if dry_run:
        _print_plan(jobs, plan.folder)
        return
    outcomes = run_jobs(
        jobs, plan.folder, workers=workers, scheduler=scheduler, max_minutes=max_minutes
    )
    save_gathered(plan.folder)
    done = [outcome.folder for outcome in outcomes if outcome.status == "done"]
    for table in save_paper_tables(done, plan.folder / "tables").values():
        print(render_table(table, "text"))
    for folder in done:
        if not folder.name.startswith("02_train"):
            print(next(folder.glob("*.html"), folder))
    print(f"{len(done)} of {len(jobs)} jobs done; tables in {plan.folder / 'tables'}")
    if len(done) < len(jobs):
        lost = [f"{each.key}: {each.reason}" for each in outcomes if each.status != "done"]
        raise RuntimeError("not all jobs are done; the same command continues\n" + "\n".join(lost))


def _print_plan(jobs: "list[Job]", folder: Path) -> None:
    from .jobs import estimate_minutes, unfinished

    left = unfinished(jobs, folder)
    minutes = estimate_minutes(jobs, folder)
    for job in jobs:
        known = minutes[job.key]
        left_over = "minutes unknown" if known is None else f"{known:.1f} minutes"
        state = left_over if job.key in left else "done"
        print(f"{job.key:34} {state:16} {job.title}")
    known_left = [value for key in left if (value := minutes[key]) is not None]
    unknown = len(left) - len(known_left)
    print(
        f"{len(jobs)} jobs, {len(jobs) - len(left)} done, {len(left)} left: about "
        f"{sum(known_left):.0f} minutes of one worker"
        + (f", and {unknown} of which nothing is known yet" if unknown else "")
    )


COMMANDS: dict[str, tuple[str, Callable[[], Callable[..., None]]]] = {
    "demo": ("one whole FEST result, on synthetic or real images", lambda: demo),
    "data check": ("check a dataset folder", lambda: data_check),
    "data synth": ("make a dataset of synthetic scenes", lambda: data_synth),
    "backbones": ("list the backbones", lambda: backbones),
    "train": ("train one backbone at one input size", train_command),
    "tables list": ("list the paper's tables", lambda: tables_list),
    "tables plan": ("list the jobs that make a table", lambda: tables_plan),
    "tables run": ("make tables of the paper: train, evaluate, compare", lambda: tables_run),
    "tables show": ("print a table of the paper, ours beside it", lambda: tables_show),
    "tune": ("drag the thresholds of a trained run in the browser", lambda: tune),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: command and options; None takes those of the process.

    Returns:
        Exit status: 0, 1 after an error, 2 for an unknown command.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0
    length = 2 if " ".join(words[:2]) in COMMANDS else 1
    name, options = " ".join(words[:length]), words[length:]
    if name not in COMMANDS:
        return _complain(name)
    try:
        tyro.cli(COMMANDS[name][1](), args=options, prog=f"festkit {name}")
    except KeyboardInterrupt:
        print(f"festkit {name}: interrupted; the same command continues", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        if os.environ.get("FESTKIT_TRACEBACK"):
            raise
        print(f"festkit {name}: {error}", file=sys.stderr)
        return 1
    return 0


def _help() -> str:
    lines = [f"  festkit {name:12} {meaning}" for name, (meaning, _) in COMMANDS.items()]
    return "\n".join(
        ["usage: festkit COMMAND [options]", "", *lines, "", "festkit COMMAND --help tells more."]
    )


def _complain(name: str) -> int:
    try:
        find_name("command", name, COMMANDS)
    except ValueError as error:
        print(f"festkit: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
