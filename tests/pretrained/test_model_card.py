"""The folder that is shared: weights and their model card."""

import os

import pytest

from festkit.fest import FEST
from festkit.metrics import Counts

COUNTS = Counts(
    images=1, pixels=10**6, intersection=3, predicted=3, true=4,
    iou_sum=0.75, targets=2, detected=2, false_pixels=107,
)  # fmt: skip


@pytest.fixture
def fest():
    fest = FEST({32: "ACM", 48: "ALCNet"}, 0.4, 0.2, rule="fused", mean=0.4, std=0.1)
    fest.origin = {"dataset": "IRSTD-1K+sky", "train_split": "aa", "test_split": "bb"}
    return fest


def test_the_card_says_what_it_is(fest, tmp_path):
    assert fest.save_pretrained(tmp_path / "own", {"sky test": COUNTS}) == tmp_path / "own"
    assert sorted(os.listdir(tmp_path / "own")) == ["README.md", "fest.safetensors"]
    page = (tmp_path / "own" / "README.md").read_text(encoding="utf-8")
    assert page.startswith("---\nlibrary_name: festkit\n")
    for line in (
        "# FEST: ACM + ALCNet at 32 px + 48 px, trained on IRSTD-1K+sky",
        "| 48 px | ALCNet | 3 |",
        "- Fingerprint of its test images: bb",
        "- Gray values: mean 0.4000, std 0.1000 of [0, 1]",
        "| sky test | 1 | 75.00 | 75.00 | 100.00 | 107.00 | – |",
    ):
        assert line in page.splitlines()
    assert "Regions of the fused map whose highest probability lies between th2 = 0.2" in page
    assert "threshold > 0.4, AS > 0.2 (fused), 8-connected" in page
    assert "- IRSTD-1K: MIT, as the source states. Cite: M. Zhang" in page
    assert "chosen" not in page
    loaded = FEST.from_pretrained(tmp_path / "own")
    assert (loaded.th1, loaded.rule, list(loaded.backbones)) == (0.4, "fused", [32, 48])


def test_what_is_unknown_is_said(tmp_path):
    fest = FEST({32: "ACM"}, th2=None)
    fest.chosen_on = {"dataset": "sky", "split": "test", "th1": 0.5}
    page = (fest.save_pretrained(tmp_path) / "README.md").read_text(encoding="utf-8")
    assert "# LW-FEST: ACM at 32 px\n" in page
    assert "- Dataset: not stated\n- The thresholds were chosen on sky test.\n" in page
    assert "Not measured. `festkit evaluate FOLDER --dataset DATASET` measures them." in page
    assert "Weak targets are not marked." in page


@pytest.mark.parametrize("source", ["ACM", "somewhere/else"])
def test_no_folder(source):
    with pytest.raises(FileNotFoundError, match=f"{source} is no folder with fest.safetensors"):
        FEST.from_pretrained(source)
