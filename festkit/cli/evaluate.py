"""The command ``festkit evaluate``: models, or predictions of any program, on a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from .._support.errors import InputError
from .predict import Given, Settings, open_with

if TYPE_CHECKING:
    from ..data import Dataset

DEFAULTS = Settings()


def evaluate(
    sources: tyro.conf.Positional[tuple[str, ...]],
    dataset: str | None = None,
    split: Literal["test", "train", "val", "all"] = "test",
    data_root: str | None = None,
    out: Path | None = None,
    style: Literal["text", "markdown", "latex", "html", "csv"] = "text",
    skip_faulty: bool = False,
    choose_thresholds: bool = False,
    max_fa: float = 1e-4,
    on: str = "val",
    settings: Given = DEFAULTS,
) -> None:
    """Evaluate a trained model, or predictions of any program, on a dataset.

    A model: prints IoU, nIoU, Pd and Score in percent and Fa in 1e-6, without and with adjustable
    sensitivity, with 95 % intervals over images. Warns if it may have been trained on these images.

    Predictions: also prints precision, recall, F1, hIoU, target IoU by size class, false alarms per
    frame and megapixel, AP50, box precision and recall, and areas under the curves; for several,
    the paired differences to the first.

    Args:
        sources: a model: an entry or family of the zoo (festkit zoo list), a training-free detector
            (festkit detectors), a weights file, a file of festkit export, or run folders (several
            are the scales of one FEST). Or predictions, several being several methods: folders of
            probability maps or masks (png, bmp, jpg, tif, npy, npz) or of YOLO txt files, npz
            files, or COCO json files. Or files evaluation.json of --out.
        dataset: a known dataset, or a folder.
        split: test, train, val or all.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        out: of predictions: folder of the JSON with protocol and faults, of the table in every
            style, and of the curves.
        style: of predictions: how the table is printed.
        skip_faulty: leave out images without a usable prediction, and count them.
        choose_thresholds: choose th1 by the highest Score with Fa below --max-fa, on other images,
            whose predictions are in the same folder or file.
        max_fa: highest false-alarm rate of --choose-thresholds.
        on: the split that chooses the threshold, or a text file with one image name per line.
        settings: thresholds; of models also rule and device.
    """
    if not sources:
        raise InputError("no model or predictions given; pass them before --dataset")
    if all(Path(source).name == "evaluation.json" for source in sources):
        from ..evaluation import Evaluation

        print(Evaluation.load(*sources).render(style), end="")
        return
    if dataset is None:
        raise InputError("no dataset given; pass --dataset NAME or FOLDER")
    from ..data.dataset import load_dataset

    images = load_dataset(dataset, split, root=data_root)
    predictions = [source for source in sources if _holds_predictions(Path(source).expanduser())]
    if not predictions:
        for name, given in (
            ("--out", out), ("--style", style != "text"), ("--skip-faulty", skip_faulty),
            ("--choose-thresholds", choose_thresholds),
        ):  # fmt: skip
            if given:
                raise InputError(f"{name} is for predictions, and {sources[0]} is a model")
        _evaluate_model(sources, images, settings)
        return
    if len(predictions) < len(sources):
        raise InputError(
            f"{predictions[0]} holds predictions, other sources are models; pass one kind"
        )
    if choose_thresholds and settings.th1 is not None:
        raise InputError("--th1 and --choose-thresholds exclude each other; pass one of them")
    from ..evaluation import evaluate_predictions

    chooser = _listed(on, dataset, data_root) if choose_thresholds else None
    th1 = 0.5 if settings.th1 is None else settings.th1
    found = evaluate_predictions(
        predictions, images, th1=th1, th2=settings.th2, choose_on=chooser, max_fa=max_fa,
        skip_faulty=skip_faulty,
    )  # fmt: skip
    print(found.render(style), end="")
    if out is not None:
        found.save(out)
        print(f"wrote {out / 'evaluation.json'}, tables and plots")


def _holds_predictions(source: Path) -> bool:
    """Whether a path is no model: a file of no weights, or a folder without run or weights."""
    from ..data.images import EXTENSIONS

    if source.is_file():
        return source.suffix in (".npz", ".json", ".npy", ".txt", ".mat", *EXTENSIONS)
    of_runs = ("config.json", "record.json", "fest.json")
    held = [*source.glob("*.safetensors"), *(source / name for name in of_runs)]
    return source.is_dir() and not any(path.is_file() for path in held)


def _listed(on: str, dataset: str, data_root: str | None) -> "Dataset":
    """A split of the dataset, or the images that a text file names."""
    from dataclasses import replace

    from ..data.dataset import SPLITS, load_dataset
    from ..data.lists import ListedNames, read_list

    if on in SPLITS:
        return load_dataset(dataset, on, root=data_root)
    if not Path(on).is_file():
        raise InputError(f"--on {on} is neither a split ({', '.join(SPLITS)}) nor a text file")
    every = load_dataset(dataset, "all", root=data_root)
    by_name = {pair.name: pair for pair in every.pairs}
    names = dict.fromkeys(read_list(Path(on), ListedNames(by_name, (), Path(dataset))))
    if unknown := [name for name in names if name not in by_name]:
        raise InputError(f"{on} names {unknown[0]}, which is no image of {every.name}")
    if not names:
        raise InputError(f"{on} names no image; write one image name per line")
    return replace(every, split=Path(on).stem, pairs=tuple(by_name[name] for name in names))


def _evaluate_model(model: tuple[str, ...], images: "Dataset", settings: Settings) -> None:
    """Print the figures of a model without and with adjustable sensitivity."""
    from ..inference.models import trained_on
    from ..metrics import protocol_of
    from ..tables.render import record_table
    from ..zoo.measure import measure, warn_if_trained_on

    fest, name = open_with(model, settings), " + ".join(model)
    warn_if_trained_on(name, trained_on(*model), images)
    table = record_table(measure(fest, images))
    number = f"{len(images)} images (split {images.fingerprint})"
    protocol = protocol_of(fest.th1, fest.th2, fest.rule, fest.backbones).name
    print(f"{name} on {images.name}, {images.split}: {number}\n\n{table}\nprotocol: {protocol}")
