"""The probability maps that training runs keep, beside the images and truths they belong to.

Reading order: `opened` (the maps of one run, or of several that are scales), `choosing` (which
scales to fuse, which images to look at).
"""

from .choosing import FusionStep, greedy_fusion, hardest_images
from .opened import MappedImage, RunMaps, open_maps

__all__ = [
    "FusionStep",
    "MappedImage",
    "RunMaps",
    "greedy_fusion",
    "hardest_images",
    "open_maps",
]
