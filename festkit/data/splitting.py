"""Draw the lists of a dataset folder without lists."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._support.errors import ExistingFileError, InputError, MissingFileError
from .._support.files import write_text
from .catalogue import dataset_name, how_to_list, known_card
from .dataset import require_files
from .folders import open_folder


def split_dataset(folder: str | Path, *, test: float = 0.2, seed: int = 0) -> tuple[Path, Path]:
    """Draw train and test lists for a folder of images and masks without lists.

    Images are drawn independently. Those in a subfolder are taken for a sequence, whose frames
    resemble each other: it is drawn as a whole. For public datasets use the published lists;
    results on other lists are not comparable.

    Args:
        folder: folder with ``images`` and ``masks``, or with the folder names of the original
            IRSTD-1k.
        test: share of the test images, in (0, 1).
        seed: the same seed draws the same lists.

    Returns:
        ``train.txt`` and ``test.txt`` in the folder, one name per line.

    Raises:
        FileNotFoundError: if there is no such folder.
        FileExistsError: if it already has lists.
        ValueError: if an image has no mask, a split would be empty, ``test`` is out of range, or
            the folder is not a dataset or has the name of a public one.

    Example:
        >>> import tempfile
        >>> sky = Path(tempfile.mkdtemp())
        >>> for place in ("images", "masks"):
        ...     (sky / place).mkdir()
        ...     for name in "abcde":
        ...         (sky / place / f"{name}.png").touch()
        >>> [path.name for path in split_dataset(sky)]
        ['train.txt', 'test.txt']
        >>> from festkit.data import load_dataset
        >>> len(load_dataset(sky, "train")), len(load_dataset(sky, "test"))
        (4, 1)
    """
    folder = Path(folder).expanduser()
    if not 0 < test < 1:
        raise InputError(f"test is {test}, expected a share of the images in (0, 1)")
    names = _names_without_lists(folder)
    chosen = _draw(names, test, seed)
    if not 0 < len(chosen) < len(names):
        raise InputError(
            f"test {test:g} of the {len(names)} images of {folder} is {len(chosen)}, which leaves a"
            " split empty; choose another share (images in a subfolder are one sequence, drawn as a"
            " whole)"
        )
    lists = folder / "train.txt", folder / "test.txt"
    for path, is_test in zip(lists, (False, True), strict=True):
        listed = [name for name in names if (name in chosen) == is_test]
        write_text(path, "\n".join(listed) + "\n")
    return lists


def _draw(names: Sequence[str], share: float, seed: int) -> set[str]:
    """The test images: single ones and whole sequences, until the share is reached or nearest."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition("/")[0] or f"/{name}", []).append(name)
    units = list(groups.values())
    wanted = round(share * len(names))
    chosen: set[str] = set()
    for number in np.random.default_rng(seed).permutation(len(units)):
        if abs(len(chosen) + len(units[number]) - wanted) < abs(len(chosen) - wanted):
            chosen.update(units[number])
    return chosen


def _names_without_lists(folder: Path) -> tuple[str, ...]:
    """The images of a folder whose lists are still to be written."""
    if not folder.is_dir():
        raise MissingFileError(f"no such dataset folder: {folder.absolute()}")
    found = open_folder(folder)
    if fault := found.fault_of_lists:
        raise InputError(f"{folder}: {fault}, or move the lists away to draw new ones")
    if not found.lacks_lists:
        empty = [f"; its {name} split is empty" for name, of in found.splits.items() if not of]
        raise ExistingFileError(
            f"{folder} already has lists ({found.layout}){''.join(empty)}; move them "
            "away to draw new ones"
        )
    if known_card(dataset_name(folder)):
        raise InputError(f"{folder} has the name of a public dataset: {how_to_list(folder)}")
    for pair in found.pairs:
        require_files(pair)
    return tuple(f"{pair.name}{pair.image.suffix}" for pair in found.pairs)  # read without it
