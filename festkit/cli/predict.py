"""The command ``festkit predict``: any trained model on any images."""

import csv
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from .._support.errors import InputError

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True)
class Settings:
    """Settings of the prediction.

    Attributes:
        th1: threshold of strong targets; default the model's.
        th2: threshold of weak targets; default the model's.
        rule: source of weak targets: the map of each scale, or the fused map; default the model's.
        device: cpu, cuda, mps, or auto.
        runtime: torch, onnx, openvino, torch-bf16 or openvino-bf16 (bfloat16; not yet measured), or
            auto: the fastest here, measured once. Default torch; for exported files OpenVINO if
            installed, else ONNX Runtime.
        threads: CPU threads; default one per idle CPU.
    """

    th1: float | None = None
    th2: float | None = None
    rule: Literal["per_scale", "fused"] | None = None
    device: str = "auto"
    runtime: Literal["auto", "torch", "torch-bf16", "onnx", "openvino", "openvino-bf16"] | None = (
        None
    )
    threads: int | None = None


Given = tyro.conf.OmitArgPrefixes[Settings]


def predict(
    images: tyro.conf.Positional[tuple[Path, ...]],
    model: tuple[str, ...] = ("universal",),
    out: Path = Path("runs/predicted"),
    format: tuple[Literal["masks", "overlays", "images", "csv", "json", "coco", "yolo"], ...] = (
        "masks",
        "overlays",
        "json",
    ),
    tile: int | None = None,
    levels: tuple[float, float] | Literal["auto", "file", "folder", "full"] = "auto",
    polarity: Literal["white-hot", "black-hot", "auto"] = "white-hot",
    raw: str | None = None,
    palette_to_gray: bool = False,
    weak: bool = True,
    settings: Given = Settings(),
) -> None:
    """Find targets in images and videos; write a table of all targets, masks, overlays and labels.

    After an interrupt the same command resumes and skips finished frames.

    Args:
        images: files (png, bmp, jpg, pgm, tif, npy, npz, radiometric jpg, avi, mp4, mkv), folders,
            which are searched recursively, globs, text files with a path per line, or - for paths
            on standard input.
        model: universal, for frames of any camera and size; an entry or family of the zoo (festkit
            zoo list), a training-free detector (festkit detectors), a weights file, a file of
            festkit export, or run folders; several are the scales of one FEST.
        out: output folder, with targets.csv and what --format names.
        format: several of masks (png), overlays (png, of a video mp4), images (png, as the networks
            saw them), json (detections.json), coco (coco.json), yolo (labels), csv (targets.csv,
            always written).
        tile: side in px of overlapping square tiles for large frames, about the size of the
            training images; for models that resize frames to a square. Default: every frame as a
            whole.
        levels: gray levels of the files that become black and white. auto keeps 8-bit files
            unchanged and uses the percentiles 0.1 and 99.99 of deeper ones, by folder or video;
            folder and file use them at any depth; full uses the full range of the file type, up to
            255 or 65535.
        polarity: whether bright or dark is hot; auto decides by the strongest small spots.
        raw: size and type of frames without a header, such as 640x512:uint16.
        palette_to_gray: read false colours by their luma; default refuses them.
        weak: find weak targets; --no-weak thresholds at th1 only.
        settings: thresholds and device.
    """
    if not images:
        raise InputError("no images given; pass files or folders before --model")
    from ..inference.folder import SkippedImages, predict_images

    fest = open_with(model, settings, weak=weak)
    options: dict[str, Any] = {"tile": tile, "raw": raw, "palette_to_gray": palette_to_gray}
    try:
        _print_found(
            predict_images(
                fest, images, out, formats=format, levels=levels, polarity=polarity, **options
            )
        )
    except SkippedImages as skipped:
        _print_found(skipped.table)
        raise


def _print_found(table: Path) -> None:
    """Print how many targets of each kind a table has."""
    with table.open(encoding="utf-8", newline="") as file:
        kinds = Counter(row["kind"] for row in csv.DictReader(file))
    print(f"{table}: {kinds['strong']} strong and {kinds['weak']} weak targets")


def open_with(model: tuple[str, ...], settings: Settings, *, weak: bool = True) -> "Model":
    """A FEST with the given settings."""
    from ..inference.opening import open_model
    from ..sensitivity import check_threshold

    device, runtime, threads = settings.device, settings.runtime, settings.threads
    fest = open_model(*model, device=device, runtime=runtime, threads=threads)
    for name in ("th1", "th2"):
        if (value := getattr(settings, name)) is not None:
            check_threshold(name, value)
            setattr(fest, name, value)
    fest.rule = settings.rule or fest.rule
    if not weak:
        if (th2 := settings.th2) is not None:
            raise InputError(f"--th2 {th2:g} and --no-weak contradict each other; drop one")
        fest.th2 = None
    _warn_if_no_weak(fest)
    return fest


def _warn_if_no_weak(fest: "Model") -> None:
    """Warn if no scale alone can pass th2; thresholds of one map are checked elsewhere."""
    scales = len(fest.backbones) if fest.rule == "per_scale" else 1
    if scales > 1 and fest.th2 is not None and fest.th2 >= scales * fest.th1:
        warnings.warn(
            f"th2 {fest.th2:g} is not below {scales} times th1 {fest.th1:g}: what one of {scales} "
            "scales finds above it is strong in their mean, so there are no weak targets",
            stacklevel=3,
        )
