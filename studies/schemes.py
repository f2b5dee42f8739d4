"""Do AS, EEDM and fusion help? A family of the zoo against itself, paired by test image.

``python -m studies.schemes`` prints a Markdown table of differences in points, with
95 % intervals over the test images of the family's dataset.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import tyro

from festkit._support.files import write_utf8
from festkit._support.names import find_name
from festkit.data.dataset import load_dataset
from festkit.inference.models import load_fest
from festkit.metrics import Counts, confidence_intervals
from festkit.pretrained import ENTRIES, FAMILIES, trained
from festkit.zoo.measure import count_images

METRICS = {"iou": ("IoU", 100.0), "pd": ("Pd", 100.0), "fa": ("Fa [10⁻⁶]", 1e6)}
METRICS |= {"score": ("Score", 100.0)}


def main(family: str = "nuaa-sirst/acm", data_root: str | None = None) -> None:
    """Compare what has been trained of a family, without and with AS, and as a FEST.

    Args:
        family: of the zoo, on a dataset that is at hand.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
    """
    try:
        print(compare(family, data_root), end="")
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def compare(family: str, data_root: str | None = None) -> str:
    """The table of a family, in Markdown.

    Raises:
        FileNotFoundError: if nothing of it has been trained, or the dataset is not there.
        ValueError: for an unknown family.
    """
    known = FAMILIES[find_name("family", family, FAMILIES)]
    of = {"backbone": known.backbone, "dataset": ENTRIES[known.scales[0]].config.dataset}
    names = [n for n in trained() if all(getattr(ENTRIES[n].config, k) == v for k, v in of.items())]
    if not names:
        raise FileNotFoundError(f"nothing of {known.name} has been trained: festkit zoo list")
    testset = load_dataset(of["dataset"], "test", root=data_root)
    pairs = [pair for pair in combinations(names, 2) if _differ_in_one(*pair)]
    counted = {name: count_images(load_fest(name), testset) for name in names}
    if len(known.scales) > 1 and set(known.scales) <= set(names):
        counted["FEST"] = count_images(load_fest(known.name), testset)
        pairs.append((known.light, "FEST"))
    heads = [head for head, _ in METRICS.values()]
    lines = [f"{known.backbone} on {testset.name}: {len(testset)} test images.", ""]
    lines += ["| | " + " | ".join(heads) + " |", "|:--|" + "--:|" * len(heads)]
    for name, (without, with_as) in counted.items():
        lines.append(difference_row(f"{_short(name)}: AS − no AS", with_as, without))
    for how, k in (("no AS", 0), ("AS", 1)):
        for one, other in pairs:
            label = f"{_short(other)} − {_short(one)}, {how}"
            lines.append(difference_row(label, counted[other][k], counted[one][k]))
    for name, scheme in ((known.light, "LW-FEST"), ("FEST", "FEST")):
        if known.original in counted and name in counted:
            original = counted[known.original][0]
            lines.append(
                difference_row(f"{scheme} − Original, as in the paper", counted[name][1], original)
            )
    return "\n".join([*lines, ""])


def _differ_in_one(*names: str) -> bool:
    """Whether two entries differ in size, loss, crop or length, and in one of them only."""
    pairs = zip(*map(_properties, names), strict=True)
    return sum(one != other for one, other in pairs) == 1


def _properties(name: str) -> tuple[object, ...]:
    config = ENTRIES[name].config
    return config.size, config.loss, config.crop, name.endswith("-long")


def _short(name: str) -> str:
    return name.partition("/")[2] or name


def difference_row(label: str, ours: Sequence[Counts], theirs: Sequence[Counts]) -> str:
    """A Markdown row: what one method gains over another, with paired intervals."""
    intervals = confidence_intervals(ours, baseline=theirs)
    totals = sum(ours, Counts()), sum(theirs, Counts())
    cells = []
    for name, (_, by) in METRICS.items():
        values, ends = [getattr(total, name) for total in totals], intervals[name]
        void = name == "score" and not all(total.valid for total in totals)
        if void or math.isnan(ends[0]):
            cells.append("–")
        else:
            gain = by * (values[0] - values[1])
            cells.append(f"{gain:+.2f} [{by * ends[0]:+.2f}, {by * ends[1]:+.2f}]")
    return f"| {label} | " + " | ".join(cells).replace("-", "−") + " |"


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
