"""Own images: which FEST looks at them, large frames square by square, folders into files.

Reading order: `opening` (a FEST by what it is called), `tiles` (large frames), `many` (many images,
results as masks, tables and pictures), `written` (the files of one image).
"""

from .many import predict_images
from .opening import open_fest, trained_on
from .tiles import tiled_maps

__all__ = ["open_fest", "predict_images", "tiled_maps", "trained_on"]
