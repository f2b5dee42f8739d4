"""One progress bar for terminals, notebooks and headless runs: plain text, no widget."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

DELAY = 0.5
"""Seconds before a bar is shown."""


def progress(
    items: Iterable[Any] | None,
    label: str,
    *,
    unit: str,
    done: int = 0,
    total: int | None = None,
    quiet: bool = False,
) -> Any:
    """Iterate with a text progress bar.

    A terminal is refreshed twice a second; a log file or a headless notebook every five seconds.
    Loops shorter than half a second show no bar. The bar goes to standard error, in notebooks to
    standard output.

    Args:
        items: the iterable; None for a bar that the caller advances with ``update``.
        label: label of the bar.
        unit: what one item is, such as "image"; "B" for bytes, which are shown as kB or MB.
        done: items already done before this call.
        total: number of all items, if ``items`` has no length.
        quiet: show nothing.

    Returns:
        The iterator, a tqdm bar; its ``set_postfix_str`` adds values to the line.

    Example:
        >>> list(progress([1, 2], "reading", unit="image"))
        [1, 2]
    """
    stream = sys.stdout if in_notebook() else sys.stderr
    interval = 0.5 if stream.isatty() else 5.0
    times = {"delay": DELAY, "mininterval": interval, "maxinterval": interval}
    options = {"initial": done, "total": total, "disable": quiet, "dynamic_ncols": True}
    options["unit_scale"] = unit == "B"
    return tqdm(items, file=stream, desc=label, unit=unit, **times, **options)


def in_notebook() -> bool:
    """Whether standard output is a notebook's cell.

    Example:
        >>> in_notebook()
        False
    """
    return type(sys.stdout).__module__.startswith("ipykernel")


def say(line: str) -> None:
    """Print a line above the bars that are shown.

    Example:
        >>> say("done")
        done
    """
    tqdm.write(line)
