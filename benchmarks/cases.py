"""All cases: losses and maps here, the engine in its own file."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from festkit.backbones import create_backbone, list_backbones
from festkit.fusion import resize_map
from festkit.losses import edge_map, eedm_loss
from festkit.scenes import make_scene

from .case import Case
from .engine import cpu_cases, cuda_cases

Call = Callable[[], object]


def cases(device: torch.device) -> Iterator[Case]:
    """Every case, on a device where it can run there."""
    scene = make_scene(0, size=512)
    mask = torch.from_numpy(scene.mask).expand(8, 1, -1, -1).contiguous().to(device)
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(8, 1, 512, 512, generator=generator) - 4).to(device).requires_grad_()
    target = mask.float()
    prob = cv2.GaussianBlur(scene.mask.astype(np.float32), (0, 0), 2)

    yield Case(
        "edge map of 8 masks of 512²",
        "two distance transforms per mask, as published",
        lambda: edge_map(mask),
        lambda: [_edge_by_distance(one) for one in mask[:, 0].cpu().numpy()],
    )
    yield Case(
        "EEDM loss and gradient, 8 × 512²",
        "plain BCE loss and gradient",
        lambda: torch.autograd.grad(eedm_loss(logits, mask), logits),
        lambda: torch.autograd.grad(F.binary_cross_entropy_with_logits(logits, target), logits),
    )
    yield Case(
        "resize a map 384² to 512²",
        "OpenCV linear resize (positions in float32)",
        lambda: resize_map(prob[:384, :384], 512),
        lambda: cv2.resize(prob[:384, :384], (512, 512), interpolation=cv2.INTER_LINEAR),
    )
    yield from cpu_cases() if device.type == "cpu" else cuda_cases(device)
    image = torch.rand(1, 3, 256, 256, generator=generator).to(device)
    for name in list_backbones():
        yield Case(
            f"{name} forward, one image of 256², channels last",
            "the same, contiguous",
            _forward(create_backbone(name).to(device).eval(), image, torch.channels_last),
            _forward(create_backbone(name).to(device).eval(), image, torch.contiguous_format),
        )


def _forward(network: torch.nn.Module, image: torch.Tensor, layout: torch.memory_format) -> Call:
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    image = image.contiguous(memory_format=layout)

    @torch.inference_mode()
    def call() -> object:
        return network(image)

    return call


def _edge_by_distance(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask.astype(np.uint8), 1)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return ((inside + outside) <= 1)[1:-1, 1:-1]
