"""Definition of each table of the paper: its rows, their trainings, and checks on its runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from .._support.errors import InputError
from .._support.names import LOSS_NAMES, check_several, find_name, normalize_name
from ..backbones import backbone_card, list_backbones
from ..data.catalogue import dataset_card
from .trainings import Profile, Training, find_profile, first_training, further_training

FIRST = 512
"""Input size [px] of the tables of one size, and of the first training of the others."""

SIZES = (256, 384, 512, 640, 768, 896, 1024)

FUSED = (896, 768, 1024)

COMPARED = ("NUAA-SIRST", "NUDT-SIRST", "IRSTD-1K")
"""Datasets on which the paper compares networks (Table 6)."""

EEDM_DEFAULTS = {"edge_weight": 4, "keep_ratio": 0.5}

EEDM_OPTIONS = {"edge_weight": (1, 3, 4, 5, 7), "keep_ratio": (0.1, 0.3, 0.5, 0.7, 0.9)}

Rows = dict[str, tuple[Training, ...]]


@dataclass(frozen=True)
class TableSpec:
    """One table or figure of the paper.

    Attributes:
        name: its name, such as "th1".
        notebook: the notebook that makes it.
        rows: the trainings of every row, given a profile, a network and a dataset; several
            trainings of a row are the scales of a fusion.
        row_fields: fields of the run record that a row determines.
        sizes: which input sizes its runs have: "any"; "distinct"; "same"; or "per network", the
            same in Original and LW-FEST of a network.
        compares_networks: whether its rows cover several networks and datasets.
        fused: whether all runs are scales of one fusion that is used in every row.
        orders_sizes: whether every seed chooses its own order of sizes.

    Example:
        >>> TABLES["th1"].label, TABLES["sensitivity"].label
        ('Table 4', 'Fig. 7')
    """

    name: str
    notebook: str
    rows: Callable[[Profile, str, str], Rows]
    row_fields: tuple[str, ...] = ()
    sizes: Literal["any", "distinct", "same", "per network"] = "any"
    compares_networks: bool = False
    fused: bool = False
    orders_sizes: bool = False

    @property
    def label(self) -> str:
        """Its number in the paper."""
        return self._short.replace("table", "Table ").replace("fig", "Fig. ")

    @property
    def names(self) -> tuple[str, ...]:
        """Names that users may pass."""
        return self.name, self.notebook, self._short, self._short.removeprefix("table")

    @property
    def networks(self) -> list[str]:
        """The networks it can be made with."""
        every = not self.compares_networks
        return [name for name in list_backbones() if every or backbone_card(name).paper_results()]

    def all_rows(self) -> Rows:
        """Every row it can have, with the trainings of the paper."""
        end = None if self.compares_networks else 1
        networks, datasets = self.networks[:end], COMPARED[:end]
        paper = find_profile("paper")
        return _merged(self.rows(paper, n, d) for n in networks for d in datasets)

    @property
    def _short(self) -> str:
        """The first word of the notebook, such as ``table4``."""
        return self.notebook.partition("_")[0]


def _merged(parts: Iterable[Rows]) -> Rows:
    """The rows of several parts."""
    return {row: scales for part in parts for row, scales in part.items()}


def _rows_of_sizes(profile: Profile, network: str, _: str, sizes: Sequence[int] = SIZES) -> Rows:
    """A row for every input size."""
    first = first_training(profile, network, profile.size(FIRST))
    return {str(n): (further_training(profile, first, profile.size(n)),) for n in sizes}


def _row_of_fusion(profile: Profile, network: str, dataset: str) -> Rows:
    """The one row whose scales are fused."""
    rows = _rows_of_sizes(profile, network, dataset, FUSED)
    return {"fused": tuple(training for (training,) in rows.values())}


def _rows_of_losses(profile: Profile, network: str, _: str) -> Rows:
    """A row for every loss."""
    size = profile.size(FIRST)
    return {loss: (first_training(profile, network, size, loss),) for loss in LOSS_NAMES}


def _rows_of_options(profile: Profile, network: str, _: str) -> Rows:
    """Defaults are left out, so that the training is the same as in the other tables."""
    train = partial(first_training, profile, network, profile.size(FIRST), "EEDM")
    return {
        f"{name} {value:g}": (train(**{name: float(value)} if value != default else {}),)
        for name, default in EEDM_DEFAULTS.items()
        for value in EEDM_OPTIONS[name]
    }


def _rows_of_schemes(profile: Profile, network: str, dataset: str) -> Rows:
    """Original, LW-FEST and FEST of one network, as the paper compares them."""
    dataset = paper_dataset(dataset)
    small, *larger = map(profile.size, dataset_card(dataset).fusion_sizes)
    light = first_training(profile, network, small)
    schemes = {
        "Original": (first_training(profile, network, small, "BCE"),),
        "LW-FEST": (light,),
        "FEST": (light, *(further_training(profile, light, size) for size in larger)),
    }
    return {f"{network}, {scheme}, {dataset}": each for scheme, each in schemes.items()}


_FUSED = partial(TableSpec, rows=_row_of_fusion, fused=True)

_LOSSES = partial(TableSpec, row_fields=("loss", "loss_options"), sizes="same")

TABLES: Mapping[str, TableSpec] = {
    spec.name: spec
    for spec in (
        TableSpec("input_size", "table1_input_size", _rows_of_sizes, sizes="distinct"),
        _LOSSES("losses", "table2_losses", _rows_of_losses),
        TableSpec("fusion", "table3_fusion", _rows_of_sizes, sizes="distinct", orders_sizes=True),
        _FUSED("th1", "table4_th1"),
        _FUSED("th2", "table5_th2"),
        TableSpec(
            "backbones", "table6_backbones", _rows_of_schemes, ("backbone", "loss"),
            sizes="per network", compares_networks=True,
        ),
        _LOSSES("hyperparameters", "fig5_hyperparameters", _rows_of_options),
        _FUSED("sensitivity", "fig7_sensitivity"),
    )
}  # fmt: skip
"""The paper's tables, and the figures that need trainings, by name.

The paper numbers some tables twice; the numbers here count them from the first to the last.
"""


def find_table(name: str) -> TableSpec:
    """A table by its name, its number or its notebook.

    Raises:
        ValueError: for an unknown name, with the known ones.

    Example:
        >>> [find_table(name).name for name in ("table1_input_size", "6", "Fig7")]
        ['input_size', 'backbones', 'sensitivity']
    """
    for spec in TABLES.values():
        if normalize_name(name) in map(normalize_name, spec.names):
            return spec
    return TABLES[find_name("table", name, TABLES)]


def paper_dataset(dataset: str) -> str:
    """The paper's dataset whose rows of Table 6 are compared with a dataset.

    This is the dataset itself if the paper uses it, else NUAA-SIRST.

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
) -> Rows:
    """The trainings that a table needs.

    Args:
        table: name, number or notebook of the table.
        profile: smoke, quick or paper.
        backbones: networks. Default: all eight for the table that compares networks, and the single
            network of the profile for the others.
        dataset: dataset that decides the rows of Table 6 and their sizes.

    Returns:
        For every row one training, or several that are fused.

    Raises:
        ValueError: for an unknown table, profile or network; for a network that the paper does not
            compare; or for several networks if the table takes one.

    Example:
        >>> [scale.size for scale in table_trainings("th1", "paper")["fused"]]
        [896, 768, 1024]
        >>> len(table_trainings("backbones", "smoke"))
        24
    """
    spec, chosen = find_table(table), find_profile(profile)
    check_several(backbones=backbones)
    if backbones is None:
        backbones = spec.networks if spec.compares_networks else [chosen.backbone]
    networks = [find_name("backbone", name, spec.networks) for name in backbones]
    if len(networks) != 1 and not spec.compares_networks:
        found = ", ".join(networks)
        raise InputError(f"the table {spec.name} is made with one network, got {found}")
    return _merged(spec.rows(chosen, network, dataset) for network in networks)
