"""The card in the header of a weights file: how it is read, and the checksum that it holds."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

CHECKSUM = "checksum"
"""Name of the checksum in a card; files written before it came have none."""


def parse_card(header: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The card in the header of a safetensors file; ``path`` names the file in an error.

    Raises:
        ValueError: if there is none, or it does not hold named values.

    Example:
        >>> parse_card({"card": '{"size": 256}'}, "acm.safetensors")
        {'size': 256}
    """
    if "card" not in header:
        raise InputError(f"{path} has no card; it was not written by festkit")
    try:
        card = json.loads(header["card"])
    except json.JSONDecodeError as error:
        raise InputError(f"the card of {path} is not readable JSON ({error})") from error
    if not isinstance(card, dict):
        raise InputError(f"the card of {path} is {type(card).__name__}, expected named values")
    return card


def checksum(tensors: "Mapping[str, Tensor]", card: Mapping[str, Any]) -> str:
    """SHA-256 of named tensors and of their card, apart from the checksum that it may hold.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> import torch
        >>> one, other = ({"weight": torch.tensor([value])} for value in (1.0, 1.0000001))
        >>> checksum(one, {}) == checksum(other, {})
        False
    """
    import torch  # noqa: PLC0415 - cards are read without it

    names = sorted(tensors)
    layout = [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in names]
    told = {name: value for name, value in card.items() if name != CHECKSUM}
    digest = hashlib.sha256(json.dumps([layout, told], sort_keys=True).encode())
    for name in names:
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_whole(
    tensors: "Mapping[str, Tensor]", header: Mapping[str, str], path: str | Path
) -> None:
    """Refuse tensors or a card that are not what was written; files without checksum pass.

    Raises:
        ValueError: if they are damaged.

    Example:
        >>> check_whole({}, {}, "of-another-program.safetensors")
    """
    if "card" not in header:
        return
    card = parse_card(header, path)
    if CHECKSUM in card and card[CHECKSUM] != checksum(tensors, card):
        raise InputError(
            f"{path} is damaged: its tensors and card do not have the checksum that was written "
            "with them. Copy it again from where it came (weights of a clone of festkit: git "
            f"restore {path}), or train it again"
        )
