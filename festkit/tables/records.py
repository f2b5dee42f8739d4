"""Figures of one's own: as a table, and as the record that a run leaves."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from .._support.errors import InputError
from .._support.files import NUMBER, read_json, write_json, write_text
from ..metrics import Counts, record_of

_RATIOS = ("iou", "niou", "pd", "fa", "score")

COLUMNS = ("IoU", "nIoU", "Pd", "Fa ×10⁻⁶", "Score")


def summary_table(rows: Mapping[str, Counts]) -> pd.DataFrame:
    """One row of figures per scheme, ready to print.

    Args:
        rows: counts by the name of what they were measured on.

    Returns:
        Strings: IoU, nIoU, Pd and Score in percent, Fa in 1e-6. An undefined ratio, and a Score
        with Fa not below 1e-4, is "–".

    Example:
        >>> counts = Counts(images=1, pixels=10**6, intersection=3, predicted=3, true=4,
        ...                 iou_sum=0.75, targets=2, detected=2, false_pixels=7)
        >>> summary_table({"FEST": counts}).loc["FEST"].tolist()
        ['75.00', '75.00', '100.00', '7.00', '87.50']
    """
    cells = {
        name: (
            _format(counts.iou, 100),
            _format(counts.niou, 100),
            _format(counts.pd, 100),
            _format(counts.fa, 1e6),
            _format(counts.score if counts.valid else math.nan, 100),
        )
        for name, counts in rows.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=list(COLUMNS))


def save_results(
    out: str | Path, rows: Mapping[str, Counts | Sequence[Counts]], **run: Any
) -> Path:
    """Write the figures of some schemes, and the run they belong to, as ``metrics.json``.

    Args:
        out: folder; the file appears in it whole.
        rows: counts by scheme, of the whole set or image by image, which adds 95 % intervals and
            keeps the counts of every image, so that seeds can be pooled.
        run: what was measured, as plain values: dataset, split, sizes, seed and the like.

    Returns:
        The file; ``table.txt`` beside it holds :func:`summary_table`.

    Raises:
        ValueError: if a scheme was measured on no image, or ``run`` holds NaN or infinity.
        TypeError: if ``run`` holds something that JSON does not.

    Example:
        >>> import tempfile
        >>> counts = Counts(images=1, pixels=4, intersection=1, predicted=1, true=2)
        >>> save_results(tempfile.mkdtemp(), {"FEST": counts}, dataset="scenes").name
        'metrics.json'
    """
    totals = {name: _total(counts) for name, counts in rows.items()}
    for name, counts in totals.items():
        if not counts.images:
            raise InputError(f"{name} was measured on no image; evaluate it on a dataset first")
    schemes = {
        name: counts.record() if isinstance(counts, Counts) else record_of(counts)
        for name, counts in rows.items()
    }
    per_image = {
        name: _by_field(counts) for name, counts in rows.items() if not isinstance(counts, Counts)
    }
    path = Path(out) / "metrics.json"
    write_json(path, {**run, "schemes": schemes, **({"per_image": per_image} if per_image else {})})
    write_text(path.with_name("table.txt"), summary_table(totals).to_string() + "\n")
    return path


def read_results(path: str | Path) -> dict[str, Any]:
    """What :func:`save_results` wrote: the run's values, and the records under ``schemes``.

    Args:
        path: the file, or its folder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no figures.

    Example:
        >>> import tempfile
        >>> counts = Counts(images=1, pixels=4, intersection=1, predicted=1, true=2)
        >>> path = save_results(tempfile.mkdtemp(), {"FEST": counts})
        >>> read_results(path)["schemes"]["FEST"]["iou"]
        0.5
    """
    path = Path(path) / "metrics.json" if Path(path).is_dir() else Path(path)
    values = read_json(path)
    if not has_figures(values):
        raise InputError(f"{path} holds no figures by scheme; pass a metrics.json of save_results")
    return dict(values)


def has_figures(values: Any) -> bool:
    """Whether what a file holds is figures by scheme, as :func:`save_results` writes them.

    Example:
        >>> has_figures({"schemes": {"FEST": {"iou": 0.5}}}), has_figures({"schemes": [1]})
        (True, False)
    """
    schemes = values.get("schemes") if isinstance(values, dict) else None
    return isinstance(schemes, dict) and all(map(_is_record, schemes.values()))


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("intervals"), dict | None)
        and all(isinstance(value.get(ratio), NUMBER | None) for ratio in _RATIOS)
    )


def counts_of_images(run: Mapping[str, Any], row: str) -> list[Counts] | None:
    """Counts of every image of one row; None where the run does not hold them.

    Args:
        run: as :func:`read_results` returns it.
        row: a scheme of the run.

    Raises:
        ValueError: if they are damaged.

    Example:
        >>> import tempfile
        >>> counts = Counts(images=1, pixels=4, intersection=1, predicted=1, true=2)
        >>> run = read_results(save_results(tempfile.mkdtemp(), {"FEST": [counts, counts]}))
        >>> counts_of_images(run, "FEST") == [counts, counts]
        True
    """
    if row not in run.get("per_image", {}):
        return None
    try:
        texts = run["per_image"][row]
        columns = [map(_number_of(f), texts[f.name].split()) for f in fields(Counts)]
        return [Counts(*numbers) for numbers in zip(*columns, strict=True)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"the counts of the images of {row} are damaged ({error!r})") from error


def _by_field(counts: Sequence[Counts]) -> dict[str, str]:
    """By field the numbers of all images, as text: one line of the file."""
    return {
        f.name: " ".join(str(_number_of(f)(getattr(c, f.name))) for c in counts)
        for f in fields(Counts)
    }


def _number_of(field: Field[Any]) -> Callable[[Any], float]:
    return float if field.type is float else int


def row_value(run: Mapping[str, Any], name: str, row: str) -> Any:
    """What a run says of one of its rows: its own value of a dict by row, else the value of all.

    Args:
        run: as :func:`read_results` returns it.
        name: of the value, such as "sizes", of which a list becomes text.
        row: a scheme of the run.

    Returns:
        The value; None where the run does not say.

    Example:
        >>> run = {"schemes": {"a": {}, "b": {}}, "epochs": {"a": 8, "b": 3}, "sizes": [64, 96]}
        >>> row_value(run, "epochs", "b"), row_value(run, "sizes", "b")
        (3, '64+96')
    """
    value = run.get(name)
    if isinstance(value, dict) and not value.keys().isdisjoint(run["schemes"]):
        value = value.get(row)
    return "+".join(map(str, value)) if name == "sizes" and isinstance(value, list) else value


def _total(counts: Counts | Sequence[Counts]) -> Counts:
    return counts if isinstance(counts, Counts) else sum(counts, Counts())


def _format(ratio: float, scale: float) -> str:
    return "–" if math.isnan(ratio) else f"{ratio * scale:.2f}"
