import math
from collections import Counter

import numpy as np
import pytest
import torch
from handmade import TinyNet, make_set, scene
from PIL import Image
from safetensors.torch import load_file
from tinyrun import kept_files, only, tiny

import festkit.data
from festkit import training
from festkit.data.dataset import Dataset, load_dataset
from festkit.metrics import Counts, count
from festkit.sensitivity import adjust_sensitivity
from festkit.training.batches import TrainingImages
from festkit.training.trainer import train
from festkit.training.validation import (
    TH1_GRID,
    TH2_GRID,
    calibrate,
    selection_start,
    split_holdout,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=10)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A holdout run long enough to find something."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = {"epochs": 8, "learning_rate": 0.03, "validate_every": 1, "ema_decay": 0.0}
    return train(tiny(folder, out, protocol="holdout", holdout=0.3, **options))


def judged_by(monkeypatch, values):
    """Scores by epoch, in place of those measured; None keeps the false-alarm limit broken."""
    rows = iter(values)

    def validate(network, config, images, dataset):
        value = next(rows)
        hits = round(100 * (value or 0))
        false = 0 if value is not None else 10_000
        made = Counts(
            intersection=hits, predicted=hits + false, true=100, detected=hits, targets=100,
            false_pixels=false, pixels=1_000_000, images=1,
        )  # fmt: skip
        assert made.valid == (value is not None)
        return made

    monkeypatch.setattr(training.loop, "validate", validate)


class TestSplit:
    def test_parts_make_the_whole_in_its_order(self, folder):
        listed = load_dataset(folder, "train")
        for seed in (-3, 0, 1, 2**40):
            kept, held = split_holdout(
                listed, tiny(folder, "x", protocol="holdout", holdout=0.3, seed=seed)
            )
            assert len(held) == 3
            assert set(kept.names) | set(held.names) == set(listed.names)
            assert [name for name in listed.names if name in set(kept.names)] == list(kept.names)

    def test_the_seed_draws(self, folder):
        listed = load_dataset(folder, "train")
        drawn = [
            tuple(split_holdout(listed, tiny(folder, "x", protocol="holdout", seed=seed))[1].names)
            for seed in (0, 0, 1, 2, 3, 4)
        ]
        assert drawn[0] == drawn[1]
        assert len(set(drawn)) > 1

    @pytest.mark.parametrize("protocol", ["paper", "last"])
    def test_without_holdout_all_are_trained_on(self, folder, protocol):
        listed = load_dataset(folder, "train")
        kept, held = split_holdout(listed, tiny(folder, "x", protocol=protocol))
        assert (kept, len(held)) == (listed, 0)

    @pytest.mark.parametrize(
        ("train_images", "holdout", "message"),
        [
            (3, 0.5, "a holdout of 50% takes 2 of the 3 .*lower holdout, or use protocol='last'"),
            (2, 0.1, "a holdout of 10% takes 1 of the 2 training images of set and leaves fewer"),
        ],
    )
    def test_too_few(self, tmp_path, train_images, holdout, message):
        folder = make_set(tmp_path / "set", train=train_images)
        with pytest.raises(ValueError, match=message):
            train(tiny(folder, tmp_path / "run", protocol="holdout", holdout=holdout))
        assert not (tmp_path / "run").exists()

    def test_one_image(self, tmp_path):
        folder = make_set(tmp_path / "set", train=1, test=1)
        with pytest.raises(ValueError, match="set has 1 training image; at least 2 are needed"):
            train(tiny(folder, tmp_path / "run"))


class TestFirstChoice:
    @pytest.mark.parametrize(
        ("protocol", "epochs", "first"),
        [
            ("paper", 300, 100), ("paper", 150, 100), ("paper", 149, 99), ("paper", 3, 2),
            ("paper", 1, 0), ("holdout", 80, 40), ("holdout", 3, 1), ("last", 80, None),
        ],
    )  # fmt: skip
    def test_when(self, protocol, epochs, first):
        assert selection_start(tiny("set", "x", protocol=protocol, epochs=epochs)) == first

    @pytest.mark.parametrize("protocol", ["paper", "holdout"])
    def test_the_last_epoch_may_always_be_chosen(self, protocol):
        for epochs in (*range(1, 12), 99, 100, 149, 150, 151, 300, 399):
            assert selection_start(tiny("set", "x", protocol=protocol, epochs=epochs)) < epochs


class TestHoldout:
    def test_it_is_never_trained_on(self, folder, tmp_path, monkeypatch):
        cfg = tiny(folder, tmp_path / "run", protocol="holdout", holdout=0.3)
        kept, held = split_holdout(load_dataset(folder, "train"), cfg)
        read, networks = [], []
        real = TrainingImages.read.__func__

        def note(cls, dataset, *arguments, **options):
            read.append(dataset)
            images = real(cls, dataset, *arguments, **options)
            networks.append(images)
            return images

        monkeypatch.setattr(TrainingImages, "read", classmethod(note))
        run = train(cfg)
        assert [list(dataset.names) for dataset in read] == [list(kept.names)]
        assert len(networks[0]) == 7
        assert list(run.maps("holdout")) == list(held.names)
        assert run.record["trained_on"] == 7

    def test_other_held_out_pixels_change_no_weight(self, tmp_path):
        weights = []
        for name in "ab":
            folder = make_set(tmp_path / name / "set", train=10)
            out = tmp_path / f"run {name}"
            cfg = tiny(folder, out, protocol="holdout", holdout=0.3, epochs=1)
            listed = load_dataset(folder, "train")
            if name == "b":  # the same gray levels, so the same mean and deviation
                for held in split_holdout(listed, cfg)[1].names:
                    path = folder / "images" / f"{held}.png"
                    Image.fromarray(np.asarray(Image.open(path))[::-1, ::-1].copy()).save(path)
            weights.append(load_file(train(cfg).weights))
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    @pytest.mark.filterwarnings("ignore:no pixel was predicted")
    def test_the_best_epoch_after_half_is_kept(self, folder, tmp_path, monkeypatch):
        judged_by(monkeypatch, [0.9, 0.95, 0.99, 0.2, 0.6, 0.6])  # epochs 1 to 6
        cfg = tiny(
            folder, tmp_path / "run", protocol="holdout", epochs=6, validate_every=1,
            ema_decay=0.0,
        )  # fmt: skip
        states, calibrated = {}, training.loop.calibrate

        def note(network, config, images, **options):
            calibrated(network, config, images, **options)
            states[len(states) + 1] = {n: t.clone() for n, t in network.state_dict().items()}

        monkeypatch.setattr(training.loop, "calibrate", note)
        run = train(cfg)
        assert run.record["kept_epoch"] == 5  # the first of the two best after epoch 3
        for name, tensor in load_file(run.weights).items():
            assert torch.equal(tensor, states[5][name])

    def test_a_valid_score_goes_before_any_other(self, folder, tmp_path, monkeypatch):
        judged_by(monkeypatch, [None, None, 0.01, None])
        options = {"epochs": 4, "validate_every": 1, "protocol": "holdout"}
        assert train(tiny(folder, tmp_path / "run", **options)).record["kept_epoch"] == 3

    @pytest.mark.filterwarnings("ignore:no pixel was predicted")
    def test_it_looks_as_often_as_asked_and_at_the_end(self, folder, tmp_path):
        run = train(tiny(folder, tmp_path / "run", protocol="holdout", epochs=5, validate_every=2))
        looked = [row["epoch"] for row in run.history() if not math.isnan(row["iou"])]
        assert looked == [2, 4, 5]

    def test_thresholds_are_those_of_a_search_by_hand(self, run):
        maps, names = run.maps("holdout"), list(run.maps("holdout"))
        masks = [scene(int(name[1:]))[1] for name in names]
        keeping = []  # by Score, the lowest Fa, th2 below th1, then the highest thresholds
        for th1 in TH1_GRID:
            for th2 in TH2_GRID:
                total = Counts()
                for name, mask in zip(names, masks, strict=True):
                    if th2 < th1:
                        found = adjust_sensitivity(maps[name], th1, th2).mask
                    else:
                        found = maps[name] > th1
                    total = total + count(found, mask)
                if total.fa < 1e-4:
                    order = (total.score, -total.fa, th2 < th1, th2, th1)
                    keeping.append((order, total.record()))
        (*_, th2, th1), counts = max(keeping, key=lambda row: row[0])
        assert run.record["thresholds"] == {"th1": th1, "th2": th2, **counts}
        assert counts["score"] > 0.5  # there was something to choose

    def test_no_threshold_where_every_map_is_full_of_false_alarms(self):
        maps = {"t0": np.random.default_rng(0).random((48, 64), np.float32)}
        assert training.validation.best_thresholds(maps, {"t0": scene(0)[1]}) is None

    def test_the_figures_follow_from_the_stored_maps(self, run):
        maps = run.maps("holdout")
        names = list(maps)
        plain, sensitive = run.record["holdout"]
        masks = [scene(int(name[1:]))[1] for name in names]
        total = sum(map(count, [maps[name] > 0.5 for name in names], masks), Counts())
        assert {key: plain[key] for key in total.record()} == total.record()
        refined = [adjust_sensitivity(maps[name], 0.5, 0.1).mask for name in names]
        total = sum(map(count, refined, masks), Counts())
        assert {key: sensitive[key] for key in total.record()} == total.record()

    def test_history_shows_the_same_figures(self, run):
        row = run.history()[run.record["kept_epoch"] - 1]
        plain, _ = run.record["holdout"]
        assert (row["iou"], row["pd"], row["fa"]) == pytest.approx(
            (plain["iou"], plain["pd"], plain["fa"]), abs=1e-4
        )


def reads_by_epoch(monkeypatch):
    """Which splits were read after how many epochs."""
    read, epochs, get, end = [], [0], Dataset.__getitem__, training.loop.Loop._step

    def get_and_note(dataset, index):
        read.append((dataset.split, epochs[0]))
        return get(dataset, index)

    def step_and_note(self, *arguments, **options):
        epochs[0] = self.state.epoch + 1
        return end(self, *arguments, **options)

    monkeypatch.setattr(Dataset, "__getitem__", get_and_note)
    monkeypatch.setattr(training.loop.Loop, "_step", step_and_note)
    return read


class TestPaper:
    def test_the_test_images_choose_after_two_thirds(self, folder, tmp_path, monkeypatch):
        judged_by(monkeypatch, [0.9, 0.9, 0.9, 0.9, 0.3, 0.5])
        cfg = tiny(folder, tmp_path / "run", protocol="paper", epochs=6, validate_every=1)
        record = train(cfg).record
        assert (record["protocol"], record["kept_epoch"]) == ("paper", 6)
        assert record["trained_on"] == 10
        assert "thresholds" not in record
        assert record["holdout"] == 0.15  # the option, not figures

    def test_a_test_image_changes_the_choice_alone(self, folder, tmp_path, monkeypatch):
        reads = reads_by_epoch(monkeypatch)
        train(tiny(folder, tmp_path / "run", protocol="paper", epochs=3, validate_every=1))
        assert {split for split, epoch in reads if epoch == 0} == {"train"}
        assert {epoch for split, epoch in reads if split == "test"} == {1, 2, 3}


class TestReading:
    def test_every_image_is_read_once_at_the_start_and_once_at_each_look(
        self, folder, tmp_path, monkeypatch
    ):
        reads = Counter()
        decode = festkit.data.images.read_raster

        def note(path, *more):
            reads[path.name] += 1
            return decode(path, *more)

        monkeypatch.setattr(festkit.data.dataset, "read_raster", note)
        cfg = tiny(
            folder, tmp_path / "run", protocol="holdout", holdout=0.3, epochs=3, validate_every=1
        )
        train(cfg)
        kept, held = split_holdout(load_dataset(folder, "train"), cfg)
        test = load_dataset(folder, "test")
        assert {reads[pair.image.name] for pair in kept.pairs} == {1}
        assert {reads[pair.image.name] for pair in held.pairs} == {1 + 3 + 1}  # start, looks, end
        assert {reads[pair.image.name] for pair in test.pairs} == {1}

    def test_statistics_are_those_of_all_listed_images(self, folder, tmp_path):
        listed = load_dataset(folder, "train")
        cfg = tiny(folder, tmp_path / "run", protocol="holdout", holdout=0.3)
        kept, _ = split_holdout(listed, cfg)
        images = TrainingImages.read(kept, cfg, torch.device("cpu"), within=listed)
        assert (images.mean, images.std) == listed.statistics()
        alone = TrainingImages.read(kept, cfg, torch.device("cpu"))
        assert torch.equal(images.gray, alone.gray)
        assert torch.equal(images.mask, alone.mask)


class TestLast:
    def test_nothing_is_chosen_and_no_test_image_read_before_the_end(
        self, folder, tmp_path, monkeypatch
    ):
        reads = reads_by_epoch(monkeypatch)
        run = train(tiny(folder, tmp_path / "run", validate_every=1))
        assert {epoch for split, epoch in reads if split == "test"} == {3}
        assert {epoch for split, epoch in reads if split == "train"} == {0}
        assert (run.record["kept_epoch"], run.record["protocol"]) == (3, "last")
        assert all(math.isnan(row["iou"]) for row in run.history())
        assert not (run.folder / "holdout_maps.npz").exists()
        with pytest.raises(FileNotFoundError):
            run.maps("holdout")


class TestCalibrating:
    def test_it_is_the_mean_over_batches_of_training_images(self, folder):
        cfg = tiny(folder, "x", batch_size=4)
        listed = load_dataset(folder, "train")
        images = TrainingImages.read(listed, cfg, torch.device("cpu"))
        network = TinyNet()
        network.train()
        calibrate(network, cfg, images)
        assert not network.training
        assert network.body[1].momentum == 0.1
        order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
        means = []
        for part in (order[:4], order[4:8], order[8:]):
            gray = (images.gray[part].float() / 255 - images.mean) / images.std
            means.append(network.body[0](gray).mean((0, 2, 3)))
        wanted = torch.stack(means).mean(0)
        torch.testing.assert_close(network.body[1].running_mean, wanted, rtol=1e-4, atol=1e-5)

    def test_few_batches_are_enough(self, folder, monkeypatch):
        monkeypatch.setattr(training.validation, "CALIBRATION_BATCHES", 2)
        seen = []
        network = TinyNet()
        network.body[1].register_forward_hook(lambda *_: seen.append(1))
        cfg = tiny(folder, "x", batch_size=2)
        listed = load_dataset(folder, "train")
        images = TrainingImages.read(listed, cfg, torch.device("cpu"))
        calibrate(network, cfg, images)
        assert len(seen) == 2

    def test_it_is_the_same_before_and_after_a_checkpoint(self, folder, tmp_path, monkeypatch):
        cfg = tiny(folder, tmp_path / "run", protocol="holdout", validate_every=1)
        with monkeypatch.context() as patch:
            patch.setattr(training.loop, "validate", only(training.loop.validate, 1))
            patch.setattr(training.loop, "CHECKPOINT_SECONDS", -1.0)
            patch.setattr(training.loop, "CHECKPOINT_SHARE", 1e9)
            with pytest.raises(KeyboardInterrupt):
                train(cfg)
        whole = train(tiny(folder, tmp_path / "whole", protocol="holdout", validate_every=1))
        assert kept_files(train(cfg)) == kept_files(whole)
