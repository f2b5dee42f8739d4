"""How often 95 % intervals hold the true value: simulated on real counts, image by image.

``python -m studies.intervals --write`` writes docs/intervals.md. ``--count`` measures the counts
in studies/intervals.csv again, with shipped weights on the test images of two datasets.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from numpy.typing import NDArray

from festkit._support.files import atomic_write, write_text, write_utf8
from festkit.data.dataset import load_dataset
from festkit.inference.models import load_fest
from festkit.metrics import Counts, confidence_intervals
from festkit.zoo.measure import count_images

FOLDER = Path(__file__).parent
COUNTS = FOLDER / "intervals.csv"
PAGE = FOLDER.parent / "docs" / "intervals.md"

ENTRIES = {
    "NUAA-SIRST": ("acm-256-bce", "acm-256-eedm", "acm-512-bce"),
    "IRSTD-1K": ("acm-256-eedm", "acm-512-eedm"),
}
"""By dataset the shipped entries whose counts are stored, each without and with AS."""

METRICS = {"iou": "IoU", "niou": "nIoU", "pd": "Pd", "fa": "Fa", "score": "Score"}
SAMPLE_SIZES = (200, 50)
DRAWS = 1000

Images = Sequence[Counts]
Held = dict[str, tuple[float, float, float]]
"""By metric the shares of intervals that held the truth, that were of no width, before and now."""

Table = Mapping[int, Mapping[str, Held]]
"""The same by number of images and population."""

TEXT = """\
# Intervals: how often they hold the true value

A 95 % interval should hold the true value in 95 of 100 samples of images. Here the counts of the \
{images} are the whole population, so that the true value is known. From it {repeats} samples of \
200 and of 50 images are drawn with replacement, and the interval of each is computed: by the \
percentile bootstrap ({draws} draws), which festkit used before, and by \
`festkit.metrics.confidence_intervals` as it is now ([definitions](definitions.md#13-intervals-\
and-differences)). Written by `python -m studies.intervals --write`.

Share of intervals that hold the true value [%]: the mean over {singles} populations (an entry on \
a dataset, without or with adjustable sensitivity) and, for the paired differences, over {pairs} \
comparisons; in brackets the lowest and the highest. "No width": share of intervals whose ends are \
equal [%]. One population alone is known to ±{error:.1f} points (standard error).
"""

READING = """
**What it shows.** At 200 images the bootstrap held the true value in {bootstrap} % of samples, \
on average over the populations: too rarely, least often for {worst} and for differences in \
{worst_difference}. Of the intervals of a difference in Pd up to {no_width:.0f} % had no width. \
Now every interval has one, and at 200 images every figure and every difference is held in {now} \
% of samples, on average over the populations. Single populations lie outside. IoU is held in \
{union} % with acm-512-eedm on IRSTD-1K, where a few large targets hold much of the union. \
Differences in Fa to acm-256-bce on NUAA-SIRST are held in {one_image} %, since one image makes \
a third of them; those that AS makes, of few false alarms, in {few} %, since their intervals \
reach one false alarm more. The difference in Pd and Score that AS makes to acm-512-bce on \
NUAA-SIRST comes from one image in 200 and is held in {single} %: an interval that reaches one \
image more cannot be narrower. At 50 images figures are held in {figures_50} % and differences \
in {differences_50} %, but a difference in Fa in {alarms_50} %: its interval is too wide to tell \
methods apart there.
"""


def main(
    write: bool = False, count: bool = False, repeats: int = 1000, data_root: str | None = None
) -> None:
    """Measure the coverage of the intervals.

    Args:
        write: write docs/intervals.md, too.
        count: measure the stored counts again first.
        repeats: samples of every population and size.
        data_root: folder of the datasets, for ``count``; default FESTKIT_DATA, else data.
    """
    if count:
        store_counts(data_root)
    text = page(repeats)
    if write:
        write_text(PAGE, text)
    print(text, end="")


def store_counts(data_root: str | None) -> None:
    """Count what the entries detect on every test image, and write it as CSV."""
    rows = []
    for name, entries in ENTRIES.items():
        testset = load_dataset(name, "test", root=data_root)
        for entry in entries:
            fest = load_fest(f"{name.lower()}/{entry}", device="cpu")
            for how, counts in zip(("", " AS"), count_images(fest, testset), strict=True):
                rows += [{"dataset": name, "method": entry + how, **vars(c)} for c in counts]
    with atomic_write(COUNTS) as part:
        pd.DataFrame(rows).to_csv(part, index=False)


def stored_counts() -> dict[tuple[str, str], list[Counts]]:
    """Counts of every image by dataset and method."""
    table = pd.read_csv(COUNTS)
    return {
        key: [Counts(**row) for row in rows.drop(columns=["dataset", "method"]).to_dict("records")]
        for key, rows in table.groupby(["dataset", "method"], sort=False)
    }


def page(repeats: int) -> str:
    """The whole page, in Markdown."""
    populations = stored_counts()
    singles = {f"{method}, {data}": (p, None) for (data, method), p in populations.items()}
    pairs = dict(_pairs(populations))
    lines = [_introduction(populations, repeats, len(singles), len(pairs)).rstrip()]
    details, tables = [], []
    for title, compared in (("Figures", singles), ("Paired differences", pairs)):
        found = {
            size: {name: measure(*both, size, repeats) for name, both in compared.items()}
            for size in SAMPLE_SIZES
        }
        tables.append(found)
        lines += ["", f"## {title}", "", *_summary(found)]
        details += ["", f"### {title} at 200 images, one by one", "", *_detail(found[200])]
    return "\n".join([*lines, reading(*tables).rstrip(), *details, ""])


def reading(figures: Table, differences: Table) -> str:
    """What the two tables show, in sentences whose numbers are theirs."""
    before = [_means(table[200], 0) for table in (figures, differences)]
    now_50 = [_means(table[50], 1) for table in (figures, differences)]
    worst, worst_difference = (METRICS[min(means, key=means.__getitem__)] for means in before)
    pairs = differences[200]
    to_first = [held["fa"][1] for pair, held in pairs.items() if _is_to("acm-256-bce", pair)]
    by_as = [held["fa"][1] for pair, held in pairs.items() if _is_by_as(pair)]
    single = pairs["acm-512-bce AS − acm-512-bce, NUAA-SIRST"]
    large = [figures[200][f"acm-512-eedm{how}, IRSTD-1K"]["iou"][1] for how in ("", " AS")]
    return READING.format(
        bootstrap=_span(v for means in before for v in means.values()),
        worst=worst,
        worst_difference=worst_difference,
        no_width=max(held["pd"][2] for held in pairs.values()),
        now=_span(v for t in (figures, differences) for v in _means(t[200], 1).values()),
        union=_span(large),
        one_image=_span(to_first),
        few=_span(by_as),
        single=_span(single[name][1] for name in ("pd", "score")),
        figures_50=_span(now_50[0].values()),
        differences_50=_span(v for name, v in now_50[1].items() if name != "fa"),
        alarms_50=_span([now_50[1]["fa"]]),
    )


def _means(populations: Mapping[str, Held], column: int) -> dict[str, float]:
    """By figure one of the three shares, its mean over the populations."""
    shares = {name: [held[name][column] for held in populations.values()] for name in METRICS}
    return {name: float(np.mean(values)) for name, values in shares.items()}


def _is_by_as(pair: str) -> bool:
    one, _, other = pair.partition(" − ")
    return one == f"{other.partition(',')[0]} AS"


def _is_to(entry: str, pair: str) -> bool:
    """Whether another entry is compared to this one, both without AS or both with it."""
    other = pair.partition(" − ")[2].partition(",")[0]
    return other.removesuffix(" AS") == entry and not _is_by_as(pair)


def _span(values: Iterable[float]) -> str:
    """From the least to the largest in whole numbers, or the one number that both are."""
    every = list(values)
    ends = dict.fromkeys(f"{end:.0f}" for end in (min(every), max(every)))
    return " to ".join(ends)


def _introduction(
    populations: Mapping[tuple[str, str], Images], repeats: int, singles: int, pairs: int
) -> str:
    sizes = {data: len(images) for (data, _), images in populations.items()}
    return TEXT.format(
        images=" and of the ".join(f"{n} test images of {data}" for data, n in sizes.items()),
        repeats=repeats,
        draws=DRAWS,
        singles=singles,
        pairs=pairs,
        error=100 * (0.95 * 0.05 / repeats) ** 0.5,
    )


def _pairs(
    populations: Mapping[tuple[str, str], list[Counts]],
) -> Iterator[tuple[str, tuple[list[Counts], list[Counts]]]]:
    """AS against no AS, and two entries against each other, both without AS or both with it."""
    for (data, one), (other_data, other) in combinations(populations, 2):
        alike = one.endswith(" AS") == other.endswith(" AS")
        if data == other_data and (alike or other == f"{one} AS"):
            both = populations[data, other], populations[data, one]
            yield f"{other} − {one}, {data}", both


def measure(ours: list[Counts], theirs: list[Counts] | None, size: int, repeats: int) -> Held:
    """Shares held before and now, and of no width before, of many samples of a population."""
    rng = np.random.default_rng(size)
    weights = rng.multinomial(size, np.full(size, 1 / size), size=DRAWS).astype(float)
    methods = [images for images in (ours, theirs) if images is not None]
    tables = [np.array([[*vars(c).values()] for c in images], float) for images in methods]
    truth = _values([table.sum(axis=0, keepdims=True) for table in tables])[:, 0]
    held = np.zeros((3, len(METRICS)))
    for _ in range(repeats):
        drawn = rng.integers(len(ours), size=size)
        values = _values([weights @ table[drawn] for table in tables])
        before = np.quantile(values, [0.025, 0.975], axis=1)
        sample, *base = ([images[k] for k in drawn] for images in methods)
        intervals = confidence_intervals(sample, baseline=base[0] if base else None)
        now = np.array([intervals[name] for name in METRICS]).T
        held += [_inside(before, truth), _inside(now, truth), before[0] == before[1]]
    return dict(zip(METRICS, (tuple(100 * row / repeats) for row in held.T), strict=True))


def _values(tables: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(figures, draws) ratios of summed counts (draws, fields), less those of a second method."""
    found = []
    for table in tables:
        ratios = {name: part / whole for name, (part, whole) in Counts(*table.T).parts().items()}
        ratios["score"] = 0.5 * ratios["iou"] + 0.5 * ratios["pd"]
        found.append(np.array([ratios[name] for name in METRICS]))
    return found[0] - found[1] if len(found) > 1 else found[0]


def _inside(ends: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (ends[0] <= truth + 1e-12) & (truth - 1e-12 <= ends[1])


def _summary(found: Mapping[int, Mapping[str, Held]]) -> list[str]:
    lines = [
        "| | images | held, bootstrap | held, now | no width, bootstrap |",
        "|:--|--:|--:|--:|--:|",
    ]
    for size, populations in found.items():
        for name, head in METRICS.items():
            shares = np.array([held[name] for held in populations.values()])
            before, now, width = (_range(column) for column in shares.T)
            lines.append(f"| {head} | {size} | {before} | {now} | {width} |")
    return lines


def _range(values: NDArray[np.float64]) -> str:
    return f"{values.mean():.1f} ({values.min():.1f} to {values.max():.1f})"


def _detail(populations: Mapping[str, Held]) -> list[str]:
    heads = METRICS.values()
    lines = ["| | " + " | ".join(heads) + " |", "|:--|" + "--:|" * len(METRICS)]
    for name, held in populations.items():
        cells = (f"{held[figure][1]:.1f}" for figure in METRICS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
