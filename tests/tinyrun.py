"""A training run of a second, and what several test files ask of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from handmade import TinyNet
from torch import nn

from festkit import training
from festkit.training.config import TrainConfig

HERE = Path(__file__).parent

KEPT = ("weights.safetensors", "history.csv", "record.json")


def tiny(folder, out, **options):
    """The hand-made network at 32 px, always with the same first weights, nothing chosen."""
    torch.manual_seed(0)
    given = {"size": 32, "backbone": TinyNet(), "epochs": 3, "batch_size": 4, "device": "cpu"}
    return TrainConfig(str(folder), out=str(out), **(given | {"protocol": "last"} | options))


class PlainNet(nn.Sequential):
    """A network without batch norm and dropout: a batch may be cut into parts."""

    in_channels = 1

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(),
            nn.Conv2d(6, 1, 1),
        )  # fmt: skip


def plain_net():
    torch.manual_seed(0)
    return PlainNet()


def kept_files(run):
    return {name: (run.folder / name).read_bytes() for name in KEPT}


def only(function, batches):
    """The first so many calls of a function; then KeyboardInterrupt, as if killed there."""
    seen = []

    def call(*arguments, **options):
        seen.append(1)
        if len(seen) > batches:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return call


def stop_at(monkeypatch, *, batch):
    """Raise in the given batch of the run, counted from 1; a checkpoint after every step."""
    monkeypatch.setattr(training.loop, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(training.loop, "CHECKPOINT_SHARE", 1e9)
    monkeypatch.setattr(training.batches, "augment", only(training.batches.augment, batch - 1))


def no_space(*_, **__):
    raise OSError(28, "No space left on device")


def same_images(gray, mask, bank, generator, **_):
    """In place of augment: the images as they are."""
    return gray.float() / 255, mask


def environment(**more):
    """For child processes: these tests are importable, one thread, loopback only."""
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    given = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    inherited = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return inherited | given | more


def start(script, *words, **more):
    """A Python process that runs a script."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)], env=environment(**more),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
