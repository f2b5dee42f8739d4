import json
import pickle
import zipfile
import zlib
from collections import OrderedDict
from functools import lru_cache

import numpy as np
import pytest
import torch
from goldens import FIGURES
from safetensors.torch import save_file
from torch import nn

from festkit import create_backbone, import_state_dict
from festkit.backbones.checkpoints import read_checkpoint

PUBLISHED = json.loads((FIGURES / "published_weights.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def published_weights(name):
    """A state dict under the published names, drawn by the rule of the stored figures."""
    tensors = OrderedDict()
    for key, shape in PUBLISHED[name]["tensors"]:
        if key.endswith("num_batches_tracked"):
            tensors[key] = torch.tensor(0)
            continue
        noise = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
        if len(shape) >= 2:
            noise *= 0.9 * np.sqrt(2 / (np.prod(shape) / shape[0]))
        elif key.endswith("running_var"):
            noise = 1 + 0.1 * np.abs(noise)
        elif key.endswith(("running_mean", "bias")):
            noise *= 0.02
        else:
            noise = 1 + 0.05 * noise
        tensors[key] = torch.from_numpy(np.asarray(noise, np.float32))
    return tensors


def gray_images(channels):
    gray = np.random.default_rng(7).standard_normal((2, 1, 64, 64)).astype(np.float32)
    return torch.from_numpy(gray).expand(-1, channels, -1, -1)


def assert_same_logits(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.std().item())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n in ("GGL-Net", "UIU-Net", "MSDA-Net") else ())
        for n in PUBLISHED
    ],
)
def test_a_published_checkpoint_gives_the_published_logits(name, tmp_path):
    weights = {f"module.{key}": tensor for key, tensor in published_weights(name).items()}
    path = tmp_path / "best.pth.tar"
    torch.save({"epoch": 299, "state_dict": weights, "mean_iou": np.float64(0.7)}, path)
    result = import_state_dict(path, name)
    images = np.random.RandomState(7).standard_normal((2, 3, 64, 64))
    with torch.inference_mode():
        logits = result.backbone(torch.from_numpy(images.astype(np.float32))).flatten().double()
    figures = PUBLISHED[name]["figures"]
    close = 2e-4 * figures["std"]
    assert logits.mean().item() == pytest.approx(figures["mean"], abs=close)
    assert logits.std(correction=0).item() == pytest.approx(figures["std"], abs=close)
    for index, value in figures["samples"]:
        assert logits[index].item() == pytest.approx(value, abs=close)
    assert result.unexpected == ()
    assert result.adapted == ()


class TestReport:
    @pytest.mark.parametrize(
        ("name", "start"), [("ALCNet", "uplayer"), ("DNA-Net", "final"), ("ACM", "none")]
    )
    def test_tensors_without_effect_are_named(self, name, start):
        weights = published_weights(name)
        unused = import_state_dict(weights, name).unused
        assert set(unused) == {key for key in weights if key.startswith(start)} - {
            "final4.weight",
            "final4.bias",
        }

    def test_side_heads_are_filled_where_there_are_some(self):
        network = create_backbone("DNA-Net", deep_supervision=True)
        assert import_state_dict(published_weights("DNA-Net"), network).unused == ()

    def test_what_nobody_knows_is_named(self):
        weights = published_weights("ACM") | {"total_ops": torch.zeros(1)}
        assert import_state_dict(weights, "ACM").unexpected == ("total_ops",)

    def test_what_is_missing_is_named(self):
        weights = dict(published_weights("ACM"))
        del weights["head.block.4.bias"]
        with pytest.raises(ValueError, match=r"lacks 1 of 297 tensors of ACM: head\.4\.bias; it"):
            import_state_dict(weights, "ACM")

    def test_weights_of_another_network(self):
        with pytest.raises(ValueError, match=r"lacks \d+ of \d+ tensors of GGL-Net"):
            import_state_dict(published_weights("ACM"), "GGL-Net")

    def test_another_form_of_the_network_is_refused(self):
        base = create_backbone("MLCL-Net", base=True)
        published = published_weights("MLCL-Net")
        more = {
            key.replace("resnet3_2", "resnet3_3"): tensor
            for key, tensor in published.items()
            if "resnet3_2" in key
        }
        with pytest.raises(
            ValueError, match=r"another variant of MLCL-Net: it also has .*resnet3_3"
        ):
            import_state_dict(published | more, "MLCL-Net")
        with pytest.raises(ValueError, match=r"lacks \d+ of \d+ tensors of MLCL-Net"):
            import_state_dict(published, base)

    def test_our_own_names_are_known_too(self):
        network = create_backbone("MLCL-Net")
        again = import_state_dict(network.state_dict(), "MLCL-Net").backbone
        assert torch.equal(again(gray_images(3)), network.eval()(gray_images(3)))


class TestChannels:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["MLCL-Net", "ALCL-Net", "DNA-Net", "GGL-Net", "UIU-Net"])
    def test_three_to_one(self, name):
        three = import_state_dict(published_weights(name), name).backbone
        result = import_state_dict(published_weights(name), create_backbone(name, in_channels=1))
        assert result.adapted
        with torch.inference_mode():
            assert_same_logits(result.backbone(gray_images(1)), three(gray_images(3)))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["ACM", "ALCNet", "MLCL-Net", "DNA-Net"])
    def test_one_to_three(self, name):
        torch.manual_seed(0)
        one = create_backbone(name, in_channels=1)
        one(gray_images(1))
        result = import_state_dict(one.eval().state_dict(), name)
        with torch.inference_mode():
            assert_same_logits(result.backbone(gray_images(3)), one(gray_images(1)))

    @pytest.mark.parametrize("name", ["ACM", "ALCNet", "MSDA-Net"])
    def test_three_to_one_is_refused_where_it_is_not_exact(self, name):
        with pytest.raises(ValueError, match="only converted if the result is exact"):
            import_state_dict(published_weights(name), create_backbone(name, in_channels=1))

    @pytest.mark.parametrize(
        ("name", "shape"), [("layer1.0.conv1.weight", (16, 1, 3, 3)), ("head.block.1.weight", (1,))]
    )
    def test_only_layers_that_see_the_image_are_adapted(self, name, shape):
        weights = published_weights("ACM") | {name: torch.zeros(shape)}
        with pytest.raises(ValueError, match=r"has shape .* expected"):
            import_state_dict(weights, "ACM")

    def test_half_precision_is_summed_in_full(self):
        weights = {name: t.half() for name, t in published_weights("MLCL-Net").items()}
        network = create_backbone("MLCL-Net", in_channels=1)
        filled = import_state_dict(weights, network).backbone.stem[0][0].weight
        assert torch.equal(filled, weights["stage.layer1.0.weight"].float().sum(1, keepdim=True))


class Bomb:
    """Unpickling this creates a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


class TestFiles:
    @pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".pt"])
    @pytest.mark.parametrize("raw", [False, True])
    def test_a_file_that_wants_to_run_code_is_refused_unrun(self, tmp_path, suffix, raw):
        target, path = tmp_path / "was-here", tmp_path / f"evil{suffix}"
        content = {"state_dict": {"weight": Bomb(target)}}
        if raw:
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path)
        with pytest.raises(ValueError, match=r"evil.* would execute code; it is ref"):
            import_state_dict(path, "ACM")
        assert not target.exists()

    def test_the_bomb_works(self, tmp_path):
        pickle.loads(pickle.dumps(Bomb(tmp_path / "was-here"))).close()
        assert (tmp_path / "was-here").exists()

    def test_a_whole_network_is_refused(self, tmp_path):
        torch.save(nn.Linear(1, 1), tmp_path / "net.pth")
        with pytest.raises(
            ValueError, match=r"objects other than tensors and numbers \(torch\.nn\.modules\.linear"
        ):
            import_state_dict(tmp_path / "net.pth", "ACM")

    def test_arrays_with_objects_are_refused(self, tmp_path):
        target = tmp_path / "was-here"
        np.savez(tmp_path / "evil.npz", weight=np.array([Bomb(target)], dtype=object))
        with pytest.raises(ValueError, match=r"evil\.npz is not a readable \.npz file of plain"):
            import_state_dict(tmp_path / "evil.npz", "ACM")
        assert not target.exists()

    @pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
    def test_other_kinds_of_file(self, tmp_path, suffix):
        weights, path = published_weights("ACM"), tmp_path / f"acm{suffix}"
        if suffix == ".npz":
            np.savez(path, **{name: tensor.numpy() for name, tensor in weights.items()})
        else:
            save_file(dict(weights), path)
        expected = import_state_dict(weights, "ACM").backbone.state_dict()
        for name, tensor in import_state_dict(path, "ACM").backbone.state_dict().items():
            assert torch.equal(tensor, expected[name]), name

    @pytest.mark.parametrize(
        "content",
        [
            {"model": {"net": {"module.a": torch.ones(1)}}, "epoch": 3},
            {"params": {"_orig_mod.module.a": torch.ones(1)}},
            {"model.a": torch.ones(1)},
        ],
    )
    def test_wrappers_and_prefixes(self, tmp_path, content):
        torch.save(content, tmp_path / "net.pt")
        assert read_checkpoint(tmp_path / "net.pt") == {"a": torch.ones(1)}

    @pytest.mark.parametrize(
        "key",
        ["ema", "model_dict", "weights", "checkpoint", "net", "state_dict_ema", "teacher", "模型"],
    )
    @pytest.mark.parametrize("inner", [None, "shadow"])
    def test_whatever_the_wrapper_is_called(self, tmp_path, key, inner):
        weights = published_weights("ACM")
        network = nn.Conv2d(1, 1, 1)
        optimizer = torch.optim.Adam(network.parameters())
        network(torch.ones(1, 1, 1, 1)).sum().backward()
        optimizer.step()
        content = {
            "epoch": torch.tensor(3),
            "rng_state": torch.get_rng_state(),
            "optimizer": optimizer.state_dict(),
            "opt": optimizer.state_dict(),
            "optimizer_by_name": {"stem": {"exp_avg": torch.ones(2, 2)}},
            "scores": {"iou": torch.tensor(0.5)},
            key: weights if inner is None else {inner: weights},
        }
        torch.save(content, tmp_path / "net.pth")
        assert read_checkpoint(tmp_path / "net.pth").keys() == weights.keys()

    @pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "params"])
    @pytest.mark.parametrize("other", ["ema", "sgd"])
    def test_a_known_name_decides(self, tmp_path, key, other):
        weights = published_weights("ACM")
        others = {name: torch.full((2, 2), 9.0) for name in weights}
        torch.save({other: others, key: weights}, tmp_path / "net.pth")
        found = read_checkpoint(tmp_path / "net.pth")
        assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())

    def test_several_networks_in_one_file(self, tmp_path):
        weights = published_weights("ACM")
        content = {"teacher": weights, "train": {"ema": weights}, "epoch": 3}
        torch.save(content, tmp_path / "net.pth")
        told = r"net\.pth holds several networks, \['teacher'\], \['train'\]\['ema'\]; read it with"
        with pytest.raises(ValueError, match=told):
            import_state_dict(tmp_path / "net.pth", "ACM")
        chosen = torch.load(tmp_path / "net.pth", weights_only=True)["train"]["ema"]
        assert import_state_dict(chosen, "ACM").unexpected == ()

    def test_one_tensor_under_two_names(self):
        weights = published_weights("ACM")
        twice = weights | {f"module.{name}": torch.zeros_like(t) for name, t in weights.items()}
        with pytest.raises(ValueError, match=r"the mapping holds stem\.0\.weight twice"):
            import_state_dict(twice, "ACM")

    def test_nan(self):
        weights = published_weights("ACM") | {"head.block.4.bias": torch.tensor([torch.nan])}
        with pytest.raises(ValueError, match=r"head\.block\.4\.bias is complex or holds NaN"):
            import_state_dict(weights, "ACM")

    def test_scores_written_by_an_older_numpy(self, tmp_path):
        path, old = tmp_path / "new.pth", tmp_path / "old.pth"
        torch.save({"state_dict": {"a": torch.ones(1)}, "iou": np.float32(0.5)}, path)
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(old, "w") as target:
            for entry in source.namelist():
                content = source.read(entry).replace(b"numpy._core.multi", b"numpy.core.multi")
                target.writestr(entry, content)
        assert read_checkpoint(old) == {"a": torch.ones(1)}

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no such checkpoint: .*none\.pth"):
            import_state_dict(tmp_path / "none.pth", "ACM")

    @pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors"])
    def test_a_damaged_file(self, tmp_path, suffix):
        path = tmp_path / f"net{suffix}"
        path.write_bytes(b"PK\x03\x04 not really")
        with pytest.raises(ValueError, match=rf"net\{suffix} is (not a readable|damaged, or)"):
            import_state_dict(path, "ACM")

    @pytest.mark.parametrize(
        ("content", "message"), [([1, 2], "holds list"), ({"epoch": 3}, "only epoch")]
    )
    def test_no_tensors(self, tmp_path, content, message):
        torch.save(content, tmp_path / "net.pth")
        with pytest.raises(ValueError, match=message):
            import_state_dict(tmp_path / "net.pth", "ACM")
