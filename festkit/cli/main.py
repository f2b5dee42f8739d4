"""The command line: ``python -m festkit COMMAND``, installed as ``festkit``."""

import os
import platform
import select
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from .. import __version__
from .._support.errors import FestkitError, InputError, MemoryLimitError
from .._support.files import write_utf8
from .._support.names import find_name
from . import predict as own
from . import tables, zoo

if TYPE_CHECKING:
    from ..training.run import Run

_FORMAT_WITH_PLACE = warnings.formatwarning


def demo(
    dataset: str = "synthetic",
    data_root: str | None = None,
    backbone: str = "ACM",
    sizes: tuple[int, int] = (256, 384),
    epochs: int = 12,
    seed: int = 0,
    preset: str = "easy",
    threads: int | None = None,
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
        threads: CPU threads; default one per idle CPU.
        out: folder of everything that is written; default runs/demo, for another dataset
            runs/demo-DATASET.
    """
    _check_demo(dataset, data_root, backbone, sizes, epochs, preset, threads)
    from ..jobs.execute import run_notebook

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


def _check_demo(
    dataset: str,
    data_root: str | None,
    backbone: str,
    sizes: tuple[int, int],
    epochs: int,
    preset: str,
    threads: int | None,
) -> None:
    """Refuse before a kernel starts, and before anything is written, what would fail in it."""
    from .._support.devices import check_threads
    from ..data.dataset import load_dataset
    from ..scenes import PRESETS
    from ..training.config import check_size

    for size in sizes:
        check_size(size, backbone)
    if sizes[0] >= sizes[1]:
        raise InputError(f"sizes are {sizes[0]} and {sizes[1]} px, expected the larger one second")
    if epochs < 2:
        raise InputError(f"epochs is {epochs}, expected at least 2")
    check_threads(threads)
    find_name("preset", preset, PRESETS)
    if dataset != "synthetic":
        for split in ("train", "test"):
            load_dataset(dataset, split, root=data_root)


def draw_pretrained(path: Path) -> None:
    """What shipped weights, trained on real images, see in a made scene."""
    from .._support.files import atomic_write
    from ..fest import FEST
    from ..metrics import count
    from ..plots import show
    from ..scenes import make_scene

    try:
        fest = FEST.from_pretrained("ACM", "NUAA-SIRST")
    except FileNotFoundError as error:
        print(f"no picture of shipped weights: {error}")
        return
    scene = make_scene(21, size=512, family="cloud", targets=4)
    detection = fest.predict(scene.image)
    found = count(detection.mask, scene.mask)
    with atomic_write(path) as part:
        show(scene.image, detection, scene.mask).savefig(part, dpi=120, format="png")
    print(
        f"{path}  another scene, by the shipped weights of ACM, out of the box: "
        f"{found.detected} of {found.targets} targets, {found.false_pixels} false pixels"
    )


def data_check(dataset: tyro.conf.Positional[str], data_root: str | None = None) -> None:
    """Check a dataset folder: counts, sizes, pairs, splits, masks, targets. Faults exit non-zero.

    Args:
        dataset: a known dataset, a folder, or several joined by +.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
    """
    from ..data.catalogue import members_of
    from ..data.check import check_dataset

    reports = [check_dataset(name, root=data_root) for name in members_of(dataset)]
    print("\n\n".join(map(str, reports)))
    if any(report.faults for report in reports):
        raise SystemExit(1)


def data_split(folder: tyro.conf.Positional[Path], test: float = 0.2, seed: int = 0) -> None:
    """Draw train.txt and test.txt for a folder of images and masks that has no lists.

    Every image is drawn by itself: list frames of one sequence by hand, a sequence in one split.

    Args:
        folder: with images and masks in it; what has lists already is left as it is.
        test: share of the images for tests.
        seed: the same seed draws the same lists.
    """
    from ..data.dataset import split_dataset

    for path in split_dataset(folder, test=test, seed=seed):
        print(f"{path}: {len(path.read_text(encoding='utf-8').splitlines())} images")


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
    from ..scenes import make_synthetic_dataset

    print(
        make_synthetic_dataset(folder, train=train, test=test, size=size, preset=preset, seed=seed)
    )


def backbones() -> None:
    """List the backbones: parameters, multiply-accumulate operations, size divisor, paper.

    Published parameters are more where some of them reach no output; so are, in brackets, published
    operations.
    """
    from ..backbones import backbone_card, list_backbones

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
    from ..training.config import TrainConfig

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
            resume: auto continues from the run's checkpoint, never does without it; a finished run
                stays as it is, remove its folder to train it again.
            max_minutes: after so many minutes the run ends with a checkpoint.
        """
        from ..plots import plot_history
        from ..training.trainer import train

        run = train(config, resume=resume, max_minutes=max_minutes)
        if os.environ.get("RANK", "0") != "0":  # one of several processes, the first of which tells
            return
        if run.finished:
            plot_history(run).savefig(run.folder / "curves.png", dpi=120)
            print(f"finished: {run.folder}\n")
            tell_figures(run)
        else:
            command = "command" if resume == "auto" else "command without --resume never"
            print(
                f"stopped after {max_minutes:g} minutes, the same {command} continues: {run.folder}"
            )

    return command


def tell_figures(run: "Run") -> None:
    """A finished run's figures on its test images, and what can be done with it."""
    from ..zoo.results_page import HEAD, entry_lines, markdown_table

    print(markdown_table(["thresholds", *HEAD], entry_lines(run.record), keys=1))
    folder = shlex.quote(str(run.folder.absolute()))  # works from any folder
    print(
        f"next: festkit evaluate {folder} --dataset NAME; festkit tune {folder}; "
        f"festkit predict IMAGES --model {folder}"
    )


def tune(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    split: Literal["test", "holdout"] = "test",
    dataset: str | None = None,
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
        dataset: name or folder of the images; default those that the run was trained on.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        app: lab opens the notebook in JupyterLab, voila shows the tuner alone; auto takes Voila
            where it is installed (pip install "festkit[app]").
        port: of the server; default a free one.
        browser: open the browser; else only the address is printed.
    """
    from ..tuner.serve import serve

    images = {"dataset": dataset, "data_root": data_root}
    serve(runs, split=split, app=app, port=port, open_browser=browser, **images)


COMMANDS: dict[str, tuple[str, Callable[[], Callable[..., None]]]] = {
    "demo": ("one whole FEST result, on synthetic or real images", lambda: demo),
    "data check": ("check a dataset folder", lambda: data_check),
    "data split": ("draw the lists of a folder that has none", lambda: data_split),
    "data synth": ("make a dataset of synthetic scenes", lambda: data_synth),
    "backbones": ("list the backbones", lambda: backbones),
    "train": ("train one backbone at one input size", train_command),
    "evaluate": ("measure anything trained on any dataset", lambda: own.evaluate),
    "predict": ("find the targets of own images", lambda: own.predict),
    "tables list": ("list the paper's tables", lambda: tables.tables_list),
    "tables plan": ("list the jobs that make a table", lambda: tables.tables_plan),
    "tables run": ("make tables of the paper: train, evaluate, compare", lambda: tables.tables_run),
    "tables show": ("print a table of the paper, ours beside it", lambda: tables.tables_show),
    "zoo list": ("list the trained weights of the kit", lambda: zoo.zoo_list),
    "zoo train": ("train an entry of the zoo and store it", lambda: zoo.zoo_train),
    "zoo store": ("store a finished run as an entry", lambda: zoo.zoo_store),
    "zoo evaluate": ("measure an entry on any dataset", lambda: zoo.zoo_evaluate),
    "zoo verify": ("check the shipped weights and their figures", lambda: zoo.zoo_verify),
    "zoo results": ("write the page of results", lambda: zoo.zoo_results),
    "tune": ("drag the thresholds of a trained run in the browser", lambda: tune),
}

CONTINUING = {"demo", "train", "predict", "tables run", "zoo train"}
"""Commands that keep what they have done, so that the same command goes on after Ctrl-C."""

GROUPS = {name.partition(" ")[0] for name in COMMANDS if " " in name}

HELP = {"-h", "--help"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Errors that a user can mend, and those of the system, are one line; all others are bugs and
    print their traceback. ``--debug`` prints it for every error.

    Args:
        arguments: command and options; None takes those of the process.

    Returns:
        Exit status: 0, 1 after an error, 2 for an unknown command, 130 after Ctrl-C, 141 when who
        reads the output, such as ``head``, has seen enough.
    """
    write_utf8()
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]
    if words == ["--version"]:
        print(f"festkit {__version__}")
        return 0
    group = words[0] if words and words[0] in GROUPS else ""
    asked = not words or words[0] in HELP or (bool(group) and set(words[1:]) <= HELP)
    length = 2 if group else 1
    name, options = " ".join(words[:length]), words[length:]
    if not asked and name not in COMMANDS:
        return _complain(name)
    before, warnings.formatwarning = warnings.formatwarning, _format_warning
    try:
        if asked:
            print(_help(group))
        else:
            tyro.cli(COMMANDS[name][1](), args=options, prog=f"festkit {name}")
        sys.stdout.flush()
    except KeyboardInterrupt:
        kept = name in CONTINUING and "never" not in options  # --resume never
        goes_on = "; the same command continues" if kept else ""
        print(f"festkit {name}: interrupted{goes_on}", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_has_left():
            return 141
        _tell(name, error, debug="--debug" in given)
        return 1
    finally:
        warnings.formatwarning = before
    return 0


def _tell(name: str, error: Exception, *, debug: bool) -> None:
    """One line for an error that a user or the system can mend, else the traceback of a bug."""
    if isinstance(error, RuntimeError):
        from .._support.devices import is_out_of_memory

        if is_out_of_memory(error):
            line, _, _ = str(error).partition("\n")
            error = MemoryLimitError(
                f"{line}; use --tile or a smaller size, or --device cpu"
            ).with_traceback(error.__traceback__)
    of_system = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno)
    if isinstance(error, FestkitError) or of_system:
        if debug:
            traceback.print_exception(error)
        else:
            said = str(error) or "out of memory"
            print(f"festkit {name}: {said} (--debug shows where)", file=sys.stderr)
        return
    traceback.print_exception(error)
    print(
        f"festkit {name}: this is a bug in festkit {__version__}. Please report it where you got "
        f"festkit from, with your command, the lines above and this one: Python "
        f"{platform.python_version()}, {platform.platform()}",
        file=sys.stderr,
    )


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """A warning for users is one line; those for developers say where they arose."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return _FORMAT_WITH_PLACE(message, category, filename, lineno, line)


def _reader_has_left() -> bool:
    """Whether standard output is closed at its other end; then nothing more is written to it."""
    if not hasattr(select, "poll"):  # as on Windows
        return False
    poller = select.poll()
    poller.register(1, 0)
    left = any(event & select.POLLERR for _, event in poller.poll(0))
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return left


def _help(group: str) -> str:
    """The commands of a group, or all."""
    told = {n: meaning for n, (meaning, _) in COMMANDS.items() if n.startswith(group)}
    lines = [f"  festkit {name:12} {meaning}" for name, meaning in told.items()]
    return "\n".join(
        [
            "usage: festkit COMMAND [options]",
            "",
            *lines,
            "",
            "festkit COMMAND --help tells more, festkit --version the version. With --debug an",
            "error of any command prints its traceback.",
        ]
    )


def _complain(name: str) -> int:
    try:
        find_name("command", name, COMMANDS)
    except InputError as error:
        print(f"festkit: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
