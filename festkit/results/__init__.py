"""Results: figures of one's own, the paper's, both side by side, and all of it ready to print.

Reading order: `figures` (one's own, and the record of a run), `paper` (the paper's tables),
`beside` (ours beside the paper's), `readable` (as strings), `schemes` (by
network and scheme), `printing` (text, Markdown), `latex`, `page` (HTML), `gather` (of many jobs).
"""

from .beside import compare_files, compare_with_paper
from .figures import COLUMNS, read_results, record_of, save_results, summary_table
from .gather import load_results, save_gathered, save_paper_tables
from .paper import list_paper_tables, paper_table
from .printing import render_table, save_table
from .readable import readable_table
from .schemes import scheme_table

__all__ = [
    "COLUMNS",
    "compare_files",
    "compare_with_paper",
    "list_paper_tables",
    "load_results",
    "paper_table",
    "read_results",
    "readable_table",
    "record_of",
    "render_table",
    "save_gathered",
    "save_paper_tables",
    "save_results",
    "save_table",
    "scheme_table",
    "summary_table",
]
