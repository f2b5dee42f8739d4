"""The tuner served by a process of its own, as ``festkit tune`` does, and what there is to see."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import nbformat
import psutil
from handmade import make_set
from nbformat.v4 import new_code_cell, new_notebook
from tinyrun import tiny

from festkit import training

PARAMETERS = "run = None\nsplit = 'test'\ndataset = None\ndata_root = None"
TELL = "import os\nprint([run, split, dataset, data_root, os.environ['FESTKIT_DATA']])"
BUTTON = """
import ipywidgets
button = ipywidgets.Button(description="press")
button.on_click(lambda button: setattr(button, "description", "pressed"))
button
"""

SCRIPT = """
import sys
from festkit.tuner import serve
serve.NOTEBOOK = sys.argv[1]
serve.serve(sys.argv[3:], dataset="sets/hand", app=sys.argv[2], open_browser=False)
"""


def make_root(root):
    """A folder with a set, two finished runs on it, and a notebook that tells its parameters."""
    folder = make_set(root / "sets" / "hand")
    for name, size in (("run", 32), ("second", 64)):
        training.train(tiny(folder, root / name, epochs=1, size=size))
    first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [first, new_code_cell(TELL), new_code_cell(BUTTON)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), root / "tell.ipynb")
    return root


@contextmanager
def served_tuner(root, app, *runs, notebook=None):
    """The tuner served from ``root``, of ``sets/hand``; it is killed after the block if it lives.

    Gives ``process``, the printed ``line``, ``address`` and its parts ``url``, the ``token``, the
    ``server`` (a psutil.Process), and ``home``, its private folder.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, notebook or root / "tell.ipynb", app, *runs],
        cwd=root, env=os.environ | {"FESTKIT_DATA": "sets"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        address = re.search(r"http\S+", line).group()
        (server,) = psutil.Process(process.pid).children()
        yield SimpleNamespace(
            process=process, line=line, address=address, url=urlsplit(address), app=app,
            token=parse_qs(urlsplit(address).query)["token"][0], server=server,
            home=Path(server.environ()["JUPYTER_CONFIG_DIR"]).parent,
        )  # fmt: skip
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
