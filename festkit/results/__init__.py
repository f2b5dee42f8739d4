"""Results: figures of one's own, the paper's, both side by side, and all of it ready to print.

Reading order: `figures` (one's own, and the record of a run), `paper` (the paper's tables),
`beside` (ours beside the paper's), `readable` (as strings), `printing` (text,
Markdown), `latex`, `page` (HTML).
"""

from ..metrics import record_of
from .beside import compare_files, compare_with_paper
from .figures import COLUMNS, read_results, save_results, summary_table
from .paper import list_paper_tables, paper_table
from .printing import render_table, save_table
from .readable import readable_table

__all__ = [
    "COLUMNS",
    "compare_files",
    "compare_with_paper",
    "list_paper_tables",
    "paper_table",
    "read_results",
    "readable_table",
    "record_of",
    "render_table",
    "save_results",
    "save_table",
    "summary_table",
]
