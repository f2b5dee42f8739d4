"""The card in the header of a weights file: reading, checksum and required entries."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .files import NUMBER, check_form

if TYPE_CHECKING:
    from torch import Tensor

    Tensors = Mapping[str, Tensor]

CHECKSUM = "checksum"
"""Name of the checksum in a card; files written before it came have none."""

SCALE = {
    "size": int,
    "scales?": list | None,
    "train_split": str,
    "mean": NUMBER,
    "std": NUMBER,
    "th1?": NUMBER,
    "th2?": NUMBER | None,
    "rule?": str,
    "dataset?": str,
    "test_split?": str,
}
"""What the card of weights that are one scale of a FEST holds."""

FEST_CARD = {
    "networks": [{"size": int, "scale?": NUMBER}],
    "th1": NUMBER,
    "th2": NUMBER | None,
    "rule": str,
    "mean": NUMBER | None,
    "std": NUMBER | None,
}
"""What the card of a whole FEST holds."""


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
        raise InputError(f"the card of {path} is {type(card).__name__}, expected a JSON object")
    return card


def checksum(tensors: "Tensors", card: Mapping[str, Any]) -> str:
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
    signed = {name: value for name, value in card.items() if name != CHECKSUM}
    digest = hashlib.sha256(json.dumps([layout, signed], sort_keys=True).encode())
    for name in names:
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_whole(tensors: "Tensors", header: Mapping[str, str], path: str | Path) -> None:
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
            f"{path} is damaged: its tensors and card do not match the stored checksum. "
            "Copy it again from its source (weights of a clone of festkit: git "
            f"restore {path}; downloaded ones: festkit weights fetch), or train it again"
        )


def check_scale(card: Mapping[str, Any], path: str | Path) -> None:
    """Refuse a card that cannot be a scale's; ``path`` names its file in an error.

    Raises:
        ValueError: for the card of a whole FEST, or one that lacks what a scale needs.

    Example:
        >>> check_scale({"size": 512, "train_split": "aa", "mean": 0.4, "std": 0.1}, "acm")
    """
    if card.get("kind") == "FEST":
        raise InputError(f"{path} holds a whole FEST, not one network; read it with FEST.load")
    missing = [name for name in SCALE if not name.endswith("?") and name not in card]
    if missing:
        raise InputError(
            f"the card of {path} lacks {', '.join(missing)}. Weights written by festkit train have "
            "these entries; pass other weights to FEST as networks"
        )
    check_form(f"the card of {path}", card, SCALE)
    check_form(f"the card of {path}", card.get("scales") or [], [NUMBER], ("scales",))


def saved_origin(card: Mapping[str, Any], path: str | Path) -> dict[str, str] | None:
    """Training data named by the card of a saved FEST: dataset, train_split, test_split; or None.

    Raises:
        ValueError: if the entry is no mapping of texts.

    Example:
        >>> saved_origin({"origin": {"dataset": "NUAA-SIRST"}}, "fest.safetensors")
        {'dataset': 'NUAA-SIRST'}
    """
    origin = card.get("origin")
    if origin is not None:
        check_form(f"the card of {path}", card, {"origin": dict})
        check_form(f"the card of {path}", origin, dict.fromkeys(origin, str), ("origin",))
    return origin
