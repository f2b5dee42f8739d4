"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .files import open_frames as open_frames
from .folder import SkippedImages as SkippedImages
from .folder import predict_images as predict_images
from .models import trained_on as trained_on
from .opening import open_model as open_model
from .reading import read_frames as read_frames
from .reading import read_image as read_image
from .reading import tiled_maps as tiled_maps
