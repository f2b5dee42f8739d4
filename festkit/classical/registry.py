"""Detectors by name; their files are imported when one is created."""

import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._support.errors import InputError
from .._support.names import find_name

if TYPE_CHECKING:
    from .detector import Detector

DETECTORS: dict[str, tuple[str, str]] = tomllib.loads(
    Path(__file__).with_name("detectors.toml").read_text(encoding="utf-8")
)
"""By name the class, and the paper of the method."""


def list_detectors() -> list[str]:
    """Names of the training-free detectors.

    Example:
        >>> "PSTNN" in list_detectors()
        True
    """
    return list(DETECTORS)


def create_detector(name: str, **parameters: Any) -> "Detector":
    """Create a training-free detector by name.

    Args:
        name: case, hyphens and spaces do not matter.
        parameters: parameters of the method; see ``help(create_detector(name))``.

    Raises:
        ValueError: for an unknown name or parameter, or a value out of range; the message lists the
            known ones.

    Example:
        >>> create_detector("max-median", window=9)
        MaxMedian(window=9)
    """
    name = find_name("detector", name, DETECTORS)
    module, _, method = DETECTORS[name][0].partition(":")
    chosen = getattr(import_module(f"{__package__}.{module}"), method)
    known = [each.name for each in fields(chosen)]
    unknown = sorted(parameters.keys() - set(known))
    if unknown:
        raise InputError(f"{name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}")
    detector: Detector = chosen(**parameters)
    return detector
