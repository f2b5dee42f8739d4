"""The tuner in Python: what it shows is what the library finds; its page is tested in browser/."""

import json
import shutil
import threading
import time
import warnings
import weakref
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import psutil
import pytest
import tifffile
from goldens import GOLDENS, dense
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tinyrun import tiny

import festkit as fk
from festkit import training
from festkit._support.errors import InputError
from festkit._support.files import read_json, write_json
from festkit._support.locks import file_lock
from festkit.surface import threshold_surface
from festkit.training.run import LOCK, Run, StoredMaps
from festkit.tuner import export as picture
from festkit.tuner.charts import GRID, STEPS, frame_message, measure, measure_all, ticks
from festkit.tuner.frames import MEMORY, Frame, cached, detect, make_frame
from festkit.tuner.map_files import read_map
from festkit.tuner.sources import fest_path, of_arrays
from festkit.tuner.threshold_tuner import ThresholdTuner, has_page
from festkit.tuner.widget import TunerWidget


def blobs(seed=0, shape=(40, 60)):
    """A map of a few blobs of any height, and a truth that has some of them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    prob, truth = np.zeros(shape), np.zeros(shape, bool)
    for k in range(6):
        cy, cx, height = rng.uniform(3, shape[0] - 3), rng.uniform(3, shape[1] - 3), rng.uniform()
        bump = height * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 4)
        prob = np.maximum(prob, bump)
        truth |= (bump > 0.5 * height) & (k % 3 > 0)
    return prob.astype(np.float32), truth


@pytest.fixture
def tuner():
    probs, masks = zip(*(blobs(seed) for seed in range(5)), strict=True)
    return ThresholdTuner(probs, masks)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two runs of one training epoch on the same scenes, which lie beside them."""
    folder = tmp_path_factory.mktemp("demo")
    scenes = fk.make_synthetic_dataset(folder / "scenes", train=6, test=3, size=64)
    for size in (32, 64):
        fk.train(
            fk.TrainConfig(
                str(scenes),
                size=size,
                epochs=2,
                batch_size=2,
                device="cpu",
                holdout=0.3,
                out=str(folder / str(size)),
            )
        )
    return folder


class TestTicks:
    @given(st.floats(0, 1, width=32), st.integers(0, STEPS))
    def test_above_a_tick_is_above_its_threshold(self, prob, tick):
        value = np.array([[prob]], np.float32)
        above = bool(value[0, 0] > np.float32(tick / STEPS))
        assert bool(ticks(value)[0, 0] > tick) == above

    @pytest.mark.parametrize("tick", [0, 1, 999, 1000, 5000, 9999, STEPS])
    def test_a_probability_equal_to_a_threshold_is_not_above_it(self, tick):
        at = np.float32(tick / STEPS)
        beside = np.array([[np.nextafter(at, np.float32(-1)), at, np.nextafter(at, np.float32(2))]])
        assert (ticks(beside.clip(0, 1)) > tick).tolist() == [[False, False, tick < STEPS]]

    def test_a_frame_travels_as_bytes(self):
        prob, truth = blobs()
        gray = np.arange(prob.size, dtype=np.uint8).reshape(prob.shape)
        content, buffers = frame_message(Frame("a", prob, (), gray, truth), 7)
        assert content == {"type": "image", "index": 7, "name": "a", "height": 40, "width": 60}
        assert [len(b) for b in buffers] == [prob.size, prob.size, 2 * prob.size]
        assert (np.frombuffer(buffers[2], "<u2").reshape(prob.shape) == ticks(prob)).all()


class TestFigures:
    def test_they_are_those_of_the_library(self, tuner):
        tuner.th1, tuner.th2 = 0.6, 0.25
        found = tuner.metrics()
        pairs = [blobs(seed) for seed in range(5)]
        detections = [fk.adjust_sensitivity(prob, 0.6, 0.25) for prob, _ in pairs]
        assert found.total == fk.evaluate([d.mask for d in detections], [m for _, m in pairs])
        assert found.weak == [len(d.weak) for d in detections]
        kinds = [[t.kind for t in d.targets()] for d in detections]
        assert found.strong == [kind.count("strong") for kind in kinds]
        ends = {name: tuple(pair) for name, pair in fk.confidence_intervals(found.counts).items()}
        assert ends.items() <= found.record()["intervals"].items()

    def test_the_surface_is_that_of_the_library(self, tuner):
        surface = measure_all(tuner._source, "fused")
        pairs = [blobs(seed) for seed in range(5)]
        own = threshold_surface([p for p, _ in pairs], [m for _, m in pairs], GRID, GRID)
        assert (surface.detected == own.detected).all()
        assert (surface.matched == own.matched).all()
        found = measure(tuner._source, 0.5, 0.1, "fused")
        assert surface.at(0.5, 0.1) == found.total

    @pytest.mark.parametrize("case", GOLDENS["as_multiscale"], ids=lambda case: case["name"])
    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    def test_both_rules_on_the_goldens(self, case, rule):
        maps = [dense(sparse) for sparse in case["maps"]]
        frame = make_frame("a", np.mean(maps, axis=0, dtype=np.float32), maps)
        key = "official_per_scale_added" if rule == "per_scale" else "fused_map_added"
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # thresholds side by side are nothing to warn of here
            found = detect(frame, case["th1"], case["th2"], rule)
        added = np.argwhere(found.mask & ~found.strong)
        assert sorted(map(tuple, added.tolist())) == sorted(map(tuple, case[key]))

    def test_nobody_waits_for_an_older_question(self, tuner):
        asked = []
        assert measure(tuner._source, 0.5, 0.1, "fused", lambda k: asked.append(k) or k < 2) is None
        assert asked == [0, 1, 2]
        assert measure_all(tuner._source, "fused", lambda k: False) is None

    def test_without_truth_targets_are_counted(self):
        found = ThresholdTuner([blobs()[0]]).metrics()
        assert found.counts == []
        assert found.record() == {}
        assert found.strong[0] + found.weak[0] > 0

    def test_memory_is_bounded(self):
        reads = []

        def read(index):
            reads.append(index)
            return Frame(str(index), np.zeros((2048, 2048), np.float32))

        source = cached(read)
        for index in [*range(40), 39, 0]:
            source(index)
        assert MEMORY // (2048 * 2048 * 4) < 40
        assert reads == [*range(40), 0]

    def test_memory_is_bounded_where_the_first_image_is_the_smallest(self):
        frames = [weakref.WeakSet()]

        def read(index):
            frame = Frame(str(index), np.zeros((32 if index == 0 else 2048,) * 2, np.float32))
            frames[0].add(frame)
            return frame

        source = cached(read)
        for index in range(40):
            source(index)
        assert 0 < sum(frame.nbytes for frame in frames[0]) <= MEMORY


class TestRuns:
    def test_a_run_shows_its_test_maps(self, demo):
        tuner = ThresholdTuner.from_run(demo / "64")
        run = Run(demo / "64")
        testset = fk.load_dataset(demo / "scenes", "test")
        preds = (fk.adjust_sensitivity(p, 0.5, 0.1).mask for p in run.test_maps().values())
        assert tuner.metrics().total == fk.evaluate(preds, [s.mask for s in testset])
        assert tuner.metrics().total.record() == {
            k: v
            for k, v in run.record["test"][1].items()
            if k not in ("th1", "th2", "intervals", "evaluation")
        }
        assert (tuner._source.read(1).image == testset[1].image).all()

    def test_several_runs_are_the_scales_of_a_fest(self, demo):
        runs = [Run(demo / "32"), Run(demo / "64")]
        fest = fk.FEST.from_runs(runs, 0.4, 0.2)
        tuner = ThresholdTuner.from_run(*runs, th1=0.4, th2=0.2)
        testset = fk.load_dataset(demo / "scenes", "test")
        for index, sample in enumerate(testset):
            maps = [run.test_maps()[sample.name] for run in runs]
            for rule in ("per_scale", "fused"):
                fest.rule = rule
                found = detect(tuner._source.read(index), 0.4, 0.2, rule)
                assert (found.mask == fest.detect(maps).mask).all()

    def test_the_holdout_has_maps_of_its_own(self, demo):
        tuner = ThresholdTuner.from_run(demo / "64", split="holdout")
        assert len(tuner._source) == 2
        assert tuner._source.names == tuple(StoredMaps(demo / "64" / "holdout_maps.npz"))

    @pytest.mark.parametrize("sizes", [("64",), ("32", "64")])
    def test_saved_thresholds_are_used(self, demo, sizes):
        tuner = ThresholdTuner.from_run(*(demo / size for size in sizes), split="holdout")
        before = Run(demo / "64").record
        reply, _ = tuner.widget._save({"th1": 0.35, "th2": 0.15, "rule": "fused"})
        assert "0.35 / 0.15 saved to record.json" in reply["text"]
        record = Run(demo / "64").record
        tuned = record.pop("tuned")
        assert record == {k: v for k, v in before.items() if k != "tuned"}
        assert (tuned["th1"], tuned["th2"], tuned["rule"]) == (0.35, 0.15, "fused")
        dataset = fk.load_dataset(demo / "scenes", "train")
        assert tuned["chosen_on"] == {
            "dataset": "scenes", "split": "holdout", "train_split": dataset.fingerprint,
            "protocol": "holdout",
        }  # fmt: skip
        assert "test images" not in reply["text"]
        assert tuned["scales"] == [int(size) for size in sizes]
        tuner.th1, tuner.th2 = 0.35, 0.15
        tuner.rule = "fused"
        assert tuned["targets"] == tuner.metrics().total.targets
        assert tuned["intervals"].keys() >= {"iou", "pd"}
        place = demo / "64" if len(sizes) == 1 else demo
        fest = fk.FEST.load(place / f"fest-tuned-{'+'.join(sizes)}.safetensors")
        assert fest.chosen_on["chosen_on"] == tuned["chosen_on"]
        assert fest.chosen_on["pd"] == tuned["pd"]
        assert (fest.th1, fest.th2, fest.rule) == (0.35, 0.15, "fused")
        assert list(fest.backbones) == [int(size) for size in sizes]
        again = ThresholdTuner.from_run(*(demo / size for size in sizes))
        assert (again.th1, again.th2, again.rule) == (0.35, 0.15, "fused")

    def test_runs_of_the_same_sizes_keep_a_fest_each(self, demo, tmp_path):
        shutil.copytree(demo, tmp_path / "runs")
        shutil.copytree(demo / "64", tmp_path / "runs" / "other-64")
        for second, th1 in (("64", 0.3), ("other-64", 0.6)):
            tuner = ThresholdTuner.from_run(tmp_path / "runs" / "32", tmp_path / "runs" / second)
            tuner.widget._save({"th1": th1, "th2": 0.1, "rule": "fused"})
        for name, th1 in (("32+64", 0.3), ("32+other-64", 0.6)):
            fest = fk.FEST.load(tmp_path / "runs" / f"fest-tuned-{name}.safetensors")
            assert fest.th1 == th1

    def test_the_name_of_a_fest_tells_places_and_long_names_apart(self, tmp_path):
        long = "红外" * 40
        sets = [
            [f"{network}/{size}" for size in sizes]
            for network in ("acm", long)
            for sizes in (("64", "96"), ("96", "64"))
        ]
        sets += [["acm/64", "alcnet/96"], ["acm/64", "dnanet/96"]]
        sets += [[f"acm/{long}-{k}", "acm/64"] for k in range(2)]
        paths = [fest_path([Run(tmp_path / run) for run in runs]) for runs in sets]
        assert paths[0] == tmp_path / "acm" / "fest-tuned-64+96.safetensors"
        assert len(set(paths)) == len(sets)
        assert all(
            path.parent == tmp_path / runs[0].split("/")[0]
            for path, runs in zip(paths, sets, strict=True)
        )
        assert max(len(path.name.encode()) for path in paths) < 200

    def test_thresholds_of_test_images_say_so(self, demo):
        tuner = ThresholdTuner.from_run(demo / "64")
        reply, _ = tuner.widget._save({"th1": 0.5, "th2": 0.1, "rule": "fused"})
        assert "They were chosen on test images" in reply["text"]
        assert Run(demo / "64").record["tuned"]["chosen_on"]["protocol"] == "paper"

    @pytest.mark.parametrize(("split", "protocol"), [("train", "train"), ("all", "paper")])
    def test_thresholds_of_training_images_are_not_those_of_tests(self, demo, split, protocol):
        fest = fk.FEST.from_runs([demo / "64"])
        images = fk.load_dataset(demo / "scenes", split)
        reply, _ = ThresholdTuner.from_fest(fest, images).widget._save(
            {"th1": 0.5, "th2": 0.1, "rule": "fused"}
        )
        assert ("They were chosen on test images" in reply["text"]) == (protocol == "paper")
        assert fest.chosen_on["chosen_on"]["protocol"] == protocol

    def test_two_runs_of_one_size(self, demo):
        with pytest.raises(ValueError, match=r"have the scales \[64, 64\]; every run needs"):
            ThresholdTuner.from_run(demo / "64", demo / "64")

    def test_a_network_of_ones_own_keeps_its_record(self, tmp_path):
        scenes = fk.make_synthetic_dataset(tmp_path / "scenes", train=4, test=2, size=32)
        run = training.train(tiny(scenes, tmp_path / "own", epochs=1))
        tuner = ThresholdTuner.from_run(run)
        reply, _ = tuner.widget._save({"th1": 0.5, "th2": 0.1, "rule": "fused"})
        assert "no FEST, since" in reply["text"]
        assert run.record["tuned"]["th1"] == 0.5

    @pytest.mark.parametrize("name", ["it's", 'a "b"', "{th1}", "tief\\blau"])
    def test_the_code_holds_any_path(self, demo, tmp_path, name):
        shutil.copytree(demo / "64", tmp_path / name / "64")
        shutil.copytree(demo / "scenes", tmp_path / name / "scenes")
        tuner = ThresholdTuner.from_run(tmp_path / name / "64")
        code = tuner._source.code.replace("{th1}", "0.4").replace("{th2}", "0.2")
        names = {"image": np.zeros((64, 64), np.uint8)}
        exec(code.replace("{rule}", "fused"), names)
        assert (names["fest"].th1, names["fest"].th2, names["fest"].rule) == (0.4, 0.2, "fused")

    def test_saving_waits_for_whoever_holds_the_run(self, demo, tmp_path):
        run = Run(shutil.copytree(demo / "64", tmp_path / "64"))
        tuner = ThresholdTuner.from_run(run, dataset=demo / "scenes")
        before, now = run.record, {"th1": 0.45, "th2": 0.1, "rule": "fused"}
        with file_lock(run.folder / LOCK):
            saving = threading.Thread(target=tuner.widget._save, args=[now])
            saving.start()
            saving.join(2)
            assert saving.is_alive()
            assert run.record == before
        saving.join(60)
        assert run.record["tuned"]["th1"] == 0.45

    def test_closing_closes_the_files(self, demo):
        tuner = ThresholdTuner.from_run(demo / "32", demo / "64")
        maps = [Path(f.path) for f in psutil.Process().open_files() if f.path.endswith("maps.npz")]
        assert {demo / "32" / "test_maps.npz", demo / "64" / "test_maps.npz"} <= set(maps)
        tuner.close()
        with pytest.raises(ValueError, match=r"test_maps\.npz has been closed; open the run again"):
            tuner._source.read(1)

    def test_images_are_found_where_they_were_in_training(self, demo, tmp_path, monkeypatch):
        run = shutil.copytree(demo / "64", tmp_path / "runs" / "64")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("FESTKIT_DATA", raising=False)
        assert ThresholdTuner.from_run(run)._source.title == "ACM 64 on scenes, test images"
        with pytest.raises(FileNotFoundError, match="are missing"):  # what is asked for goes first
            ThresholdTuner.from_run(run, root=tmp_path)
        config = read_json(run / "config.json")
        assert config["dataset_folder"] == str(demo / "scenes")
        write_json(run / "config.json", config | {"dataset_folder": str(tmp_path / "gone")})
        with pytest.raises(
            FileNotFoundError, match=r"missing .*pass their folder \(dataset, --data"
        ):
            ThresholdTuner.from_run(run)

    def test_damaged_maps_are_named(self, demo, tmp_path):
        run = shutil.copytree(demo / "64", tmp_path / "64")
        path = run / "test_maps.npz"
        content = bytearray(path.read_bytes())
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"64/test_maps\.npz is damaged .*train again"):
            ThresholdTuner.from_run(run, dataset=demo / "scenes")

    def test_opening_reads_one_map(self, demo, monkeypatch):
        read = []
        load = StoredMaps.__getitem__
        monkeypatch.setattr(StoredMaps, "__getitem__", lambda *a: read.append(a[1]) or load(*a))
        ThresholdTuner.from_run(demo / "64")
        assert len(read) == 1

    def test_a_folder_of_runs_names_them(self, demo):
        with pytest.raises(
            FileNotFoundError, match=r"holds no finished run; its subfolders do.*32 \S+64$"
        ):
            ThresholdTuner.from_run(demo)

    def test_missing_and_unfit_runs(self, demo, tmp_path):
        with pytest.raises(FileNotFoundError, match="holds no finished run"):
            ThresholdTuner.from_run(tmp_path / "nothing")
        with pytest.raises(ValueError, match="pass at least one finished run"):
            ThresholdTuner.from_run()
        with pytest.raises(ValueError, match="split is 'train', expected 'test' or 'holdout'"):
            ThresholdTuner.from_run(demo / "64", split="train")
        with pytest.raises(FileNotFoundError, match=r"images of the run are missing .*--data-r"):
            ThresholdTuner.from_run(demo / "64", dataset="nowhere")
        other = fk.make_synthetic_dataset(tmp_path / "scenes", train=2, test=3, size=64, seed=9)
        with pytest.raises(ValueError, match=r"are not those of the run .*pass its dataset"):
            ThresholdTuner.from_run(demo / "64", dataset=other)

    def test_a_run_without_a_holdout(self, demo, tmp_path):
        run = tmp_path / "64"
        run.mkdir()
        (run / "record.json").write_bytes((demo / "64" / "record.json").read_bytes())
        with pytest.raises(FileNotFoundError, match=r"has no holdout_maps\.npz"):
            ThresholdTuner.from_run(run, split="holdout")


class TestFest:
    def test_maps_are_computed_and_thresholds_go_back(self, demo):
        fest = fk.FEST.from_runs([Run(demo / "32"), Run(demo / "64")], 0.4, 0.2, rule="fused")
        testset = fk.load_dataset(demo / "scenes", "test")
        tuner = ThresholdTuner.from_fest(fest, testset)
        assert (tuner.th1, tuner.th2, tuner.rule) == (0.4, 0.2, "fused")
        assert tuner.metrics().total == fest.evaluate(testset)
        reply, _ = tuner.widget._save({"th1": 0.3, "th2": 0.05, "rule": "per_scale"})
        assert "predict uses them" in reply["text"]
        assert (fest.th1, fest.th2, fest.rule) == (0.3, 0.05, "per_scale")
        tuner.rule = "per_scale"
        tuner.th1, tuner.th2 = 0.3, 0.05
        assert tuner.metrics().total == fest.evaluate(testset)

    def test_a_weak_threshold_that_nobody_chose_is_no_higher_than_the_strong_one(self, demo):
        fest = fk.FEST.from_runs([Run(demo / "32")], 0.05, None)
        testset = fk.load_dataset(demo / "scenes", "test")
        assert ThresholdTuner.from_fest(fest, testset).th2 == 0.05
        assert ThresholdTuner.from_fest(fest, testset, th1=0.5).th2 == 0.1
        fest.th2 = 0.2
        with pytest.raises(ValueError, match=r"th2 is 0\.2, above th1 = 0\.05.*pass th2=0\.05 or"):
            ThresholdTuner.from_fest(fest, testset)
        assert ThresholdTuner.from_fest(fest, testset, th2=0.05).th2 == 0.05

    def test_a_dataset_without_images(self, demo):
        fest = fk.FEST.from_runs([Run(demo / "32")])
        with pytest.raises(ValueError, match="has no images"):
            ThresholdTuner.from_fest(fest, fk.load_dataset(demo / "scenes", "test")[:0])


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("probs", "images", "masks"):
            (tmp_path / name).mkdir()
        prob, truth = blobs()
        Image.fromarray(np.rint(prob * 65535).astype(np.uint16)).save(tmp_path / "probs" / "a.png")
        Image.fromarray(np.rint(prob * 255).astype(np.uint8)).save(tmp_path / "probs" / "b.png")
        for name in ("a", "b"):
            Image.fromarray(np.full(prob.shape, 80, np.uint8)).save(
                tmp_path / "images" / f"{name}.bmp"
            )
            Image.fromarray(truth).save(tmp_path / "masks" / f"{name}.png")
        return tmp_path

    def test_files_of_both_depths(self, folder):
        tuner = ThresholdTuner.from_folder(folder / "probs")
        prob, _ = blobs()
        assert tuner._source.names == ("a", "b")
        assert np.abs(tuner._source.read(0).prob - prob).max() < 1e-5
        assert np.abs(tuner._source.read(1).prob - prob).max() < 2e-3
        assert tuner._source.read(0).mask is None

    def test_a_dark_file_keeps_its_scale(self, tmp_path):
        Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "dark.png")
        Image.fromarray(np.full((4, 4), 2, np.uint8)).save(tmp_path / "other.png")
        with pytest.warns(UserWarning, match=r"dark\.png \(2 of 2 maps\): only levels from 0 to 1"):
            prob = ThresholdTuner.from_folder(tmp_path)._source.read(0).prob
        assert prob.max() == pytest.approx(1 / 255)

    @staticmethod
    def save(folder, **maps):
        for name, levels in maps.items():
            Image.fromarray(levels).save(folder / "probs" / f"{name}.png")

    def test_good_maps_bring_no_warning(self, folder):
        prob, _ = blobs()
        self.save(folder, none=np.rint(prob * 20).astype(np.uint8))  # no target found
        self.save(folder, empty=np.zeros(prob.shape, np.uint8))
        with warnings.catch_warnings(action="error"):
            ThresholdTuner.from_folder(folder / "probs")

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_inverted_maps(self, folder, kind):
        top = np.iinfo(kind).max
        levels = np.rint((1 - blobs()[0]) * top).astype(kind)
        self.save(folder, a=levels)
        with pytest.warns(
            UserWarning, match=r"a\.png \(1 of 2 maps\): 9.* % .*may be inverted.* 1 - prob"
        ):
            ThresholdTuner.from_folder(folder / "probs")
        for b in (levels, top * (levels > top / 2).astype(kind)):
            self.save(folder, b=b)
            with pytest.raises(InputError, match=r"a\.png \(2 of 2 maps\): .*may be inverted"):
                ThresholdTuner.from_folder(folder / "probs")

    def test_inverted_masks_of_zeros_and_ones(self, folder):
        inverted = 1 - blobs()[1].astype(np.uint8)
        self.save(folder, a=inverted, b=inverted)
        with pytest.raises(InputError, match=r"a\.png \(2 of 2 maps\): .*may be inverted"):
            ThresholdTuner.from_folder(folder / "probs")

    def test_a_mask_of_zeros_and_ones_among_brighter_files(self, folder):
        truth = blobs()[1].astype(np.uint8)
        self.save(folder, b=truth)
        with pytest.warns(
            UserWarning, match=r"b\.png \(1 of 2 maps\): only levels from 0 to 1, .* as 255"
        ):
            ThresholdTuner.from_folder(folder / "probs")
        self.save(folder, a=255 * truth)
        with pytest.raises(
            InputError, match=r"b\.png \(1 of 2 maps\): .* 0 to 1, .*; save targets as 255"
        ):
            ThresholdTuner.from_folder(folder / "probs")

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_labels_of_objects(self, folder, kind):
        labels = np.zeros((32, 40), kind)
        for k in range(1, 5):
            labels[6 * k : 6 * k + 3, 8 * k : 8 * k + 3] = k
        self.save(folder, a=labels)
        with pytest.warns(
            UserWarning, match=r"a\.png \(1 of 2 maps\): only levels from 0 to 4, as"
        ):
            ThresholdTuner.from_folder(folder / "probs")
        self.save(folder, b=np.minimum(labels, 1))
        with pytest.raises(
            InputError,
            match=r"a\.png \(2 of 2 maps\): .* 0 to 4, .*label images.*labels >\s*0",
        ):
            ThresholdTuner.from_folder(folder / "probs")
        self.save(folder, a=np.where(labels == 2, 0, labels))  # one was taken away
        with pytest.raises(InputError, match=r"a\.png .* 0 to 4, .*label images"):
            ThresholdTuner.from_folder(folder / "probs")

    @pytest.mark.parametrize(
        ("kind", "top"),
        [
            (np.uint8, 25),
            (np.uint8, 100),
            (np.uint16, 4095),
            (np.uint16, 10_000),
            (np.uint16, 16_383),
        ],
    )
    def test_maps_that_are_dim_everywhere(self, folder, kind, top):
        levels = np.rint(blobs()[0] / blobs()[0].max() * top).astype(kind)
        self.save(folder, a=levels // 2, b=levels)
        with pytest.warns(UserWarning, match=r"b\.png reaches 0\.\d+ of the full .*imwrite"):
            ThresholdTuner.from_folder(folder / "probs")

    def test_floats_that_are_no_probabilities_are_named(self, folder):
        tifffile.imwrite(folder / "probs" / "c.tif", 7 * blobs()[0].astype(np.float32))
        with pytest.raises(InputError, match=r"c\.tif: levels of float32 .*are not probabilities"):
            ThresholdTuner.from_folder(folder / "probs")

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, bool])
    def test_a_set_of_zeros_and_ones_is_one_of_masks(self, folder, kind):
        truth = blobs()[1]
        for name in ("a", "b"):
            Image.fromarray(truth.astype(kind)).save(folder / "probs" / f"{name}.png")
        tuner = ThresholdTuner.from_folder(folder / "probs", masks=folder / "masks")
        assert (tuner._source.read(1).prob == truth).all()
        assert tuner.metrics().total.iou == 1
        kept = "probability maps" if kind is bool else "masks"  # those of 1 bit are read as 0, 255
        assert repr(tuner).startswith(f"ThresholdTuner(2 {kept} in probs")

    def test_gray_maps_in_colour_files(self, folder):
        for name in ("a", "b"):
            path = folder / "probs" / f"{name}.png"
            levels = np.rint(blobs()[0] * 255).astype(np.uint8)
            Image.fromarray(np.repeat(levels[..., None], 3, axis=2)).save(path)
        prob = ThresholdTuner.from_folder(folder / "probs")._source.read(0).prob
        assert np.abs(prob - blobs()[0]).max() < 2e-3

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
    def test_pictures_in_colours_are_refused(self, folder, mode):
        heat = matplotlib.colormaps["jet"](blobs()[0], bytes=True)
        Image.fromarray(heat).convert(mode).save(folder / "probs" / "a.png")
        with pytest.raises(InputError, match=r"a\.png is a colour picture.*save the maps as g"):
            ThresholdTuner.from_folder(folder / "probs")

    def test_maps_in_the_alpha_channel_are_refused(self, folder):
        levels = np.zeros((*blobs()[0].shape, 4), np.uint8)
        levels[..., 3] = np.rint(blobs()[0] * 255)
        Image.fromarray(levels).save(folder / "probs" / "a.png")
        with pytest.raises(InputError, match=r"a\.png is uniform except for its alpha"):
            ThresholdTuner.from_folder(folder / "probs")

    def test_inverted_truths_are_told_of(self, folder):
        Image.fromarray(~blobs()[1].astype(bool)).save(folder / "masks" / "a.png")
        with pytest.warns(UserWarning, match=r"a\.png marks 9.* % of the image as target and"):
            ThresholdTuner.from_folder(folder / "probs", masks=folder / "masks")

    def test_with_images_and_truth(self, folder):
        tuner = ThresholdTuner.from_folder(folder / "probs", folder / "images", folder / "masks")
        assert (tuner._source.read(1).mask == blobs()[1]).all()
        assert tuner._source.read(1).image[0, 0] == 80
        assert tuner.metrics().total.images == 2

    def test_names_are_those_of_a_dataset(self, folder):
        (folder / "probs" / "._a.png").write_bytes(b"what macOS leaves on foreign disks")
        for name in ("a", "b"):
            (folder / "masks" / f"{name}.png").rename(folder / "masks" / f"{name}_pixels0.png")
        tuner = ThresholdTuner.from_folder(folder / "probs", masks=folder / "masks")
        assert tuner._source.names == ("a", "b")
        assert (tuner._source.read(0).mask == blobs()[1]).all()

    def test_two_files_of_one_name(self, folder):
        shutil.copy(folder / "probs" / "a.png", folder / "probs" / "a.tif")
        with pytest.raises(ValueError, match=r"two files named a: a\.png and a\.tif; remove one"):
            ThresholdTuner.from_folder(folder / "probs")

    def test_what_is_missing_is_named(self, folder, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such folder"):
            ThresholdTuner.from_folder(folder / "nothing")
        (folder / "masks" / "b.png").unlink()
        with pytest.raises(
            FileNotFoundError,
            match=r"masks has no file for b of .*probs \(1 of 2 names are missing\); add the files",
        ):
            ThresholdTuner.from_folder(folder / "probs", masks=folder / "masks")
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="contains no image files"):
            ThresholdTuner.from_folder(tmp_path / "empty")

    def test_images_without_a_map_count_only_if_that_is_asked_for(self, folder):
        for name in ("probs/a", "masks/b"):
            (folder / f"{name}.png").rename(folder / f"{name}-other.png")
        folders = {"probs": folder / "probs", "masks": folder / "masks"}
        with pytest.raises(
            FileNotFoundError,
            match=r"probs has no file for a of \S+masks \(2 of 4 .*masks has no file for a-other",
        ):
            ThresholdTuner.from_folder(**folders)
        with pytest.raises(FileNotFoundError, match="2 of 4"):  # no name is left
            ThresholdTuner.from_folder(**folders, allow_missing=True)
        shutil.copy(folder / "masks" / "a.png", folder / "masks" / "b.png")
        with pytest.warns(UserWarning, match=r"probs has no file .* are skipped in all metrics"):
            tuner = ThresholdTuner.from_folder(**folders, allow_missing=True)
        assert tuner._source.names == ("b",)
        assert "1 probability map in probs, 3 left out" in repr(tuner)

    def test_an_unreadable_file_is_told_to_the_page(self, folder):
        tuner = ThresholdTuner.from_folder(folder / "probs")
        (folder / "probs" / "b.png").write_bytes(b"no picture")
        sent = heard(tuner.widget, {"type": "image", "index": 1})
        assert sent["type"] == "error"
        assert "cannot read image file" in sent["text"]


class TestBadInput:
    def test_no_maps(self):
        with pytest.raises(ValueError, match="no probability maps given"):
            ThresholdTuner([])

    def test_maps_that_are_no_probabilities(self):
        with pytest.raises(ValueError, match=r"image '0': .* runs from -3 to 4, .*torch.sigmoid"):
            ThresholdTuner([np.array([[-3.0, 4.0]])])
        with pytest.raises(ValueError, match="divide 8-bit maps by 255"):
            ThresholdTuner([np.zeros((4, 4), np.uint8)])

    def test_shapes_that_differ(self):
        prob = np.zeros((4, 6), np.float32)
        with pytest.raises(ValueError, match=r"the mask is 5 × 6 px.*probability map 4 × 6"):
            ThresholdTuner({"a": prob}, {"a": np.zeros((5, 6), bool)})
        with pytest.raises(ValueError, match="the image is 4 × 5"):
            ThresholdTuner([prob], images=[np.zeros((4, 5), np.uint8)])
        with pytest.raises(ValueError, match="a scale map is 2 × 6"):
            ThresholdTuner([prob], scale_maps=[[prob[:2], prob]])
        with pytest.raises(ValueError, match="the image is float64"):
            ThresholdTuner([prob], images=[np.zeros((4, 6))])
        with pytest.raises(ValueError, match="has 2 images"):
            ThresholdTuner([np.zeros((2, 4, 6), np.float32)])

    def test_numbers_and_names_that_differ(self):
        prob = np.zeros((4, 6), np.float32)
        with pytest.raises(ValueError, match="2 masks for 1 images; pass one per image"):
            ThresholdTuner([prob], [prob > 0, prob > 0])
        with pytest.raises(ValueError, match="masks have no entry for image 'b'"):
            ThresholdTuner({"a": prob, "b": prob}, {"a": prob > 0})
        with pytest.raises(ValueError, match=r"masks have no entry for image '1'; pass one per"):
            ThresholdTuner([prob] * 3, [prob > 0, None, prob > 0])
        with pytest.raises(ValueError, match="two images have the same"):
            ThresholdTuner([prob, prob], names=["a", "a"])
        with pytest.raises(ValueError, match="same number of scale maps"):
            ThresholdTuner([prob, prob], scale_maps=[[prob, prob], [prob]])

    def test_thresholds(self, tuner):
        prob = np.zeros((4, 6), np.float32)
        with pytest.raises(ValueError, match=r"th1 is 1\.5, expected a probability"):
            ThresholdTuner([prob], th1=1.5)
        with pytest.raises(ValueError, match=r"th2 is 0\.6, above th1 = 0\.5"):
            ThresholdTuner([prob], th2=0.6)
        with pytest.raises(ValueError, match=r"th2 is -0\.1, expected a probability"):
            tuner.th2 = -0.1
        with pytest.raises(ValueError, match="unknown rule 'both'"):
            tuner.rule = "both"

    def test_nan_counts_as_background_with_a_warning(self):
        with pytest.warns(UserWarning, match="1 NaN in 24 values"):
            tuner = ThresholdTuner([np.where(np.eye(4, 6) * [[1], [0], [0], [0]], np.nan, 0.2)])
        assert tuner._source.read(0).prob[0, 0] == 0


class TestThresholds:
    def test_numpy_numbers_will_do(self):
        tuner = ThresholdTuner([blobs()[0]], th1=np.float32(0.5), th2=np.float64(0))
        assert (tuner.widget.th1, tuner.widget.th2) == (0.5, 0)

    def test_they_have_four_decimals(self, tuner):
        assert ThresholdTuner([blobs()[0]], th1=1 / 3).th1 == 0.3333
        tuner.th1 = 2 / 3
        assert tuner.th1 == 0.6667

    def test_one_takes_the_other_along(self, tuner):
        tuner.th1 = 0.05
        assert (tuner.th1, tuner.th2) == (0.05, 0.05)
        tuner.th2 = 0.4
        assert (tuner.th1, tuner.th2) == (0.4, 0.4)


class TestScaleMaps:
    """Table 5 of the paper has th2 above th1, where single scales see what their mean does not."""

    FUSED, OWN, OTHER = np.zeros((3, 9, 9), np.float32)
    FUSED[4, 4], OWN[4, 4], OTHER[4, 4] = 0.25, 0.45, 0.05

    @pytest.mark.parametrize("maps", [[OWN], [OWN, OTHER]], ids=["one", "two"])
    def test_a_target_of_one_scale_is_found(self, maps):
        truth = self.OWN > 0
        tuner = ThresholdTuner([self.FUSED], [truth], scale_maps=[maps], th1=0.3, th2=0.4)
        found = fk.adjust_sensitivity(self.FUSED, 0.3, 0.4, scale_maps=maps)
        assert fk.count(found.mask, truth).pd == 1
        assert tuner.metrics().total == fk.count(found.mask, truth)
        surface = measure_all(tuner._source, "per_scale")
        assert surface.at(0.3, 0.4) == fk.count(found.mask, truth)
        tuner.rule = "fused"
        assert (tuner.th1, tuner.th2) == (0.3, 0.3)
        assert tuner.metrics().total.pd == 0

    def test_thresholds_move_apart_by_the_rule_of_scales_alone(self):
        maps = [self.OWN, self.OTHER]
        tuner = ThresholdTuner([self.FUSED], scale_maps=[maps])
        tuner.th1 = 0.05
        assert (tuner.th1, tuner.th2) == (0.05, 0.1)
        tuner.th2 = 0.4
        assert (tuner.th1, tuner.th2) == (0.05, 0.4)
        tuner.rule = "fused"
        tuner.th2 = 0.6
        assert (tuner.th1, tuner.th2) == (0.6, 0.6)

    def test_the_scale_of_one_network_is_its_fused_map(self, demo):
        tuner = ThresholdTuner.from_run(demo / "64", th1=0.4, th2=0.2)
        assert tuner._source.read(0).scales == ()
        with pytest.raises(ValueError, match=r"th2 is 0\.5, above th1 = 0\.4"):
            ThresholdTuner.from_run(demo / "64", th1=0.4, th2=0.5)
        both = ThresholdTuner.from_run(demo / "64", demo / "32", th1=0.4, th2=0.5)
        assert (both.th1, both.th2) == (0.4, 0.5)


def heard(widget, question):
    """What the widget sends in answer to a question of the page."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._answer(widget, question)
    for worker in widget._workers.values():
        worker.submit(lambda: None).result(60)
    return sent[-1]


class TestAnswers:
    NOW = {"th1": 0.5, "th2": 0.1, "rule": "fused"}  # noqa: RUF012

    def test_figures(self, tuner):
        sent = heard(tuner.widget, {"type": "metrics", **self.NOW})
        assert sent["total"]["iou"] == tuner.metrics().total.iou
        assert len(sent["rows"]) == len(sent["marks"]) == 5
        json.dumps(sent, allow_nan=False)

    def test_marks_tell_detections_apart(self, tuner):
        marks = [
            heard(tuner.widget, {"type": "metrics", **self.NOW, "th2": th2})["marks"]
            for th2 in (0.1, 0.1, 0.45)
        ]
        assert marks[0] == marks[1]
        assert marks[0] != marks[2]

    def test_a_newer_question_ends_an_older_one(self, tuner):
        widget, sent = tuner.widget, []
        widget.send = lambda content, buffers=None: sent.append(content)
        worker = widget._workers["metrics"]
        gate = threading.Event()
        worker.submit(gate.wait, 60)
        for th2 in (0.1, 0.2, 0.3):
            widget._answer(widget, {"type": "metrics", **self.NOW, "th2": th2})
        gate.set()
        worker.submit(lambda: None).result(60)
        assert [content["th2"] for content in sent] == [0.3]

    def test_the_same_question_is_answered_once(self, tuner):
        widget, sent = tuner.widget, []
        widget.send = lambda content, buffers=None: sent.append(content)
        gate = threading.Event()
        widget._workers["surface"].submit(gate.wait, 60)
        for rule in ("fused", "fused", "per_scale", "per_scale"):
            widget._answer(widget, {"type": "surface", "rule": rule})
        gate.set()
        widget._workers["surface"].submit(lambda: None).result(60)
        assert [content["rule"] for content in sent] == ["per_scale"]

    def test_a_question_that_comes_while_another_is_struck_out_is_answered(self, tuner):
        widget, sent = tuner.widget, []
        widget.send = lambda content, buffers=None: sent.append(content)
        striking, came = threading.Event(), threading.Event()

        class Slow(dict):
            def __delitem__(self, kind):
                striking.set()
                came.wait(0.3)  # long enough for a question that nothing holds up
                super().__delitem__(kind)

        widget._newest = Slow()
        widget._answer(widget, {"type": "metrics", **self.NOW})
        assert striking.wait(20)
        widget._answer(widget, {"type": "metrics", **self.NOW, "th2": 0.2})
        came.set()
        widget._workers["metrics"].submit(lambda: None).result(60)
        assert [content["th2"] for content in sent] == [0.1, 0.2]

    def test_a_closed_tuner_stops_counting(self):
        probs = [blobs()[0]] * 300
        tuner, begun, asked = ThresholdTuner(probs, [p > 0.5 for p in probs]), threading.Event(), []
        widget, read = tuner.widget, tuner._source.read

        def slow(index):
            asked.append(index)
            begun.set()
            time.sleep(0.01)
            return read(index)

        widget._source = replace(tuner._source, read=slow)
        widget._answer(widget, {"type": "metrics", **self.NOW})
        assert begun.wait(20)
        worker = widget._workers["metrics"]
        tuner.close()
        worker.shutdown(wait=True)
        assert len(asked) < 300

    def test_saving_without_a_place(self, tuner):
        sent = heard(tuner.widget, {"type": "save", **self.NOW})
        assert sent["type"] == "error"
        assert "copy the thresholds as code" in sent["text"]

    def test_an_index_that_is_not_there(self, tuner):
        assert heard(tuner.widget, {"type": "image", "index": 99})["type"] == "error"

    def test_an_unknown_question_is_not_answered(self, tuner):
        with pytest.raises(IndexError):
            heard(tuner.widget, {"type": "nonsense"})


def blank():
    """A figure of nothing."""
    return picture.show(np.zeros((4, 4), np.uint8), None)


class TestWithoutAPage:
    def test_the_picture_and_the_table(self, tuner):
        assert not has_page()
        bundle = tuner._repr_mimebundle_()
        assert bundle["image/png"].startswith(b"\x89PNG")
        assert "95 % interval" in bundle["text/plain"]
        assert f"{100 * tuner.metrics().total.pd:.2f}" in bundle["text/plain"]
        assert "widget" not in tuner.__dict__

    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    def test_the_picture_keeps_to_th2_below_th1_on_one_map(self, monkeypatch, rule):
        maps = [np.full((9, 9), 0.3, np.float32), np.full((9, 9), 0.05, np.float32)]
        drawn = []
        monkeypatch.setattr(picture, "plot_surface", lambda *a, **k: drawn.append(k) or blank())
        monkeypatch.setattr(picture, "as_png", lambda figures: b"")
        truth = np.eye(9, dtype=bool)
        tuner = ThresholdTuner([maps[0]], [truth], scale_maps=[maps])
        tuner.rule = rule
        tuner._repr_mimebundle_()
        assert drawn[0]["ordered"] is (rule == "fused")

    def test_a_terminal_gets_a_line(self, tuner, monkeypatch):
        monkeypatch.setattr("festkit.tuner.threshold_tuner.get_ipython", object)
        assert tuner._repr_mimebundle_() == {"text/plain": repr(tuner)}

    def test_without_truth(self):
        bundle = ThresholdTuner([blobs()[0]])._repr_mimebundle_()
        assert bundle["image/png"].startswith(b"\x89PNG")
        assert "strong and" in bundle["text/plain"]

    def test_its_name(self, tuner):
        assert repr(tuner) == "ThresholdTuner(5 probability maps, th1=0.5, th2=0.1)"


def test_the_widget_is_whole():
    source = of_arrays([blobs()[0]], None, None, None, None)
    widget = TunerWidget(source, 0.5, 0.1, "fused")
    assert "export default { render }" in widget._esm
    assert ".festkit-tuner" in widget._css
    page = widget._esm + widget._css
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # the name of SVG


@pytest.mark.parametrize("kind", ["tinted", "dark", "cmyk", "deep tif", "deep png"])
def test_faint_colours_are_refused(tmp_path, kind):
    gray = np.random.default_rng(0).integers(0, 200, (20, 20), np.uint8)
    tint = np.stack([gray, gray, gray + 30], -1)
    path = tmp_path / ("map.tif" if "tif" in kind or kind == "cmyk" else "map.png")
    if kind == "cmyk":
        Image.fromarray(tint).convert("CMYK").save(path)
    elif kind.startswith("deep"):
        cv2.imwrite(str(path), tint.astype(np.uint16) * 257)
    else:
        Image.fromarray(tint // 10 if kind == "dark" else tint).save(path)
    with pytest.raises(ValueError, match=r"colours.*gray"):
        read_map(path)
