"""Check the shipped files: checksum, card, network, and metrics if the images are available."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from .._support.cpus import check_threads
from .._support.errors import FestkitError, InputError, MissingFileError
from .._support.files import sha256
from .._support.names import find_name
from ..metrics import Counts
from ..pretrained import (
    ENTRIES,
    FAMILIES,
    outdated,
    read_named,
    record_file,
    stored_files,
    trained,
    weights_dir,
    weights_file,
)
from ..weights import read_card
from .measure import Rows, is_available, largest_move, measure, open_entry, open_images
from .train import TOLERANCE, differences

GIVEN = ("th1", "th2", "images", "pixels", "targets", "true")
"""Numbers of a row that follow from thresholds and images alone, so that they must be equal."""


@dataclass(frozen=True)
class Verdict:
    """The result of checking one entry, or one measurement of it on another dataset.

    Attributes:
        name: path of the record relative to the weights folder, without suffix.
        fault: the error; empty if there is none.
        note: what was checked.

    Example:
        >>> Verdict("sky/acm-256", fault="", note="metrics reproduced").fault
        ''
    """

    name: str
    fault: str
    note: str


def verify(
    names: Sequence[str] = (),
    *,
    data_root: str | Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Iterator[Verdict]:
    """Check every shipped file, or those of some entries; yields one verdict per file.

    A record must match its entry in the catalogue, and its ratios must follow from its counts. The
    file must have the checksum of the record, contain the record as its card, and load into its
    network. If the test images are available, the metrics are computed again. Ratios and interval
    ends may differ by at most 0.05 points (percent; 1e-6 for Fa, which is less than one pixel of
    NUAA-SIRST). Intervals of older methods are not compared. Other processors sum in another order,
    which may move a pixel across a threshold; the note states the difference.

    Args:
        names: entries or families; default: all with files.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
        device: device of the evaluation.
        threads: number of CPU threads; default: one per idle CPU.

    Raises:
        ValueError: for an unknown name, or a wrong number of threads.
        FileNotFoundError: if there is nothing to verify.
    """
    check_threads(threads)
    known = [*ENTRIES, *FAMILIES]
    asked = [find_name("entry", name, known) for name in names] or known
    entries = [name for name in asked if name in trained() or record_file(name).is_file()]
    measured = {
        label: path for name in asked for label, path in stored_files(f"{name}.on-*.json").items()
    }
    unknown = [] if names else _unknown_files()
    if not (entries or measured or unknown):
        raise MissingFileError(f"no files to verify in {weights_dir()}; train an entry first")
    checks: dict[str, Callable[..., str]] = {name: partial(_check_entry, name) for name in entries}
    for label, path in measured.items():
        checks[label.removesuffix(".json")] = partial(_check_measurement, path)
    for number, (label, check) in enumerate(checks.items(), 1):
        options = {"data_root": data_root, "device": device, "threads": threads}
        try:
            yield Verdict(label, "", check(number=f"{number}/{len(checks)}", **options))
        except (FestkitError, OSError) as error:
            yield Verdict(label, str(error), "")
    for label in unknown:
        yield Verdict(label, "of no entry or FEST of the catalogue: remove it", "")


def _unknown_files() -> list[str]:
    """Files of weights or records of nothing in the catalogue."""
    known = {*ENTRIES, *FAMILIES}
    files = [*stored_files("**/*.safetensors"), *stored_files("**/*.json")]
    names = {file: file.rpartition(".")[0].partition(".on-")[0] for file in files}
    return sorted(file for file, name in names.items() if name not in known)


def _check_entry(name: str, **options: Any) -> str:
    """Check the files of an entry; return what was checked."""
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
        raise InputError("the card in the file differs from the record next to it")
    return _check_metrics(name, record, **options)


def _check_catalogue(name: str, record: dict[str, Any]) -> None:
    """Refuse a record of another entry or of another training."""
    entry = ENTRIES[name]
    wrong = differences(entry, record)
    for key, value in (("entry", name), ("initial_weights", entry.start)):
        if record.get(key) != value:
            wrong.append(f"{key} is {record.get(key)!r}, not {value!r}")
    if wrong:
        raise InputError(f"the record does not match {name}: {'; '.join(wrong)}")


def _check_measurement(path: Path, **options: Any) -> str:
    """Check a measurement on another dataset; return what was checked."""
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
        raise InputError(f"{reason}; to repeat: {record['command']}")
    return _check_metrics(name, record, **options)


def _check_counts(rows: Rows) -> None:
    """Refuse rows whose ratios do not follow from their counts."""
    for row in rows:
        counts = {field.name: row.get(field.name, 0) for field in fields(Counts)}
        counted = Counts(**counts).record()
        wrong = [name for name, value in counted.items() if row.get(name) != value]
        if wrong:
            raise InputError(f"{', '.join(wrong)} do not follow from the counts")


def _check_metrics(
    name: str,
    record: dict[str, Any],
    *,
    number: str,
    data_root: str | Path | None,
    device: str,
    threads: int | None,
) -> str:
    """Load the networks and, if the images are there, measure again."""
    _, fest, _ = open_entry(name, device, threads)
    if not is_available(record["dataset"], data_root):
        return "loads; metrics not checked: no dataset"
    with open_images(record["dataset"], data_root) as testset:
        same = testset.fingerprint == record["test_split"]
        rows = measure(fest, testset, label=f"{number} {name} on {testset.name}")
    wrong = [
        f"{key} is {row[key]}, not {recorded[key]}"
        for row, recorded in zip(rows, record["test"], strict=True)
        for key in GIVEN
        if row[key] != recorded[key]
    ]
    moved = largest_move(rows, record["test"])
    if moved > TOLERANCE:
        wrong.append(f"a metric differs from the card by {moved:.3f} points")
    if wrong and same:
        raise InputError("; ".join(wrong))
    if wrong:
        return f"loads; metrics not checked: other images of {testset.name} than the card's"
    files = "" if same else ", whose files are not the card's,"
    return f"loads; metrics on {testset.name}{files} differ by {moved:.3f} points"
