"""Random augmentation of a training batch, images and masks together.

Functions take whole batches on any device and one generator on the CPU: the same seed gives the
same batch. Masks stay bool and aligned with their images.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .._support.devices import send
from ..ops.components import find_components

MAX_PATCH = 64
"""Maximum side of the patches that targets are cut in [px]."""

TRIES = 8
"""Number of random positions tried for pasting a target."""

DEGREES, SCALE, SHIFT = 45.0, 0.2, 0.1
"""Maximum rotation, relative change of size, and shift as a share of the side."""


@dataclass(frozen=True)
class TargetBank:
    """The targets of a training set, cut out for copy-paste.

    Attributes:
        contrast: (T, P, P) float, gray value minus the local background, 0 outside the target.
        mask: (T, P, P) bool, the target, centred in its patch.
        near: (T, P, P) bool, pixels within 2 px of the target.
    """

    contrast: Tensor
    mask: Tensor
    near: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    def to(self, device: torch.device) -> "TargetBank":
        """Copy to another device."""
        return TargetBank(self.contrast.to(device), self.mask.to(device), self.near.to(device))


def cut_targets(gray: Tensor, mask: Tensor) -> TargetBank:
    """Cut out every target with its contrast to the local background.

    The background is the mean of the patch outside all targets. Targets larger than their patch, or
    too close to the frame for a whole patch, are skipped.

    Args:
        gray: (N, 1, H, W) uint8.
        mask: (N, 1, H, W) bool.

    Returns:
        The bank; it may be empty.

    Example:
        >>> mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool); mask[..., 8:10, 8:10] = True
        >>> len(cut_targets(100 * mask.byte(), mask))
        1
    """
    found = find_components(mask[:, 0].cpu().numpy())
    height, width = mask.shape[-2:]
    longest = int((found.box[:, 2:] - found.box[:, :2]).max(initial=1))
    patch = min(2 * longest + 1, MAX_PATCH, height, width)
    contrasts, masks = [torch.zeros(0, patch, patch)], [torch.zeros(0, patch, patch).bool()]
    for k, (y0, x0, y1, x1) in enumerate(found.box.tolist()):
        top, left = (y0 + y1 - patch) // 2, (x0 + x1 - patch) // 2
        inside = 0 <= top <= height - patch and 0 <= left <= width - patch
        if not inside or max(y1 - y0, x1 - x0) > patch - 2:
            continue
        n, place = int(found.image[k]), (slice(top, top + patch), slice(left, left + patch))
        values, truth = gray[n, 0][place].cpu().float() / 255, mask[n, 0][place].cpu()
        target = torch.zeros(height * width, dtype=torch.bool)
        target[torch.from_numpy(found.pixels[found.label == k] - n * height * width)] = True
        target = target.reshape(height, width)[place]
        contrasts.append(torch.where(target, values - values[~truth].mean(), 0.0)[None])
        masks.append(target[None])
    stacked = torch.cat(masks)
    near = F.max_pool2d(stacked[:, None].float(), 5, 1, 2)[:, 0] > 0
    return TargetBank(torch.cat(contrasts), stacked, near).to(mask.device)


class PartGenerator(Generator):
    """Draws the random numbers of a whole batch, of which this process computes a part.

    With a plain ``Generator`` the images are a whole batch.

    Attributes:
        total: images of the whole batch.
        own: the images of this part.
    """

    total: int
    own: slice


def part_of_batch(generator: Generator, images: Tensor) -> tuple[int, slice]:
    """The images of the whole batch, and those of this part."""
    if isinstance(generator, PartGenerator):
        return generator.total, generator.own
    return len(images), slice(None)


def augment(
    gray: Tensor,
    mask: Tensor,
    bank: TargetBank,
    generator: Generator,
    *,
    crop: int | None = None,
    on_target: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Augment a batch: flip and turn, copy-paste, warp, crop, brightness, contrast and noise.

    Args:
        gray: (N, 1, S, S) uint8.
        mask: (N, 1, S, S) bool.
        bank: targets to paste.
        generator: random generator, on the CPU.
        crop: side of the crop [px]; None keeps whole images.
        on_target: share of the crops that contain a target pixel, in [0, 1].

    Returns:
        Gray values, float in [0, 1], and masks, both (N, 1, S, S) or (N, 1, crop, crop).

    Example:
        >>> gray, mask = torch.zeros(2, 1, 32, 32).byte(), torch.zeros(2, 1, 32, 32).bool()
        >>> new, _ = augment(gray, mask, cut_targets(gray, mask), torch.Generator().manual_seed(0))
        >>> new.shape, new.dtype
        (torch.Size([2, 1, 32, 32]), torch.float32)
    """
    gray, mask = flip_and_turn(gray, mask, generator)
    gray, mask = paste_targets(gray.float() / 255, mask, bank, generator)
    gray, mask = warp(gray, mask, generator)
    if crop is not None:
        gray, mask = crop_images(gray, mask, crop, generator, on_target=on_target)
    return change_values(gray, generator), mask


def paste_targets(
    gray: Tensor,
    mask: Tensor,
    bank: TargetBank,
    generator: Generator,
    *,
    probability: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Copy-paste: add one target of the bank to some images, at least 2 px from other targets.

    The target is flipped and turned at random, and its contrast is added to the new background. An
    image stays unchanged if all :data:`TRIES` random positions are too close to a target.

    Args:
        gray: (N, 1, H, W) float in [0, 1].
        mask: (N, 1, H, W) bool.
        bank: targets to paste; an empty bank changes nothing.
        generator: random generator, on the CPU.
        probability: probability that an image gets a target.

    Returns:
        Gray values in [0, 1] and masks.
    """
    if not len(bank):
        return gray, mask
    count, _, height, width = gray.shape
    total, own = part_of_batch(generator, gray)
    patch = bank.mask.shape[-1]
    chosen = torch.randint(len(bank), (total,), generator=generator)[own]
    top = torch.randint(height - patch + 1, (total, TRIES), generator=generator)[own]
    left = torch.randint(width - patch + 1, (total, TRIES), generator=generator)[own]
    wanted = torch.rand(total, generator=generator)[own] < probability
    moves = _moves(total, generator)[own]
    chosen, top, left, wanted = (send(t, gray.device) for t in (chosen, top, left, wanted))
    contrast, target, near = (
        torch.stack([_turn(patch, move) for patch, move in zip(kind[chosen], moves, strict=True)])
        for kind in (bank.contrast, bank.mask, bank.near)
    )

    side = torch.arange(patch, device=gray.device)
    rows, columns = (top[..., None] + side)[..., None], (left[..., None] + side)[..., None, :]
    image = torch.arange(count, device=gray.device)
    taken = mask[image[:, None, None, None], 0, rows, columns]
    clash = (taken & near[:, None]).any(-1).any(-1)
    first = (~clash).int().argmax(1)
    placed = target & (wanted & ~clash.all(1))[:, None, None]

    rows, columns, image = rows[image, first], columns[image, first], image[:, None, None]
    gray, mask = gray.clone(), mask.clone()
    lifted = gray[image, 0, rows, columns] + contrast * placed
    gray[image, 0, rows, columns] = lifted.clamp(0, 1)
    mask[image, 0, rows, columns] |= placed
    return gray, mask


def flip_and_turn(gray: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Apply one of the eight flips and quarter turns of a square to each image.

    Args:
        gray: (N, 1, S, S) of any type.
        mask: (N, 1, S, S) bool.
        generator: random generator, on the CPU.

    Returns:
        Turned images and masks.
    """
    total, own = part_of_batch(generator, gray)
    moves = _moves(total, generator)[own]
    turned, turned_mask = torch.empty_like(gray), torch.empty_like(mask)
    for index, move in enumerate(moves):
        turned[index], turned_mask[index] = _turn(gray[index], move), _turn(mask[index], move)
    return turned, turned_mask


def warp(
    gray: Tensor,
    mask: Tensor,
    generator: Generator,
    *,
    probability: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Rotate, scale and shift some images and masks, with reflection at the frame.

    Args:
        gray: (N, 1, S, S) float.
        mask: (N, 1, S, S) bool.
        generator: random generator, on the CPU.
        probability: probability that an image is warped.

    Returns:
        Warped images and masks.
    """
    total, own = part_of_batch(generator, gray)
    chosen = torch.rand(total, generator=generator)[own] < probability
    angle, size, dx, dy = torch.rand(4, total, generator=generator)[:, own] * 2 - 1
    angle, size = angle * math.radians(DEGREES), 1 / (1 + SCALE * size)
    cosine, sine = angle.cos() * size, angle.sin() * size
    moved = torch.stack([cosine, -sine, 2 * SHIFT * dx, sine, cosine, 2 * SHIFT * dy], dim=1)
    index = torch.from_numpy(np.flatnonzero(chosen.numpy()))
    if not len(index):
        return gray, mask
    matrix = send(moved[index].reshape(-1, 2, 3), gray.device)
    index = send(index, gray.device)
    grid = F.affine_grid(matrix, list(gray[index].shape), align_corners=False)
    gray, mask = gray.clone(), mask.clone()
    pairs = torch.cat([gray[index], mask[index].to(gray.dtype)], dim=1)
    pairs = F.grid_sample(pairs, grid, padding_mode="reflection", align_corners=False)
    gray[index], mask[index] = pairs[:, :1], pairs[:, 1:] > 0.5
    return gray, mask


def crop_images(
    gray: Tensor,
    mask: Tensor,
    side: int,
    generator: Generator,
    *,
    on_target: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Cut a random square from each image; some contain a random target pixel.

    Args:
        gray: (N, 1, H, W) of any type.
        mask: (N, 1, H, W) bool.
        side: side of the square [px], at most H and W.
        generator: random generator, on the CPU.
        on_target: probability that a square contains a target pixel, drawn uniformly from the
            image's target pixels; otherwise, and in images without targets, the square is at a
            random position.

    Returns:
        Squares of images and masks, (N, 1, side, side).

    Example:
        >>> gray, mask = torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32, dtype=torch.bool)
        >>> mask[:, :, 30, 3] = True
        >>> _, cut = crop_images(gray, mask, 8, torch.Generator().manual_seed(0), on_target=1)
        >>> cut.shape, int(cut.sum())
        (torch.Size([2, 1, 8, 8]), 2)
    """
    total, own = part_of_batch(generator, gray)
    height, width = gray.shape[-2:]
    draws = send(torch.rand(total, 4, generator=generator)[own], gray.device)
    wanted, chosen = draws[:, 0] < on_target, draws[:, 1]
    before = mask.flatten(1).cumsum(1, dtype=torch.int32)  # target pixels up to each pixel
    pixels = before[:, -1]
    rank = (chosen * pixels).int() + 1
    pixel = torch.searchsorted(before, rank[:, None])[:, 0]
    held = wanted & (pixels > 0)
    starts = []
    for at, length, place in ((pixel // width, height, 2), (pixel % width, width, 3)):
        end = length - side
        first = torch.where(held, (at - side + 1).clamp(min=0), 0)
        last = torch.where(held, at.clamp(max=end), end)
        starts.append(first + (draws[:, place] * (last - first + 1)).long())
    within = torch.arange(side, device=gray.device)
    rows, columns = ((start[:, None] + within) for start in starts)
    image = torch.arange(len(gray), device=gray.device)[:, None, None]
    where = image, 0, rows[:, :, None], columns[:, None, :]
    return gray[where][:, None], mask[where][:, None]


def change_values(
    gray: Tensor,
    generator: Generator,
    *,
    brightness: float = 0.2,
    contrast: float = 0.2,
    noise: float = 0.02,
) -> Tensor:
    """Change brightness and contrast of each image and add white noise to half of them.

    Args:
        gray: (N, 1, H, W) float in [0, 1].
        generator: random generator, on the CPU.
        brightness: maximum shift of the values.
        contrast: maximum relative change of the deviation from the mean.
        noise: maximum standard deviation of the noise.

    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    total, own = part_of_batch(generator, gray)
    bright, strong, noisy = torch.rand(3, total, 1, 1, 1, generator=generator) * 2 - 1
    seed = int(torch.randint(2**62, (), generator=generator).numpy())
    bright, strong = (send(each[own], gray.device) for each in (bright, strong))
    mean = gray.mean((1, 2, 3), keepdim=True)
    changed = mean + (gray - mean) * (1 + contrast * strong) + brightness * bright
    source = Generator(gray.device).manual_seed(seed)
    place = {image: index for index, image in enumerate(range(total)[own])}
    for image, strength in enumerate((noise * noisy).flatten().numpy().tolist()):
        if strength > 0:
            white = torch.randn(gray.shape[1:], generator=source, device=gray.device)
            if image in place:
                changed[place[image]] += strength * white
    return changed.clamp_(0, 1)


def change_sensor(
    gray: Tensor,
    generator: Generator,
    *,
    gain: float = 1.6,
    offset: float = 0.5,
    noise: float = 0.2,
    stripes: float = 0.15,
    blur: float = 0.8,
) -> Tensor:
    """Change normalised images as other cameras would: gain, offset, blur, stripes and noise.

    Every image gets a gain and an offset; a third each get blur, stripes along rows or columns, and
    white noise.

    Args:
        gray: (N, 1, S, S) float, mean 0 and deviation 1 over the frame.
        generator: random generator, on the CPU.
        gain: largest factor; the smallest is its inverse.
        offset: maximum shift.
        noise: maximum standard deviation of the noise.
        stripes: maximum standard deviation of the stripes.
        blur: maximum standard deviation of the Gaussian blur [px].

    Returns:
        (N, 1, S, S) float.

    Example:
        >>> change_sensor(torch.zeros(2, 1, 8, 8), Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """
    total, own = part_of_batch(generator, gray)
    draws = torch.rand(9, total, 1, 1, 1, generator=generator)[:, own]
    side = gray.shape[-1]
    white, rows, columns = (
        torch.randn(total, 1, *shape, generator=generator)[own]
        for shape in ((side, side), (side, 1), (1, side))
    )
    share, shift, wanted, strong = draws[0], draws[1], draws[2:5] < 1 / 3, draws[5:8]
    lines = torch.where(draws[8] < 0.5, rows, columns)
    added = offset * (2 * shift - 1) + wanted[0] * noise * strong[0] * white
    added = added + wanted[1] * stripes * strong[1] * lines
    width = torch.where(wanted[2], blur * strong[2], 0.0).clamp(min=1e-3)
    taps = torch.exp(-0.5 * (torch.arange(-2, 3) / width) ** 2)  # (N, 1, 1, 5)
    taps = send(taps / taps.sum(-1, keepdim=True), gray.device)
    factor = send(gain ** (2 * share - 1), gray.device)
    flat = F.pad(gray, (2, 2, 2, 2), mode="replicate").transpose(0, 1)
    count = len(gray)
    flat = F.conv2d(F.conv2d(flat, taps, groups=count), taps.transpose(-1, -2), groups=count)
    return flat.transpose(0, 1) * factor + send(added, gray.device)


def _moves(count: int, generator: Generator) -> list[list[bool]]:
    """For each image: flip x, flip y, transpose."""
    drawn: list[list[bool]] = torch.rand(count, 3, generator=generator).lt(0.5).numpy().tolist()
    return drawn


def _turn(image: Tensor, move: list[bool]) -> Tensor:
    """Flip and transpose an image (..., S, S)."""
    *flips, transpose = move
    flipped = image.flip([-1 - axis for axis, wanted in enumerate(flips) if wanted])
    return flipped.transpose(-1, -2) if transpose else flipped
