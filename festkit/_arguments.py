"""What public functions accept: arrays and tensors of numbers, and single numbers."""

from reprlib import repr as short
from typing import Any

import numpy as np
from torch import Tensor

from ._errors import InputTypeError


def as_numbers(name: str, values: Any) -> Any:
    """An array of bool, integers or floats of anything array-like; tensors pass.

    Every true of a bool array is then stored as 1, as compiled code takes it to be; a view of other
    bytes holds what they are.

    Raises:
        TypeError: for a masked array, whose mask would be lost, and for what holds no numbers.

    Example:
        >>> as_numbers("prob", [[0.5, 1.0]])
        array([[0.5, 1. ]])
        >>> as_numbers("th1", ["0.5"])
        Traceback (most recent call last):
        festkit._errors.InputTypeError: th1 is ['0.5'], expected an array or tensor of numbers
    """
    if isinstance(values, Tensor):
        return values
    if isinstance(values, np.ma.MaskedArray):
        raise InputTypeError(
            f"{name} is a masked array, whose mask would be lost; fill it first ({name}.filled(0))"
        )
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise InputTypeError(f"{name} is {short(values)}, expected an array or tensor of numbers")
    if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
        return array != 0
    return array


def check_number(name: str, value: object) -> None:
    """Refuse what is not one number, such as text, None, a bool or an array.

    Raises:
        TypeError: with the name and what came.

    Example:
        >>> check_number("th1", 0.5)
        >>> check_number("th1", None)
        Traceback (most recent call last):
        festkit._errors.InputTypeError: th1 is None, expected one number
    """
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise InputTypeError(f"{name} is {short(value)}, expected one number")
