"""Are the shipped files what they say: checksum, card, network, and figures where images are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from .._support.devices import check_threads
from .._support.errors import FestkitError, InputError, MissingFileError
from .._support.names import find_name
from ..metrics import Counts
from ..pretrained import (
    ENTRIES,
    FAMILIES,
    Entry,
    Family,
    family_of,
    fused_record,
    outdated,
    read_named,
    read_record,
    record_file,
    sha256,
    trained,
    weights_dir,
    weights_file,
)
from ..weights import read_card
from .measure import Rows, are_here, largest_move, measure, open_entry, open_images
from .train import TOLERANCE, differences

HEAD = ("entry", "FEST", "state", "IoU", "Pd", "Fa e-6", "Score", "MB", "minutes")


def listing() -> str:
    """One line per entry, in the order of training, then one per FEST that is begun.

    Figures are those of the record, on the test images of the entry's own dataset, with adjustable
    sensitivity at the card's thresholds (an entry for comparison, with BCE: without). Minutes are
    by the clock: measured, or "~" estimated on one CPU core and an H100.

    Example:
        >>> listing().split()[:3]
        ['entry', 'FEST', 'state']
    """
    rows = [HEAD, *map(_entry_row, ENTRIES.values())]
    rows += [_family_row(family) for family in FAMILIES.values() if _is_begun(family)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _entry_row(entry: Entry) -> tuple[str, ...]:
    record, family = read_record(entry.name), family_of(entry.name)
    without = entry.config.loss == "BCE"
    path = weights_file(entry.name)
    state = "trained" if path.is_file() else "card only" if record else "not trained"
    return (
        entry.name,
        family.name if family and entry.name in family.scales else "–",
        state,
        *_figures(record, 0 if without else 1),
        f"{path.stat().st_size / 1e6:.1f}" if path.is_file() else "–",
        _minutes(entry, record),
    )


def _is_begun(family: Family) -> bool:
    """Whether a FEST of several sizes has at least one of them."""
    return len(family.scales) > 1 and any(name in trained() for name in family.scales)


def _family_row(family: Family) -> tuple[str, ...]:
    here = sum(name in trained() for name in family.scales)
    record = fused_record(family)
    stale = record is not None and outdated(record)
    return (
        family.name,
        " + ".join(name.removeprefix(f"{family.name}-") for name in family.scales),
        f"{here} of {len(family.scales)} trained{', to be measured again' if stale else ''}",
        *_figures(None if stale else record, 1),
        "–",
        "–",
    )


def _figures(record: dict[str, Any] | None, row: int) -> tuple[str, ...]:
    if record is None:
        return ("–",) * 4
    found = record["test"][row]
    percent = [found["iou"], found["pd"], found["score"] if found["valid"] else None]
    iou, pd, score = ("–" if value is None else f"{100 * value:.2f}" for value in percent)
    return iou, pd, f"{1e6 * found['fa']:.2f}", score


def _minutes(entry: Entry, record: dict[str, Any] | None) -> str:
    if record is not None and record["minutes"] is not None:
        return f"{record['minutes']:.0f} {record['device']}"
    cpu = "" if entry.cpu_minutes is None else f"~{entry.cpu_minutes} cpu, "
    return f"{cpu}~{entry.gpu_minutes} H100"


GIVEN = ("th1", "th2", "images", "pixels", "targets", "true")
"""What a row of figures has from thresholds and images alone, so that it must be equal."""


@dataclass(frozen=True)
class Verdict:
    """What came out for one entry, or for one measurement of it on another dataset.

    Attributes:
        name: of the record, relative to the shelf, without ending.
        fault: what is wrong; empty if nothing is.
        note: what was seen.

    Example:
        >>> Verdict("sky/acm-256", fault="", note="figures reproduced").fault
        ''
    """

    name: str
    fault: str
    note: str


@dataclass(frozen=True)
class VerifyOptions:
    """Where a check is done.

    Attributes:
        number: which of all checks it is, as its progress bar tells.
        data_root: folder of the datasets.
        device: on which figures are computed.
        threads: CPU threads to compute with; None takes one per idle CPU.

    Example:
        >>> Place("1/2", None, "cpu").number
        '1/2'
    """

    number: str
    data_root: str | Path | None
    device: str
    threads: int | None = None


def verify(
    names: Sequence[str] = (),
    *,
    data_root: str | Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Iterator[Verdict]:
    """Check every shipped file, or those of some entries, one verdict after the other.

    A record must be of its entry in the catalogue, its ratios must follow from its counts, and the
    file must have its checksum, hold it as card, and load into its network. Where the test images
    of the card are at hand, its figures are computed again; no ratio and no end of its interval may
    differ by more than 0.05 points, percent and for Fa 1e-6 (less than one pixel of NUAA-SIRST, so
    that false pixels must be equal there). Intervals that a record has by another method than
    today's are not compared. The same program on the same kind of processor gives the same
    figures; another processor sums in another order, which may move a pixel across a
    threshold: the note says how far the figures are apart.

    Args:
        names: entries or families; none means all that have files.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: on which figures are computed again.
        threads: CPU threads to compute with; None takes one per idle CPU.

    Raises:
        ValueError: for an unknown name, or a wrong number of threads.
        FileNotFoundError: if there is nothing to verify.
    """
    check_threads(threads)
    known = [*ENTRIES, *FAMILIES]
    asked = [find_name("entry", name, known) for name in names] or known
    entries = [name for name in asked if name in trained() or record_file(name).is_file()]
    measured = [path for name in asked for path in sorted(weights_dir().glob(f"{name}.on-*.json"))]
    strangers = [] if names else _strangers()
    if not entries and not measured and not strangers:
        raise MissingFileError(
            f"there is nothing to verify in {weights_dir()}: no weights, no record"
        )
    checks: dict[str, Callable[[VerifyOptions], str]] = {
        name: partial(_check_entry, name) for name in entries
    }
    for path in measured:
        label = path.relative_to(weights_dir()).with_suffix("").as_posix()
        checks[label] = partial(_check_measurement, path)
    for number, (label, check) in enumerate(checks.items(), 1):
        options = VerifyOptions(f"{number}/{len(checks)}", data_root, device, threads)
        yield _verdict(label, partial(check, options))
    for path in strangers:
        label = path.relative_to(weights_dir()).as_posix()
        yield Verdict(label, "of no entry or FEST of the catalogue: remove it", "")


def _strangers() -> list[Path]:
    """Files of weights or records that belong to nothing in the catalogue."""
    known = {*ENTRIES, *FAMILIES}
    files = [*weights_dir().rglob("*.safetensors"), *weights_dir().rglob("*.json")]
    names = {p: p.relative_to(weights_dir()).with_suffix("").as_posix() for p in files}
    return sorted(p for p, name in names.items() if name.partition(".on-")[0] not in known)


def _verdict(label: str, check: Callable[[], str]) -> Verdict:
    """A check's note, or its fault; a damaged record is a fault like any other."""
    try:
        return Verdict(label, "", check())
    except (FestkitError, OSError) as error:
        return Verdict(label, str(error), "")


def _check_entry(name: str, options: VerifyOptions) -> str:
    if not record_file(name).is_file():
        raise InputError("weights without a record")
    record, path = read_named(record_file(name)), weights_file(name)
    _check_catalogue(name, record)
    _check_counts(record["test"])
    if not path.is_file():
        return f"card only, {record['sha256'][:12]}: its weights are not shipped"
    if sha256(path) != record["sha256"]:
        raise InputError(f"sha256 is {sha256(path)[:12]}, the record says {record['sha256'][:12]}")
    if read_card(path) | {"sha256": record["sha256"]} != record:
        raise InputError("the card in the file is not the record beside it")
    return _check_figures(name, record, options)


def _check_catalogue(name: str, record: dict[str, Any]) -> None:
    """Refuse a record of another entry, or of another training than the entry's."""
    entry = ENTRIES[name]
    wrong = differences(entry, record)
    for key, value in (("entry", name), ("initial_weights", entry.start)):
        if record.get(key) != value:
            wrong.append(f"{key} is {record.get(key)!r}, not {value!r}")
    if wrong:
        raise InputError(f"it is no record of {name}: {'; '.join(wrong)}")


def _check_measurement(path: Path, options: VerifyOptions) -> str:
    record = read_named(path)
    name, scales = record["entry"], record["scales"]
    if record_file(name, record["dataset"]) != path:
        raise InputError(f"it is a record of {name} on {record['dataset']}")
    _check_counts(record["test"])
    missing = [scale for scale in scales if scale not in trained()]
    if missing:
        return f"not checked: no weights of {', '.join(missing)} here"
    changed = [s for s, digest in scales.items() if sha256(weights_file(s)) != digest]
    reason = outdated(record) or (f"measured with other weights of {changed[0]}" if changed else "")
    if reason:
        raise InputError(f"{reason}; again: {record['command']}")
    return _check_figures(name, record, options)


def _check_counts(rows: Rows) -> None:
    """Refuse rows whose ratios do not follow from their counts."""
    for row in rows:
        counts = {field.name: row.get(field.name, 0) for field in fields(Counts)}
        counted = Counts(**counts).record()
        wrong = [name for name, value in counted.items() if row.get(name) != value]
        if wrong:
            raise InputError(f"{', '.join(wrong)} do not follow from the counts")


def _check_figures(name: str, record: dict[str, Any], options: VerifyOptions) -> str:
    """Load the networks and, where the images are here, measure again."""
    _, fest, _ = open_entry(name, options.device, options.threads)
    if not are_here(record["dataset"], options.data_root):
        return "loads; figures not checked: no dataset"
    with open_images(record["dataset"], options.data_root) as testset:
        same = testset.fingerprint == record["test_split"]
        rows = measure(fest, testset, label=f"{options.number} {name} on {testset.name}")
    wrong = [
        f"{key} is {row[key]}, not {told[key]}"
        for row, told in zip(rows, record["test"], strict=True)
        for key in GIVEN
        if row[key] != told[key]
    ]
    moved = largest_move(rows, record["test"])
    if moved > TOLERANCE:
        wrong.append(f"a figure differs from the card by {moved:.3f} points")
    if wrong and same:
        raise InputError("; ".join(wrong))
    if wrong:
        return f"loads; figures not checked: other images of {testset.name} than the card's"
    files = "" if same else ", whose files are not the card's,"
    return f"loads; figures on {testset.name}{files} differ by {moved:.3f} points"
