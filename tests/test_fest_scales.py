"""FESTs whose networks run at scale factors of the image instead of square sizes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import festkit as fk
from festkit.backbones.scaled import scaled_map
from festkit.fusion import fuse
from festkit.ops.gray import gray_statistics
from festkit.ops.tiles import window_side
from festkit.training.config import TrainConfig
from festkit.training.trainer import train
from festkit.tuner.sources import of_runs
from festkit.weights import load_weights, save_weights


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(40, 90, (90, 130), dtype=np.uint8)


class Spot(nn.Module):
    """A network that answers where the normalised value is above 3 deviations."""

    in_channels = 1

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(4.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.gain * (image - 3)


class Mean(nn.Module):
    """A network that pools globally: its logits are the mean of what it sees."""

    in_channels = 1

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.gain * image.mean((2, 3), keepdim=True).expand_as(image)


def test_a_map_is_that_of_the_enlarged_frame_where_the_network_looks_at_single_pixels(frame):
    """Linear resizing there and back is what remains of tiles; written out by OpenCV."""
    cv2 = pytest.importorskip("cv2")
    found = scaled_map(Spot().eval(), frame, 2.0, 64)
    mean, std = frame.mean() / 255, frame.std() / 255
    large = np.rint(cv2.resize(frame.astype(np.float32), None, fx=2, fy=2))
    logits = 4 * ((large / 255 - mean) / std - 3)
    expected = cv2.resize(1 / (1 + np.exp(-logits)), (130, 90))
    inner = (slice(2, -2), slice(2, -2))  # edges of tiles differ by their border only
    assert np.abs(found - expected)[inner].mean() < 2e-3
    assert np.median(np.abs(found - expected)) < 1e-5


def test_what_the_network_sees_has_the_side_of_its_tiles(frame):
    seen = []

    class Watch(Spot):
        def forward(self, image):
            seen.append(tuple(image.shape[-2:]))
            return super().forward(image)

    scaled_map(Watch().eval(), frame, 1.3, 64)
    assert set(seen) == {(64, 64)}


@pytest.mark.parametrize("shape", [(20, 30), (64, 64), (90, 130), (33, 200)])
def test_a_map_has_the_frame_of_its_image(shape):
    gray = np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)
    found = scaled_map(Spot().eval(), gray, 1.5, 64)
    assert found.shape == shape
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_network_that_pools_globally_sees_the_same_in_a_larger_frame():
    """Its answer in the middle of a frame does not depend on what lies farther than a tile."""
    rng = np.random.default_rng(2)
    small = rng.integers(60, 90, (128, 128), dtype=np.uint8)
    wide = np.concatenate([small, small[:, ::-1]], axis=1)  # the same mean and deviation
    here, there = (scaled_map(Mean().eval(), gray, 2.0, 64) for gray in (small, wide))
    assert np.abs(here[:, :64] - there[:, :64]).max() < 0.05


def test_fest_fuses_its_scale_factors(frame):
    fest = fk.FEST({1.3: Spot(), 2.0: Spot()}, tile=64, device="cpu")
    maps = fest.scale_maps(frame)
    expected = [scaled_map(Spot().eval(), frame, scale, 64) for scale in (1.3, 2.0)]
    np.testing.assert_array_equal(maps, expected)
    np.testing.assert_array_equal(fest.probability(frame), fuse(expected, frame.shape))


def test_sizes_and_factors_together(frame):
    fest = fk.FEST({32: Spot(), 1.5: Spot()}, tile=32, mean=0.3, std=0.1, device="cpu")
    assert repr(fest) == "FEST(Spot 32 px, Spot 1.5 x; th1=0.5, th2=0.1, rule='per_scale')"
    assert len(fest.scale_maps(frame)) == 2


def test_factors_need_no_statistics_but_sizes_do(frame):
    fk.FEST({1.5: Spot()}, tile=32, device="cpu").predict(frame)
    with pytest.raises(ValueError, match="gray statistics"):
        fk.FEST({32: Spot(), 1.5: Spot()}, tile=32, device="cpu").predict(frame)


def test_one_network_serves_several_factors_and_not_several_sizes():
    network = Spot()
    fest = fk.FEST({1.3: network, 2.0: network}, tile=32, device="cpu")
    assert list(fest.backbones) == [1.3, 2.0]
    with pytest.raises(ValueError, match="own network"):
        fk.FEST({32: network, 48: network}, device="cpu")


@pytest.mark.parametrize("scale", [0.0, -1.0, 9.0, float("nan"), float("inf")])
def test_wrong_factors_are_refused(scale):
    with pytest.raises(ValueError, match=r"0\.125 to 8"):
        fk.FEST({scale: "ACM"}, device="cpu")


def test_a_tile_that_does_not_fit_the_network_is_refused():
    with pytest.raises(ValueError, match="tile 100 px is not a positive multiple of 16"):
        fk.FEST({1.5: "ACM"}, tile=100, device="cpu")


def test_save_and_load_keep_factors_and_tile(tmp_path, frame):
    fest = fk.FEST({1.3: "ACM", 2.0: "ACM"}, tile=64, th1=0.7, device="cpu")
    again = fk.FEST.load(fest.save(tmp_path / "fest.safetensors"), device="cpu")
    assert list(again.backbones) == [1.3, 2.0]
    assert again.identity() == fest.identity()
    np.testing.assert_array_equal(again.probability(frame), fest.probability(frame))


def test_the_tile_decides_the_identity():
    torch.manual_seed(0)
    network = Spot()
    one, other = (fk.FEST({1.5: network}, tile=tile, device="cpu") for tile in (32, 64))
    assert one.identity() != other.identity()


def test_tiles_of_predict_are_for_sizes(frame):
    with pytest.raises(ValueError, match="leave tile out"):
        fk.tiled_maps(fk.FEST({1.5: Spot()}, tile=32, device="cpu"), frame, 64)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "sky"
    return fk.make_synthetic_dataset(folder, train=6, test=2, size=(96, 130))


OPTIONS = {"size": 32, "scales": (1.3, 2.0), "batch_size": 3, "threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    config = TrainConfig(str(scenes), epochs=2, natural_epochs=1, out=str(out), **OPTIONS)
    return train(config)


def test_a_run_records_its_factors_and_opens_with_them(run, scenes):
    assert run.record["scales"] == [1.3, 2.0]
    fest = fk.open_model(run.folder, device="cpu")
    assert list(fest.backbones) == [1.3, 2.0]
    assert (fest.tile, fest.rule) == (32, "fused")
    assert fk.FEST.from_runs([run], device="cpu").rule == "fused"
    assert fk.FEST.from_runs([run], rule="per_scale", device="cpu").rule == "per_scale"
    sample = fk.load_dataset(scenes, "test")[0]
    network = load_weights(run.weights)
    maps = [scaled_map(network, sample.image, scale, 32) for scale in (1.3, 2.0)]
    stored = run.maps("test")[sample.name]
    assert np.abs(stored - fuse(maps, sample.image.shape)).max() < 1e-4  # stored with 16 bit


def test_an_interrupted_training_ends_with_the_same_weights(run, scenes, tmp_path):
    config = TrainConfig(str(scenes), epochs=2, natural_epochs=1, out=str(tmp_path), **OPTIONS)
    for _ in range(20):
        if train(config, max_minutes=0).finished:
            break
    first, second = (
        load_weights(each).state_dict() for each in (run.weights, fk.Run(tmp_path).weights)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_fit_trains_a_network_per_factor(scenes, tmp_path, frame):
    fest = fk.FEST({1.5: "ACM"}, tile=32, device="cpu")
    (one,) = fest.fit(str(scenes), out=tmp_path, epochs=1, batch_size=2, protocol="last", threads=1)
    assert (one.record["size"], one.record["scales"]) == (32, [1.5])
    again = fk.open_model(tmp_path, device="cpu")
    np.testing.assert_array_equal(again.probability(frame), fest.probability(frame))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, "scales is"),
        ({"scales": (1.0, 1.0)}, "different factors"),
        ({"scales": (0.1,)}, r"0\.125 to 8"),
        ({"scales": (1.5,), "crop": 32}, "crop and whole_epochs"),
        ({"scales": (1.5,), "epochs": 3, "natural_epochs": 4}, "at most epochs"),
    ],
)
def test_configurations_that_contradict_themselves_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig("sky", size=64, **options)


def test_the_command_of_a_configuration_gives_the_factors():
    for scales in ((1.3, 2.0), [1.3, 2.0]):
        command = TrainConfig("NUAA-SIRST", size=64, scales=scales).command()
        assert command.endswith("--size 64 --scales 1.3 2.0")


@pytest.mark.parametrize(("scale", "side"), [(1.0, 128), (1.6, 80), (0.5, 256), (1.3, 98)])
def test_windows_are_tiles_divided_by_the_factor(scale, side):
    assert window_side(128, scale) == side


def test_a_flat_frame_has_a_deviation():
    assert gray_statistics(np.full((5, 5), 9, np.uint8)) == (9 / 255, 8 / 255)


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def pair(request, tmp_path_factory):
    """A FEST at scale factors, and the same outside PyTorch."""
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[request.param])
    torch.manual_seed(1)
    network = fk.create_backbone("ACM")
    fest = fk.FEST({1.3: network, 2.0: network}, tile=64, th1=0.4, rule="fused", device="cpu")
    path = fk.export(fest, tmp_path_factory.mktemp("export") / "fest.onnx")
    return fest, fk.open_model(path, runtime=request.param, threads=1)


@pytest.mark.parametrize("shape", [(20, 30), (90, 130), (64, 200)])
def test_exported_maps_are_those_of_pytorch(pair, shape):
    fest, exported = pair
    gray = np.random.default_rng(3).integers(0, 255, shape, dtype=np.uint8)
    for ours, theirs in zip(fest.scale_maps(gray), exported.scale_maps(gray), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5


def test_an_exported_model_keeps_settings_and_takes_several_frames(pair, frame):
    fest, exported = pair
    assert (exported.th1, exported.rule) == (0.4, "fused")
    assert list(exported.backbones) == [1.3, 2.0]
    assert "1.3 x, 2 x" in repr(exported)
    masks = [found.mask for found in exported.predict(np.stack([frame, frame[::-1]]))]
    for mask, gray in zip(masks, (frame, frame[::-1].copy()), strict=True):
        np.testing.assert_array_equal(mask, fest.predict(gray).mask)


def test_different_networks_at_factors_are_not_exported_together(tmp_path):
    pytest.importorskip("onnx")
    torch.manual_seed(2)
    fest = fk.FEST({1.3: "ACM", 2.0: "ACM"}, tile=64, device="cpu")
    with pytest.raises(ValueError, match="each network to its own file"):
        fk.export(fest, tmp_path / "fest.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keys", [(1.3, 2.0), (64, 2.0)])
def test_networks_of_different_kinds_are_not_exported_together(tmp_path, keys):
    pytest.importorskip("onnx")
    networks = dict(zip(keys, ("ACM", Spot()), strict=True))
    fest = fk.FEST(networks, tile=64, mean=0.3, std=0.1, device="cpu")
    with pytest.raises(ValueError, match="each network to its own file"):
        fk.export(fest, tmp_path / "fest.onnx")


class Gain(Spot):
    """A network outside the catalogue, of a given gain."""

    def __init__(self, gain: float = 0.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))


def gains(fest: fk.FEST) -> list[float]:
    return [network.gain.item() for network in fest.networks]


def test_one_object_passed_for_several_factors_is_filled_for_each(tmp_path):
    """Weights of one factor must not overwrite those of another."""
    fest = fk.FEST({1.3: Gain(1.0), 2.0: Gain(5.0)}, tile=32, device="cpu")
    own = Gain()
    path = fest.save(tmp_path / "fest.safetensors")
    again = fk.FEST.load(path, backbones=dict.fromkeys((1.3, 2.0), own), device="cpu")
    assert gains(again) == [1.0, 5.0]
    assert own.gain == 0


def stored_run(folder: Path, network: nn.Module, **card) -> fk.Run:
    """A finished run that was never trained."""
    known = {"backbone": "Gain", "train_split": "aa", "mean": 0.4, "std": 0.1} | card
    run = fk.Run(folder)
    save_weights(network, run.weights, known)
    (folder / "record.json").write_text(json.dumps(known))
    return run


def test_runs_of_own_networks_at_factors_are_opened_by_factor(tmp_path):
    runs = [
        stored_run(tmp_path / str(factor), Gain(gain), size=32, scales=[factor])
        for factor, gain in ((1.3, 1.0), (2.0, 5.0))
    ]
    own = Gain()
    fest = fk.FEST.from_runs(runs, backbones={1.3: own, 2.0: own}, device="cpu")
    assert gains(fest) == [1.0, 5.0]


def test_a_size_takes_its_own_gray_statistics(tmp_path):
    """Those of factors count flat images otherwise."""
    runs = [
        stored_run(tmp_path / "a", Gain(), size=32, scales=[1.3], std=0.2),
        stored_run(tmp_path / "b", Gain(), size=48, std=0.1),
    ]
    fest = fk.FEST.from_runs(runs, backbones={1.3: Gain(), 48: Gain()}, device="cpu")
    assert fest.std == 0.1


def test_a_whole_number_may_be_meant_as_a_factor():
    with pytest.raises(ValueError, match=r"a scale factor is a float, such as 2\.0"):
        fk.FEST({2: "ACM"}, device="cpu")


@pytest.mark.parametrize("scales", [2.0, "2.0", ("1.3",), (True,)])
def test_factors_that_are_no_numbers_are_refused(scales):
    with pytest.raises(TypeError, match="expected numbers"):
        TrainConfig("sky", size=64, scales=scales)


def test_the_tuner_saves_what_it_showed(run, tmp_path):
    """The stored map of a run at several factors is their mean, so weak targets are of it."""
    copied = shutil.copytree(run.folder, tmp_path / "run")
    source = of_runs([fk.Run(copied)], split="test", dataset=None, root=None)
    assert source.title.startswith("ACM 1.3 x + 2 x on")
    assert 'rule="fused"' in source.code
    source.keep({"th1": 0.4, "th2": 0.05, "rule": "per_scale"})
    source.close()
    (path,) = copied.glob("fest-tuned-*.safetensors")
    saved = fk.FEST.load(path, device="cpu")
    assert (saved.th1, saved.th2, saved.rule) == (0.4, 0.05, "fused")
    with pytest.warns(UserWarning, match="was tuned to"):
        fk.open_model(copied, device="cpu")


def test_the_tuner_refuses_runs_that_lack_the_maps_of_their_scales(tmp_path):
    runs = [
        stored_run(tmp_path / "a", Gain(), size=32, scales=[1.3, 2.0]),
        stored_run(tmp_path / "b", Gain(), size=48),
    ]
    with pytest.raises(ValueError, match="tune that run alone"):
        of_runs(runs, split="test", dataset=None, root=None)


def test_tables_of_the_paper_take_no_runs_at_factors(run):
    with pytest.raises(ValueError, match="square sizes"):
        fk.tables.open_rows("losses", {"EEDM": [run]})
