"""Describe the runs of a table from their records, in words and as values."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from .. import __version__
from .._support.errors import InputError
from .._support.names import counted
from ..training.stored_maps import RunMaps

PROTOCOLS = {
    "paper": "the test images chose the epoch",
    "holdout": "held-out training images chose the epoch",
    "last": "the last epoch was kept",
}

IMAGES = {"test": "test images", "holdout": "held-out training images"}

RECORD_FIELDS = ("backbone", "loss", "loss_options", "epochs", "protocol")
"""Copied from the records of the runs."""

PAPER_NETWORK, PAPER_IMAGES = "MSDA-Net", "W-IRSTD"
"""Of all of the paper's tables but the one that compares networks."""

Records = Sequence[Mapping[str, Any]]


def describe_runs(
    maps: RunMaps | Mapping[str, RunMaps], table: pd.DataFrame, *, profile: str
) -> dict[str, Any]:
    """Describe what was measured, from the records of the runs, in words and as JSON values.

    Args:
        maps: stored maps by row or the same for all rows, on the same images.
        table: table of the paper; it decides whether the metrics are comparable.
        profile: profile of the trainings.

    Returns:
        ``measured``, a sentence for a caption; ``profile``; ``dataset``, ``split`` and
        ``fingerprint`` of the images; ``seed``, or ``seeds`` if there are several; ``sizes`` as
        text such as "896+768+1024", ``backbone``, ``loss``, ``loss_options``, ``epochs`` and
        ``protocol`` (by row where rows differ); ``versions``.

    Raises:
        ValueError: if there are no maps.

    Example:
        >>> from festkit.data import Dataset
        >>> from festkit.tables import paper_table
        >>> record = {"backbone": "MSDA-Net", "size": 512, "loss": "EEDM", "epochs": 300}
        >>> record |= {"seed": 0, "protocol": "paper", "initial_weights": None, "loss_options": {}}
        >>> maps = RunMaps("", (512,), Dataset("W-IRSTD", "test", ()), (), (record,))
        >>> describe_runs(maps, paper_table("th1"), profile="paper")["measured"]
        'MSDA-Net at 512 px, EEDM loss, on 0 test images of W-IRSTD; profile paper, 300 epochs, \
seed 0; the test images chose the epoch'
    """
    rows = {"": maps} if isinstance(maps, RunMaps) else dict(maps)
    if not rows:
        raise InputError("no maps given; pass those of at least one row")
    first = next(iter(rows.values()))
    seeds = _distinct("seed", [record for each in rows.values() for record in each.records])
    run: dict[str, Any] = {
        "measured": _in_words(rows, table, profile),
        "profile": profile,
        "dataset": first.dataset.name,
        "split": first.split,
        "fingerprint": first.dataset.fingerprint,
    }
    run |= {"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}
    run["sizes"] = _by_row({row: "+".join(map(str, each.sizes)) for row, each in rows.items()})
    for name in RECORD_FIELDS:
        run[name] = _by_row({row: _of_scales(name, each.records) for row, each in rows.items()})
    return run | {"versions": {"festkit": __version__, "torch": torch.__version__}}


def _in_words(rows: Mapping[str, RunMaps], table: pd.DataFrame, profile: str) -> str:
    """What was measured, as a sentence."""
    first = next(iter(rows.values()))
    records = [record for maps in rows.values() for record in maps.records]
    losses, seeds = _distinct("loss", records), _distinct("seed", records)
    networks = _distinct("backbone", records)
    sizes = "+".join(map(str, first.sizes)) if len(rows) == 1 else _sizes(records)
    loss = f", {losses[0]} loss" if len(losses) == 1 else ""
    images = f"{len(first)} {IMAGES[first.split]} of {first.dataset.name}"
    seed = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    parts = [
        f"{', '.join(networks)} at {sizes} px{loss}, on {images}",
        f"{_source(records, profile)}{_epochs(records)}, {seed}",
        *(PROTOCOLS[name] for name in _distinct("protocol", records)),
        _not_comparable(first, table, networks),
    ]
    return "; ".join(filter(None, parts))


def _source(records: Records, profile: str) -> str:
    """Which shipped weights, or which profile; given runs are of none."""
    entries = dict.fromkeys(record["entry"] for record in records if "entry" in record)
    if entries:
        return f"weights {', '.join(entries)}, "
    return "" if profile == "shipped" else f"profile {profile}, "


def _epochs(records: Records) -> str:
    """How many epochs, and which sizes continued from other weights."""
    anew = [record for record in records if record["initial_weights"] is None]
    further = [record for record in records if record["initial_weights"] is not None]
    if not further:
        return _range(anew)
    continued = f"{_range(further)} from another training's weights"
    if not anew:
        return continued
    return f"{_range(anew)} anew at {_sizes(anew)} px, {continued} at {_sizes(further)} px"


def _range(records: Records) -> str:
    """The epochs of all records, as a number or a range."""
    found = [record["epochs"] for record in records]
    least, most = min(found), max(found)
    return counted(most, "epoch") if least == most else f"{least} to {most} epochs"


def _sizes(records: Records) -> str:
    """The sizes [px] in ascending order."""
    return ", ".join(str(size) for size in sorted({record["size"] for record in records}))


def _not_comparable(maps: RunMaps, table: pd.DataFrame, networks: Sequence[str]) -> str:
    """Why our metrics cannot be compared with the paper's; empty if they can."""
    images = ", ".join(dict.fromkeys(table["dataset"])) if "dataset" in table else PAPER_IMAGES
    other = []
    if "backbone" not in table and set(networks) != {PAPER_NETWORK}:
        other.append("another network")
    if maps.dataset.name not in images.split(", ") or maps.split != "test":
        other.append("other images")
    theirs = f"the paper's {images}" if "dataset" in table else "the paper's"
    return f"{' and '.join(other)} than {theirs}, so not comparable" if other else ""


def _distinct(name: str, records: Records) -> list[Any]:
    """The values of all records, each once."""
    return list(dict.fromkeys(record[name] for record in records))


def _of_scales(name: str, records: Records) -> Any:
    """One value; different values of scales are joined by +."""
    values = [record[name] for record in records]
    alike = values and all(value == values[0] for value in values)
    return values[0] if alike else "+".join(map(str, values))


def _by_row(values: dict[str, Any]) -> Any:
    """One value, or by row if rows differ."""
    first = next(iter(values.values()))
    return first if all(value == first for value in values.values()) else values
