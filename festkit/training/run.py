"""The folder of a training run: configuration, history, weights, probability maps, record.

``Run`` reads it. ``lock_run`` opens it for one training at a time. The command line imports this
file: torch and numpy are imported where they are used.
"""

import csv
import hashlib
import io
import shlex
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._support.errors import BusyError, ExistingFileError, InputError, MissingFileError
from .._support.files import NUMBER, atomic_write, read_json, write_json, write_text
from .._support.locks import file_lock
from ..data.catalogue import dataset_name, members_of
from .config import DEFAULTS, TrainConfig, current_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .processes import Processes

LOCK = ".lock"
"""The file that a training locks in its run folder."""

MAP_LEVELS = 65535
"""The 16-bit level that stands for probability 1 in stored maps."""

METRICS_ROW: dict[str, Any] = {
    "th1": NUMBER,
    "valid": bool,
    **dict.fromkeys(("iou", "niou", "pd", "fa", "score", "th2"), NUMBER | None),
    **dict.fromkeys(("images?", "pixels?", "targets?", "detected?", "false_pixels?"), int),
    **dict.fromkeys(("intersection?", "predicted?", "true?", "empty?"), int),
    "iou_sum?": NUMBER,
    "intervals?": dict,
}
"""Schema of one row of metrics in a record; an undefined ratio is None."""

RECORD: dict[str, Any] = {
    **dict.fromkeys(("dataset?", "backbone?", "train_split?", "test_split?"), str),
    **dict.fromkeys(("mean?", "std?"), NUMBER),
    "size?": int,
    "test?": [METRICS_ROW],
}
"""Schema of the record of a run."""


class StoredMaps(Mapping[str, "NDArray[np.float32]"]):
    """Probability maps (H, W) by image in a file of a run, each read on access.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is damaged, on opening or on access.

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
                f"{path.parent} has no {path.name}. Runs with protocol='holdout' store maps of the "
                "held-out images; all finished runs store maps of the test images"
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
            content = self._file.read(f"{image}.npy")  # reading all of it checks the CRC
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
        """Close the file."""
        self._file.close()

    @contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        """Name the file in place of any error that its damage causes."""
        try:
            yield
        except Exception as error:  # damaged archives fail in many ways
            raise InputError(
                f"{self.path} is damaged or unreadable ({error}); copy it again from its source, "
                f"or delete {self.path.parent} and train again"
            ) from error


class _Record(dict[str, Any]):
    """A record that names its file when a value is missing."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, name: str) -> Any:
        raise InputError(f"{self._path} lacks {name}; restore the file, or train the run again")


@dataclass(frozen=True, repr=False)
class Run:
    """The folder of a training run.

    Attributes:
        folder: its path.

    Example:
        >>> Run(Path("runs/never-trained")).finished
        False
    """

    folder: Path

    @classmethod
    def of(cls, run: "Run | str | Path") -> "Run":
        """The run itself, or the run of a folder.

        Example:
            >>> Run.of("runs/never-trained").folder.name
            'never-trained'
        """
        return run if isinstance(run, Run) else cls(Path(run))

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {'finished' if self.finished else 'not finished'})"

    def _repr_html_(self) -> str:
        """What a notebook shows: what was trained on what."""
        from .._support.arguments import html_table

        if not self.finished:
            return html_table(repr(self), {})
        named = ("backbone", "size", "loss", "dataset", "epochs", "protocol", "seed")
        facts = {name: self.record.get(name) for name in named}
        return html_table(repr(self), {name: fact for name, fact in facts.items() if fact})

    @property
    def finished(self) -> bool:
        """Whether training finished; the record is written last."""
        return (self.folder / "record.json").is_file()

    @property
    def record(self) -> dict[str, Any]:
        """Configuration, data, versions and test metrics of the finished run.

        Raises:
            FileNotFoundError: if the run has not finished.
            ValueError: if the record is damaged.
        """
        if not self.finished:
            raise MissingFileError(f"{self.folder} holds no finished run; {self._what_to_pass()}")
        path = self.folder / "record.json"
        return _Record(path, read_json(path, RECORD))

    def _what_to_pass(self) -> str:
        """Advice where there is no finished run: the runs in its subfolders, if any."""
        inside = [path.parent for path in sorted(self.folder.glob("*/record.json"))]
        if not inside:
            return "finish the training"
        folders = " ".join(shlex.quote(str(folder)) for folder in inside)
        return f"its subfolders do. Pass one of them, or several as the scales of a FEST: {folders}"

    @property
    def dataset_folder(self) -> str | None:
        """Folder of the images at training time; None if unknown or missing."""
        path = self.folder / "config.json"
        place: str | None = read_json(path).get("dataset_folder") if path.is_file() else None
        here = place is not None and all(Path(each).is_dir() for each in members_of(place))
        return place if here else None

    @property
    def minutes(self) -> float | None:
        """Wall-clock minutes of the epochs, without lost steps, reading and the last evaluation.

        None if unknown.
        """
        path = self.folder / "minutes.json"
        found = read_json(path, {"minutes": NUMBER | None}) if path.is_file() else {}
        minutes: float | None = found.get("minutes")
        return None if found.get("checkpoint", "finished") != "finished" else minutes

    def write_minutes(self, minutes: float | None) -> None:
        """Write the minutes of the training; they are not in the record, which is reproducible."""
        write_json(self.folder / "minutes.json", {"minutes": minutes})

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / "weights.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The file from which a run resumes; removed once the run has finished."""
        return self.folder / "checkpoint.pt"

    def forget(self) -> None:
        """Delete checkpoint and history to start again."""
        for path in (self.checkpoint, self.folder / "history.csv"):
            path.unlink(missing_ok=True)

    def history(self) -> list[dict[str, float]]:
        """One row per epoch; iou, pd and fa are of the validation images, NaN without validation.

        Raises:
            FileNotFoundError: if there is no history.
            ValueError: if it is damaged.
        """
        path = self.folder / "history.csv"
        if not path.is_file():
            raise MissingFileError(f"{path} is missing; train the run, or restore the file")
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
        """Probability maps (H, W) of the test images by name, each at its image's size."""
        return self.maps("test")

    def maps(self, name: str) -> "dict[str, NDArray[np.float32]]":
        """Probability maps (H, W) by image, each at its image's size.

        Args:
            name: "test" or "holdout".

        Raises:
            FileNotFoundError: if the run has no such maps.
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
            for image, level in levels.items():  # savez has arguments of its own
                with archive.open(f"{image}.npy", "w") as file:
                    np.lib.format.write_array(file, level)


def _digest(path: str) -> str:
    """The first digits of the checksum of a weights file."""
    if not Path(path).is_file():
        raise MissingFileError(f"no such weights file: {path}")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def open_run(
    config: TrainConfig, *, train_split: str, test_split: str, dataset_folder: str | None = None
) -> Run:
    """Open or create the run folder of a configuration; the caller holds its lock.

    Temporary files of a killed run are removed. A finished run of an older version, whose training
    masks may differ, is returned with a warning.

    Args:
        config: the configuration.
        train_split: fingerprint of the training images.
        test_split: fingerprint of the test images.
        dataset_folder: folder of the images, for :attr:`Run.dataset_folder`; it may differ between
            calls.

    Raises:
        FileExistsError: if the folder contains a run with another configuration or other images,
            other files, or a checkpoint of an older version.

    Example:
        >>> import tempfile
        >>> config = TrainConfig("NUAA-SIRST", size=256, out=tempfile.mkdtemp())
        >>> open_run(config, train_split="0123456789ab", test_split="ba9876543210").finished
        False
    """
    from ..ops.resize import MASK_RULE

    run = Run(config.folder)
    written = run.folder / "config.json"
    now = config.to_dict() | {"train_split": train_split, "test_split": test_split}
    now["training_masks"] = MASK_RULE
    if config.initial_weights is not None:  # the file may be rewritten or moved
        now["initial_weights"] = f"sha256 {_digest(config.initial_weights)}"
    found = {path.name for path in run.folder.iterdir()} if run.folder.is_dir() else set()
    there = {name for name in found if not name.startswith(".")}
    if there and "config.json" not in there:
        raise ExistingFileError(f"{run.folder} holds other files; choose another run folder")
    before = current_names(read_json(written, {"dataset?": str})) if there else {}
    if "dataset" in before:  # older ones hold the name as typed
        before["dataset"] = dataset_name(before["dataset"])
    begun = run.checkpoint.is_file() and not run.finished
    old = DEFAULTS | {"training_masks": None if begun else MASK_RULE} | before  # may lack fields
    changed = [f"{k} {old.get(k)!r} -> {now[k]!r}" for k in now if old.get(k) != now[k]]
    if changed and len(there) > 1:
        raise ExistingFileError(
            f"{run.folder} already holds another run ({'; '.join(changed)}); choose another run "
            f"folder (out) or delete this one{', or its checkpoint' if begun else ''}"
        )
    if run.finished and "training_masks" not in before | run.record:
        warnings.warn(
            f"{run.folder} is a finished run of an older version, whose training masks may lack "
            "targets. To train again, choose another run folder (out)",
            stacklevel=2,
        )
    if not run.finished:  # a run that has just finished may still be written to
        for name in found - there:
            if name.endswith(".part"):
                (run.folder / name).unlink()
        place = {} if dataset_folder is None else {"dataset_folder": dataset_folder}
        write_json(written, now | place)
    return run


@contextmanager
def lock_run(config: TrainConfig, processes: "Processes", **images: str) -> Iterator[Run]:
    """The run of a configuration, locked for this training within the block.

    With several processes, the main process takes the lock; if that fails, all raise its error. A
    finished run needs no lock.

    Args:
        config: the configuration.
        processes: the processes of this training.
        images: fingerprints and folder of the images, see :func:`open_run`.

    Raises:
        BlockingIOError: if another process is training in the folder.
        FileExistsError: if it contains another run, or other files.
    """
    with ExitStack() as stack:
        error: Exception | None = None
        if processes.is_main:
            try:
                _lock(Run(config.folder), stack)
                _remove_leftovers(open_run(config, **images))
            except Exception as failed:  # the others wait for the outcome
                error = failed
        error = processes.from_main(error)
        if error is not None:
            raise error
        yield Run(config.folder)


def _lock(run: Run, stack: ExitStack) -> None:
    """Lock a run that is not finished until the stack is closed."""
    if run.finished:
        return
    if not run.folder.exists():
        stack.callback(_remove_if_empty, run.folder)
    try:
        stack.enter_context(file_lock(run.folder / LOCK, wait=False))
    except BlockingIOError as error:
        raise BusyError(
            f"{run.folder} is being trained by {error.strerror}; wait until it ends, stop it to "
            "continue here, or choose another run folder (out)"
        ) from None


def _remove_leftovers(run: Run) -> None:
    """Remove checkpoint and lock of a run that was killed after its record was written."""
    if run.finished:
        run.checkpoint.unlink(missing_ok=True)
        with suppress(OSError):  # on Windows, while a process holds it
            (run.folder / LOCK).unlink()


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder if nothing was written into it."""
    with suppress(OSError):
        folder.rmdir()
