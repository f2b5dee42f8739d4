"""Draw the masks of a dataset with labels, so that annotation tools and other kits read it."""

import shutil
from pathlib import Path

from PIL import Image

from .._support.errors import MissingFileError
from .._support.files import atomic_folder, write_text
from .._support.progress import progress
from .dataset import require_files
from .folders import open_folder
from .images import read_raster
from .pairing import WEAK_NOTE, weak_kinds


def convert_dataset(folder: str | Path, out: str | Path) -> Path:
    """Write a dataset of any known layout as images, masks and lists.

    Labels may be boxes (COCO, YOLO, VOC), polygons (COCO, labelme), points or regions (COCO run
    lengths). Masks drawn from anything but regions are weak; ``weak.txt`` beside them says so, and
    loading and training warn.

    Args:
        folder: the dataset.
        out: new folder with ``images``, ``masks`` and the lists of the splits.

    Returns:
        ``out``.

    Raises:
        FileNotFoundError: if there is no such folder.
        FileExistsError: if ``out`` exists.
        ValueError: if the layout is not recognised, a file is missing or damaged, or a label is
            outside its image.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for place in ("images", "labels"):
        ...     (folder / place).mkdir()
        >>> Image.new("L", (8, 4)).save(folder / "images" / "a.png")
        >>> _ = (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.5")
        >>> out = convert_dataset(folder, folder / "drawn")
        >>> sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
        ['images/a.png', 'masks/a.png', 'masks/weak.txt']
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise MissingFileError(f"no such dataset folder: {folder.absolute()}")
    found = open_folder(folder)
    with atomic_folder(out) as part:
        for pair in progress(tuple(dict.fromkeys(found.pairs)), "converting", unit="image"):
            require_files(pair)
            mask = pair.read_mask(read_raster(pair.image).levels.shape).mask
            image = part / "images" / f"{pair.name}{pair.image.suffix}"
            drawn = part / "masks" / f"{pair.name}.png"
            for path in (image, drawn):
                path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pair.image, image)
            Image.fromarray(mask).save(drawn)
            if weak := weak_kinds([pair]):
                write_text(drawn.with_name(WEAK_NOTE), weak + "\n")
        for split, pairs in found.splits.items():
            if pairs:
                names = "".join(f"{pair.name}{pair.image.suffix}\n" for pair in pairs)
                write_text(part / f"{split}.txt", names)
    return Path(out)
