"""The command ``festkit demo``."""

from pathlib import Path

from .._support.errors import InputError
from .._support.names import find_name

WRITTEN = {
    "00_quickstart.ipynb": "executed notebook",
    "00_quickstart.html": "the same as a page",
    "metrics.json": "the metrics of the table",
    "fest.safetensors": "trained FEST, for FEST.load",
    "figure.png": "detections on a test scene",
}
"""Output files of the notebook, with a description of each."""


def demo(
    dataset: str = "synthetic",
    data_root: str | None = None,
    backbone: str = "ACM",
    sizes: tuple[int, int] = (256, 384),
    epochs: int = 12,
    seed: int = 0,
    preset: str = "easy",
    threads: int | None = None,
    out: Path | None = None,
) -> None:
    """Run the whole FEST pipeline: train, fuse, refine, evaluate and plot.

    Runs the notebook 00_quickstart headless. It trains a backbone at two sizes with the EEDM loss,
    and once with plain BCE for comparison. After an interrupt the same command resumes.

    Args:
        dataset: "synthetic" creates scenes; or a known dataset, or a folder.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        backbone: name of the backbone.
        sizes: sides of the two square network inputs in px.
        epochs: epochs at the first size; the second size takes half as many.
        seed: random seed of scenes, initialisation and batches.
        preset: difficulty of the synthetic scenes: easy, nuaa or hard.
        threads: CPU threads; default one per idle CPU.
        out: folder of the results; default runs/demo, or runs/demo-DATASET.
    """
    from .._support.cpus import check_threads
    from ..jobs.execute import run_notebook

    _check_training(sizes, backbone, epochs)
    check_threads(threads)
    _check_images(dataset, data_root, preset)
    if out is None:
        named = "" if dataset == "synthetic" else f"-{Path(dataset).name.lower()}"
        out = Path("runs") / f"demo{named}"
    parameters = {
        "dataset": dataset,
        "data_root": data_root and str(Path(data_root).resolve()),
        "backbone": backbone,
        "sizes": list(sizes),
        "epochs": epochs,
        "seed": seed,
        "preset": preset,
        "threads": threads,
        "out": str(out.resolve()),
    }
    run_notebook("00_quickstart", parameters, out)
    print(f"\n{(out / 'table.txt').read_text(encoding='utf-8')}")
    for name, meaning in WRITTEN.items():
        print(f"{out / name}  {meaning}")
    draw_pretrained(out / "pretrained.png")


def _check_training(sizes: tuple[int, int], backbone: str, epochs: int) -> None:
    """Refuse sizes and epochs that the notebook could not train with."""
    from ..training.config import check_size

    for size in sizes:
        check_size(size, backbone)
    if sizes[0] >= sizes[1]:
        raise InputError(f"sizes are {sizes[0]} and {sizes[1]} px, expected the larger size second")
    if epochs < 2:
        raise InputError(f"epochs is {epochs}, expected at least 2")


def _check_images(dataset: str, data_root: str | None, preset: str) -> None:
    """Refuse a dataset that is not there, and an unknown preset of scenes."""
    from ..data.dataset import load_dataset
    from ..scenes import PRESETS

    find_name("preset", preset, PRESETS)
    if dataset != "synthetic":
        for split in ("train", "test"):
            load_dataset(dataset, split, root=data_root)


def draw_pretrained(path: Path) -> None:
    """Draw the detections of the shipped weights, trained on real images, in a synthetic scene."""
    from .._support.files import atomic_write
    from ..fest import FEST
    from ..metrics import count
    from ..plots import show
    from ..scenes import make_scene

    try:
        fest = FEST.from_pretrained("ACM", "NUAA-SIRST")
    except FileNotFoundError as error:
        print(f"cannot draw the shipped weights: {error}")
        return
    scene = make_scene(21, size=512, family="cloud", targets=4)
    detection = fest.predict(scene.image)
    counts = count(detection.mask, scene.mask)
    with atomic_write(path) as part:
        show(scene.image, detection, scene.mask).savefig(part, dpi=120, format="png")
    found = f"{counts.detected} of {counts.targets} targets, {counts.false_pixels} false pixels"
    print(f"{path}  another scene, with the shipped weights of ACM: {found}")
