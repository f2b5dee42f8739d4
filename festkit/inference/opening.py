"""Open a model: from the zoo, from weights and runs, or from an exported file."""

from pathlib import Path
from typing import Any, Literal

from .._support.cpus import check_threads
from .._support.errors import InputError
from .._support.names import find_name
from ..model import Model
from ..runtime.choice import Choice, open_exported, run_with
from ..runtime.exported import PACKAGES, SUFFIXES

CHOICES = ("auto", "torch", "torch-bf16", *PACKAGES)
"""Values of ``runtime``."""


def open_model(
    *sources: str | Path,
    device: str = "auto",
    runtime: Choice | Literal["torch-bf16"] | None = None,
    threads: int | None = None,
) -> Model:
    """Open a model from one source, or from several sources that are its scales.

    Args:
        sources: names of the zoo ("nuaa-sirst/acm" is the FEST of all its sizes,
            "nuaa-sirst/acm-512-eedm" is one size), weights files, files written by
            :meth:`FEST.save` or folders with one such file, folders of finished runs, or the folder
            of :meth:`FEST.fit`. One may be the name of a training-free detector, such as "PSTNN", a
            repository of the Hugging Face hub, "hf://owner/name", or a file written by
            :func:`festkit.export`, which is opened without PyTorch.
        device: "cpu", "cuda", "mps", or "auto" (the fastest available).
        runtime: "torch", "onnx" (ONNX Runtime), "openvino", "torch-bf16" or "openvino-bf16" (they
            multiply in bfloat16; not yet measured), or "auto": the fastest on this machine,
            measured once, printed and kept. Except by torch, networks run
            exported, on the CPU. Default: torch; for exported files OpenVINO if installed, else
            ONNX Runtime.
        threads: number of CPU threads; default: one per idle CPU.

    Returns:
        The model, with the thresholds of its first card: a :class:`FEST`, or with another runtime
        an exported model, which predicts and evaluates but is not trained. A warning is issued if
        the same runs were tuned to other thresholds.

    Raises:
        FileNotFoundError: if weights of the zoo are missing, or a run has not finished.
        ValueError: if there are no sources, a name is unknown, the sources are not scales of one
            FEST, or the device or runtime is not available.

    Example:
        >>> fest = open_model("nuaa-sirst/acm", device="cpu")
        >>> list(fest.backbones), fest.th1, fest.th2
        ([512, 768], 0.5, 0.1)
    """
    paths = [Path(source).expanduser() for source in sources]
    exported = [path for path in paths if path.suffix in SUFFIXES]
    if exported and len(sources) > 1:
        raise InputError(f"{exported[0]} holds a whole model; pass it alone")
    asked: Any = None if runtime is None else find_name("runtime", runtime, CHOICES)
    bf16 = asked == "torch-bf16"
    asked = "torch" if bf16 else asked
    check_threads(threads)
    if (exported or asked in PACKAGES) and device not in ("auto", "cpu"):
        raise InputError(
            f"device {device!r} is for torch; exported models run on the CPU: choose 'cpu'"
        )
    if exported:
        return open_exported(exported[0], asked, threads)
    from .models import load_fest  # noqa: PLC0415 - it needs torch

    fest = load_fest(*sources, device="cpu" if asked in PACKAGES else device)
    fest.threads, fest.bf16 = threads, bf16
    return fest if asked is None else run_with(fest, asked)
