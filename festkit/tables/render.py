"""Tables ready to print or to paste: text, Markdown, LaTeX, HTML, and files of them."""

import html
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from .._support.errors import InputError
from .._support.files import write_text
from .._support.names import find_name
from .paper import METRICS, key_columns

HEADS = {
    "iou": "IoU [%]",
    "niou": "nIoU [%]",
    "pd": "Pd [%]",
    "fa_e6": "Fa [10⁻⁶]",
    "score": "Score [%]",
}
"""What a figure is called in the heads of tables and on the axes of pictures."""

NONE, NOT_RUN = "–", "not run"


def with_interval(row: Mapping[str, Any], name: str, scale: float) -> str:
    """A ratio of a record and its interval, times ``scale``; "–" for none or a void Score.

    Example:
        >>> with_interval({"pd": 0.5, "intervals": {"pd": (0.25, 1.0)}}, "pd", 100)
        '50.00 [25.00, 100.00]'
    """
    if pd.isna(row[name]) or (name == "score" and not row["valid"]):
        return NONE
    ends = (row.get("intervals") or {}).get(name)
    known = f" [{scale * ends[0]:.2f}, {scale * ends[1]:.2f}]" if ends else ""
    return f"{scale * row[name]:.2f}{known}"


def with_spread(mean: float, sd: float, sign: str = "") -> str:
    """A mean and its standard deviation over seeds; "–" for none, alone where there is one seed.

    Example:
        >>> with_spread(64.25, 1.5), with_spread(64.25, float("nan"))
        ('64.25 ± 1.50', '64.25')
    """
    return NONE if pd.isna(mean) else f"{mean:{sign}.2f}" + ("" if pd.isna(sd) else f" ± {sd:.2f}")


def readable_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table as the strings that are printed: two decimals, "–" for nothing, "not run".

    Args:
        table: of :func:`paper_table` or :func:`compare_with_paper`; columns that say what a row is
            may have been added in front.

    Returns:
        Strings; where ours stand beside the paper's, columns in two levels, of ours alone where the
        paper has no figure at all. Of several seeds ours is mean ± standard deviation.

    Example:
        >>> from festkit.results import paper_table
        >>> readable_table(paper_table("th1")).loc["th1 0.05"].tolist()
        ['0.05', '35.15', '87.72', '138.46', '–']
    """
    compared = "seeds" in table.columns
    paper = compared and table[[f"{name}_paper" for name in METRICS]].notna().any(axis=None)
    columns: dict[Any, list[str]] = {}
    for key in key_columns(table):
        columns["", key] = [_key(value) for value in table[key]]
    for name in METRICS:
        head = HEADS[name]
        if compared:
            columns[head, "ours"] = [_ours(row, name) for _, row in table.iterrows()]
        if paper:
            columns[head, "paper"] = [_number(value) for value in table[f"{name}_paper"]]
            columns[head, "diff."] = [_signed(value) for value in table[f"{name}_difference"]]
        if not compared:
            columns["", head] = [_number(value) for value in table[name]]
    if compared:
        columns["", "seeds"] = [str(seeds or NONE) for seeds in table["seeds"]]
    frame = pd.DataFrame(columns, index=table.index)
    frame.columns = frame.columns if compared else frame.columns.get_level_values(1)
    frame.attrs = dict(table.attrs)
    return frame


def caption_of(frame: pd.DataFrame) -> str:
    """Number and caption in one sentence; empty for a table without.

    Example:
        >>> from festkit.results import paper_table
        >>> caption_of(paper_table("input_size"))
        'Table 1. Input size: MSDA-Net, EEDM loss, W-IRSTD'
    """
    label = f"{frame.attrs['label']}." if "label" in frame.attrs else ""
    return " ".join(filter(None, [label, frame.attrs.get("caption", "")]))


def heads_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Upper and lower head of every column; the upper one is empty where there is one level.

    Example:
        >>> heads_of(pd.DataFrame(columns=["th1"]))
        [('', 'th1')]
    """
    two = frame.columns.nlevels > 1
    return [tuple(column) if two else ("", column) for column in frame.columns]


def groups_of(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Upper heads and how many columns each spans.

    Example:
        >>> columns = pd.MultiIndex.from_product([["IoU"], ["ours", "paper"]])
        >>> groups_of(pd.DataFrame(columns=columns))
        [('IoU', 2)]
    """
    return [(group, len(list(run))) for group, run in groupby(head for head, _ in heads_of(frame))]


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    return NONE if pd.isna(value) else f"{value:g}"


def _number(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:.2f}"


def _signed(value: float) -> str:
    """With its sign, which a zero has only as "+0.00"."""
    return NONE if pd.isna(value) else f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def _ours(row: pd.Series, name: str) -> str:
    if not row["seeds"]:
        return NOT_RUN
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
    return with_spread(row[name], row[f"{name}_sd"]) + interval


SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "⁻⁶": "$^{-6}$", "≥": r"$\geq$", "<": "$<$",
    ">": "$>$", ">=": r"$\geq$",
}  # fmt: skip

ANY_SIGN = re.compile("|".join(map(re.escape, sorted(SIGNS, key=len, reverse=True))))
"""The longest first, so that ">=" is one sign."""


def as_latex(frame: pd.DataFrame, keys: int) -> str:
    r"""A table environment of a readable table.

    Args:
        frame: as :func:`festkit.tables.render.readable_table` returns it.
        keys: how many columns, from the left, say what a row is.

    Example:
        >>> print(as_latex(pd.DataFrame({"th1": ["0.5"], "IoU [%]": ["–"]}), 1))
        \begin{table}
        \centering
        \caption{}
        \label{tab:results}
        \begin{tabular}{lr}
        \toprule
        th1 & IoU [\%] \\
        \midrule
        0.5 & -- \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
    """
    wide = frame.columns.nlevels > 1
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(frame.attrs.get('caption', ''))}}}",
        rf"\label{{tab:{frame.attrs.get('name', 'results')}}}",
        *([r"\resizebox{\linewidth}{!}{%"] if wide else []),
        rf"\begin{{tabular}}{{{'l' * keys + 'r' * (frame.shape[1] - keys)}}}",
        r"\toprule",
        *(_group_rows(frame) if wide else []),
        _row([name for _, name in heads_of(frame)]),
        r"\midrule",
        *(_row(row) for row in frame.to_numpy().tolist()),
        r"\bottomrule",
        r"\end{tabular}" + ("}" if wide else ""),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _group_rows(frame: pd.DataFrame) -> list[str]:
    """The upper row of heads, and a rule below each."""
    cells, rules, column = [], "", 1
    for group, width in groups_of(frame):
        if group:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{_escaped(group)}}}")
            rules += rf"\cmidrule(lr){{{column}-{column + width - 1}}}"
        else:
            cells += [""] * width
        column += width
    return [" & ".join(cells) + r" \\", rules]


def _row(cells: list[str]) -> str:
    return " & ".join(map(_escaped, cells)) + r" \\"


def _escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return ANY_SIGN.sub(lambda sign: SIGNS[sign[0]], text)


CSS = (
    ".festkit{font:13px/1.4 system-ui,sans-serif;color:#111;background:#fff;overflow-x:auto}"
    ".festkit table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid}"
    ".festkit caption{text-align:left;padding-bottom:.6em;max-width:60em}"
    ".festkit :is(th,td){padding:.2em .5em;text-align:right;white-space:nowrap;border:0}"
    ".festkit th{font-weight:600}.festkit thead tr:last-child th{border-bottom:1px solid}"
    ".festkit tr .group{text-align:center;border-bottom:1px solid}"
    ".festkit tr .key{text-align:left}.festkit small{color:#555}"
)
"""Of this table alone: the page may be shown inside another, such as a notebook."""


def as_html(frame: pd.DataFrame, keys: int) -> str:
    """A whole page with a readable table.

    Args:
        frame: as :func:`festkit.tables.render.readable_table` returns it.
        keys: how many columns, from the left, say what a row is.

    Example:
        >>> page = as_html(pd.DataFrame({"th1": ["0.5"], "IoU [%]": ["–"]}), 1)
        >>> '<td class="key">0.5</td><td>–</td>' in page
        True
    """
    title = html.escape(str(frame.attrs.get("label", "Results")))
    head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
    body = f"<body>{_html_table(frame, keys)}</body>"
    return f'<!doctype html>\n<html lang="en">{head}\n{body}</html>\n'


def show_table(table: pd.DataFrame) -> Any:
    """A table as a notebook shows it.

    Args:
        table: as :func:`readable_table` takes it.

    Example:
        >>> from festkit.tables import paper_table
        >>> "Strong threshold th1 alone" in show_table(paper_table("th1")).data
        True
    """
    from IPython.display import HTML  # noqa: PLC0415 - the command line needs no IPython

    return HTML(_html_table(readable_table(table), len(key_columns(table))))


def _html_table(frame: pd.DataFrame, keys: int) -> str:
    upper = [_group(group, width) for group, width in groups_of(frame)]
    lower = _cells("th", [name for _, name in heads_of(frame)], keys)
    head = [f"<tr>{''.join(upper)}</tr>"] if frame.columns.nlevels > 1 else []
    body = [f"<tr>{_cells('td', row, keys)}</tr>" for row in frame.to_numpy().tolist()]
    return "\n".join(
        [
            f'<style>{CSS}</style><div class="festkit">',
            f"<table><caption>{html.escape(caption_of(frame))}</caption>",
            *["<thead>", *head, f"<tr>{lower}</tr>", "</thead>", "<tbody>", *body, "</tbody>"],
            "</table></div>",
        ]
    )


def _group(head: str, width: int) -> str:
    kind = ' class="group"' if head else ""
    return f'<th{kind} colspan="{width}">{html.escape(head)}</th>'


def _cells(tag: str, cells: list[str], keys: int) -> str:
    kinds = [' class="key"' if k < keys else "" for k in range(len(cells))]
    return "".join(
        f"<{tag}{kind}>{_two_lines(html.escape(cell))}</{tag}>"
        for kind, cell in zip(kinds, cells, strict=True)
    )


def _two_lines(cell: str) -> str:
    """A number above its interval, so that a table of four metrics fits a notebook's width."""
    number, bracket, interval = cell.partition(" [")
    has_interval = bracket and "," in interval
    return f"{number}<br><small>[{interval}</small>" if has_interval else cell


Style = Literal["text", "markdown", "latex", "html"]


def render_table(table: pd.DataFrame, style: Style = "text") -> str:
    """A table with its caption, ready to be pasted or opened.

    Args:
        table: as :func:`readable_table` takes it.
        style: "text", "markdown", "latex" (packages booktabs and, beside the paper's, graphicx) or
            "html", a whole page.

    Raises:
        ValueError: for an unknown style.

    Example:
        >>> from festkit.results import paper_table
        >>> print(render_table(paper_table("th1").head(1), "markdown"))
        **Table 4.** Strong threshold th1 alone: MSDA-Net 896+768+1024 fused, EEDM loss, W-IRSTD
        <BLANKLINE>
        | th1 | IoU [%] | Pd [%] | Fa [10⁻⁶] | Score [%] |
        |:--|--:|--:|--:|--:|
        | 0.5 | 64.49 | 72.58 | 9.17 | 68.54 |
        <BLANKLINE>
    """
    write = {"text": _text, "markdown": _markdown, "latex": as_latex, "html": as_html}
    return write[find_name("style", style, get_args(Style))](
        readable_table(table), len(key_columns(table))
    )


def save_table(out: str | Path, table: pd.DataFrame, name: str) -> list[Path]:
    """Write a table as numbers (CSV) and ready to print (Markdown, LaTeX, HTML).

    Args:
        out: folder; every file appears in it whole.
        table: as :func:`readable_table` takes it.
        name: of the files, without ending.

    Returns:
        The files.

    Example:
        >>> import tempfile
        >>> from festkit.results import paper_table
        >>> [path.name for path in save_table(tempfile.mkdtemp(), paper_table("th1"), "th1")]
        ['th1.csv', 'th1.md', 'th1.tex', 'th1.html']
    """
    texts = {
        "csv": table.to_csv(index=False),
        "md": render_table(table, "markdown"),
        "tex": render_table(table, "latex"),
        "html": render_table(table, "html"),
    }
    paths = [Path(out) / f"{name}.{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def _text(frame: pd.DataFrame, _: int) -> str:
    return f"{caption_of(frame)}\n\n{frame.to_string(index=False)}\n"


def _markdown(frame: pd.DataFrame, keys: int) -> str:
    heads = [" ".join(filter(None, pair)) for pair in heads_of(frame)]
    aligned = [":--"] * keys + ["--:"] * (len(heads) - keys)
    rows = [[cell.replace("|", "\\|") for cell in row] for row in frame.to_numpy().tolist()]
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, *rows)]
    lines.insert(1, "|" + "|".join(aligned) + "|")
    label = f"**{frame.attrs['label']}.** " if "label" in frame.attrs else ""
    return f"{label}{frame.attrs.get('caption', '')}\n\n" + "\n".join(lines) + "\n"


def scheme_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every network that has been run, ours and the paper's, a column for every scheme.

    Args:
        table: as :func:`compare_with_paper` returns it for rows of the table backbones, of one
            dataset.

    Returns:
        Strings; two levels of rows (network, ours or paper) and of columns (figure, scheme).

    Raises:
        ValueError: if several rows are of the same network and scheme, as of several datasets.

    Example:
        >>> from festkit.metrics import Counts
        >>> from festkit.results import compare_with_paper, paper_table
        >>> hit = Counts(images=1, pixels=9, intersection=1, predicted=1, true=2, targets=1)
        >>> rows = paper_table("backbones").query("dataset == 'NUAA-SIRST'")
        >>> ours = {"ACM, Original, NUAA-SIRST": [hit, hit]}
        >>> grid = scheme_table(compare_with_paper(ours, rows, measured="two images"))
        >>> grid["IoU [%]"].loc["ACM"].loc["ours"].tolist()
        ['50.00', 'not run', 'not run']
    """
    twice = table.duplicated(["backbone", "scheme"])
    if twice.any():
        raise InputError(
            f"{table.index[twice][0]!r} is of a network and scheme that came before; pass the rows "
            f"of one dataset, got {', '.join(table.dataset.unique())}"
        )
    ran = table[table.groupby("backbone")["seeds"].transform("max") > 0]
    parts = {"ours": ("", ran.seeds), "paper": ("_paper", ran.seeds + 1)}
    sides = {
        whose: pd.concat({HEADS[name]: _grid(ran, name + end, known) for name in METRICS}, axis=1)
        for whose, (end, known) in parts.items()
    }
    order = [(name, whose) for name in ran.backbone.unique() for whose in sides]
    grid = pd.concat(sides).swaplevel().reindex(order)
    return grid.rename_axis(index=[None, None], columns=[None, None])


def _grid(table: pd.DataFrame, column: str, known: pd.Series) -> pd.DataFrame:
    """A column as text, networks by schemes, in the table's order."""
    spread = table.get(f"{column}_sd", pd.Series(float("nan"), table.index))
    texts = [
        with_spread(value, sd) if run else NOT_RUN
        for value, sd, run in zip(table[column], spread, known, strict=True)
    ]
    grid = table.assign(text=texts).pivot(index="backbone", columns="scheme", values="text")
    return grid.loc[table.backbone.unique(), table.scheme.unique()]
