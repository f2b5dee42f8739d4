"""The commands ``festkit predict`` and ``festkit evaluate``: any trained FEST on any images."""

import csv
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from .._support.errors import InputError

if TYPE_CHECKING:
    from ..fest import FEST

Rule = Literal["per_scale", "fused"]


def predict(
    images: tyro.conf.Positional[tuple[Path, ...]],
    model: tuple[str, ...] = ("nuaa-sirst/acm",),
    out: Path = Path("runs/predicted"),
    tile: int | None = None,
    levels: tuple[float, float] | Literal["auto", "full"] = "auto",
    th1: float | None = None,
    th2: float | None = None,
    rule: Rule | None = None,
    weak: bool = True,
    pictures: bool = True,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Find the targets of own images: masks, pictures and a table of all targets.

    Interrupted, the same command continues; images that are done are not looked at again.

    Args:
        images: image files, or folders of them and of folders (png, bmp, jpg, tif; any depth).
        model: what predicts: an entry or family of the zoo (festkit zoo list), a weights file, or
            run folders; several are the scales of one FEST.
        out: folder of the results: targets.csv, and per image masks/, targets/, pictures/.
        tile: look at large frames in overlapping squares of this side in px, about the size of the
            images that the model was trained on; default shows it every image as a whole.
        levels: the files' gray levels that become black and white. auto takes files of 8 bit as
            they are, and for all deeper ones the percentiles 0.1 and 99.99 of their pixels; full
            takes the files' full range, to 255 or 65535.
        th1: strong targets are above; default the model's own.
        th2: weak targets are above; default the model's own.
        rule: where weak targets come from: each scale's own map, or the fused map; default the
            model's own.
        weak: look for weak targets; --no-weak is plain thresholding at th1.
        pictures: draw every image with its targets enlarged; --no-pictures is faster.
        device: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """
    if not images:
        raise InputError("no images came; name files or folders, in front of --model")
    from ..inference.folder import SkippedImages, predict_images
    from ..plots import show

    fest = _open(model, device, threads, th1=th1, th2=th2, rule=rule, weak=weak)
    draw = show if pictures else None
    asked = None if levels == "full" else levels
    try:
        _print_found(predict_images(fest, images, out, tile=tile, levels=asked, draw=draw))
    except SkippedImages as some:
        _print_found(some.table)
        raise


def _print_found(table: Path) -> None:
    """Say how many targets of each kind a table holds."""
    with table.open(encoding="utf-8", newline="") as file:
        kinds = [row["kind"] for row in csv.DictReader(file)]
    print(f"{table}: {kinds.count('strong')} strong and {kinds.count('weak')} weak targets")


def evaluate(
    model: tyro.conf.Positional[tuple[str, ...]],
    dataset: str,
    split: Literal["test", "train", "all"] = "test",
    th1: float | None = None,
    th2: float | None = None,
    rule: Rule | None = None,
    data_root: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Measure anything trained on a split of any dataset, without and with adjustable sensitivity.

    IoU, nIoU, Pd and Score in percent, Fa in 1e-6, with 95 % intervals over images.
    Images that the model may have been trained on bring a warning.

    Args:
        model: an entry or family of the zoo (festkit zoo list), a weights file, or run folders;
            several are the scales of one FEST.
        dataset: a known dataset, or a folder.
        split: test, train or all.
        th1: strong targets are above; default the model's own.
        th2: weak targets are above; default the model's own.
        rule: where weak targets come from: each scale's own map, or the fused map; default the
            model's own.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        device: cpu, cuda, mps, or auto.
        threads: CPU threads; default one per idle CPU.
    """
    if not model:
        raise InputError("no model came; name an entry of the zoo, a weights file, or run folders")
    from ..data.dataset import load_dataset
    from ..inference.models import trained_on
    from ..zoo.measure import measure, warn_if_trained_on
    from ..zoo.results_page import HEAD, entry_lines, markdown_table

    fest = _open(model, device, threads, th1=th1, th2=th2, rule=rule)
    images = load_dataset(dataset, split, root=data_root)
    warn_if_trained_on(" + ".join(model), trained_on(*model), images)
    rows = entry_lines({"test": measure(fest, images)})
    print(f"{' + '.join(model)} on {images.name}, {split}: {len(images)} images", end=" ")
    print(f"(split {images.fingerprint})\n")
    print(markdown_table(["thresholds", *HEAD], rows, keys=1), end="")


def _open(
    model: tuple[str, ...],
    device: str,
    threads: int | None,
    *,
    th1: float | None,
    th2: float | None,
    rule: Rule | None,
    weak: bool = True,
) -> "FEST":
    """A FEST with other settings, where they are given."""
    from .._support.devices import resolve_threads
    from ..inference.models import open_model
    from ..sensitivity import check_threshold

    fest = open_model(*model, device=device)
    fest.threads = resolve_threads(threads)
    for name, value in (("th1", th1), ("th2", th2)):
        if value is not None:
            check_threshold(name, value)
            setattr(fest, name, value)
    fest.rule = fest.rule if rule is None else rule
    if not weak:
        if th2 is not None:
            raise InputError(
                f"--th2 {th2:g} asks for weak targets and --no-weak for none; drop one"
            )
        fest.th2 = None
    _warn_of_no_weak(fest)
    return fest


def _warn_of_no_weak(fest: "FEST") -> None:
    """Warn where no scale can see what the mean of all scales does not; one map warns by itself."""
    scales = len(fest.backbones) if fest.rule == "per_scale" else 1
    if scales > 1 and fest.th2 is not None and fest.th2 >= scales * fest.th1:
        warnings.warn(
            f"th2 {fest.th2:g} is not below {scales} times th1 {fest.th1:g}: what one of {scales} "
            "scales sees above it is strong in their mean, so there are no weak targets",
            stacklevel=3,
        )
