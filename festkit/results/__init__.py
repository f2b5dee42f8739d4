"""Results: figures of one's own, the paper's, both side by side, and all of it ready to print.

Reading order: `figures` (one's own, and the record of a run), `paper` (the paper's tables),
`seeds` (which runs may be averaged), `beside` (ours beside the paper's), `readable` (as strings),
`schemes` (by network and scheme), `printing` (text, Markdown), `latex`, `page` (HTML), `rows` (the
runs that fill a table's rows), `saving` (a table, and what it was measured on), `gather` (of many
jobs), `reached` (where ours stay behind), `zoo` (the page of the shipped weights' results).
"""

from ..metrics import record_of
from .beside import compare_files, compare_with_paper
from .figures import COLUMNS, read_results, save_results, summary_table
from .gather import load_results, save_gathered, save_paper_tables
from .paper import list_paper_tables, paper_table
from .printing import render_table, save_table
from .readable import readable_table
from .rows import open_rows
from .saving import describe_runs, save_paper_results
from .schemes import scheme_table
from .zoo import HEAD, entry_lines, markdown_table, results_page

__all__ = [
    "COLUMNS",
    "HEAD",
    "compare_files",
    "compare_with_paper",
    "describe_runs",
    "entry_lines",
    "list_paper_tables",
    "load_results",
    "markdown_table",
    "open_rows",
    "paper_table",
    "read_results",
    "readable_table",
    "record_of",
    "render_table",
    "results_page",
    "save_gathered",
    "save_paper_results",
    "save_paper_tables",
    "save_results",
    "save_table",
    "scheme_table",
    "summary_table",
]
