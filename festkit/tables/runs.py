"""The runs that fill the rows of a table, opened, and checked to be what the rows say."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._support.errors import InputError
from .._support.names import find_name
from ..training.run import Run
from ..training.stored_maps import RunMaps, open_maps
from .paper import find_table, paper_table
from .specs import BEST

FUSED = ("th1", "th2", "sensitivity")
"""Tables of one set of fused maps."""

SIZE_CLASSES = ("input_size", "fusion")
"""Tables whose rows are of one input size each."""

ONE_SIZE = ("losses", "hyperparameters")
"""Tables whose rows are all of the same input size."""


def open_rows(
    table: str,
    runs: Mapping[str, Sequence[Run | str | Path]],
    *,
    split: str = "test",
    dataset: str | Path | None = None,
    root: str | Path | None = None,
) -> dict[str, RunMaps]:
    """The stored maps of every row of a table, as long as its runs are what the row says.

    Args:
        table: as ``table_trainings`` takes it.
        runs: by row the finished runs or their folders, the scales of each row in order, as
            ``train_all`` gives them.
        split: "test" or "holdout".
        dataset: name or folder of the images; None takes the runs'.
        root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: as :func:`festkit.open_maps`.
        ValueError: for an unknown table or row, no rows, runs of another loss, loss options or
            network than the row asks for, fewer or more runs than it takes, or rows of different
            images, networks or input sizes where they are to be the same.

    Example:
        >>> import json, tempfile
        >>> from festkit.data import load_dataset
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> scenes = make_synthetic_dataset(folder / "scenes", train=2, test=1, size=64)
        >>> images, run = load_dataset(scenes, "test"), Run(folder / "run")
        >>> run.write_maps("test", {images.names[0]: images[0].mask.astype("float32")})
        >>> record = {"backbone": "ACM", "size": 64, "dataset": "scenes", "loss": "BCE"}
        >>> record |= {"loss_options": {}, "test_split": images.fingerprint}
        >>> _ = (run.folder / "record.json").write_text(json.dumps(record))
        >>> open_rows("losses", {"BCE": [run]})["BCE"].title
        'ACM 64 on scenes, test images'
        >>> open_rows("losses", {"EEDM": [run]})
        Traceback (most recent call last):
        festkit.InputError: the row 'EEDM' of losses got ...; ...
    """
    table = find_table(table)
    known = _known_rows(table)
    if not runs:
        raise InputError(f"no runs came for the table {table}; its rows are {', '.join(known)}")
    opened = {
        find_name(f"row of the table {table}", row, known): open_maps(
            *folders, split=split, dataset=dataset, root=root
        )
        for row, folders in runs.items()
    }
    for row, maps in opened.items():
        _check_row(table, row, maps)
    _check_together(table, opened)
    return opened


def _known_rows(table: str) -> list[str]:
    if table in FUSED:
        return ["fused"]
    return list(paper_table("input_size" if table in SIZE_CLASSES else table).index)


def _check_row(table: str, row: str, maps: RunMaps) -> None:
    if table not in FUSED and ", FEST," not in row and len(maps.sizes) > 1:
        raise InputError(f"the row {row!r} of {table} takes one run, got {len(maps.sizes)}")
    if ", FEST," in row and len(maps.sizes) < 2:
        raise InputError(
            f"the row {row!r} of {table} fuses two runs or more, got {len(maps.sizes)}; give it "
            "one of every size"
        )
    _check_sizes(f"the row {row!r} of {table}", maps.sizes)
    for record in maps.records:
        for name, value in _expected(table, row).items():
            found = BEST | record[name] if name == "loss_options" else record[name]
            if found != value:
                raise InputError(
                    f"the row {row!r} of {table} got a run with the {name} {found!r}, "
                    f"expected {value!r}; give every row runs of its own"
                )


def _expected(table: str, row: str) -> dict[str, Any]:
    """What the record of every run in a row must say."""
    if table == "losses":
        return {"loss": row, "loss_options": BEST}
    if table == "hyperparameters":
        own = paper_table(table).loc[row, list(BEST)].dropna()
        return {"loss": "EEDM", "loss_options": BEST | own.to_dict()}
    if table == "backbones":
        said = paper_table(table).loc[row]
        return {"backbone": said.backbone, "loss": "BCE" if said.scheme == "Original" else "EEDM"}
    return {}


def _check_together(table: str, opened: Mapping[str, RunMaps]) -> None:
    """Refuse rows that differ in what all of them, or two of them, have in common."""
    rows = f"the rows of {table}"
    sizes = [size for maps in opened.values() for size in maps.sizes]
    _check_same(rows, "images", [maps.dataset.fingerprint for maps in opened.values()])
    if table != "backbones":
        _check_same(rows, "network", [r["backbone"] for m in opened.values() for r in m.records])
    if table in SIZE_CLASSES:
        _check_sizes(table, sizes)
    if table in ONE_SIZE:
        _check_same(rows, "size", sizes)
    if table == "backbones":
        for network, own in _sizes_alone(opened).items():
            _check_same(f"the rows Original and LW-FEST of {network} in {table}", "size", own)


def _sizes_alone(opened: Mapping[str, RunMaps]) -> dict[str, list[int]]:
    """By network the sizes of Original and LW-FEST, which are no fusion."""
    found: dict[str, list[int]] = {}
    for row, maps in opened.items():
        if ", FEST," not in row:
            found.setdefault(maps.records[0]["backbone"], []).extend(maps.sizes)
    return found


def _check_sizes(what: str, sizes: Sequence[int]) -> None:
    if len(set(sizes)) < len(sizes):
        raise InputError(
            f"{what} got runs of the sizes {', '.join(map(str, sizes))}; every run needs a size of "
            "its own"
        )


def _check_same(rows: str, what: str, values: Iterable[str | int]) -> None:
    found = [str(value) for value in dict.fromkeys(values)]
    if len(found) > 1:
        raise InputError(
            f"{rows} were given runs of different {what} ({', '.join(found)}); they differ in "
            f"nothing but what they name, so give all of them runs of the same {what}"
        )
