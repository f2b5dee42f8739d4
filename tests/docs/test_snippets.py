"""Every Python block of README, tutorial and how-to pages runs."""

import re
import shutil
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

import festkit as fk

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/index.md",
    "docs/tutorial.md",
    *map(str, Path("docs/howto").glob("*.md")),
]
OUTSIDE = ("MSDANet_best", "tcp://", "my_study", "open_maps")
"""Words of blocks that need a checkpoint, a cluster, a notebook or a run of the user's own."""
SMALLER = {
    "epochs=80": "epochs=1",
    "epochs=60": "epochs=1",
    '"NUAA-SIRST", size': '"data/samples", size',
    'load_dataset("NUAA-SIRST"': 'load_dataset("data/samples"',
}


def blocks(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for old, new in SMALLER.items():
        text = text.replace(old, new)
    return re.findall(r"```python\n(.*?)```", text, re.S)


def given():
    """What a block may take from the reader: an image, maps and masks."""
    samples = list(fk.load_dataset("data/samples", "test"))
    maps = [sample.mask.astype(np.float32) for sample in samples]
    masks, images = [s.mask for s in samples], [s.image for s in samples]
    one = {"image": images[0], "prob": maps[0], "truth": masks[0], "target_map": maps[0]}
    return {"fk": fk, "probs": maps, "target_maps": maps, "masks": masks, "images": images, **one}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_blocks_run(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "data" / "samples", tmp_path / "data" / "samples")
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    scope = given()
    cv2.imwrite("frame.png", scope["image"])
    for block in blocks(page):
        if not any(word in block for word in OUTSIDE):
            exec(compile(block, page, "exec"), scope)
