"""What is compared: our way, an alternative, and the input of both."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Two ways of doing the same.

    Attributes:
        name: what is done, and on what.
        alternative: the way it is compared with.
        ours: our way.
        other: the alternative.
    """

    name: str
    alternative: str
    ours: Callable[[], object]
    other: Callable[[], object]
