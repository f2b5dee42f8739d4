"""Are the shipped files what they say: checksum, card, network, and figures where images are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._entries import ENTRIES, FAMILIES
from .._files import read_json
from .._names import find_name
from .._shelf import read_record, sha256, shelf, trained, weights_file
from ..data import Dataset, load_dataset
from ..weights import read_card
from .measuring import largest_move, measure, open_entry
from .storing import TOLERANCE


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


def verify(
    names: Sequence[str] = (), *, data_root: str | Path | None = None, device: str = "cpu"
) -> Iterator[Verdict]:
    """Check every shipped file, or those of some entries, one verdict after the other.

    A file must have the checksum of its record, the record's card, and load into its network. Where
    the test images of the card are at hand, its figures are computed again; none may differ by more
    than 0.05 points, IoU, Pd and Score in percent and Fa in 1e-6 (less than one pixel of
    NUAA-SIRST, so that the counts must be equal there). The same program on the same kind of
    processor gives the same figures; another processor sums in another order, which may move a
    pixel across a threshold: the note says how far the figures are apart.

    Args:
        names: entries or families; none means all that have files.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        device: on which figures are computed again.

    Raises:
        ValueError: for an unknown name.
        FileNotFoundError: if there is nothing to verify.
    """
    known = [*ENTRIES, *FAMILIES]
    asked = [find_name("entry", name, known) for name in names] or known
    entries = [name for name in asked if name in trained() or read_record(name) is not None]
    measured = [path for name in asked for path in sorted(shelf().glob(f"{name}.on-*.json"))]
    if not entries and not measured:
        raise FileNotFoundError(f"there is nothing to verify in {shelf()}: no weights, no record")
    for name in entries:
        yield _check_entry(name, data_root, device)
    for path in measured:
        yield _check_measurement(path, data_root, device)


def _check_entry(name: str, data_root: str | Path | None, device: str) -> Verdict:
    record, path = read_record(name), weights_file(name)
    if record is None:
        return Verdict(name, "weights without a record", "")
    if not path.is_file():
        return Verdict(name, "", f"card only, {record['sha256'][:12]}: its weights are not shipped")
    if sha256(path) != record["sha256"]:
        fault = f"sha256 is {sha256(path)[:12]}, the record says {record['sha256'][:12]}"
        return Verdict(name, fault, "")
    try:
        if read_card(path) | {"sha256": record["sha256"]} != record:
            return Verdict(name, "the card in the file is not the record beside it", "")
        return _check_figures(name, name, record, data_root, device)
    except ValueError as error:
        return Verdict(name, str(error), "")


def _check_measurement(path: Path, data_root: str | Path | None, device: str) -> Verdict:
    label, record = path.relative_to(shelf()).with_suffix("").as_posix(), read_json(path)
    missing = [scale for scale in record["scales"] if scale not in trained()]
    if missing:
        return Verdict(label, "", f"not checked: no weights of {', '.join(missing)} here")
    if any(sha256(weights_file(name)) != digest for name, digest in record["scales"].items()):
        return Verdict(label, f"measured with other weights; again: {record['command']}", "")
    return _check_figures(label, record["entry"], record, data_root, device)


def _check_figures(
    label: str, name: str, record: dict[str, Any], data_root: str | Path | None, device: str
) -> Verdict:
    """Load the networks and, where the images are here, measure again."""
    _, fest, _ = open_entry(name, device)
    testset = _images_of(record, data_root)
    if testset is None:
        return Verdict(label, "", "loads; figures not checked: no dataset")
    if testset.fingerprint != record["test_split"]:
        note = f"loads; figures not checked: other images of {testset.name} than the card's"
        return Verdict(label, "", note)
    moved = largest_move(measure(fest, testset), record["test"])
    if moved > TOLERANCE:
        return Verdict(label, f"a figure differs from the card by {moved:.3f} points", "")
    return Verdict(label, "", f"loads; figures on {testset.name} differ by {moved:.3f} points")


def _images_of(record: dict[str, Any], data_root: str | Path | None) -> Dataset | None:
    try:
        return load_dataset(record["dataset"], "test", root=data_root)
    except (FileNotFoundError, ValueError):
        return None
