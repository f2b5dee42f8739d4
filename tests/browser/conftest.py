"""What the browser tests share; without Chromium or Playwright they are skipped.

A test opens cells, runs them, acts in the page, and asks the page or the kernel what became of it::

    lab = open_lab(["import ipywidgets", "slider = ipywidgets.IntSlider(5); slider"])
    assert lab.run_all() == []  # no cell failed
    lab.page.get_by_role("slider").press("ArrowRight")
    assert lab.value("slider.value") == 6
    assert lab.errors == []  # neither did the page
"""

import os
import shutil
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from . import servers
from .pages import LabPage, VoilaPage

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the kit works with the net off
]  # fmt: skip


@pytest.fixture(scope="package")
def browser():
    """Chromium without a window, one for all browser tests.

    ``browser.new_page()`` for what ``open_lab`` and ``open_voila`` do not do.
    """
    if CHROMIUM is None:
        pytest.skip(f"no Chromium here: none of {', '.join(NAMES)} is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """The folder of screenshots: FESTKIT_ARTIFACTS, else one of pytest's."""
    given = os.environ.get("FESTKIT_ARTIFACTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """One JupyterLab for all tests: ``.url``, ``.token``, ``.folder`` of its notebooks."""
    with servers.lab_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def voila_server(tmp_path_factory):
    """One Voila for all tests: ``.url``, ``.token``, ``.folder`` of its notebooks."""
    pytest.importorskip("voila")
    with servers.voila_server(tmp_path_factory.mktemp("voila")) as server:
        yield server


NUMBERS = count(1)


def write_notebook(folder, cells):
    """Write cells of code as a notebook with a name of its own."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = new_notebook(cells=list(map(new_code_cell, cells)), metadata={"kernelspec": kernel})
    path = folder / f"notebook{next(NUMBERS)}.ipynb"
    nbformat.write(book, path)
    return path


@contextmanager
def opening(kind, browser, server, place, artifacts):
    """A function that opens new notebooks as pages of one kind; they end with the block."""
    pages = []

    def open_it(cells, **options):
        path = write_notebook(server.folder, cells)
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}} | options)
        page = kind(context.new_page(), artifacts)
        pages.append(page)
        url = server.url + place.format(stem=path.stem, name=path.name)
        page.open(f"{url}?token={server.token}")
        return page

    yield open_it
    for page in pages:
        page.shut_down()


def _open_lab(browser, lab_server, artifacts):
    """``open_lab(cells)``: a new notebook of these cells, open in JupyterLab, not yet run.

    Takes options of Playwright's ``browser.new_context``, such as ``device_scale_factor=2``. Gives
    a ``LabPage``; its kernel ends with the test, or with ``open_lab_for_module`` after the file's
    last one. The theme is light until ``set_theme("dark")``.
    """
    place = "lab/workspaces/{stem}/tree/{name}"
    with opening(LabPage, browser, lab_server, place, artifacts) as open_it:
        yield open_it


def _open_voila(browser, voila_server, artifacts):
    """``open_voila(cells)``: a new notebook of these cells, run by Voila and open in the browser.

    Takes options of Playwright's ``browser.new_context``. Gives a ``VoilaPage``; what it shows is
    waited for by ``voila.page.locator(...)``. Its kernel ends with the test, or with
    ``open_voila_for_module`` after the file's last one.
    """
    with opening(VoilaPage, browser, voila_server, "voila/render/{name}", artifacts) as open_it:
        yield open_it


open_lab = pytest.fixture(_open_lab, name="open_lab")
open_lab_for_module = pytest.fixture(_open_lab, scope="module", name="open_lab_for_module")
open_voila = pytest.fixture(_open_voila, name="open_voila")
open_voila_for_module = pytest.fixture(_open_voila, scope="module", name="open_voila_for_module")
