"""The commands ``festkit zoo ...``."""

from pathlib import Path

import tyro

from .._support.errors import InputError


def zoo_list() -> None:
    """List the zoo: what is trained, its figures on its own test images, what is still to train.

    IoU, Pd and Score in percent, Fa in 1e-6, with adjustable sensitivity (BCE: without).
    """
    from ..zoo.verify import listing

    print(listing())
    print("\nminutes as measured by the clock; ~ is an estimate, for one CPU core and for an H100")


def zoo_train(
    entry: tyro.conf.Positional[str],
    max_minutes: float | None = None,
    out: Path | None = None,
    data_root: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Train an entry of the zoo and, when it has finished, store its weights and card.

    Weights of the entry that lie on the shelf (FESTKIT_WEIGHTS, else the clone's weights) are
    replaced; how far the figures are from theirs is told.

    Args:
        entry: as zoo list names it; interrupted, the same command continues.
        max_minutes: after so many minutes the run ends with a checkpoint.
        out: run folder; default runs/zoo/ENTRY.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """
    from ..pretrained import find_entry, read_record
    from ..zoo.measure import largest_move
    from ..zoo.train import train_entry

    entry = find_entry(entry).name
    try:
        before = read_record(entry)
    except InputError:  # a damaged record is replaced like any other
        before = None
    stored = train_entry(
        entry, out=out, max_minutes=max_minutes, data_root=data_root, device=device, threads=threads
    )
    if stored is None:
        print(f"stopped after {max_minutes:g} minutes, the same command continues")
    else:
        print(f"stored: {stored}")
        after = read_record(entry)
        if before is not None and after is not None:
            moved = largest_move(before["test"], after["test"])
            print(
                f"instead of {before['sha256'][:12]}, now {after['sha256'][:12]}: figures and ends "
                f"of their intervals differ by up to {moved:.2f} points"
            )


def zoo_store(
    entry: tyro.conf.Positional[str],
    run: tyro.conf.Positional[Path],
    minutes: float | None = None,
    data_root: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Store a finished run of festkit train as the entry that it is, measured anew.

    Args:
        entry: as zoo list names it.
        run: the run's folder; it is only read.
        minutes: how long the training took by the clock, if known.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: on which it is measured: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """
    from ..training.run import Run
    from ..zoo.train import store

    print(
        store(entry, Run(run), minutes=minutes, data_root=data_root, device=device, threads=threads)
    )


def zoo_evaluate(
    entry: tyro.conf.Positional[str],
    dataset: str | None = None,
    write: bool = False,
    data_root: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Measure an entry, or the FEST of several, on the test images of any dataset.

    Args:
        entry: as zoo list names it; nuaa-sirst/acm is the FEST of its sizes.
        dataset: a known dataset or a folder; default the one it was trained on.
        write: keep the figures beside the weights, for zoo results; of known datasets only.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """
    from ..pretrained import record_file
    from ..zoo.measure import evaluate
    from ..zoo.results_page import HEAD, entry_lines, markdown_table

    record = evaluate(
        entry, dataset, write=write, data_root=data_root, device=device, threads=threads
    )
    print(f"{record['entry']} on the test images of {record['dataset']}\n")
    print(markdown_table(["thresholds", *HEAD], entry_lines(record), keys=1), end="")
    if write:
        print(record_file(record["entry"], record["dataset"]))


def zoo_verify(
    entries: tyro.conf.Positional[tuple[str, ...]] = (),
    data_root: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> None:
    """Check the shipped files: checksum, card, network, and figures where the images are at hand.

    Exits non-zero if a file is not what its record or the catalogue says, or a figure or an end of
    its interval differs by more than 0.05 points (percent, Fa in 1e-6). Without the dataset figures
    are not measured again.

    Args:
        entries: as zoo list names them; default all that have files.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: on which figures are computed again: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """
    from ..zoo.verify import verify

    faults = 0
    for verdict in verify(entries, data_root=data_root, device=device, threads=threads):
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
    from .._support.files import write_text
    from ..zoo.results_page import results_page

    write_text(out, results_page())
    print(out)
