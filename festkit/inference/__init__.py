"""Frames in, detections out: images, videos, folders, large frames in tiles.

Reading order: `models` (a FEST by name), `frames`, `files` and `video` (one file), `sources`
(which files), `gray` (levels and polarity), `stream` and `journal` (frame by frame, resumable),
`outputs` (formats), `folder` (all of it); `reading` (for use in Python; tiles).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
