import json
from collections import Counter

import numpy as np
import parity
import pytest
import torch
from goldens import FIGURES
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from festkit import backbone_card, create_backbone, list_backbones
from festkit.backbones import backbone_name, fill_backbone, read_tensors
from festkit.weights import save_weights

PARITY = json.loads((FIGURES / "backbone_parity.json").read_text(encoding="utf-8"))
LIMITS = {
    torch.float64: {
        "eval": 1e-9,
        "eval_samples": 1e-9,
        "eval_gradients": 1e-9,
        "train": 1e-9,
        "train_samples": 1e-9,
        "train_gradients": 1e-9,
        "running": 1e-9,
    },
    torch.float32: {
        "eval": 1e-5,
        "eval_samples": 5e-5,
        "eval_gradients": 2e-4,
        "train": 1e-4,
        "train_samples": 1e-3,
        "train_gradients": 5e-3,
        "running": 1e-5,
    },
}


def small_image(name, batch=2, channels=3):
    """Random images of the smallest comfortable size, higher than wide."""
    divisor = backbone_card(name).divisor
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, channels, 4 * divisor, 3 * divisor, generator=generator)


def assert_outputs(output, figures, limit, sample_limit):
    """Logits agree with stored figures: norms relatively, values relative to their spread."""
    found, std = parity.output_figures(output), figures["std"]
    assert found["l2"] == pytest.approx(figures["l2"], rel=limit)
    assert found["std"] == pytest.approx(std, rel=limit)
    for name in ("mean", "min", "max", "sample_value"):
        expected = figures[name]
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=sample_limit * std)


def assert_gradients(network, pixels, figures, limit, *, sums):
    found = parity.gradient_figures(network, pixels)
    for name in ("input_grad_l2", "param_grad_l2", "param_grad_l2_by_kind"):
        assert found[name] == pytest.approx(figures[name], rel=limit)
    for name in ("input_grad", "param_grad") if sums else ():
        limit = 1e-8 * figures[f"{name}_l2"]
        assert found[f"{name}_sum"] == pytest.approx(figures[f"{name}_sum"], abs=limit)


def mean_square_backward(network, shape, device, dtype):
    pixels = parity.image(shape).to(device, dtype).requires_grad_()
    output = network(pixels)
    output.square().mean().backward()
    return pixels, output


@pytest.mark.parametrize("name", list_backbones())
class TestEveryBackbone:
    @pytest.mark.parametrize("training", [False, True])
    def test_logits_have_the_size_of_the_image(self, name, device, training):
        images = small_image(name).to(device)
        before = images.clone()
        logits = create_backbone(name).to(device).train(training)(images)
        assert logits.shape == (2, 1, *images.shape[-2:])
        assert logits.isfinite().all()
        assert torch.equal(images, before)

    @pytest.mark.parametrize("training", [False, True])
    def test_every_parameter_gets_a_gradient(self, name, device, training):
        network = parity.fill(create_backbone(name)).to(device).train(training)
        network(small_image(name).to(device)).square().mean().backward()
        for path, parameter in network.named_parameters():
            assert parameter.grad is not None, path
            assert parameter.grad.isfinite().all(), path
            assert training or parameter.grad.any(), path

    def test_follows_the_seed(self, name):
        images = small_image(name)
        tensors, logits = [], []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            network = create_backbone(name)
            tensors.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
            logits.append(network.eval()(images))
        assert torch.equal(tensors[0], tensors[1])
        assert torch.equal(logits[0], logits[1])
        assert not torch.equal(tensors[0], tensors[2])

    def test_an_image_is_judged_by_itself_in_eval(self, name, device):
        network = parity.fill(create_backbone(name)).to(device).eval()
        images = small_image(name).to(device)
        with torch.inference_mode():
            together, alone = network(images)[1:], network(images[1:])
        torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)

    def test_training_on_one_image(self, name):
        network = create_backbone(name)
        one = small_image(name, batch=1)
        if PARITY[name]["trains_on_one_image"]:
            assert network(one).isfinite().all()
        else:
            with pytest.raises(
                ValueError, match=r"training batch of 1 has .* or eval\(\) for a si"
            ):
                network(one)
        assert network.eval()(one).isfinite().all()

    @pytest.mark.parametrize("channels", [1, 4])
    def test_takes_other_channels(self, name, channels):
        network = create_backbone(name, in_channels=channels).eval()
        assert network.in_channels == channels
        images = small_image(name, channels=channels)
        assert network(images).shape == (2, 1, *images.shape[-2:])

    def test_refuses_a_size_off_its_divisor(self, name):
        divisor = backbone_card(name).divisor
        if divisor == 1:
            pytest.skip("takes every size")
        network = create_backbone(name).eval()
        for height, width, fit in (
            (4 * divisor - 1, 3 * divisor, (4, 3)),
            (4 * divisor, 3 * divisor + 1, (4, 4)),
            (1, 1, (1, 1)),
        ):
            expected = (
                f"image size {height} x {width} is not a multiple of {divisor}; the next size "
                f"that fits is {fit[0] * divisor} x {fit[1] * divisor}"
            )
            with pytest.raises(ValueError, match=expected):
                network(torch.zeros(2, 3, height, width))

    @pytest.mark.parametrize("channels", [1, 4])
    def test_refuses_other_channels(self, name, channels):
        images = small_image(name, channels=channels)
        expected = rf"expected images \(N, 3, H, W\), got \(2, {channels}, .*made with in_channels="
        with pytest.raises(ValueError, match=expected):
            create_backbone(name)(images)

    def test_refuses_an_image_without_batch(self, name):
        with pytest.raises(ValueError, match=r"expected images \(N, 3, H, W\), got \(3, "):
            create_backbone(name)(small_image(name)[0])

    def test_weights_come_back_from_a_file(self, name, tmp_path):
        network = create_backbone(name).eval()
        path = save_weights(network, tmp_path / "w.safetensors", {"backbone": name})
        again = create_backbone(name, weights=path).eval()
        assert torch.equal(again(small_image(name)), network(small_image(name)))

    def test_card(self, name):
        card = backbone_card(name)
        network = create_backbone(name)
        assert card.name == name == backbone_name(network) == backbone_name(name.lower())
        assert isinstance(network, card.build)
        assert card.parameters == sum(p.numel() for p in network.parameters() if p.requires_grad)
        assert "https://" in card.paper


@pytest.mark.parametrize("name", list_backbones())
class TestParity:
    @pytest.fixture(autouse=True)
    def full_precision(self, monkeypatch):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)

    def network(self, name, device, dtype):
        build = backbone_card(name).build
        return parity.fill(build(in_channels=3, **PARITY[name]["options"])).to(device, dtype)

    def test_tensors(self, name):
        figures, card, network = PARITY[name], backbone_card(name), create_backbone(name)
        shapes = Counter(tuple(parameter.shape) for parameter in network.parameters())
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert shapes == {tuple(shape): number for shape, number in figures["parameter_shapes"]}
        assert shapes.total() == figures["parameter_tensors"]
        assert card.parameters == figures["parameters"]
        assert card.divisor == figures["size_divisor"]
        assert len(norms) == figures["batchnorm_layers"]
        assert sum(norm.num_features for norm in norms) == figures["batchnorm_channels"]
        assert {norm.eps for norm in norms} == {1e-5}

    def test_the_rule_fills_every_parameter(self, name):
        network = create_backbone(name)
        assert {path for path, _ in network.named_parameters()} <= parity.kinds(network).keys()

    def test_multiplications(self, name):
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            create_backbone(name).eval()(torch.zeros(1, 3, 256, 256))
        assert counter.get_total_flops() == 2 * PARITY[name]["macs_256"]

    @pytest.mark.parametrize("dtype", LIMITS)
    def test_eval(self, name, device, dtype):
        limits = LIMITS[dtype]
        network = self.network(name, device, dtype).eval()
        for figures in PARITY[name]["eval"]:
            with torch.inference_mode():
                output = network(parity.image(figures["input_shape"]).to(device, dtype))
            assert_outputs(output, figures, limits["eval"], limits["eval_samples"])

    @pytest.mark.parametrize("dtype", LIMITS)
    def test_eval_gradients(self, name, device, dtype):
        figures = PARITY[name]["eval_backward"]
        network = self.network(name, device, dtype).eval()
        pixels, _ = mean_square_backward(network, figures["input_shape"], device, dtype)
        limit = LIMITS[dtype]["eval_gradients"]
        assert_gradients(network, pixels, figures, limit, sums=dtype == torch.float64)

    @pytest.mark.parametrize("dtype", LIMITS)
    def test_train(self, name, device, dtype):
        figures, limits = PARITY[name]["train"], LIMITS[dtype]
        network = self.network(name, device, dtype).train()
        pixels, output = mean_square_backward(network, figures["input_shape"], device, dtype)
        assert_outputs(output, figures, limits["train"], limits["train_samples"])
        sums = dtype == torch.float64
        assert_gradients(network, pixels, figures, limits["train_gradients"], sums=sums)
        for key, found in parity.running_figures(network).items():
            assert found == pytest.approx(figures[key], rel=limits["running"])


class TestACM:
    @pytest.mark.parametrize(
        ("options", "momenta"), [({}, {0.1}), ({"bn_momentum": 0.9}, {0.1, 0.9})]
    )
    def test_batch_norm_momentum(self, options, momenta):
        network = backbone_card("ACM").build(**options)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert {norm.momentum for norm in norms} == momenta


class TestParityRule:
    @pytest.mark.parametrize(
        ("shape", "kind", "first"),
        [
            ((8, 3, 3, 3), parity.WEIGHT, [-0.28847728619304114, -0.1744565137885813]),
            ((8,), parity.BIAS, [0.09249506378546357, -0.03598949685692787]),
            ((8,), parity.NORM_WEIGHT, [0.9002100184559823, 0.9852282367646694]),
            ((8,), parity.NORM_BIAS, [-0.07634918596595526, 0.06124350274913013]),
            ((8,), parity.MEAN, [-0.095803392957896, 0.06445743069052697]),
            ((8,), parity.VARIANCE, [1.130615605507046, 1.022403366630897]),
        ],
    )
    def test_fill(self, shape, kind, first):
        filled = parity.values(shape, kind)
        assert filled.shape == shape
        assert torch.equal(filled.flatten()[:2], torch.tensor(first))

    def test_hash(self):
        raw = parity.noise(4, parity.WEIGHT) * 2**32
        assert raw.tolist() == [687307544, 1264442782, 3494811470, 3282928272]

    def test_image(self):
        pixels = parity.image((2, 3, 64, 64)).double()
        assert pixels.sum().item() == pytest.approx(-1740.160420723827, rel=1e-9)
        assert pixels.norm().item() == pytest.approx(113.14238849225897, rel=1e-9)
        assert pixels[1, 2, 3, 4].item() == 0.6380738019943237


class TestCatalogue:
    def test_names(self):
        assert list_backbones() == ["ACM"]
        assert list_backbones() == list(PARITY)

    @pytest.mark.parametrize("name", ["ACM", "acm", "A-C-M", "a_c m"])
    def test_case_and_hyphens_do_not_matter(self, name):
        assert backbone_card(name).name == "ACM"

    @pytest.mark.parametrize("look_up", [backbone_card, create_backbone, backbone_name])
    def test_unknown_name_lists_the_known_and_the_nearest(self, look_up):
        expected = r"unknown backbone 'ACMM'; known are ACM.*\. Did you mean 'ACM'\?"
        with pytest.raises(ValueError, match=expected):
            look_up("ACMM")

    def test_an_own_network_goes_by_its_class(self):
        assert backbone_name(nn.Identity()) == "Identity"


class TestWeights:
    def test_refuses_a_missing_file(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"there is no weights file .*none\.safetensors"
        ):
            create_backbone("ACM", weights=tmp_path / "none.safetensors")

    def test_refuses_a_file_that_is_no_safetensors_file(self, tmp_path):
        path = tmp_path / "broken.safetensors"
        path.write_bytes(b"not weights")
        with pytest.raises(ValueError, match=r"broken\.safetensors is not a readable safetensors"):
            read_tensors(path)

    def test_refuses_weights_of_another_network(self, tmp_path):
        path = save_weights(nn.Linear(2, 2), tmp_path / "linear.safetensors", {})
        expected = r"linear\.safetensors does not fit ACM: .*Missing key.* \[\.\.\.\]$"
        with pytest.raises(ValueError, match=expected) as error:
            create_backbone("ACM", weights=path)
        assert len(str(error.value)) < 500 + len(str(path))
        with pytest.raises(ValueError, match=r"w\.safetensors does not fit ACM: .*size mismatch"):
            fill_backbone(
                create_backbone("ACM"),
                create_backbone("ACM", in_channels=1).state_dict(),
                "w.safetensors",
            )
