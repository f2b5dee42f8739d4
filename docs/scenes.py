"""Contact sheet of synthetic scenes: targets framed, and enlarged with their labels outlined.

Run ``python docs/scenes.py docs/scenes.png`` to draw it again.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np

from festkit._support.errors import InputError
from festkit._support.files import atomic_write
from festkit.scenes import FAMILIES, Scene, SceneTarget, make_scene

SIDE, CAPTION = 216, 15

ZOOM, CROP, SLOTS = 3, 32, 2

FRAME_COLOUR = (0, 200, 255)

LABEL_COLOUR = (0, 255, 0)


def contact_sheet(scenes: Sequence[Scene], *, columns: int = 4) -> np.ndarray:
    """Draw scenes in a grid: caption, image with framed targets, up to two targets enlarged.

    Args:
        scenes: of any size; larger ones are shrunk to 216 px.
        columns: scenes in a row.

    Returns:
        Colour image (H, W, 3) uint8, blue first as OpenCV writes it.

    Raises:
        ValueError: if there are no scenes.

    Example:
        >>> contact_sheet([make_scene(1, size=64)], columns=1).shape
        (342, 220, 3)
    """
    if not scenes:
        raise InputError("no scenes to draw, expected at least one")
    cells = [_cell(scene) for scene in scenes]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)]
    return np.vstack(rows)


def default_sheet(*, columns: int = 4, preset: str = "nuaa", first: int = 24) -> np.ndarray:
    """A contact sheet with one row of scenes for each background family.

    Args:
        columns: scenes of each family.
        preset: "easy", "nuaa" or "hard".
        first: seed of the first scene; the others count up from it.
    """
    scenes = [
        make_scene(first + row * columns + number, size=SIDE, preset=preset, family=family)
        for row, family in enumerate(FAMILIES)
        for number in range(columns)
    ]
    return contact_sheet(scenes, columns=columns)


def _cell(scene: Scene) -> np.ndarray:
    height, width = scene.image.shape
    scale = min(SIDE / max(height, width), 1.0)
    size = (round(width * scale), round(height * scale))
    picture = cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA)
    cell = np.zeros((CAPTION + SIDE + ZOOM * CROP + CAPTION, SIDE + 4, 3), np.uint8)
    cell[CAPTION : CAPTION + size[1], : size[0]] = picture[..., None]
    _write(cell, f"{scene.family}, {scene.preset}, seed {scene.seed}", 3, CAPTION - 4)
    for number, target in enumerate(scene.targets):
        reach = 5 + round(scale * (target.area**0.5))
        y, x = CAPTION + round(target.y * scale), round(target.x * scale)
        cv2.rectangle(cell, (x - reach, y - reach), (x + reach, y + reach), FRAME_COLOUR, 1)
        if number < SLOTS:
            start = number * ZOOM * CROP
            end = start + ZOOM * CROP
            cell[CAPTION + SIDE : -CAPTION, start:end] = _enlarged(scene, target)
            _write(cell, f"{target.area}px SCR {target.scr:.1f}", start + 2, cell.shape[0] - 5)
    return cell


def _enlarged(scene: Scene, target: SceneTarget) -> np.ndarray:
    """Surroundings of a target, gray levels stretched, the label's contour just outside of it."""
    height, width = scene.image.shape
    top = int(np.clip(round(target.y) - CROP // 2, 0, height - CROP))
    left = int(np.clip(round(target.x) - CROP // 2, 0, width - CROP))
    window = np.s_[top : top + CROP, left : left + CROP]
    low, high = np.percentile(scene.image[window], [0, 100])
    gray = (20 + 215 * (scene.image[window] - low) / max(high - low, 1)).astype(np.uint8)
    block = np.ones((ZOOM, ZOOM), np.uint8)
    label = np.kron(scene.mask[window].astype(np.uint8), block)
    contour = cv2.dilate(label, np.ones((3, 3), np.uint8)) > label
    picture = np.repeat(np.kron(gray, block)[..., None], 3, axis=2)
    picture[contour] = LABEL_COLOUR
    return picture


def _write(image: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_PLAIN, 0.6, (255, 255, 255), 1, cv2.LINE_AA)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/scenes.py OUT.png")
    with atomic_write(sys.argv[1]) as part:
        _, packed = cv2.imencode(".png", default_sheet(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        part.write_bytes(packed.tobytes())
