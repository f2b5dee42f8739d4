"""Tables ready to print or to paste: text, Markdown, LaTeX, HTML, and files of them."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from .._support.errors import InputError
from .._support.files import write_text
from .._support.names import find_name
from ..metrics import ALL_METRICS, METRICS
from .paper import COLUMNS, key_columns

NONE, NOT_RUN = "–", "not run"


def with_spread(mean: float, sd: float = math.nan, sign: str = "") -> str:
    """A mean and its standard deviation over seeds; "–" for NaN, the mean alone for one seed.

    Example:
        >>> with_spread(64.25, 1.5), with_spread(64.25, float("nan"))
        ('64.25 ± 1.50', '64.25')
    """
    return NONE if pd.isna(mean) else f"{mean:{sign}.2f}" + ("" if pd.isna(sd) else f" ± {sd:.2f}")


def with_interval(row: Mapping[str, Any], name: str, sign: str = "") -> str:
    """A ratio of a record with its interval, in printed units; "–" for None or a void Score.

    With the sign "+", as differences are printed.

    Example:
        >>> with_interval({"pd": 0.5, "intervals": {"pd": (0.25, 1.0)}}, "pd")
        '50.00 [25.00, 100.00]'
    """
    metric = ALL_METRICS[name]
    if pd.isna(row.get(name)) or (name == "score" and not row["valid"]):
        return NONE
    values = row[name], *((row.get("intervals") or {}).get(name) or ())
    first, *ends = (metric.text(value, sign).replace("-", "−") for value in values)
    return first + (f" [{', '.join(ends)}]" if ends else "")


def record_cells(row: Mapping[str, Any]) -> list[str]:
    """The cells of a record: its thresholds, then every metric.

    Example:
        >>> ratios = {"iou": 0.5, "niou": 0.5, "pd": 1.0, "fa": 2e-4, "score": 0.75, "valid": False}
        >>> record_cells({"th1": 0.5, "th2": None, **ratios})
        ['0.5', '50.00', '50.00', '100.00', '200.00', '–']
    """
    thresholds = " / ".join(f"{row[name]:g}" for name in ("th1", "th2") if row[name] is not None)
    return [thresholds, *(with_interval(row, name) for name in METRICS)]


RECORD_HEAD = ["thresholds", *(m.head if m.name == "fa" else m.title for m in METRICS.values())]


def record_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Records, such as those without and with adjustable sensitivity, as a Markdown table."""
    return markdown_table(RECORD_HEAD, [record_cells(row) for row in rows], keys=1)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, keys: int) -> str:
    """A Markdown table whose first columns, the keys, are aligned to the left.

    Example:
        >>> print(markdown_table(["a", "b"], [["x", "1"]], keys=1))
        | a | b |
        |:--|--:|
        | x | 1 |
        <BLANKLINE>
    """
    rule = "|" + "|".join([":--"] * keys + ["--:"] * (len(head) - keys)) + "|"
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:], ""])


def readable_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format a table as strings: two decimals, "–" for missing values, "not run".

    Args:
        table: the result of :func:`paper_table` or :func:`compare_with_paper`; extra key columns
            may come first.

    Returns:
        Strings. After a comparison, columns have two levels (metric; ours, paper, difference), or
        only ours if the paper has no numbers. Several seeds are shown as mean ± standard deviation.

    Example:
        >>> from festkit.tables import paper_table
        >>> readable_table(paper_table("th1")).loc["th1 0.05"].tolist()
        ['0.05', '35.15', '87.72', '138.46', '–']
    """
    keys = {name: table[name].map(_key) for name in key_columns(table)}
    if "seeds" not in table:
        numbers = {metric.head: table[name].map(with_spread) for name, metric in COLUMNS.items()}
        frame = pd.DataFrame(keys | numbers)
    else:
        columns: dict[Any, Any] = {("", name): cells for name, cells in keys.items()}
        paper = table[[f"{name}_paper" for name in COLUMNS]].notna().any(axis=None)
        for name, metric in COLUMNS.items():
            columns[metric.head, "ours"] = [_ours(row, name) for _, row in table.iterrows()]
            if paper:
                columns[metric.head, "paper"] = table[f"{name}_paper"].map(with_spread)
                columns[metric.head, "diff."] = table[f"{name}_difference"].map(_signed)
        columns["", "seeds"] = [str(seeds or NONE) for seeds in table["seeds"]]
        frame = pd.DataFrame(columns)
    frame.attrs = dict(table.attrs)
    return frame


def _key(value: Any) -> str:
    """A cell of a key column: a name, a number or nothing."""
    return value if isinstance(value, str) else NONE if pd.isna(value) else f"{value:g}"


def _signed(value: float) -> str:
    """With its sign; zero is "+0.00"."""
    return with_spread(round(value, 2) + 0.0, sign="+").replace("-", "−")


def _ours(row: pd.Series, name: str) -> str:
    """Our metric with its spread and interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
    return _mean(row, name) + interval


def _mean(row: pd.Series, name: str) -> str:
    """Our metric with its spread."""
    return with_spread(row[name], row[f"{name}_sd"]) if row["seeds"] else NOT_RUN


Style = Literal["text", "markdown", "latex", "html"]


def render_table(table: pd.DataFrame, style: Style = "text") -> str:
    """Render a table with its caption as text, Markdown, LaTeX or HTML.

    Args:
        table: a table accepted by :func:`readable_table`.
        style: "text", "markdown", "latex" (packages booktabs and, after a comparison, graphicx) or
            "html", a whole page.

    Raises:
        ValueError: for an unknown style.

    Example:
        >>> from festkit.tables import paper_table
        >>> print(render_table(paper_table("th1").head(1), "markdown"))
        **Table 4.** Strong threshold th1 alone: MSDA-Net 896+768+1024 fused, EEDM loss, W-IRSTD
        <BLANKLINE>
        | th1 | IoU [%] | Pd [%] | Fa [10⁻⁶] | Score [%] |
        |:--|--:|--:|--:|--:|
        | 0.5 | 64.49 | 72.58 | 9.17 | 68.54 |
        <BLANKLINE>
    """
    return render_cells(readable_table(table), style, keys=len(key_columns(table)))


def render_cells(cells: pd.DataFrame, style: Style, *, keys: int) -> str:
    """Render a table of strings; ``attrs`` may hold its name, label and caption.

    Args:
        cells: the strings; the first columns are keys, aligned to the left.
        style: see :func:`render_table`.
        keys: number of keys.

    Raises:
        ValueError: for an unknown style.

    Example:
        >>> print(render_cells(pd.DataFrame({"method": ["A"], "IoU": ["50"]}), "markdown", keys=1))
        <BLANKLINE>
        <BLANKLINE>
        | method | IoU |
        |:--|--:|
        | A | 50 |
        <BLANKLINE>
    """
    writers = {"text": _text, "markdown": _markdown, "latex": _latex, "html": _html}
    return writers[find_name("style", style, writers)](cells, keys)


def show_table(table: pd.DataFrame) -> Any:
    """Display a table with its caption in a notebook.

    Key columns with the same value in all rows are left out, so that the table fits the page.

    Args:
        table: a table accepted by :func:`readable_table`.

    Example:
        >>> from festkit.tables import paper_table
        >>> "Strong threshold th1 alone" in show_table(paper_table("th1")).data
        True
    """
    from IPython.display import HTML  # noqa: PLC0415 - the command line needs no IPython

    alike = [name for name in key_columns(table) if table[name].nunique(dropna=False) == 1]
    return HTML(render_table(table.drop(columns=alike if len(table) > 1 else []), "html"))


def save_table(out: str | Path, table: pd.DataFrame, name: str) -> list[Path]:
    """Write a table as numbers (CSV) and ready to print (Markdown, LaTeX, HTML).

    Args:
        out: folder of the files.
        table: a table accepted by :func:`readable_table`.
        name: name of the files, without suffix.

    Returns:
        The files.

    Example:
        >>> import tempfile
        >>> from festkit.tables import paper_table
        >>> [path.name for path in save_table(tempfile.mkdtemp(), paper_table("th1"), "th1")]
        ['th1.csv', 'th1.md', 'th1.tex', 'th1.html']
    """
    styles: dict[str, Style] = {"md": "markdown", "tex": "latex", "html": "html"}
    texts = {ending: render_table(table, style) for ending, style in styles.items()}
    texts = {"csv": table.to_csv(index=False)} | texts
    for ending, text in texts.items():
        write_text(Path(out) / f"{name}.{ending}", text)
    return [Path(out) / f"{name}.{ending}" for ending in texts]


def _caption(frame: pd.DataFrame, mark: str = "") -> str:
    """Number, between two marks, and caption."""
    label = f"{mark}{frame.attrs['label']}.{mark}" if "label" in frame.attrs else ""
    return " ".join(filter(None, [label, frame.attrs.get("caption", "")]))


def _text(frame: pd.DataFrame, _: int) -> str:
    """Aligned columns below the caption."""
    return f"{_caption(frame)}\n\n{frame.to_string(index=False)}\n"


def _markdown(frame: pd.DataFrame, keys: int) -> str:
    """A Markdown table below its caption."""
    two = frame.columns.nlevels > 1
    heads = [" ".join(filter(None, head)) if two else head for head in frame.columns]
    rows = frame.replace(r"\|", r"\\|", regex=True).to_numpy().tolist()
    return f"{_caption(frame, '**')}\n\n{markdown_table(heads, rows, keys=keys)}"


SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "⁻⁶": "$^{-6}$", "≥": r"$\geq$", "<": "$<$",
    ">": "$>$", ">=": r"$\geq$",
}  # fmt: skip

ANY_SIGN = re.compile("|".join(map(re.escape, sorted(SIGNS, key=len, reverse=True))))
"""The longest first, so that ">=" is one sign."""


def _escape(text: str) -> str:
    """Escape a text for LaTeX."""
    return ANY_SIGN.sub(lambda sign: SIGNS[sign[0]], text)


def _latex(frame: pd.DataFrame, keys: int) -> str:
    """A LaTeX table with booktabs rules; a wide one is fitted to the line."""
    wide = frame.columns.nlevels > 1
    caption = _escape(frame.attrs.get("caption", "")) or None
    label = f"tab:{frame.attrs.get('name', 'results')}"
    places: Any = {"column_format": "l" * keys + "r" * (frame.shape[1] - keys), "index": False}
    escaped = frame.map(_escape).rename(columns=_escape)
    text = escaped.to_latex(caption=caption, label=label, multicolumn_format="c", **places)
    text = text.replace("\\begin{table}\n", "\\begin{table}\n\\centering\n")
    if not wide:
        return text
    rules, heads = "", frame.columns.get_level_values(0).to_series().reset_index(drop=True)
    for head, places in heads.groupby(heads, sort=False).groups.items():
        rules += rf"\cmidrule(lr){{{places[0] + 1}-{places[-1] + 1}}}" if head else ""
    text = re.sub(r"(\\toprule\n.*\n)", lambda found: f"{found[1]}{rules}\n", text, count=1)
    text = text.replace(r"\begin{tabular}", "\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}")
    return text.replace(r"\end{tabular}", r"\end{tabular}}")


CSS = Path(__file__).with_name("table.css").read_text(encoding="utf-8")
"""Limited to this table, since notebooks show the page among their own."""


def _html(frame: pd.DataFrame, keys: int) -> str:
    """A whole page with a table."""
    with pd.option_context("display.max_colwidth", None):
        table = frame.to_html(index=False, border=0)
    # Intervals below their numbers: four metrics then fit the width of a notebook.
    table = re.sub(r" (\[[^\]<]*, [^\]<]*\])</td>", r"<br><small>\1</small></td>", table)
    caption = f"<caption>{html.escape(_caption(frame))}</caption>"
    title = html.escape(frame.attrs.get("label", "Results"))
    left = f".festkit.keys{keys} tr:not(:has([colspan])) :nth-child(-n+{keys}){{text-align:left}}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{CSS}{left}</style></head><body>\n"
        f'<div class="festkit keys{keys}">\n'
        + table.replace(">\n", f">\n{caption}\n", 1)
        + "\n</div></body></html>\n"
    )


def scheme_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per network that was run, ours above the paper's, and one column per scheme.

    Args:
        table: the result of :func:`compare_with_paper` for rows of the table backbones, of one
            dataset.

    Returns:
        Strings; two levels of rows (network, ours or paper) and of columns (metric, scheme).

    Raises:
        ValueError: if two rows have the same network and scheme, for example of two datasets.

    Example:
        >>> from festkit.metrics import Counts
        >>> from festkit.tables import compare_with_paper, paper_table
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
    cells: dict[Any, Any] = {}
    for name, metric in COLUMNS.items():
        cells[metric.head, "ours"] = [_mean(row, name) for _, row in ran.iterrows()]
        cells[metric.head, "paper"] = ran[f"{name}_paper"].map(with_spread).tolist()
    places = pd.MultiIndex.from_frame(ran[["backbone", "scheme"]])
    grid = pd.DataFrame(cells, index=places).stack(1, future_stack=True).unstack("scheme")
    heads = [metric.head for metric in COLUMNS.values()]
    rows = pd.MultiIndex.from_product([ran.backbone.unique(), ["ours", "paper"]])
    return grid.reindex(rows, columns=pd.MultiIndex.from_product([heads, ran.scheme.unique()]))
