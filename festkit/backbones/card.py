"""What is known of a backbone before it is built."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from torch import nn


@dataclass(frozen=True)
class BackboneCard:
    """One entry of the catalogue.

    Attributes:
        name: the name as the FEST paper prints it.
        build: its class; takes ``in_channels`` and, by name, the options of its own.
        parameters: numbers that training moves, with 3 input channels.
        macs_256: multiply-accumulate operations of one image of 256 x 256 px.
        macs_512: the same at 512 x 512 px.
        paper: authors, title, venue and link.
        recipe: how it was trained where it was published.
        published_parameters: parameters of the published code; more than ours where some reach no
            output; None if the FEST paper does not use the network.
        published_macs: operations of the published code at 256 and 512 px where they differ.
        deep_supervision: whether it offers side outputs in training.

    Example:
        >>> from festkit.backbones import backbone_card
        >>> backbone_card("DNA-Net").divisor
        16
    """

    name: str
    build: Callable[..., nn.Module]
    parameters: int
    macs_256: int
    macs_512: int
    paper: str
    recipe: str
    published_parameters: int | None = None
    published_macs: tuple[int, int] | None = None
    deep_supervision: bool = False

    @property
    def divisor(self) -> int:
        """Input height and width must be multiples of this."""
        return int(getattr(self.build, "divisor", 1))

    @property
    def smallest(self) -> int:
        """Input height and width must be at least this."""
        return int(getattr(self.build, "smallest", self.divisor))

    def figures(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """The FEST paper's figures of this network by dataset and scheme, in the paper's units.

        Example:
            >>> from festkit.backbones import backbone_card
            >>> backbone_card("ACM").figures()["NUAA-SIRST"]["FEST"]["iou"]
            73.57
        """
        found: dict[str, dict[str, dict[str, float | None]]] = {}
        for row in _paper_rows():
            if row["backbone"] == self.name:
                ratios = {name: row[name] for name in ("iou", "pd", "fa_e6", "score")}
                found.setdefault(row["dataset"], {})[row["scheme"]] = ratios
        return found


@cache
def _paper_rows() -> list[dict[str, Any]]:
    text = files("festkit").joinpath("paper_numbers.json").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)["backbones"]["rows"]
    return rows
