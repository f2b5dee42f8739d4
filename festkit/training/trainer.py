"""Train one backbone at one input size: from a configuration to a finished run folder."""

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
from ..backbones import network_card
from ..backbones.checkpoints import read_tensors
from ..data.catalogue import dataset_folder
from ..data.dataset import Dataset, load_dataset
from ..ops.resize import MASK_RULE
from ..weights import read_card, save_weights
from .batches import read_images
from .config import TrainConfig
from .interrupt import Stop
from .loop import Loop
from .processes import join_processes
from .run import Run, lock_run
from .validation import best_thresholds, calibrate, metrics_rows, predict, split_holdout


def train(
    config: TrainConfig,
    *,
    resume: Literal["auto", "never"] = "auto",
    max_minutes: float | None = None,
) -> Run:
    """Train a backbone, or resume its run; a finished run is returned unchanged.

    The final weights are the running average (EMA) after the epoch that the protocol chooses. Their
    batch-norm statistics are estimated on training images. Under ``accelerate launch``,
    ``torchrun`` or ``notebook_launcher`` the processes share every batch. A network passed in the
    configuration is copied. The global generator of torch is seeded.

    Args:
        config: the configuration.
        resume: "auto" resumes from the checkpoint of the run; "never" starts again. To train a
            finished run again, delete its folder.
        max_minutes: time limit in minutes, after which the run stops with a checkpoint; None for no
            limit.

    Returns:
        The run; finished unless the time limit was reached.

    Raises:
        FileNotFoundError: if the dataset is missing.
        FileExistsError: if the run folder contains a run with another configuration or other
            images.
        BlockingIOError: if another process is training in the run folder (not detected on Windows).
        ValueError: if the device is not available, or there are too few training images.
        FloatingPointError: if the loss or a weight is not finite.
        MemoryError: if a batch does not fit into the memory of the device.
        KeyboardInterrupt: after SIGINT, with a checkpoint. SIGTERM exits likewise.

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
        raise InputError(f"max_minutes is {max_minutes}, expected a number of at least 0, or None")
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
        join_processes(device) as processes,
        lock_run(config, processes, **given) as run,
    ):
        if run.finished:
            _check_weights(run)
            return run
        images = read_images(trainset, config, processes.device, within=listed)
        val_set = testset if config.protocol == "paper" else heldout
        loop = Loop(config, run, images, val_set, processes)
        with Stop(max_minutes) as stop:
            ended = loop.train(stop, resume=resume == "auto")
        processes.wait()
        stop.pass_on()
        if ended and processes.is_main:
            _finish(loop, heldout, testset, listed.weak_masks)
        if ended:
            processes.wait()
    return run


def _check_weights(run: Run) -> None:
    """Refuse a finished run that lost its weights: the same command would not train it again."""
    try:
        read_tensors(run.weights)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(
            f"{run.folder} contains a finished run, but its weights cannot be read ({error}); "
            "delete the folder and run the same command to train again"
        ) from error


def _finish(loop: Loop, heldout: Dataset, testset: Dataset, weak_masks: str) -> None:
    """Write weights, probability maps and, last, the record.

    Args:
        loop: the ended training.
        heldout: images held out of the training list.
        testset: test images.
        weak_masks: what the training masks are drawn from; empty if they are masks.
    """
    config, run, state, images = loop.config, loop.run, loop.state, loop.images
    splits = read_json(run.folder / "config.json")
    network = state.average.module
    if state.best is None:
        calibrate(network, config, images)
    else:
        network.load_state_dict(state.best.weights)
    network.eval()
    kept = state.epoch if state.best is None else state.best.epoch
    card = config.to_dict() | network_card(network)
    card |= {
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
    if weak := weak_masks or testset.weak_masks:
        card["weak_masks"] = weak
    save_weights(network, run.weights, card)
    record: dict[str, Any] = {}
    for dataset in (heldout, testset):
        if len(dataset):
            name = "test" if dataset is testset else "holdout"
            maps, masks = predict(network, config, images, dataset)
            run.write_maps(name, maps)
            maps = run.maps(name)  # as stored, with 16 bit, so that metrics can be recomputed
            record[name] = metrics_rows(maps, masks, config.scales or ())
            if name == "holdout":
                record["thresholds"] = best_thresholds(maps, masks)
    run.write_minutes(None if state.seconds is None else state.seconds / 60)
    write_json(run.folder / "record.json", read_card(run.weights) | record)
    run.checkpoint.unlink(missing_ok=True)


def device_name(device: torch.device) -> str:
    """Name of a device in records."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Versions of the packages that results depend on."""
    return {"festkit": __version__, "torch": torch.__version__, "numpy": np.__version__}
