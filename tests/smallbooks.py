"""Notebooks of a few lines, and what several test files ask of their runs."""

import ast
import json
import signal
import subprocess
import sys
import time

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from festkit.jobs.parameters import check_parameters, find_notebook, read_notebook


def notebook(folder, *cells, parameters="epochs: int = 3\nname: str = 'a'", name="book"):
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_markdown_cell("# Title"), first, *(new_code_cell(cell) for cell in cells)]
    book = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(book, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def shown_here(name, parameters):
    """Run one of the kit's notebooks in this process, without a kernel; what its last cell shows.

    A kernel of its own would take as long to import the kit as all of its cells do.
    """
    source = find_notebook(name)
    defaults, *cells = read_notebook(source).code
    space = {"In": ["", defaults]}  # what IPython would keep
    exec(defaults, space)
    space |= check_parameters(source, parameters)
    statements = ast.parse("\n".join(cells)).body
    last = statements.pop() if isinstance(statements[-1], ast.Expr) else None
    exec(compile(ast.Module(statements, []), name, "exec"), space)
    return last and eval(compile(ast.Expression(last.value), name, "eval"), space)


def start(*words):
    """A Python process that hears SIGINT, which one that a background job starts would not."""

    def hear():
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, preexec_fn=hear)  # noqa: PLW1509 - nothing else runs in it


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def status(folder):
    return json.loads((folder / "status.json").read_text())


def wait_for(condition, seconds=60):
    """What ``condition`` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.05)
    return value


def alive(pid):
    """Whether a process runs; one that has ended and was not asked for its status does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
