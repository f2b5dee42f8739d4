"""Frames of any sensor: readers, levels, polarity, formats, interrupted runs, bad input."""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from fractions import Fraction

import cameras
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from test_inference import bright, rows_of

from festkit.data.dataset import load_dataset
from festkit.data.weak import region_of
from festkit.inference import folder as many
from festkit.inference.files import open_frames
from festkit.inference.folder import SkippedImages, predict_images
from festkit.inference.frames import RawFormat
from festkit.inference.gray import CLEARLY, spot_factor
from festkit.inference.journal import Journal, mask_of
from festkit.inference.reading import read_frames
from festkit.inference.sources import find_sources

SHAPE = 48, 64
RAW = "64x48:uint16"


def found_of(table, name, frame=0):
    """Rounded centres of the strong targets of a frame, in order."""
    return sorted(
        (round(float(row["row"])), round(float(row["column"])))
        for row in rows_of(table)
        if row["image"] == name and int(row["frame"]) == frame and row["kind"] == "strong"
    )


def all_rows(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_all_found(table, planted):
    for name, frames in planted.items():
        for number, centres in enumerate(frames):
            assert found_of(table, name, number) == sorted(centres), (name, number)


class TestReaders:
    @pytest.mark.parametrize("write", [cameras.write_images, cameras.write_films])
    def test_every_file_gives_its_targets(self, write, tmp_path):
        planted = write(tmp_path / "in", SHAPE)
        table = predict_images(bright(64), tmp_path / "in", tmp_path / "out", raw=RAW)
        assert_all_found(table, planted)
        files = json.loads((tmp_path / "out" / "detections.json").read_text())["files"]
        assert {file["image"] for file in files} == set(planted)

    def test_every_video_gives_its_targets(self, tmp_path):
        pytest.importorskip("av")
        planted = cameras.write_videos(tmp_path / "in", SHAPE)
        formats = ["masks", "overlays"]
        table = predict_images(
            bright(64), tmp_path / "in", tmp_path / "out", raw=RAW, formats=formats
        )
        assert_all_found(table, planted)
        times = {float(row["time"]) for row in all_rows(table)}
        assert times == {0, 0.04, 0.08}
        overlay = open_frames(tmp_path / "out" / "overlays" / "video" / "h264.mp4")
        assert [frame.raster.levels.shape for frame in overlay] == [(96, 128)] * cameras.FRAMES

    def test_a_radiometric_jpeg_gives_temperatures(self, tmp_path):
        pytest.importorskip("flyr")
        planted = cameras.write_radiometrics(tmp_path / "in", SHAPE)
        table = predict_images(bright(64), tmp_path / "in", tmp_path / "out")
        assert_all_found(table, planted)
        for row in rows_of(table):
            assert float(row["temperature"]) == pytest.approx(32, abs=0.05)  # as it was drawn

    @pytest.mark.parametrize("package", ["av", "flyr"])
    def test_what_needs_an_extra_is_named(self, package, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, package, None)
        (tmp_path / "a.mp4").write_bytes(b"x")
        cameras.write_radiometric(tmp_path / "a.jpg", np.full(SHAPE, 20.0))
        name = {"av": "a.mp4", "flyr": "a.jpg"}[package]
        with pytest.raises(SkippedImages, match=rf"{name} is a .*: pip install {package}"):
            predict_images(bright(64), tmp_path / name, tmp_path / "out")

    def test_turned_videos_are_shown_upright(self, tmp_path):
        av = pytest.importorskip("av")
        frames, _ = cameras.film(2, SHAPE)
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=5, options={"crf": "8"})
            stream.height, stream.width = SHAPE
            stream.set_display_rotation(90)
            for levels in frames.astype(np.uint8):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="gray")))
            container.mux(stream.encode())
        for frame, stored in zip(open_frames(tmp_path / "a.mp4"), frames, strict=True):
            off = frame.raster.levels.astype(float) - np.rot90(stored)
            assert np.abs(off).mean() < 2

    def test_pictures_stored_from_the_bottom(self, tmp_path):
        pytest.importorskip("av")
        levels = cameras.film(2, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
        path = tmp_path / "a.avi"
        cameras.write_video(path, levels, "rawvideo", "gray16le")
        data = bytearray(path.read_bytes())
        at = data.find(b"strf") + 16
        data[at : at + 4] = (-int.from_bytes(data[at : at + 4], "little", signed=True)).to_bytes(
            4, "little"
        )
        path.write_bytes(data)
        for frame, stored in zip(open_frames(path), levels, strict=True):
            assert (frame.raster.levels == stored[::-1]).all()

    def test_frames_are_those_of_the_file(self, tmp_path):
        levels = cameras.film(3, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
        levels.astype(">u2").tofile(tmp_path / "a.raw")
        np.savez(tmp_path / "a.npz", levels)
        tifffile.imwrite(tmp_path / "a.tif", levels, photometric="minisblack")
        for name in ("a.raw", "a.npz", "a.tif"):
            with open_frames(tmp_path / name, RawFormat.parse("64x48:uint16be")) as file:
                frames = list(file)
                (last,) = list(file.sample(1))[-1:]
            assert [frame.number for frame in frames] == [0, 1, 2]
            assert (np.stack([frame.raster.levels for frame in frames]) == levels).all()
            assert (last.raster.levels == levels[0]).all()

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("packed", [False, True])
    def test_a_page_needs_the_memory_of_a_page(self, dtype, packed, tmp_path):
        """Also where OpenCV has to unpack it."""
        pages = np.random.default_rng(0).integers(0, 200, (100, 96, 128)).astype(dtype)
        path = tmp_path / "a.tif"
        if packed:
            cv2.imwritemulti(str(path), list(pages))  # LZW
        else:
            tifffile.imwrite(path, pages, photometric="minisblack")
        with open_frames(path) as file:
            next(iter(file))
            tracemalloc.start()
            assert all((frame.raster.levels == pages[frame.number]).all() for frame in file)
            assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 3
            tracemalloc.stop()

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("big", [False, True])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_pages_are_shown_upright(self, order, big, dtype, tmp_path):
        pages = np.arange(3 * 6 * 8).reshape(3, 6, 8).astype(dtype)
        tag = (274, 3, 1, 6, True)
        with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big, byteorder=order) as file:
            for page in pages:
                file.write(page, photometric="minisblack", extratags=[tag])
        with open_frames(tmp_path / "a.tif") as file:
            assert all((f.raster.levels == np.rot90(pages[f.number], -1)).all() for f in file)

    @pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_deflate"])
    @pytest.mark.parametrize("mode", ["L", "P", "1"])
    def test_pages_of_8_bit(self, mode, compression, tmp_path):
        pages = np.random.default_rng(0).integers(0, 255, (3, 48, 64)).astype(np.uint8)
        first, *others = (Image.fromarray(page).convert(mode) for page in pages)
        options = {"append_images": others, "compression": compression}
        first.save(tmp_path / "a.tif", save_all=True, **options)
        with open_frames(tmp_path / "a.tif") as file:
            for frame, page in zip(file, [first, *others], strict=True):
                assert (frame.raster.levels == np.asarray(page.convert("L"))).all()

    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_a_video_may_be_shorter_than_its_sound(self, suffix, tmp_path):
        av = pytest.importorskip("av")
        frames = cameras.film(25, SHAPE)[0].astype(np.uint8)
        with av.open(str(tmp_path / f"a.{suffix}"), "w") as container:
            stream, sound = container.add_stream("libx264", rate=25), container.add_stream("aac")
            stream.height, stream.width = SHAPE
            for levels in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="gray")))
            for start in range(0, 2 * sound.rate, 1024):
                silence = np.zeros((1, 1024), np.float32)
                samples = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                samples.rate, samples.pts = sound.rate, start
                container.mux(sound.encode(samples))
            for each in (stream, sound):
                container.mux(each.encode())
        with open_frames(tmp_path / f"a.{suffix}") as file:
            assert len(list(file)) == file.count == 25

    @pytest.mark.parametrize("bits", [10, 12, 14])
    def test_gray_videos_keep_their_levels(self, bits, tmp_path):
        av = pytest.importorskip("av")
        levels = (np.arange(48 * 64).reshape(SHAPE) % 2**bits).astype(np.uint16)
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            (stream.height, stream.width), stream.pix_fmt = SHAPE, f"gray{bits}le"
            frame = av.VideoFrame.from_ndarray(levels, format=stream.pix_fmt)
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        (read,) = open_frames(tmp_path / "a.mkv")
        assert (read.raster.levels == levels).all()

    def test_times_start_at_the_first_frame(self, tmp_path):
        av = pytest.importorskip("av")
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height, stream.width = SHAPE
            for number, levels in enumerate(cameras.film(3, SHAPE)[0].astype(np.uint8)):
                frame = av.VideoFrame.from_ndarray(levels, format="gray")
                frame.pts, frame.time_base = 50 + number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        assert [frame.time for frame in open_frames(tmp_path / "a.mp4")] == [0, 0.04, 0.08]

    @pytest.mark.parametrize("text", ["640x512", "0x5:uint8", "640,512:uint16", "6x5:complex64"])
    def test_other_raw_formats(self, text):
        with pytest.raises(ValueError, match=r"expected WIDTHxHEIGHT:DTYPE such as 640x512:uint16"):
            RawFormat.parse(text)


class TestSources:
    @pytest.fixture
    def tree(self, tmp_path):
        for name in ("1/a.png", "1/b.png", "2/a.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.new("L", (32, 32), 90).save(tmp_path / name)
        return tmp_path

    def names(self, *given, tree):
        return [source.name for source in find_sources(given, leave=tree / "out").files]

    def test_globs_lists_and_standard_input(self, tree, monkeypatch):
        assert self.names(tree, tree=tree) == ["1/a.png", "1/b.png", "2/a.png"]
        assert self.names(f"{tree}/*/a.png", tree=tree) == ["1/a.png", "2/a.png"]
        (tree / "list.txt").write_text("2/a.png\n\n1/b.png\n", encoding="utf-8")
        assert self.names(tree / "list.txt", tree=tree) == ["2/a.png", "1/b.png"]
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{tree}/1/b.png\n"))
        assert self.names("-", tree=tree) == ["b.png"]

    def test_lists_of_missing_files(self, tree):
        (tree / "list.txt").write_text("3/a.png\n", encoding="utf-8")
        with pytest.raises(FileNotFoundError, match=r"the list names 3/a\.png, but there is no"):
            self.names(tree / "list.txt", tree=tree)
        (tree / "list.txt").write_bytes("目标.png\n".encode("gbk"))
        with pytest.raises(ValueError, match=r"list\.txt is not text in UTF-8; save it as UTF-8"):
            self.names(tree / "list.txt", tree=tree)
        with pytest.raises(FileNotFoundError, match="names no files"):
            self.names(f"{tree}/*/c.png", tree=tree)

    def test_frames_of_a_film_and_files_of_one_name(self, tree):
        np.save(tree / "1.npy", np.zeros((2, 32, 32), np.uint8))
        shutil.copy(tree / "1" / "a.png", tree / "1" / "000001.png")
        with pytest.raises(ValueError, match=r"frames of .*1\.npy would have the names of files"):
            self.names(tree, tree=tree)


class TestLevels:
    def test_each_file_by_its_own_levels(self, tmp_path):
        """Two exposures in one folder."""
        for name, at in (("a", 2000), ("b", 12000)):
            deep = cameras.scene([(20, 30)], SHAPE, low=at, span=900, noise=8)
            tifffile.imwrite(tmp_path / f"{name}.tif", deep.astype(np.uint16))
        table = predict_images(bright(64), tmp_path, tmp_path / "out", levels="file")
        assert [(r["image"], r["row"]) for r in rows_of(table)] == [
            ("a.tif", "20.00"),
            ("b.tif", "20.00"),
        ]

    def test_two_formats_in_a_folder_are_two_sensors(self, tmp_path):
        deep = cameras.scene([(20, 30)], SHAPE, **cameras.DEEP).astype(np.uint16)
        Image.fromarray(deep - 7000).save(tmp_path / "a.png")
        tifffile.imwrite(tmp_path / "b.tif", deep)
        table = predict_images(bright(64), tmp_path, tmp_path / "out")
        assert [(r["image"], r["row"]) for r in rows_of(table)] == [
            ("a.png", "20.00"),
            ("b.tif", "20.00"),
        ]

    @pytest.mark.parametrize("asked", ["black-hot", "auto"])
    def test_dark_targets_are_found_where_black_is_hot(self, asked, tmp_path, capsys):
        deep = 16000 - cameras.scene([(20, 30)], SHAPE, **cameras.DEEP)
        tifffile.imwrite(tmp_path / "deep.tif", deep.astype(np.uint16))
        gray = 255 - cameras.scene([(20, 30)], SHAPE)
        Image.fromarray(gray.astype(np.uint8)).save(tmp_path / "gray.png")
        with pytest.warns(UserWarning, match="if black is hot, pass --polarity black-hot"):
            predict_images(bright(64), tmp_path, tmp_path / "white")
        table = predict_images(bright(64), tmp_path, tmp_path / "out", polarity=asked)
        assert [(r["image"], r["row"]) for r in rows_of(table)] == [
            ("deep.tif", "20.00"),
            ("gray.png", "20.00"),
        ]
        told = "polarity black-hot (auto: dark spots up to 9 px are"
        assert (told in capsys.readouterr().out) == (asked == "auto")

    def test_auto_keeps_white_hot_frames(self, tmp_path, capsys):
        Image.fromarray(cameras.scene([(20, 30)], SHAPE).astype(np.uint8)).save(tmp_path / "a.png")
        table = predict_images(bright(64), tmp_path, tmp_path / "out", polarity="auto")
        assert len(rows_of(table)) == 1
        assert "polarity white-hot (auto" in capsys.readouterr().out

    def test_the_factor_is_that_of_the_spots(self):
        image = np.full((40, 40), 100.0)
        image[10:15, 10:15] += 60
        image[25:30, 25:30] -= 20
        assert spot_factor(image) == pytest.approx(3, rel=0.05)
        assert spot_factor(-image) == pytest.approx(1 / 3, rel=0.05)

    @pytest.mark.real
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "wrong"), [("NUAA-SIRST", 10), ("IRSTD-1K", 27), ("NUDT-SIRST", 220)]
    )
    def test_what_auto_would_invert_of_white_hot_images(self, name, wrong):
        """The numbers of docs/howto/my_camera.md."""
        if "FESTKIT_DATA" not in os.environ:
            pytest.skip("FESTKIT_DATA is not set")
        factors = [spot_factor(sample.image) for sample in load_dataset(name, "all")]
        assert sum(factor < 1 / CLEARLY for factor in factors) == wrong


class TestFormats:
    @pytest.fixture
    def run(self, tmp_path):
        np.save(tmp_path / "film.npy", cameras.film(3, SHAPE)[0].astype(np.uint8))
        empty = cameras.scene([], SHAPE)
        Image.fromarray(empty.astype(np.uint8)).save(tmp_path / "empty.png")
        formats = ["masks", "json", "coco", "yolo", "overlays"]
        predict_images(bright(64), tmp_path, tmp_path / "out", formats=formats)
        return tmp_path / "out"

    def test_all_say_the_same(self, run):
        rows = rows_of(run / "targets.csv")
        boxes = [[int(r[n]) for n in ("top", "left", "bottom", "right")] for r in rows]
        assert len(boxes) == 6
        frames = json.loads((run / "detections.json").read_text())["frames"]
        assert boxes == [target["box"] for frame in frames for target in frame["targets"]]
        coco = json.loads((run / "coco.json").read_text())
        sides = [annotation["bbox"] for annotation in coco["annotations"]]
        assert boxes == [[y, x, y + h, x + w] for x, y, w, h in sides]
        names = [image["file_name"] for image in coco["images"]]
        assert names == ["empty.png", *(f"film/{k:06}.png" for k in range(3))]
        lines = [
            line
            for name in names
            for line in (run / "labels" / name).with_suffix(".txt").read_text().splitlines()
        ]
        for line, (top, left, bottom, right) in zip(lines, boxes, strict=True):
            _, x, y, width, height = (float(word) for word in line.split())
            rows = 48 * (y - height / 2), 48 * (y + height / 2)
            columns = 64 * (x - width / 2), 64 * (x + width / 2)
            assert (*rows, *columns) == pytest.approx((top, bottom, left, right), abs=1e-4)

    def test_frames_without_targets_are_in_all(self, run):
        (row,) = [r for r in all_rows(run / "targets.csv") if not r["kind"]]
        assert (row["image"], row["frame"], row["peak"]) == ("empty.png", "0", "")
        frames = json.loads((run / "detections.json").read_text())["frames"]
        assert [frame["targets"] for frame in frames if frame["image"] == "empty.png"] == [[]]
        assert (run / "labels/empty.txt").read_text() == ""
        assert not np.asarray(Image.open(run / "masks/empty.png")).any()

    def test_regions_are_those_of_the_masks(self, run):
        coco = json.loads((run / "coco.json").read_text())
        for image in coco["images"]:
            mask = np.asarray(Image.open(run / "masks" / image["file_name"]))
            own = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
            regions = [region_of(a["segmentation"]["counts"], *SHAPE) for a in own]
            assert [int(region.sum()) for region in regions] == [a["area"] for a in own]
            assert (np.any([*regions, np.zeros(SHAPE, bool)], axis=0) == mask).all()

    def test_the_readers_of_coco_agree(self, run):
        pycoco = pytest.importorskip("pycocotools.coco")
        coco = pycoco.COCO(str(run / "coco.json"))
        for number in coco.getImgIds():
            (image,) = coco.loadImgs(number)
            marked = [coco.annToMask(a) for a in coco.loadAnns(coco.getAnnIds(number))]
            mask = np.asarray(Image.open(run / "masks" / image["file_name"]))
            assert (np.any([*marked, np.zeros(SHAPE, bool)], axis=0) == mask).all()

    @pytest.mark.parametrize("form", ["coco", "yolo"])
    @pytest.mark.filterwarnings("ignore:.*weak masks, drawn from boxes:UserWarning")
    def test_labels_are_read_back_as_a_dataset(self, form, tmp_path):
        """Spots are squares, so that their boxes are their regions."""
        frames = tmp_path / "in"
        (frames / "1").mkdir(parents=True)
        deep = cameras.scene([(10, 20), (30, 40)], SHAPE, **cameras.DEEP).astype(np.uint16)
        tifffile.imwrite(frames / "1" / "a.tif", deep)
        Image.fromarray(cameras.scene([], SHAPE).astype(np.uint8)).save(frames / "b.bmp")
        np.save(frames / "film.npy", cameras.film(2, SHAPE)[0].astype(np.uint8))
        out = tmp_path / "out"
        predict_images(bright(64), frames, out, formats=["masks", form])
        predict_images(bright(64), frames, out, formats=["masks", "images", form])
        for name in ("images", "labels", "coco.json"):
            if (out / name).exists():
                (tmp_path / "set").mkdir(exist_ok=True)
                (out / name).rename(tmp_path / "set" / name)
        if form == "coco":
            images = json.loads((tmp_path / "set" / "coco.json").read_text())["images"]
            assert all(
                (tmp_path / "set" / "images" / each["file_name"]).is_file() for each in images
            )
        samples = load_dataset(tmp_path / "set", "all")
        assert sorted(samples.names) == ["1/a", "b", "film/000000", "film/000001"]
        for sample in samples:
            mask = np.asarray(Image.open(out / "masks" / f"{sample.name}.png"))
            assert (sample.mask == mask).all()
            assert mask.sum() == (0 if sample.name == "b" else 18)

    def test_a_record_holds_the_whole_mask(self):
        """Also marks of weak targets, which the lists leave out if they are close to another."""
        record = {"height": 3, "width": 4, "targets": [], "marks": [[1, 2], [2, 2]]}
        assert np.argwhere(mask_of(record)).tolist() == [[1, 2], [2, 2]]

    def test_pixels_that_stay_are_listed(self, tmp_path):
        frames = cameras.film(12, SHAPE)[0]
        frames[:, 40, 50] = 255
        frames[:, 39:42, 49:52] = 250
        np.save(tmp_path / "film.npy", frames.astype(np.uint8))
        with pytest.warns(UserWarning, match="row 40, column 50 has a mark in 12 of 12"):
            predict_images(bright(64), tmp_path / "film.npy", tmp_path / "out")
        listed = json.loads((tmp_path / "out" / "detections.json").read_text())["hot_pixels"]
        place = {"sequence": "film.npy", "row": 40, "column": 50}
        assert listed == [place | {"frames": 12, "of": 12}]


def contents(folder):
    """All finished files of a folder."""
    paths = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


FORMATS = ["masks", "json", "coco", "yolo"]


class Elsewhere:
    """A device that is not the CPU, as far as a FEST can tell."""

    type = "elsewhere"


def test_accelerators_take_frames_together(tmp_path):
    frames = cameras.film(20, SHAPE)[0].astype(np.uint8)
    np.save(tmp_path / "film.npy", frames)
    one_by_one = predict_images(bright(64), tmp_path / "film.npy", tmp_path / "one")
    fest = bright(64)
    fest.backbones[64].calls, fest.device = 0, Elsewhere()
    together = predict_images(fest, tmp_path / "film.npy", tmp_path / "two")
    assert fest.backbones[64].calls == 1 + 3  # a trial; 8, 8 and 4
    assert rows_of(together) == rows_of(one_by_one)


class TestInterrupted:
    @pytest.fixture
    def film(self, tmp_path):
        frames = cameras.film(8, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
        tifffile.imwrite(tmp_path / "film.tif", frames, photometric="minisblack")
        return tmp_path / "film.tif"

    @pytest.mark.parametrize("torn", [0, 9])
    def test_a_stopped_call_continues_after_the_last_frame(self, film, tmp_path, monkeypatch, torn):
        predict_images(bright(64), film, tmp_path / "whole", formats=FORMATS)
        calls, detect = [], many._detect

        def stopped(fest, grays, tile):
            calls.append(grays)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return detect(fest, grays, tile)

        monkeypatch.setattr(many, "_detect", stopped)
        with pytest.raises(KeyboardInterrupt):
            predict_images(bright(64), film, tmp_path / "out", formats=FORMATS)
        assert not (tmp_path / "out" / "targets.csv").exists()
        journal = tmp_path / "out" / "journal" / "film.tif.jsonl"
        journal.write_bytes(journal.read_bytes()[: -torn or None])
        (tmp_path / "out" / "masks" / ".film.0123.part").write_bytes(b"of a killed call")
        foreign = tmp_path / "out" / "mine" / ".download.part"
        foreign.parent.mkdir()
        foreign.write_bytes(b"of another program")
        predict_images(bright(64), film, tmp_path / "out", formats=FORMATS)
        assert len(calls) == 6 + 1 + (8 - 4 + bool(torn))
        assert list((tmp_path / "out").rglob("*.part")) == [foreign]
        shutil.rmtree(foreign.parent)
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")

    def test_a_full_disk_keeps_finished_frames(self, film, tmp_path, monkeypatch):
        predict_images(bright(64), film, tmp_path / "whole", formats=FORMATS)
        append = Journal.append

        def full(self, record):
            if record["frame"] == 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            append(self, record)

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", full)
            with pytest.raises(OSError, match="No space left"):
                predict_images(bright(64), film, tmp_path / "out", formats=FORMATS)
        assert len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 5
        predict_images(bright(64), film, tmp_path / "out", formats=FORMATS)
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")

    def test_frames_of_another_version_are_removed(self, film, tmp_path):
        predict_images(bright(64), film, tmp_path / "out")
        frames = cameras.film(3, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
        tifffile.imwrite(film, frames, photometric="minisblack")
        assert len(all_rows(predict_images(bright(64), film, tmp_path / "out"))) == 6
        assert len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 3

    @pytest.mark.system
    def test_a_killed_command_continues(self, tmp_path):
        pytest.importorskip("av")
        frames = cameras.film(40, SHAPE)[0].astype(np.uint8)
        cameras.write_video(tmp_path / "a.mp4", frames, "libx264", "yuv420p", crf="8")

        def start(out):
            words = [sys.executable, "-m", "festkit", "predict", str(tmp_path / "a.mp4")]
            words += ["--model", "nuaa-sirst/acm-256-eedm", "--device", "cpu", "--threads", "1"]
            words += ["--format", *FORMATS, "overlays", "--out", str(tmp_path / out)]
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

        assert start("whole").wait() == 0
        process, journal = start("out"), tmp_path / "out" / "journal" / "a.mp4.jsonl"
        while not journal.is_file() or journal.read_bytes().count(b"\n") < 10:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out" / "targets.csv").exists()
        assert start("out").wait() == 0
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def cut_video(path):
    pytest.importorskip("av")
    frames = cameras.film(20, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
    cameras.write_video(path, frames, "ffv1", "gray16le")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def two_sizes(path):
    with tifffile.TiffWriter(path) as file:
        for shape in ((48, 64), (40, 64), (48, 64)):
            file.write(cameras.scene([(20, 30)], shape).astype(np.uint8))


def coloured(path):
    jet = np.zeros((*SHAPE, 3), np.uint8)
    jet[..., 2], jet[4:20, 4:8] = 200, (255, 60, 0)
    Image.fromarray(jet).save(path)


def coloured_pages(path):
    jet = np.zeros((3, *SHAPE, 3), np.uint8)
    jet[..., 2], jet[:, 4:20, 4:8] = 200, (255, 60, 0)
    tifffile.imwrite(path, jet, photometric="rgb")


def coloured_deep(path):
    jet = np.zeros((*SHAPE, 3), np.uint16)
    jet[..., 2], jet[4:20, 4:8] = 12000, (16000, 4000, 0)
    tifffile.imwrite(path, jet, photometric="rgb")


def coloured_later(path):
    """A video whose first frames are black."""
    av = pytest.importorskip("av")
    jet = np.zeros((*SHAPE, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        (stream.height, stream.width), stream.pix_fmt = SHAPE, "yuv420p"
        for number in range(30):
            if number == 20:
                jet[..., 2], jet[4:20, 4:8] = 200, (255, 60, 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(jet, format="rgb24")))
        container.mux(stream.encode())


def with_nan(path):
    frames = cameras.film(3, SHAPE)[0].astype(np.float32)
    frames[1, 4, 5], frames[2, 4, 5] = np.nan, np.inf
    np.save(path, frames)


def half_raw(path):
    path.write_bytes(bytes(2 * 48 * 64 + 10))


BAD = {
    "none.npy": (lambda p: np.save(p, np.zeros((0, *SHAPE), np.uint8)), "holds no frames", 0),
    "empty.png": (lambda p: p.write_bytes(b""), "is empty", 0),
    "cut.avi": (cut_video, r"ends after \d+ of 20 frames; it is cut off", 8),
    "cut.mkv": (cut_video, r"cut.mkv ends after \d+ of 20 frames; it is cut off", 8),
    "not.mp4": (lambda p: p.write_bytes(b"x" * 999), "cannot read video .*cut off or damaged", 0),
    "sizes.tif": (two_sizes, r"page 1 is 64 × 40 px, the first page 64 × 48 px; save it to", 2),
    "nan.npy": (with_nan, "frame 1 contains NaN.*frame 2 contains NaN or infinity", 1),
    "pages.tif": (coloured_pages, r"pages\.tif is a colour picture.*--palette-to-gray", 0),
    "deep.tif": (coloured_deep, r"deep\.tif is a colour picture.*--palette-to-gray", 0),
    "later.mp4": (coloured_later, r"later\.mp4 is a colour picture.*--palette-to-gray", 24),
    "jet.png": (coloured, r"jet\.png is a colour picture.*--palette-to-gray", 0),
    "half.raw": (half_raw, r"no whole number of frames of 64 × 48 px uint16: 1 frames and 10 b", 0),
    "names.npz": (
        lambda p: np.savez(p, a=np.zeros(SHAPE), b=np.zeros(SHAPE)),
        "holds the arrays a, b; save one alone",
        0,
    ),
    "last.npy": (lambda p: np.save(p, np.zeros((9, *SHAPE, 3))), "expected numbers", 0),
    "rgb.npy": (lambda p: np.save(p, np.zeros((*SHAPE, 3))), "channels last", 0),
    "text.npy": (lambda p: np.save(p, np.array(["a"])), "expected numbers", 0),
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_it_is_named_and_the_rest_is_done(self, name, tmp_path):
        write, said, kept = BAD[name]
        folder = tmp_path / "夜 with spaces"
        folder.mkdir()
        if name.endswith((".mp4", ".avi", ".mkv")):
            pytest.importorskip("av")
        write(folder / name)
        good = cameras.scene([(20, 30)], SHAPE).astype(np.uint8)
        Image.fromarray(good).save(folder / "z.png")
        with pytest.raises(SkippedImages, match=rf"(?s)1 of 2 files .*{said}") as some:
            predict_images(bright(64), folder, tmp_path / "out", raw=RAW)
        rows = all_rows(some.value.table)
        assert found_of(some.value.table, "z.png") == [(20, 30)]
        assert len({row["frame"] for row in rows if row["image"] == name}) >= kept
        record = json.loads((tmp_path / "out" / "detections.json").read_text())
        assert name in record["not_read"][0]

    def test_false_colours_are_read_when_asked(self, tmp_path):
        coloured(tmp_path / "jet.png")
        table = predict_images(bright(64), tmp_path, tmp_path / "out", palette_to_gray=True)
        assert {row["image"] for row in all_rows(table)} == {"jet.png"}

    def test_raw_files_need_their_shape(self, tmp_path):
        half_raw(tmp_path / "a.raw")
        with pytest.raises(SkippedImages, match=r"a\.raw has no known format.*--raw 640x512"):
            predict_images(bright(64), tmp_path, tmp_path / "out")

    def test_frames_of_one_level_are_told(self, tmp_path):
        Image.new("L", (64, 48), 7).save(tmp_path / "a.png")
        with pytest.warns(UserWarning, match=r"a\.png has the level 7 everywhere"):
            predict_images(bright(64), tmp_path, tmp_path / "out")

    def test_a_file_that_vanishes(self, tmp_path, monkeypatch):
        for name in "ab":
            good = cameras.scene([(20, 30)], SHAPE).astype(np.uint8)
            Image.fromarray(good).save(tmp_path / f"{name}.png")
        find = many.find_sources

        def found(*given, **options):
            sources = find(*given, **options)
            (tmp_path / "b.png").unlink()
            return sources

        monkeypatch.setattr(many, "find_sources", found)
        with pytest.raises(SkippedImages, match=r"(?s)1 of 2 files .*b\.png"):
            predict_images(bright(64), tmp_path, tmp_path / "out")

    def test_a_video_that_cannot_be_written(self, tmp_path):
        """The overlay of the next one is its own."""
        pytest.importorskip("av")
        (tmp_path / "in").mkdir()
        frames = cameras.film(3, SHAPE)[0].astype(np.uint8)
        for name in "ab":
            cameras.write_video(tmp_path / "in" / f"{name}.mp4", frames, "libx264", "yuv420p")
        out = tmp_path / "out"
        predict_images(bright(64), tmp_path / "in", out, formats=["csv"])
        (out / "labels").mkdir()
        (out / "labels" / "a").write_text("in the way")
        with pytest.raises(SkippedImages, match="1 of 2 files"):
            predict_images(bright(64), tmp_path / "in", out, formats=["json", "overlays", "yolo"])
        assert len(list(open_frames(out / "overlays" / "b.mp4"))) == 3
        files = json.loads((out / "detections.json").read_text())["files"]
        assert [file["image"] for file in files] == ["a.mp4", "b.mp4"]

    def test_a_file_that_grows_while_it_is_read(self, tmp_path, monkeypatch):
        frames = cameras.film(3, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
        frames.tofile(tmp_path / "a.raw")
        detect = many._detect

        def grow(fest, grays, tile):
            with (tmp_path / "a.raw").open("ab") as file:
                file.write(frames[0].tobytes())
            return detect(fest, grays, tile)

        monkeypatch.setattr(many, "_detect", grow)
        with pytest.raises(SkippedImages, match=r"a\.raw changed while it was read"):
            predict_images(bright(64), tmp_path / "a.raw", tmp_path / "out", raw=RAW)
        monkeypatch.setattr(many, "_detect", detect)
        table = predict_images(bright(64), tmp_path / "a.raw", tmp_path / "out", raw=RAW)
        assert len({row["frame"] for row in all_rows(table)}) > 3

    def test_two_calls_at_once(self, tmp_path):
        Image.new("L", (64, 48), 7).save(tmp_path / "a.png")
        with many.file_lock(tmp_path / "out" / ".lock"), pytest.raises(BlockingIOError):
            predict_images(bright(64), tmp_path / "a.png", tmp_path / "out")


def test_frames_are_read_with_the_levels_of_a_prediction(tmp_path):
    deep = cameras.film(2, SHAPE, **cameras.DEEP)[0].astype(np.uint16)
    np.save(tmp_path / "film.npy", deep)
    gray = (255 - cameras.scene([(20, 30)], SHAPE)).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "c.gif").write_bytes(b"GIF")
    with (
        pytest.warns(UserWarning, match=r"a\.png is empty"),
        pytest.warns(UserWarning, match=r"unknown formats are not read: .*c\.gif"),
    ):
        frames = dict(read_frames(tmp_path, levels=(7000, 10000)))
    assert list(frames) == ["film/000000", "film/000001", "gray"]
    assert (frames["film/000001"] == np.rint((deep[1] - 7000.0) / 3000 * 255)).all()
    ((_, turned),) = read_frames(tmp_path / "gray.png", polarity="auto")
    assert (turned == 255 - gray).all()
    coloured(tmp_path / "jet.png")
    with pytest.warns(UserWarning, match=r"colour picture.*palette_to_gray"):
        assert not dict(read_frames(tmp_path / "jet.png"))
    assert dict(read_frames(tmp_path / "jet.png", palette_to_gray=True))
