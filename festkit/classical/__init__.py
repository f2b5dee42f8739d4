"""Training-free detectors: the paper's section 2.1, one file per method.

Every detector gives a target map, never a mask. What is detected is decided afterwards, by a named
threshold rule (:mod:`festkit.classical.thresholds`) or by adjustable sensitivity.

The numbers [13] to [15] of the FEST paper's section 2.1 do not lead to the methods that it names;
each detector states its own source.
"""

from dataclasses import fields
from typing import Any

from .._support.errors import InputError
from .._support.names import find_name
from .bemd import FABEMD
from .contrast import LCM, MPCM
from .detector import Detector, normalize_map
from .dtcwt import DTCWT
from .max_median import MaxMean, MaxMedian
from .morphology import NewTopHat, TopHat
from .patch_image import IPI, NIPPS
from .pstnn import PSTNN
from .tdlms import TDLMS

__all__ = ["DETECTORS", "Detector", "create_detector", "list_detectors", "normalize_map"]

DETECTORS: dict[str, type[Detector]] = {
    "Top-Hat": TopHat,
    "New Top-Hat": NewTopHat,
    "Max-Median": MaxMedian,
    "Max-Mean": MaxMean,
    "TDLMS": TDLMS,
    "DT-CWT": DTCWT,
    "BEMD": FABEMD,
    "LCM": LCM,
    "MPCM": MPCM,
    "IPI": IPI,
    "NIPPS": NIPPS,
    "PSTNN": PSTNN,
}
"""Detectors by the name of their method."""


def list_detectors() -> list[str]:
    """Names of the training-free detectors.

    Example:
        >>> "PSTNN" in list_detectors()
        True
    """
    return list(DETECTORS)


def create_detector(name: str, **parameters: Any) -> Detector:
    """A training-free detector by name.

    Args:
        name: case, hyphens and spaces do not matter.
        parameters: of the method; see its class.

    Raises:
        ValueError: for an unknown name or parameter, with the known ones, or a value out of range.

    Example:
        >>> create_detector("max-median", window=9)
        MaxMedian(window=9)
    """
    method = DETECTORS[find_name("detector", name, DETECTORS)]
    known = {each.name for each in fields(method)}
    if parameters.keys() - known:
        raise InputError(
            f"{name} has no parameter {', '.join(sorted(parameters.keys() - known))}; it has "
            f"{', '.join(sorted(known))}"
        )
    return method(**parameters)
