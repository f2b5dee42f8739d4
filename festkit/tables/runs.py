"""Open the runs of a table and check them against the definition of its rows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .._support.errors import InputError
from .._support.names import find_name
from ..training.run import Run
from ..training.stored_maps import RunMaps, open_maps
from .specs import EEDM_DEFAULTS, TableSpec, find_table
from .trainings import Training


def open_rows(
    table: str,
    runs: Mapping[str, Sequence[Run | str | Path]],
    *,
    split: str = "test",
    dataset: str | Path | None = None,
    root: str | Path | None = None,
) -> dict[str, RunMaps]:
    """Open the stored maps of every row of a table.

    Args:
        table: a table accepted by ``table_trainings``.
        runs: finished runs or their folders by row, the scales of each row in order, as
            ``train_all`` returns them.
        split: "test" or "holdout".
        dataset: name or folder of the images; default: the dataset of the runs.
        root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: see :func:`festkit.open_maps`.
        ValueError: for an unknown table or row, or no rows; for a row with too few or too many
            runs, or with runs of another loss, loss options or network; for rows of different
            images, networks or input sizes where these must be the same.

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
        festkit._support.errors.InputError: the row 'EEDM' of losses got ...; ...
    """
    spec = find_table(table)
    rows = spec.all_rows()
    if not runs:
        raise InputError(f"no runs given for the table {spec.name}; its rows are {', '.join(rows)}")
    opened = {}
    for name, folders in runs.items():
        row = find_name(f"row of the table {spec.name}", name, rows)
        opened[row] = open_maps(*folders, split=split, dataset=dataset, root=root)
        _check_row(spec, row, opened[row], rows[row])
    _check_together(spec, opened)
    return opened


def _check_row(spec: TableSpec, row: str, maps: RunMaps, trainings: tuple[Training, ...]) -> None:
    """Refuse another number of runs than the row takes, and runs of other trainings."""
    name = f"the row {row!r} of {spec.name}"
    if not spec.fused and (len(maps.sizes) > 1) != (len(trainings) > 1):
        expected = "one run" if len(trainings) == 1 else "several runs, one of every size"
        raise InputError(f"{name} takes {expected}, got {len(maps.sizes)}")
    _check_distinct(name, maps.sizes)
    for record in maps.records:
        if record.get("scales"):
            raise InputError(
                f"{name} got a run at the scale factors {record['scales']}; the paper's tables are "
                "of networks at square sizes"
            )
        for field in spec.row_fields:
            found, expected = record[field], getattr(trainings[0], field)
            if field == "loss_options":
                found, expected = EEDM_DEFAULTS | found, EEDM_DEFAULTS | expected
            if found != expected:
                fault = f"{name} got a run with the {field} {found!r}, expected {expected!r}"
                raise InputError(f"{fault}; pass separate runs for every row")


def _check_together(spec: TableSpec, opened: Mapping[str, RunMaps]) -> None:
    """Refuse rows that differ in what all of them, or two of them, must have in common."""
    rows, every = f"the rows of {spec.name}", list(opened.values())
    sizes = [size for maps in every for size in maps.sizes]
    networks = dict.fromkeys(record["backbone"] for maps in every for record in maps.records)
    _check_same(rows, "images", [maps.dataset.fingerprint for maps in every])
    if not spec.compares_networks:
        _check_same(rows, "network", networks)
    if spec.sizes == "distinct":
        _check_distinct(spec.name, sizes)
    if spec.sizes == "same":
        _check_same(rows, "size", sizes)
    for network in networks if spec.sizes == "per network" else ():
        alone = [each for each in every if len(each.sizes) == 1]
        own = [each.sizes[0] for each in alone if each.records[0]["backbone"] == network]
        _check_same(f"the rows Original and LW-FEST of {network} in {spec.name}", "size", own)


def _check_distinct(what: str, sizes: Sequence[int]) -> None:
    """Refuse runs of the same size."""
    if len(set(sizes)) < len(sizes):
        found = ", ".join(map(str, sizes))
        raise InputError(f"{what} got runs of the sizes {found}; every run needs a different size")


def _check_same(rows: str, what: str, values: Iterable[str | int]) -> None:
    """Refuse runs that differ in a value."""
    found = ", ".join(map(str, dict.fromkeys(values)))
    if len(set(values)) > 1:
        raise InputError(
            f"{rows} got runs of different {what} ({found}); pass runs of the same {what}"
        )
