"""A training run's configuration and its folder.

The help of ``festkit train`` is made of this file: torch and numpy are imported where they work.
"""

import csv
import hashlib
import io
import shlex
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._support.errors import ExistingFileError, InputError, MissingFileError
from .._support.files import NUMBER, atomic_write, read_json, write_json, write_text
from ..data.catalogue import dataset_name, members_of
from .config import DEFAULTS, TrainConfig, current_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch.nn import Module
else:
    Module = object

MAP_LEVELS = 65535
"""Probability maps are stored as 16-bit integers, this being probability 1."""

FIGURES: dict[str, Any] = {
    "th1": NUMBER,
    "valid": bool,
    **dict.fromkeys(("iou", "niou", "pd", "fa", "score", "th2"), NUMBER | None),
    **dict.fromkeys(("images?", "pixels?", "targets?", "detected?", "false_pixels?"), int),
    **dict.fromkeys(("intersection?", "predicted?", "true?", "empty?"), int),
    "iou_sum?": NUMBER,
    "intervals?": dict,
}
"""What a record's row of figures holds; a ratio of nothing is None."""

RECORD: dict[str, Any] = {
    "dataset?": str,
    "size?": int,
    "backbone?": str,
    "train_split?": str,
    "test_split?": str,
    "mean?": NUMBER,
    "std?": NUMBER,
    "test?": [FIGURES],
}
"""What the record of a run holds; one by another hand may lack what is not asked for."""


class StoredMaps(Mapping[str, "NDArray[np.float32]"]):
    """A run's file of probability maps (H, W) by image, each read when it is asked for.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, when it is opened or when a map is read.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> run = Run(Path(tempfile.mkdtemp()))
        >>> run.write_maps("test", {"a": np.full((2, 3), 0.2, np.float32)})
        >>> StoredMaps(run.folder / "test_maps.npz")["a"].shape
        (2, 3)
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise MissingFileError(
                f"{path.parent} has no {path.name}; the maps of a holdout are kept by runs with "
                "protocol='holdout', those of the test images by all that finished"
            )
        self.path = path
        with self._refusing_damage():
            self._file = zipfile.ZipFile(path)
            self._names = dict.fromkeys(n.removesuffix(".npy") for n in self._file.namelist())

    def __getitem__(self, image: str) -> "NDArray[np.float32]":
        import numpy as np

        if image not in self._names:
            raise KeyError(image)
        if self._file.fp is None:
            raise InputError(f"{self.path} has been closed; open the run again")
        with self._refusing_damage():
            content = self._file.read(f"{image}.npy")  # whole, so that its checksum is compared
            levels = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            if levels.dtype != np.uint16 or levels.ndim != 2:
                raise ValueError(f"{image} is {levels.dtype} of shape {levels.shape}")
        return levels.astype(np.float32) / np.float32(MAP_LEVELS)

    def __contains__(self, image: object) -> bool:
        return image in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def close(self) -> None:
        """Close the file; nothing is read from it any more."""
        self._file.close()

    @contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # damaged archives fail in many ways
            raise InputError(
                f"{self.path} is damaged or cannot be read ({error}); copy it again from where "
                f"it was made, or remove {self.path.parent} and train the run again"
            ) from error


class _Record(dict[str, Any]):
    """A record's named values; one that is asked for and absent is named with the file."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, name: str) -> Any:
        raise InputError(f"{self._path} lacks {name}; restore the file, or train the run again")


@dataclass(frozen=True)
class Run:
    """A training run's folder: configuration, history, weights, test probability maps, record.

    Attributes:
        folder: where it all lies.

    Example:
        >>> Run(Path("runs/never-trained")).finished
        False
    """

    folder: Path

    @classmethod
    def of(cls, run: "Run | str | Path") -> "Run":
        """A run, or the one of a folder.

        Example:
            >>> Run.of("runs/never-trained").folder.name
            'never-trained'
        """
        return run if isinstance(run, Run) else cls(Path(run))

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; its record is written last."""
        return (self.folder / "record.json").is_file()

    @property
    def record(self) -> dict[str, Any]:
        """What was trained, on what, how, and the figures on the test split.

        Raises:
            FileNotFoundError: if the run has not finished.
            ValueError: if the record is damaged.
        """
        if not self.finished:
            raise MissingFileError(f"{self.folder} holds no finished run; {self._what_to_pass()}")
        path = self.folder / "record.json"
        return _Record(path, read_json(path, RECORD))

    def _what_to_pass(self) -> str:
        """What helps where there is no finished run: the runs of its folders, if it has any."""
        inside = [path.parent for path in sorted(self.folder.glob("*/record.json"))]
        if not inside:
            return "train it to its end"
        folders = " ".join(shlex.quote(str(folder)) for folder in inside)
        return f"its folders do: pass one, or several as the scales of a FEST, of {folders}"

    @property
    def dataset_folder(self) -> str | None:
        """Where the images lay when it was trained; None if it is not known, or they are gone."""
        path = self.folder / "config.json"
        place: str | None = read_json(path).get("dataset_folder") if path.is_file() else None
        here = place is not None and all(Path(each).is_dir() for each in members_of(place))
        return place if here else None

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / "weights.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The file from which a killed run continues; gone once the run has finished."""
        return self.folder / "checkpoint.pt"

    def forget(self) -> None:
        """Remove checkpoint and history, to start afresh."""
        for path in (self.checkpoint, self.folder / "history.csv"):
            path.unlink(missing_ok=True)

    def history(self) -> list[dict[str, float]]:
        """One row per epoch; iou, pd and fa are those of the images that choose, NaN if unasked.

        Raises:
            FileNotFoundError: if the run has none.
            ValueError: if it is damaged.
        """
        path = self.folder / "history.csv"
        if not path.is_file():
            raise MissingFileError(f"{path} is not there; train the run, or restore the file")
        try:
            names, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
            return [dict(zip(names, map(float, row), strict=True)) for row in rows]
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); restore the file") from error

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Write one row per epoch to ``history.csv``."""
        lines = [",".join(rows[0]), *(",".join(map(repr, row.values())) for row in rows)]
        write_text(self.folder / "history.csv", "\n".join(lines) + "\n")

    def test_maps(self) -> "dict[str, NDArray[np.float32]]":
        """Probability maps (H, W) of the test images by name, each at its image's own size."""
        return self.maps("test")

    def maps(self, name: str) -> "dict[str, NDArray[np.float32]]":
        """Probability maps (H, W) by image, each at its image's own size.

        Args:
            name: "test" or "holdout".

        Raises:
            FileNotFoundError: if the run has none of them.
        """
        stored = StoredMaps(self.folder / f"{name}_maps.npz")
        try:
            return dict(stored)
        finally:
            stored.close()

    def write_maps(self, name: str, maps: "Mapping[str, NDArray[np.float32]]") -> None:
        """Store probability maps by image, rounded to 16 bit and compressed."""
        import numpy as np

        levels = {name: np.rint(prob * MAP_LEVELS).astype(np.uint16) for name, prob in maps.items()}
        with (
            atomic_write(self.folder / f"{name}_maps.npz") as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for image, level in levels.items():  # savez would take some for its own arguments
                with archive.open(f"{image}.npy", "w") as file:
                    np.lib.format.write_array(file, level)


def _digest(path: str) -> str:
    if not Path(path).is_file():
        raise MissingFileError(f"there is no weights file {path}")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def open_run(
    config: TrainConfig, *, train_split: str, test_split: str, dataset_folder: str | None = None
) -> Run:
    """The run folder of a configuration: a new one, or the one that already holds this run.

    What a killed run left half-written is removed: nobody else may be training it. A finished run
    of an older version, whose training masks may be others, is returned with a warning.

    Args:
        config: what is to be trained.
        train_split: fingerprint of the training images; they may change under their name.
        test_split: fingerprint of the test images.
        dataset_folder: where the images lie, for :attr:`Run.dataset_folder`; it may change.

    Raises:
        FileExistsError: if the folder holds a run of another configuration or on other images,
            other files, or a checkpoint of training masks that are not known.

    Example:
        >>> import tempfile
        >>> config = TrainConfig("NUAA-SIRST", size=256, out=tempfile.mkdtemp())
        >>> open_run(config, train_split="0123456789ab", test_split="ba9876543210").finished
        False
    """
    from ..ops.resize import MASK_RULE

    run = Run(config.folder)
    written = run.folder / "config.json"
    now = config.plain() | {"train_split": train_split, "test_split": test_split}
    now["training_masks"] = MASK_RULE
    if config.initial_weights is not None:  # the same file may be rewritten, or lie elsewhere
        now["initial_weights"] = f"sha256 {_digest(config.initial_weights)}"
    found = {path.name for path in run.folder.iterdir()} if run.folder.is_dir() else set()
    there = {name for name in found if not name.startswith(".")}
    if there and "config.json" not in there:
        raise ExistingFileError(f"{run.folder} holds other files; choose another run folder")
    before = current_names(read_json(written, {"dataset?": str})) if there else {}
    if "dataset" in before:  # older ones hold what was typed
        before["dataset"] = dataset_name(before["dataset"])
    old = DEFAULTS | {"training_masks": MASK_RULE} | before  # older ones lack what came later
    changed = [f"{k} {old.get(k)!r} -> {now[k]!r}" for k in now if old.get(k) != now[k]]
    if changed and len(there) > 1:
        raise ExistingFileError(
            f"{run.folder} already holds another run ({'; '.join(changed)}); "
            "choose another run folder (out) or remove this one"
        )
    if there and "training_masks" not in before:
        _check_masks(run)
    if not run.finished:  # whoever has just finished it may still write beside the record
        for name in found - there:
            if name.endswith(".part"):
                (run.folder / name).unlink()
        place = {} if dataset_folder is None else {"dataset_folder": dataset_folder}
        write_json(written, now | place)
    return run


def _check_masks(run: Run) -> None:
    """Refuse to continue a run whose configuration does not say how its masks were resized."""
    if run.finished and "training_masks" not in run.record:
        warnings.warn(
            f"{run.folder} is a finished run of an older version, whose training masks may lack "
            "targets; to train it again, choose another run folder (out)",
            stacklevel=3,
        )
    elif not run.finished and run.checkpoint.is_file():
        raise ExistingFileError(
            f"{run.folder} was begun by an older version, on other training masks; remove its "
            f"checkpoint {run.checkpoint.name}, or choose another run folder (out)"
        )
