"""Do AS, EEDM and fusion help? A family of the zoo against itself, paired by test image.

``python -m benchmarks.schemes_compared`` prints a Markdown table of differences in points, with
95 % intervals by the bootstrap over the test images of the family's dataset.
"""

from collections.abc import Sequence
from copy import copy
from itertools import combinations

import tyro

from festkit._entries import ENTRIES, FAMILIES
from festkit._names import find_name
from festkit._progress import progress
from festkit._shelf import trained
from festkit.data import Dataset, load_dataset
from festkit.inference import open_fest
from festkit.metrics import Counts, confidence_intervals, count

METRICS = {"iou": ("IoU", 100.0), "pd": ("Pd", 100.0), "fa": ("Fa [10⁻⁶]", 1e6)}
METRICS |= {"score": ("Score", 100.0)}

Counted = tuple[list[Counts], list[Counts]]
"""Of every test image, without and with AS."""


def main(family: str = "nuaa-sirst/acm", data_root: str | None = None) -> None:
    """Compare what has been trained of a family, without and with AS, and as a FEST.

    Args:
        family: of the zoo, on a dataset that is at hand.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
    """
    known = FAMILIES[find_name("family", family, FAMILIES)]
    dataset = ENTRIES[known.scales[0]].config.dataset
    of = {"backbone": known.backbone, "dataset": dataset}
    names = [n for n in trained() if all(getattr(ENTRIES[n].config, k) == v for k, v in of.items())]
    if not names:
        raise SystemExit(f"nothing of {known.name} has been trained: festkit zoo list")
    testset = load_dataset(dataset, "test", root=data_root)
    counted = {name: _count(name, testset) for name in names}
    pairs = [pair for pair in combinations(names, 2) if _differ_in_one(*pair)]
    if len(known.scales) > 1 and set(known.scales) <= set(names):
        counted["FEST"] = _count(known.name, testset)
        pairs.append((known.light, "FEST"))
    heads = [head for head, _ in METRICS.values()]
    print(f"{known.backbone} on {testset.name}: {len(testset)} test images.\n")
    print("| | " + " | ".join(heads) + " |\n|:--|" + "--:|" * len(heads))
    for name, (without, with_as) in counted.items():
        print(_row(f"{_short(name)}: AS − no AS", with_as, without))
    for how, k in (("no AS", 0), ("AS", 1)):
        for one, other in pairs:
            label = f"{_short(other)} − {_short(one)}, {how}"
            print(_row(label, counted[other][k], counted[one][k]))


def _differ_in_one(*names: str) -> bool:
    """Whether two entries differ in size or loss, not in both."""
    one, other = (ENTRIES[name].config for name in names)
    return (one.size != other.size) != (one.loss != other.loss)


def _short(name: str) -> str:
    return name.partition("/")[2] or name


def _count(name: str, testset: Dataset) -> Counted:
    fest = open_fest(name)
    plain = copy(fest)
    plain.th2 = None
    counted: Counted = ([], [])
    for sample in progress(testset, name, unit="image"):
        maps = fest.scale_maps(sample.image)
        for each, own in zip((plain, fest), counted, strict=True):
            own.append(count(each.detect(maps).mask, sample.mask))
    return counted


def _row(label: str, ours: Sequence[Counts], theirs: Sequence[Counts]) -> str:
    intervals = confidence_intervals(ours, baseline=theirs)
    totals = sum(ours, Counts()), sum(theirs, Counts())
    cells = []
    for name, (_, by) in METRICS.items():
        values, ends = [getattr(total, name) for total in totals], intervals[name]
        void = name == "score" and not all(total.valid for total in totals)
        if void or None in values or ends is None:
            cells.append("–")
        else:
            gain = by * (values[0] - values[1])
            cells.append(f"{gain:+.2f} [{by * ends[0]:+.2f}, {by * ends[1]:+.2f}]")
    return f"| {label} | " + " | ".join(cells).replace("-", "−") + " |"


if __name__ == "__main__":
    tyro.cli(main)
