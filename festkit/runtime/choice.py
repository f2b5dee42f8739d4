"""The fastest runtime of this machine for a model, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import platformdirs

from .. import __version__
from .._support.errors import InputError
from .._support.files import read_json, write_json
from ..data.images import format_size
from ..model import Model
from .exported import ExportedModel, Runtime, usable_runtimes

if TYPE_CHECKING:
    from ..fest import FEST

Choice = Literal["auto", "torch"] | Runtime
"""Values of ``runtime``."""

FRAME = (512, 640)
"""Height and width of the frame that runtimes are compared on [px]."""

REPEATS = 3
"""A runtime takes the least time of so many repeats, after one more that is not counted."""


def open_exported(path: Path, runtime: Choice | None, threads: int | None = None) -> ExportedModel:
    """Open an exported file; "auto" takes the fastest runtime that reads it."""
    if runtime == "torch":
        raise InputError(
            f"{path} is an exported model, which torch cannot run; choose onnx, openvino or auto"
        )
    names = usable_runtimes(path) if runtime == "auto" else [runtime]
    models = [ExportedModel(path, runtime=name, threads=threads) for name in names or [None]]
    return models[_fastest(models)]


def run_with(fest: FEST, runtime: Choice) -> Model:
    """The same model on another runtime; "auto" takes the fastest, torch among them.

    The networks are exported to a temporary file. "auto" is torch on an accelerator, for detectors,
    and where no other runtime is installed.
    """
    if runtime == "torch":
        return fest
    names = [runtime] if runtime != "auto" else usable_runtimes(Path("fest.onnx"))
    if runtime == "auto" and not (fest.device.type == "cpu" and names):
        return fest
    from .convert import export  # noqa: PLC0415 - it needs torch

    folder = TemporaryDirectory()
    try:
        path = export(fest, Path(folder.name) / "fest.onnx")
    except InputError:  # such as a detector
        if runtime == "auto":
            return fest
        raise
    exported = [ExportedModel(path, runtime=name, threads=fest.threads) for name in names]
    for model in exported:
        model.keep(folder)
    models: list[Model] = [*exported, fest] if runtime == "auto" else [*exported]
    return models[_fastest(models)]


def _fastest(models: list[Any]) -> int:
    """The index of the fastest of some models; measured once per machine, then known."""
    if len(models) == 1:
        return 0
    names = [getattr(model, "runtime", "torch") for model in models]
    facts = [models[0].card["weights"], names, models[0].batch, __version__, _machine()]
    kept, known = _cache() / "runtimes.json", {}
    with suppress(InputError, OSError):  # not there, or damaged
        known = read_json(kept, dict)
    key = _digest(*facts)
    if key not in known:
        milliseconds = [round(_milliseconds(model), 1) for model in models]
        known[key] = dict(zip(names, milliseconds, strict=True))
        with suppress(OSError):  # no place to keep them
            write_json(kept, known)
    times = known[key]
    best = min(names, key=lambda name: times[name])
    listed = ", ".join(f"{name} {times[name]:g}" for name in names)
    frame = format_size(FRAME)
    print(f"runtime {best}: ms per frame of {frame}: {listed} (kept in {kept})", file=sys.stderr)
    return names.index(best)


def _milliseconds(model: Model) -> float:
    """Time of one frame."""
    frame = np.random.default_rng(0).integers(0, 256, FRAME, np.uint8)
    times = []
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        model.scale_maps(frame)
        times.append(time.perf_counter() - start)
    return 1000 * min(times[1:])


def _cache() -> Path:
    """Where measured times are kept."""
    return Path(platformdirs.user_cache_dir("festkit"))


def _machine() -> str:
    """The CPU's model, where the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    import platform  # noqa: PLC0415

    return platform.processor()


def _digest(*facts: object) -> str:
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
