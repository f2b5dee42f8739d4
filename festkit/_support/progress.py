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

    A terminal is refreshed twice a second. Elsewhere (a log file, a notebook run headless) the bar
    is written only now and then, so that outputs stay short. What ends within half a second shows
    no bar. It goes to standard error, so that a command's output stays its own; in a notebook,
    which paints that red, to standard output.

    Args:
        items: what to iterate; None for a bar that is moved by its ``update``.
        label: what is being done.
        unit: what one item is, such as "image".
        done: items already done before this call.
        total: number of all items, if ``items`` cannot tell.
        quiet: show nothing.

    Returns:
        The iterator, a tqdm bar; its ``set_postfix_str`` adds figures to the line.

    Example:
        >>> list(progress([1, 2], "reading", unit="image"))
        [1, 2]
    """
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    stream = sys.stdout if in_notebook else sys.stderr
    interval = 0.5 if stream.isatty() else 5.0
    return tqdm(
        items,
        file=stream,
        desc=label,
        unit=unit,
        initial=done,
        total=total,
        mininterval=interval,
        maxinterval=interval,
        delay=DELAY,
        disable=quiet,
        dynamic_ncols=True,
    )
