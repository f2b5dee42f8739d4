import math
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from handmade import HEIGHT, WIDTH, TinyNet, make_set, scene
from safetensors.torch import load_file
from torch import nn

from festkit import training
from festkit._run import Run, TrainConfig, open_run
from festkit.backbones import create_backbone
from festkit.data import Dataset, load_dataset
from festkit.fusion import probability_map
from festkit.metrics import evaluate
from festkit.training import start_at_prior, train
from festkit.weights import load_weights, read_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand")


def config(folder, out, **options):
    """A second of training: the hand-made network at 32 px, always with the same first weights."""
    torch.manual_seed(0)
    given = {"size": 32, "backbone": TinyNet(), "epochs": 3, "batch_size": 4, "device": "cpu"}
    return TrainConfig(str(folder), out=str(out), **(given | options))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return train(config(folder, tmp_path_factory.mktemp("runs") / "first"))


class TestPrior:
    @pytest.mark.parametrize("seed", range(5))
    def test_acm_starts_at_one_percent(self, seed):
        torch.manual_seed(seed)
        acm = create_backbone("ACM")
        start_at_prior(acm)
        *_, output = [layer for layer in acm.modules() if isinstance(layer, nn.Conv2d)]
        assert output.bias.sigmoid().item() == pytest.approx(0.01)
        prob = acm.eval()(torch.randn(2, 3, 64, 64)).sigmoid()
        assert prob.min() > 0.01 * 0.99
        assert prob.mean() < 0.05

    @pytest.mark.parametrize("seed", range(20))
    def test_a_narrow_head_can_always_detect(self, seed):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1, 1))
        start_at_prior(head)
        assert (head[1].weight > 0).all()
        targetlike = torch.full((1, 2, 1, 1), 100.0)
        assert head(targetlike).item() > 0

    def test_without_it_some_narrow_heads_never_detect(self):
        deaf = 0
        for seed in range(20):
            torch.manual_seed(seed)
            deaf += int((nn.Conv2d(2, 1, 1).weight < 0).all())
        assert deaf > 0

    def test_wide_heads_keep_their_weights(self):
        layer = nn.Conv2d(9, 1, 1)
        before = layer.weight.clone()
        start_at_prior(layer)
        torch.testing.assert_close(layer.weight, before, rtol=0, atol=0)

    def test_the_last_single_channel_layer_is_taken(self):
        network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 4, 1), nn.Conv2d(4, 1, 1))
        first = network[0].bias.item()
        start_at_prior(network)
        assert network[0].bias.item() == first
        assert network[2].bias.item() == pytest.approx(math.log(0.01 / 0.99))

    def test_a_network_may_name_its_output_layers(self):
        network = TinyNet()
        network.side = nn.Conv2d(12, 1, 1)
        network.output_layers = lambda: [network.side, network.head]
        start_at_prior(network)
        assert (
            network.side.bias.item() == network.head.bias.item() == pytest.approx(-4.595, abs=0.01)
        )

    @pytest.mark.parametrize("network", [nn.Conv2d(3, 1, 1, bias=False), nn.Linear(2, 1)])
    def test_a_network_that_cannot_hold_the_prior_stays_as_it_is(self, network):
        before = [p.clone() for p in network.parameters()]
        with pytest.warns(UserWarning, match=r"no output convolution with a bias.*output_layers"):
            start_at_prior(network)
        assert all(map(torch.equal, before, network.parameters()))


class TestLearning:
    def test_acm_overfits_four_scenes_in_80_steps(self, tmp_path, monkeypatch):
        four = make_set(tmp_path / "four", train=4, test=1)
        monkeypatch.setattr(training, "augment", lambda gray, mask, bank, generator: (gray, mask))
        acm = TrainConfig(
            str(four), size=64, epochs=80, batch_size=4, warmup_steps=5, average_decay=0.9,
            device="cpu", out=str(tmp_path / "run"),
        )  # fmt: skip
        done = train(acm)
        assert len(done.history()) == 80
        network, given = load_weights(done.weights), done.record
        scenes = [scene(seed) for seed in range(4)]
        maps = [
            probability_map(network, image, 64, mean=given["mean"], std=given["std"])
            for image, _ in scenes
        ]
        counts = evaluate((prob > 0.5 for prob in maps), (mask for _, mask in scenes))
        assert (counts.pd, counts.false_pixels) == (1.0, 0)
        assert counts.iou > 0.6

    def test_the_record_belongs_to_the_maps(self, run, folder):
        maps = run.test_maps()
        assert list(maps) == ["e0", "e1", "e2"]
        assert {prob.shape for prob in maps.values()} == {(HEIGHT, WIDTH)}
        plain, sensitive = run.record["test"]
        assert (plain["th1"], plain["th2"]) == (0.5, None)
        assert (sensitive["th1"], sensitive["th2"]) == (0.5, 0.1)
        truth = [scene(100 + number)[1] for number in range(3)]
        found = [prob > 0.5 for prob in maps.values()]
        both = sum(int((f & t).sum()) for f, t in zip(found, truth, strict=True))
        either = sum(int((f | t).sum()) for f, t in zip(found, truth, strict=True))
        assert (plain["intersection"], plain["union"]) == (both, either)
        assert plain["images"] == 3
        assert plain["pixels"] == 3 * HEIGHT * WIDTH
        assert plain["targets"] == sensitive["targets"] == 4  # of scenes 100, 101, 102: 1 + 2 + 1

    def test_the_maps_are_those_of_the_kept_weights(self, run):
        network = load_weights(run.weights, TinyNet())
        image, _ = scene(100)
        prob = probability_map(network, image, 32, mean=run.record["mean"], std=run.record["std"])
        np.testing.assert_allclose(run.test_maps()["e0"], prob, atol=0.5 / 65535 + 1e-6)

    def test_history(self, run):
        lines = (run.folder / "history.csv").read_text().splitlines()
        assert lines[0] == "epoch,loss,train_iou,learning_rate"
        assert len(lines) == 4
        rows = run.history()
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        assert all(row["loss"] > 0 and 0 <= row["train_iou"] <= 1 for row in rows)
        assert rows[-1]["learning_rate"] == pytest.approx(0)
        assert rows[0]["learning_rate"] > rows[1]["learning_rate"]

    def test_the_record(self, run, folder):
        record = run.record
        assert record["backbone"] == "TinyNet"
        assert (record["size"], record["loss"], record["epochs"], record["seed"]) == (
            32, "EEDM", 3, 0,
        )  # fmt: skip
        assert record["in_channels"] == 1
        assert record["device"] == "cpu"
        assert record["precision"] in ("fp32", "bf16")
        assert record["protocol"] == "last"
        assert set(record["versions"]) == {"festkit", "torch", "numpy"}
        assert record["command"].startswith("festkit train --dataset")
        assert record["train_split"] != record["test_split"]
        grays = [scene(seed)[0] for seed in range(6)]
        assert record["mean"] == pytest.approx(np.mean([gray.mean() for gray in grays]) / 255)
        assert record["std"] == pytest.approx(np.mean([gray.std() for gray in grays]) / 255)
        card = read_card(run.weights)
        assert card == {key: value for key, value in record.items() if key in card}
        assert set(record) - set(card) == {"test", "test_split"}

    def test_nothing_but_the_results_stays(self, run):
        assert sorted(path.name for path in run.folder.iterdir()) == [
            "config.json", "history.csv", "record.json", "test_maps.npz", "weights.safetensors",
        ]  # fmt: skip

    def test_a_finished_run_is_returned_as_it_is(self, run, folder, monkeypatch):
        monkeypatch.setattr(training, "_train_epoch", None)
        before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
        assert train(config(folder, run.folder)) == run
        assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before

    def test_the_test_images_are_not_read_before_the_end(self, folder, tmp_path, monkeypatch):
        trained, read = [], []
        epoch, get = training._train_epoch, Dataset.__getitem__

        def get_and_note(dataset, index):
            read.append((dataset.split, len(trained)))
            return get(dataset, index)

        def train_and_note(*arguments):
            trained.append(1)
            return epoch(*arguments)

        monkeypatch.setattr(Dataset, "__getitem__", get_and_note)
        monkeypatch.setattr(training, "_train_epoch", train_and_note)
        train(config(folder, tmp_path / "run"))
        assert {epochs for split, epochs in read if split == "test"} == {3}
        assert {epochs for split, epochs in read if split == "train"} == {0}


class TestBatches:
    @pytest.mark.parametrize(
        ("images", "sizes"), [(8, [4, 4]), (9, [4, 4]), (10, [4, 4, 2]), (3, [3]), (4, [4])]
    )
    def test_a_last_batch_of_one_is_left_out(self, images, sizes, tmp_path, monkeypatch):
        folder = make_set(tmp_path / "set", train=images, test=1)
        seen = []
        kept = training.augment

        def augment_and_note(gray, *rest):
            seen.append(len(gray))
            return kept(gray, *rest)

        monkeypatch.setattr(training, "augment", augment_and_note)
        train(config(folder, tmp_path / "run", epochs=1))
        assert seen == sizes

    def test_a_set_of_one_image_is_refused(self, tmp_path):
        folder = make_set(tmp_path / "set", train=1, test=1)
        with pytest.raises(ValueError, match="set has 1 training image; at least 2 are needed"):
            train(config(folder, tmp_path / "run", epochs=1))
        assert not (tmp_path / "run").exists()

    def test_a_network_passed_as_such_is_copied(self, folder, tmp_path):
        network = TinyNet()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        runs = [train(config(folder, tmp_path / name, backbone=network, epochs=1)) for name in "ab"]
        assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
        assert runs[0].weights.read_bytes() == runs[1].weights.read_bytes()

    def test_batch_norm_is_calibrated_on_a_random_sample(self, folder, tmp_path, monkeypatch):
        chosen = []
        real = training._normalised

        def spy(model, gray, images):
            if not torch.is_grad_enabled():
                chosen.append(gray)
            return real(model, gray, images)

        monkeypatch.setattr(training, "_normalised", spy)
        monkeypatch.setattr(training, "CALIBRATION_BATCHES", 1)
        train(config(folder, tmp_path / "run", epochs=1, batch_size=2))
        images = training.TrainingImages.read(
            load_dataset(folder, "train"), chosen[0].shape[-1], torch.device("cpu")
        )
        first = images.gray[:2].float() / 255
        assert len(chosen) == 1
        assert not torch.equal(chosen[0], first)

    def test_a_damaged_checkpoint_is_named(self, folder, tmp_path):
        cfg = config(folder, tmp_path / "run", epochs=1)
        (tmp_path / "run").mkdir()
        open_run(
            cfg,
            train_split=load_dataset(folder, "train").fingerprint,
            test_split=load_dataset(folder, "test").fingerprint,
        ).checkpoint.write_bytes(b"not a checkpoint")
        with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged; remove it"):
            train(cfg)

    def test_constant_images_are_refused(self, tmp_path):
        folder = make_set(tmp_path / "set")
        for path in (folder / "images").iterdir():
            cv2.imwrite(str(path), np.full((48, 64), 90, np.uint8))
        with pytest.raises(ValueError, match="every training image of set is of one gray level"):
            train(config(folder, tmp_path / "run", epochs=1))

    def test_the_rate_rises_then_falls_along_a_cosine(self):
        rates = [training._rate(step, 4, 12) for step in range(13)]
        np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0])
        np.testing.assert_allclose(rates[4:], 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, 9)))

    def test_the_first_average_forgets_the_start(self):
        average = torch.optim.swa_utils.AveragedModel(
            nn.Linear(1, 1), multi_avg_fn=training._averaging(0.998)
        )
        for value in (100.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
            layer = nn.Linear(1, 1)
            nn.init.constant_(layer.weight, value)
            average.update_parameters(layer)
        assert average.module.weight.item() < 1.1


def stop_at(monkeypatch, *, batch):
    """Raise in the given batch of the run, counted from 1, after a checkpoint of every epoch."""
    kept, seen = training.augment, []

    def augment_or_stop(*arguments):
        seen.append(1)
        if len(seen) == batch:
            raise KeyboardInterrupt
        return kept(*arguments)

    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(training, "augment", augment_or_stop)


def kept_files(run):
    return {
        name: (run.folder / name).read_bytes()
        for name in ("weights.safetensors", "history.csv", "record.json")
    }


class TestContinuing:
    @pytest.mark.parametrize("batch", [2, 3, 4, 6])
    def test_a_stopped_run_ends_as_an_undisturbed_one(
        self, run, folder, tmp_path, monkeypatch, batch
    ):
        with monkeypatch.context() as patch:
            stop_at(patch, batch=batch)
            with pytest.raises(KeyboardInterrupt):
                train(config(folder, tmp_path / "run"))
        stopped = Run(tmp_path / "run")
        assert not stopped.finished
        assert stopped.checkpoint.is_file() == (batch > 2)  # two batches are an epoch
        again = train(config(folder, tmp_path / "run"))
        assert kept_files(again) == kept_files(run)
        assert not again.checkpoint.exists()

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_a_stopped_acm_continues_bit_by_bit(self, folder, tmp_path, monkeypatch, precision):
        options = {"backbone": "ACM", "precision": precision, "epochs": 2}
        whole = train(config(folder, tmp_path / "whole", **options))
        with monkeypatch.context() as patch:
            stop_at(patch, batch=4)
            with pytest.raises(KeyboardInterrupt):
                train(config(folder, tmp_path / "run", **options))
        again = train(config(folder, tmp_path / "run", **options))
        assert kept_files(again) == kept_files(whole)

    def test_a_run_stopped_while_testing_continues_there(self, run, folder, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(training, "_figures", no_space)
            with pytest.raises(OSError, match="No space left"):
                train(config(folder, tmp_path / "run"))
        assert not Run(tmp_path / "run").finished
        with monkeypatch.context() as patch:
            patch.setattr(training, "_train_epoch", None)
            again = train(config(folder, tmp_path / "run"))
        assert kept_files(again) == kept_files(run)

    def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(
        self, run, folder, tmp_path, monkeypatch
    ):
        saves = []
        kept = torch.save

        def save_or_fail(states, path):
            saves.append(1)
            kept(states, path)
            if len(saves) == 2:
                no_space()

        with monkeypatch.context() as patch:
            patch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
            patch.setattr(torch, "save", save_or_fail)
            with pytest.raises(OSError, match="No space left"):
                train(config(folder, tmp_path / "run"))
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
            "checkpoint.pt", "config.json", "history.csv",
        ]  # fmt: skip
        assert kept_files(train(config(folder, tmp_path / "run"))) == kept_files(run)

    def test_a_killed_process(self, run, folder, tmp_path):
        script = """
import os, signal, sys
import torch
from handmade import TinyNet
from festkit import training
kept, seen = training.augment, []
def augment(*arguments):
    seen.append(1)
    if len(seen) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return kept(*arguments)
training.augment, training.CHECKPOINT_SECONDS = augment, -1.0
torch.manual_seed(0)
training.train(training.TrainConfig(
    sys.argv[1], size=32, backbone=TinyNet(), epochs=3, batch_size=4, device="cpu", out=sys.argv[2]
))
"""
        here = Path(__file__).parent
        paths = os.pathsep.join([str(here), str(here.parent)])
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder), str(tmp_path / "run")],
            env=os.environ | {"PYTHONPATH": paths}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        killed = Run(tmp_path / "run")
        assert killed.checkpoint.is_file()
        assert not killed.finished
        assert len(killed.history()) == 1
        assert kept_files(train(config(folder, tmp_path / "run"))) == kept_files(run)


def no_space(*_):
    raise OSError(28, "No space left on device")


class TestOwnNetworks:
    def test_a_network_without_batch_norm(self, folder, tmp_path):
        class Plain(nn.Sequential):
            in_channels = 1

        network = Plain(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
        done = train(config(folder, tmp_path / "run", backbone=network, epochs=1))
        fresh = Plain(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
        load_weights(done.weights, fresh)
        assert done.record["backbone"] == "Plain"

    def test_the_same_seed_gives_the_same_weights_and_another_one_others(self, folder, tmp_path):
        options = {"backbone": "ACM", "epochs": 1}
        runs = [
            train(config(folder, tmp_path / name, seed=seed, **options))
            for name, seed in (("a", 1), ("b", 1), ("c", 2))
        ]
        a, b, c = (load_file(done.weights) for done in runs)
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not torch.equal(a["head.4.weight"], c["head.4.weight"])

    def test_initial_weights_are_where_training_starts(self, run, folder, tmp_path):
        start = load_file(run.weights)
        options = {"initial_weights": str(run.weights), "learning_rate": 1e-12, "epochs": 1}
        done = train(config(folder, tmp_path / "run", **options))
        for name, tensor in load_file(done.weights).items():
            if "running" not in name and "batches" not in name:
                torch.testing.assert_close(tensor, start[name], rtol=1e-5, atol=1e-8)
        assert done.record["initial_weights"] == str(run.weights)


class TestBadInput:
    def test_missing_dataset_says_where_and_how(self, tmp_path):
        missing = config("NUAA-SIRST", tmp_path / "run", data_root=str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"NUAA-SIRST is not under .*How to get it"):
            train(missing)
        assert not (tmp_path / "run").exists()

    def test_unknown_dataset(self, tmp_path):
        with pytest.raises(ValueError, match=r"unknown dataset 'NUAA-SIRT'.*Did you mean 'NUAA-SI"):
            train(config("NUAA-SIRT", tmp_path / "run", data_root=str(tmp_path)))

    def test_empty_split(self, tmp_path):
        folder = make_set(tmp_path / "set", test=0)
        with pytest.raises(ValueError, match="the test split of set is empty"):
            train(config(folder, tmp_path / "run"))

    def test_an_image_without_mask(self, tmp_path):
        folder = make_set(tmp_path / "set")
        (folder / "masks" / "t2.png").unlink()
        with pytest.raises(ValueError, match=r"image .*t2\.png has no mask"):
            train(config(folder, tmp_path / "run"))

    def test_a_truncated_image_is_named(self, tmp_path):
        folder = make_set(tmp_path / "set")
        path = folder / "images" / "t2.png"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ValueError, match=r"cannot read image file .*t2\.png"):
            train(config(folder, tmp_path / "run"))

    def test_black_masks_warn_before_the_first_epoch(self, tmp_path, monkeypatch):
        folder = make_set(tmp_path / "set", targets=False)
        monkeypatch.setattr(training, "_train_epoch", no_space)
        with (
            pytest.warns(UserWarning, match="none of the 6 training masks of set holds a target"),
            pytest.raises(OSError, match="No space"),
        ):
            train(config(folder, tmp_path / "run"))

    def test_black_masks_still_train(self, tmp_path):
        folder = make_set(tmp_path / "set", targets=False)
        with pytest.warns(UserWarning, match="finds nothing"):
            done = train(config(folder, tmp_path / "run", epochs=1))
        assert done.record["test"][0]["pd"] is None

    def test_targets_raise_no_warning(self, folder, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            train(config(folder, tmp_path / "run", epochs=1))

    def test_a_loss_that_is_no_number(self, folder, tmp_path):
        network = TinyNet()
        nn.init.constant_(network.body[0].weight, torch.nan)
        broken = config(folder, tmp_path / "run", backbone=network, learning_rate=0.5)
        with pytest.raises(
            FloatingPointError,
            match=r"is nan in epoch 1; try a lower learning_rate than 0\.5, or precision='fp32'",
        ):
            train(broken)
        assert not Run(tmp_path / "run").finished
        assert not Run(tmp_path / "run").checkpoint.exists()

    def test_size_off_the_divisor_of_an_own_network(self, folder, tmp_path):
        with pytest.raises(
            ValueError, match=r"size 33 px.*multiple of 2, which TinyNet.*fits is 34"
        ):
            config(folder, tmp_path, size=33)

    def test_a_folder_of_another_run(self, run, folder):
        with pytest.raises(FileExistsError, match=r"already holds another run \(epochs 3 -> 4\)"):
            train(config(folder, run.folder, epochs=4))

    def test_images_changed_under_the_same_name(self, tmp_path):
        folder = make_set(tmp_path / "set")
        train(config(folder, tmp_path / "run", epochs=1))
        (folder / "images" / "t0.png").write_bytes((folder / "images" / "t1.png").read_bytes())
        with pytest.raises(FileExistsError, match=r"another run \(train_split '.*' -> '.*'\)"):
            train(config(folder, tmp_path / "run", epochs=1))

    def test_missing_initial_weights(self, folder, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no weights file none"):
            train(config(folder, tmp_path / "run", initial_weights="none.safetensors"))

    def test_initial_weights_of_another_network(self, run, folder, tmp_path):
        wrong = config(
            folder, tmp_path / "run", backbone=TinyNet(5), initial_weights=str(run.weights)
        )
        with pytest.raises(ValueError, match=r"weights\.safetensors does not fit TinyNet"):
            train(wrong)

    def test_a_device_that_is_not_there(self, folder, tmp_path):
        with pytest.raises(ValueError, match="unknown device 'gpu'; known are"):
            train(config(folder, tmp_path / "run", device="gpu"))
        assert not (tmp_path / "run").exists()
