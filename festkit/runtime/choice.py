"""The fastest runtime of this machine for a model, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import platformdirs

from .. import __version__
from .._support.errors import InputError
from .._support.files import read_json, write_json
from ..model import Model
from .exported import ExportedModel, Runtime, available_runtimes

if TYPE_CHECKING:
    from ..fest import FEST

Choice = Literal["auto", "torch"] | Runtime
"""What may be asked for."""

FRAME = (512, 640)
"""Height and width of the frame that runtimes are compared on [px]."""

REPEATS = 3
"""A runtime takes the least time of so many repeats, after one more that is not counted."""


def open_exported(path: Path, runtime: Choice | None) -> ExportedModel:
    """Open an exported file; "auto" takes the fastest runtime that reads it."""
    if runtime == "torch":
        raise InputError(f"{path} is an exported model, which torch cannot run; see open_model")
    if runtime != "auto":
        return ExportedModel(path, runtime=runtime)
    models = [ExportedModel(path, runtime=name) for name in _candidates(path)]
    return models[_fastest(models)]


def run_with(fest: FEST, runtime: Choice) -> Model:
    """The same model on another runtime; "auto" takes the fastest, torch among them.

    The exported file is kept in the user's cache. On an accelerator "auto" is torch.
    """
    on_cpu = fest.device.type == "cpu"
    if runtime == "torch" or (runtime == "auto" and not on_cpu):
        return fest
    if not on_cpu:
        raise InputError(f"runtime {runtime} works on the CPU, not on {fest.device}; use 'cpu'")
    from .convert import export  # noqa: PLC0415 - it needs torch

    path = _cache() / "exports" / f"{_digest(fest.identity(), __version__)}.onnx"
    if not path.is_file():
        export(fest, path)
    names = _candidates(path) if runtime == "auto" else [runtime]
    models: list[Model] = [ExportedModel(path, runtime=name) for name in names]
    for model in models:
        for name in ("th1", "th2", "rule", "threads", "origin", "chosen_on"):
            setattr(model, name, getattr(fest, name))
    models += [fest] if runtime == "auto" else []
    return models[_fastest(models)]


def _candidates(path: Path) -> list[Runtime]:
    """The runtimes that read a file; bfloat16 where the CPU has it."""
    names = available_runtimes(path)
    if "openvino" in names:
        from .exported import openvino_core  # noqa: PLC0415

        if "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            return ["openvino-bf16", *names]
    return names


def _fastest(models: list[Any]) -> int:
    """The index of the fastest of some models; measured once per machine, then known."""
    if len(models) == 1:
        return 0
    names = [getattr(model, "runtime", "torch") for model in models]
    facts = [models[0].card["weights"], names, __version__, _machine()]
    kept, known = _cache() / "runtimes.json", {}
    with suppress(InputError, OSError):  # not there, or damaged
        known = read_json(kept, dict)
    key = _digest(*facts)
    if key not in known:
        milliseconds = [round(_milliseconds(model), 1) for model in models]
        known[key] = dict(zip(names, milliseconds, strict=True))
        write_json(kept, known)
    times = known[key]
    best = min(names, key=lambda name: times[name])
    listed = ", ".join(f"{name} {times[name]:g}" for name in names)
    print(
        f"runtime {best}: milliseconds per frame of 640 x 512 px: {listed} (kept in {kept})",
        file=sys.stderr,
    )
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
    """Where exported files and measured times are kept."""
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
