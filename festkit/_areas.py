"""Size classes of targets, the convention of this kit."""

POINT_AREA, SPOT_AREA = 9, 81
"""Largest areas of point and of spot targets [px]; larger ones are extended."""
