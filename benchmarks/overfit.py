"""Can every backbone learn at all? Each must fit four synthetic scenes within a number of steps.

``python -m benchmarks.overfit [NAME ...]`` exits with 1 if one does not.
"""

import sys
import time

import numpy as np
import torch
import tyro

from festkit._support.files import write_utf8
from festkit.backbones import create_backbone, list_backbones
from festkit.backbones.forward import network_input
from festkit.losses import eedm_loss
from festkit.scenes import make_scene
from festkit.training.state import init_output_bias

SIZE, STEPS, IOU = 96, 150, 0.7


def main(names: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Train on four scenes of 96² for at most 150 steps, AdamW 3e-3, EEDM.

    Args:
        names: backbones; all of the catalogue without any.
    """
    torch.set_num_threads(1)
    scenes = [make_scene(seed, size=SIZE, preset="easy") for seed in range(4)]
    gray = torch.from_numpy(np.stack([scene.image for scene in scenes])[:, None]).float() / 255
    mask = torch.from_numpy(np.stack([scene.mask for scene in scenes])[:, None])
    image = network_input(gray, mean=float(gray.mean()), std=float(gray.std()), channels=3)
    print(f"four scenes of {SIZE}², IoU {IOU} in the batch within {STEPS} steps")
    failed = [name for name in names or list_backbones() if not _fits(name, image, mask)]
    if failed:
        sys.exit(f"did not fit: {', '.join(failed)}")


def _fits(name: str, image: torch.Tensor, mask: torch.Tensor) -> bool:
    torch.manual_seed(0)
    network = create_backbone(name).train()
    init_output_bias(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    began = time.perf_counter()
    for step in range(1, STEPS + 1):  # noqa: B007 - the last one is told
        logits = network(image)
        loss = eedm_loss(logits, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found = logits > 0
        iou = ((found & mask).sum() / (found | mask).sum().clamp(min=1)).item()
        if iou > IOU:
            break
    seconds = time.perf_counter() - began
    print(f"{name:12} IoU {iou:.3f} after {step:3d} steps, {seconds:.0f} s", flush=True)
    return iou > IOU


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
