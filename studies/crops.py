"""Which crop recipe? ACM trained on squares of 512 px images, in several ways, at equal epochs.

``python -m studies.crops`` trains what is missing under ``runs/crops``, measures every network on
the held-out part of the training list, and writes docs/crops.md. Interrupted, the same command
continues.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import nn
from torch.optim.swa_utils import update_bn

from festkit._support.files import read_json, write_json, write_text, write_utf8
from festkit.data.dataset import Dataset, Sample, load_dataset
from festkit.fest import FEST
from festkit.inference.reading import tiled_maps
from festkit.metrics import Counts, confidence_intervals, count
from festkit.ops.components import binarize
from festkit.ops.resize import resize_image, resize_map, resize_mask
from festkit.training.augment import crop_images
from festkit.training.config import TrainConfig
from festkit.training.run import Run
from festkit.training.trainer import train
from festkit.training.validation import split_holdout

RECIPES: dict[str, dict[str, Any]] = {
    "half": {"crop": 128},
    "natural": {"crop": 128, "natural_epochs": 40},
    "natural-whole": {"crop": 128, "natural_epochs": 36, "whole_epochs": 4},
    "192-natural-whole": {"crop": 192, "natural_epochs": 36, "whole_epochs": 4},
    "batches of 4": {"crop": 128, "natural_epochs": 36, "whole_epochs": 4, "batch_size": 4},
    "192, batches of 4": {"crop": 192, "natural_epochs": 36, "whole_epochs": 4, "batch_size": 4},
}
"""What differs; all have the same number of epochs."""

SHARED: dict[str, Any] = {
    "size": 512, "epochs": 120, "ema_decay": 0.99, "holdout": 0.3, "validate_every": 120,
    "precision": "fp32",
}  # fmt: skip
"""Of every recipe. The held-out images are looked at once, at the end: they choose no epoch."""

DECISION = """**What it decides.** After squares half of which contain a target, the network finds
targets but calls too much a target. Squares drawn anywhere in the last third mend half of this,
a few epochs on whole images most of the rest. Larger squares in batches of 8 are best; smaller
batches do not help. A few images hold most false pixels, so the intervals are wide, and each recipe
was run with one seed. A network that can afford it is therefore trained on squares of 192 px in
batches of 8, the last third drawn anywhere, then on whole images for four epochs, and is run on
whole images. A network for which whole images are too expensive is trained on squares of 128 px,
most of them drawn anywhere.""".replace("\n", " ")

METRICS = {"iou": ("IoU", 100.0), "pd": ("Pd", 100.0), "fa": ("Fa [10⁻⁶]", 1e6)}


def main(
    dataset: str = "NUAA-SIRST",
    data_root: str | None = None,
    out: Path = Path("runs/crops"),
    page: Path = Path("docs/crops.md"),
) -> None:
    """Train all recipes and write the page.

    Args:
        dataset: of which training images are held out.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        out: folder of the runs.
        page: the Markdown file.
    """
    rows = []
    for name, recipe in RECIPES.items():
        config = TrainConfig(dataset, out=str(out / name), data_root=data_root, **(SHARED | recipe))
        run = _timed(config)
        _, heldout = split_holdout(load_dataset(dataset, "train", root=data_root), config)
        rows += [
            [name, inference, _minutes(run), *_cells(counts)]
            for inference, counts in _measured(run, config, heldout).items()
        ]
    write_text(page, _page(dataset, rows, len(heldout)))
    print(f"wrote {page}")


def _timed(config: TrainConfig) -> Run:
    """Train, or continue; the CPU time of all calls is kept beside the run."""
    before, begun = _seconds(Run(config.folder)), time.process_time()
    if Run(config.folder).finished:
        return Run(config.folder)
    try:
        return train(config)
    finally:
        if config.folder.is_dir():
            write_json(_clock(Run(config.folder)), before + time.process_time() - begun)


def _clock(run: Run) -> Path:
    return run.folder.with_suffix(".seconds.json")


def _seconds(run: Run) -> float:
    return float(read_json(_clock(run))) if _clock(run).is_file() else 0.0


def _minutes(run: Run) -> str:
    return f"{_seconds(run) / 60:.0f}" if _clock(run).is_file() else "–"


def _measured(run: Run, config: TrainConfig, images: Dataset) -> Mapping[str, list[Counts]]:
    """Counts of every held-out image above 0.5, by the way of inference."""
    maps = run.maps("holdout")
    whole = [count(binarize(maps[sample.name], 0.5), sample.mask) for sample in images]
    fest = FEST.from_runs([run])
    (network,) = fest.backbones.values()
    side = int(config.crop or config.size)
    tiles = FEST({side: network}, mean=fest.mean, std=fest.std)
    ways: dict[str, list[Counts]] = {"whole image": whole}
    ways["tiles, statistics of whole images"] = _tiled(tiles, images, config.size, side)
    _calibrate_on_squares(network, config, images, fest)
    ways["tiles, statistics of squares"] = _tiled(tiles, images, config.size, side)
    return ways


def _tiled(fest: FEST, images: Dataset, size: int, side: int) -> list[Counts]:
    """Counts from overlapping tiles of the crop's size of the resized images."""

    def of(sample: Sample) -> Counts:
        (prob,) = tiled_maps(fest, resize_image(sample.image, size), side)
        return count(binarize(resize_map(prob, sample.mask.shape), 0.5), sample.mask)

    return [of(sample) for sample in images]


def _calibrate_on_squares(
    network: nn.Module, config: TrainConfig, heldout: Dataset, fest: FEST
) -> None:
    """Measure batch-norm statistics on squares of the images that were trained on."""
    listed = load_dataset(config.dataset, "train", root=config.data_root)
    trained = [sample for sample in listed if sample.name not in set(heldout.names)][:96]
    gray = torch.stack([torch.from_numpy(resize_image(s.image, config.size)) for s in trained])
    mask = torch.stack([torch.from_numpy(resize_mask(s.mask, config.size)[0]) for s in trained])
    generator = torch.Generator().manual_seed(0)
    squares, _ = crop_images(
        gray[:, None], mask[:, None], int(config.crop or config.size), generator, on_target=0
    )
    inputs = (squares.float() / 255 - fest.mean) / fest.std
    update_bn(inputs.expand(-1, 3, -1, -1).split(8), network)
    network.eval()


def _cells(counts: list[Counts]) -> list[str]:
    total, ends = sum(counts, Counts()), confidence_intervals(counts)
    return [
        f"{by * getattr(total, name):.2f} [{by * ends[name][0]:.2f}, {by * ends[name][1]:.2f}]"
        for name, (_, by) in METRICS.items()
    ]


def _page(dataset: str, rows: list[list[str]], images: int) -> str:
    heads = ["recipe", "inference", "CPU min", *(head for head, _ in METRICS.values())]
    table: Callable[[list[str]], str] = lambda cells: "| " + " | ".join(cells) + " |"  # noqa: E731
    lines = [
        "# Crop recipes: what training on squares costs, and what mends it",
        "",
        f"ACM at 512 px, EEDM, 120 epochs, seed 0, on {dataset}, by `python -m studies.crops`. "
        f"Measured above 0.5 on {images} held-out training images (30 % of the list), which were "
        "not trained on and chose no epoch. In brackets: 95 % intervals over images.",
        "",
        "| recipe | squares | drawn anywhere | whole images |",
        "|:--|--:|--:|--:|",
        *(
            table([name, f"{r['crop']} px", f"last {r.get('natural_epochs', 0)} epochs of squares",
                   f"last {r.get('whole_epochs', 0)} epochs"])
            for name, r in RECIPES.items()
        ),
        "",
        table(heads),
        "|:--|:--|" + "--:|" * (len(heads) - 2),
        *map(table, rows),
        "",
        DECISION,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
