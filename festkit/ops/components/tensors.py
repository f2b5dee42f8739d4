"""Components by tensor operations on the foreground pixels alone; they stay on the device.

Nodes are runs, maximal stretches of foreground in one row. Every run starts as its own parent;
rounds of hooking parents under the smallest parent that touches, and of jumping from parent to
grandparent, go on until all runs that touch agree. Parents only ever get smaller, so that the root
of a component is its first run and roots ascend in raster order.

The host waits for the device once for the foreground's size, and once whenever it asks whether all
runs agree.
"""

import torch
from torch import Tensor

LARGEST_FOREGROUND = 1 << 22
"""Foreground pixels above which a batch is split; each takes about 160 bytes for a while."""

ROUNDS, JUMPS = 2, 4
"""Rounds between two questions, and jumps per round; compact targets agree by the first question.

A jump doubles the distance to the parent: four flatten a stack of 17 runs.
"""


def find(batch: Tensor, threshold: float) -> tuple[Tensor, ...]:
    """Fields of :class:`Components`, in their order, of a batch (N, H, W)."""
    batch = batch.detach()
    spots = (batch > threshold).nonzero()
    if len(spots) > LARGEST_FOREGROUND and len(batch) > 1:
        del spots  # the halves need the memory
        return _find_in_halves(batch, threshold)
    height, width = batch.shape[1:]
    padded = _raster_index(spots.T, height + 1, width + 1)
    label, count = _label(_touching_runs(padded, width + 1))
    image, first, box, area, sum_y, sum_x = _measure(spots.T, width, label, count)
    values = batch[tuple(spots.T)]
    peak = values.new_full((count,), -torch.inf).scatter_reduce_(0, label, values, "amax")
    pixels = _raster_index(spots.T, height, width)
    return image, first, area, sum_y, sum_x, peak, box, pixels, label


def _find_in_halves(batch: Tensor, threshold: float) -> tuple[Tensor, ...]:
    """The same of a batch of two or more images, one half after the other."""
    middle = len(batch) // 2
    halves = [find(batch[:middle], threshold), find(batch[middle:], threshold)]
    image, *_, pixels, label = halves[1]
    image += middle
    pixels += batch[:middle].numel()
    label += len(halves[0][0])
    return tuple(torch.cat(field) for field in zip(*halves, strict=True))


def _raster_index(spots: Tensor, height: int, width: int) -> Tensor:
    """(P,) raster index of spots (3, P), image, row and column, in a batch of such a size."""
    image, y, x = spots
    return x.add(y.add(image, alpha=height), alpha=width)


def _touching_runs(padded: Tensor, stride: int) -> Tensor:
    """(3, P) the run of every pixel and up to two runs that touch the pixel from above.

    Args:
        padded: (P,) raster index of the foreground, ascending, with an empty column after each row
            and an empty row after each image: there, pixels at index distance 1 are neighbours in a
            row, and nothing else needs to know where rows and images end.
        stride: pixels from one row to the next.
    """
    run = (padded.diff(prepend=padded[:1]) > 1).cumsum(0)
    # The third of three neighbours above is in one run with the other two.
    first = torch.searchsorted(padded, padded - (stride + 1))
    above = torch.stack([first, (first + 1).clamp(max=len(padded) - 1)])
    touches = padded.take(above) <= padded - (stride - 1)
    return torch.cat([run[None], torch.where(touches, run.take(above), run)])


def _label(touching: Tensor) -> tuple[Tensor, int]:
    """The component of every pixel, numbered by first run, and their count."""
    runs = torch.arange(touching.shape[1], device=touching.device)
    # There are as many runs at most as pixels; what is left over must not count as a root.
    parent = runs.minimum(touching[0, -1:])
    disagree = True
    while disagree:
        for _ in range(ROUNDS):
            parent = _hook(parent, touching)
            for _ in range(JUMPS):
                parent = parent.gather(0, parent)
        parents, is_root = parent.take(touching), parent == runs
        disagree, count = torch.stack([(parents != parents[0]).any(), is_root.sum()]).tolist()
    return (is_root.cumsum(0) - 1).gather(0, parents[0]), count


def _hook(parent: Tensor, touching: Tensor) -> Tensor:
    """Put the parents of runs that touch under the smallest of them, in place."""
    parents = parent.take(touching)
    smallest = parents[0].minimum(parents[1]).minimum(parents[2])
    return parent.scatter_reduce_(0, parents.reshape(-1), smallest.repeat(3), "amin")


def _measure(spots: Tensor, width: int, label: Tensor, count: int) -> tuple[Tensor, ...]:
    """Image, first pixel, box, area, sum of rows and sum of columns of every component."""
    image, y, x = spots
    terms = torch.stack([torch.ones_like(y), y, x])
    area, sum_y, sum_x = terms.new_zeros((len(terms), count)).index_add_(1, label, terms)
    terms = torch.stack([image, x.add(y, alpha=width), y, x, ~y, ~x])
    least = terms.new_full((len(terms), count), torch.iinfo(terms.dtype).max)
    least.scatter_reduce_(1, label.expand_as(terms), terms, "amin")
    box = least[2:].abs().T.contiguous()  # ~y is -(y + 1): the least is minus the end row
    return least[0], least[1], box, area, sum_y, sum_x
