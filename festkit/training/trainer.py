"""Training one backbone at one input size: a loop to read, a folder to keep.

Small targets need care where large ones forgive. Under default initialisation a small network
predicts nothing for dozens of epochs, because one pixel in a thousand is target; so the output
layer starts at such a prior (:func:`init_output_bias`). And single steps move the result by many
points; so a running average of the weights is what is kept and measured.

Everything random follows from the seed, the epoch and the step. A killed run therefore continues
from its last checkpoint and, on the CPU, ends with the same weights as an undisturbed one.

Reading order: `loop` (epochs and steps), `images` (batches), `state` (what changes), `judging`
(what chooses), `prior`, `processes` (one or several), `claiming` (one training per run folder),
`stopping`, `watching`.
"""

from typing import Any, Literal

import numpy as np
import torch

from .. import __version__
from .._support.devices import (
    cpu_threads,
    resolve_device,
    resolve_precision,
    resolve_threads,
    whole_float32,
)
from .._support.errors import InputError
from .._support.files import read_json, write_json
from ..backbones import backbone_options
from ..backbones.contract import input_channels
from ..data.catalogue import dataset_folder
from ..data.dataset import Dataset, load_dataset
from ..ops.resize import MASK_RULE
from ..weights import read_card, save_weights
from .batches import TrainingImages
from .config import TrainConfig
from .interrupt import Stop
from .loop import Loop
from .processes import joined
from .run import Run
from .run_lock import lock_run
from .validation import best_thresholds, calibrate, figures, map_images, split_holdout


def train(
    config: TrainConfig,
    *,
    resume: Literal["auto", "never"] = "auto",
    max_minutes: float | None = None,
) -> Run:
    """Train, or continue, or just return the run that a configuration describes.

    What is kept is the running average of the weights, its batch-norm statistics measured afresh on
    training images: after the epoch that the protocol chose, or the last. Under ``accelerate
    launch`` or ``notebook_launcher`` several processes share every batch. A network passed as such
    is copied, not changed. Torch's global generator is seeded.

    Args:
        config: see :class:`TrainConfig`.
        resume: "auto" continues from the run's checkpoint, "never" does without it. A finished run
            is returned as it is; to train it again, remove its folder.
        max_minutes: after so many minutes the run ends with a checkpoint, to be continued.

    Returns:
        The run; finished, unless its time was up.

    Raises:
        FileNotFoundError: if the dataset is not there.
        FileExistsError: if the run folder holds a run of another configuration or on other images.
        BlockingIOError: if another process is training in the run folder (not told on Windows).
        ValueError: if the device is not at hand, or too few training images are.
        FloatingPointError: if the loss stops being a number.
        MemoryError: if a batch does not fit into the device's memory.
        KeyboardInterrupt: after SIGINT; the run is safe. SIGTERM ends the process likewise.

    Example:
        >>> import tempfile
        >>> from festkit.scenes import make_synthetic_dataset
        >>> folder = tempfile.mkdtemp()
        >>> scenes = make_synthetic_dataset(f"{folder}/scenes", train=4, test=1, size=64)
        >>> options = {"protocol": "last", "epochs": 1, "out": f"{folder}/run"}
        >>> train(TrainConfig(str(scenes), size=64, **options)).finished
        True
    """
    if resume not in ("auto", "never"):
        raise InputError(f"resume is {resume!r}, expected 'auto' or 'never'")
    if max_minutes is not None and not max_minutes >= 0:
        raise InputError(f"max_minutes is {max_minutes}, expected a number from 0 on, or None")
    device = resolve_device(config.device)
    resolve_precision(config.precision, device)
    listed = load_dataset(config.dataset, "train", root=config.data_root)
    testset = load_dataset(config.dataset, "test", root=config.data_root)
    trainset, heldout = split_holdout(listed, config)
    given = {"train_split": listed.fingerprint, "test_split": testset.fingerprint}
    given["dataset_folder"] = dataset_folder(config.dataset, config.data_root)
    with (
        cpu_threads(resolve_threads(config.threads)),
        whole_float32(),
        joined(device) as processes,
        lock_run(config, processes, **given) as run,
    ):
        if run.finished:
            return run
        images = TrainingImages.read(trainset, config, processes.device, within=listed)
        judges = testset if config.protocol == "paper" else heldout
        loop = Loop(config, run, images, judges, processes)
        with Stop(max_minutes) as stop:
            ended = loop.train(stop, resume=resume == "auto")
        processes.wait()
        stop.pass_on()
        if ended and processes.is_main:
            _finish(loop, heldout, testset)
        if ended:
            processes.wait()
    return run


def _finish(loop: Loop, heldout: Dataset, testset: Dataset) -> None:
    """Write what is kept of the averaged network: weights, maps and, last, the record."""
    config, run, state, images = loop.config, loop.run, loop.state, loop.images
    splits = read_json(run.folder / "config.json")
    network = state.average.module
    if state.best is None:
        calibrate(network, config, images)
    else:
        network.load_state_dict(state.best.weights)
    network.eval()
    kept = state.epoch if state.best is None else state.best.epoch
    card = config.plain() | {
        "in_channels": input_channels(network),
        "backbone_options": backbone_options(network),
        "train_split": splits["train_split"],
        "test_split": splits["test_split"],
        "trained_on": len(images),
        "training_masks": MASK_RULE,
        "vanishing_targets": images.vanishing,
        "mean": images.mean,
        "std": images.std,
        "kept_epoch": kept,
        "kept": "running average of the weights, batch-norm statistics of training images",
        "device": device_name(images.device),
        "threads": torch.get_num_threads(),
        "precision": resolve_precision(config.precision, images.device),
        "tf32": False,
        "versions": versions(),
        "command": config.command(),
    }
    save_weights(network, run.weights, card)
    record: dict[str, Any] = {}
    for dataset in (heldout, testset):
        if len(dataset):
            name = "test" if dataset is testset else "holdout"
            maps, masks = map_images(network, config, images, dataset)
            run.write_maps(name, maps)
            maps = run.maps(name)  # as stored, so that every figure follows from what is kept
            record[name] = figures(maps, masks)
            if name == "holdout":
                record["thresholds"] = best_thresholds(maps, masks)
    write_json(run.folder / "record.json", read_card(run.weights) | record)
    run.checkpoint.unlink(missing_ok=True)  # who is given the finished run removes it, too


def device_name(device: torch.device) -> str:
    """What a record calls a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Of what decides the figures."""
    return {
        "festkit": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
