"""Write a model to one file that runs without PyTorch, and check that it finds the same."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .. import __version__
from .._support.errors import InputError, MissingPackageError
from .._support.files import atomic_write, write_text
from .._support.names import counted
from .._support.progress import progress
from ..fest import FEST
from .exported import CARD, SUFFIXES, ExportedModel
from .graph import Pipeline, TilePipeline

OPSET = 17
"""Version of ONNX's operators, known to ONNX Runtime from 1.12 on."""

TRACED = (2, 1, 40, 56)
"""Shape of the frames with which the pipeline is traced; number and size stay free."""

LICENCE = "MIT for festkit's part; the licence of the training dataset also applies"


def export(fest: FEST, path: str | Path, *, half: bool = False) -> Path:
    """Write the whole pipeline of a FEST to one file for ONNX Runtime, OpenVINO or C++.

    The graph takes ``gray`` (N, 1, H, W) uint8, any number of frames of any size, and returns
    ``fused`` (N, 1, H, W) and ``maps`` (N, S, H, W), float32 in [0, 1]: the fused map, and the map
    of every scale. It resizes, normalises, runs the networks and fuses. The file also holds
    thresholds, rule and origin; :func:`festkit.open_model` opens it.

    The graph of a FEST at scale factors takes tiles of a frame, ``gray`` (N, 1, tile, tile), and
    ``mean`` and ``std`` of the frame in [0, 1], and returns ``maps`` (N, 1, tile, tile); the model
    that festkit opens cuts the tiles and blends their maps.

    Args:
        fest: networks, gray statistics and thresholds.
        path: the file: ``.onnx``, or ``.xml`` for OpenVINO, whose weights go to a ``.bin`` beside.
        half: store weights as float16, half as large. All is computed in float32.

    Raises:
        ValueError: for another suffix, or a FEST with detectors, without gray statistics, or with
            different networks at scale factors.
        ImportError: if ``onnx`` or ``openvino`` is not installed.

    Example:
        >>> import tempfile
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1, device="cpu")
        >>> path = export(fest, f"{tempfile.mkdtemp()}/fest.onnx")
        >>> ExportedModel(path).predict(np.zeros((40, 30), np.uint8)).mask.shape
        (40, 30)
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} ends in {path.suffix!r}; choose .onnx, or .xml for OpenVINO")
    card = json.dumps(_card(fest, half=half))
    if path.suffix == ".xml":
        openvino = required("openvino")
        with tempfile.TemporaryDirectory() as folder:
            traced = Path(folder) / "graph.onnx"
            _trace(fest, traced)
            model = openvino.convert_model(traced)
        model.set_rt_info(card, ["framework", CARD])
        _save_openvino(openvino, model, path, half=half)
        return path
    onnx = required("onnx")
    with atomic_write(path) as part:
        _trace(fest, part)
        graph = onnx.load(part)
        if half:
            _halve(onnx, graph.graph)
        onnx.helper.set_model_props(graph, {CARD: card})
        onnx.checker.check_model(graph)
        onnx.save(graph, part)
    return path


def required(package: str) -> Any:
    """A package of the extra ``export``.

    Example:
        >>> required("onnx").__name__
        'onnx'
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"{package} is not installed; install it with pip install 'festkit[export]'"
        ) from error


def _card(fest: FEST, *, half: bool) -> dict[str, Any]:
    """What is known of a model, as its file says it."""
    return {
        "festkit": __version__,
        "sizes": list(fest.backbones),
        **fest.identity(),
        **{name: getattr(fest, name) for name in ("th1", "th2", "rule", "origin", "chosen_on")},
        "opset": OPSET,
        "stored_as": "float16" if half else "float32",
        "licence": LICENCE,
    }


def _trace(fest: FEST, path: Path) -> None:
    """Write the pipeline as ONNX.

    By TorchScript: torch's newer exporter takes half a minute for a network, this one a second.
    """
    pipeline: nn.Module
    given: tuple[torch.Tensor, ...]
    if any(isinstance(key, float) for key in fest.backbones):
        pipeline, outputs, free = TilePipeline(fest), ["maps"], {0: "N"}
        tiles = torch.zeros((2, 1, fest.tile, fest.tile), dtype=torch.uint8)
        given = tiles, torch.tensor(0.5), torch.tensor(0.5)
    else:
        pipeline, outputs, free = Pipeline(fest), ["fused", "maps"], {0: "N", 2: "H", 3: "W"}
        given = (torch.zeros(TRACED, dtype=torch.uint8),)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer doubts every shape that is fixed on purpose
        torch.onnx.export(
            pipeline,
            given,
            str(path),
            input_names=["gray", "mean", "std"][: len(given)],
            output_names=outputs,
            dynamic_axes=dict.fromkeys(["gray", *outputs], free),
            opset_version=OPSET,
            dynamo=False,
        )


def _halve(onnx: Any, graph: Any) -> None:
    """Store the weights of a graph as float16, each followed by a cast to float32."""
    casts = []
    for weight in graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        stored = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        weight.CopyFrom(stored)
        kind = onnx.TensorProto.FLOAT
        casts.append(onnx.helper.make_node("Cast", [stored.name], [name], to=kind))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _save_openvino(openvino: Any, model: Any, path: Path, *, half: bool) -> None:
    """Write both files of OpenVINO's format; the one that is opened comes last."""
    weights = path.with_suffix(".bin")
    with tempfile.TemporaryDirectory() as folder, atomic_write(weights) as part:
        made = Path(folder) / path.name
        openvino.save_model(model, made, compress_to_fp16=half)
        part.write_bytes(made.with_suffix(".bin").read_bytes())
        path.unlink(missing_ok=True)  # an old one must not open the new weights
        text = made.read_text(encoding="utf-8")
    write_text(path, text)


TOLERANCE = 1e-5
"""Difference of maps in float32 that the order of sums explains."""

HALF_TOLERANCE = 5e-3
"""The same of weights stored as float16."""


@dataclass(frozen=True)
class Parity:
    """How far an exported model is from its original.

    Attributes:
        images: number of images compared.
        difference: largest difference of the maps.
        tolerance: what the number format explains.
        changed: images with other detections.
        unexplained: those of them where no value lies within ``tolerance`` of its threshold.
    """

    images: int
    difference: float
    tolerance: float
    changed: int
    unexplained: int

    @property
    def holds(self) -> bool:
        """Whether all differences are explained."""
        return self.difference <= self.tolerance and not self.unexplained

    def __str__(self) -> str:
        return (
            f"{counted(self.images, 'image')}, maps differ by at most {self.difference:.1e}"
            f" (tolerance {self.tolerance:.0e}), detections in {self.changed};"
            f" {self.unexplained} of these have no value that close to a threshold"
        )


def check_parity(
    exported: ExportedModel, fest: FEST, images: Iterable[NDArray[np.uint8]]
) -> Parity:
    """Compare the maps and detections of an exported model with those of its original.

    Args:
        exported: the exported model.
        fest: the original, with the same thresholds.
        images: gray images (H, W) uint8.

    Example:
        >>> import tempfile
        >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1, device="cpu")
        >>> exported = ExportedModel(export(fest, f"{tempfile.mkdtemp()}/fest.onnx"))
        >>> check_parity(exported, fest, [np.eye(40, dtype=np.uint8)]).difference < 1e-5
        True
    """
    tolerance = HALF_TOLERANCE if exported.card.get("stored_as") == "float16" else TOLERANCE
    pairs = [_compare(exported, fest, each) for each in progress(images, "comparing", unit="image")]
    largest = max((difference for difference, _, _ in pairs), default=0.0)
    changed = [margin for _, same, margin in pairs if not same]
    unexplained = sum(margin > tolerance for margin in changed)
    return Parity(len(pairs), largest, tolerance, len(changed), unexplained)


def _compare(
    exported: ExportedModel, fest: FEST, image: NDArray[np.uint8]
) -> tuple[float, bool, float]:
    """Largest difference; whether detections are equal; the least distance to a threshold."""
    ours, theirs = fest.scale_maps(image), exported.scale_maps(image)
    difference = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    same = np.array_equal(fest.detect(ours).mask, exported.detect(theirs).mask)
    fused = np.mean(ours, axis=0)
    distances = [np.abs(fused - fest.th1)]
    if fest.th2 is not None:
        distances += [np.abs(m - fest.th2) for m in (ours if fest.rule == "per_scale" else [fused])]
    return difference, same, min(float(each.min()) for each in distances)
