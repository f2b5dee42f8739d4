"""The commands ``festkit data ...``."""

from pathlib import Path

import tyro


def check(dataset: tyro.conf.Positional[str], data_root: str | None = None) -> None:
    """Check a dataset: counts, sizes, pairs, splits, masks, targets. Exits with status 1 on faults.

    Args:
        dataset: a known dataset, a folder, or several of them joined by +.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
    """
    from ..data.catalogue import members_of
    from ..data.check import check_dataset
    from ..data.folders import open_folder
    from ..data.unions import shared_images

    reports = [check_dataset(name, root=data_root) for name in members_of(dataset)]
    print("\n\n".join(map(str, reports)))
    pairs = {report.name: open_folder(report.folder).pairs for report in reports}
    for shared in shared_images(pairs):
        print(f"\nunion: {shared}")
    if any(report.faults for report in reports):
        raise SystemExit(1)


def layouts() -> None:
    """List the layouts of dataset folders, in the order in which they are tried."""
    from ..data.layouts import describe_layouts

    print(describe_layouts())


def split(folder: tyro.conf.Positional[Path], test: float = 0.2, seed: int = 0) -> None:
    """Draw train.txt and test.txt for a folder of images and masks without lists.

    Images are drawn independently; those in a subfolder are a sequence, drawn as a whole.

    Args:
        folder: folder of images and masks, without lists.
        test: share of the test images.
        seed: the same seed draws the same lists.
    """
    from ..data.splitting import split_dataset

    for path in split_dataset(folder, test=test, seed=seed):
        print(f"{path}: {len(path.read_text(encoding='utf-8').splitlines())} images")


def build_wirstd(folder: tyro.conf.Positional[Path], data_root: str | None = None) -> None:
    """Build the W-IRSTD land/air subset from copies of NUDT-SIRST, IRSTD-1K and SIRST-V2.

    NUAA-SIRST replaces SIRST-V2 for 427 of its images. An interrupted build is continued.

    Args:
        folder: folder to create, such as data/W-IRSTD-land-air-subset.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
    """
    from ..data.wirstd import build_wirstd as build

    print(build(folder, root=data_root))


def convert(folder: tyro.conf.Positional[Path], out: tyro.conf.Positional[Path]) -> None:
    """Write a dataset with labels (COCO, YOLO, VOC, labelme) as images and masks.

    Masks drawn from boxes, polygons or points are weak, and the new folder says so.

    Args:
        folder: dataset of any known layout.
        out: new folder.
    """
    from ..data.convert import convert_dataset
    from ..data.folders import open_folder
    from ..data.weak import weak_masks

    found = open_folder(convert_dataset(folder, out))
    weak = f"; {weak_masks(found.weak)}" if found.weak else ""
    print(f"{out}: {len(found.pairs)} images with masks{weak}")


def synth(
    folder: tyro.conf.Positional[str],
    train: int = 160,
    test: int = 40,
    size: int = 256,
    preset: str = "nuaa",
    seed: int = 0,
) -> None:
    """Create a dataset of synthetic infrared scenes with exact masks.

    Args:
        folder: folder of the new dataset.
        train: number of training scenes.
        test: number of test scenes.
        size: side of the square scenes in px.
        preset: difficulty of the scenes: easy, nuaa or hard.
        seed: the same seed gives the same scenes.
    """
    from ..scenes import make_synthetic_dataset

    numbers = {"train": train, "test": test, "size": size, "seed": seed}
    print(make_synthetic_dataset(folder, preset=preset, **numbers))
