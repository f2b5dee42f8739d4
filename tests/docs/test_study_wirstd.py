"""The page of the W-IRSTD subset, on finished runs by hand."""

import numpy as np
import pytest
from handmade import make_set

from festkit._support.files import write_json
from festkit.data.dataset import load_dataset
from festkit.metrics import Counts, count
from festkit.tables import find_table, paper_table, training_config
from festkit.training.run import Run
from studies.wirstd import DATASET, RECIPE, _answer, main


@pytest.fixture(scope="module")
def subset(tmp_path_factory):
    """A dataset of the subset's name."""
    folder = tmp_path_factory.mktemp("data") / DATASET
    make_set(folder, test=30)
    for file in (folder / "img_idx").glob("*_hand.txt"):
        file.rename(file.with_name(file.name.replace("hand", DATASET)))
    return folder.parent


def finish(subset, out, table, row, seed=0, *, missed=0):
    """A finished run of one row: true maps without the targets of the first images."""
    ((training,),) = [
        own for name, own in find_table(table).rows(RECIPE, "ACM", DATASET).items() if name == row
    ]
    images = load_dataset(DATASET, "test", root=subset)
    run = Run(out / f"seed-{seed}" / training.name)
    run.folder.mkdir(parents=True)
    maps = {
        sample.name: 0.8 * sample.mask.astype(np.float32) * (number >= missed)
        for number, sample in enumerate(images)
    }
    run.write_maps("test", maps)
    config = training_config(training, DATASET, out, seed=seed).to_dict()
    own = {"dataset": DATASET, "train_split": "aa", "test_split": images.fingerprint}
    write_json(run.folder / "record.json", config | own)
    masks = [sample.mask for sample in images]
    found = [maps[sample.name] > 0.5 for sample in images]
    return sum(map(count, found, masks), start=count(masks[0] & False, masks[0] & False))


def section(text, question):
    return text.partition(f"### {question}")[2].partition("###")[0]


def test_a_page_of_what_has_finished(subset, tmp_path):
    out, page = tmp_path / "runs", tmp_path / "page.md"
    small = finish(subset, out, "input_size", "512", missed=12)
    large = finish(subset, out, "input_size", "896")
    for name in ("768", "1024"):
        finish(subset, out, "input_size", name, missed=6)
    main(str(subset), out, page, tables=())
    text = page.read_text(encoding="utf-8")
    answer = section(text, "Does a larger input help?")
    assert "| 256 −" not in answer
    assert f"| 896 − 512, ours | +{100 * (large.iou - small.iou):.2f} [" in answer
    assert "| 896 − 512, paper | +4.59 | +8.61 | −1.93 | +6.60 |" in answer
    assert "1024 instead of 512: IoU up, Pd up, Fa unclear, Score up. In the paper" in answer
    fused = section(text, "Does fusion help?")
    assert "896+768+1024 instead of 896: IoU down" in fused
    assert "not trained: Does EEDM help?" in text
    assert "**Table 1.**" in text
    assert "| BCE |" not in text
    assert "**Table 5.**" in text
    assert "one seed" in text


def test_a_void_score_is_neither_up_nor_down():
    one = {"images": 1, "pixels": 10_000, "true": 20, "targets": 2, "false_pixels": 3}
    rows = {
        name: [Counts(**one, predicted=hits + 3, intersection=hits, detected=1)] * 90
        for name, hits in (("512", 10), ("896", 15))
    }
    answer = "\n".join(_answer("Larger?", rows, paper_table("input_size")))
    assert "| – |" in answer
    assert "896 instead of 512: IoU up, Pd unclear, Fa unclear, Score not given. In" in answer


def test_losses_over_seeds(subset, tmp_path):
    out, page = tmp_path / "runs", tmp_path / "page.md"
    for seed in (0, 1):
        finish(subset, out, "losses", "BCE", seed, missed=9)
        finish(subset, out, "losses", "EEDM", seed, missed=seed)
    main(str(subset), out, page, tables=())
    text = page.read_text(encoding="utf-8")
    assert "## Losses over seeds" in text
    answer = section(text, "Does EEDM help?")
    assert "EEDM instead of BCE: IoU up, Pd up" in answer
    assert "In the paper: IoU not given" in answer
