"""A model from a file written by :func:`festkit.export`, run without PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._support.cpus import check_threads, idle_cpus
from .._support.errors import InputError, MissingFileError, MissingPackageError
from .._support.files import NUMBER, check_form
from .._support.names import find_name
from ..model import Model, check_rule, scale_title
from ..ops.gray import gray_statistics
from ..ops.tiles import map_by_tiles
from ..sensitivity import check_threshold

SUFFIXES = (".onnx", ".xml")
"""Of exported files; the second is OpenVINO's own, with its weights in a ``.bin``."""

CARD = "festkit"
"""Name of the card among the facts that an exported file holds."""

FORM = {
    "sizes": [NUMBER],
    "tile?": int,
    "networks": dict,
    "weights": str,
    "th1": NUMBER,
    "th2": NUMBER | None,
    "rule": str,
}
"""What the card must hold."""

Runtime = Literal["onnx", "openvino", "openvino-bf16"]

PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "openvino-bf16": "openvino"}
"""The package of every runtime."""

Run = Callable[[dict[str, Any]], NDArray[np.float32]]
"""From the inputs of the graph, "gray" (N, 1, H, W) among them, to the maps of the scales."""


class ExportedModel(Model):
    """A model exported to ONNX or OpenVINO; it predicts like the :class:`FEST` it came from.

    Args:
        path: ``.onnx``, or ``.xml`` with its ``.bin``.
        runtime: "onnx" (ONNX Runtime), "openvino", or "openvino-bf16", which multiplies in bfloat16
            where the CPU has it; what it costs is not yet measured. Default: OpenVINO if
            installed, else ONNX Runtime.
        threads: number of CPU threads. Default: one per idle CPU when the file is opened. Several
            images are computed side by side, one thread each.

    Attributes:
        card: what the file says of the model: networks, thresholds, origin, licence.
        runtime: name of the runtime.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file was not written by festkit, or the runtime is unknown or cannot read
            the file.
        ImportError: if no runtime is installed.
    """

    def __init__(
        self, path: str | Path, *, runtime: Runtime | None = None, threads: int | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise MissingFileError(f"no such file: {path}; write it with festkit export")
        check_threads(threads)
        self.runtime = _choose(self.path, runtime)
        self.threads = threads or max(1, idle_cpus())
        self._graph = self._read()
        self.card = self._read_card()
        self.backbones = dict.fromkeys(self.card["sizes"], self.runtime)
        self.th1, self.th2, self.rule = (self.card[name] for name in ("th1", "th2", "rule"))
        check_rule(self.rule)
        for name, value in (("th1", self.th1), ("th2", self.th2)):
            if value is not None:
                check_threshold(name, value)
        self.origin, self.chosen_on = self.card.get("origin"), self.card.get("chosen_on")
        self._runs: dict[tuple[int, int], Run] = {}

    def __repr__(self) -> str:
        sizes = ", ".join(map(scale_title, self.backbones))
        return (
            f"ExportedModel({self.path.name}: {sizes}; th1={self.th1:g}, th2={self.th2}, "
            f"rule={self.rule!r}, runtime={self.runtime!r})"
        )

    @property
    def batch(self) -> int:
        """Images that are computed side by side, one for each thread."""
        check_threads(self.threads)
        self.threads = self.threads or max(1, idle_cpus())
        return self.threads

    def keep(self, folder: object) -> None:
        """Keep a temporary folder, which holds the file, as long as the model."""
        self._folder = folder

    def identity(self) -> dict[str, Any]:
        """What decides the maps: the card's networks, the file, and the runtime."""
        digest = hashlib.sha256(self.path.read_bytes())
        if self.path.suffix == ".xml":
            digest.update(self.path.with_suffix(".bin").read_bytes())
        return {
            "networks": self.card["networks"],
            "weights": digest.hexdigest()[:12],
            "runtime": self.runtime,
        }

    def _maps(self, gray: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The maps of all scales, of one image (H, W) or of several (N, H, W)."""
        if "tile" in self.card:
            frames = gray.reshape(-1, *gray.shape[-2:])
            of_scales = [
                [self._scaled_map(frame, scale) for frame in frames] for scale in self.backbones
            ]
            return [np.stack(maps).reshape(gray.shape) for maps in of_scales]
        frames = gray.reshape(-1, 1, 1, *gray.shape[-2:])
        side_by_side = self.batch if len(frames) > 1 else 1
        run = self._run(side_by_side)
        with ThreadPoolExecutor(side_by_side) as pool:
            found = list(pool.map(lambda frame: run({"gray": frame}), frames))
        maps = np.concatenate(found)  # (N, S, H, W)
        return [maps[:, scale].reshape(gray.shape) for scale in range(maps.shape[1])]

    def _scaled_map(self, frame: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
        """The map of a frame (H, W) at one scale factor."""
        mean, std = (np.array(value, np.float32) for value in gray_statistics(frame))
        run = self._run(1)
        return map_by_tiles(
            frame,
            scale,
            self.card["tile"],
            lambda tiles: run({"gray": tiles[:, None], "mean": mean, "std": std})[:, 0],
        )

    def _run(self, side_by_side: int) -> Run:
        """The graph, set up for one image or for as many as threads; kept for the next."""
        asked = self.batch, side_by_side
        if asked not in self._runs:
            if self.runtime == "onnx":
                self._runs[asked] = _run_onnx(self.path, self._graph, *asked)
            else:
                bf16 = self.runtime == "openvino-bf16"
                self._runs[asked] = _run_openvino(self._graph, *asked, bf16=bf16)
        return self._runs[asked]

    def _read(self) -> Any:
        """The graph in the file, as its runtime holds it."""
        import_module(PACKAGES[self.runtime])  # an error of its own
        try:
            if self.runtime == "onnx":
                return _onnx_session(self.path, self.batch)
            return openvino_core().read_model(self.path)
        except Exception as error:
            raise InputError(f"{self.path} is damaged, or holds no graph ({error})") from error

    def _read_card(self) -> dict[str, Any]:
        """The card in the file."""
        try:
            if self.runtime == "onnx":
                text = self._graph.get_modelmeta().custom_metadata_map[CARD]
            else:
                text = self._graph.get_rt_info(["framework", CARD]).astype(str)
            card = json.loads(text)
        except Exception as error:
            raise InputError(f"{self.path} was not written by festkit export") from error
        check_form(f"the card of {self.path}", card, FORM)
        return dict(card)


def available_runtimes(path: Path) -> list[Runtime]:
    """The runtimes that are installed and read a file, the usually fastest first.

    Example:
        >>> set(available_runtimes(Path("fest.xml"))) <= {"openvino"}
        True
    """
    names: list[Runtime] = ["openvino", "onnx"] if path.suffix == ".onnx" else ["openvino"]
    return [name for name in names if find_spec(PACKAGES[name])]


def usable_runtimes(path: Path) -> list[Runtime]:
    """The same, with bfloat16 where the CPU has it.

    Example:
        >>> set(available_runtimes(Path("a.onnx"))) <= set(usable_runtimes(Path("a.onnx")))
        True
    """
    names = available_runtimes(path)
    if "openvino" in names:
        abilities = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        names += ["openvino-bf16"] if "BF16" in abilities else []
    return names


def _choose(path: Path, asked: Runtime | None) -> Runtime:
    """A runtime that is installed and reads the file."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} ends in {path.suffix!r}, expected .onnx or .xml")
    available = available_runtimes(path)
    if not available:
        raise MissingPackageError(
            f"no runtime for {path} is installed; pip install 'festkit[export]'"
        )
    if asked is None:
        return available[0]
    name = find_name("runtime", asked, PACKAGES)
    if PACKAGES[name] not in {PACKAGES[each] for each in available}:
        raise InputError(
            f"runtime {name} cannot read {path.name} here; installed ones that can: "
            f"{', '.join(available)}"
        )
    return name  # type: ignore[return-value]


def _onnx_session(path: Path, threads: int) -> Any:
    """A session of ONNX Runtime, whose messages are left out."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # 30 MB less, no slower
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _run_onnx(path: Path, session: Any, threads: int, side_by_side: int) -> Run:
    """ONNX Runtime; a session may be used by several threads at once."""
    own = threads // side_by_side
    if session.get_session_options().intra_op_num_threads != own:
        session = _onnx_session(path, own)
    return lambda inputs: session.run(["maps"], inputs)[0]


def openvino_core() -> Any:
    """OpenVINO's devices and files.

    Example:
        >>> "CPU" in openvino_core().available_devices
        True
    """
    import openvino  # noqa: PLC0415 - an extra

    return openvino.Core()


def _run_openvino(graph: Any, threads: int, side_by_side: int, *, bf16: bool) -> Run:
    """OpenVINO; every image has a request of its own."""
    compiled = openvino_core().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": side_by_side,
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        },
    )

    def run(inputs: dict[str, Any]) -> NDArray[np.float32]:
        request = compiled.create_infer_request()
        request.infer(inputs)
        return np.array(request.get_tensor("maps").data)

    return run
