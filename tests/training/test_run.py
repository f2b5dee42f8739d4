import dataclasses
import json
import math
import re
import shlex
import warnings
import zipfile

import numpy as np
import pytest
from handmade import TinyNet
from hypothesis import given, settings
from hypothesis import strategies as st

from festkit._support.errors import InputError
from festkit._support.files import write_json
from festkit.cli.main import main
from festkit.ops.resize import MASK_RULE
from festkit.training import trainer
from festkit.training.config import TrainConfig, check_size
from festkit.training.run import Run, StoredMaps, open_run

DATA = "0123456789ab"


class TestConfig:
    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            (
                "size",
                0,
                r"size 0 px is not a positive multiple of 16.*ACM requires.*valid size is 16$",
            ),
            ("size", -16, r"the next valid size is 16$"),
            ("size", 250, r"size 250 px is not a positive multiple of 16.*valid size is 256$"),
            ("backbone", "AMC", r"unknown backbone 'AMC'; choose from ACM.*Did you mean 'ACM'"),
            ("loss", "EEMD", r"unknown loss 'EEMD'; choose from BCE, .*Did you mean 'EEDM'"),
            ("loss_options", {"edge": 4}, r"EEDM has no option 'edge'; it has edge_weight, keep_"),
            ("loss_options", {"keep_ratio": 2}, r"keep_ratio is 2, expected a share in \(0, 1\]"),
            ("epochs", 0, "epochs is 0, expected at least 1"),
            ("batch_size", 1, "batch_size is 1, expected at least 2"),
            ("learning_rate", 0, "learning_rate is 0, expected a number above 0"),
            ("learning_rate", float("nan"), "learning_rate is nan, expected a number above 0"),
            ("learning_rate", float("inf"), "learning_rate is inf, expected a number above 0"),
            ("weight_decay", -0.1, r"weight_decay is -0\.1, expected a number of at least 0"),
            ("weight_decay", float("nan"), "weight_decay is nan, expected a number of at least 0"),
            ("warmup_steps", -1, "warmup_steps is -1, expected at least 0"),
            ("ema_decay", 1, r"ema_decay is 1, expected a number in \[0, 1\)"),
            ("ema_decay", -0.1, r"ema_decay is -0\.1, expected a number in \[0, 1\)"),
            ("accumulate", 0, "accumulate is 0, expected at least 1"),
            ("validate_every", 0, "validate_every is 0, expected at least 1"),
            ("workers", -1, "workers is -1, expected at least 0"),
            ("seed", 2**63, "seed is 9223372036854775808, expected an integer of 64 bit"),
            ("threads", 0, "threads is 0, expected a whole number from 1 to 1024, or None"),
            ("threads", 100_000, "threads is 100000, expected a whole number from 1 to 1024"),
            ("clip_norm", 0.0, "clip_norm is 0.0, expected a number above 0, or None"),
            ("clip_norm", float("nan"), "clip_norm is nan, expected a number above 0"),
            ("crop", 0, "crop 0 px is not a positive multiple of 16, as ACM requires"),
            ("crop", 100, "crop 100 px is not a positive .*; the next valid size is 112"),
            ("crop", 1.5, r"crop is 1\.5, expected a whole number of px"),
            ("crop", 272, "crop is 272, expected at most size, 256"),
            ("holdout", 0.0, r"holdout is 0.0, expected a share in \(0, 1\)"),
            ("holdout", 1.0, r"holdout is 1.0, expected a share in \(0, 1\)"),
            ("precision", "fp8", "precision is 'fp8', expected one of auto, fp32, bf16, fp16$"),
            ("protocol", "best", "protocol is 'best', expected one of holdout, paper, last$"),
            ("schedule", "step", "schedule is 'step', expected one of cosine, constant$"),
            ("cache_on", "disk", "cache_on is 'disk', expected one of device, host$"),
        ],
    )
    def test_a_wrong_value_is_named(self, field, value, message):
        with pytest.raises(ValueError, match=message):
            TrainConfig(**({"dataset": "NUAA-SIRST", "size": 256} | {field: value}))

    def test_it_cannot_be_changed(self):
        config = TrainConfig("NUAA-SIRST", size=256)
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.size = 512

    def test_plain_is_json_with_the_names_of_the_paper(self):
        config = TrainConfig(
            "NUAA-SIRST", size=256, backbone="acm", loss="e-edm", loss_options={"edge_weight": 3},
            data_root="/here", out="/there", device="cuda:1", cache_on="host", workers=3,
        )  # fmt: skip
        plain = config.to_dict()
        assert json.loads(json.dumps(plain)) == plain
        assert (plain["backbone"], plain["loss"]) == ("ACM", "EEDM")
        assert plain["loss_options"] == {"edge_weight": 3}
        named = {field.name for field in dataclasses.fields(TrainConfig)}
        assert named - set(plain) == {
            "data_root", "out", "device", "cache_on", "workers", "threads",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("typed", "name"),
        [
            ("sirst", "NUAA-SIRST"),
            ("/data/NUDT_SIRST/", "NUDT-SIRST"),
            ("/data/A+/other/B", "A+B"),
            ("nuaa-sirst + irstd1k", "NUAA-SIRST+IRSTD-1K"),
            (".", "here"),
        ],
    )
    def test_a_dataset_goes_by_its_name(self, typed, name, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert TrainConfig(typed, size=256).to_dict()["dataset"] == name

    def test_an_own_network_goes_by_its_class(self):
        config = TrainConfig("NUAA-SIRST", size=2, backbone=TinyNet())
        assert config.to_dict()["backbone"] == "TinyNet"
        assert config.folder.as_posix() == "runs/nuaa-sirst-tinynet-2-eedm-seed0"

    def test_the_folder(self):
        assert TrainConfig("a/My Set", size=16, seed=3).folder.as_posix() == (
            "runs/my set-acm-16-eedm-seed3"
        )
        assert TrainConfig("a", size=16, out="x/y").folder.as_posix() == "x/y"

    @pytest.mark.parametrize(("size", "fit"), [(1, 16), (17, 32), (255, 256), (-3, 16)])
    def test_the_next_size_that_fits(self, size, fit):
        with pytest.raises(ValueError, match=rf"valid size is {fit}\b"):
            check_size(size, "acm")
        check_size(fit, "acm")

    def test_a_network_without_divisor_takes_any_size(self):
        network = TinyNet()
        network.divisor = 1
        check_size(1, network)
        with pytest.raises(ValueError, match="size 0 px"):
            check_size(0, network)


class TestCommand:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"backbone": "ACM", "epochs": 80},
            {"dataset": "NUAA-SIRST+my set", "size": 512, "backbone": "acm", "loss": "BCE"},
            {"loss_options": {"edge_weight": 4.5, "keep_ratio": 0.25}, "seed": 7},
            {"epochs": 2, "batch_size": 3, "learning_rate": 1e-4, "weight_decay": 0.0},
            {"warmup_steps": 0, "ema_decay": 0.0, "initial_weights": "a b.safetensors"},
            {"precision": "bf16", "device": "cuda:1", "seed": -1},
            {"backbone": "MLCL-Net", "backbone_options": {"base": True}},
            {"backbone_options": {"bn_momentum": 0.9}},
            {
                "crop": 128,
                "accumulate": 4,
                "clip_norm": 1.0,
                "schedule": "constant",
                "compile": True,
            },
            {"protocol": "paper", "validate_every": 1, "holdout": 0.25},
            {"protocol": "last", "cache_on": "host", "workers": 2, "precision": "fp16"},
        ],
    )
    def test_it_trains_the_same_configuration(self, options, monkeypatch, capsys):
        config = TrainConfig(**({"dataset": "NUAA-SIRST", "size": 256} | options))
        came = []

        def train(parsed, **options):
            came.append((parsed, options))
            return Run(parsed.folder)

        monkeypatch.setattr(trainer, "train", train)
        program, *words = shlex.split(config.command())
        assert program == "festkit"
        assert main([*words, "--max-minutes", "1.5"]) == 0
        ((parsed, how),) = came
        assert parsed.to_dict() == config.to_dict()
        assert how == {"resume": "auto", "max_minutes": 1.5}
        assert "run the same command to continue: runs/" in capsys.readouterr().out

    def test_what_is_of_this_machine_is_not_in_it(self):
        config = TrainConfig(
            "NUAA-SIRST", size=256, data_root="/data", out="/runs/x", device="cuda:3",
            cache_on="host", workers=4,
        )  # fmt: skip
        assert config.command() == "festkit train --dataset NUAA-SIRST --size 256"

    def test_the_options_are_the_fields(self, capsys):
        with pytest.raises(SystemExit) as stopped:
            main(["train", "--help"])
        assert stopped.value.code == 0
        text = capsys.readouterr().out
        for field in dataclasses.fields(TrainConfig):
            assert "--" + field.name.replace("_", "-") in text


@pytest.fixture
def config(tmp_path):
    return TrainConfig("NUAA-SIRST", size=256, out=str(tmp_path / "run"))


def opened(config, train=DATA, test=DATA):
    return open_run(config, train_split=train, test_split=test)


def with_checkpoint(config):
    """A run that has done some work, so that its folder is taken."""
    run = opened(config)
    run.checkpoint.write_bytes(b"weights")
    return run


def without_mask_rule(run):
    """Make it a run of an older version; its configuration."""
    written = run.folder / "config.json"
    before = json.loads(written.read_text())
    del before["training_masks"]
    written.write_text(json.dumps(before))
    return written


class TestOpenRun:
    def test_a_new_folder_holds_its_configuration(self, config):
        run = opened(config)
        written = json.loads((run.folder / "config.json").read_text())
        assert written == config.to_dict() | {
            "train_split": DATA,
            "test_split": DATA,
            "training_masks": MASK_RULE,
        }
        assert not run.finished

    def test_the_same_configuration_opens_it_again(self, config):
        same = dataclasses.replace(config, data_root="/elsewhere", backbone="acm")
        assert with_checkpoint(config) == opened(same)

    def test_a_configuration_of_an_earlier_version_is_the_same_run(self, config):
        run = with_checkpoint(config)
        written = run.folder / "config.json"
        former = {"ema_decay": "average_decay", "compile": "compiled"}
        values = json.loads(written.read_text())
        written.write_text(json.dumps({former.get(k, k): v for k, v in values.items()}))
        assert opened(config) == run
        written.write_text(
            json.dumps({former.get(k, k): v for k, v in (values | {"ema_decay": 0.5}).items()})
        )
        with pytest.raises(FileExistsError, match=r"ema_decay 0\.5 -> 0\.998"):
            opened(config)

    def test_another_configuration_names_every_change(self, config):
        with_checkpoint(config)
        other = dataclasses.replace(config, loss="BCE", seed=1)
        with pytest.raises(
            FileExistsError,
            match=r"run already holds another run \(loss 'EEDM' -> 'BCE'; seed 0 -> 1\); "
            r"choose another run folder \(out\) or delete this one",
        ):
            opened(other)

    def test_nothing_is_lost_where_nothing_was_trained(self, config):
        opened(config)
        other = dataclasses.replace(config, loss="BCE")
        run = opened(other)
        assert json.loads((run.folder / "config.json").read_text())["loss"] == "BCE"

    def test_a_checkpoint_on_older_masks_is_not_continued(self, config):
        run = with_checkpoint(config)
        written = without_mask_rule(run)
        with pytest.raises(FileExistsError, match=r"training_masks None -> .*run folder \(out\)"):
            opened(config)
        assert "training_masks" not in json.loads(written.read_text())
        run.checkpoint.unlink()
        opened(config)
        assert json.loads(written.read_text())["training_masks"] == MASK_RULE

    @pytest.mark.parametrize("recorded", [True, False])
    def test_a_finished_run_on_older_masks_is_told_of(self, config, recorded):
        run = opened(config)
        without_mask_rule(run)
        record = {"training_masks": MASK_RULE} if recorded else {}
        (run.folder / "record.json").write_text(json.dumps(record | {"test": []}))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert opened(config).finished
        assert ["an older version" in str(one.message) for one in told] == [True] * (not recorded)

    @pytest.mark.parametrize("split", ["train", "test"])
    def test_other_images_are_another_run(self, config, split):
        with_checkpoint(config)
        with pytest.raises(FileExistsError, match=rf"\({split}_split '0123456789ab' -> 'ba98'\)"):
            opened(config, **{split: "ba98"})

    def test_other_initial_weights_are_another_run(self, config, tmp_path):
        weights = tmp_path / "start.safetensors"
        weights.write_bytes(b"one")
        config = dataclasses.replace(config, initial_weights=str(weights))
        with_checkpoint(config)
        moved = weights.rename(tmp_path / "moved.safetensors")
        opened(dataclasses.replace(config, initial_weights=str(moved)))
        moved.write_bytes(b"two")
        with pytest.raises(FileExistsError, match="initial_weights 'sha256 "):
            opened(dataclasses.replace(config, initial_weights=str(moved)))

    def test_a_moved_dataset_is_the_same_run(self, config):
        with_checkpoint(dataclasses.replace(config, dataset="/here/scenes"))
        opened(dataclasses.replace(config, dataset="/there/scenes"))

    def test_a_folder_with_other_files(self, config):
        config.folder.mkdir()
        (config.folder / "thesis.tex").write_text("mine")
        with pytest.raises(FileExistsError, match="run holds other files; choose another run fol"):
            opened(config)
        assert [path.name for path in config.folder.iterdir()] == ["thesis.tex"]

    def test_what_a_killed_run_left_half_written_is_removed(self, config):
        config.folder.mkdir()
        (config.folder / ".config.json.17.part").write_text("{")
        (config.folder / ".DS_Store").write_text("")
        assert not opened(config).finished
        assert sorted(p.name for p in config.folder.iterdir()) == [".DS_Store", "config.json"]

    def test_a_damaged_configuration_is_named(self, config):
        opened(config)
        (config.folder / "config.json").write_text("{")
        with pytest.raises(ValueError, match=r"config\.json is not readable JSON"):
            opened(config)


class TestRun:
    def test_an_unfinished_run_has_no_record(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="holds no finished run; finish the training"):
            _ = Run(tmp_path).record

    def test_a_half_written_record_is_none(self, tmp_path):
        (tmp_path / ".record.json.17.part").write_text('{"size": 2')
        assert not Run(tmp_path).finished

    def test_a_damaged_history_is_named(self, tmp_path):
        run = Run(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"history\.csv is missing; train the run"):
            run.history()
        for text in ("", "epoch,loss\n1,high\n", "epoch,loss\n1\n", "epoch\n1,2\n"):
            (tmp_path / "history.csv").write_text(text)
            with pytest.raises(ValueError, match=r"history\.csv is damaged \(.*\); restore"):
                run.history()
        (tmp_path / "history.csv").write_bytes(b"epoch\n\xff\n")
        with pytest.raises(ValueError, match=r"history\.csv is damaged"):
            run.history()

    def test_a_record_of_other_values_is_named(self, tmp_path):
        for value, told in (
            ([], r"the whole is \[\], expected dict"),
            ({"size": "256"}, "size is '256', expected int"),
            ({"test": [{"th1": 0.5}]}, "test, 0, valid is missing, expected bool"),
        ):
            write_json(tmp_path / "record.json", value)
            with pytest.raises(ValueError, match=rf"record\.json is damaged: {told}; restore"):
                _ = Run(tmp_path).record
        write_json(tmp_path / "record.json", {"size": 256})
        with pytest.raises(ValueError, match=r"record\.json lacks mean; restore the file"):
            _ = Run(tmp_path).record["mean"]

    def test_a_damaged_record_is_named(self, tmp_path):
        (tmp_path / "record.json").write_text('{"size": 2')
        with pytest.raises(ValueError, match=r"record\.json is not readable JSON"):
            _ = Run(tmp_path).record

    def test_history_round_trip_is_exact(self, tmp_path):
        rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
        Run(tmp_path).write_history(rows)
        assert Run(tmp_path).history() == rows

    def test_forgotten_a_run_can_start_afresh(self, tmp_path):
        run = Run(tmp_path)
        run.forget()
        run.checkpoint.write_bytes(b"x")
        run.write_history([{"epoch": 1}])
        run.forget()
        assert list(tmp_path.iterdir()) == []

    def test_history_keeps_what_was_not_judged(self, tmp_path):
        Run(tmp_path).write_history([{"epoch": 1, "iou": float("nan")}])
        (row,) = Run(tmp_path).history()
        assert math.isnan(row["iou"])

    @given(st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6))
    @settings(max_examples=20)
    def test_maps_come_back_to_half_a_level(self, tmp_path_factory, values):
        run = Run(tmp_path_factory.mktemp("run"))
        prob = np.array(values, np.float32).reshape(2, 3)
        run.write_maps("test", {"a": prob})
        again = run.test_maps()["a"]
        assert again.dtype == np.float32
        assert np.abs(again.astype(np.float64) - prob).max() <= 0.5 / 65535 + 6e-8
        assert again.min() >= 0
        assert again.max() <= 1

    def test_stored_maps_are_read_one_at_a_time(self, tmp_path, monkeypatch):
        maps = {name: np.full((2, 2), n / 4, np.float32) for n, name in enumerate("abc")}
        Run(tmp_path).write_maps("test", maps)
        stored, read = StoredMaps(tmp_path / "test_maps.npz"), []
        load = zipfile.ZipFile.read
        monkeypatch.setattr(zipfile.ZipFile, "read", lambda *a: read.append(a[1]) or load(*a))
        assert (list(stored), len(stored), read) == (["a", "b", "c"], 3, [])
        assert stored["b"][0, 0] == pytest.approx(0.25, abs=1e-5)
        assert read == ["b.npy"]
        with pytest.raises(KeyError):
            stored["d"]
        stored.close()
        with pytest.raises(ValueError, match=r"test_maps\.npz has been closed; open the run again"):
            stored["b"]

    @pytest.mark.parametrize("seed", range(60))
    def test_damaged_maps_are_refused_or_whole(self, tmp_path, seed):
        rng = np.random.default_rng(seed)
        maps = {name: rng.random((9, 7), np.float32) for name in "abc"}
        Run(tmp_path).write_maps("test", maps)
        path = tmp_path / "test_maps.npz"
        content = bytearray(path.read_bytes())
        for place in rng.integers(0, len(content), 1 + seed % 4):
            content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content[: len(content) - seed % 5 * 40])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that come twice
            found = refused = None
            try:
                found = Run(tmp_path).test_maps()
            except InputError as error:
                refused = str(error)
        if found is None:
            assert re.match(rf"{re.escape(str(path))} is damaged .*; copy it again from", refused)
        else:  # a byte that nothing depends on, or a name, which the images' own are compared with
            for prob, before in zip(found.values(), maps.values(), strict=True):
                np.testing.assert_allclose(prob, before, atol=1e-5)

    @pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x05\x06" + bytes(18)])
    def test_other_files_in_the_place_of_maps(self, tmp_path, content):
        (tmp_path / "test_maps.npz").write_bytes(content)
        if content.startswith(b"PK"):  # an archive of nothing
            assert Run(tmp_path).test_maps() == {}
        else:
            with pytest.raises(InputError, match=r"test_maps\.npz is damaged .* train again"):
                Run(tmp_path).test_maps()

    def test_an_archive_of_other_arrays(self, tmp_path):
        np.savez(tmp_path / "test_maps.npz", a=np.zeros((2, 2), np.float32))
        with pytest.raises(InputError, match=r"damaged .*\(a is float32 of shape \(2, 2\)\)"):
            Run(tmp_path).test_maps()

    def test_maps_keep_their_names_order_and_sizes(self, tmp_path):
        names = ["b", "a", "file", "allow_pickle", "self", "arr_0", "Misc 1.old", "küste"]
        maps = {name: np.full((n + 1, 2), n / 8, np.float32) for n, name in enumerate(names)}
        Run(tmp_path).write_maps("holdout", maps)
        again = Run(tmp_path).maps("holdout")
        assert list(again) == names
        assert [prob.shape for prob in again.values()] == [(n + 1, 2) for n in range(8)]

    def test_a_full_disk_leaves_no_half_file(self, tmp_path, monkeypatch):
        def no_space(file, _array):
            file.write(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np.lib.format, "write_array", no_space)
        with pytest.raises(OSError, match="No space left"):
            Run(tmp_path).write_maps("test", {"a": np.zeros((2, 2), np.float32)})
        assert list(tmp_path.iterdir()) == []
