"""A folder of synthetic scenes in the BasicIRSTD layout, with a record of every target."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .._support.arguments import check_range
from .._support.errors import ExistingFileError, InputError
from .._support.files import atomic_folder, read_json, write_json
from .._support.names import find_name
from .._support.progress import progress
from .presets import PRESETS
from .scene import Scene, check_size, make_scene

GENERATOR = 2

PER_SPLIT = 1_000_000


def make_synthetic_dataset(
    folder: str | Path,
    *,
    train: int = 160,
    test: int = 40,
    size: int | tuple[int, int] = 256,
    preset: str = "nuaa",
    seed: int = 0,
) -> Path:
    """Create a dataset folder of synthetic scenes.

    The folder holds ``images/``, ``masks/`` (0 and 255), the lists ``img_idx/train_NAME.txt`` and
    ``img_idx/test_NAME.txt`` (NAME is the folder's name) and ``scenes.json``: the parameters and,
    for each scene, its seed for `make_scene`, its family and the record of every target. The folder
    is created atomically. If it already contains the same set, it is returned unchanged.

    Args:
        folder: the folder to create.
        train: scenes for training; scene i depends on ``seed``, ``preset``, ``size`` and i only.
        test: scenes for testing; no test scene has the seed of a training scene.
        size: side in px, or (height, width).
        preset: "easy", "nuaa" or "hard".
        seed: random seed of the set; sets with different seeds share no scenes.

    Raises:
        ValueError: if a parameter is out of range or the preset is unknown.
        FileExistsError: if the folder exists with other content.

    Example:
        >>> import tempfile
        >>> path = make_synthetic_dataset(
        ...     Path(tempfile.mkdtemp()) / "tiny", train=2, test=1, size=64
        ... )
        >>> sorted(entry.name for entry in path.iterdir())
        ['images', 'img_idx', 'masks', 'scenes.json']
        >>> (path / "img_idx" / "test_tiny.txt").read_text().split()
        ['test_00000']
    """
    folder = Path(folder).resolve()
    parameters = _parameters(train, test, size, preset, seed)
    if folder.exists():
        _check_same(folder, parameters)
        return folder
    with atomic_folder(folder) as part:
        for name in ("images", "masks", "img_idx"):
            (part / name).mkdir()
        jobs = _seeds(train, test, seed)
        records = []
        for name, number in progress(jobs.items(), f"scenes for {folder.name}", unit="scene"):
            scene = make_scene(number, size=size, preset=parameters["preset"])
            _write_png(part / "images" / f"{name}.png", scene.image)
            _write_png(part / "masks" / f"{name}.png", np.where(scene.mask, 255, 0))
            records.append(_record(name, scene))
        for split in ("train", "test"):
            names = [name for name in jobs if name.startswith(split)]
            path = part / "img_idx" / f"{split}_{folder.name}.txt"
            path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        write_json(part / "scenes.json", {"parameters": parameters, "scenes": records})
    return folder


def _parameters(
    train: int, test: int, size: int | tuple[int, int], preset: str, seed: int
) -> dict[str, Any]:
    """What decides a set of scenes, checked, as ``scenes.json`` holds it."""
    for name, count in (("train", train), ("test", test)):
        check_range(name, count, f"[0, {PER_SPLIT}]", "a number of scenes")
    if train + test == 0:
        raise InputError("train and test are both 0, expected at least one scene")
    check_range("seed", seed, "[0, inf)")
    kind = {"size": list(check_size(size)), "preset": find_name("preset", preset, PRESETS)}
    return {"train": train, "test": test, **kind, "seed": seed, "generator": GENERATOR}


def _check_same(folder: Path, wanted: dict[str, Any]) -> None:
    """Raise unless the folder holds a finished set of exactly these parameters."""
    record = folder / "scenes.json"
    advice = "choose another folder or remove it first"
    if not record.is_file():
        raise ExistingFileError(f"{folder} exists and is not a set of synthetic scenes; {advice}")
    found = read_json(record, {"parameters?": dict}).get("parameters", {})
    if differing := [name for name in wanted if found.get(name) != wanted[name]]:
        told = "; ".join(
            f"{name} is {found.get(name)}, expected {wanted[name]}" for name in differing
        )
        raise ExistingFileError(f"{folder} holds other scenes ({told}); {advice}")


def _seeds(train: int, test: int, seed: int) -> dict[str, int]:
    """Seed of every scene by name; the ranges of splits and of sets do not overlap."""
    start = 2 * PER_SPLIT * seed
    seeds = {f"train_{number:05d}": start + number for number in range(train)}
    return seeds | {f"test_{number:05d}": start + PER_SPLIT + number for number in range(test)}


def _record(name: str, scene: Scene) -> dict[str, Any]:
    """A scene and its targets, as ``scenes.json`` holds them."""
    split, targets = name.partition("_")[0], [asdict(target) for target in scene.targets]
    origin = {"seed": scene.seed, "family": scene.family}
    return {"name": name, "split": split, **origin, "targets": targets}


def _write_png(path: Path, image: np.ndarray) -> None:
    """Write an image whatever the characters of its path, on which OpenCV depends."""
    _, packed = cv2.imencode(".png", image.astype(np.uint8))
    path.write_bytes(packed.tobytes())
