"""Stored maps beside their images; how they are refused is told in test_tuner.py, too."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import make_set

import festkit as fk
from festkit._support.files import write_json
from festkit.tables.selection import greedy_fusion, hardest_images, rank_by_gain
from festkit.training.stored_maps import open_maps


@pytest.fixture
def runs(tmp_path):
    """Two runs on the hand-made set beside them: the first has maps of 0.2, the second of 0.6."""
    images = fk.load_dataset(make_set(tmp_path / "hand"), "test")
    for size, level in ((32, 0.2), (64, 0.6)):
        run = fk.Run(tmp_path / str(size))
        run.write_maps("test", {s.name: np.full(s.mask.shape, level, np.float32) for s in images})
        record = {"backbone": "ACM", "size": size, "dataset": "hand"}
        write_json(run.folder / "record.json", record | {"test_split": images.fingerprint})
    return tmp_path / "32", tmp_path / "64"


def test_several_runs_are_fused_and_stay_apart_as_scales(runs):
    maps = open_maps(*runs)
    assert (len(maps), maps.sizes) == (3, (32, 64))
    assert maps.title == "ACM 32 + 64 on hand, test images"
    images = fk.load_dataset(runs[0].parent / "hand", "test")
    for image, sample in zip(maps, images, strict=True):
        assert image.sample.name == sample.name
        assert (image.sample.mask == sample.mask).all()
        np.testing.assert_allclose(image.prob, 0.4, atol=1e-5)
        assert [round(float(scale.mean()), 4) for scale in image.scales] == [0.2, 0.6]


def test_some_of_the_scales_in_another_order(runs):
    maps = open_maps(*runs)
    other = maps.of_scales([1, 0])
    assert (other.sizes, other.title) == ((64, 32), "ACM 64 + 32 on hand, test images")
    assert [record["size"] for record in other.records] == [64, 32]
    assert [round(float(scale.mean()), 4) for scale in other[0].scales] == [0.6, 0.2]
    alone = maps.of_scales([1])
    assert (alone[0].prob == maps[0].scales[1]).all()
    assert (alone.split, alone.dataset) == ("test", maps.dataset)


def test_the_title_names_every_network(runs):
    record = {**fk.Run(runs[1]).record, "backbone": "ALCNet"}
    write_json(runs[1] / "record.json", record)
    assert open_maps(*runs).title == "ACM 32 + ALCNet 64 on hand, test images"


def test_one_run_by_folder_name_or_as_a_run(runs):
    for given in (runs[0], str(runs[0]), fk.Run(runs[0])):
        image = open_maps(given)[1]
        assert (image.prob == image.scales[0]).all()
        assert len(image.scales) == 1


def test_the_images_may_lie_elsewhere(runs, tmp_path):
    (tmp_path / "hand").rename(tmp_path / "moved")
    (tmp_path / "root").mkdir()
    with pytest.raises(FileNotFoundError, match="images of the run are missing"):
        open_maps(runs[0])
    (tmp_path / "moved").rename(tmp_path / "root" / "hand")
    assert len(open_maps(runs[0], root=tmp_path / "root")) == 3
    assert len(open_maps(runs[0], dataset=tmp_path / "root" / "hand")) == 3


def test_other_images_and_other_maps_are_refused(runs, tmp_path):
    make_set(tmp_path / "other", test=2)
    with pytest.raises(ValueError, match="the test images of other are not those of the run"):
        open_maps(runs[0], dataset=tmp_path / "other")
    fk.Run(runs[1]).write_maps("test", {"e0": np.zeros((48, 64), np.float32)})
    with pytest.raises(ValueError, match="64 has maps of 1 images, of which 3 are in the test"):
        open_maps(*runs)
    with pytest.raises(FileNotFoundError, match=r"has no holdout_maps\.npz"):
        open_maps(runs[0], split="holdout")
    with pytest.raises(ValueError, match="split is 'train', expected 'test' or 'holdout'"):
        open_maps(runs[0], split="train")


def test_figures_at_thresholds_are_those_of_each_image(runs):
    maps = open_maps(*runs)  # fused 0.4 everywhere, the second scale 0.6
    shape, masks = maps[0].prob.shape, [image.sample.mask for image in maps]
    everything, nothing = np.ones(shape, bool), np.zeros(shape, bool)
    assert maps.evaluate(0.3) == [fk.count(everything, mask) for mask in masks]
    assert maps.evaluate(0.5) == [fk.count(nothing, mask) for mask in masks]
    weak = maps[0].detect(0.5, 0.5)  # above th2 in its own map alone: one centroid
    assert (len(weak.weak), int(weak.mask.sum())) == (1, 1)
    assert maps.evaluate(0.5, 0.5)[0] == fk.count(weak.mask, masks[0])
    assert maps.evaluate(0.5, 0.45, per_scale=False)[0] == fk.count(nothing, masks[0])
    with pytest.raises(ValueError, match="th1"):
        maps.evaluate(1.5)


@pytest.fixture
def four(tmp_path):
    """Four runs whose maps know the targets more or less well, and err each in its own way."""
    images = fk.load_dataset(make_set(tmp_path / "hand", test=5), "test")
    rng, folders = np.random.default_rng(3), []
    for size, skill in ((32, 0.2), (48, 0.4), (64, 0.1), (96, 0.35)):
        run = fk.Run(tmp_path / str(size))
        maps = {s.name: skill * s.mask + (1 - skill) * rng.random(s.mask.shape) for s in images}
        run.write_maps("test", {name: prob.astype(np.float32) for name, prob in maps.items()})
        record = {"backbone": "ACM", "size": size, "dataset": "hand"}
        write_json(run.folder / "record.json", record | {"test_split": images.fingerprint})
        folders.append(run.folder)
    return folders


def test_greedy_fusion_takes_the_best_of_all_in_every_step(four):
    maps = [fk.Run(folder).test_maps() for folder in four]
    images = fk.load_dataset(four[0].parent / "hand", "test")

    def fused(scales):
        """Mean of the maps, thresholded and counted image by image, without the library's fuse."""
        means = [np.mean([maps[k][s.name] for k in scales], axis=0) for s in images]
        return [fk.count(m > 0.5, s.mask) for m, s in zip(means, images, strict=True)]

    order, expected = [], []
    while len(order) < 4:
        scores = {k: sum(fused([*order, k]), fk.Counts()).score for k in range(4) if k not in order}
        order.append(max(scores, key=scores.get))
        expected.append(fused(order))
    steps = greedy_fusion(open_maps(*four), 0.5)
    assert [step.scales for step in steps] == [tuple(order[: k + 1]) for k in range(4)]
    assert [step.counts for step in steps] == expected
    assert order != sorted(order)
    assert not any(sum(step.counts, fk.Counts()).valid for step in steps)  # chosen all the same


def test_maps_of_several_rows_are_the_scales_of_one(runs, tmp_path):
    first, second = (open_maps(run) for run in runs)
    joined = first.with_scales(second)
    together = open_maps(*runs)
    assert (joined.title, joined.records) == (together.title, together.records)
    np.testing.assert_array_equal(joined[0].prob, together[0].prob)
    other = open_maps(runs[0])
    object.__setattr__(
        other, "dataset", fk.load_dataset(make_set(tmp_path / "other", test=1), "test")
    )
    with pytest.raises(ValueError, match="different images"):
        first.with_scales(other)


def test_greedy_fusion_of_equals_keeps_their_order(runs):
    assert [step.scales for step in greedy_fusion(open_maps(runs[1], runs[1]))] == [(0,), (0, 1)]
    with pytest.raises(ValueError, match="th1"):
        greedy_fusion(open_maps(*runs), 1.5)


def test_gains_count_targets_before_pixels():
    before = [fk.Counts(detected=1, intersection=5, false_pixels=9)] * 4
    after = [
        fk.Counts(detected=1, intersection=5, false_pixels=2),
        fk.Counts(detected=2, intersection=5, false_pixels=50),
        fk.Counts(detected=0, intersection=9),
        fk.Counts(detected=1, intersection=14, false_pixels=9),
    ]
    assert rank_by_gain(before, after) == [1, 3, 0, 2]


def test_the_hardest_images_have_most_errors_over_all_methods(runs):
    images = fk.load_dataset(runs[0].parent / "hand", "test")  # 1, 2 and 1 targets
    seen = [sample.mask.astype(np.float32) for sample in images]
    noisy = [prob.copy() for prob in seen]
    noisy[2][0, 0] = noisy[2][0, 30] = noisy[2][0, 60] = 0.9  # three false alarms
    noisy[0][:] = 0  # one target missed
    missing = [seen[0], np.zeros_like(seen[1]), seen[2]]  # two targets missed
    for run, probs in zip(runs, (noisy, missing), strict=True):
        fk.Run(run).write_maps("test", dict(zip(images.names, probs, strict=True)))
    first, second = (open_maps(run) for run in runs)
    assert hardest_images([first, second]) == [2, 1, 0]
    assert hardest_images([first, second], 1) == [2]
    assert hardest_images([second]) == [1, 0, 2]  # equally hard ones in their order
    assert hardest_images([first], th1=0.95) == [0, 1, 2]  # the false alarms are below


def test_hardest_images_of_nothing_or_of_different_images(runs, tmp_path):
    with pytest.raises(ValueError, match="got 0 maps and 4 images, expected at least one"):
        hardest_images([])
    maps = open_maps(runs[0])
    with pytest.raises(ValueError, match="got 1 maps and 0 images"):
        hardest_images([maps], 0)
    fewer = replace(maps, dataset=maps.dataset[:2])
    with pytest.raises(ValueError, match=r"of different images \(ACM 32 on hand, test images, ACM"):
        hardest_images([maps, fewer])


def test_a_run_that_is_named_after_its_dataset_does_not_hide_it(runs, tmp_path):
    (tmp_path / "data").mkdir()
    images = (tmp_path / "hand").rename(tmp_path / "data" / "hand")
    for folder in runs:
        write_json(folder / "config.json", {"dataset_folder": str(images)})
    write_json(tmp_path / "hand" / "config.json", {})  # such a run
    assert len(open_maps(*runs)) == 3
