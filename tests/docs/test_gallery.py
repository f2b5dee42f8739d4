"""The gallery: every notebook, as it was executed, small and without this machine's folders."""

import base64
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

import gallery  # noqa: E402

PAGES = sorted(gallery.GALLERY.glob("*.ipynb"))


def picture(side):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    part = io.BytesIO()
    Image.fromarray(noise).save(part, "PNG")
    return base64.b64encode(part.getvalue()).decode()


def book(folder, side):
    cell = new_code_cell(f"out = '{folder}/work/key'", metadata={"papermill": {"duration": 1}})
    cell.outputs = [new_output("display_data", data={"image/png": picture(side)})]
    return new_notebook(cells=[cell], metadata={"papermill": {"input_path": "/here/a.ipynb"}})


def test_a_page_is_small_and_names_no_folder(tmp_path):
    text = gallery.slimmed(book(tmp_path.resolve(), 400), tmp_path / "done" / "key")
    assert len(text.encode()) <= gallery.LIMIT
    assert str(tmp_path) not in text
    assert "/here" not in text
    page = json.loads(text)
    assert page["cells"][0]["source"] == ["out = 'work/key'"]
    data = page["cells"][0]["outputs"][0]["data"]["image/jpeg"]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (400, 400)


def test_progress_is_left_out(tmp_path):
    texts = ["\rpredicting:  12%", "\n", "8 images\n"]
    cell = new_code_cell("run()", outputs=[new_output("stream", text=each) for each in texts])
    page = json.loads(gallery.slimmed(new_notebook(cells=[cell]), tmp_path / "done" / "key"))
    assert [each["text"] for each in page["cells"][0]["outputs"]] == [["8 images\n"]]


def test_a_picture_that_is_too_large_becomes_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "LIMIT", 20_000)
    page = json.loads(gallery.slimmed(book(tmp_path, 200), tmp_path / "done" / "key"))
    data = page["cells"][0]["outputs"][0]["data"]["image/jpeg"]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size in ((140, 140), (100, 100))


def test_a_page_that_stays_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "LIMIT", 5_000)
    with pytest.raises(ValueError, match=r"key takes \d+ bytes, expected at most 5000"):
        gallery.slimmed(book(tmp_path, 200), tmp_path / "done" / "key")


def test_every_notebook_is_shown():
    assert [page.name for page in PAGES] == sorted(
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    )
    page = (gallery.GALLERY / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name})" in page for path in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_shown_page_is_whole_and_small(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) <= gallery.LIMIT
    cells = json.loads(text)["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert outputs
    assert not any(output["output_type"] == "error" for output in outputs)
    assert not re.search(r"/(home|root|Users|tmp|work)/", text)
