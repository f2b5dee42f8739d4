"""Own images: which FEST looks at them, large frames square by square, folders into files.

Reading order: `opening` (a FEST by what it is called), `reading` (an image file), `tiles` (large
frames), `many` (many images, results as masks, tables and pictures), `written` (the files of one
image).
"""

from .many import ImagesLeftOut, predict_images
from .opening import open_fest, trained_on
from .reading import read_image
from .tiles import tiled_maps

__all__ = [
    "ImagesLeftOut",
    "open_fest",
    "predict_images",
    "read_image",
    "tiled_maps",
    "trained_on",
]
