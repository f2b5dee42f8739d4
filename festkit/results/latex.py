"""Tables in LaTeX, with the rules of booktabs."""

import re

import pandas as pd

from .readable import groups_of, heads_of

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
        frame: as :func:`festkit.results.readable_table` returns it.
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
