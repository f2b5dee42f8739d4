"""The commands ``festkit zoo ...``."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from .._support.errors import InputError


@dataclass(frozen=True)
class Options:
    """Where a command runs.

    Attributes:
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """

    data_root: str | None = None
    device: str = "auto"
    threads: int | None = None


Runtime = tyro.conf.OmitArgPrefixes[Options]


def list_entries() -> None:
    """List the zoo: its entries, their metrics on their own test images, what is not yet trained.

    IoU, Pd and Score in percent, Fa in 1e-6, with adjustable sensitivity (BCE: without).
    """
    from ..zoo.listing import listing

    print(listing())
    print("\nminutes of wall-clock time; ~ is an estimate, for one CPU core and for an H100")


def train(
    entry: tyro.conf.Positional[str],
    runtime: Runtime = Options(),
    max_minutes: float | None = None,
    out: Path | None = None,
) -> None:
    """Train an entry of the zoo, and store its weights and card when it has finished.

    After an interrupt the same command continues. Weights that the entry has already (in
    FESTKIT_WEIGHTS, else the clone's weights) are replaced, and the difference is printed.

    Args:
        entry: as zoo list prints it.
        runtime: where it runs.
        max_minutes: minutes after which the run stops with a checkpoint.
        out: run folder; default runs/zoo/ENTRY.
    """
    from ..pretrained import find_entry, read_record
    from ..zoo.measure import largest_move
    from ..zoo.train import train_entry

    entry = find_entry(entry).name
    try:
        before = read_record(entry)
    except InputError:  # a damaged record is replaced like any other
        before = None
    stored = train_entry(entry, out=out, max_minutes=max_minutes, **vars(runtime))
    if stored is None:
        print(f"stopped after {max_minutes:g} minutes, the same command continues")
        return
    print(f"stored: {stored}")
    after = read_record(entry)
    if before is not None and after is not None:
        moved = f"{largest_move(before['test'], after['test']):.2f} points"
        print(f"{after['sha256'][:12]} replaces {before['sha256'][:12]}: metrics and ends of their")
        print(f"intervals differ by up to {moved}")


def store(
    entry: tyro.conf.Positional[str],
    run: tyro.conf.Positional[Path],
    runtime: Runtime = Options(),
    minutes: float | None = None,
) -> None:
    """Store a finished run of festkit train as an entry, measured again.

    Args:
        entry: as zoo list prints it.
        run: the run's folder, which is only read.
        runtime: where it is measured.
        minutes: wall-clock minutes of the training, if known.
    """
    from ..training.run import Run
    from ..zoo import train as zoo

    print(zoo.store(entry, Run(run), minutes=minutes, **vars(runtime)))


def evaluate(
    entry: tyro.conf.Positional[str],
    runtime: Runtime = Options(),
    dataset: str | None = None,
    write: bool = False,
) -> None:
    """Measure an entry, or the FEST of several, on the test images of any dataset.

    Args:
        entry: as zoo list prints it; nuaa-sirst/acm is the FEST of its sizes.
        runtime: where it runs.
        dataset: a known dataset or a folder; default the one it was trained on.
        write: keep the metrics as a record beside the weights; of known datasets only.
    """
    from ..pretrained import record_file
    from ..tables.render import record_table
    from ..zoo import measure

    record = measure.evaluate(entry, dataset, write=write, **vars(runtime))
    print(f"{record['entry']} on the test images of {record['dataset']}\n")
    print(record_table(record["test"]), end="")
    if write:
        print(record_file(record["entry"], record["dataset"]))


def verify(
    entries: tyro.conf.Positional[tuple[str, ...]] = (),
    runtime: Runtime = Options(device="cpu"),
) -> None:
    """Check the shipped files: checksum, card, network, and metrics if the dataset is there.

    Exits non-zero if a file differs from its record or the catalogue, or if a metric or an end of
    its interval differs by more than 0.05 points (percent, Fa in 1e-6).

    Args:
        entries: as zoo list prints them; default all that have files.
        runtime: where metrics are computed again.
    """
    from ..zoo import verify as zoo

    faults = 0
    for verdict in zoo.verify(entries, **vars(runtime)):
        faults += bool(verdict.fault)
        text = f"FAULT: {verdict.fault}" if verdict.fault else verdict.note
        print(f"{verdict.name}: {text}", flush=True)
    if faults:
        raise SystemExit(1)
