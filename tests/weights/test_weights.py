import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from handmade import TinyNet
from safetensors.torch import save, save_file
from torch import nn

from festkit.backbones import create_backbone
from festkit.fest import FEST
from festkit.weights import import_state_dict, load_weights, read_card, save_weights

CARD = {"backbone": "ACM", "in_channels": 3, "loss_options": {"edge_weight": 4.0}, "note": "ß – ×"}


@pytest.fixture(scope="module")
def acm():
    torch.manual_seed(1)
    network = create_backbone("ACM")
    network(torch.randn(2, 3, 32, 32))  # moves the batch-norm statistics off their start
    return network.eval()


@pytest.fixture(scope="module")
def path(acm, tmp_path_factory):
    return save_weights(acm, tmp_path_factory.mktemp("weights") / "deep" / "acm.safetensors", CARD)


class TestRoundTrip:
    def test_equal_logits(self, acm, path):
        image = torch.randn(2, 3, 48, 32)
        again = load_weights(path)
        assert not again.training
        assert torch.equal(again(image), acm(image))

    def test_the_given_network_is_filled_and_returned(self, acm, path):
        network = create_backbone("ACM")
        assert load_weights(path, network) is network
        for name, tensor in acm.state_dict().items():
            assert torch.equal(network.state_dict()[name], tensor)

    def test_the_card(self, path):
        card = read_card(path)
        assert len(card.pop("checksum")) == 64
        assert card == CARD

    def test_a_channels_last_network(self, tmp_path):
        network = TinyNet().to(memory_format=torch.channels_last)
        image = torch.randn(1, 1, 8, 8)
        saved = save_weights(network, tmp_path / "tiny.safetensors", {})
        torch.testing.assert_close(load_weights(saved, TinyNet())(image), network.eval()(image))

    def test_other_input_channels(self, tmp_path):
        network = create_backbone("ACM", in_channels=1)
        card = {"backbone": "ACM", "in_channels": 1}
        assert load_weights(save_weights(network, tmp_path / "w", card)).in_channels == 1

    def test_others_may_read_the_file_as_any_other(self, tmp_path):
        (tmp_path / "plain").touch()
        saved = save_weights(TinyNet(), tmp_path / "w", {})
        assert saved.stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_the_network_stays_in_its_mode_and_place(self, tmp_path):
        network = TinyNet().train()
        save_weights(network, tmp_path / "w", {})
        assert network.training
        assert network.head.weight.requires_grad


class TestBadInput:
    @pytest.mark.parametrize("read", [load_weights, read_card, FEST.load])
    def test_a_missing_file(self, tmp_path, read):
        with pytest.raises(FileNotFoundError, match=r"no such weights file: .*none\.safetensors"):
            read(tmp_path / "none.safetensors")

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file, as torch.save makes them"])
    @pytest.mark.parametrize("read", [load_weights, read_card, FEST.load])
    def test_no_safetensors_file(self, tmp_path, read, content):
        (tmp_path / "acm.pth").write_bytes(content)
        with pytest.raises(ValueError, match=r"acm\.pth is not a readable safetensors file"):
            read(tmp_path / "acm.pth")

    def test_a_truncated_file(self, path, tmp_path):
        (tmp_path / "half").write_bytes(path.read_bytes()[:-10])
        with pytest.raises(ValueError, match="half is not a readable safetensors file"):
            load_weights(tmp_path / "half")

    def test_the_weights_of_another_network(self, path):
        with pytest.raises(ValueError, match=r"acm\.safetensors does not fit TinyNet"):
            load_weights(path, TinyNet())

    def test_a_file_without_card(self, tmp_path):
        save_file(TinyNet().state_dict(), tmp_path / "bare")
        with pytest.raises(ValueError, match="bare has no card; it was not written by festkit"):
            load_weights(tmp_path / "bare", TinyNet())

    def test_an_own_network_must_be_given(self, tmp_path):
        save_weights(TinyNet(), tmp_path / "w", {"backbone": "TinyNet", "in_channels": 1})
        with pytest.raises(ValueError, match=r"w names 'TinyNet', .*; pass the netw"):
            load_weights(tmp_path / "w")

    def test_a_card_that_names_no_backbone(self, tmp_path):
        save_weights(TinyNet(), tmp_path / "w", {})
        with pytest.raises(ValueError, match="names None, which is no backbone"):
            load_weights(tmp_path / "w")

    def test_a_whole_fest(self, tmp_path):
        saved = FEST({16: "ACM"}).save(tmp_path / "fest")
        with pytest.raises(ValueError, match=r"read a whole FEST with FEST\.load"):
            load_weights(saved)

    @pytest.mark.parametrize(
        ("card", "error"), [({"a": object()}, TypeError), ({"a": float("nan")}, ValueError)]
    )
    def test_a_card_that_is_no_json(self, tmp_path, card, error):
        with pytest.raises(error, match="JSON"):
            save_weights(TinyNet(), tmp_path / "w", card)
        assert list(tmp_path.iterdir()) == []


class TestWhole:
    def test_a_full_disk_keeps_the_old_file(self, tmp_path, monkeypatch):
        def no_space(part, content):
            with part.open("wb") as file:
                file.write(content[:100])
            raise OSError(28, "No space left on device")

        saved = save_weights(TinyNet(), tmp_path / "w", {"epochs": 1})
        monkeypatch.setattr(Path, "write_bytes", no_space)
        with pytest.raises(OSError, match="No space left"):
            save_weights(TinyNet(), tmp_path / "w", {"epochs": 2})
        assert read_card(saved)["epochs"] == 1
        assert [entry.name for entry in tmp_path.iterdir()] == ["w"]

    @pytest.mark.system
    def test_killed_while_writing(self, tmp_path):
        script = """
import os, signal, sys
from pathlib import Path
from torch import nn
from festkit.weights import save_weights
kept = Path.write_bytes
def write_bytes(part, content):
    kept(part, content[:100])
    os.kill(os.getpid(), signal.SIGKILL)
Path.write_bytes = write_bytes
save_weights(nn.Conv2d(1, 1, 1), sys.argv[1], {})
"""
        path = tmp_path / "w.safetensors"
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert not path.exists()


def flipped(path, folder, place):
    """A copy of a file with one bit flipped, so many bytes after where its tensors begin."""
    content = bytearray(path.read_bytes())
    content[8 + int.from_bytes(content[:8], "little") + place] ^= 0x40
    copy = folder / "copy.safetensors"
    copy.write_bytes(content)
    return copy


def from_checkpoint(path):
    return import_state_dict(path, "ACM")


def as_start(path):
    return create_backbone("ACM", weights=path)


class TestDamaged:
    @pytest.mark.parametrize("read", [load_weights, from_checkpoint, as_start])
    @pytest.mark.parametrize("place", [0, 1, 2, 3, 1000, 700_001, -1])
    def test_one_bit_of_the_tensors(self, path, tmp_path, read, place):
        content = path.read_bytes()
        place %= len(content) - 8 - int.from_bytes(content[:8], "little")
        copy = flipped(path, tmp_path, place)
        with pytest.raises(ValueError, match=r"copy\.safetensors is damaged.* Copy it again"):
            read(copy)

    @pytest.mark.parametrize("place", [0, 5000])
    def test_one_bit_of_a_fest(self, tmp_path, place):
        saved = FEST({16: "ACM"}).save(tmp_path / "fest.safetensors")
        with pytest.raises(ValueError, match=r"copy\.safetensors is damaged"):
            FEST.load(flipped(saved, tmp_path, place))

    def test_a_digit_of_the_card(self, tmp_path):
        fest = FEST({16: "ACM"}, th1=0.5, mean=0.41, std=0.09)
        saved = fest.save(tmp_path / "fest.safetensors")
        saved.write_bytes(saved.read_bytes().replace(b"0.41", b"0.61"))
        with pytest.raises(ValueError, match=r"fest\.safetensors is damaged"):
            FEST.load(saved)

    def test_a_file_without_checksum_still_loads(self, acm, tmp_path):
        old = tmp_path / "old.safetensors"
        old.write_bytes(save(acm.state_dict(), metadata={"card": json.dumps(CARD)}))
        kept = load_weights(old).state_dict()
        assert all(torch.equal(kept[name], t) for name, t in acm.state_dict().items())

    def test_the_checksum_is_sha256_of_layout_card_and_bytes(self, tmp_path):
        network = nn.Conv2d(1, 1, 1, bias=False).to(torch.bfloat16)
        nn.init.constant_(network.weight, 1.5)
        saved = save_weights(network, tmp_path / "w", {"b": 1, "a": "x"})
        told = b'[[["weight", "torch.bfloat16", [1, 1, 1, 1]]], {"a": "x", "b": 1}]'
        digest = hashlib.sha256(told + b"\xc0\x3f").hexdigest()  # 1.5 in bfloat16
        assert read_card(saved)["checksum"] == digest

    def test_a_card_written_again_gets_a_new_one(self, path, tmp_path):
        network, card = load_weights(path), read_card(path)
        again = save_weights(network, tmp_path / "again", card | {"note": "other"})
        assert read_card(again)["checksum"] != card["checksum"]
        load_weights(again)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ([1], "card of .* is list, expected a JSON object"),
        ({"backbone": "ACM", "in_channels": 10**11}, "in_channels 100000000000, expected 1 to"),
        ({"backbone": "ACM", "in_channels": "3"}, "in_channels is '3', expected int"),
    ],
)
def test_a_card_of_nonsense(acm, tmp_path, card, message):
    path = tmp_path / "acm.safetensors"
    path.write_bytes(save(acm.state_dict(), metadata={"card": json.dumps(card)}))
    with pytest.raises(ValueError, match=message):
        load_weights(path)


def test_tied_weights_are_kept_twice(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    network[1].weight = network[0].weight
    path = save_weights(network, tmp_path / "tied.safetensors", {"backbone": "Sequential"})
    other = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    assert torch.equal(load_weights(path, other)[1].weight, network[1].weight)
