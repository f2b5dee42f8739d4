"""Public datasets: their cards, and look-up of their folders."""

import os
import shlex
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._support.errors import InputError, MissingFileError
from .._support.files import check_path
from .._support.names import find_name, normalize_name


@dataclass(frozen=True)
class DatasetCard:
    """Facts about a public dataset; ``None`` where nothing has been measured.

    Attributes:
        name: name as festkit prints it.
        aliases: other names in use.
        images: number of images.
        train: images in the train list.
        test: images in the test list.
        targets: 8-connected targets in all images, masks binarised at > 127.
        test_targets: those in the test images: the denominator of Pd.
        fusion_sizes: side of the network inputs that the FEST paper fuses, px; empty if none.
        source: authors and web address.
        citation: the paper to cite.
        licence: licence stated by the source.
        how_to_get: how to download it.
        remarks: differences between the files and the publications.
        holds: other known datasets whose images it contains.
    """

    name: str
    source: str
    citation: str
    licence: str
    how_to_get: str
    remarks: str
    aliases: tuple[str, ...] = ()
    images: int | None = None
    train: int | None = None
    test: int | None = None
    targets: int | None = None
    test_targets: int | None = None
    fusion_sizes: tuple[int, ...] = ()
    holds: tuple[str, ...] = ()


def _card(**entry: Any) -> DatasetCard:
    """The card of a TOML table, whose arrays become tuples."""
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return DatasetCard(**entry | lists)


_FILE = Path(__file__).with_name("datasets.toml")

_CARDS = [_card(**entry) for entry in tomllib.loads(_FILE.read_text("utf-8"))["dataset"]]

_BY_NAME = {name: card for card in _CARDS for name in (card.name, *card.aliases)}

_BY_NORMAL = {normalize_name(name): card for name, card in _BY_NAME.items()}


def list_datasets() -> list[str]:
    """Names of the known public datasets, whether on disk or not.

    Example:
        >>> list_datasets()
        ['NUAA-SIRST', 'NUDT-SIRST', 'IRSTD-1K', 'SIRST-V2', 'W-IRSTD', 'W-IRSTD-land-air-subset']
    """
    return [card.name for card in _CARDS]


def dataset_card(name: str) -> DatasetCard:
    """The card of one public dataset.

    Args:
        name: name or alias; case, hyphens, underscores and spaces do not matter.

    Raises:
        ValueError: if the name is unknown; the message lists the known names and the closest one.

    Example:
        >>> card = dataset_card("sirst-v1")
        >>> card.name, card.train, card.test, card.fusion_sizes
        ('NUAA-SIRST', 213, 214, (512, 768))
    """
    return _BY_NAME[find_name("dataset", name, _BY_NAME)]


def images_of(names: Iterable[str]) -> set[str]:
    """The named datasets and all known datasets that they contain.

    Example:
        >>> sorted(images_of(["SIRST-V2", "own"]))
        ['NUAA-SIRST', 'SIRST-V2', 'own']
    """
    found = set(names)
    for name in list(found):
        card = known_card(name)
        found |= images_of(card.holds) if card else set()
    return found


def find_folder(name_or_folder: str | Path, root: str | Path | None = None) -> tuple[str, Path]:
    """Name and folder of a dataset.

    Args:
        name_or_folder: a known name or alias, the path of a folder, or the name of any folder under
            the root.
        root: folder of all datasets; default the environment's FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if a known dataset or a path is missing; the message names the searched
            folder.
        ValueError: if the name is unknown or empty.

    Example:
        >>> find_folder("NUAA-SIRST", root="/nowhere")
        Traceback (most recent call last):
        festkit._support.errors.MissingFileError: NUAA-SIRST is not under ...nowhere...
    """
    text, path = str(name_or_folder), Path(name_or_folder).expanduser()
    if not text.strip():
        raise InputError(f"empty dataset name; choose from {', '.join(list_datasets())}")
    base = Path(root or os.environ.get("FESTKIT_DATA") or "data").expanduser()
    entries = sorted(base.iterdir()) if base.is_dir() else []
    under_root = {normalize_name(entry.name): entry for entry in entries if entry.is_dir()}
    card = known_card(text)
    spellings = (card.name, *card.aliases) if card else (text,)
    hits = (under_root.get(normalize_name(name)) for name in spellings)
    found = next(filter(None, hits), None)
    if path.is_dir() and (card is None or found is None):
        found = path
    if found:
        own_name = Path(os.path.abspath(found)).name
        card = card or known_card(own_name)
        return card.name if card else own_name, found
    if card:
        raise MissingFileError(
            f"{card.name} is not under {base.absolute()} (the root is root=, else FESTKIT_DATA,"
            f" else data/), which has no folder named {' or '.join(spellings)}."
            f" How to get it: {card.how_to_get}"
        )
    if isinstance(name_or_folder, Path) or len(path.parts) > 1:
        raise MissingFileError(f"no such dataset folder: {path.absolute()}")
    known = (*list_datasets(), *(entry.name for entry in under_root.values()))
    return find_name("dataset", text, known), path  # refuses: no known name is left to equal


def members_of(name_or_folder: str | Path) -> list[str | Path]:
    """The datasets of a union, whose names or folders are joined by +.

    Example:
        >>> members_of("NUAA-SIRST + NUDT-SIRST")
        ['NUAA-SIRST', 'NUDT-SIRST']
    """
    check_path("dataset", name_or_folder)
    if isinstance(name_or_folder, Path) or Path(name_or_folder).is_dir():
        return [name_or_folder]
    return [member.strip() for member in name_or_folder.split("+")]


def dataset_folder(name_or_folder: str | Path, root: str | Path | None = None) -> str:
    """The absolute folder of a dataset, or those of a union, joined by +.

    Args:
        name_or_folder: see :func:`find_folder`; or a union of these.
        root: folder of all datasets; default the environment's FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if a known dataset or a path is missing.
        ValueError: if a name is unknown or empty.

    Example:
        >>> dataset_folder(Path.cwd()) == str(Path.cwd())
        True
    """
    folders = [find_folder(member, root)[1] for member in members_of(name_or_folder)]
    return "+".join(os.path.abspath(folder) for folder in folders)


def dataset_name(name_or_folder: str | Path) -> str:
    """The name of a dataset or a union, from its folder or any spelling of a known name.

    Example:
        >>> dataset_name("sirst"), dataset_name("/data/NUDT_SIRST+/data/own")
        ('NUAA-SIRST', 'NUDT-SIRST+own')
    """
    return "+".join(map(_member_name, members_of(name_or_folder)))


def _member_name(name_or_folder: str | Path) -> str:
    """The name of a single dataset; a known name may have a slash."""
    own = Path(os.path.abspath(name_or_folder)).name
    card = known_card(str(name_or_folder)) or known_card(own)
    return card.name if card else own


def how_to_list(folder: Path) -> str:
    """How to get the lists of a folder without any; public datasets have published ones.

    Example:
        >>> how_to_list(Path("sky"))
        'write train.txt and test.txt into it, one image name per line, or let festkit data split \
sky draw them'
    """
    if card := known_card(dataset_name(folder)):
        lists = f"put the lists of {card.name} into it, on which results are compared"
        return f"{lists}: {card.how_to_get}"
    lists = "write train.txt and test.txt into it, one image name per line"
    return f"{lists}, or let festkit data split {shlex.quote(str(folder))} draw them"


def known_card(name: str) -> DatasetCard | None:
    """The card of a known dataset, by any of its names; None of others."""
    return _BY_NORMAL.get(normalize_name(name))
