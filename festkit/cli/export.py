"""The command ``festkit export``: a model as one file that runs without PyTorch."""

from pathlib import Path

import tyro


def export(
    model: tyro.conf.Positional[tuple[str, ...]],
    out: Path = Path("fest.onnx"),
    half: bool = False,
    check: Path | None = None,
) -> None:
    """Write a trained model to one file for ONNX Runtime, OpenVINO or C++.

    The graph takes gray frames (N, 1, H, W) uint8 of any size and returns the fused map and the map
    of every scale, float32 in [0, 1]. festkit predict --model FILE runs it without PyTorch.

    Args:
        model: an entry or family of the zoo (festkit zoo list), a weights file, or run folders;
            several are the scales of one FEST.
        out: the file: .onnx, or .xml for OpenVINO, whose weights go to a .bin beside it.
        half: store weights as float16, half as large; all is computed in float32.
        check: images, a file or folder, on which the maps and detections of every installed runtime
            are compared with those of PyTorch.
    """
    from .._support.errors import FestkitError, InputError
    from ..inference.models import load_fest
    from ..inference.reading import read_frames
    from ..model import scale_title
    from ..runtime import ExportedModel, check_parity
    from ..runtime import export as write
    from ..runtime.exported import available_runtimes

    if not model:
        raise InputError("no model given; pass an entry of the zoo, a weights file, or run folders")
    fest = load_fest(*model, device="cpu")
    path = write(fest, out, half=half)
    print(f"{path}: {', '.join(map(scale_title, fest.backbones))}")
    if check is None:
        return
    holds = True
    for name in available_runtimes(path):
        images = (gray for _, gray in read_frames(check))
        parity = check_parity(ExportedModel(path, runtime=name), fest, images)
        print(f"{name}: {parity}")
        holds &= parity.holds
    if not holds:
        raise FestkitError(f"{path} differs from the original; see above")
