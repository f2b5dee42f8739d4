"""Networks of users: what is accepted, what is refused, and with which words."""

import argparse

import numpy as np
import pytest
import torch
from handmade import TinyNet, make_set, scene
from torch import nn
from torch.nn import functional

from festkit.backbones import backbone_options, create_backbone
from festkit.backbones.contract import check_network, logits_of
from festkit.backbones.forward import probability_map
from festkit.fest import FEST
from festkit.training.config import TrainConfig
from festkit.training.run import Run
from festkit.training.trainer import train

GRAY = {"mean": 0.4, "std": 0.1}


class Wrapped(TinyNet):
    """A network of one channel whose logits come in some form."""

    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, image):
        return self.wrap(super().forward(image))


def as_list(logits):
    return [logits, -logits]


def as_tuple(logits):
    return logits, [-logits, (logits, logits)]


def as_dict(logits):
    return {"aux": None, "out": logits}


def as_list_in_dict(logits):
    return {"out": [logits, -logits]}


FORMS = [as_list, as_tuple, as_dict, as_list_in_dict]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand")


@pytest.mark.parametrize("wrap", FORMS)
class TestForms:
    def test_the_main_logits_predict(self, wrap):
        torch.manual_seed(0)
        plain = TinyNet()
        other = Wrapped(wrap)
        other.load_state_dict(plain.state_dict())
        image, _ = scene(0)
        found = FEST({32: other}, **GRAY).probability(image)
        np.testing.assert_array_equal(found, FEST({32: plain}, **GRAY).probability(image))

    def test_it_trains(self, wrap, folder, tmp_path):
        fest = FEST({32: Wrapped(wrap)})
        (run,) = fest.fit(str(folder), out=tmp_path, epochs=1, batch_size=4, protocol="last")
        assert run.record["backbone"] == "Wrapped"
        assert fest.predict(scene(0)[0]).mask.shape == (48, 64)


def test_training_takes_the_mean_loss_of_all_outputs(folder, tmp_path):
    def loss(wrap, name):
        torch.manual_seed(0)
        network = Wrapped(wrap)
        network.body[3].p = 0.0
        options = {"epochs": 1, "batch_size": 6, "protocol": "last", "loss": "BCE"}
        out = str(tmp_path / name)
        run = train(TrainConfig(str(folder), 32, network, out=out, **options))
        return run.history()[0]["loss"]

    one, many = loss(lambda y: y, "one"), loss(lambda y: (y, [y + 5]), "many")
    assert many > one + 0.3  # the other output says "target" nearly everywhere
    assert loss(lambda y: {"out": y, "aux": y + 5}, "dict") == pytest.approx(one)


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda y: torch.cat([y, y], 1), r"\(1, 2, 32, 32\)"),
        (lambda y: y[:, 0], r"\(1, 32, 32\)"),
        (lambda y: functional.avg_pool2d(y, 2), r"\(1, 1, 16, 16\)"),
        (lambda y: ([y[..., ::2]], y), r"\[\[\(1, 1, 32, 16\)\], \(1, 1, 32, 32\)\]"),
        (lambda y: [None, y], r"\[NoneType, \(1, 1, 32, 32\)\]"),
        (lambda y: {"logits": y}, r"a dict of 'logits': \(1, 1, 32, 32\)"),
        (lambda y: y.detach().numpy(), "ndarray"),
        (lambda y: [], r"\[\]"),
    ],
)
def test_another_output_is_refused(wrap, told):
    expected = rf"Wrapped gives {told} for images \(1, 1, 32, 32\): .*, expected \(1, 1, 32, 32\)"
    with pytest.raises(ValueError, match=rf"{expected}\. A network takes"):
        FEST({32: Wrapped(wrap)}, **GRAY)


FURTHER = [
    (lambda y: [y, functional.avg_pool2d(y, 2)], r"output 1 is \(4, 1, 16, 16\)"),
    (lambda y: (y, torch.cat([y] * 8, 1)), r"output 1 is \(4, 8, 32, 32\)"),
    (lambda y: {"out": (y, y, [None])}, "output 2 is NoneType"),
]


@pytest.mark.parametrize(("wrap", "told"), FURTHER)
class TestFurtherOutputs:
    def test_they_play_no_part_in_predicting(self, wrap, told):
        torch.manual_seed(0)
        plain, image = TinyNet(), scene(0)[0]
        other = Wrapped(wrap)
        other.load_state_dict(plain.state_dict())
        found = FEST({32: other}, **GRAY).probability(image)
        np.testing.assert_array_equal(found, FEST({32: plain}, **GRAY).probability(image))

    def test_training_names_the_one_that_does_not_fit(self, wrap, told, folder, tmp_path):
        out = str(tmp_path / "run")
        config = TrainConfig(str(folder), 32, Wrapped(wrap), out=out, batch_size=4)
        with pytest.raises(ValueError, match=rf"{told}, expected \(4, 1, 32, 32\)\. A network"):
            train(config)


def by_hand(y):
    return 1 / (1 + (-y).exp())


def normalised(y):
    return (y - y.amin()) / (y.amax() - y.amin())


@pytest.mark.parametrize(
    "end",
    [
        torch.sigmoid,
        nn.Sigmoid(),
        by_hand,
        normalised,
        functional.hardsigmoid,
        lambda y: torch.sigmoid(4 * (y - 5)).clamp(0.01, 0.99),
        lambda y: functional.interpolate(y.sigmoid(), scale_factor=1.0, mode="bilinear"),
        lambda y: torch.cat([y, -y], 1).softmax(1)[:, :1],
        lambda y: [y.sigmoid(), *(functional.avg_pool2d(y.sigmoid(), 3, 1, 1) for _ in range(4))],
        lambda y: {"out": y.sigmoid(), "aux": functional.conv2d(y, torch.ones(1, 1, 1, 1))},
        lambda y: y.sigmoid_(),
        lambda y: (y.tanh() + 1) / 2,
        lambda y: functional.conv2d(y.sigmoid(), torch.full((1, 1, 3, 3), 1 / 9), padding=1),
        lambda y: 0.5 * (1 + torch.erf(y)),
        lambda y: (y > y.mean()).float(),
    ],
)
class TestSigmoid:
    def test_it_is_refused(self, end):
        with pytest.raises(ValueError, match=r"ends in a sigmoid.*every pixel would be a target"):
            FEST({32: Wrapped(end)}, **GRAY)

    def test_training_refuses_it(self, end, folder, tmp_path):
        config = TrainConfig(str(folder), 32, Wrapped(end), out=str(tmp_path / "run"), batch_size=4)
        with pytest.raises(ValueError, match=r"ends in a sigmoid.*every pixel would be a target"):
            train(config)
        assert not Run(tmp_path / "run").finished


GATED = ["ACM", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ALCNet", "MLCL-Net"))]


@pytest.mark.parametrize("name", GATED)
def test_gated_networks_that_end_in_a_sigmoid_are_refused(name):
    for seed in range(3):
        torch.manual_seed(seed)
        network = nn.Sequential(create_backbone(name), nn.Sigmoid())
        with pytest.raises(ValueError, match="Sequential ends in a sigmoid"):
            check_network(network.eval(), 32)


@pytest.mark.filterwarnings("error::UserWarning")
class TestNoSigmoid:
    @pytest.mark.parametrize("seed", range(20))
    def test_new_networks_pass(self, seed):
        torch.manual_seed(seed)
        gate = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.Sigmoid())
        for network in (
            nn.Conv2d(3, 1, 1),
            nn.Sequential(gate, nn.Conv2d(8, 1, 1)),
            nn.Sequential(
                nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 1, 3, padding=1)
            ),
        ):
            check_network(network.eval(), 32)

    @pytest.mark.parametrize("name", GATED)
    def test_new_gated_networks_pass(self, name, monkeypatch):
        monkeypatch.setattr("festkit.backbones.contract.in_catalogue", lambda _: False)
        for seed in range(20):
            torch.manual_seed(seed)
            check_network(create_backbone(name).eval(), 32)

    def test_bounded_logits_pass(self):
        """Whatever the image, such networks stay within bounds, which may lie in [0, 1]."""
        for seed in range(100):
            torch.manual_seed(seed)
            gate = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sigmoid(), nn.Conv2d(8, 1, 1))
            check_network(gate.eval(), 32)

    def test_a_mean_of_logits_is_not_refused(self):
        """Its logits are in [0, 1] by chance."""
        torch.manual_seed(0)
        network = nn.Conv2d(3, 1, 1)
        network.weight.data, network.bias.data = 1e-4 * network.weight, torch.tensor([0.5])
        network.register_forward_hook(lambda *given: (given[-1] + given[-1]) / 2)
        check_network(network.eval(), 32)

    def test_a_logit_of_the_probability_is_the_way_out(self):
        torch.manual_seed(0)
        plain, (image, _) = TinyNet(), scene(0)
        undone = Wrapped(lambda y: torch.logit(y.sigmoid(), 1e-6))
        undone.load_state_dict(plain.state_dict())
        found = FEST({32: undone}, **GRAY).probability(image)
        np.testing.assert_allclose(found, FEST({32: plain}, **GRAY).probability(image), atol=1e-5)

    def test_training_is_not_moved_by_the_check(self, folder, tmp_path, monkeypatch):
        def weights(name):
            torch.manual_seed(0)
            out = str(tmp_path / name)
            run = train(TrainConfig(str(folder), 32, TinyNet(), out=out, epochs=1, batch_size=4))
            return run.weights.read_bytes()

        checked = weights("checked")
        monkeypatch.setattr("festkit.backbones.contract.check_network", lambda *_: None)
        assert weights("unchecked") == checked


class Gray(nn.Module):
    """It takes one channel and does not say so."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image):
        return self.c(image)


class TestAttributes:
    def test_missing_channels(self, folder, tmp_path):
        told = r"Gray fails for an image \(1, 3, 32, 32\): .* 3 channels needs an attribute in_ch"
        with pytest.raises(ValueError, match=told):
            FEST({32: Gray()}, **GRAY)
        with pytest.raises(ValueError, match=told):
            train(TrainConfig(str(folder), 32, Gray(), out=str(tmp_path / "run"), batch_size=4))

    @pytest.mark.parametrize("name", ["in_channels", "divisor", "smallest"])
    @pytest.mark.parametrize("value", [(3,), "3", None, 0, 2.5, True, print])
    def test_another_meaning(self, name, value):
        network = TinyNet()
        setattr(network, name, value)
        with pytest.raises(ValueError, match=rf"TinyNet.{name} is .*, expected an integer"):
            FEST({32: network})

    def test_a_number_of_numpy(self):
        network = TinyNet()
        network.in_channels = np.int64(1)
        assert FEST({32: network}, **GRAY).predict(scene(0)[0]).mask.shape == (48, 64)

    def test_a_width_by_the_name_of_channels(self):
        network = TinyNet()
        network.in_channels = 64
        with pytest.raises(ValueError, match="does not take 64 channels needs an attribute"):
            FEST({32: network})

    @pytest.mark.parametrize("options", [argparse.Namespace(lr=1), ["a"], {"lr": object()}, 7])
    def test_options_of_another_meaning(self, options, folder, tmp_path):
        network = TinyNet()
        network.options = options
        fest = FEST({32: network})
        fest.fit(str(folder), out=tmp_path, epochs=1, batch_size=4, protocol="last")
        again = FEST.load(fest.save(tmp_path / "f"), backbones={32: TinyNet()})
        image, _ = scene(0)
        np.testing.assert_array_equal(again.probability(image), fest.probability(image))
        assert backbone_options(network) == {}
        assert backbone_options(create_backbone("MLCL-Net", base=True)) == {"base": True}

    def test_output_layers_of_another_meaning(self, folder, tmp_path):
        network = TinyNet()
        network.output_layers = nn.ModuleList([network.head])
        options = {"epochs": 1, "batch_size": 4, "protocol": "last"}
        assert train(
            TrainConfig(str(folder), 32, network, out=str(tmp_path / "run"), **options)
        ).finished


def test_a_map_of_one_network_checks_its_output_too():
    with pytest.raises(ValueError, match=r"Wrapped gives \(1, 2, 32, 32\)"):
        probability_map(Wrapped(lambda y: torch.cat([y, y], 1)).eval(), scene(0)[0], 32, **GRAY)


def test_the_form_is_checked_in_every_batch():
    with pytest.raises(ValueError, match=r"gives \(2, 1, 4, 3\) for images \(2, 1, 4, 6\)"):
        logits_of(Wrapped(lambda y: y[..., ::2]), torch.zeros(2, 1, 4, 6))


class _Rooted(nn.Module):
    """NaN for any parameter below 0."""

    in_channels = 1

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image):
        return image * 0.1 * self.scale.sqrt()


def test_nan_under_random_parameters_is_no_sigmoid():
    FEST({32: _Rooted()})
