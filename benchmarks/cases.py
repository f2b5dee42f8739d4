"""All cases: maps and backbones here, engine and losses in their own files."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch

from festkit.backbones import create_backbone, list_backbones
from festkit.backbones.alcnet_lc import DIRECTIONS, SHIFTS, local_contrast
from festkit.ops.resize import resize_map
from festkit.scenes import make_scene

from .case import Case
from .engine import cpu_cases, cuda_cases
from .losses import loss_cases

Call = Callable[[], object]


def cases(device: torch.device) -> Iterator[Case]:
    """Every case, on a device where it can run there."""
    scene = make_scene(0, size=512)
    prob = cv2.GaussianBlur(scene.mask.astype(np.float32), (0, 0), 2)

    yield from loss_cases(device)
    yield Case(
        "resize a map 384² to 512²",
        "OpenCV linear resize (positions in float32)",
        lambda: resize_map(prob[:384, :384], 512),
        lambda: cv2.resize(prob[:384, :384], (512, 512), interpolation=cv2.INTER_LINEAR),
    )
    yield from cpu_cases() if device.type == "cpu" else cuda_cases(device)
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)).to(device)
    for name in list_backbones():
        yield Case(
            f"{name} forward, one image of 256², channels last",
            "the same, contiguous",
            _forward(create_backbone(name).to(device).eval(), image, torch.channels_last),
            _forward(create_backbone(name).to(device).eval(), image, torch.contiguous_format),
        )
    features = torch.rand(8, 16, 128, 128, generator=torch.Generator().manual_seed(0)).to(device)
    yield Case(
        "local contrast of ALCNet-LC and its gradient, 8 × 16 × 128²",
        "all eight pairs kept, autograd",
        _with_gradient(local_contrast, features),
        _with_gradient(_contrast_of_all_pairs, features),
    )


def _forward(network: torch.nn.Module, image: torch.Tensor, layout: torch.memory_format) -> Call:
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    image = image.contiguous(memory_format=layout)

    @torch.inference_mode()
    def call() -> object:
        return network(image)

    return call


def _with_gradient(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Call:
    x = x.clone().requires_grad_()

    def call() -> object:
        return torch.autograd.grad(function(x).sum(), x)

    return call


def _contrast_of_all_pairs(x: torch.Tensor) -> torch.Tensor:
    contrasts = []
    for shift in SHIFTS:
        products = [
            (x.roll((shift * dy, shift * dx), (2, 3)) - x)
            * (x.roll((-shift * dy, -shift * dx), (2, 3)) - x)
            for dy, dx in DIRECTIONS
        ]
        contrasts.append(torch.stack(products).amin(0))
    return torch.maximum(*contrasts)
