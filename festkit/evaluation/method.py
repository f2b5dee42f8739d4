"""One method on a set of images: score every image, report faults, choose a threshold."""

import warnings
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .._support.cpus import available_cpus
from .._support.errors import InputError
from .._support.names import counted
from .._support.progress import progress
from ..data.dataset import Dataset
from ..surface import EIGHT_BIT
from .measure import ImageScores, score_image
from .predictions import FAULTS, UNUSABLE, Predictions, UnusableError, open_predictions


def score_images(
    found: Predictions,
    images: Dataset,
    *,
    th1: float,
    th2: float | None,
    thresholds: Sequence[float],
) -> dict[str, ImageScores]:
    """Scores of every image whose prediction can be used; the others become faults.

    Args:
        found: predictions of the method; its faults are extended.
        images: images and masks.
        th1: threshold of maps.
        th2: threshold of weak targets; None for none.
        thresholds: of the curves; none if empty.
    """
    absent, names = {*found.faults["missing"], *found.faults["twice"]}, images.names

    def score(index: int) -> ImageScores | None:
        name = names[index]
        if name in absent:
            return None
        try:
            mask = images.mask(index)
            return score_image(found, name, mask, th1=th1, th2=th2, thresholds=thresholds)
        except UnusableError as error:
            found.faults[error.kind].append(str(error))
            return None

    with ThreadPoolExecutor(len(available_cpus())) as pool:
        each = pool.map(score, range(len(names)))
        bar = progress(each, found.source.name, unit="image", total=len(images))
        scored = dict(zip(names, bar, strict=True))
    for kind in found.faults:
        found.faults[kind].sort()
    return {name: scores for name, scores in scored.items() if scores is not None}


def report_faults(
    found: Predictions, *, skip: bool, kinds: Collection[str] = FAULTS, warn: bool = True
) -> None:
    """Refuse faulty predictions, or say that their images are left out; warn of lesser faults.

    Args:
        found: predictions that have been scored.
        skip: leave images without a usable prediction out.
        kinds: the faults that are reported.
        warn: whether there are warnings.

    Raises:
        ValueError: if predictions cannot be used, unless ``skip``.
    """
    told = {
        kind: f"{found.source}: {FAULTS[kind]}: {len(where)}, such as {where[0]}"
        for kind, where in found.faults.items()
        if where and kind in kinds
    }
    fatal = [line for kind, line in told.items() if kind in UNUSABLE]
    if fatal and not skip:
        raise InputError("\n".join([*fatal, "--skip-faulty (skip_faulty) leaves these images out"]))
    for kind, line in told.items() if warn else ():
        warnings.warn(line + "; left out" * (kind in UNUSABLE), stacklevel=3)


def choose_threshold(
    source: str | Path,
    on: Dataset,
    images: Dataset,
    max_fa: float,
    *,
    th2: float | None,
    skip: bool,
) -> tuple[float, dict[str, Any]]:
    """The threshold chosen on some images, and what a record says of it.

    Args:
        source: predictions of the method.
        on: images that choose.
        images: images that are evaluated afterwards.
        max_fa: upper bound on Fa.
        th2: threshold of weak targets; None for none.
        skip: leave images without a usable prediction out.

    Raises:
        ValueError: if predictions cannot be used, or no threshold is good enough.
    """
    found = open_predictions(source, on.names)
    if found.boxes is not None:
        raise InputError(f"{source} holds boxes; thresholds are chosen on maps")
    scored = score_images(found, on, th1=0.5, th2=th2, thresholds=EIGHT_BIT)
    report_faults(found, skip=skip, kinds=UNUSABLE)
    parts = [each.surface for each in scored.values() if each.surface is not None]
    if not parts:
        raise InputError(f"{source} has no usable prediction for {on.name} {on.split}")
    surface = sum(parts[1:], parts[0])
    useful = (surface.fa < max_fa) & ((surface.detected > 0) | (surface.targets == 0))
    if not useful.any():
        raise InputError(
            f"no threshold of {source} detects a target of {on.name} {on.split} with Fa below "
            f"{max_fa:g}; allow more false alarms (--max-fa), or choose on more images (--on)"
        )
    th1 = surface.best(max_fa).th1 if surface.targets else float(surface.th1[useful[:, 0]][0])
    shared = len(set(on.pairs) & set(images.pairs))
    if shared:
        warnings.warn(
            f"{counted(shared, 'image')} choose the threshold of {source} and are evaluated, too, "
            "so the figures are too good",
            stacklevel=4,
        )
    return th1, {
        "chosen_on": {
            "dataset": on.name,
            "split": on.split,
            "fingerprint": on.fingerprint,
            "images": len(scored),
            "left_out": sorted(set(on.names) - set(scored)),
            "evaluated_too": shared,
            "max_fa": max_fa,
        }
    }
