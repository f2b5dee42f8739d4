"""Own images: opening a FEST, large frames in squares, many images into files."""

import csv
import hashlib
import json
import os
import pickle
import re
import shutil
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from smallbooks import shown_here

import festkit as fk
import festkit.fest
from festkit.data.images import read_raster
from festkit.fest import FEST
from festkit.inference import folder as many
from festkit.inference.folder import SkippedImages, predict_images
from festkit.inference.gray import GrayRule
from festkit.inference.models import trained_on
from festkit.inference.opening import open_model
from festkit.inference.reading import read_image, tiled_maps
from festkit.ops.tiles import tile_corners
from festkit.pretrained import weights_file
from festkit.weights import load_weights, read_card, save_weights


class Bright(torch.nn.Module):
    """Probability above 0.5 where a pixel is brighter than the mean gray value by half a std."""

    def __init__(self):
        super().__init__()
        self.see = torch.nn.Conv2d(3, 1, 1)
        torch.nn.init.constant_(self.see.weight, 1.0)
        torch.nn.init.constant_(self.see.bias, -1.5)
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        return self.see(image)


def bright(*sizes, **settings):
    return FEST({size: Bright() for size in sizes}, mean=0.4, std=0.1, **settings)


def expected(image):
    """What Bright says of every pixel by itself."""
    gray = (image.astype(np.float64) / 255 - 0.4) / 0.1
    return 1 / (1 + np.exp(1.5 - 3 * gray))


def scene(height, width, *spots, level=60):
    image = np.full((height, width), level, np.uint8)
    for y, x in spots:
        image[y - 1 : y + 2, x - 1 : x + 2] = 250
    return image


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for name, spots in (("a", [(10, 20)]), ("b", []), ("c", [(5, 5), (30, 40)])):
        Image.fromarray(scene(48, 64, *spots)).save(folder / f"{name}.png")
    return folder


def rows_of(table):
    """The targets, without the rows of empty frames."""
    with table.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"]]


class TestTiles:
    @pytest.mark.parametrize("shape", [(32, 32), (33, 95), (100, 70), (32, 200)])
    def test_a_network_that_sees_pixels_sees_the_same_in_squares(self, shape):
        """Squares as large as the input are not resized, so every pixel is known on its own."""
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        (prob,) = tiled_maps(bright(32), image, 32)
        assert prob.dtype == np.float32
        assert np.abs(prob - expected(image)).max() < 1e-6

    def test_every_scale_has_its_own_map(self):
        image = scene(90, 120, (40, 60))
        maps = tiled_maps(bright(32, 64), image, 32)
        assert [prob.shape for prob in maps] == [(90, 120)] * 2
        assert np.abs(maps[0] - expected(image)).max() < 1e-6
        assert np.abs(maps[1] - maps[0]).max() > 1e-3

    def test_an_image_smaller_than_the_squares_is_seen_whole(self):
        fest, image = bright(32), scene(20, 28, (10, 14))
        assert np.abs(tiled_maps(fest, image, 64)[0] - fest.scale_maps(image)[0]).max() < 1e-6

    def test_a_target_on_a_seam_is_one_target(self):
        _, seam = tile_corners((64, 112), 64)[1]
        detection = bright(64).detect(tiled_maps(bright(64), scene(64, 112, (30, seam)), 64))
        (target,) = detection.targets()
        assert target.centroid == (30, seam)
        assert target.area == 9

    @pytest.mark.parametrize(
        ("shape", "tile", "told"),
        [
            (
                (60, 90),
                17,
                r"17 px are enlarged to 96 px; each of the 35 tiles per image.*tile \(--tile",
            ),
            ((40, 40), 17, None),  # few
            ((120, 120), 24, None),  # not far smaller
            ((200, 250), 220, r"tiles of 220 px are shrunk to 96 px"),
            ((100, 150), 400, None),  # cuts nothing
        ],
    )
    def test_squares_far_from_the_input_size_are_warned_of(self, shape, tile, told):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tiled_maps(bright(32, 96), scene(*shape), tile)
        assert len(caught) == (told is not None)
        assert all(re.search(str(told), str(one.message)) for one in caught)

    def test_small_targets_of_a_large_frame_are_not_shrunk_away(self):
        fest, image = bright(32), scene(256, 256, (104, 104))
        assert not fest.predict(image).strong.any()
        assert fest.detect(tiled_maps(fest, image, 32)).strong[104, 104]

    @given(st.integers(1, 400), st.integers(16, 100))
    def test_squares_cover_a_side_and_overlap_by_a_quarter(self, length, tile):
        starts = [left for _, left in tile_corners((tile, length), tile)]
        assert starts[0] == 0
        assert starts[-1] == max(length - tile, 0)
        assert all(0 < b - a <= tile * 0.75 + 0.5 for a, b in pairwise(starts))

    def test_a_square_of_hardly_a_pixel(self):
        with pytest.raises(ValueError, match="tile is 8, expected a whole number of px, at"):
            tiled_maps(bright(32), scene(40, 40), 8)

    def test_a_colour_image(self):
        with pytest.raises(ValueError, match=r"expected a gray image \(H, W\) of uint8"):
            tiled_maps(bright(32), np.zeros((40, 40, 3), np.uint8), 32)


class TestReadImage:
    @pytest.mark.filterwarnings("ignore:.*gray levels remain")
    @given(st.integers(0, 2**16 - 2), st.integers(0, 2**16 - 1))
    def test_levels_are_black_white_and_evenly_between(self, black, span):
        white = min(black + 1 + span, 2**16 - 1)
        levels = np.array([[0, black, (black + white) // 2, white, 65535]], np.uint16)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "levels.png"
            Image.fromarray(levels).save(path)
            gray = read_image(path, levels=(black, white))[0]
        assert gray.dtype == np.uint8
        assert gray[[0, 1, 3, 4]].tolist() == [0, 0, 255, 255]
        middle = 255 * ((black + white) // 2 - black) / (white - black)
        assert abs(gray[2] - middle) <= 0.5 + 1e-9

    @pytest.mark.parametrize(
        "levels", [(5, 5), (9, 4), (np.nan, 9), (0, np.inf), (1, 2, 3), (1,), "12", 7, ("a", "b")]
    )
    def test_wrong_levels(self, levels, tmp_path):
        with pytest.raises(
            ValueError, match=r"levels are .*expected two gray levels.*black < white"
        ):
            read_image(tmp_path / "never-read.png", levels=levels)

    def test_at_full_range_it_is_the_image_of_a_dataset(self, tmp_path):
        wide = np.linspace(0, 65535, 40 * 40).astype(np.uint16).reshape(40, 40)
        Image.fromarray(wide).save(tmp_path / "wide.png")
        Image.fromarray(scene(20, 30)).convert("RGB").save(tmp_path / "colour.png")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gray = read_image(tmp_path / "wide.png", levels=None)
            assert (read_image(tmp_path / "colour.png") == scene(20, 30)).all()
        assert np.abs(gray - wide / 257).max() <= 0.5

    @pytest.mark.parametrize(
        ("low", "high"), [(0, 4095), (0, 16383), (21000, 24000)], ids=["12 bit", "14 bit", "core"]
    )
    def test_few_levels_are_told(self, low, high, tmp_path):
        frame = np.linspace(low, high, 40 * 40).astype(np.uint16).reshape(40, 40)
        Image.fromarray(frame).save(tmp_path / "frame.png")
        with pytest.warns(UserWarning, match="nearly uniform.*--levels BLACK WHITE"):
            read_image(tmp_path / "frame.png", levels=None)

    def test_of_many_the_first_is_told_and_the_others_are_counted(self, tmp_path):
        frame = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
        for name in "abc":
            Image.fromarray(frame).save(tmp_path / f"{name}.png")
        with pytest.warns(UserWarning, match="nearly uniform") as caught:
            predict_images(bright(64), tmp_path, tmp_path / "out", levels=None)
        first, others = (str(one.message) for one in caught)
        assert first.startswith("a.png has 16 bit")
        assert others == "3 frames have few or no gray levels left, in a.png, b.png, c.png"

    def test_a_hot_pixel_does_not_hide_few_levels(self, tmp_path):
        frame = np.full((40, 40), 21500, np.uint16)
        frame[3, 4] = 65535
        Image.fromarray(frame).save(tmp_path / "hot.png")
        with pytest.warns(UserWarning, match="nearly uniform"):
            read_image(tmp_path / "hot.png", levels=None)

    @pytest.mark.parametrize("hot", [0, 65535])
    def test_a_hot_or_dead_pixel_moves_no_levels(self, hot, tmp_path):
        frame = np.linspace(21000, 23000, 40 * 40).astype(np.uint16).reshape(40, 40)
        Image.fromarray(frame).save(tmp_path / "frame.png")
        before = read_image(tmp_path / "frame.png")
        frame[20, 20] = hot
        Image.fromarray(frame).save(tmp_path / "frame.png")
        moved = np.abs(read_image(tmp_path / "frame.png").astype(int) - before)
        moved[20, 20] = 0
        assert moved.max() <= 1
        assert (before.min(), before.max()) == (0, 255)

    @pytest.mark.parametrize("levels", [(2000, 4000), (-9, -1), (61, 249)])
    def test_levels_that_leave_nothing_of_8_bit_are_told(self, levels, frames):
        with pytest.warns(
            UserWarning,
            match=r"a\.png has 8 bit and levels from 60 to 250; .* no gray levels",
        ):
            read_image(frames / "a.png", levels=levels)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(frames / "a.png", levels=(0, 250)).max() == 255

    def test_one_folder_of_two_sensors_is_told(self, tmp_path):
        kelvin = np.linspace(280, 310, 64 * 64).reshape(64, 64)
        for name, frame in (("a", kelvin * 100), ("b", kelvin * 100), ("c", kelvin)):
            tifffile.imwrite(tmp_path / f"{name}.tif", frame.astype(np.float32))
        out = tmp_path / "out"
        with pytest.warns(
            UserWarning,
            match=r"c\.tif has 32 bit and levels from 280 to 310; .* no gray",
        ):
            predict_images(bright(64), tmp_path, out, levels=(28000, 31000))
        _, complaint = GrayRule((28000, 31000)).gray(read_raster(tmp_path / "c.tif"), "c.tif")
        assert complaint.startswith(
            "c.tif has 32 bit and levels from 280 to 310; between black 28000"
        )
        two = np.where(kelvin > 309, 310, 290).astype(np.float32)
        tifffile.imwrite(tmp_path / "c.tif", two)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            predict_images(bright(64), tmp_path / "c.tif", tmp_path / "alone")

    def test_two_sensors_in_a_folder_that_chooses_its_levels(self, tmp_path):
        noise = np.random.default_rng(0).normal(size=(64, 64))
        Image.fromarray((8000 + 200 * noise).astype(np.uint16)).save(tmp_path / "a.png")
        tifffile.imwrite(tmp_path / "b.tif", (290 + 2 * noise).astype(np.float32))
        with warnings.catch_warnings(action="error"):  # one pair of levels for each type
            predict_images(bright(64), tmp_path, tmp_path / "out")
        rules = json.loads((tmp_path / "out" / "prediction.json").read_text())["gray_rules"]
        assert {name: rule[0] > 5000 for name, rule in rules.items()} == {
            "*.png: uint16": True,
            "*.tif: float32": False,
        }

    @pytest.mark.parametrize(
        ("dtype", "high", "levels"), [("u1", 255, (0, 16383)), ("u2", 1200, (0, 60000))]
    )
    def test_levels_that_leave_few_grays_are_told(self, dtype, high, levels, tmp_path):
        frame = np.linspace(0, high, 40 * 40).astype(dtype).reshape(40, 40)
        Image.fromarray(frame).save(tmp_path / "a.png")
        with pytest.warns(UserWarning, match=r"a\.png has .* [56] gray levels remain"):
            read_image(tmp_path / "a.png", levels=levels)

    def test_levels_of_another_sensor_are_told_once_and_counted(self, frames, tmp_path):
        with pytest.warns(UserWarning, match="no gray levels remain") as caught:
            predict_images(bright(64), frames, tmp_path / "out", levels=(2000, 4000))
        assert str(caught[1].message).startswith("3 frames have few or no gray levels left, in ")

    @pytest.mark.parametrize("dtype", ["int16", "uint32", "int32", "float32", "float64"])
    def test_kelvin_and_other_depths(self, dtype, tmp_path):
        frame = np.full((40, 50), 290).astype(dtype) + (np.arange(50) % 7).astype(dtype)
        frame[10:13, 20:23] = 330
        tifffile.imwrite(tmp_path / "frame.tif", frame)
        gray = read_image(tmp_path / "frame.tif")
        assert (gray[10:13, 20:23] == 255).all()
        assert gray[0, :7].tolist() == [round(255 * k / 40) for k in range(7)]
        half = read_image(tmp_path / "frame.tif", levels=(289.5, 293.5))
        assert half[0, 2] == round(255 * 2.5 / 4)

    def test_float_levels_have_no_full_range(self, tmp_path):
        tifffile.imwrite(tmp_path / "frame.tif", np.linspace(280, 310, 600, dtype="f4")[None])
        with pytest.raises(
            ValueError, match=r"levels of float32 \(280 to 310\) have no full range"
        ):
            read_image(tmp_path / "frame.tif", levels=None)


class TestThreads:
    @pytest.fixture
    def seen(self, monkeypatch):
        """How many threads each image is looked at with."""
        found, see = [], Bright.forward

        def note(self, image):
            found.append(torch.get_num_threads())
            return see(self, image)

        monkeypatch.setattr(Bright, "forward", note)
        return found

    def test_a_fest_measures_once_and_gives_torch_its_own_number_back(self, seen, monkeypatch):
        measured = iter([3])
        monkeypatch.setattr(
            festkit.fest, "resolve_threads", lambda threads: threads or next(measured)
        )
        fest, before = bright(32, 48), torch.get_num_threads()
        seen.clear()  # of the noise that every new network is shown
        for _ in range(2):
            fest.predict(np.zeros((20, 20), np.uint8))
        assert seen == [3] * 4
        assert torch.get_num_threads() == before

    def test_stated_threads(self, frames, tmp_path, seen):
        stated, fest = bright(32, threads=2), bright(32)
        seen.clear()
        stated.predict(np.zeros((20, 20), np.uint8))
        assert seen == [2]
        predict_images(fest, frames, tmp_path / "out", threads=3)
        assert set(seen[1:]) == {3}
        assert fest.threads is None

    def test_no_number(self):
        with pytest.raises(ValueError, match="threads is 0, expected a whole number from 1 to"):
            bright(32, threads=0)


class TestPredictImages:
    def test_what_is_written(self, frames, tmp_path):
        table = predict_images(
            bright(64), frames, tmp_path / "out", formats=["masks", "json", "overlays"]
        )
        rows = rows_of(table)
        assert [row["image"] for row in rows] == ["a.png", "c.png", "c.png"]
        whole = json.loads((tmp_path / "out" / "detections.json").read_text())
        assert [file["image"] for file in whole["files"]] == ["a.png", "b.png", "c.png"]
        for name, record in zip("abc", whole["frames"], strict=True):
            gray = np.asarray(Image.open(frames / f"{name}.png"))
            detection = bright(64).predict(gray)
            mask = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{name}.png"))
            assert mask.shape == gray.shape
            assert (mask == detection.mask).all()
            own = [row for row in rows if row["image"] == f"{name}.png"]
            assert record["image"] == f"{name}.png"
            assert (record["height"], record["width"]) == (48, 64)
            targets = detection.targets()
            for row, written, target in zip(own, record["targets"], targets, strict=True):
                assert row["kind"] == written["kind"] == target.kind
                assert float(row["row"]) == round(target.centroid[0], 2)
                assert int(row["area"]) == written["area"] == target.area
                assert [int(row[n]) for n in ("top", "left", "bottom", "right")] == list(target.box)
                assert written["box"] == list(target.box)
            overlay = np.asarray(Image.open(tmp_path / "out" / "overlays" / f"{name}.png"))
            assert overlay.shape == (96, 128, 3)
            assert bool((np.ptp(overlay, axis=2) > 0).any()) == bool(targets)

    def test_the_table_says_strong_and_weak(self, tmp_path):
        image = scene(64, 64, (20, 20))
        image[40:43, 40:43] = 110  # probability 0.26
        Image.fromarray(image).save(tmp_path / "one.png")
        rows = rows_of(predict_images(bright(64), tmp_path / "one.png", tmp_path / "out"))
        assert [(row["kind"], row["row"], row["column"]) for row in rows] == [
            ("strong", "20.00", "20.00"),
            ("weak", "41.00", "41.00"),
        ]

    def test_a_killed_call_continues(self, frames, tmp_path, monkeypatch):
        whole = predict_images(bright(64), frames, tmp_path / "whole").read_bytes()
        calls, detect = [], many._detect

        def killed(fest, grays, tile):
            calls.append(grays)
            if len(calls) == 3:  # a trial, an image, and then
                raise KeyboardInterrupt
            return detect(fest, grays, tile)

        monkeypatch.setattr(many, "_detect", killed)
        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            predict_images(bright(64), frames, out)
        assert not (out / "targets.csv").exists()
        assert predict_images(bright(64), frames, out).read_bytes() == whole
        assert len(calls) == 6  # a trial each, and what was missing
        assert predict_images(bright(64), frames, out).read_bytes() == whole
        assert len(calls) == 7

    def test_a_changed_image_is_looked_at_again(self, frames, tmp_path):
        out = tmp_path / "out"
        assert len(rows_of(predict_images(bright(64), frames, out))) == 3
        Image.fromarray(scene(48, 64, (10, 20), (40, 10))).save(frames / "b.png")
        assert len(rows_of(predict_images(bright(64), frames, out))) == 5

    def test_an_overlay_of_what_an_image_was_does_not_stay(self, frames, tmp_path):
        out = tmp_path / "out"
        predict_images(bright(64), frames, out, formats=["overlays"])
        before = (out / "overlays" / "b.png").read_bytes()
        Image.fromarray(scene(48, 64, (10, 20), (40, 10))).save(frames / "b.png")
        predict_images(bright(64), frames, out)
        assert not (out / "overlays" / "b.png").exists()
        predict_images(bright(64), frames, out, formats=["overlays"])
        assert (out / "overlays" / "b.png").read_bytes() != before

    def test_images_of_another_folder_are_refused(self, frames, tmp_path):
        shutil.copytree(frames, tmp_path / "others")
        predict_images(bright(64), frames, tmp_path / "out")
        with pytest.raises(FileExistsError, match=r"folders .*frames.* -> .*others"):
            predict_images(bright(64), tmp_path / "others", tmp_path / "out")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"tile": 8}, "tile is 8"),
            ({"tile": 32.5}, "tile is 32.5, expected a whole number of px, at least 16"),
            ({"th1": 3}, "th1 is 3, expected a probability"),
            ({"mean": None}, "gray statistics of the training set are unknown"),
        ],
    )
    def test_wrong_settings_claim_no_folder(self, frames, tmp_path, settings, message):
        tile, fest = settings.pop("tile", None), bright(64)
        for name, value in settings.items():
            setattr(fest, name, value)
        with pytest.raises(ValueError, match=message):
            predict_images(fest, frames, tmp_path / "out", tile=tile)
        assert not (tmp_path / "out").exists()

    def test_numbers_of_numpy_are_numbers(self, frames, tmp_path):
        fest = bright(64)
        fest.th1 = np.float32(0.5)
        for tile in (np.int64(64), 64):
            predict_images(fest, frames, tmp_path / "out", tile=tile)

    def test_files_of_another_festkit_are_refused(self, frames, tmp_path, monkeypatch):
        predict_images(bright(64), frames, tmp_path / "out")
        monkeypatch.setattr(many, "__version__", "99")
        with pytest.raises(FileExistsError, match=r"festkit '.*' -> '99'"):
            predict_images(bright(64), frames, tmp_path / "out")

    @pytest.mark.parametrize("text", ["{", "{}", "[]", '{"sha256": "DIGEST"}\n{"frame": 0}\n'])
    def test_a_damaged_journal_is_made_anew(self, frames, tmp_path, text):
        out = tmp_path / "out"
        whole = predict_images(bright(64), frames, out).read_bytes()
        digest = hashlib.sha256((frames / "a.png").read_bytes()).hexdigest()
        (out / "journal" / "a.png.jsonl").write_text(text.replace("DIGEST", digest))
        assert predict_images(bright(64), frames, out).read_bytes() == whole

    def test_a_damaged_folder(self, frames, tmp_path):
        predict_images(bright(64), frames, tmp_path / "out")
        (tmp_path / "out" / "prediction.json").write_text("[]")
        with pytest.raises(ValueError, match=r"prediction\.json is damaged; delete"):
            predict_images(bright(64), frames, tmp_path / "out")
        with pytest.raises(FileExistsError, match="is a file; pass a folder"):
            predict_images(bright(64), frames, frames / "a.png")

    def test_frames_of_14_bit_show_their_targets(self, tmp_path, capsys):
        """Three targets of 14 bit, one frame without any: one pair of levels for all."""
        rng = np.random.default_rng(0)
        for name, spots in (("1/a", [(10, 20)]), ("1/b", []), ("2/a", [(30, 40), (12, 9)])):
            frame = rng.normal(8000, 60, (48, 64))
            for row, column in spots:
                frame[row - 1 : row + 2, column - 1 : column + 2] = 9100
            (tmp_path / "frames" / name).parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "frames" / f"{name}.tif", frame.astype(np.uint16))
        out = tmp_path / "frames" / "out"
        table = predict_images(bright(64), tmp_path / "frames", out, formats=["masks", "overlays"])
        found = [
            (r["image"], float(r["row"]), float(r["column"]))
            for r in rows_of(table)
            if r["kind"] == "strong"
        ]
        assert found == [("1/a.tif", 10, 20), ("2/a.tif", 12, 9), ("2/a.tif", 30, 40)]
        record = json.loads((out / "prediction.json").read_text())
        assert record["levels"] == "auto"
        rules, said = record["gray_rules"], capsys.readouterr().out
        assert list(rules) == ["1/*.tif: uint16", "2/*.tif: uint16"]
        for folder in "12":
            black, white, inverted = rules[f"{folder}/*.tif: uint16"]
            assert (7700 < black < 7900, white, inverted) == (True, 9100, False)
            told = f"{folder}/*.tif: gray levels {black} and 9100 become black and white (auto)"
            assert told in said
        for kind in ("masks", "overlays"):
            files = sorted((out / kind).rglob("*.*"))
            names = [file.relative_to(out / kind).as_posix() for file in files]
            assert names == ["1/a.png", "1/b.png", "2/a.png"]
        more = np.full((48, 64), 20000, np.uint16)
        more[0, 0] = 20001
        tifffile.imwrite(tmp_path / "frames" / "1" / "c.tif", more)
        with pytest.warns(UserWarning, match="c.tif has 16 bit"):
            predict_images(bright(64), tmp_path / "frames", out)  # the levels stay, out is not read
        assert json.loads((out / "prediction.json").read_text())["gray_rules"] == rules

    def test_frames_of_12_bit_are_told_and_levels_show_their_targets(self, tmp_path):
        """Target and sky are 4 of 256 gray levels apart, unless the levels say otherwise."""
        dark = np.full((48, 48), 21000, np.uint16)
        dark[20:23, 30:33] = 22000
        Image.fromarray(dark).save(tmp_path / "a.png")
        out = tmp_path / "out"
        with pytest.warns(UserWarning, match="between levels 21000 and 21000, the brightest at 22"):
            assert not rows_of(predict_images(bright(48), tmp_path, out, levels=None))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            levels = np.uint16(20500), np.uint16(22500)
            table = predict_images(
                bright(48), tmp_path / "a.png", tmp_path / "stretched", levels=levels
            )
        assert [(row["row"], row["column"]) for row in rows_of(table)] == [("21.00", "31.00")]

    def test_other_levels_are_other_settings(self, frames, tmp_path):
        predict_images(bright(64), frames, tmp_path / "out")
        with pytest.raises(FileExistsError, match=r"levels 'auto' -> \[0, 200\]"):
            predict_images(bright(64), frames, tmp_path / "out", levels=(0, 200))

    def test_wrong_levels_are_told_before_any_file(self, frames, tmp_path):
        with pytest.raises(ValueError, match=r"levels are \(200, 100\), expected two gray levels"):
            predict_images(bright(64), frames, tmp_path / "out", levels=(200, 100))
        assert not (tmp_path / "out").exists()

    def test_a_name_that_is_not_text(self, frames, tmp_path):
        shutil.copy(frames / "a.png", os.fsencode(frames) + b"/bad\xff.png")
        with pytest.raises(ValueError, match="is not text"):
            predict_images(bright(64), frames, tmp_path / "out")

    def test_a_result_that_cannot_be_written_is_told_at_the_end(self, frames, tmp_path):
        shutil.copy(frames / "a.png", frames / f"{'a' * 251}.png")
        with pytest.raises(ValueError, match=r"(?s)1 of 4 files were not read.*name too long"):
            predict_images(bright(64), frames, tmp_path / "out")
        assert len(rows_of(tmp_path / "out" / "targets.csv")) == 3

    def test_hidden_files_and_folders_are_no_images(self, frames, tmp_path):
        (frames / "._a.png").write_bytes(b"x")
        (frames / "folder.png").mkdir()
        assert len(rows_of(predict_images(bright(64), frames, tmp_path / "out"))) == 3

    def test_formats_can_come_later(self, frames, tmp_path, monkeypatch):
        out = tmp_path / "out"
        predict_images(bright(64), frames, out)
        assert not (out / "overlays").exists()
        monkeypatch.setattr(fk.FEST, "detect", None)  # nothing is predicted again
        monkeypatch.setattr(many, "_detect", lambda *_: [])
        predict_images(bright(64), frames, out, formats=["overlays", "coco", "yolo"])
        assert len(list((out / "overlays").iterdir())) == 3
        assert len(json.loads((out / "coco.json").read_text())["annotations"]) == 3

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            (lambda: bright(64, th1=0.6), r"th1 0.5 -> 0.6"),
            (lambda: bright(32), r"networks \{'64': 'Bright'\} -> \{'32': 'Bright'\}"),
        ],
    )
    def test_another_fest_is_refused(self, frames, tmp_path, other, said):
        predict_images(bright(64), frames, tmp_path / "out")
        with pytest.raises(FileExistsError, match=f"with other settings .*{said}"):
            predict_images(other(), frames, tmp_path / "out")

    def test_other_weights_are_refused(self, frames, tmp_path):
        predict_images(bright(64), frames, tmp_path / "out")
        fest = bright(64)
        torch.nn.init.constant_(fest.backbones[64].see.bias, -1.0)
        with pytest.raises(FileExistsError, match=r"weights '.*' -> '.*'"):
            predict_images(fest, frames, tmp_path / "out")

    def test_a_folder_of_other_files_is_refused(self, frames):
        with pytest.raises(FileExistsError, match="frames holds other files"):
            predict_images(bright(64), frames, frames)

    def test_an_image_that_cannot_be_read_is_told_when_the_others_are_done(self, frames, tmp_path):
        good = (frames / "b.png").read_bytes()
        (frames / "b.png").write_bytes(good[:60])
        with pytest.raises(SkippedImages, match=r"(?s)1 of 3 files were not read.*b\.png") as some:
            predict_images(bright(64), frames, tmp_path / "out")
        assert some.value.table == tmp_path / "out" / "targets.csv"
        assert pickle.loads(pickle.dumps(some.value)).table == some.value.table
        assert len(rows_of(tmp_path / "out" / "targets.csv")) == 3
        (frames / "b.png").write_bytes(good)
        predict_images(bright(64), frames, tmp_path / "out")
        assert (tmp_path / "out" / "masks" / "b.png").is_file()

    def test_a_png_of_several_frames(self, tmp_path):
        pages = [Image.fromarray(scene(20, 20)) for _ in range(3)]
        pages[0].save(
            tmp_path / "film.png", save_all=True, append_images=[pages[1].rotate(1), *pages]
        )
        with pytest.raises(ValueError, match=r"film\.png holds \d images, expected one"):
            predict_images(bright(32), tmp_path / "film.png", tmp_path / "again")

    def test_a_thumbnail_is_no_further_image(self, tmp_path):
        small = Image.fromarray(scene(10, 10))
        large = Image.fromarray(scene(40, 40, (20, 20)))
        with tifffile.TiffWriter(tmp_path / "one.tif") as file:
            file.write(np.asarray(large))
            file.write(np.asarray(small), subfiletype=1)
        rows = rows_of(predict_images(bright(64), tmp_path / "one.tif", tmp_path / "out"))
        assert [row["row"] for row in rows] == ["20.00"]

    def test_two_images_of_one_name(self, frames, tmp_path):
        Image.fromarray(scene(20, 20)).save(frames / "a.bmp")
        with pytest.raises(ValueError, match=r"a\.bmp and .*a\.png would have the same"):
            predict_images(bright(32), frames, tmp_path / "out")

    def test_names_that_one_disk_in_two_tells_apart(self, frames, tmp_path):
        Image.fromarray(scene(20, 20)).save(frames / "A.png")
        with pytest.raises(ValueError, match=r"A\.png and .*a\.png would have the same"):
            predict_images(bright(32), frames, tmp_path / "out")

    def test_frames_in_folders_within_keep_them_in_their_names(self, frames, tmp_path):
        for folder in ("x", "y"):
            shutil.copytree(frames, tmp_path / "all" / folder)
        rows = rows_of(predict_images(bright(64), tmp_path / "all", tmp_path / "all" / "out"))
        names = ["x/a.png", "x/c.png", "x/c.png", "y/a.png", "y/c.png", "y/c.png"]
        assert [row["image"] for row in rows] == names
        for _ in range(2):  # predictions within are no images
            predict_images(bright(64), tmp_path / "all", tmp_path / "all" / "out")
            predict_images(bright(64), tmp_path / "all", tmp_path / "all" / "again")
        assert len(list((tmp_path / "all" / "again" / "masks").rglob("*.png"))) == 6

    def test_other_formats_are_told(self, frames, tmp_path):
        for name in ("x.gif", "y.fits", "z.seq", "notes.txt"):
            (frames / name).write_bytes(b"x")
        with pytest.warns(UserWarning, match=r"not read: \S*x\.gif, \S*y\.fits, \S*z\.seq; save"):
            assert len(rows_of(predict_images(bright(64), frames, tmp_path / "out"))) == 3
        for name in "abc":
            (frames / f"{name}.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"contains no images .*not read: \S*x\.gif"):
            predict_images(bright(64), frames, tmp_path / "other")

    def test_positions_are_those_of_the_picture_that_is_shown(self, tmp_path):
        image = Image.fromarray(scene(48, 64, (10, 50)))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "a.png", exif=exif)
        shown = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
        rows = rows_of(predict_images(bright(64), tmp_path / "a.png", tmp_path / "out"))
        assert [(row["row"], row["column"]) for row in rows] == [("50.00", "37.00")]
        assert Image.open(tmp_path / "out" / "masks" / "a.png").size == shown.size

    def test_a_file_named_twice_is_one_image(self, frames, tmp_path):
        again = frames / ".." / "frames" / "a.png"
        table = predict_images(bright(64), [frames / "a.png", again, frames], tmp_path / "out")
        assert len(rows_of(table)) == 3

    @pytest.mark.parametrize("where", ["nowhere", "frames/empty"])
    def test_no_image(self, frames, tmp_path, where):
        (frames / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match=where):
            predict_images(bright(32), tmp_path / where, tmp_path / "out")
        with pytest.raises(ValueError, match="no images given"):
            predict_images(bright(32), [], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_frames_that_would_be_shrunk_are_told(self, tmp_path):
        Image.fromarray(scene(64, 128, (9, 9))).save(tmp_path / "wide.png")
        with pytest.warns(UserWarning, match="images of 128 × 64 px are shrunk to 64 px.*--tile"):
            predict_images(bright(64), tmp_path / "wide.png", tmp_path / "out")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            predict_images(bright(64), tmp_path / "wide.png", tmp_path / "tiled", tile=64)


class TestOpenFest:
    def test_every_kind_of_source(self, tmp_path):
        entry = "nuaa-sirst/acm-256-eedm"
        by_name = open_model(entry, device="cpu")
        by_file = open_model(weights_file(entry), device="cpu")
        saved = open_model(by_name.save(tmp_path / "fest.safetensors"), device="cpu")
        run = tmp_path / "run"
        run.mkdir()
        shutil.copy(weights_file(entry), run / "weights.safetensors")
        (run / "record.json").write_text(json.dumps(read_card(weights_file(entry))))
        image = scene(64, 64, (30, 30))
        for fest in (by_file, saved, open_model(run, device="cpu")):
            assert (fest.probability(image) == by_name.probability(image)).all()
            assert (fest.th1, fest.th2) == (0.5, 0.1)

    def test_a_saved_fest_says_what_it_was_trained_on(self, tmp_path):
        fest = open_model("nuaa-sirst/acm", device="cpu")
        card = read_card(weights_file("nuaa-sirst/acm-512-eedm"))
        assert fest.origin == {
            name: card[name] for name in ("dataset", "train_split", "test_split")
        }
        saved = fest.save(tmp_path / "fest.safetensors")
        assert FEST.load(saved).origin == fest.origin
        assert trained_on(saved) == trained_on("nuaa-sirst/acm")
        untold = FEST({32: "ACM"}, mean=0.4, std=0.1).save(tmp_path / "untold.safetensors")
        assert (FEST.load(untold).origin, trained_on(untold)) == (None, {})

    def test_the_folder_of_a_fit(self, tmp_path):
        """Its scales come in its order, without runs of another fit that lie there, too."""
        (tmp_path / "fest.json").write_text('{"sizes": [1024, 512]}')
        for size in (256, 512, 1024):
            run = tmp_path / str(size)
            run.mkdir()
            entry = weights_file("nuaa-sirst/acm-512-eedm")
            card = read_card(entry) | {"size": size}
            save_weights(load_weights(entry), run / "weights.safetensors", card)
            (run / "record.json").write_text(json.dumps(card))
        assert list(open_model(tmp_path, device="cpu").backbones) == [1024, 512]
        assert list(trained_on(tmp_path)) == ["NUAA-SIRST"]
        (tmp_path / "fest.json").write_text("[]")
        with pytest.raises(ValueError, match="does not list its sizes"):
            open_model(tmp_path, device="cpu")
        (tmp_path / "fest.json").write_text('{"sizes": [1024, 512]}')
        (tmp_path / "1024" / "record.json").unlink()
        with pytest.raises(FileNotFoundError, match="1024 holds no finished run"):
            open_model(tmp_path, device="cpu")

    def test_a_folder_of_runs_opens_its_fest(self, tmp_path):
        """As the demo leaves it: a FEST beside the runs that it was made of."""
        entry = weights_file("nuaa-sirst/acm-256-eedm")
        for name in ("256-bce", "256-eedm"):
            run = tmp_path / name
            run.mkdir()
            shutil.copy(entry, run / "weights.safetensors")
            (run / "record.json").write_text(json.dumps(read_card(entry)))
        with pytest.raises(
            FileNotFoundError, match=r"no finished run; its subfolders do.*256-bce \S+256-eedm$"
        ):
            open_model(tmp_path, device="cpu")
        fest = open_model(entry, device="cpu")
        fest.th1 = 0.4
        fest.save(tmp_path / "fest.safetensors")
        assert open_model(tmp_path, device="cpu").th1 == 0.4
        assert trained_on(tmp_path) == trained_on(entry)
        fest.save(tmp_path / "fest-tuned-256.safetensors")
        with pytest.raises(
            ValueError, match=r"several FESTs \(fest-tuned-256\.safetensors, fest\.safetensors\)"
        ):
            open_model(tmp_path, device="cpu")

    def test_what_a_run_was_trained_on_goes_by_one_name(self, tmp_path):
        """Records hold what was typed, as older ones do."""
        for typed, name in (("sirst", "NUAA-SIRST"), ("nudt_sirst+own", "NUDT-SIRST+own")):
            (tmp_path / "record.json").write_text(json.dumps({"dataset": typed}))
            assert "+".join(trained_on(tmp_path)) == name

    def test_a_run_that_was_tuned_says_so(self, tmp_path):
        entry = weights_file("nuaa-sirst/acm-256-eedm")
        shutil.copy(entry, tmp_path / "weights.safetensors")
        tuned = {"th1": 0.3, "th2": 0.05, "rule": "fused", "scales": [256]}
        record = tmp_path / "record.json"
        record.write_text(json.dumps(read_card(entry) | {"tuned": tuned}))
        with pytest.warns(
            UserWarning, match=r"tuned to 0\.3 / 0\.05 \(fused\), but opens with 0\.5"
        ):
            open_model(tmp_path, device="cpu")
        for other in ({"scales": [256, 384]}, {"th1": 0.5, "th2": 0.1, "rule": "per_scale"}):
            record.write_text(json.dumps(read_card(entry) | {"tuned": tuned | other}))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                open_model(tmp_path, device="cpu")

    def test_several_sources_are_scales(self):
        fest = open_model("NUAA-SIRST/acm-512-eedm", "nuaa-sirst/acm-256-eedm", device="cpu")
        assert list(fest.backbones) == [512, 256]

    @pytest.mark.parametrize(
        ("sources", "error", "said"),
        [
            (["nuaa/acm"], ValueError, "nuaa/acm is not a file, a folder, or an entry of the zoo"),
            (["acm"], ValueError, "Similar entries: nuaa-sirst/acm, "),
            ([], ValueError, "pass at least one"),
            (["nuaa-sirst/acm-256-eedm"] * 2, ValueError, "pass one per size"),
            (["nuaa-sirst/uiu-net"], FileNotFoundError, "To train it: festkit zoo train"),
            (["."], FileNotFoundError, "holds no finished run"),
            (
                ["net.pth"],
                ValueError,
                "net.pth is not a .safetensors file; read a published checkpoint",
            ),
        ],
    )
    def test_what_cannot_be_opened(self, sources, error, said, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("net.pth").write_bytes(b"pickled")
        with pytest.raises(error, match=said):
            open_model(*sources, device="cpu")

    def test_a_whole_fest_takes_no_further_scales(self, tmp_path):
        file = FEST({32: "ACM"}, mean=0.4, std=0.1).save(tmp_path / "fest.safetensors")
        with pytest.raises(ValueError, match="cannot be combined"):
            open_model(file, "nuaa-sirst/acm-512-eedm", device="cpu")


def test_the_notebook(frames, tmp_path):
    (frames / "broken.png").write_bytes((frames / "a.png").read_bytes()[:60])
    given = {"images": str(frames), "model": "nuaa-sirst/acm-256-eedm", "th1": 0.4}
    out = tmp_path / "work"
    shown_here("05_your_images", given | {"device": "cpu", "out": str(out)})
    metrics = json.loads((out / "metrics.json").read_text())
    kinds = [row["kind"] for row in rows_of(Path(metrics["table"]))]
    assert metrics["targets"] == {kind: kinds.count(kind) for kind in ("strong", "weak")}
    assert metrics["targets"]["strong"] >= 3
    assert (metrics["th1"], metrics["th2"]) == (0.4, 0.1)
    assert re.search(r"1 of 4 files were not read.*\n.*broken\.png", metrics["left_out"])
    assert len(list(Path(metrics["table"]).parent.glob("overlays/*.png"))) == 3


def test_false_colours_are_told_of(tmp_path):
    jet = np.zeros((32, 32, 3), np.uint8)
    jet[..., 2] = 200
    jet[4:8, 4:8] = 255, 60, 0
    Image.fromarray(jet).save(tmp_path / "jet.png")
    with pytest.warns(UserWarning, match=r"jet\.png is a colour picture.*Save the image in gray"):
        read_image(tmp_path / "jet.png")
    gray = np.repeat(np.arange(1024, dtype=np.uint16).astype(np.uint8).reshape(32, 32, 1), 3, 2)
    gray[0, :5] = 255, 0, 0  # a mark of the recorder
    Image.fromarray(gray).save(tmp_path / "gray.png")
    with warnings.catch_warnings(action="error"):
        assert (read_image(tmp_path / "gray.png", "full")[1:] == gray[1:, :, 0]).all()
