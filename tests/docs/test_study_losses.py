"""Losses beside each other, on runs by hand."""

import statistics

import numpy as np
import pytest
from handmade import make_set

from festkit._support.files import write_json
from festkit.data.dataset import load_dataset
from festkit.metrics import Counts, count
from festkit.training.config import TrainConfig
from festkit.training.run import Run
from studies.losses import compare, main


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand")


def put_run(folder, images, loss, seed, *, missed=0, false=0, **changed):
    """A finished run whose maps are the truth without its first targets, with false pixels."""
    testset = load_dataset(images, "test")
    run = Run(folder / f"{loss}-{seed}")
    run.folder.mkdir(parents=True)
    maps = {}
    for number, sample in enumerate(testset):
        prob = 0.9 * sample.mask.astype(np.float32)
        prob[:, :1] = 0
        prob *= number >= missed
        prob[-1, :false] = 0.8
        maps[sample.name] = prob
    run.write_maps("test", maps)
    config = TrainConfig(str(images), size=32, loss=loss, seed=seed, epochs=2, protocol="last")
    record = config.to_dict() | {"dataset": str(images), "train_split": "aa"}
    write_json(run.folder / "record.json", record | {"test_split": testset.fingerprint} | changed)
    return run


def row_of(text, loss):
    (row,) = [
        line for line in text.split("## LW")[0].splitlines() if line.startswith(f"| {loss} |")
    ]
    return [cell.strip() for cell in row.split("|")[1:-1]]


def test_mean_and_spread_over_seeds(tmp_path, images):
    runs = [put_run(tmp_path, images, "BCE", 0), put_run(tmp_path, images, "BCE", 1, missed=1)]
    runs += [put_run(tmp_path, images, "DM", seed, missed=1) for seed in (0, 1, 2)]
    text = compare(runs, "BCE")
    for loss, seeds in (("BCE", (0, 1)), ("DM", (0, 1))):
        totals = []
        for run in runs:
            if run.record["loss"] == loss and run.record["seed"] in seeds:
                maps = run.test_maps()
                counts = [count(maps[s.name] > 0.5, s.mask) for s in load_dataset(images, "test")]
                totals.append(sum(counts, Counts()))
        row = row_of(text, loss)
        assert row[:2] == [loss, "2"]
        scaled = [(100 * t.iou, 100 * t.pd, 1e6 * t.fa, 100 * t.score) for t in totals]
        assert [cell.partition(" [")[0] for cell in row[2:6]] == [
            f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
            for values in zip(*scaled, strict=True)
        ]
    assert row_of(text, "BCE")[-1] == ""
    assert float(row_of(text, "DM")[-1].split()[0]) < 0


def test_a_void_score_is_no_number(tmp_path, images):
    runs = [put_run(tmp_path, images, "BCE", 0), put_run(tmp_path, images, "DM", 0, false=20)]
    row = row_of(compare(runs, "BCE"), "DM")
    assert float(row[4].split()[0]) > 100
    assert row[5:] == ["–", "–", "–"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"loss": "DM", "seed": 0, "crop": 16}, "the runs differ in crop: 16, None"),
        ({"loss": "DM", "seed": 0, "train_split": "b"}, "the runs differ in train_split: aa, b"),
        ({"loss": "DM", "seed": 3}, "the losses have no seed in common"),
        ({"loss": "EE", "seed": 0}, "unknown loss of these runs 'DM'; choose from BCE, EE"),
    ],
)
def test_what_cannot_be_compared(tmp_path, images, other, message):
    runs = [put_run(tmp_path, images, "BCE", 0), put_run(tmp_path, images, **other)]
    with pytest.raises(ValueError, match=message):
        compare(runs, "BCE" if other["loss"] == "DM" else "DM")


def test_one_loss_and_seed_twice(tmp_path, images):
    runs = [put_run(tmp_path / name, images, "BCE", 0) for name in "ab"]
    with pytest.raises(ValueError, match=r"a.BCE-0 and .*b.BCE-0 are of one loss and seed"):
        compare(runs, "BCE")


def test_other_test_images(tmp_path, images):
    with pytest.raises(ValueError, match="test images of hand here are not those of the runs"):
        compare([put_run(tmp_path, images, "BCE", 0, test_split="ba98")], "BCE")


def test_the_command(tmp_path, images, capsys):
    run = put_run(tmp_path, images, "BCE", 0)
    main((str(run.folder),), out=str(tmp_path / "page.md"))
    assert capsys.readouterr().out == (tmp_path / "page.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match="no runs came"):
        main(())
