"""Targets by hand: their area and place, and their SCR against plain loops over the ring."""

import json

import numpy as np
import pandas as pd
import pytest
from handmade import make_set, scene
from PIL import Image
from smallbooks import shown_here

import festkit as fk
from festkit.data.dataset import Sample
from festkit.data.statistics import local_contrast, measure_sample
from festkit.jobs.job import check_metrics


def ring_of(image, mask, box):
    """Gray levels up to 20 px around a half open box (top, left, bottom, right), no target's."""
    top, left, bottom, right = box
    height, width = image.shape
    return np.array(
        [
            float(image[y, x])
            for y in range(height)
            for x in range(width)
            if top - 20 <= y < bottom + 20 and left - 20 <= x < right + 20 and not mask[y, x]
        ]
    )


def noise(shape=(80, 90), seed=0):
    return np.random.default_rng(seed).integers(60, 90, shape).astype(np.uint8)


class TestContrast:
    def test_against_plain_loops(self):
        image, mask = noise(), np.zeros((80, 90), bool)
        mask[40:43, 30:35] = True
        image[mask] = 200
        ring = ring_of(image, mask, (40, 30, 43, 35))
        assert ring.size == 43 * 45 - 15
        contrast, scr = local_contrast(image, mask, mask)
        assert contrast == pytest.approx(200 - ring.mean())
        assert scr == pytest.approx((200 - ring.mean()) / ring.std())

    @pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 40), (78, 88), (40, 87)])
    def test_at_the_border_the_ring_is_what_lies_inside(self, top, left):
        image, mask = noise(), np.zeros((80, 90), bool)
        mask[top : top + 2, left : left + 2] = True
        image[mask] = 150
        ring = ring_of(image, mask, (top, left, top + 2, left + 2))
        assert ring.size < 42 * 42 - 4
        assert local_contrast(image, mask, mask) == pytest.approx(
            (150 - ring.mean(), (150 - ring.mean()) / ring.std())
        )

    def test_targets_are_no_part_of_each_others_ring(self):
        image = np.full((60, 60), 50, np.uint8)
        image[::2] = 52
        mask = np.zeros((60, 60), bool)
        mask[30:32, 30:32] = mask[30:32, 36:38] = True
        image[30:32, 30:32], image[30:32, 36:38] = 61, 255
        own = mask & (image == 61)
        assert local_contrast(image, own, mask) == pytest.approx((10, 10), abs=0.02)

    def test_a_flat_ring_counts_as_half_a_gray_level(self):
        image = np.full((50, 50), 100, np.uint8)
        image[20, 20] = 103
        assert local_contrast(image, image > 100, image > 100) == (3, 6)

    def test_a_dark_target_is_negative(self):
        image = np.full((50, 50), 100, np.uint8)
        image[20, 20] = 90
        assert local_contrast(image, image < 100, image < 100) == (-10, -20)

    def test_without_a_ring_there_is_none(self):
        mask = np.ones((8, 8), bool)
        assert np.isnan(local_contrast(np.zeros((8, 8), np.uint8), mask, mask)).all()


class TestSample:
    def test_place_area_and_kind_in_raster_order(self):
        mask = np.zeros((60, 70), bool)
        mask[2, 3:6] = True
        mask[20:22, 50:55] = True
        mask[40:50, 10:20] = True
        found = measure_sample(Sample(noise((60, 70)), mask, "a"))
        assert [(t["row"], t["column"], t["area"], t["kind"]) for t in found] == [
            (2, 4, 3, "point"),
            (20.5, 52, 10, "spot"),
            (44.5, 14.5, 100, "extended"),
        ]

    def test_an_empty_mask(self):
        assert measure_sample(Sample(noise(), np.zeros((80, 90), bool), "a")) == []


@pytest.fixture(scope="module")
def hand(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "hand", train=4, test=3)


@pytest.fixture(scope="module")
def figures(hand):
    return fk.data.measure_targets(fk.load_dataset(hand, "train"), fk.load_dataset(hand, "test"))


class TestSet:
    def test_every_image_and_every_target(self, figures):
        assert figures.splits == ["train", "test"]
        assert figures.images["targets"].tolist() == [1, 2, 1, 2, 1, 2, 1]
        assert set(zip(figures.images["height"], figures.images["width"], strict=True)) == {
            (48, 64)
        }
        assert figures.targets["area"].tolist() == [16] * 10
        assert figures.targets["image"].value_counts()["e1"] == 2

    def test_a_target_as_by_hand(self, figures):
        image, mask = scene(2)
        top, left = np.argwhere(mask)[0]
        ring = ring_of(image, mask, (top, left, top + 4, left + 4))
        [target] = figures.targets[figures.targets["image"] == "t2"].to_dict("records")
        assert (target["row"], target["column"]) == (top + 1.5, left + 1.5)
        assert target["contrast"] == pytest.approx(220 - ring.mean())
        assert target["scr"] == pytest.approx((220 - ring.mean()) / ring.std())

    def test_the_record(self, figures):
        record = figures.record()
        assert list(record) == ["all", "train", "test"]
        assert [part["images"] for part in record.values()] == [7, 4, 3]
        assert [part["targets"] for part in record.values()] == [10, 6, 4]
        every = record["all"]
        assert every["images_with_several"] == 3
        assert every["share"] == {"point": 0, "spot": 1, "extended": 0}
        assert every["area_px"] == {"5 %": 16, "25 %": 16, "50 %": 16, "75 %": 16, "95 %": 16}
        assert every["scr"]["50 %"] == np.median(figures.targets["scr"])
        assert every["side_px"]["95 %"] == pytest.approx((48 * 64) ** 0.5)

    def test_a_split_measured_twice_as_all(self, hand):
        record = fk.data.measure_targets(fk.load_dataset(hand, "all")).record()
        assert record["all"]["targets"] == 10

    def test_images_without_targets_give_none(self, tmp_path):
        folder = make_set(tmp_path / "hand", targets=False)
        empty = fk.data.measure_targets(fk.load_dataset(folder, "test"))
        path = empty.save(tmp_path)
        check_metrics(path)
        every = json.loads(path.read_text())["figures"]["all"]
        assert every["images_without_target"] == every["images"] == 3
        assert every["area_px"] is None
        assert every["scr"] is None
        assert every["share"] == {"point": None, "spot": None, "extended": None}

    def test_a_target_without_a_ring_keeps_its_area(self, tmp_path):
        folder = make_set(tmp_path / "hand")
        for image in (folder / "masks").glob("e*.png"):
            Image.new("L", (64, 48), 255).save(image)
        full = fk.data.measure_targets(fk.load_dataset(folder, "test"))
        check_metrics(full.save(tmp_path))
        assert full.record()["test"]["scr"] is None
        assert full.record()["test"]["area_px"]["50 %"] == 48 * 64

    def test_what_a_save_adds(self, figures, tmp_path):
        path = figures.save(tmp_path, fingerprints={"test": "0123"})
        saved = json.loads(path.read_text())
        assert saved == {
            "dataset": "hand",
            "fingerprints": {"test": "0123"},
            "figures": figures.record(),
        }

    def test_nothing_to_measure(self):
        with pytest.raises(ValueError, match="got splits of no dataset, expected splits of one"):
            fk.data.measure_targets()

    def test_splits_of_two_datasets(self, hand, tmp_path):
        other = make_set(tmp_path / "other", train=1, test=1)
        with pytest.raises(ValueError, match=r"got splits of hand and other, .* load a union"):
            fk.data.measure_targets(fk.load_dataset(hand, "test"), fk.load_dataset(other, "test"))


@pytest.mark.system
def test_the_notebook(tmp_path):
    """It leaves the whole set of scenes, their figures and two pictures."""
    shown_here("01_data", {"scenes": "smoke", "out": str(tmp_path / "work")})
    metrics = tmp_path / "work" / "metrics.json"
    check_metrics(metrics)
    found = json.loads(metrics.read_text())
    splits = {s: fk.load_dataset(tmp_path / "work" / "scenes", s) for s in ("train", "test")}
    assert found["fingerprints"] == {name: split.fingerprint for name, split in splits.items()}
    assert found["faults"] == {"scenes": []}
    stored = json.loads((tmp_path / "work" / "scenes" / "scenes.json").read_text())["scenes"]
    scr = [target["scr"] for entry in stored for target in entry["targets"]]
    assert found["figures"]["all"]["targets"] == len(scr)
    assert found["figures"]["all"]["scr"]["50 %"] == pytest.approx(np.median(scr))
    assert {"targets.png", "samples.png"} < {path.name for path in (tmp_path / "work").iterdir()}


@pytest.mark.system
def test_the_notebook_on_a_folder_makes_the_place_it_writes_to(tmp_path):
    out = tmp_path / "not" / "there"
    given = {"dataset": str(make_set(tmp_path / "hand")), "out": str(out)}
    shown_here("01_data", given)
    figures = {
        f"{name}.{kind}" for name in ("samples", "targets") for kind in ("png", "pdf", "svg")
    }
    assert {path.name for path in out.iterdir()} == {"metrics.json"} | figures


@pytest.mark.slow
@pytest.mark.real
def test_nuaa_sirst():
    """Against figures measured before this code was written, on the same images but one."""
    try:
        splits = [fk.load_dataset("NUAA-SIRST", split) for split in ("train", "test")]
    except FileNotFoundError:
        pytest.skip("NUAA-SIRST is not there; set FESTKIT_DATA")
    every = fk.data.measure_targets(*splits).record()["all"]
    measured = pd.DataFrame({key: every[key] for key in ("area_px", "scr", "contrast")}).T
    expected = [[7, 14, 20, 39, 107], [1.9, 5.3, 10.5, 16.9, 28.6], [19, 35, 52, 74, 113]]
    assert measured.to_numpy() == pytest.approx(np.array(expected), rel=0.03)
    assert every["share"]["point"] == pytest.approx(0.128, abs=5e-4)
