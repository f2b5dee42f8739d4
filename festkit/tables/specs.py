"""Which trainings every table of the paper needs, by the rows that they fill."""

from collections.abc import Sequence
from pathlib import Path

from .._support.errors import InputError
from .._support.names import LOSS_NAMES, check_several, find_name, normalize_name
from ..backbones import backbone_card, list_backbones
from ..data.catalogue import dataset_card
from .paper import find_table
from .trainings import Profile, Training, find_profile, first_training, further_training

SIZE_CLASSES = (256, 384, 512, 640, 768, 896, 1024)

FUSED = (896, 768, 1024)

FIRST = 512

EDGE_WEIGHTS = (1, 3, 4, 5, 7)

KEEP_RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)

COMPARED = ("NUAA-SIRST", "NUDT-SIRST", "IRSTD-1K")
"""The paper's own choices: Tables 1, 2 and 6, Fig. 5, and section IV-A."""

BEST = {"edge_weight": 4, "keep_ratio": 0.5}
"""What EEDM has anyway; left out, so that the training is the same as in the other tables."""


def paper_dataset(dataset: str) -> str:
    """The dataset in whose rows of Table 6 figures of a dataset stand.

    That is the dataset itself, by name or folder, if the paper has it; NUAA-SIRST's rows take
    others, such as scenes.

    Example:
        >>> paper_dataset("data/NUDT-SIRST"), paper_dataset("synthetic")
        ('NUDT-SIRST', 'NUAA-SIRST')
    """
    own = normalize_name(Path(dataset).name)
    return next((name for name in COMPARED if normalize_name(name) == own), COMPARED[0])


def table_trainings(
    table: str,
    profile: str = "smoke",
    *,
    backbones: Sequence[str] | None = None,
    dataset: str = "synthetic",
) -> dict[str, tuple[Training, ...]]:
    """The trainings that a table needs.

    Args:
        table: as :func:`find_table` takes it.
        profile: smoke, quick or paper.
        backbones: networks; None takes all eight for the table that compares networks, and the
            profile's for every other, which needs just one.
        dataset: on which; for the rows of Table 6, and their sizes.

    Returns:
        By the row that they fill, the scales of each: one training, or several that are fused.

    Raises:
        ValueError: for an unknown table, profile or network, one that the paper does not compare,
            or several for a table of one.

    Example:
        >>> [scale.size for scale in table_trainings("th1", "paper")["fused"]]
        [896, 768, 1024]
        >>> len(table_trainings("backbones", "smoke"))
        24
    """
    table, chosen = find_table(table), find_profile(profile)
    check_several(backbones=backbones)
    known = [n for n in list_backbones() if table != "backbones" or backbone_card(n).figures()]
    if backbones is None:
        backbones = known if table == "backbones" else [chosen.backbone]
    names = [find_name("backbone", name, known) for name in backbones]
    if table == "backbones":
        each = [_schemes(chosen, name, dataset) for name in names]
        return {row: scales for rows in each for row, scales in rows.items()}
    if len(names) != 1:
        raise InputError(f"the table {table} is made with one network, got {', '.join(names)}")
    return _rows(table, chosen, names[0])


def _rows(table: str, profile: Profile, backbone: str) -> dict[str, tuple[Training, ...]]:
    size = profile.size(FIRST)
    if table == "losses":
        return {loss: (first_training(profile, backbone, size, loss),) for loss in LOSS_NAMES}
    if table == "hyperparameters":
        options = [("edge_weight", float(weight)) for weight in EDGE_WEIGHTS]
        options += [("keep_ratio", ratio) for ratio in KEEP_RATIOS]
        return {
            f"{name} {value:g}": (_with_option(profile, backbone, name, value),)
            for name, value in options
        }
    first = first_training(profile, backbone, size)
    by_size = {
        paper: further_training(profile, first, profile.size(paper)) for paper in SIZE_CLASSES
    }
    if table in ("input_size", "fusion"):
        return {str(paper): (training,) for paper, training in by_size.items()}
    return {"fused": tuple(by_size[paper] for paper in FUSED)}


def _with_option(profile: Profile, backbone: str, name: str, value: float) -> Training:
    options = {} if value == BEST[name] else {name: value}
    return first_training(profile, backbone, profile.size(FIRST), "EEDM", **options)


def _schemes(profile: Profile, backbone: str, dataset: str) -> dict[str, tuple[Training, ...]]:
    """Original, LW-FEST and FEST of one network, as the paper compares them."""
    stands_for = paper_dataset(dataset)
    small, large = (profile.size(size) for size in dataset_card(stands_for).fusion_sizes)
    first = first_training(profile, backbone, small)
    scales = {
        "Original": (first_training(profile, backbone, small, "BCE"),),
        "LW-FEST": (first,),
        "FEST": (first, further_training(profile, first, large)),
    }
    return {f"{backbone}, {scheme}, {stands_for}": each for scheme, each in scales.items()}
