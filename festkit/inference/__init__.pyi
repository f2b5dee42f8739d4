"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .folder import ImagesLeftOut as ImagesLeftOut
from .folder import predict_images as predict_images
from .models import open_fest as open_fest
from .models import trained_on as trained_on
from .reading import read_image as read_image
from .reading import tiled_maps as tiled_maps
