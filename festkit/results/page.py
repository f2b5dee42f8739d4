"""Tables as HTML pages that need no other file."""

import html

import pandas as pd

from .readable import caption_of, groups_of, heads_of

CSS = (
    ".festkit{font:13px/1.4 system-ui,sans-serif;color:#111;background:#fff;overflow-x:auto}"
    ".festkit table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid}"
    ".festkit caption{text-align:left;padding-bottom:.6em;max-width:60em}"
    ".festkit :is(th,td){padding:.2em .5em;text-align:right;white-space:nowrap;border:0}"
    ".festkit th{font-weight:600}.festkit thead tr:last-child th{border-bottom:1px solid}"
    ".festkit tr .group{text-align:center;border-bottom:1px solid}"
    ".festkit tr .key{text-align:left}"
)
"""Of this table alone: the page may be shown inside another, such as a notebook."""


def as_html(frame: pd.DataFrame, keys: int) -> str:
    """A whole page with a readable table.

    Args:
        frame: as :func:`festkit.results.readable_table` returns it.
        keys: how many columns, from the left, say what a row is.

    Example:
        >>> page = as_html(pd.DataFrame({"th1": ["0.5"], "IoU [%]": ["–"]}), 1)
        >>> '<td class="key">0.5</td><td>–</td>' in page
        True
    """
    upper = [_group(group, width) for group, width in groups_of(frame)]
    lower = _cells("th", [name for _, name in heads_of(frame)], keys)
    head = [f"<tr>{''.join(upper)}</tr>"] if frame.columns.nlevels > 1 else []
    body = [f"<tr>{_cells('td', row, keys)}</tr>" for row in frame.to_numpy().tolist()]
    title = html.escape(str(frame.attrs.get("label", "Results")))
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f'<style>{CSS}</style></head><body><div class="festkit">',
            f"<table><caption>{html.escape(caption_of(frame))}</caption>",
            *["<thead>", *head, f"<tr>{lower}</tr>", "</thead>", "<tbody>", *body, "</tbody>"],
            "</table></div></body></html>\n",
        ]
    )


def _group(head: str, width: int) -> str:
    kind = ' class="group"' if head else ""
    return f'<th{kind} colspan="{width}">{html.escape(head)}</th>'


def _cells(tag: str, cells: list[str], keys: int) -> str:
    kinds = [' class="key"' if k < keys else "" for k in range(len(cells))]
    return "".join(
        f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
    )
