import pytest
import torch

from festkit._devices import resolve_device, resolve_precision

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def at_hand(monkeypatch):
    """A machine with the named accelerators."""

    def pretend(*names):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * ("cuda" in names))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)

    return pretend


@pytest.mark.parametrize(
    ("there", "best"), [((), CPU), (("mps",), MPS), (("cuda",), CUDA), (("cuda", "mps"), CUDA)]
)
def test_auto_takes_the_fastest_at_hand(at_hand, there, best):
    at_hand(*there)
    assert resolve_device("auto") == best


def test_a_numbered_device(at_hand):
    at_hand("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_a_number_that_is_not_at_hand(at_hand):
    at_hand("cuda")
    with pytest.raises(ValueError, match=r"'cuda:2' is not at hand.* has 2 CUDA devices"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_at_hand(at_hand, name):
    at_hand()
    with pytest.raises(ValueError, match=rf"device '{name}' is not at hand.*use 'cpu' or 'auto'"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "xpu"])
def test_an_unknown_device(name):
    with pytest.raises(ValueError, match=rf"unknown device '{name}'; known are auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("device", [CPU, CUDA, MPS])
def test_a_stated_precision_is_kept(precision, device):
    assert resolve_precision(precision, device) == precision


def test_fp16_trains_on_cuda_only():
    assert resolve_precision("fp16", CUDA) == "fp16"
    for device in (CPU, MPS):
        with pytest.raises(ValueError, match=rf"fp16 trains on CUDA only, not on {device.type}; "):
            resolve_precision("fp16", device)


@pytest.mark.parametrize(("hardware", "best"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_follows_the_hardware(monkeypatch, hardware, best):
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, check, lambda: hardware, raising=False)
    assert resolve_precision("auto", CPU) == best
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: hardware)
    assert resolve_precision("auto", CUDA) == best


def test_auto_precision_on_mps_is_single():
    assert resolve_precision("auto", MPS) == "fp32"


def test_a_torch_without_the_checks_trains_in_single_precision(monkeypatch):
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, check, raising=False)
    assert resolve_precision("auto", CPU) == "fp32"
