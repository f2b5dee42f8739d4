"""Exported models: the same maps and detections as the original, without PyTorch."""

import gc
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from handmade import TinyNet
from PIL import Image

import festkit as fk
from festkit._support.errors import FestkitError
from festkit.cli.main import main
from festkit.inference.models import trained_on
from festkit.ops.resize import resize_map
from festkit.runtime import ExportedModel, check_parity, choice, exported

RUNTIMES = ["onnx", "openvino"]

SHAPES = [(64, 64), (40, 56), (33, 71), (100, 17)]
"""Resizing noise of odd sizes gives gray levels halfway between two, whose rounding must agree."""


def frames(number, shape=(64, 64), seed=0):
    """Noise with bright spots."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (number, *shape), np.uint8)
    for image in images:
        y, x = rng.integers(3, np.array(shape) - 3)
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
    return images


@pytest.fixture(scope="module")
def fest():
    """Trained networks at smaller sizes; untrained ones amplify rounding."""
    shipped = fk.FEST.from_pretrained("acm", "nuaa-sirst", device="cpu")
    networks = dict(zip((32, 64), shipped.backbones.values(), strict=True))
    model = fk.FEST(
        networks, th1=0.45, th2=0.3, mean=shipped.mean, std=shipped.std, device="cpu", threads=1
    )
    model.origin = {"dataset": "NUAA-SIRST", "test_split": "abc"}
    model.chosen_on = {"dataset": "NUAA-SIRST", "split": "holdout"}
    return model


@pytest.fixture(scope="module")
def file(fest, tmp_path_factory):
    return fk.export(fest, tmp_path_factory.mktemp("exported") / "fest.onnx")


@pytest.fixture(scope="module")
def ir(fest, tmp_path_factory):
    return fk.export(fest, tmp_path_factory.mktemp("ir") / "fest.xml")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(choice.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    return tmp_path / "festkit"


class TestParity:
    @pytest.mark.parametrize("runtime", RUNTIMES)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_maps_of_any_size(self, fest, file, runtime, shape):
        model = ExportedModel(file, runtime=runtime, threads=1)
        for image in frames(2, shape):
            ours, theirs = fest.scale_maps(image), model.scale_maps(image)
            assert np.abs(np.array(ours) - np.array(theirs)).max() < 1e-5
            assert theirs[0].dtype == np.float32

    def test_openvino_files(self, fest, ir):
        assert ir.with_suffix(".bin").is_file()
        assert sorted(path.name for path in ir.parent.iterdir()) == ["fest.bin", "fest.xml"]
        model = ExportedModel(ir, threads=1)
        assert check_parity(model, fest, frames(3)).difference < 1e-5

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_the_graph_fuses(self, fest, file, runtime):
        image = frames(1)[0]
        given = {"gray": image[None, None]}
        if runtime == "onnx":
            session = pytest.importorskip("onnxruntime").InferenceSession(file)
            fused, maps = session.run(["fused", "maps"], given)
        else:
            compiled = pytest.importorskip("openvino").Core().compile_model(file, "CPU")
            found = compiled(given)
            fused, maps = found["fused"], found["maps"]
        assert fused.shape == (1, 1, *image.shape)
        assert np.abs(fused[0, 0] - fest.probability(image)).max() < 1e-5
        assert np.abs(maps[0].mean(0) - fused[0, 0]).max() < 1e-6

    def test_one_gray_channel_and_odd_sizes(self, tmp_path):
        fest = fk.FEST({36: TinyNet()}, mean=0.3, std=0.2, device="cpu", threads=1)
        model = ExportedModel(fk.export(fest, tmp_path / "tiny.onnx"), threads=1)
        assert check_parity(model, fest, frames(3, (31, 45))).difference < 1e-5

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_a_batch_is_a_loop(self, file, runtime):
        images = frames(5)
        one = ExportedModel(file, runtime=runtime, threads=1)
        several = ExportedModel(file, runtime=runtime, threads=2)
        for alone, together in zip(map(one.predict, images), several.predict(images), strict=True):
            assert np.array_equal(alone.mask, together.mask)

    def test_half_the_size(self, fest, file, tmp_path):
        small = fk.export(fest, tmp_path / "half.onnx", half=True)
        assert small.stat().st_size < 0.65 * file.stat().st_size
        parity = check_parity(ExportedModel(small, threads=1), fest, frames(3))
        assert 1e-5 < parity.difference <= parity.tolerance == 5e-3
        assert parity.holds

    def test_other_weights_are_told_apart(self, file):
        other = fk.FEST({32: "ACM", 64: "ACM"}, th1=0.45, th2=0.3, mean=0.3, std=0.2, device="cpu")
        parity = check_parity(ExportedModel(file, threads=1), other, frames(4))
        assert parity.difference > 1e-3
        assert not parity.holds
        assert str(parity).startswith("4 images, maps differ by at most")

    def test_changes_without_a_close_value_are_unexplained(self, fest, file):
        model = ExportedModel(file, threads=1)
        model.th1 = 0.9999
        images = frames(4)
        fest_finds = sum(fest.predict(image).mask.any() for image in images)
        parity = check_parity(model, fest, images)
        assert parity.changed == fest_finds > 0
        assert parity.unexplained > 0
        assert not parity.holds
        assert check_parity(ExportedModel(file, threads=1), fest, images).changed == 0

    @pytest.mark.slow
    @pytest.mark.parametrize("name", fk.list_backbones())
    def test_every_backbone(self, name, tmp_path):
        size = 72 if name == "ALCNet-LC" else 64
        torch.manual_seed(0)  # rounding of untrained networks depends on their weights
        fest = fk.FEST({size: name}, mean=0.3, std=0.2, device="cpu", threads=1)
        path = fk.export(fest, tmp_path / "net.onnx")
        for runtime in RUNTIMES:
            model = ExportedModel(path, runtime=runtime, threads=1)
            assert check_parity(model, fest, frames(2, (70, 90))).difference < 5e-5  # untrained


class TestExactPositions:
    @pytest.mark.parametrize(("source", "target"), [(7, 13), (13, 7), (256, 101), (3, 512)])
    def test_resizing_against_fractions(self, source, target):
        line = np.random.default_rng(0).random(source).astype(np.float32)
        expected = []
        for pixel in range(target):
            place = Fraction(2 * pixel + 1, 2) * Fraction(source, target) - Fraction(1, 2)
            place = min(max(place, Fraction(0)), Fraction(source - 1))
            before = place.numerator // place.denominator
            weight = float(place - before)
            after = min(before + 1, source - 1)
            expected.append((1 - weight) * float(line[before]) + weight * float(line[after]))
        resized = resize_map(line[None], (1, target))[0]
        assert np.allclose(resized, expected, atol=2e-7, rtol=0)

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_gray_levels_are_rounded_alike(self, runtime, tmp_path):
        level = torch.nn.Conv2d(1, 1, 1)  # its map shows every gray level
        level.in_channels = 1
        torch.nn.init.constant_(level.weight, 4.0)
        torch.nn.init.zeros_(level.bias)
        fest = fk.FEST({192: level}, mean=0.5, std=1, device="cpu", threads=1)
        model = ExportedModel(fk.export(fest, tmp_path / "level.onnx"), runtime=runtime, threads=1)
        assert check_parity(model, fest, frames(3, (128, 160))).difference < 1e-5


class TestCard:
    def test_thresholds_rule_and_origin_travel(self, fest, file):
        model = fk.open_model(file)
        assert (model.th1, model.th2, model.rule) == (fest.th1, fest.th2, fest.rule)
        assert list(model.backbones) == [32, 64]
        assert (model.origin, model.chosen_on) == (fest.origin, fest.chosen_on)
        assert model.card["licence"].startswith("MIT")
        assert trained_on(file) == {"NUAA-SIRST": "abc"}
        assert "fest.onnx" in repr(model)

    def test_the_file_is_valid_onnx(self, file):
        graph = onnx.load(file)
        onnx.checker.check_model(graph, full_check=True)
        assert [entry.version for entry in graph.opset_import] == [17]

    def test_predictions_of_two_runtimes_are_not_mixed(self, file):
        first, second = (ExportedModel(file, runtime=each).identity() for each in RUNTIMES)
        assert first != second


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.onnx", None, "no such file: .*a.onnx; write it with festkit export"),
            ("b.onnx", b"no graph", "is damaged, or holds no graph"),
        ],
    )
    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_files(self, tmp_path, name, content, message, runtime):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises((FestkitError, OSError), match=message):
            ExportedModel(tmp_path / name, runtime=runtime)

    @pytest.mark.parametrize("runtime", RUNTIMES)
    def test_another_programs_graph(self, file, tmp_path, runtime):
        graph = onnx.load(file)
        del graph.metadata_props[:]
        onnx.save(graph, tmp_path / "other.onnx")
        with pytest.raises(FestkitError, match="was not written by festkit export"):
            ExportedModel(tmp_path / "other.onnx", runtime=runtime)

    def test_suffix(self, fest, tmp_path):
        with pytest.raises(FestkitError, match=r"ends in '.pt'; choose .onnx"):
            fk.export(fest, tmp_path / "fest.pt")

    def test_detectors(self, tmp_path):
        detector = fk.FEST({"PSTNN": fk.create_detector("PSTNN")}, device="cpu")
        with pytest.raises(FestkitError, match="a detector cannot be exported"):
            fk.export(detector, tmp_path / "fest.onnx")

    def test_without_statistics(self, tmp_path):
        with pytest.raises(FestkitError, match="gray statistics of the training set are unknown"):
            fk.export(fk.FEST({32: "ACM"}, device="cpu"), tmp_path / "fest.onnx")

    def test_runtime(self, file, ir):
        with pytest.raises(FestkitError, match="unknown runtime 'tvm'; choose from onnx"):
            ExportedModel(file, runtime="tvm")
        with pytest.raises(FestkitError, match=r"runtime onnx cannot read fest\.xml here"):
            ExportedModel(ir, runtime="onnx")
        with pytest.raises(FestkitError, match="torch cannot run; choose onnx"):
            fk.open_model(file, runtime="torch")
        with pytest.raises(FestkitError, match="unknown runtime 'tvm'; choose from auto"):
            fk.open_model("nuaa-sirst/acm", runtime="tvm")
        with pytest.raises(FestkitError, match="device 'cuda' is for torch"):
            fk.open_model(file, device="cuda")
        with pytest.raises(FestkitError, match="holds a whole model; pass it alone"):
            fk.open_model(file, "nuaa-sirst/acm")

    def test_nothing_installed(self, file, monkeypatch):
        monkeypatch.setattr(exported, "find_spec", lambda name: None)
        with pytest.raises(FestkitError, match=r"pip install 'festkit\[export\]'"):
            ExportedModel(file)


class TestChoice:
    def test_auto_takes_the_fastest_and_remembers(self, fest, file, cache, monkeypatch, capsys):
        times = {"onnx": 7.0, "openvino": 9.0, "torch": 8.0}
        asked = []

        def measured(model):
            asked.append(getattr(model, "runtime", "torch"))
            return times[asked[-1]]

        monkeypatch.setattr(choice, "_milliseconds", measured)
        model = choice.run_with(fest, "auto")
        assert model.runtime == "onnx"
        assert (model.th1, model.th2, model.threads) == (fest.th1, fest.th2, fest.threads)
        said = capsys.readouterr().err
        assert "runtime onnx" in said
        assert "torch 8" in said
        assert sorted(asked) == ["onnx", "openvino", "torch"]
        assert choice.run_with(fest, "auto").runtime == "onnx"
        assert len(asked) == 3
        (cache / "runtimes.json").write_text("damaged")
        times["torch"] = 1.0
        assert choice.run_with(fest, "auto") is fest

    def test_the_temporary_file_lives_as_long_as_the_model(self, fest, cache):
        model = choice.run_with(fest, "onnx")
        model.threads = 2
        assert len(model.predict(frames(3))) == 3
        path = model.path
        del model
        gc.collect()
        assert not path.exists()

    @pytest.mark.slow
    def test_torch_in_bfloat16(self, fest, tmp_path):
        image, file = frames(1)[0], tmp_path / "fest.safetensors"
        fest.save(file)
        half = fk.open_model(file, device="cpu", runtime="torch-bf16", threads=1)
        gap = np.abs(np.array(half.scale_maps(image)) - np.array(fest.scale_maps(image))).max()
        assert 0 < gap < 0.1
        assert half.identity() != fk.open_model(file, device="cpu").identity()

    def test_auto_is_torch_where_nothing_else_can(self, fest, cache, monkeypatch):
        detector = fk.FEST({"Top-Hat": fk.create_detector("Top-Hat")}, device="cpu")
        assert choice.run_with(detector, "auto") is detector
        monkeypatch.setattr(exported, "find_spec", lambda name: None)
        assert choice.run_with(fest, "auto") is fest

    def test_threads_are_measured_once(self, file, monkeypatch):
        asked = []
        monkeypatch.setattr(exported, "idle_cpus", lambda: asked.append(1) or 2)
        model = ExportedModel(file)
        model.predict(frames(1)[0])
        model.predict(frames(5))
        model.predict(frames(3))
        assert len(asked) == 1
        assert len(model._runs) == 2

    def test_measured_frames(self, file):
        assert choice._milliseconds(ExportedModel(file, threads=1)) > 0


class TestUse:
    def test_predict_and_continue(self, fest, file, tmp_path):
        for number, image in enumerate(frames(3)):
            Image.fromarray(image).save(tmp_path / f"{number}.png")
        table = fk.predict_images(fk.open_model(file), tmp_path, tmp_path / "out", threads=1)
        text = table.read_text()
        assert (
            text
            == fk.predict_images(
                fk.open_model(file), tmp_path, tmp_path / "out", threads=1
            ).read_text()
        )
        original = fk.predict_images(fest, tmp_path, tmp_path / "torch", threads=1)
        assert [line.split(",")[:6] for line in text.splitlines()] == [
            line.split(",")[:6] for line in original.read_text().splitlines()
        ]
        settings = json.loads((tmp_path / "out" / "prediction.json").read_text())
        assert settings["runtime"] in RUNTIMES

    def test_tiles(self, fest, file):
        image = frames(1, (96, 160))[0]
        ours = fk.tiled_maps(fest, image, 64)
        theirs = fk.tiled_maps(fk.open_model(file), image, 64)
        assert np.abs(np.array(ours) - np.array(theirs)).max() < 1e-5

    def test_export_and_check_on_the_command_line(self, tmp_path, capsys):
        fest = fk.FEST({32: "ACM"}, mean=0.3, std=0.2, device="cpu")
        saved = fest.save(tmp_path / "fest.safetensors")
        Image.fromarray(frames(1)[0]).save(tmp_path / "sky.png")
        words = ["export", str(saved), "--out", str(tmp_path / "fest.onnx")]
        assert main([*words, "--check", str(tmp_path / "sky.png")]) == 0
        said = capsys.readouterr().out
        assert "openvino: 1 image, maps differ by at most" in said
        assert "onnx: 1 image," in said

    @pytest.mark.system
    def test_no_torch_on_the_way_to_detections(self, file, tmp_path):
        Image.fromarray(frames(1)[0]).save(tmp_path / "sky.png")
        code = (
            "import sys, numpy as np, festkit as fk\n"
            "from festkit.cli.main import main\n"
            f"assert main(['predict', {str(tmp_path / 'sky.png')!r}, '--model', {str(file)!r},"
            f" '--out', {str(tmp_path / 'out')!r}]) == 0\n"
            "maps, masks = np.random.rand(2, 8, 8).astype('f4'), np.eye(8, dtype=bool)[None]\n"
            "found = fk.adjust_sensitivity(maps[0], 0.9, 0.5)\n"
            "fk.count(found.mask, masks[0])\n"
            "fk.threshold_surface(maps, [masks[0]] * 2, [0.5], [0.1], quiet=True)\n"
            "fk.fuse(list(maps), 5)\n"
            "assert 'torch' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
