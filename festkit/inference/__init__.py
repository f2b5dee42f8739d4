"""Frames in, detections out: images, videos, folders, large frames in tiles.

Reading order: `models` (a FEST by name), `frames` (one file), `sources` (which files), `gray`
(levels and polarity), `stream` and `journal` (frame by frame, resumable), `outputs` (formats),
`folder` (all of it); `reading` (one image; tiles).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
