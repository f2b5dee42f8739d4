"""Networks and schemes of Table 6 as a grid, ours above the paper's."""

import pandas as pd

from .._errors import InputError
from .paper import METRICS
from .readable import HEADS, NOT_RUN, with_spread


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
