"""Results that hold arrays: compared by value, printed short."""

from dataclasses import fields
from html import escape
from typing import Any

import numpy as np
from torch import Tensor


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
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def _public(values: Any) -> list[str]:
    return [field.name for field in fields(values) if not field.name.startswith("_")]


def _equal(a: Any, b: Any) -> bool:
    a, b = (each.cpu() if isinstance(each, Tensor) else each for each in (a, b))
    if hasattr(a, "shape") and hasattr(b, "shape"):
        return np.array_equal(a, b, equal_nan=True)
    return bool(a == b)


def _shape_or_value(value: Any) -> Any:
    return tuple(value.shape) if hasattr(value, "shape") else value
