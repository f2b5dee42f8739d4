"""Our metrics as a table, and as the file ``metrics.json`` of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from .._support.errors import InputError
from .._support.files import NUMBER, read_json, write_json, write_text
from ..metrics import METRICS, Counts, record_of

NUMBER_TYPE = {f.name: float if f.type is float else int for f in fields(Counts)}
"""Of every field of Counts."""


def summary_table(rows: Mapping[str, Counts]) -> pd.DataFrame:
    """One row of metrics per scheme, ready to print.

    Args:
        rows: counts by scheme.

    Returns:
        Strings: IoU, nIoU, Pd and Score in percent, Fa in 1e-6. An undefined ratio, and a Score
        with Fa not below 1e-4, is "–".

    Example:
        >>> counts = Counts(images=1, pixels=10**6, intersection=3, predicted=3, true=4,
        ...                 iou_sum=0.75, targets=2, detected=2, false_pixels=7)
        >>> summary_table({"FEST": counts}).loc["FEST"].tolist()
        ['75.00', '75.00', '100.00', '7.00', '87.50']
    """
    cells = {}
    for name, metric in METRICS.items():
        title = "Fa ×10⁻⁶" if name == "fa" else metric.title
        values = {row: getattr(counts, name) for row, counts in rows.items()}
        void = {row for row, counts in rows.items() if name == "score" and not counts.valid}
        cells[title] = [metric.text(None if row in void else values[row]) for row in rows]
    return pd.DataFrame(cells, index=list(rows))


def save_results(
    out: str | Path, rows: Mapping[str, Counts | Sequence[Counts]], **run: Any
) -> Path:
    """Write the metrics of several schemes, with facts about the run, to ``metrics.json``.

    Args:
        out: folder, which also gets :func:`summary_table` as ``table.txt``.
        rows: counts by scheme, of the whole set or per image. Counts per image add 95 % intervals
            and are stored, so that seeds can be pooled.
        run: facts about the run, as JSON values: dataset, split, sizes, seed and so on.

    Returns:
        The file ``metrics.json``.

    Raises:
        ValueError: if a scheme has no images, or ``run`` contains NaN or infinity.
        TypeError: if ``run`` contains values that JSON cannot store.

    Example:
        >>> import tempfile
        >>> counts = Counts(images=1, pixels=4, intersection=1, predicted=1, true=2)
        >>> save_results(tempfile.mkdtemp(), {"FEST": counts}, dataset="scenes").name
        'metrics.json'
    """
    values: dict[str, Any] = {**run, "schemes": {}}
    totals: dict[str, Counts] = {}
    for name, counts in rows.items():
        images = None if isinstance(counts, Counts) else counts
        totals[name] = counts if isinstance(counts, Counts) else sum(counts, Counts())
        if not totals[name].images:
            raise InputError(f"{name} has no images; evaluate it on a dataset first")
        values["schemes"][name] = totals[name].record() if images is None else record_of(images)
        if images is not None:
            values.setdefault("per_image", {})[name] = _by_field(images)
    path = Path(out) / "metrics.json"
    write_json(path, values)
    write_text(path.with_name("table.txt"), summary_table(totals).to_string() + "\n")
    return path


def read_results(path: str | Path) -> dict[str, Any]:
    """Read a file of :func:`save_results`: the run's values, and the records under ``schemes``.

    Args:
        path: the file, or its folder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no metrics.

    Example:
        >>> import tempfile
        >>> counts = Counts(images=1, pixels=4, intersection=1, predicted=1, true=2)
        >>> path = save_results(tempfile.mkdtemp(), {"FEST": counts})
        >>> read_results(path)["schemes"]["FEST"]["iou"]
        0.5
    """
    path = results_file(path)
    values = read_json(path)
    if not has_metrics(values):
        raise InputError(
            f"{path} contains no metrics by scheme; pass a metrics.json written by save_results"
        )
    return dict(values)


def results_file(path: str | Path) -> Path:
    """The file ``metrics.json``, given itself or its folder."""
    return Path(path) / "metrics.json" if Path(path).is_dir() else Path(path)


def has_metrics(values: Any) -> bool:
    """Whether the content of a file is metrics by scheme, as :func:`save_results` writes them.

    Example:
        >>> has_metrics({"schemes": {"FEST": {"iou": 0.5}}}), has_metrics({"schemes": [1]})
        (True, False)
    """
    schemes = values.get("schemes") if isinstance(values, dict) else None
    return isinstance(schemes, dict) and all(map(_is_record, schemes.values()))


def _is_record(value: Any) -> bool:
    """Whether a value has what tables read from a record."""
    if not isinstance(value, dict) or not isinstance(value.get("intervals"), dict | None):
        return False
    return all(isinstance(value.get(ratio), NUMBER | None) for ratio in METRICS)


def counts_of_images(run: Mapping[str, Any], row: str) -> list[Counts] | None:
    """Counts of every image of one scheme; None if the run has none.

    Args:
        run: the result of :func:`read_results`.
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
        columns = [map(kind, texts[name].split()) for name, kind in NUMBER_TYPE.items()]
        return [Counts(*numbers) for numbers in zip(*columns, strict=True)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"the counts of the images of {row} are damaged ({error!r})") from error


def _by_field(counts: Sequence[Counts]) -> dict[str, str]:
    """By field the numbers of all images, as text: one line of the file."""
    return {
        name: " ".join(str(kind(getattr(each, name))) for each in counts)
        for name, kind in NUMBER_TYPE.items()
    }


def row_value(run: Mapping[str, Any], name: str, row: str) -> Any:
    """A value of a run for one of its schemes: its own where the run has one for each.

    Args:
        run: the result of :func:`read_results`.
        name: name of the value, such as "sizes"; a list of sizes is joined to text.
        row: a scheme of the run.

    Returns:
        The value; None if the run has none.

    Example:
        >>> run = {"schemes": {"a": {}, "b": {}}, "epochs": {"a": 8, "b": 3}, "sizes": [64, 96]}
        >>> row_value(run, "epochs", "b"), row_value(run, "sizes", "b")
        (3, '64+96')
    """
    value = run.get(name)
    if isinstance(value, dict) and not value.keys().isdisjoint(run["schemes"]):
        value = value.get(row)
    return "+".join(map(str, value)) if name == "sizes" and isinstance(value, list) else value
