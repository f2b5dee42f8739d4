"""Look-up of names, with one message for every unknown one; names that need no heavy imports."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from .errors import InputError, InputTypeError

LOSS_NAMES = ("BCE", "SoftIoU", "Dice", "EE", "DM", "EEDM")
"""The losses of the paper, as it calls them."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def normalize_name(name: str) -> str:
    """A name in lower case, without hyphens, underscores and spaces, for comparison.

    Example:
        >>> normalize_name("DNA-Net")
        'dnanet'
    """
    return "".join(letter for letter in name.lower() if letter not in "-_ ")


def find_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The known name that equals ``name`` up to case, hyphens, underscores and spaces.

    Raises:
        ValueError: if none does; the message lists the known names and the nearest one.

    Example:
        >>> find_name("backbone", "dnanet", ["ACM", "DNA-Net"])
        'DNA-Net'
    """
    if not isinstance(name, str):
        raise InputTypeError(f"{kind} is {name!r}, expected one of {', '.join(known)}")
    by_normal = {normalize_name(entry): entry for entry in known}
    if normalize_name(name) in by_normal:
        return by_normal[normalize_name(name)]
    nearest = get_close_matches(normalize_name(name), by_normal, n=1, cutoff=0.5)
    hint = f" Did you mean {by_normal[nearest[0]]!r}?" if nearest else ""
    raise InputError(f"unknown {kind} {name!r}; choose from {', '.join(by_normal.values())}.{hint}")


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1.

    Example:
        >>> counted(1, "target"), counted(2, "target")
        ('1 target', '2 targets')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def check_several(**named: object) -> None:
    """Refuse a string where a list of strings is expected.

    Raises:
        ValueError: the message shows the list to pass.

    Example:
        >>> check_several(datasets="NUAA-SIRST")
        Traceback (most recent call last):
        festkit._support.errors.InputError: datasets is 'NUAA-SI...
    """
    for name, value in named.items():
        if isinstance(value, str):
            raise InputError(f"{name} is {value!r}, expected a list: {[value]}")
