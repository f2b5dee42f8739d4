"""The commands ``festkit zoo ...``."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from .._support.errors import InputError


@dataclass(frozen=True)
class Options:
    """Data folder, device and threads.

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
    """List the entries of the zoo, with their metrics on their own test images.

    IoU, Pd and Score are in percent, Fa in 1e-6, with adjustable sensitivity (BCE: without).
    """
    from ..zoo.listing import listing

    print(listing())
    print("\nminutes are wall-clock time; ~ marks estimates, for one CPU core and for an H100")


def train(
    entry: tyro.conf.Positional[str],
    runtime: Runtime = Options(),
    max_minutes: float | None = None,
    out: Path | None = None,
) -> None:
    """Train an entry of the zoo; when finished, store its weights and card.

    After an interrupt the same command resumes. Existing weights of the entry (in FESTKIT_WEIGHTS,
    else the weights folder of the clone, else the user's cache) are replaced, and the change of the
    metrics is printed.

    Args:
        entry: name of the entry as printed by zoo list.
        runtime: data folder, device and threads.
        max_minutes: time limit in minutes; the run then stops with a checkpoint.
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
        print(f"stopped after {max_minutes:g} minutes; run the same command to continue")
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
    """Store a finished run of festkit train as an entry, and evaluate it again.

    Args:
        entry: name of the entry as printed by zoo list.
        run: folder of the run; it is not modified.
        runtime: data folder, device and threads.
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
    """Evaluate an entry, or the FEST of several, on the test images of a dataset.

    Args:
        entry: name as printed by zoo list; nuaa-sirst/acm is the FEST of its sizes.
        runtime: data folder, device and threads.
        dataset: a known dataset or a folder; default: the training dataset.
        write: store the metrics as a record next to the weights; for known datasets only.
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
    """Check the shipped files: checksum, card, network, and metrics if the dataset is available.

    Exits with status 1 if a file differs from its record or the catalogue, or if a metric or an end
    of its interval differs by more than 0.05 points (percent, Fa in 1e-6).

    Args:
        entries: names as printed by zoo list; default all entries with files.
        runtime: data folder, device and threads.
    """
    from ..zoo import verify as zoo

    faults = 0
    for verdict in zoo.verify(entries, **vars(runtime)):
        faults += bool(verdict.fault)
        text = f"FAULT: {verdict.fault}" if verdict.fault else verdict.note
        print(f"{verdict.name}: {text}", flush=True)
    if faults:
        raise SystemExit(1)
