import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import Fixed, TinyNet, make_set, scene

import festkit.fest
from festkit._support.files import read_json, write_json
from festkit.backbones import create_backbone
from festkit.backbones.checkpoints import read_tensors
from festkit.data.dataset import load_dataset
from festkit.fest import FEST
from festkit.inference.models import trained_on
from festkit.metrics import Counts, count
from festkit.sensitivity import Detection, adjust_sensitivity
from festkit.training.config import TrainConfig
from festkit.training.run import Run
from festkit.weights import load_weights, read_card, save_tensors, save_weights

GRAY = {"mean": 0.4, "std": 0.1}
DEVICE = {("cpu", "cpu"): {}, (): {"device": "cpu"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand")


@pytest.fixture(scope="module")
def testset(folder):
    return load_dataset(folder, "test")


@pytest.fixture(scope="class")
def fitted(folder, tmp_path_factory):
    torch.manual_seed(0)
    fest = FEST({32: TinyNet(), 48: TinyNet()}, th2=0.2)
    out = tmp_path_factory.mktemp("fit")
    runs = fest.fit(str(folder), out=out, epochs=1, batch_size=4, device="cpu")
    return fest, runs, out


class InThisProcess:
    """In place of a pool of processes."""

    def __init__(self, workers, context):
        assert workers > 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    map = staticmethod(map)


def blob(*places, side=16):
    """A map with one pixel pair of the given probability at each (row, column, probability)."""
    prob = np.zeros((side, side), np.float32)
    for y, x, p in places:
        prob[y, x : x + 2] = p
    return prob


class TestRules:
    """At 16 px the fixed networks see exactly these maps; their mean is the fused one."""

    first = blob((2, 2, 0.9), (8, 8, 0.30), (12, 2, 0.15))
    second = blob((2, 2, 0.7), (8, 8, 0.04), (12, 12, 0.40))
    image = np.zeros((16, 16), np.uint8)

    def fest(self, **options):
        # halving averages 2 x 2 equal pixels, so that both maps come out as they are
        fest = FEST({16: Fixed(self.first), 32: Fixed(np.kron(self.second, np.ones((2, 2))))})
        return FEST(fest.backbones, **(GRAY | options))

    def test_the_networks_see_what_they_are_made_to_see(self):
        first, second = self.fest().scale_maps(self.image)
        np.testing.assert_allclose(first, self.first, atol=2e-6)
        np.testing.assert_allclose(second, self.second, atol=2e-6)
        fused = self.fest().probability(self.image)
        np.testing.assert_allclose(fused, (self.first + self.second) / 2, atol=2e-6)

    def test_fused_takes_weak_targets_from_the_mean(self):
        # of the mean: 0.17 at (8, 8), 0.2 at (12, 12), 0.075 at (12, 2)
        found = self.fest(rule="fused").predict(self.image)
        assert found.weak.tolist() == [[8, 8], [12, 12]]

    def test_per_scale_takes_them_from_each_map_in_order(self):
        found = self.fest(rule="per_scale").predict(self.image)
        assert found.weak.tolist() == [[8, 8], [12, 2], [12, 12]]

    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    @pytest.mark.parametrize(("th1", "th2"), [(0.5, 0.1), (0.85, 0.35), (0.5, None), (0.1, 0.1)])
    @pytest.mark.filterwarnings("ignore:th2")
    def test_both_are_adjust_sensitivity(self, rule, th1, th2):
        fest = self.fest(rule=rule, th1=th1, th2=th2)
        found = fest.predict(self.image)
        maps = fest.scale_maps(self.image)
        given = {"scale_maps": maps} if rule == "per_scale" else {}
        wanted = adjust_sensitivity((maps[0] + maps[1]) / 2, th1, th2, **given)
        np.testing.assert_array_equal(found.mask, wanted.mask)
        np.testing.assert_array_equal(found.weak, wanted.weak)
        assert found.targets() == wanted.targets()

    def test_no_th2_is_a_plain_threshold(self):
        found = self.fest(th2=None).predict(self.image)
        np.testing.assert_array_equal(found.mask, (self.first + self.second) / 2 > 0.5)
        assert len(found.weak) == 0

    def test_with_one_size_the_rules_are_one(self):
        found = [
            FEST({16: Fixed(self.first)}, rule=rule, **GRAY).predict(self.image)
            for rule in ("per_scale", "fused")
        ]
        np.testing.assert_array_equal(found[0].mask, found[1].mask)
        assert found[0].weak.tolist() == found[1].weak.tolist() == [[8, 8], [12, 2]]

    def test_detect_takes_maps_at_hand(self):
        found = self.fest().detect([self.first, self.second])
        np.testing.assert_array_equal(found.mask, self.fest().predict(self.image).mask)

    @pytest.mark.parametrize(
        "shapes",
        [[], [(16, 16)], [(16, 16), (16, 12)], [(16, 16)] * 3, [(2, 16, 16)] * 2, [(9,)] * 2],
    )
    def test_detect_refuses_maps_that_are_not_its_scales(self, shapes):
        with pytest.raises(ValueError, match=r"for the scales \[16, 32\]; pass one map per scale"):
            self.fest().detect([np.zeros(shape, np.float32) for shape in shapes])

    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    def test_detect_refuses_what_is_no_probability(self, rule):
        maps = np.full((2, 16, 16), 0.1, np.float32)
        maps[0, 3, 4] = 1.5  # the mean would be one
        with pytest.raises(ValueError, match=r"the map of 16 px runs from .* probabilities in"):
            self.fest(rule=rule).detect(maps)

    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    def test_detect_warns_once_of_what_is_no_number(self, rule):
        maps = np.full((2, 16, 16), 0.7, np.float32)
        maps[0, 3, 4] = np.nan
        with pytest.warns(UserWarning, match="the map of 16 px has 1 NaN") as warned:
            found = self.fest(rule=rule).detect(maps)
        assert len(warned) == 1
        assert not found.strong[3, 4]
        assert found.strong.sum() == 16 * 16 - 1

    def test_the_order_of_sizes_is_the_order_of_scales(self):
        swapped = FEST(dict(reversed(list(self.fest().backbones.items()))), **GRAY)
        assert swapped.predict(self.image).weak.tolist() == [[12, 12], [8, 8], [12, 2]]


class TestImages:
    def test_maps_come_at_the_image_size(self):
        fest = FEST({32: TinyNet(), 48: TinyNet()}, **GRAY)
        image, _ = scene(0)
        assert [prob.shape for prob in fest.scale_maps(image)] == [image.shape] * 2
        assert fest.predict(image).mask.shape == image.shape

    def test_it_predicts_the_same_twice(self):
        fest = FEST({32: TinyNet().train()}, **GRAY)  # dropout must be off
        image, _ = scene(0)
        np.testing.assert_array_equal(fest.probability(image), fest.probability(image))

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (np.zeros((8, 9, 3), np.uint8), r"got \(8, 9, 3\) uint8, channels last; select one"),
            (np.zeros((8, 9, 1), np.uint8), r"got \(8, 9, 1\) uint8, channels last; select one"),
            (torch.zeros(8, 9, 2), r"got \(8, 9, 2\) float32, channels last; select one"),
            (
                np.full((8, 8), 1.5),
                r"got \(8, 8\) float64 from 1.5 to 1.5; divide by the white level",
            ),
            (np.full((8, 8), np.nan), "got .* 64 NaN; .*nan_to_num"),
            (np.full((8, 8), -0.1, np.float32), "got .* from -0.1 to -0.1; divide"),
            (np.zeros((8, 8), np.int32), r"got \(8, 8\) int32; divide by the white level"),
            (np.zeros((2, 1, 8, 8), np.uint8), r"got \(2, 1, 8, 8\) uint8"),
            (np.zeros((0, 8, 8), np.uint8), r"got \(0, 8, 8\) uint8"),
            (np.ma.masked_array(np.zeros((8, 8), np.uint8)), "got MaskedArray"),
            ([[0, 1]], "got list; festkit.read_image reads a file"),
        ],
    )
    def test_another_image_is_refused(self, image, message):
        expected = (
            r"expected a gray image \(H, W\) of uint8, uint16 or float in \[0, 1\], or several "
            r"\(N, H, W\)"
        )
        with pytest.raises(ValueError, match=rf"{expected}, {message}"):
            FEST({32: TinyNet()}, **GRAY).predict(image)

    @pytest.mark.parametrize(
        "given",
        [
            lambda gray: gray.astype(np.uint16) * 257,
            lambda gray: gray / 255,
            lambda gray: (gray / 255).astype(np.float32),
            torch.from_numpy,
            lambda gray: torch.from_numpy(gray).float() / 255,
            lambda gray: torch.from_numpy(gray.astype(np.uint16) * 257),
            lambda gray: torch.from_numpy(gray).double().div(255).requires_grad_(),
        ],
    )
    def test_the_same_image_in_other_numbers(self, given):
        fest, (image, _) = FEST({32: TinyNet()}, **GRAY), scene(0)
        wanted = fest.probability(image)
        assert wanted.std() > 0
        np.testing.assert_array_equal(fest.probability(given(image)), wanted)

    def test_a_batch_gives_a_list(self):
        fest = FEST({32: TinyNet()}, th1=0.5, th2=0.45, **GRAY)
        images = [scene(number)[0] for number in range(3)]
        found = fest.predict(np.stack(images))
        assert [type(each) for each in found] == [Detection] * 3
        for each, image in zip(found, images, strict=True):
            np.testing.assert_array_equal(each.mask, fest.predict(image).mask)
        assert len(fest.predict(torch.zeros(1, 40, 30))) == 1
        with pytest.raises(ValueError, match=r"expected one gray image .*, got \(3, 48, 64\)"):
            fest.scale_maps(np.stack(images))

    def test_a_frame_of_14_bit_is_not_black_without_a_word(self):
        frame = np.full((16, 16), 9000, np.uint16)
        fest = FEST({32: TinyNet()}, **GRAY)
        with pytest.warns(
            UserWarning, match="brightest level of the image is 9000, but white is 65535"
        ):
            fest.predict(frame)

        with pytest.warns(UserWarning, match=r"0\.137.*white is 1"):
            fest.predict(frame / np.float32(65535))

    def test_statistics_that_were_set_since_are_checked(self):
        fest = FEST({32: TinyNet()}, **GRAY)
        for name, value, error in (
            ("mean", 300.0, ValueError),
            ("std", -1.0, ValueError),
            ("std", 0.0, ValueError),
            ("mean", "a", TypeError),
        ):
            setattr(fest, name, value)
            with pytest.raises(error, match=f"{name} is"):
                fest.predict(np.zeros((32, 32), np.uint8))
            fest.mean, fest.std = GRAY["mean"], GRAY["std"]

    def test_what_is_no_image_is_told_what_it_is(self):
        fest = FEST({32: TinyNet()}, **GRAY)
        frame = np.full((32, 32), 0.5)
        frame[3, 3] = np.nan
        with pytest.raises(ValueError, match=r"1 NaN.*nan_to_num"):
            fest.predict(frame)
        with pytest.raises(ValueError, match="a mask; pass the image"):
            fest.predict(np.zeros((32, 32), bool))

    def test_it_computes_on_one_device(self, folder, tmp_path, monkeypatch):
        fest = FEST({16: "ACM", 32: TinyNet()}, device=torch.device("cpu"))
        assert fest.device == torch.device("cpu")
        with pytest.raises(ValueError, match="device 'cuda' is not available"):
            FEST({16: "ACM"}, device="cuda")
        seen = []

        def train(config):
            seen.append(config.device)
            raise KeyboardInterrupt

        monkeypatch.setattr(festkit.fest, "train", train)
        for given in ({}, {"device": "cpu"}):
            with pytest.raises(KeyboardInterrupt):
                fest.fit(str(folder), out=tmp_path, **given)
        assert seen == ["cpu", "cpu"]

    def test_every_way_to_open_one_takes_a_device(self, fitted, tmp_path):
        fest, (run, _), _ = fitted
        saved = fest.save(tmp_path / "f")
        nets = {32: TinyNet(), 48: TinyNet()}
        for opening in (
            lambda **device: FEST.load(saved, backbones=nets, **device),
            lambda **device: FEST.from_runs([run], backbones=nets, **device),
            lambda **device: FEST.from_pretrained("acm", "nuaa-sirst", **device),
        ):
            assert opening(device="cpu").device == torch.device("cpu")
            with pytest.raises(ValueError, match="device 'cuda:x'"):
                opening(device="cuda:x")

    def test_by_default_that_is_the_fastest_at_hand(self, monkeypatch):
        asked = []
        monkeypatch.setattr(
            festkit.fest, "resolve_device", lambda name: asked.append(name) or torch.device("cpu")
        )
        FEST({16: "ACM"})
        assert asked == ["auto"]

    @pytest.mark.parametrize("known", [{}, {"mean": 0.4}, {"std": 0.1}])
    def test_unknown_statistics(self, known):
        with pytest.raises(ValueError, match=r"gray statistics .* unknown: call fit, or pass me"):
            FEST({32: TinyNet()}, **known).predict(np.zeros((8, 8), np.uint8))

    def test_evaluate_is_the_sum_over_images(self, testset):
        torch.manual_seed(0)
        fest = FEST({32: TinyNet(), 48: TinyNet()}, th1=0.5, th2=0.45, **GRAY)
        total = Counts()
        for number in range(3):
            image, mask = scene(100 + number)
            total += count(fest.predict(image).mask, mask)
        assert fest.evaluate(testset) == total
        assert total.targets == 4

    def test_another_rule_set_later(self, testset):
        fest = FEST({32: TinyNet()}, **GRAY)
        fest.rule = "nonsense"
        with pytest.raises(
            ValueError, match="unknown rule 'nonsense'; choose from per_scale, fused"
        ):
            fest.predict(scene(0)[0])

    def test_it_says_what_it_is(self):
        fest = FEST({32: "ACM", 48: TinyNet()}, th2=None)
        assert repr(fest) == "FEST(ACM 32 px, TinyNet 48 px; th1=0.5, th2=None, rule='per_scale')"

    def test_what_a_notebook_shows(self):
        class Sky(TinyNet):
            pass

        Sky.__name__ = "<Sky>"
        fest = FEST({32: "ACM", 48: Sky()}, th2=None, **GRAY)
        fest.origin = {"dataset": "a & b"}
        assert fest._repr_html_() == (
            "<table><caption>FEST: th1 0.5, rule per_scale, mean 0.4, std 0.1, device cpu, trained "
            "on a &amp; b</caption><tr><th>32 px</th><td>ACM</td></tr>"
            "<tr><th>48 px</th><td>&lt;Sky&gt;</td></tr></table>"
        )

    def test_a_name_in_place_of_a_dataset(self):
        with pytest.raises(ValueError, match=r"pass load_dataset\('data/samples', 'test'\)"):
            FEST({32: TinyNet()}, **GRAY).evaluate("data/samples")


class TestSaving:
    @pytest.fixture
    def fest(self):
        torch.manual_seed(2)
        return FEST({48: "ACM", 32: "ACM"}, th1=0.6, th2=0.2, rule="fused", mean=0.41, std=0.09)

    def test_round_trip(self, fest, tmp_path):
        again = FEST.load(fest.save(tmp_path / "fest.safetensors"))
        assert list(again.backbones) == [48, 32]
        names = ("th1", "th2", "rule", "mean", "std")
        assert [getattr(again, n) for n in names] == [0.6, 0.2, "fused", 0.41, 0.09]
        image, _ = scene(0)
        for old, new in zip(fest.scale_maps(image), again.scale_maps(image), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_no_th2_and_no_statistics_come_back(self, tmp_path):
        again = FEST.load(FEST({16: "ACM"}, th2=None).save(tmp_path / "f"))
        assert (again.th2, again.mean, again.std) == (None, None, None)

    def test_own_networks_are_given_again(self, tmp_path):
        torch.manual_seed(3)
        fest = FEST({32: TinyNet(), 48: TinyNet(5)}, **GRAY)
        saved = fest.save(tmp_path / "f")
        again = FEST.load(saved, backbones={48: TinyNet(5), 32: TinyNet()})
        assert list(again.backbones) == [32, 48]
        image, _ = scene(0)
        np.testing.assert_array_equal(fest.probability(image), again.probability(image))
        with pytest.raises(ValueError, match="names 'TinyNet', which is no backbone"):
            FEST.load(saved)
        with pytest.raises(ValueError, match="f does not fit TinyNet"):
            FEST.load(saved, backbones={48: TinyNet(), 32: TinyNet()})

    def test_weights_of_one_network_are_no_fest(self, tmp_path):
        saved = save_weights(TinyNet(), tmp_path / "w", {"backbone": "TinyNet"})
        with pytest.raises(ValueError, match=r"w holds the weights of one network, not a FEST"):
            FEST.load(saved)

    def test_a_full_disk_leaves_no_half_file(self, fest, tmp_path, monkeypatch):
        def no_space(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", no_space)
        with pytest.raises(OSError, match="No space left"):
            fest.save(tmp_path / "f")
        assert list(tmp_path.iterdir()) == []


class TestFitting:
    def test_one_run_per_size(self, fitted, folder):
        fest, runs, out = fitted
        assert [run.folder for run in runs] == [out / "32", out / "48"]
        assert [run.record["size"] for run in runs] == [32, 48]
        assert read_json(out / "fest.json") == {"sizes": [32, 48]}
        mean, std = load_dataset(folder, "train").statistics()
        assert (fest.mean, fest.std) == (mean, std)

    @pytest.mark.slow
    @pytest.mark.parametrize("devices", [("cpu", "cpu"), ()])
    def test_devices_at_the_same_time_give_the_same_bits(self, fitted, folder, tmp_path, devices):
        _, runs, _ = fitted
        torch.manual_seed(0)
        fest = FEST({32: TinyNet(), 48: TinyNet()}, th2=0.2)
        options = {"epochs": 1, "batch_size": 4, "device": "auto"}
        again = fest.fit(str(folder), out=tmp_path, devices=devices, **(options | DEVICE[devices]))
        assert [run.folder for run in again] == [tmp_path / "32", tmp_path / "48"]
        for run, other in zip(runs, again, strict=True):
            for name in ("weights.safetensors", "record.json", "history.csv", "config.json"):
                assert (run.folder / name).read_bytes() == (other.folder / name).read_bytes()
        for size, net in fest.backbones.items():
            kept = load_weights(tmp_path / str(size) / "weights.safetensors", TinyNet())
            assert all(torch.equal(kept.state_dict()[n], t) for n, t in net.state_dict().items())

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    @pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cuda:0"), ("a", "b", "c")])
    def test_a_device_takes_its_sizes_in_turn(self, monkeypatch, count, devices):
        parallel = festkit.training.parallel
        monkeypatch.setattr(parallel, "ProcessPoolExecutor", InThisProcess)
        monkeypatch.setattr(parallel, "train", lambda config: (config.size, config.device))
        configs = [TrainConfig("x", size=16 * (n + 1), device="mps") for n in range(count)]
        found = parallel.train_at_once(configs, devices)
        assert found == [(16 * (n + 1), devices[n % len(devices)]) for n in range(count)]

    def test_it_predicts_with_the_kept_weights(self, fitted):
        fest, runs, _ = fitted
        for run, net in zip(runs, fest.backbones.values(), strict=True):
            kept = load_weights(run.weights, TinyNet()).state_dict()
            assert all(torch.equal(kept[name], t) for name, t in net.state_dict().items())
            assert not net.training

    def test_its_origin_is_what_it_was_trained_on(self, fitted):
        fest, runs, _ = fitted
        record = runs[0].record
        splits = {name: record[name] for name in ("train_split", "test_split")}
        assert fest.origin == splits | {"dataset": "hand"}

    def test_from_runs_is_the_same_fest(self, fitted):
        fest, runs, _ = fitted
        folders = [str(run.folder) for run in runs]
        again = FEST.from_runs(folders, th2=0.2, backbones={32: TinyNet(), 48: TinyNet()})
        for name in ("mean", "std", "origin"):
            assert getattr(again, name) == getattr(fest, name)
        image, _ = scene(100)
        np.testing.assert_allclose(again.probability(image), fest.probability(image), atol=1e-6)

    def test_the_stored_maps_are_the_scale_maps(self, fitted):
        fest, runs, _ = fitted
        image, _ = scene(100)
        for run, prob in zip(runs, fest.scale_maps(image), strict=True):
            np.testing.assert_allclose(run.test_maps()["e0"], prob, atol=1e-5)

    def test_networks_by_name_may_have_options(self, folder, tmp_path):
        fest = FEST({16: "ACM"})
        fest.chosen_on = {"th1": 0.5}
        options = {"backbone_options": {"group_norm": True}, "epochs": 1, "batch_size": 4}
        (run,) = fest.fit(str(folder), out=tmp_path, device="cpu", **options)
        kept = load_weights(run.weights).state_dict()
        assert all(torch.equal(kept[n], t) for n, t in fest.backbones[16].state_dict().items())
        assert fest.chosen_on is None

    def test_catalogue_networks_are_trained_too(self, folder, tmp_path):
        fest = FEST({16: "ACM"})
        (run,) = fest.fit(str(folder), out=tmp_path, epochs=1, device="cpu", protocol="last")
        kept = load_weights(run.weights).state_dict()
        own = fest.backbones[16].state_dict()
        assert all(torch.equal(kept[name], own[name]) for name in kept)

    def test_runs_on_different_images(self, fitted, tmp_path):
        _, (run, _), _ = fitted
        other = Run(tmp_path)
        write_json(tmp_path / "record.json", run.record | {"size": 64, "train_split": "ba98"})
        with pytest.raises(ValueError, match="trained on 2 different training splits"):
            FEST.from_runs([run, other], backbones={32: TinyNet(), 64: TinyNet()})

    def test_two_runs_of_one_size(self, fitted):
        _, (run, _), _ = fitted
        with pytest.raises(ValueError, match=r"2 runs for the sizes \[32\]; pass one per size"):
            FEST.from_runs([run, run], backbones={32: TinyNet()})

    def test_an_unfinished_run(self, fitted, tmp_path):
        _, (run, _), _ = fitted
        with pytest.raises(FileNotFoundError, match="holds no finished run; finish the training"):
            FEST.from_runs([run, dataclasses.replace(run, folder=tmp_path)])

    def test_no_run(self):
        with pytest.raises(ValueError, match="at least one finished run or weights file"):
            FEST.from_runs([])


class TestTheNetworkThatWasPassed:
    def test_stays_as_it_is(self):
        network = TinyNet().train()
        network.body[3].eval()  # one part by itself
        before = [(name, part.training) for name, part in network.named_modules()]
        kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        FEST({32: network}, **GRAY).predict(scene(0)[0])
        assert [(name, part.training) for name, part in network.named_modules()] == before
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, kept[name])
            assert tensor.is_contiguous()

    def test_is_not_filled_by_fit(self, folder, tmp_path):
        network = TinyNet()
        before = network.head.weight.clone()
        fest = FEST({32: network})
        fest.fit(str(folder), out=tmp_path, epochs=1, batch_size=4, protocol="last")
        assert torch.equal(network.head.weight, before)
        assert not torch.equal(fest.backbones[32].head.weight, before)

    def test_must_be_one(self):
        with pytest.raises(ValueError, match=r"name of a backbone or a torch.nn.Module, got funct"):
            FEST({32: lambda image: image})

    def test_that_cannot_be_copied(self):
        network = TinyNet()
        network.kept = network.head.weight * 2  # no leaf of autograd
        with pytest.raises(ValueError, match=r"TinyNet cannot be copied .*copy\.deepcopy can copy"):
            FEST({32: network})


class TestBadInput:
    def test_no_size(self):
        with pytest.raises(ValueError, match="FEST needs at least one size"):
            FEST({})

    @pytest.mark.parametrize(("size", "fit"), [(0, 16), (-5, 16), (100, 112)])
    def test_a_size_off_the_divisor(self, size, fit):
        with pytest.raises(ValueError, match=rf"not a positive multiple of 16.*{fit}"):
            FEST({size: "ACM"})

    @pytest.mark.parametrize("size", [256.5, "256"])
    def test_a_size_that_is_no_whole_number(self, size):
        with pytest.raises(ValueError, match="a whole number of px"):
            FEST({size: "ACM"})

    def test_one_network_for_two_sizes(self):
        network = create_backbone("ACM")
        with pytest.raises(ValueError, match="every size needs its own network"):
            FEST({16: network, 32: network})

    @pytest.mark.parametrize(
        ("statistics", "message"),
        [({"mean": 111.0}, "mean is 111.0.*divide by 255"), ({"std": 0.0}, "std is 0.0.*above 0")],
    )
    def test_statistics_out_of_range(self, statistics, message):
        with pytest.raises(ValueError, match=message):
            FEST({16: "ACM"}, **statistics)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda card: card.pop("networks"),
            lambda card: card.pop("th1"),
            lambda card: card.update(networks=[7]),
            lambda card: card["networks"][0].pop("size"),
            lambda card: card["networks"].append({"size": 32, "backbone": "ACM"}),
        ],
    )
    def test_a_damaged_card_is_named(self, tmp_path, damage):
        path = FEST({16: "ACM"}).save(tmp_path / "fest.safetensors")
        card, tensors = read_card(path), read_tensors(path)
        damage(card)
        save_tensors(tensors, path, card)
        with pytest.raises(ValueError, match=r"fest\.safetensors"):
            FEST.load(path)

    @pytest.mark.parametrize("origin", [7, {"dataset": 3}])
    @pytest.mark.parametrize("read", [FEST.load, trained_on])
    def test_a_damaged_origin_is_named(self, tmp_path, origin, read):
        path = FEST({16: "ACM"}).save(tmp_path / "fest.safetensors")
        save_tensors(read_tensors(path), path, read_card(path) | {"origin": origin})
        with pytest.raises(ValueError, match=r"origin.* is .*, expected (dict|str)"):
            read(path)

    def test_tensors_of_no_network(self, tmp_path):
        path = FEST({16: "ACM"}).save(tmp_path / "fest.safetensors")
        tensors = {**read_tensors(path), "99.weight": torch.zeros(1)}
        save_tensors(tensors, path, read_card(path))
        with pytest.raises(ValueError, match=r"tensors of no network, such as 99\.weight"):
            FEST.load(path)

    @pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
    def test_thresholds_outside_the_unit_interval(self, threshold):
        with pytest.raises(ValueError, match=r"th1 is .*, expected a probability in \[0, 1\]"):
            FEST({16: "ACM"}, th1=threshold)
        with pytest.raises(ValueError, match=r"th2 is .*, expected a probability in \[0, 1\]"):
            FEST({16: "ACM"}, th2=threshold)

    def test_unknown_rule(self):
        with pytest.raises(ValueError, match="unknown rule 'scale'; choose from per_scale, fused"):
            FEST({16: "ACM"}, rule="scale")

    def test_unknown_backbone(self):
        with pytest.raises(ValueError, match=r"unknown backbone 'ACMM'.*Did you mean 'ACM'"):
            FEST({16: "ACMM"})

    def test_th2_above_th1_warns_on_one_size_only(self):
        image = np.zeros((16, 16), np.uint8)
        one = FEST({16: Fixed(np.full((16, 16), 0.3))}, th1=0.2, th2=0.4, **GRAY)
        with pytest.warns(UserWarning, match=r"th2 = 0\.4 is not below th1 = 0\.2"):
            assert one.predict(image).mask.all()
