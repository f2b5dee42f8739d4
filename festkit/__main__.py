"""The command line: ``python -m festkit COMMAND``, installed as ``festkit``."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ._names import find_name


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
    draw_pretrained(out / "pretrained.png")


def draw_pretrained(path: Path) -> None:
    """What shipped weights, trained on real images, see in a made scene."""
    from .fest import FEST
    from .plots import show
    from .scenes import make_scene

    try:
        fest = FEST.from_pretrained("ACM", "NUAA-SIRST")
    except FileNotFoundError as error:
        print(f"no picture of shipped weights: {error}")
        return
    scene = make_scene(21, size=512, family="cloud", targets=4)
    show(scene.image, fest.predict(scene.image), scene.mask).savefig(path, dpi=120)
    print(f"{path}  another scene, by the shipped weights of ACM, out of the box")


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


def zoo_list() -> None:
    """List the zoo: what is trained, its figures on its own test images, what is still to train.

    IoU, Pd and Score in percent, Fa in 1e-6, with adjustable sensitivity (BCE: without).
    """
    from .zoo import listing

    print(listing())


def zoo_train(
    entry: tyro.conf.Positional[str],
    max_minutes: float | None = None,
    out: Path | None = None,
    data_root: str | None = None,
    device: str = "auto",
) -> None:
    """Train an entry of the zoo and, when it has finished, store its weights and card.

    Args:
        entry: as zoo list names it; interrupted, the same command continues.
        max_minutes: after so many minutes the run ends with a checkpoint.
        out: run folder; default runs/zoo/ENTRY.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: cpu, cuda, mps, or auto.
    """
    from .zoo import train_entry

    stored = train_entry(
        entry, out=out, max_minutes=max_minutes, data_root=data_root, device=device
    )
    if stored is None:
        print(f"stopped after {max_minutes:g} minutes, the same command continues")
    else:
        print(f"stored: {stored}")


def zoo_store(
    entry: tyro.conf.Positional[str],
    run: tyro.conf.Positional[Path],
    minutes: float | None = None,
    data_root: str | None = None,
    device: str = "auto",
) -> None:
    """Store a finished run of festkit train as the entry that it is, measured anew.

    Args:
        entry: as zoo list names it.
        run: the run's folder; it is only read.
        minutes: how long the training took, if known.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: on which it is measured: cpu, cuda, mps, or auto.
    """
    from ._run import Run
    from .zoo import store

    print(store(entry, Run(run), minutes=minutes, data_root=data_root, device=device))


def zoo_evaluate(
    entry: tyro.conf.Positional[str],
    dataset: str | None = None,
    write: bool = False,
    data_root: str | None = None,
    device: str = "auto",
) -> None:
    """Measure an entry, or the FEST of several, on the test images of any dataset.

    Args:
        entry: as zoo list names it; nuaa-sirst/acm is the FEST of its sizes.
        dataset: a known dataset or a folder; default the one it was trained on.
        write: keep the figures as a record beside the weights, for zoo results.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: cpu, cuda, mps, or auto.
    """
    from .results import HEAD, entry_lines, markdown_table
    from .zoo import evaluate, write_evaluation

    record = evaluate(entry, dataset, data_root=data_root, device=device)
    print(f"{record['entry']} on the test images of {record['dataset']}\n")
    print(markdown_table(["thresholds", *HEAD], entry_lines(record), keys=1), end="")
    if write:
        print(write_evaluation(record))


def zoo_verify(
    entries: tyro.conf.Positional[tuple[str, ...]] = (),
    data_root: str | None = None,
    device: str = "cpu",
) -> None:
    """Check the shipped files: checksum, card, network, and figures where the images are at hand.

    Exits non-zero if a file is not what its record says, or a figure differs by more than 0.05
    points (IoU, Pd and Score in percent, Fa in 1e-6). Without the dataset figures are not checked.

    Args:
        entries: as zoo list names them; default all that have files.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: on which figures are computed again: cpu, cuda, mps, or auto.
    """
    from .zoo import verify

    faults = 0
    for verdict in verify(entries, data_root=data_root, device=device):
        faults += bool(verdict.fault)
        said = f"FAULT: {verdict.fault}" if verdict.fault else verdict.note
        print(f"{verdict.name}: {said}", flush=True)
    if faults:
        raise SystemExit(1)


def zoo_results(out: Path = Path("docs/results.md")) -> None:
    """Write the page of results from the records beside the weights; no dataset is needed.

    Args:
        out: the page.
    """
    from ._files import write_text
    from .results import results_page

    write_text(out, results_page())
    print(out)


COMMANDS: dict[str, tuple[str, Callable[[], Callable[..., None]]]] = {
    "demo": ("one whole FEST result, on synthetic or real images", lambda: demo),
    "data check": ("check a dataset folder", lambda: data_check),
    "data synth": ("make a dataset of synthetic scenes", lambda: data_synth),
    "backbones": ("list the backbones", lambda: backbones),
    "train": ("train one backbone at one input size", train_command),
    "tables list": ("list the paper's tables", lambda: tables_list),
    "tables show": ("print a table of the paper, ours beside it", lambda: tables_show),
    "zoo list": ("list the trained weights of the kit", lambda: zoo_list),
    "zoo train": ("train an entry of the zoo and store it", lambda: zoo_train),
    "zoo store": ("store a finished run as an entry", lambda: zoo_store),
    "zoo evaluate": ("measure an entry on any dataset", lambda: zoo_evaluate),
    "zoo verify": ("check the shipped weights and their figures", lambda: zoo_verify),
    "zoo results": ("write the page of results", lambda: zoo_results),
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
