"""Frames in, detections out: image files, folders, large frames in tiles.

Reading order: `models` (a FEST by name), `reading` (an image file; tiles of a large frame),
`folder` (many images into masks, tables and pictures), `outputs` (the files of one image).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
