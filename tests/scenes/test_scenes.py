import hashlib
import json
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label, regionprops

from festkit._support import progress as _progress
from festkit.ops.size_classes import kind_of
from festkit.scenes import (
    FAMILIES,
    PRESETS,
    Scene,
    SceneTarget,
    dataset,
    local_scr,
    make_scene,
    make_synthetic_dataset,
)
from festkit.scenes.fields import Plane, fractal
from festkit.scenes.sensor import expose
from festkit.scenes.shapes import KINDS, draw_shape

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SHEET = Path(__file__).parents[2] / "docs" / "scenes.py"


def digest(scene):
    content = scene.image.tobytes() + scene.mask.tobytes() + repr(scene.targets).encode()
    return hashlib.sha256(content).hexdigest()


def ring_scr(image, box, target, mask):
    """Plain-loop oracle: target pixels against all unlabelled pixels within 20 px of the box."""
    ring, signal = [], []
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            near = box[0] - 20 <= y < box[2] + 20 and box[1] - 20 <= x < box[3] + 20
            if target[y, x]:
                signal.append(float(image[y, x]))
            elif near and not mask[y, x]:
                ring.append(float(image[y, x]))
    return (np.mean(signal) - np.mean(ring)) / max(np.std(ring), 0.5)


def parts_of(scene):
    return regionprops(label(scene.mask, connectivity=2))


def part_of(target, parts):
    return min(parts, key=lambda part: np.hypot(*np.subtract(part.centroid, (target.y, target.x))))


@pytest.fixture(scope="module")
def samples():
    return {name: [make_scene(seed, preset=name) for seed in range(40)] for name in PRESETS}


class TestScene:
    def test_same_seed_same_scene(self):
        assert digest(make_scene(3, size=96)) == digest(make_scene(3, size=96))
        assert digest(make_scene(3, size=96)) != digest(make_scene(4, size=96))

    @pytest.mark.system
    def test_same_scene_in_another_process(self):
        code = (
            "from festkit.scenes import make_scene; s = make_scene(11, size=(64, 80));"
            "import hashlib; c = s.image.tobytes() + s.mask.tobytes() + repr(s.targets).encode();"
            "print(hashlib.sha256(c).hexdigest())"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == digest(make_scene(11, size=(64, 80)))

    def test_naming_the_drawn_family_changes_nothing(self):
        drawn = make_scene(5, size=64)
        assert digest(make_scene(5, size=64, family=drawn.family)) == digest(drawn)

    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 10**9),
        height=st.integers(32, 160),
        width=st.integers(32, 160),
        preset=st.sampled_from(sorted(PRESETS)),
    )
    def test_records_match_mask(self, seed, height, width, preset):
        scene = make_scene(seed, size=(height, width), preset=preset)
        assert scene.image.shape == scene.mask.shape == (height, width)
        assert (scene.image.dtype, scene.mask.dtype) == (np.uint8, bool)
        parts = parts_of(scene)
        assert len(parts) == len(scene.targets)
        assert sorted(part.area for part in parts) == sorted(t.area for t in scene.targets)
        for target in scene.targets:
            part = part_of(target, parts)
            assert part.area == target.area
            assert target.kind == kind_of(target.area)
            assert np.hypot(*np.subtract(part.centroid, (target.y, target.x))) < 2.0

    def test_targets_keep_apart(self):
        scene = make_scene(2, size=256, targets=12)
        grown = cv2.dilate(scene.mask.astype(np.uint8), np.ones((7, 7)))
        assert label(grown, connectivity=2).max() == len(scene.targets) == 12

    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_family(self, family):
        scene = make_scene(1, size=(48, 128), family=family.upper(), targets=1)
        assert (scene.family, scene.preset, scene.seed) == (family, "nuaa", 1)
        assert scene.image.std() > 0
        assert len(scene.targets) == 1

    def test_no_targets(self):
        scene = make_scene(0, size=64, targets=0)
        assert scene.targets == ()
        assert not scene.mask.any()

    def test_target_keeps_its_pixels_when_the_image_grows(self):
        small, large = (
            np.median([t.area for seed in range(15) for t in make_scene(seed, size=size).targets])
            for size in (96, 288)
        )
        assert 0.5 < small / large < 2

    @pytest.mark.slow
    @pytest.mark.parametrize("preset", ["easy", "nuaa"])
    def test_measured_scr_is_the_stated_one(self, samples, preset):
        targets = [target for scene in samples[preset] for target in scene.targets]
        ratio = [target.scr / target.stated_scr for target in targets]
        assert abs(np.median(ratio) - 1) < 0.02
        assert np.mean(np.abs(np.log(ratio)) < 0.1) > 0.9

    def test_measured_scr_against_plain_loops(self, samples):
        scene = next(scene for scene in samples["nuaa"] if len(scene.targets) > 1)
        labels = label(scene.mask, connectivity=2)
        for target in scene.targets:
            part = part_of(target, parts_of(scene))
            own = labels == part.label
            assert target.scr == pytest.approx(ring_scr(scene.image, part.bbox, own, scene.mask))

    def test_presets_are_ordered(self, samples):
        scr, area = (
            {
                name: np.median([getattr(t, key) for scene in scenes for t in scene.targets])
                for name, scenes in samples.items()
            }
            for key in ("scr", "area")
        )
        assert scr["easy"] > 1.3 * scr["nuaa"] > 1.3 * 1.3 * scr["hard"]
        assert area["hard"] < area["easy"]

    def test_nuaa_preset_is_near_nuaa_sirst(self, samples):
        targets = [target for scene in samples["nuaa"] for target in scene.targets]
        scr = np.percentile([t.scr for t in targets], [10, 50, 90])
        area = np.percentile([t.area for t in targets], [10, 50, 90])
        assert np.all(np.array([1.5, 6, 14]) < scr)
        assert np.all(scr < np.array([6, 15, 32]))
        assert np.all(np.array([4, 12, 40]) < area)
        assert np.all(area < np.array([12, 32, 130]))
        assert {t.kind for t in targets} == set(KINDS)

    def test_gray_levels_fill_the_range_without_clipping_everything(self, samples):
        means = [scene.image.mean() for scenes in samples.values() for scene in scenes]
        clipped = [np.isin(scene.image, [0, 255]).mean() for scene in samples["nuaa"]]
        assert 80 < np.mean(means) < 140
        assert np.mean(clipped) < 0.05


class TestBadInput:
    def test_unknown_preset(self):
        with pytest.raises(ValueError, match=r"unknown preset 'nua'.*easy, nuaa, hard.*'nuaa'"):
            make_scene(0, preset="nua")

    def test_unknown_family(self):
        with pytest.raises(ValueError, match=r"unknown family 'clouds'.*Did you mean 'cloud'"):
            make_scene(0, family="clouds")

    def test_small_size(self):
        with pytest.raises(ValueError, match=r"size is 31x64 px, expected at least 32 px"):
            make_scene(0, size=(31, 64))

    @pytest.mark.parametrize("size", [64.5, "64", (64, 64, 64), ()])
    def test_odd_size(self, size):
        with pytest.raises(ValueError, match=r"size is .*, expected a whole number of px"):
            make_scene(0, size=size)

    def test_negative_numbers(self):
        with pytest.raises(ValueError, match=r"seed is -1, expected a number in \[0"):
            make_scene(-1)
        with pytest.raises(ValueError, match="targets is -2, expected a number, or None"):
            make_scene(0, targets=-2)

    def test_too_many_targets(self):
        with pytest.raises(ValueError, match=r"of 40 targets fit into 32x32 px; use fewer"):
            make_scene(0, size=32, targets=40)


class TestParts:
    def test_local_scr_by_hand(self):
        image = np.tile([10.0, 14.0], (5, 3))
        image[2, 2] = 32.0
        target = image == 32
        # ring: 14 pixels of 10, 15 of 14
        ring = np.array([10.0] * 14 + [14.0] * 15)
        assert local_scr(image, target, target) == pytest.approx((32 - ring.mean()) / ring.std())

    def test_local_scr_leaves_other_targets_and_far_pixels_out(self):
        image = np.tile([10.0, 14.0], (60, 30))
        target, other = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
        target[30, 30], other[30, 40] = True, True
        image[target], image[other], image[0, :] = 50, 200, 255
        near = np.tile([10.0, 14.0], (41, 21))[:, :41]
        near = np.delete(near.ravel(), [20 * 41 + 20, 20 * 41 + 30])
        expected = (50 - near.mean()) / near.std()
        assert local_scr(image, target, target | other) == pytest.approx(expected)

    def test_local_scr_on_a_flat_image_is_finite(self):
        image = np.zeros((9, 9))
        image[4, 4] = 3.0
        assert local_scr(image, image > 0, image > 0) == pytest.approx(6.0)

    @pytest.mark.parametrize("beta", [1.0, 2.0, 3.5])
    def test_fractal_has_its_slope(self, beta):
        field = fractal(np.random.default_rng(0), (256, 256), beta)
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, abs=1e-3)
        power = np.abs(np.fft.fft2(field * np.outer(np.hanning(256), np.hanning(256)))) ** 2
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        inside = (radius > 0.02) & (radius < 0.4)
        slope = np.polyfit(np.log(radius[inside]), np.log(power[inside]), 1)[0]
        assert slope == pytest.approx(-beta, abs=0.1)

    def test_plane_in_perspective(self):
        plane = Plane((100, 50), horizon=20.0, focal=200.0)
        # 80 rows below the horizon at the lower edge: twice as far at half of that
        assert plane.depth[60, 0] == pytest.approx(2.0)
        away, aside = plane.ground(0.0)
        assert aside[60, 35] == pytest.approx(2.0 * 10)
        assert away[60, 0] / away[99, 0] == pytest.approx(2.0 / (80 / 79))

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), optics=st.floats(0.4, 2))
    def test_shapes(self, seed, kind, optics):
        for family in ("sky", "ocean"):
            fill = draw_shape(np.random.default_rng(seed), kind, family, optics)
            assert fill.max() == 1
            assert fill.min() >= 0
            assert label(fill > 0.3, connectivity=2).max() >= 1
            assert max(fill.shape) < 48

    def test_noise_is_the_one_asked_for(self):
        flat = np.full((128, 128), 0.3, np.float32)
        for seed in range(5):
            frame = expose(np.random.default_rng(seed), flat, (128, 128), (3.0, 3.0))
            step = np.diff(frame.gray, axis=1)
            assert frame.noise == pytest.approx(3.0)
            assert 1.0 < 1.4826 * np.median(np.abs(step)) / 2**0.5 < 4.5
            assert 0 <= frame.gray.min() <= frame.gray.max() <= 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tiny"
    return make_synthetic_dataset(path, train=3, test=2, size=(64, 80), seed=5)


class TestDataset:
    def test_layout(self, folder):
        train = (folder / "img_idx" / "train_tiny.txt").read_text().split()
        test = (folder / "img_idx" / "test_tiny.txt").read_text().split()
        assert (len(train), len(test)) == (3, 2)
        for kind in ("images", "masks"):
            stems = {path.stem for path in (folder / kind).glob("*.png")}
            assert stems == set(train) | set(test)
        for name in train + test:
            mask = cv2.imread(str(folder / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (64, 80)
            assert set(np.unique(mask)) <= {0, 255}

    def test_records_match_files(self, folder):
        record = json.loads((folder / "scenes.json").read_text())
        assert record["parameters"]["size"] == [64, 80]
        assert len({entry["seed"] for entry in record["scenes"]}) == 5
        for entry in record["scenes"]:
            scene = make_scene(entry["seed"], size=(64, 80))
            image, mask = (
                cv2.imread(str(folder / kind / f"{entry['name']}.png"), cv2.IMREAD_UNCHANGED)
                for kind in ("images", "masks")
            )
            assert np.array_equal(image, scene.image)
            assert np.array_equal(mask > 127, scene.mask)
            assert entry["family"] == scene.family
            assert sum(target["area"] for target in entry["targets"]) == (mask > 127).sum()
            assert all(target["scr"] > 0 for target in entry["targets"])
            assert entry["split"] == entry["name"].split("_")[0]

    def test_more_scenes_keep_the_first_ones(self, folder, tmp_path):
        larger = make_synthetic_dataset(tmp_path / "l", train=4, test=2, size=(64, 80), seed=5)
        for path in (folder / "images").iterdir():
            assert (larger / "images" / path.name).read_bytes() == path.read_bytes()

    def test_same_set_is_returned_at_once(self, folder, monkeypatch):
        monkeypatch.setattr(dataset, "make_scene", None)
        again = make_synthetic_dataset(str(folder), train=3, test=2, size=(64, 80), seed=5)
        assert again == folder

    def test_other_set_is_refused(self, folder):
        match = r"holds other scenes \(train is 3, expected 4; preset is nuaa, expected hard\)"
        with pytest.raises(FileExistsError, match=match):
            make_synthetic_dataset(folder, train=4, test=2, size=(64, 80), seed=5, preset="Hard")

    def test_other_folder_is_refused(self, tmp_path):
        (tmp_path / "photo.png").write_bytes(b"")
        with pytest.raises(
            FileExistsError, match="is not a set of synthetic scenes; choose another"
        ):
            make_synthetic_dataset(tmp_path, train=1, test=1)

    def test_failure_half_way_leaves_nothing(self, tmp_path, monkeypatch):
        written = []

        def fails_later(path, image):
            written.append(path)
            if len(written) == 3:
                raise OSError(28, "No space left on device")
            path.write_bytes(b"part")

        monkeypatch.setattr(dataset, "_write_png", fails_later)
        with pytest.raises(OSError, match="No space left"):
            make_synthetic_dataset(tmp_path / "set", train=3, test=1, size=32)
        assert len(written) == 3
        assert list(tmp_path.iterdir()) == []

    def test_progress_is_shown(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(_progress, "DELAY", 0.0)
        make_synthetic_dataset(tmp_path / "set", train=1, test=0, size=32)
        assert "scenes for set" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"train": -1}, r"train is -1, expected a number of scenes in \[0, 1000000\]"),
            ({"test": -3}, r"test is -3, expected a number of scenes in \[0, 1000000\]"),
            ({"train": 0, "test": 0}, "train and test are both 0"),
            ({"size": 16}, "size is 16x16 px, expected at least 32 px"),
            ({"seed": -1}, r"seed is -1, expected a number in \[0"),
            ({"preset": "eazy"}, "unknown preset 'eazy'.*Did you mean 'easy'"),
        ],
    )
    def test_bad_input(self, tmp_path, options, message):
        with pytest.raises(ValueError, match=message):
            make_synthetic_dataset(tmp_path / "set", **options)
        assert list(tmp_path.iterdir()) == []

    def test_committed_samples_are_whole_and_small(self):
        record = json.loads((SAMPLES / "scenes.json").read_text())
        names = {path.stem for path in (SAMPLES / "images").glob("*.png")}
        assert names == {entry["name"] for entry in record["scenes"]}
        assert {entry["family"] for entry in record["scenes"]} == set(FAMILIES)
        assert sum(path.stat().st_size for path in SAMPLES.rglob("*.png")) < 1_000_000
        for entry in record["scenes"]:
            mask = cv2.imread(str(SAMPLES / "masks" / f"{entry['name']}.png"), 0)
            assert label(mask, connectivity=2).max() == len(entry["targets"])


@pytest.fixture(scope="module")
def contact_sheet():
    return runpy.run_path(str(SHEET))["contact_sheet"]


class TestContactSheet:
    def test_grid(self, contact_sheet):
        scenes = [make_scene(seed, size=64) for seed in range(3)]
        one = contact_sheet(scenes[:1], columns=1)
        assert contact_sheet(scenes, columns=2).shape == (2 * one.shape[0], 2 * one.shape[1], 3)

    def test_no_scenes(self, contact_sheet):
        with pytest.raises(ValueError, match="no scenes to draw"):
            contact_sheet([])

    def test_outline_does_not_cover_the_target(self, contact_sheet):
        image, mask = np.full((64, 64), 50, np.uint8), np.zeros((64, 64), bool)
        mask[30:33, 30:34] = True
        image[mask] = 200
        target = SceneTarget("spot", 31.0, 31.5, 12, 300.0, 300.0)
        scene = Scene(image, mask, (target,), "sky", "nuaa", 0)
        sheet = contact_sheet([scene], columns=1)
        picture, enlarged = sheet[15:231], sheet[231:-15]
        assert (picture == 200).all(axis=2).sum() == 12
        # three times enlarged and stretched to 20 ... 235
        assert (enlarged == 235).all(axis=2).sum() == 12 * 9
        assert (sheet == (0, 255, 0)).all(axis=2).any()

    @pytest.mark.slow
    def test_command(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["scenes.py", str(tmp_path / "sheet.png")])
        runpy.run_path(str(SHEET), run_name="__main__")
        assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 6 * 216
        monkeypatch.setattr(sys, "argv", ["scenes.py"])
        with pytest.raises(SystemExit, match=r"usage: python docs/scenes\.py OUT\.png"):
            runpy.run_path(str(SHEET), run_name="__main__")
