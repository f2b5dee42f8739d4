"""Tables ready to print or to paste: text, Markdown, LaTeX, HTML, and files of them."""

from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from .._files import write_text
from .._names import find_name
from .latex import as_latex
from .page import as_html
from .paper import key_columns
from .readable import caption_of, heads_of, readable_table

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
