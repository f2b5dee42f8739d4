"""A dataset and a network by hand, small enough to train in a second."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

torch.set_num_threads(1)  # at these sizes a second thread costs more than it brings

HEIGHT, WIDTH = 48, 64
SIDE = 4


def make_set(folder, *, train=6, test=3, targets=True):
    """Noise images of 48 x 64 px in the BasicIRSTD layout, each with one or two bright squares."""
    names = {"train": [f"t{n}" for n in range(train)], "test": [f"e{n}" for n in range(test)]}
    for place in ("images", "masks", "img_idx"):
        (folder / place).mkdir(parents=True)
    for split, listed in names.items():
        (folder / "img_idx" / f"{split}_hand.txt").write_text("\n".join(listed))
        for number, name in enumerate(listed):
            image, mask = scene(number + 100 * (split == "test"), targets=targets)
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
    return folder


def scene(seed, *, targets=True):
    """Gray image (48, 64) uint8 and its mask; the targets of odd seeds are two."""
    rng = np.random.default_rng(seed)
    image = rng.normal(90, 6, (HEIGHT, WIDTH))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for half in range(1 + seed % 2 if targets else 0):
        y, x = rng.integers(8, 36), rng.integers(6, 22) + 32 * half
        mask[y : y + SIDE, x : x + SIDE] = True
    return np.where(mask, 220, image).astype(np.uint8), mask


class TinyNet(nn.Module):
    """A gray image (N, 1, H, W) to logits (N, 1, H, W), with batch norm and dropout."""

    in_channels = 1
    divisor = 2

    def __init__(self, width: int = 12):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
        )
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))


class Fixed(nn.Module):
    """A network that sees the same wherever it looks: fixed logits (size, size)."""

    in_channels = 1

    def __init__(self, prob):
        super().__init__()
        self.register_buffer("logits", torch.tensor(prob, dtype=torch.float32).logit(1e-6))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        return (self.logits * self.scale).expand(len(image), 1, -1, -1)
