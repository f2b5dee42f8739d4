"""The test images of a dataset; scenes that an entry makes for itself are made again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .._catalogue import dataset_card, find_folder
from .._entries import ENTRIES, Entry
from .._names import plain
from ..data import Dataset, load_dataset
from ..scenes import make_synthetic_dataset


@contextmanager
def open_images(dataset: str | Path, data_root: str | Path | None = None) -> Iterator[Dataset]:
    """The test images of a dataset, as long as the block runs.

    Args:
        dataset: as in load_dataset, or the name of scenes that an entry makes for itself.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if the dataset is not there.
        ValueError: for an unknown name or a damaged dataset.

    Example:
        >>> import tempfile
        >>> folder = make_synthetic_dataset(f"{tempfile.mkdtemp()}/s", train=0, test=2, size=32)
        >>> with open_images(folder) as testset:
        ...     len(testset)
        2
    """
    maker = _maker(dataset)
    if maker is None:
        yield load_dataset(dataset, "test", root=data_root)
        return
    with TemporaryDirectory() as top:  # a test scene depends on no training scene
        scenes = {**(maker.scenes or {}), "train": 0}
        folder = make_synthetic_dataset(Path(top) / maker.config.dataset, **scenes)
        yield load_dataset(folder, "test")


def _maker(dataset: str | Path) -> Entry | None:
    """The entry that makes the scenes of this name for itself, if one does."""
    makers = (entry for entry in ENTRIES.values() if entry.scenes is not None)
    wanted = plain(str(dataset))
    return next((entry for entry in makers if plain(entry.config.dataset) == wanted), None)


def is_known(dataset: str | Path) -> bool:
    """Whether a dataset is named, not given as a folder: a public one, a union, an entry's own.

    Example:
        >>> is_known("sirst"), is_known("NUAA-SIRST+IRSTD-1K"), is_known("/sets/own")
        (True, True, False)
    """
    own = {plain(part) for e in ENTRIES.values() for part in e.config.dataset.split("+")}
    return all(plain(part) in own or _is_public(part) for part in str(dataset).split("+"))


def _is_public(name: str) -> bool:
    try:
        return bool(dataset_card(name))
    except ValueError:
        return False


def are_here(dataset: str, data_root: str | Path | None) -> bool:
    """Whether a dataset of this name is at hand, in whatever state."""
    if _maker(dataset) is not None:
        return True
    try:
        for member in dataset.split("+"):
            find_folder(member, data_root)
    except (FileNotFoundError, ValueError):  # a known name or another one
        return False
    return True
