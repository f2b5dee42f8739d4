"""Argument checks of public functions: arrays and tensors of numbers, and single numbers."""

from dataclasses import fields
from html import escape
from reprlib import repr as short
from typing import Any

import numpy as np

from .errors import InputError, InputTypeError
from .tensors import is_tensor


def as_numbers(name: str, values: Any) -> Any:
    """An array of bool, integers or floats of anything array-like; tensors pass.

    True is stored as 1 in the result, as compiled code expects; a bool view of other bytes is not.

    Raises:
        TypeError: for a masked array, whose mask would be lost, or values that are not numbers.

    Example:
        >>> as_numbers("prob", [[0.5, 1.0]])
        array([[0.5, 1. ]])
        >>> as_numbers("th1", ["0.5"])
        Traceback (most recent call last):
        festkit._support.errors.InputTypeError: th1 is ['0.5'], expe...
    """
    if is_tensor(values):
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


SMALLEST_SIDE = 16
"""No image is smaller: a shape (H, W, C) of at least this height and width has channels last."""


def refuse_channels_last(name: str, shape: tuple[int, ...]) -> None:
    """Refuse (H, W, 1) to (H, W, 4), which would count as H images of width 1 to 4.

    Raises:
        ValueError: if channels come last; the message tells how to select one.

    Example:
        >>> refuse_channels_last("pred", (3, 256, 256))
    """
    if len(shape) == 3 and shape[2] <= 4 and min(shape[:2]) >= SMALLEST_SIDE:
        raise InputError(
            f"{name} has shape {tuple(shape)}, channels last; expected (H, W) or (N, H, W): take "
            "one channel, as by array[..., 0]"
        )


def check_batch_shape(name: str, shape: tuple[int, ...]) -> None:
    """Refuse arrays that are neither one map nor a batch of maps.

    Raises:
        ValueError: if the shape is another; the message gives the expected ones.

    Example:
        >>> check_batch_shape("pred", (3, 256, 256))
    """
    if len(shape) not in (2, 3) and (len(shape) != 4 or shape[1] != 1):
        raise InputError(
            f"{name} has shape {tuple(shape)}, expected (H, W), (N, H, W) or (N, 1, H, W)"
        )
    refuse_channels_last(name, shape)


def check_number(name: str, value: object) -> None:
    """Refuse values that are not one number, such as a string, None, a bool or an array.

    Raises:
        TypeError: if it is not one number.

    Example:
        >>> check_number("th1", 0.5)
        >>> check_number("th1", None)
        Traceback (most recent call last):
        festkit._support.errors.InputTypeError: th1 is None, expected one number
    """
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise InputTypeError(f"{name} is {short(value)}, expected one number")


def check_range(name: str, value: object, interval: str, what: str = "a number") -> None:
    """Refuse what is not one number in an interval.

    Args:
        name: name of the argument, for the message.
        value: the value to check.
        interval: allowed interval, such as "[0, 1)" or "(0, inf)"; a round bracket excludes its
            end.
        what: description of the number, for the message.

    Raises:
        TypeError: see :func:`check_number`.
        ValueError: if it is outside the interval.

    Example:
        >>> check_range("level", 0.95, "(0, 1)", "a share")
        >>> check_range("level", 95, "(0, 1)", "a share")
        Traceback (most recent call last):
        festkit._support.errors.InputError: level is 95, expected a share in (0, 1)
    """
    check_number(name, value)
    low, high = (float(end) for end in interval[1:-1].split(","))
    inside = low < value < high  # type: ignore[operator]
    at_end = (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")
    if not (inside or at_end):
        raise InputError(f"{name} is {value}, expected {what} in {interval}")


class ArrayValues:
    """Base of dataclasses with arrays or tensors, declared with ``eq=False`` and ``repr=False``.

    Two of one class are equal if their public fields are, on any device; a NaN equals a NaN. Equal
    ones have the same hash. A subclass says in ``_facts`` what is worth printing.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, eq=False, repr=False)
        ... class Curve(ArrayValues):
        ...     values: np.ndarray
        ...     def _facts(self):
        ...         return {"points": len(self.values)}
        >>> curve = Curve(np.ones(1000))
        >>> curve, curve == Curve(np.ones(1000))
        (Curve(points=1000), True)
    """

    def _facts(self) -> dict[str, Any]:
        """What is printed, by name."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = _public(self)
        return all(_equal(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        values = [getattr(self, name) for name in _public(self)]
        return hash((type(self), *(_shape_or_value(value) for value in values)))

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self._facts().items())
        return f"{type(self).__name__}({facts})"

    def _repr_html_(self) -> str:
        return html_table(type(self).__name__, self._facts())


def html_table(title: str, facts: dict[str, Any]) -> str:
    """A small table for notebooks.

    Example:
        >>> html_table("Sky", {"images": 3})
        '<table><caption>Sky</caption><tr><th>images</th><td>3</td></tr></table>'
    """
    cells = {escape(name): escape(str(value)) for name, value in facts.items()}
    rows = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in cells.items())
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def _public(values: Any) -> list[str]:
    """Names of the public fields."""
    return [field.name for field in fields(values) if not field.name.startswith("_")]


def _equal(a: Any, b: Any) -> bool:
    """Whether two values are equal, on any device."""
    a, b = (each.cpu() if is_tensor(each) else each for each in (a, b))
    if hasattr(a, "shape") and hasattr(b, "shape"):
        return np.array_equal(a, b, equal_nan=True)
    return bool(a == b)


def _shape_or_value(value: Any) -> Any:
    """What equal values have in common."""
    return tuple(value.shape) if hasattr(value, "shape") else value
