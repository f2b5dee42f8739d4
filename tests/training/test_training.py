import json
import math
import sys
import warnings

import cv2
import numpy as np
import pytest
import torch
from handmade import HEIGHT, WIDTH, TinyNet, make_set, scene
from safetensors.torch import load_file
from tinyrun import PlainNet, no_space, plain_net, same_images, tiny
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from waits import counted_waits

from festkit import training
from festkit.backbones import create_backbone
from festkit.backbones.forward import probability_map
from festkit.data.dataset import load_dataset
from festkit.metrics import evaluate
from festkit.training.config import TrainConfig
from festkit.training.run import Run
from festkit.training.state import init_output_bias, rate_of, update_average
from festkit.training.trainer import train
from festkit.weights import load_weights, read_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return train(tiny(folder, tmp_path_factory.mktemp("runs") / "first"))


class TestPrior:
    @pytest.mark.parametrize("seed", range(5))
    def test_acm_starts_at_one_percent(self, seed):
        torch.manual_seed(seed)
        acm = create_backbone("ACM")
        init_output_bias(acm)
        *_, output = [layer for layer in acm.modules() if isinstance(layer, nn.Conv2d)]
        assert output.bias.sigmoid().item() == pytest.approx(0.01)
        prob = acm.eval()(torch.randn(2, 3, 64, 64)).sigmoid()
        assert prob.min() > 0.01 * 0.99
        assert prob.mean() < 0.05

    @pytest.mark.parametrize("seed", range(20))
    def test_a_narrow_head_can_always_detect(self, seed):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1, 1))
        init_output_bias(head)
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
        init_output_bias(layer)
        torch.testing.assert_close(layer.weight, before, rtol=0, atol=0)

    def test_the_last_single_channel_layer_is_taken(self):
        network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 4, 1), nn.Conv2d(4, 1, 1))
        first = network[0].bias.item()
        init_output_bias(network)
        assert network[0].bias.item() == first
        assert network[2].bias.item() == pytest.approx(math.log(0.01 / 0.99))

    def test_a_network_may_name_its_output_layers(self):
        network = TinyNet()
        network.side = nn.Conv2d(12, 1, 1)
        network.output_layers = lambda: [network.side, network.head]
        init_output_bias(network)
        assert (
            network.side.bias.item() == network.head.bias.item() == pytest.approx(-4.595, abs=0.01)
        )

    @pytest.mark.parametrize("network", [nn.Conv2d(3, 1, 1, bias=False), nn.Linear(2, 1)])
    def test_a_network_that_cannot_hold_the_prior_stays_as_it_is(self, network):
        before = [p.clone() for p in network.parameters()]
        with pytest.warns(UserWarning, match=r"no output convolution with a bias.*output_layers"):
            init_output_bias(network)
        assert all(map(torch.equal, before, network.parameters()))


class TestLearning:
    @pytest.mark.slow
    @pytest.mark.parametrize(("backbone", "steps"), [("ACM", 80), ("ALCNet", 80)])
    def test_a_small_backbone_overfits_four_scenes(self, tmp_path, monkeypatch, backbone, steps):
        four = make_set(tmp_path / "four", train=4, test=1)
        monkeypatch.setattr(training.batches, "augment", same_images)
        done = train(
            TrainConfig(
                str(four), size=64, backbone=backbone, epochs=steps, batch_size=4,
                warmup_steps=5, ema_decay=0.9, device="cpu", protocol="last",
                out=str(tmp_path / "run"),
            )
        )  # fmt: skip
        assert len(done.history()) == steps
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
        assert lines[0] == "epoch,loss,train_iou,predicted,learning_rate,iou,pd,fa"
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
        assert (record["protocol"], record["kept_epoch"], record["trained_on"]) == ("last", 3, 6)
        assert set(record["versions"]) == {"festkit", "torch", "numpy"}
        assert record["command"].startswith("festkit train --dataset")
        assert record["train_split"] != record["test_split"]
        grays = [scene(seed)[0] for seed in range(6)]
        assert record["mean"] == pytest.approx(np.mean([gray.mean() for gray in grays]) / 255)
        assert record["std"] == pytest.approx(np.mean([gray.std() for gray in grays]) / 255)
        card = read_card(run.weights)
        assert card == {key: value for key, value in record.items() if key in card}
        assert set(record) - set(card) == {"test"}

    def test_nothing_but_the_results_stays(self, run):
        assert sorted(path.name for path in run.folder.iterdir()) == [
            "config.json", "history.csv", "minutes.json", "record.json", "test_maps.npz",
            "weights.safetensors",
        ]  # fmt: skip

    def test_what_names_the_run_names_no_machine(self, folder, tmp_path):
        texts = []
        for name, options in {"a": {}, "b": {"device": "auto", "workers": 1, "threads": 1}}.items():
            done = train(tiny(folder, tmp_path / name, epochs=1, **options), max_minutes=0)
            texts.append((done.folder / "config.json").read_text())
        assert texts[0] == texts[1]
        assert str(tmp_path) not in texts[0]
        assert not {"out", "data_root", "device", "cache_on", "workers", "threads"} & set(
            json.loads(texts[0])
        )


class TestSteps:
    """Of networks whose gradient is a plain mean over images, so that it can be put together."""

    def weights(self, folder, out, **options):
        given = {
            "loss": "BCE", "precision": "fp32", "ema_decay": 0.0, "warmup_steps": 0,
            "epochs": 3, "backbone": plain_net(),
        }  # fmt: skip
        done = train(tiny(folder, out, **(given | options)))
        return load_file(done.weights), done.history()

    @pytest.fixture
    def fixed(self, monkeypatch):
        monkeypatch.setattr(training.batches, "augment", same_images)

    @pytest.mark.parametrize("count", [8, 10])
    def test_two_batches_of_two_are_one_of_four(self, tmp_path, fixed, count):
        folder = make_set(tmp_path / "set", train=count)  # of ten the last group is a single batch
        one, rows = self.weights(folder, tmp_path / "one", batch_size=4)
        two, parts = self.weights(folder, tmp_path / "two", batch_size=2, accumulate=2)
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5)
        if count == 8:
            for row, part in zip(rows, parts, strict=True):
                assert part == pytest.approx(row, rel=1e-4, nan_ok=True)

    def test_accumulating_is_not_stepping(self, tmp_path, fixed):
        folder = make_set(tmp_path / "set", train=8)
        apart, _ = self.weights(folder, tmp_path / "one", batch_size=2)
        together, _ = self.weights(folder, tmp_path / "two", batch_size=2, accumulate=2)
        assert not torch.allclose(apart["0.weight"], together["0.weight"], atol=1e-5)

    def test_the_gradient_is_clipped(self, folder, tmp_path, monkeypatch):
        norms, step = [], torch.optim.AdamW.step

        def note(self, *rest, **more):
            grads = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(torch.cat([grad.flatten() for grad in grads]).norm().item())
            return step(self, *rest, **more)

        monkeypatch.setattr(torch.optim.AdamW, "step", note)
        self.weights(folder, tmp_path / "free")
        assert min(norms) > 2e-3
        norms.clear()
        self.weights(folder, tmp_path / "clipped", clip_norm=1e-3)
        assert norms == pytest.approx([1e-3] * 6, rel=1e-3)

    def test_no_average_keeps_the_last_weights(self, folder, tmp_path, monkeypatch):
        models, update = [], training.loop.Loop._update

        def note(self):
            update(self)
            models.append({n: p.detach().clone() for n, p in self.state.model.named_parameters()})

        monkeypatch.setattr(training.loop.Loop, "_update", note)
        kept, _ = self.weights(folder, tmp_path / "last")
        assert all(torch.equal(kept[name], tensor) for name, tensor in models[-1].items())
        models.clear()
        kept, _ = self.weights(folder, tmp_path / "average", ema_decay=0.9)
        wanted = models[0]
        for count, model in enumerate(models[1:], 1):
            decay = min(0.9, (1 + count) / (10 + count))
            wanted = {n: decay * t + (1 - decay) * model[n] for n, t in wanted.items()}
        for name, tensor in wanted.items():
            torch.testing.assert_close(kept[name], tensor)

    def test_the_loss_is_the_mean_over_all_outputs(self, folder, tmp_path, fixed):
        class Deep(PlainNet):
            def forward(self, image):
                out = super().forward(image)
                return [out, 3 * out, -out] if self.training else out

        torch.manual_seed(0)
        deep = Deep()
        _, (first, *_) = self.weights(folder, tmp_path / "run", backbone=deep, batch_size=6)
        init_output_bias(deep)
        images = training.batches.TrainingImages.read(
            load_dataset(folder, "train"), tiny(folder, "x"), torch.device("cpu")
        )
        out = nn.Sequential.forward(deep, images.normalised(images.gray.float() / 255, 1))
        losses = [
            nn.functional.binary_cross_entropy_with_logits(each, images.mask.float()).item()
            for each in (out, 3 * out, -out)
        ]
        assert first["loss"] == pytest.approx(np.mean(losses), rel=1e-4)

    def test_deep_supervision_of_the_catalogue(self, folder, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_, **__: None)  # costly networks
        outputs, loss_of = [], training.loop.create_loss

        def create(name, **options):
            loss = loss_of(name, **options)
            return lambda logits, mask: [outputs.append(logits), loss(logits, mask)][1]

        monkeypatch.setattr(training.loop, "create_loss", create)
        small = make_set(tmp_path / "set", train=2, test=1)
        train(
            tiny(
                small, tmp_path / "run", backbone="DNA-Net", epochs=1, batch_size=2,
                backbone_options={"deep_supervision": True},
            )
        )  # fmt: skip
        assert len(outputs) > 1
        assert {logits.shape for logits in outputs} == {(2, 1, 32, 32)}


class TestSchedule:
    def test_the_rate_rises_then_falls_along_a_cosine(self):
        rate = rate_of(tiny("set", "x", warmup_steps=4), 16)
        rates = [rate(step) for step in range(17)]
        np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0])
        np.testing.assert_allclose(rates[4:], 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, 13)))

    def test_it_rises_for_a_quarter_at_most(self):
        rate = rate_of(tiny("set", "x", warmup_steps=100), 16)
        np.testing.assert_allclose([rate(step) for step in range(4)], [0.25, 0.5, 0.75, 1.0])

    def test_constant_stays(self):
        rate = rate_of(tiny("set", "x", warmup_steps=2, schedule="constant"), 40)
        assert [rate(step) for step in range(5)] == [0.5, 1.0, 1.0, 1.0, 1.0]
        assert rate_of(tiny("set", "x", warmup_steps=0, schedule="constant"), 40)(0) == 1.0

    @pytest.mark.parametrize(("schedule", "last"), [("cosine", 0.0), ("constant", 3e-3)])
    def test_a_run_follows_it_by_updates(self, folder, tmp_path, schedule, last):
        options = {"schedule": schedule, "accumulate": 2, "batch_size": 2, "epochs": 4}
        done = train(tiny(folder, tmp_path / "run", warmup_steps=2, **options))
        rate = rate_of(tiny("set", "x", warmup_steps=2, schedule=schedule), 8)  # two per epoch
        found = [row["learning_rate"] for row in done.history()]
        assert found == pytest.approx([3e-3 * rate(2 * epoch) for epoch in (1, 2, 3, 4)])
        assert found[-1] == pytest.approx(last)

    def test_the_first_average_forgets_the_start(self):
        average = torch.optim.swa_utils.AveragedModel(nn.Linear(1, 1))
        for updates, value in enumerate((100.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)):
            layer = nn.Linear(1, 1)
            nn.init.constant_(layer.weight, value)
            update_average(average, layer, updates, 0.998)
        assert average.module.weight.item() < 1.1

    def test_the_average_is_that_of_torch_to_the_bit(self):
        """Torch's own, whose count the host has to fetch from the device."""

        def rise(averaged, current, count):
            decay = min(0.9, (1 + int(count)) / (10 + int(count)))
            get_ema_multi_avg_fn(decay)(averaged, current, count)

        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
        ours, torchs = AveragedModel(network), AveragedModel(network, multi_avg_fn=rise)
        for updates in range(20):
            network(torch.randn(2, 1, 8, 8))
            with torch.no_grad():
                for part in network.parameters():
                    part.add_(torch.randn_like(part))
            torchs.update_parameters(network)
            with counted_waits() as seen:
                update_average(ours, network, updates, 0.9)
            assert seen.total() == 0
        assert ours.state_dict().keys() == torchs.state_dict().keys()
        assert all(map(torch.equal, ours.state_dict().values(), torchs.state_dict().values()))


class TestOwnNetworks:
    def test_a_network_without_batch_norm(self, folder, tmp_path):
        done = train(tiny(folder, tmp_path / "run", backbone=PlainNet(), epochs=1))
        load_weights(done.weights, PlainNet())
        assert done.record["backbone"] == "PlainNet"

    def test_a_network_passed_as_such_is_copied(self, folder, tmp_path):
        network = TinyNet()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        runs = [train(tiny(folder, tmp_path / name, backbone=network, epochs=1)) for name in "ab"]
        assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
        assert runs[0].weights.read_bytes() == runs[1].weights.read_bytes()

    def test_the_same_seed_gives_the_same_weights_and_another_one_others(self, folder, tmp_path):
        options = {"backbone": "ACM", "epochs": 1}
        runs = [
            train(tiny(folder, tmp_path / name, seed=seed, **options))
            for name, seed in (("a", 1), ("b", 1), ("c", -2))
        ]
        a, b, c = (load_file(done.weights) for done in runs)
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not torch.equal(a["head.4.weight"], c["head.4.weight"])

    def test_initial_weights_are_where_training_starts(self, run, folder, tmp_path):
        start = load_file(run.weights)
        options = {"initial_weights": str(run.weights), "learning_rate": 1e-12, "epochs": 1}
        done = train(tiny(folder, tmp_path / "run", **options))
        for name, tensor in load_file(done.weights).items():
            if "running" not in name and "batches" not in name:
                torch.testing.assert_close(tensor, start[name], rtol=1e-5, atol=1e-8)
        assert done.record["initial_weights"] == str(run.weights)


class TestBadInput:
    def test_missing_dataset_says_where_and_how(self, tmp_path):
        missing = tiny("NUAA-SIRST", tmp_path / "run", data_root=str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"NUAA-SIRST is not under .*How to get it"):
            train(missing)
        assert not (tmp_path / "run").exists()

    def test_unknown_dataset(self, tmp_path):
        with pytest.raises(ValueError, match=r"unknown dataset 'NUAA-SIRT'.*Did you mean 'NUAA-SI"):
            train(tiny("NUAA-SIRT", tmp_path / "run", data_root=str(tmp_path)))

    def test_empty_split(self, tmp_path):
        folder = make_set(tmp_path / "set", test=0)
        with pytest.raises(ValueError, match="the test split of set is empty"):
            train(tiny(folder, tmp_path / "run"))

    def test_an_image_without_mask(self, tmp_path):
        folder = make_set(tmp_path / "set")
        (folder / "masks" / "t2.png").unlink()
        with pytest.raises(ValueError, match=r"image .*t2\.png has no mask"):
            train(tiny(folder, tmp_path / "run"))

    def test_a_truncated_image_is_named(self, tmp_path):
        folder = make_set(tmp_path / "set")
        path = folder / "images" / "t2.png"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ValueError, match=r"cannot read image file .*t2\.png"):
            train(tiny(folder, tmp_path / "run"))

    def test_constant_images_are_refused(self, tmp_path):
        folder = make_set(tmp_path / "set")
        for path in (folder / "images").iterdir():
            cv2.imwrite(str(path), np.full((48, 64), 90, np.uint8))
        with pytest.raises(ValueError, match="every training image of set is uniform"):
            train(tiny(folder, tmp_path / "run", epochs=1))

    def test_black_masks_warn_before_the_first_step(self, tmp_path, monkeypatch):
        folder = make_set(tmp_path / "set", targets=False)
        monkeypatch.setattr(training.loop.Loop, "_step", no_space)
        with (
            pytest.warns(UserWarning, match="none of the 6 training masks of set has a target"),
            pytest.raises(OSError, match="No space"),
        ):
            train(tiny(folder, tmp_path / "run"))

    @pytest.mark.parametrize("protocol", ["last", "paper", "holdout"])
    def test_black_masks_still_train(self, tmp_path, protocol):
        folder = make_set(tmp_path / "set", targets=False)
        with pytest.warns(UserWarning, match="learn nothing"):
            done = train(tiny(folder, tmp_path / "run", epochs=1, protocol=protocol))
        assert done.record["test"][0]["pd"] is None
        assert done.record.get("thresholds") is None

    def test_targets_raise_no_warning(self, folder, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            train(tiny(folder, tmp_path / "run", epochs=1))

    def test_size_off_the_divisor_of_an_own_network(self, folder, tmp_path):
        with pytest.raises(
            ValueError, match=r"size 33 px.*multiple of 2, as TinyNet.*valid size is 34"
        ):
            tiny(folder, tmp_path, size=33)

    def test_missing_initial_weights(self, folder, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such weights file: none"):
            train(tiny(folder, tmp_path / "run", initial_weights="none.safetensors"))

    def test_initial_weights_of_another_network(self, run, folder, tmp_path):
        wrong = tiny(
            folder, tmp_path / "run", backbone=TinyNet(5), initial_weights=str(run.weights)
        )
        with pytest.raises(ValueError, match=r"weights\.safetensors does not fit TinyNet"):
            train(wrong)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"device": "gpu"}, "unknown device 'gpu'; choose from"),
            ({"precision": "fp16"}, "precision fp16 trains on CUDA only, not on cpu; use bf16"),
        ],
    )
    def test_what_this_machine_has_not(self, folder, tmp_path, options, message):
        with pytest.raises(ValueError, match=message):
            train(tiny(folder, tmp_path / "run", **options))
        assert not (tmp_path / "run").exists()


class TestNoNumber:
    def test_it_is_told_and_not_kept(self, folder, tmp_path):
        network = TinyNet()
        nn.init.constant_(network.body[0].weight, torch.nan)
        broken = tiny(folder, tmp_path / "run", backbone=network, learning_rate=0.5)
        with pytest.raises(
            FloatingPointError,
            match=r"is nan in epoch 1; try a lower learning_rate than 0\.5, clip_norm=1, or prec",
        ):
            train(broken)
        assert not Run(tmp_path / "run").finished
        assert not Run(tmp_path / "run").checkpoint.exists()

    @pytest.mark.parametrize("stopped", [None, 0])
    def test_the_checkpoint_before_stays(self, folder, tmp_path, monkeypatch, stopped):
        cfg = tiny(folder, tmp_path / "run", epochs=4)
        for _ in range(3):
            train(cfg, max_minutes=0)
        before = Run(cfg.folder).checkpoint.read_bytes()
        create = training.loop.create_loss
        monkeypatch.setattr(
            training.loop, "create_loss",
            lambda *name, **options: lambda *pair: create(*name, **options)(*pair) * math.nan,
        )  # fmt: skip
        monkeypatch.setattr(training.loop, "CHECKPOINT_SECONDS", -1.0)
        monkeypatch.setattr(training.loop, "CHECKPOINT_SHARE", 1e9)
        with pytest.raises(FloatingPointError, match="is nan in epoch 2"):
            train(cfg, max_minutes=stopped)
        assert Run(cfg.folder).checkpoint.read_bytes() == before

    @pytest.mark.parametrize("epochs", [1, 2])
    def test_a_gradient_that_is_none_does_not_end_in_figures(self, folder, tmp_path, epochs):
        class Broken(PlainNet):
            def forward(self, image):
                logits = super().forward(image)
                if logits.requires_grad:
                    logits.register_hook(lambda grad: grad * math.nan)
                return logits

        cfg = tiny(folder, tmp_path / "run", backbone=Broken(), epochs=epochs, batch_size=6)
        with pytest.raises(FloatingPointError, match="a weight is not finite in epoch 1; try a lo"):
            train(cfg)
        assert [path.name for path in cfg.folder.iterdir()] == ["config.json"]


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't "
                "allocate memory: you tried to allocate 64 bytes. Error code 12"
            ),
        ],
    )
    def test_too_little_names_batch_and_size(self, folder, tmp_path, error):
        class Large(PlainNet):
            def forward(self, image):
                raise error

        with pytest.raises(
            MemoryError,
            match=r"a batch of 4 images of 32 px does not fit into the memory of cpu; try "
            r"batch_size=2 with accumulate=2, or a smaller size",
        ):
            train(tiny(folder, tmp_path / "run", backbone=Large()))

    def test_other_errors_stay_what_they_are(self, folder, tmp_path):
        class Broken(PlainNet):
            def forward(self, image):
                if self.training:
                    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
                return super().forward(image)

        with pytest.raises(RuntimeError, match=r"^mat1 and mat2 shapes cannot be multiplied"):
            train(tiny(folder, tmp_path / "run", backbone=Broken()))
        assert sys.exc_info() == (None, None, None)
