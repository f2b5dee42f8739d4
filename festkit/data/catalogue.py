"""The public datasets festkit knows: what each holds, whence it comes, where it lies."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .._support.errors import InputError, MissingFileError
from .._support.names import find_name, plain


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a public dataset; ``None`` where nothing has been measured.

    Attributes:
        name: name as festkit prints it.
        aliases: other names in use.
        images: number of images.
        train: images in the train list.
        test: images in the test list.
        targets: 8-connected targets in all images, masks binarised at > 127.
        test_targets: those in the test images: the denominator of Pd.
        fusion_sizes: side of the network inputs that the FEST paper fuses, px; empty if none.
        source: who made it and where it lives.
        citation: the paper to cite.
        licence: what the source states.
        how_to_get: what to do to have it on disk.
        remarks: where files and publications differ.
        holds: other known datasets whose images are among its own.
    """

    name: str
    aliases: tuple[str, ...]
    images: int | None
    train: int | None
    test: int | None
    targets: int | None
    test_targets: int | None
    fusion_sizes: tuple[int, ...]
    source: str
    citation: str
    licence: str
    how_to_get: str
    remarks: str
    holds: tuple[str, ...] = ()


_LISTS = (
    "The train and test lists of the paper are BasicIRSTD's (https://github.com/XinyiYing/"
    "BasicIRSTD): put them into img_idx/."
)

_CARDS = (
    DatasetCard(
        name="NUAA-SIRST",
        aliases=("SIRST-v1", "SIRST"),
        images=427,
        train=213,
        test=214,
        targets=533,
        test_targets=263,
        fusion_sizes=(512, 768),
        source="Y. Dai et al., https://github.com/YimianDai/sirst; real images",
        citation=(
            "Y. Dai, Y. Wu, F. Zhou, K. Barnard, Asymmetric Contextual Modulation for Infrared"
            " Small Target Detection, WACV 2021"
        ),
        licence="none stated; research use with citation",
        how_to_get=f"Clone https://github.com/YimianDai/sirst as NUAA-SIRST. {_LISTS}",
        remarks=(
            "The paper speaks of 10 % of images with several targets; by connected components it"
            " is 16 %. In the original files the mask of Misc_111 has another size than its image."
        ),
    ),
    DatasetCard(
        name="NUDT-SIRST",
        aliases=(),
        images=1327,
        train=663,
        test=664,
        targets=1863,
        test_targets=945,
        fusion_sizes=(256, 384),
        source=(
            "B. Li et al., https://github.com/YeRen123455/Infrared-Small-Target-Detection;"
            " synthetic targets on five kinds of background"
        ),
        citation=(
            "B. Li, C. Xiao, L. Wang, Y. Wang, Z. Lin, M. Li, W. An, Y. Guo, Dense Nested"
            " Attention Network for Infrared Small Target Detection, IEEE TIP 32, 2023"
        ),
        licence="none stated for the images (the code beside them is MIT); research use",
        how_to_get=(
            "Follow the cloud-drive link in the README of https://github.com/YeRen123455/"
            "Infrared-Small-Target-Detection; its 50_50 lists are the paper's."
        ),
        remarks="4-connectivity would count 1923 targets.",
    ),
    DatasetCard(
        name="IRSTD-1K",
        aliases=(),
        images=1001,
        train=800,
        test=201,
        targets=1492,
        test_targets=297,
        fusion_sizes=(512, 768),
        source="M. Zhang et al., https://github.com/RuiZhang97/ISNet; real images, 512 × 512 px",
        citation=(
            "M. Zhang, R. Zhang, Y. Yang, H. Bai, J. Zhang, J. Guo, ISNet: Shape Matters for"
            " Infrared Small Target Detection, CVPR 2022"
        ),
        licence="MIT, as the source states",
        how_to_get=(
            "Follow the cloud-drive link in the README of https://github.com/RuiZhang97/ISNet."
            f" {_LISTS}"
        ),
        remarks=(
            "85 masks hold gray edge values. The paper states 801:200; the test list in use has"
            " 201 names."
        ),
    ),
    DatasetCard(
        name="SIRST-V2",
        aliases=(),
        images=None,
        train=None,
        test=None,
        targets=None,
        test_targets=None,
        fusion_sizes=(),
        source="Y. Dai et al.; real images, among them those of NUAA-SIRST",
        citation=(
            "Y. Dai, X. Li, F. Zhou, Y. Qian, Y. Chen, J. Yang, One-Stage Cascade Refinement"
            " Networks for Infrared Small Target Detection, IEEE TGRS 61, 2023"
        ),
        licence="not examined; ask its authors",
        how_to_get="See https://github.com/YimianDai/open-deepinfrared, where its paper points.",
        remarks="It holds the images of NUAA-SIRST: do not train on one and test on the other.",
        holds=("NUAA-SIRST",),
    ),
    DatasetCard(
        name="W-IRSTD",
        aliases=(),
        images=9000,
        train=7200,
        test=1800,
        targets=None,
        test_targets=None,
        fusion_sizes=(896, 768, 1024),
        source=(
            "drawn from seven public sets (SIRST-V2, IRSTD-1k, IRDST, NUDT-SIRST, NUDT-SIRST-Sea,"
            " NUDT-MIRSDT, Anti-UAV410) for the ICPR 2024 LimitIRSTD competition"
        ),
        citation=(
            "B. Li, X. Ying, R. Li et al., ICPR 2024 Competition on Resource-Limited Infrared"
            " Small Target Detection Challenge: Methods and Results, ICPR 2024"
        ),
        licence="not published; its parts carry their own",
        how_to_get="It is not publicly available as files; ask the organisers of the competition.",
        remarks="Figures are the FEST paper's; none could be measured.",
        holds=("SIRST-V2", "IRSTD-1K", "NUDT-SIRST"),
    ),
)

_BY_NAME = {name: card for card in _CARDS for name in (card.name, *card.aliases)}


def list_datasets() -> list[str]:
    """Names of the public datasets festkit knows, on disk or not.

    Example:
        >>> list_datasets()
        ['NUAA-SIRST', 'NUDT-SIRST', 'IRSTD-1K', 'SIRST-V2', 'W-IRSTD']
    """
    return [card.name for card in _CARDS]


def dataset_card(name: str) -> DatasetCard:
    """What is known of one public dataset.

    Args:
        name: name or alias; case, hyphens, underscores and spaces do not matter.

    Raises:
        ValueError: if the name is unknown; the message gives the known ones and the nearest.

    Example:
        >>> card = dataset_card("sirst-v1")
        >>> card.name, card.train, card.test, card.fusion_sizes
        ('NUAA-SIRST', 213, 214, (512, 768))
    """
    return _BY_NAME[find_name("dataset", name, _BY_NAME)]


def images_of(names: Iterable[str]) -> set[str]:
    """Datasets, and the known ones whose images are among theirs.

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
        name_or_folder: a known name, looked up under the root under all its names; or the path of
            a folder; or the name of any folder under the root.
        root: where datasets lie; default the environment's FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if a known dataset or a path is not there; says where it was looked for.
        ValueError: if the name is unknown or empty.

    Example:
        >>> find_folder("NUAA-SIRST", root="/nowhere")
        Traceback (most recent call last):
        festkit.MissingFileError: NUAA-SIRST is not under ...nowhere...
    """
    text, path = str(name_or_folder), Path(name_or_folder).expanduser()
    if not text.strip():
        raise InputError(f"empty dataset name; known are {', '.join(list_datasets())}")
    base = Path(root or os.environ.get("FESTKIT_DATA") or "data").expanduser()
    under_root = {plain(entry.name): entry for entry in _folders(base)}
    card = known_card(text)
    spellings = (card.name, *card.aliases) if card else (text,)
    found = next((under_root[plain(name)] for name in spellings if plain(name) in under_root), None)
    if path.is_dir() and (card is None or found is None):
        found = path
    if found:
        own_name = Path(os.path.abspath(found)).name
        card = card or known_card(own_name)
        return card.name if card else own_name, found
    if card:
        raise MissingFileError(
            f"{card.name} is not under {base.absolute()} (the root is root=, else FESTKIT_DATA,"
            f" else data/); looked for a folder named {' or '.join(spellings)}."
            f" How to get it: {card.how_to_get}"
        )
    if isinstance(name_or_folder, Path) or len(path.parts) > 1:
        raise MissingFileError(f"there is no dataset folder {path.absolute()}")
    known = (*list_datasets(), *(entry.name for entry in under_root.values()))
    return find_name("dataset", text, known), path  # refuses: no known name is left to equal


def members_of(name_or_folder: str | Path) -> list[str | Path]:
    """The datasets of a union, whose names or folders are joined by +; a folder is one of its own.

    Example:
        >>> members_of("NUAA-SIRST + NUDT-SIRST")
        ['NUAA-SIRST', 'NUDT-SIRST']
    """
    if isinstance(name_or_folder, Path) or Path(name_or_folder).is_dir():
        return [name_or_folder]
    return [member.strip() for member in name_or_folder.split("+")]


def dataset_folder(name_or_folder: str | Path, root: str | Path | None = None) -> str:
    """Where a dataset lies: its absolute folder, or those of a union, joined by +.

    Args:
        name_or_folder: as in :func:`find_folder`, or a union of these.
        root: where datasets lie; default the environment's FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if a known dataset or a path is not there.
        ValueError: if a name is unknown or empty.

    Example:
        >>> dataset_folder(Path.cwd()) == str(Path.cwd())
        True
    """
    folders = [find_folder(member, root)[1] for member in members_of(name_or_folder)]
    return "+".join(os.path.abspath(folder) for folder in folders)


def dataset_name(name_or_folder: str | Path) -> str:
    """What a dataset, or a union, is called, wherever it lies; a known one however it is spelled.

    Example:
        >>> dataset_name("sirst"), dataset_name("/data/NUDT_SIRST+/data/own")
        ('NUAA-SIRST', 'NUDT-SIRST+own')
    """
    own = [Path(os.path.abspath(member)).name for member in members_of(name_or_folder)]
    return "+".join(card.name if (card := known_card(name)) else name for name in own)


def known_card(name: str) -> DatasetCard | None:
    """The card of a known dataset, by any of its names; None of others."""
    return next((card for known, card in _BY_NAME.items() if plain(known) == plain(name)), None)


def _folders(base: Path) -> list[Path]:
    return [entry for entry in sorted(base.iterdir()) if entry.is_dir()] if base.is_dir() else []
