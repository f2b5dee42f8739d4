"""The commands ``festkit train`` and ``festkit backbones``."""

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import tyro

from ..training.config import TrainConfig

if TYPE_CHECKING:
    from ..training.run import Run


def backbones() -> None:
    """List the backbones: parameters, multiply-accumulate operations, size divisor, paper.

    Numbers of the published code (operations in brackets) are larger if some layers reach no
    output.
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


def detectors() -> None:
    """List the training-free detectors and their papers; evaluate and predict take the names."""
    from ..classical.registry import DETECTORS

    for name, (_, paper) in DETECTORS.items():
        print(f"{name:12} {paper}")


@dataclass(frozen=True)
class NamedConfig(TrainConfig):  # noqa: D101 - its docstring is the help
    __doc__ = TrainConfig.__doc__
    backbone: str = "ACM"


def train(
    config: tyro.conf.OmitArgPrefixes[NamedConfig],
    resume: Literal["auto", "never"] = "auto",
    max_minutes: float | None = None,
) -> None:
    """Train a backbone at one input size. After an interrupt the same command resumes.

    Args:
        config: configuration of the training.
        resume: auto continues from the run's checkpoint, never writes none. A finished run is kept;
            delete its folder to train it again.
        max_minutes: time limit in minutes; the run then stops with a checkpoint.
    """
    from ..plots import plot_history
    from ..training import trainer

    run = trainer.train(config, resume=resume, max_minutes=max_minutes)
    if os.environ.get("RANK", "0") != "0":  # of several processes the first one prints
        return
    if run.finished:
        plot_history(run).savefig(run.folder / "curves.png", dpi=120)
        print(f"finished: {run.folder}\n")
        print_metrics(run)
    else:
        command = "command" if resume == "auto" else "command without --resume never"
        print(
            f"stopped after {max_minutes:g} minutes; run the same {command} to continue:"
            f" {run.folder}"
        )


def print_metrics(run: "Run") -> None:
    """Print the test metrics of a finished run, and commands to use it."""
    from ..tables.render import record_table

    print(record_table(run.record["test"]))
    folder = shlex.quote(str(run.folder.absolute()))
    print(
        f"next: festkit evaluate {folder} --dataset NAME; festkit tune {folder}; "
        f"festkit predict IMAGES --model {folder}"
    )
