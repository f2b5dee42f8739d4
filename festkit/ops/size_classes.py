"""Size classes of targets, the convention of this kit."""

import math

POINT_AREA, SPOT_AREA = 9, 81
"""Largest areas of point and of spot targets [px]; larger ones are extended."""


def kind_of(area: int) -> str:
    """The class of a target by its labelled area.

    Example:
        >>> kind_of(9), kind_of(10), kind_of(82)
        ('point', 'spot', 'extended')
    """
    return "point" if area <= POINT_AREA else "spot" if area <= SPOT_AREA else "extended"


MOST_SHARE = 0.5
"""Share of an image above which a mask of small targets cannot be right."""

SIZE_CLASSES = {
    "point": (1, POINT_AREA),
    "spot": (POINT_AREA + 1, SPOT_AREA),
    "extended": (SPOT_AREA + 1, math.inf),
}
"""Least and largest area of the targets of each size class [px]."""
