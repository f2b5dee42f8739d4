"""How much do interpolation and the mask rule alone move IoU? ``python -m studies.protocol``.

One network, one test list, the same threshold; only how images, maps and masks are resized changes.
Writes docs/protocols.md.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

import festkit as fk
from festkit._support.files import write_text, write_utf8
from festkit._support.progress import progress
from festkit.metrics import Counts, Protocol, confidence_intervals, count
from festkit.ops.components import binarize

Array = NDArray[Any]

RESIZE = {
    "linear": cv2.INTER_LINEAR,
    "nearest": cv2.INTER_NEAREST_EXACT,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}

BASE = Protocol(image="linear", padding="none", map="linear", mask="> 127")

PROTOCOLS = {
    "all linear": BASE,
    "image nearest": replace(BASE, image="nearest"),
    "image cubic": replace(BASE, image="cubic"),
    "image area": replace(BASE, image="area"),
    "image padded to a square": replace(BASE, padding="zeros to a square"),
    "map nearest": replace(BASE, map="nearest"),
    "map cubic": replace(BASE, map="cubic"),
    "map binarised, then nearest": replace(BASE, map="nearest after > 0.5"),
    "network size, mask nearest": replace(BASE, size="input", map="none", mask="> 127, nearest"),
    "network size, mask linear, > 127": replace(
        BASE, size="input", map="none", mask="linear, > 127"
    ),
    "network size, mask linear, > 0": replace(BASE, size="input", map="none", mask="linear, > 0"),
    "threshold relative": replace(BASE, threshold="> 0.5 of each map's maximum"),
}
"""The first is the one that the others are compared with."""

POINTS = {"iou": ("IoU", 100.0), "niou": ("nIoU", 100.0), "pd": ("Pd", 100.0), "fa": ("Fa", 1e6)}


def main(
    model: tuple[str, ...] = ("nuaa-sirst/acm-256-eedm", "nuaa-sirst/acm-512-eedm"),
    dataset: str = "NUAA-SIRST",
    data_root: str | None = None,
    page: Path = Path("docs/protocols.md"),
) -> None:
    """Evaluate under every protocol and write the page.

    Args:
        model: entries of one size each.
        dataset: of which the test list is taken.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        page: the Markdown file.
    """
    samples = list(fk.load_dataset(dataset, "test", root=data_root))
    parts = [HEAD.format(images=len(samples), dataset=dataset), *_named()]
    for entry in model:
        fest = fk.open_model(entry, device="cpu")
        counts: dict[str, list[Counts]] = {name: [] for name in PROTOCOLS}
        maps: dict[Any, Any] = {}
        for sample in progress(samples, entry, unit="image"):
            maps.clear()
            for name, protocol in PROTOCOLS.items():
                key = protocol.image, protocol.padding
                if key not in maps:
                    maps[key] = _map(fest, sample.image, protocol)
                counts[name].append(_count(maps[key], sample.mask, protocol))
        parts += [f"\n## {entry}\n", *_table(counts)]
    write_text(page, "\n".join([*parts, ""]))
    print(f"wrote {page}")


def _map(fest: fk.FEST, image: Array, protocol: Protocol) -> Array:
    """The map at the size of the network's input."""
    (size,) = fest.backbones
    if protocol.padding != "none":
        image = _padded(image)
    return fest.scale_maps(_resized(image, (size, size), protocol.image))[0]


def _count(prob: Array, mask: Array, protocol: Protocol) -> Counts:
    """Counts of one image under a protocol."""
    if protocol.size == "input":
        return count(binarize(prob, 0.5), _mask_at(mask, prob.shape, protocol.mask))
    if protocol.map == "nearest after > 0.5":
        binary = binarize(prob, 0.5).astype(np.float32)
        return count(_resized(binary, mask.shape, "nearest") > 0, mask)
    shape = mask.shape if protocol.padding == "none" else (max(mask.shape),) * 2
    whole = _resized(prob, shape, protocol.map)[: mask.shape[0], : mask.shape[1]]
    limit = 0.5 if protocol.threshold == BASE.threshold else 0.5 * float(whole.max())
    return count(binarize(whole, limit), mask)


def _mask_at(mask: Array, shape: tuple[int, ...], rule: str) -> Array:
    """The true mask at another size."""
    way = "nearest" if "nearest" in rule else "linear"
    levels = _resized(mask.astype(np.uint8) * np.uint8(255), shape, way)
    return np.asarray(levels > (0 if rule.endswith("> 0") else 127))


def _resized(array: Array, shape: tuple[int, ...], way: str) -> Array:
    """An image, map or mask at another size, by OpenCV."""
    return np.asarray(cv2.resize(array, shape[::-1], interpolation=RESIZE[way]))


def _padded(image: NDArray[Any]) -> NDArray[Any]:
    """An image or mask with zeros below or to the right, square."""
    side = max(image.shape)
    padded = np.zeros((side, side), image.dtype)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded


def _named() -> list[str]:
    """What every short name stands for."""
    rows = [f"| {name} | {protocol.name} |" for name, protocol in PROTOCOLS.items()]
    return ["", "| short name | protocol |", "|:--|:--|", *rows]


def _table(counts: dict[str, list[Counts]]) -> list[str]:
    """A row for every protocol: its figures, and the paired difference in IoU to the first."""
    heads = [f"{title}{' [10⁻⁶]' if name == 'fa' else ''}" for name, (title, _) in POINTS.items()]
    lines = [
        f"| protocol | {' | '.join(heads)} | IoU, difference |",
        "|:--|" + "--:|" * (len(POINTS) + 1),
    ]
    base, gains = next(iter(counts.values())), []
    for name, each in counts.items():
        total = sum(each, Counts())
        cells = [f"{by * getattr(total, ratio):.2f}" for ratio, (_, by) in POINTS.items()]
        gain = 100 * (total.iou - sum(base, Counts()).iou)
        gains.append(gain)
        same = [(c.pixels, c.targets) for c in each] == [(c.pixels, c.targets) for c in base]
        ends = confidence_intervals(each, baseline=base)["iou"] if same else ()
        told = f"{gain:+.2f}" + (f" [{100 * ends[0]:+.2f}, {100 * ends[1]:+.2f}]" if ends else "")
        lines.append(f"| {' | '.join([name, *cells, '' if each is base else told])} |")
    return [*lines, "", f"IoU moves by {min(gains):+.2f} to {max(gains):+.2f} points."]


HEAD = """# What interpolation and the mask rule alone do to IoU

Written by `python -m studies.protocol`: one network each, the {images} test images of {dataset},
one threshold; only how images, maps and masks are resized changes, here by OpenCV. The first
protocol is that of festkit, under which the networks were trained. festkit has its own code for
it, whose figures on the same images are in the [cross-check](crosscheck.md); even that moves IoU a
little. Other image rules are used at inference alone. In brackets 95 % intervals of the paired
difference over images; where the pixels differ, as at the size of the network's input, there is
none. Compare numbers of papers only if their protocol is the same.
"""


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
