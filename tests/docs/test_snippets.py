"""Python blocks of README, tutorial and how-to pages run, but those that need outside things."""

import re
import shutil
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

import festkit as fk

ROOT = Path(__file__).parents[2]
HOWTO = sorted(path.name for path in (ROOT / "docs" / "howto").glob("*.md"))
PAGES = ["README.md", "README.zh-CN.md", "docs/index.md", "docs/tutorial.md"]
PAGES += [f"docs/howto/{name}" for name in HOWTO]
OUTSIDE = ("MSDANet_best", "tcp://", "my_study")
"""Words of blocks that need a checkpoint, a cluster or a notebook of the reader's own."""
SMALLER = {
    "epochs=80": "epochs=1",
    "flights/*.mp4": "data/samples/images",
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
    if any('open_maps("runs/mine"' in block for block in blocks(page)):
        fk.train(fk.TrainConfig("data/samples", size=64, epochs=1, out="runs/mine"))
    cv2.imwrite("frame.png", scope["image"])
    for block in blocks(page):
        if not any(word in block for word in OUTSIDE):
            exec(compile(block, page, "exec"), scope)
