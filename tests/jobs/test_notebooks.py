"""What every notebook of the kit keeps to: short cells, few parameters, a story with links."""

import re

import nbformat
import pytest

from festkit.jobs.parameters import NOTEBOOKS, TAG, read_notebook

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
STORY = [path for path in PATHS if path.stem[:2].isdigit()]
LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)[^)]*\)")

pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(path):
    return nbformat.read(path, as_version=4).cells


def code_lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def test_at_most_ten_parameters(path):
    assert 0 < len(read_notebook(path).parameters) <= 10
    assert "out" in read_notebook(path).parameters


def test_at_most_ten_lines_per_cell(path):
    steps = [
        c for c in cells(path) if c.cell_type == "code" and TAG not in c.metadata.get("tags", [])
    ]
    long = {cell.id: len(code_lines(cell)) for cell in steps if len(code_lines(cell)) > 10}
    assert long == {}


def test_links_resolve(path):
    text = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert links
    assert [link for link in links if not (path.parent / link).is_file()] == []


def test_it_says_how_long_it_takes_and_ends_with_what_to_try_next(path):
    first, *_, last = cells(path)
    assert "**Time:**" in first.source
    assert last.cell_type == "markdown"
    assert last.source.startswith("## What you learned, and what to try next\n")
    assert LINK.search(last.source)


def test_the_story_leads_to_its_next_chapter(path):
    later = [each.name for each in STORY if each.stem > path.stem]
    if path in STORY and later:
        assert f"({later[0]})" in cells(path)[-1].source


def test_headings_say_something(path):
    text = "\n".join(cell.source for cell in cells(path)[1:] if cell.cell_type == "markdown")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert len(set(headings)) == len(headings)
    assert not set(headings) & {"Keep", "See", "Look", "Count", "The table"}


def test_it_has_no_output(path):
    code = [cell for cell in cells(path) if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
