"""The catalogue of backbones: one card per network, read from ``cards.toml`` without torch."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from .paper import paper_numbers

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class BackboneCard:
    """Facts about a backbone, known before it is built.

    Attributes:
        name: the name as the FEST paper prints it.
        network: module and class, such as "festkit.backbones.acm:ACM".
        divisor: input height and width must be multiples of this.
        parameters: trainable parameters, with 3 input channels.
        macs_256: multiply-accumulate operations for one image of 256 x 256 px.
        macs_512: the same for 512 x 512 px.
        paper: authors, title, venue and link.
        recipe: how the authors trained it.
        smallest: smallest input height and width [px].
        published_parameters: parameters of the published code, including layers that reach no
            output; None if the FEST paper does not use the network.
        published_macs: operations of the published code at 256 and 512 px, if they differ from
            ours.
        deep_supervision: whether it has side outputs in training.

    Example:
        >>> from festkit.backbones import backbone_card
        >>> backbone_card("DNA-Net").divisor
        16
    """

    name: str
    network: str
    divisor: int
    parameters: int
    macs_256: int
    macs_512: int
    paper: str
    recipe: str
    smallest: int = 1
    published_parameters: int | None = None
    published_macs: tuple[int, int] | None = None
    deep_supervision: bool = False

    @property
    def build(self) -> "Callable[..., nn.Module]":
        """The network's class; takes ``in_channels`` and, by keyword, its own options."""
        network: Callable[..., nn.Module] = resolve_name(self.network)
        return network

    def paper_results(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """The FEST paper's results of this network by dataset and scheme, in the paper's units.

        Example:
            >>> from festkit.backbones import backbone_card
            >>> backbone_card("ACM").paper_results()["NUAA-SIRST"]["FEST"]["iou"]
            73.57
        """
        results: dict[str, dict[str, dict[str, float | None]]] = {}
        for row in paper_numbers()["backbones"]["rows"]:
            if row["backbone"] == self.name:
                metrics = {name: row[name] for name in ("iou", "pd", "fa_e6", "score")}
                results.setdefault(row["dataset"], {})[row["scheme"]] = metrics
        return results


_TABLES = tomllib.loads(files(__package__).joinpath("cards.toml").read_text(encoding="utf-8"))

CATALOGUE = {name: BackboneCard(name, **table) for name, table in _TABLES.items()}
"""Every card by the name of its network, in the order in which they are listed."""
