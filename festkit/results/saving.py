"""One table's figures written with what they were measured on, as the runs' records tell it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from .. import __version__
from .._errors import InputError
from ..maps import RunMaps
from ..metrics import Counts
from .beside import compare_with_paper, thresholds_in_words, with_sizes
from .figures import save_results
from .printing import save_table

PROTOCOLS = {
    "paper": "the test images chose the epoch",
    "holdout": "held-out training images chose the epoch",
    "last": "the last epoch was kept",
}

IMAGES = {"test": "test images", "holdout": "held-out training images"}

SAID = ("backbone", "loss", "loss_options", "epochs", "protocol")
"""What is told as the records have it."""

PAPER_NETWORK, PAPER_IMAGES = "MSDA-Net", "W-IRSTD"
"""Of all of the paper's tables but the one that compares networks."""


def save_paper_results(
    out: str | Path,
    paper: pd.DataFrame,
    ours: Mapping[str, Sequence[Counts]],
    maps: RunMaps | Mapping[str, RunMaps],
    *,
    profile: str,
    note: str = "",
    **more: Any,
) -> pd.DataFrame:
    """Put ours beside the paper's, and write it: the table's files, and ``metrics.json``.

    Args:
        out: folder; every file appears in it whole.
        paper: as :func:`paper_table` returns it, or some of its rows.
        ours: by row the counts of every image.
        maps: what was counted, by row or the same for all.
        profile: what the runs cost: "smoke", "quick" or "paper".
        note: what the caption must say beyond that.
        more: further plain values for ``metrics.json``, or others than those of the runs; the
            caption says ``th1``, ``th2`` and ``rule`` where no column does. Thresholds that are
            columns of the table are written by row.

    Returns:
        As :func:`compare_with_paper`, with a column "our size" where the rows differ in it. It is
        in ``table.csv``, ``.md``, ``.tex`` and ``.html``, too.

    Raises:
        ValueError: as :func:`compare_with_paper` and :func:`save_results`.

    Example:
        >>> import json, tempfile
        >>> from festkit._run import Run
        >>> from festkit.data import load_dataset
        >>> from festkit.maps import open_maps
        >>> from festkit.results import paper_table
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> scenes = make_synthetic_dataset(folder / "scenes", train=2, test=2, size=64)
        >>> images, run = load_dataset(scenes, "test"), Run(folder / "run")
        >>> run.write_maps("test", {each.name: each.mask.astype("float32") for each in images})
        >>> record = {"backbone": "ACM", "size": 64, "dataset": "scenes", "loss": "EEDM"}
        >>> record |= {"epochs": 3, "seed": 1, "protocol": "last", "initial_weights": None}
        >>> record |= {"loss_options": {}, "test_split": images.fingerprint}
        >>> _ = (run.folder / "record.json").write_text(json.dumps(record))
        >>> maps, paper = open_maps(run), paper_table("th1").head(1)
        >>> ours = {"th1 0.5": maps.evaluate(0.5)}
        >>> table = save_paper_results(folder, paper, ours, maps, profile="smoke")
        >>> table.loc["th1 0.5", "iou"].item()
        100.0
        >>> table.attrs["caption"].partition("Ours: ")[2]
        "ACM at 64 px, EEDM loss, on 2 test images of scenes; profile smoke, 3 epochs, seed 1; \
the last epoch was kept; another network and other images than the paper's, so not comparable"
    """
    told = describe_runs(maps, paper, profile=profile)
    parts = [told["measured"], thresholds_in_words(more, paper), note]
    told["measured"] = "; ".join(filter(None, parts))
    found = compare_with_paper(ours, paper, measured=told["measured"])
    if isinstance(told["sizes"], dict):
        found = with_sizes(found, {row: [size] for row, size in told["sizes"].items()})
    save_table(out, found, "table")
    told = {"table": paper.attrs["name"]} | told | _thresholds(found.loc[found["seeds"] > 0])
    save_results(out, ours, **(told | more))
    return found


def _thresholds(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """By row those that a table's columns name."""
    return {
        name: {str(row): None if pd.isna(value) else value for row, value in table[name].items()}
        for name in ("th1", "th2")
        if name in table
    }


def describe_runs(
    maps: RunMaps | Mapping[str, RunMaps], table: pd.DataFrame, *, profile: str
) -> dict[str, Any]:
    """What figures were measured on, from the runs' records: in words and as plain values.

    Args:
        maps: what was counted, by row or the same for all, on the same images.
        table: of the paper's, to say whether the figures can be compared with it.
        profile: what the runs cost.

    Returns:
        ``measured``, a caption's sentence; ``profile``, ``dataset``, ``split`` and ``fingerprint``
        of the images, ``seed``, or ``seeds`` where there are several, ``sizes`` as text such as
        "896+768+1024", ``backbone``, ``loss``, ``loss_options``, ``epochs`` and ``protocol`` (by
        row where rows differ), and ``versions``.

    Raises:
        ValueError: if no maps came.

    Example:
        >>> from festkit.data import Dataset
        >>> from festkit.results import paper_table
        >>> record = {"backbone": "MSDA-Net", "size": 512, "loss": "EEDM", "epochs": 300}
        >>> record |= {"seed": 0, "protocol": "paper", "initial_weights": None, "loss_options": {}}
        >>> maps = RunMaps("", (512,), Dataset("W-IRSTD", "test", ()), (), (record,))
        >>> describe_runs(maps, paper_table("th1"), profile="paper")["measured"]
        'MSDA-Net at 512 px, EEDM loss, on 0 test images of W-IRSTD; profile paper, 300 epochs, \
seed 0; the test images chose the epoch'
    """
    rows = {"": maps} if isinstance(maps, RunMaps) else dict(maps)
    if not rows:
        raise InputError("no maps came; pass those of at least one row")
    first = next(iter(rows.values()))
    seeds = _distinct("seed", rows)
    return {
        "measured": _measured(rows, table, profile),
        "profile": profile,
        "dataset": first.dataset.name,
        "split": first.split,
        "fingerprint": first.dataset.fingerprint,
        **({"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}),
        "sizes": _by_row({row: "+".join(map(str, each.sizes)) for row, each in rows.items()}),
        **{name: _said(name, rows) for name in SAID},
        "versions": {"festkit": __version__, "torch": torch.__version__},
    }


def _measured(rows: Mapping[str, RunMaps], table: pd.DataFrame, profile: str) -> str:
    first, losses = next(iter(rows.values())), _distinct("loss", rows)
    records = [record for maps in rows.values() for record in maps.records]
    scales = "+".join(map(str, first.sizes)) if len(rows) == 1 else _sizes(records)
    networks = ", ".join(_distinct("backbone", rows))
    seeds = _distinct("seed", rows)
    parts = [
        f"{networks} at {scales} px{f', {losses[0]} loss' if len(losses) == 1 else ''}, on "
        f"{len(first)} {IMAGES[first.split]} of {first.dataset.name}",
        f"profile {profile}, {_epochs(rows)}, seed{'s' * (len(seeds) > 1)} "
        + ", ".join(map(str, seeds)),
        *(PROTOCOLS[name] for name in _distinct("protocol", rows)),
    ]
    return "; ".join([*parts, *_reservations(first, table, _distinct("backbone", rows))])


def _epochs(rows: Mapping[str, RunMaps]) -> str:
    """How long, and which sizes did not start anew."""
    records = [record for maps in rows.values() for record in maps.records]
    anew = [record for record in records if record["initial_weights"] is None]
    further = [record for record in records if record["initial_weights"] is not None]
    if not further:
        return _length(anew)
    continued = f"{_length(further)} from another training's weights"
    if not anew:
        return continued
    return f"{_length(anew)} anew at {_sizes(anew)} px, {continued} at {_sizes(further)} px"


def _sizes(records: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(size) for size in sorted({record["size"] for record in records}))


def _length(records: Sequence[Mapping[str, Any]]) -> str:
    found = sorted({record["epochs"] for record in records})
    text = " to ".join(str(epochs) for epochs in dict.fromkeys([*found[:1], *found[-1:]]))
    return f"{text} epoch" if text == "1" else f"{text} epochs"


def _reservations(maps: RunMaps, table: pd.DataFrame, networks: Sequence[str]) -> list[str]:
    """Why ours are not comparable with the paper's, if so."""
    images = ", ".join(dict.fromkeys(table["dataset"])) if "dataset" in table else PAPER_IMAGES
    other = []
    if "backbone" not in table and set(networks) != {PAPER_NETWORK}:
        other.append("another network")
    if maps.dataset.name not in images.split(", ") or maps.split != "test":
        other.append("other images")
    theirs = f"the paper's {images}" if "dataset" in table else "the paper's"
    return [f"{' and '.join(other)} than {theirs}, so not comparable"] if other else []


def _distinct(name: str, rows: Mapping[str, RunMaps]) -> list[Any]:
    return list(dict.fromkeys(record[name] for maps in rows.values() for record in maps.records))


def _said(name: str, rows: Mapping[str, RunMaps]) -> Any:
    """One value, or by row where rows differ; of scales that differ, joined by +."""
    values = {row: [record[name] for record in maps.records] for row, maps in rows.items()}
    return _by_row(
        {row: each[0] if _alike(each) else "+".join(map(str, each)) for row, each in values.items()}
    )


def _by_row(values: Mapping[str, Any]) -> Any:
    found = list(values.values())
    return found[0] if _alike(found) else dict(values)


def _alike(values: Sequence[Any]) -> bool:
    return bool(values) and all(value == values[0] for value in values)
