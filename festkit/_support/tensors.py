"""PyTorch where a tensor is given, and only there: rooms that import it from here start without."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from typing_extensions import TypeIs
else:

    class _Torch:
        """The package ``torch``, imported when something of it is used."""

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module("torch"), name)

    torch = _Torch()


def is_tensor(value: object) -> "TypeIs[Tensor]":
    """Whether a value is a PyTorch tensor; False until torch is imported.

    Example:
        >>> is_tensor([1.0])
        False
    """
    return "torch" in sys.modules and isinstance(value, torch.Tensor)
