"""What matters on CUDA, as far as tensors of the CPU prove it; see docs/cuda.md."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from handmade import make_set
from tinyrun import PlainNet, plain_net, tiny
from torch import nn
from waits import counted_waits

from festkit import losses, training
from festkit._support.devices import send, whole_float32
from festkit.backbones.alcnet_lc import local_contrast
from festkit.backbones.forward import probability_map
from festkit.data.dataset import load_dataset
from festkit.ops import components
from festkit.training import trainer
from festkit.training.batches import Batches, TrainingImages
from festkit.training.loop import Loop
from festkit.training.processes import Processes
from festkit.training.trainer import train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=8)


class TestHostWaits:
    """The paths that CUDA takes, too: without compiled loops; AdamW counts on the host."""

    @pytest.mark.parametrize("options", [{}, {"crop": 16, "clip_norm": 1.0}, {"loss": "BCE"}])
    def test_none_in_a_training_step(self, folder, tmp_path, monkeypatch, options):
        monkeypatch.setattr(losses, "can_fuse", lambda _: False)
        monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_, **__: None)
        total, calls = Counter(), Counter()

        def watch(owner, name):
            real = getattr(owner, name)

            def call(*given, **named):
                calls[name] += 1
                with counted_waits() as seen:
                    result = real(*given, **named)
                total.update(seen)
                return result

            monkeypatch.setattr(owner, name, call)

        watch(Batches, "_batch")
        watch(Loop, "_step")
        train(tiny(folder, tmp_path / "run", epochs=2, batch_size=4, **options))
        assert calls == {"_batch": 4, "_step": 4}
        assert +total == {}

    def test_one_for_an_image_that_is_looked_at(self):
        network = nn.Conv2d(3, 1, 1).eval()
        with counted_waits() as seen:
            probability_map(network, np.zeros((20, 24), np.uint8), 32, mean=0.4, std=0.1)
        assert +seen == {"cpu": 1}

    def test_one_for_all_weights_in_a_check(self, folder, tmp_path):
        loop = loop_of(folder, tmp_path)
        with counted_waits() as seen:
            loop._check_numbers(torch.zeros(5))  # its sums are on the host
        assert seen["_local_scalar_dense"] - 2 == 1

    def test_transfers_to_cuda_are_pinned(self):
        class OnHost:
            device, sent = CPU, ()

            def pin_memory(self):
                self.sent = ("pinned",)
                return self

            def to(self, device, **options):
                return (*self.sent, device, options)

        cuda = torch.device("cuda", 1)
        assert send(OnHost(), cuda) == ("pinned", cuda, {"non_blocking": True})
        assert send(OnHost(), CPU) == (CPU, {})


class TestPrecision:
    def test_float32_is_not_tf32(self, folder, tmp_path):
        seen = set()

        class Looking(PlainNet):
            def forward(self, image):
                seen.add((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
                return super().forward(image)

        assert torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            run = train(tiny(folder, tmp_path / "run", epochs=1, backbone=Looking()))
            assert torch.backends.cuda.matmul.allow_tf32
        finally:
            torch.backends.cuda.matmul.allow_tf32 = False
        assert seen == {(False, False)}
        assert run.record["tf32"] is False
        assert torch.backends.cudnn.allow_tf32

    def test_tf32_is_as_before_after_an_error(self):
        def fail():
            with whole_float32():
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert torch.backends.cudnn.allow_tf32

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_local_contrast_of_half_precision_keeps_small_differences(self, dtype):
        torch.manual_seed(0)
        x = (100 + torch.randn(1, 2, 40, 40)).to(dtype)
        exact = local_contrast(x.double())
        torch.testing.assert_close(
            local_contrast(x).double(), exact, rtol=torch.finfo(dtype).eps, atol=0
        )
        assert local_contrast(x.requires_grad_()).dtype == dtype

    def test_centroids_where_there_is_no_float64(self, monkeypatch):
        monkeypatch.setattr(components, "exact_type", lambda device: torch.float32)
        mask = torch.zeros(4, 6, dtype=torch.bool)
        mask[1, 2:4] = True
        found = components.find_components(mask)
        assert found.centroid.dtype == torch.float32
        assert found.centroid.tolist() == [[1.0, 2.5]]


@pytest.fixture
def half(monkeypatch):
    """As if this were fp16 on CUDA: the scaler works on the CPU, too."""
    for room in (trainer, training.state, training.loop):
        monkeypatch.setattr(room, "resolve_precision", lambda precision, device: "fp16")


class Overflowing(PlainNet):
    """Its logits are infinite in some of its training steps, counted from 0."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.seen = steps, 0

    def forward(self, image):
        logits = super().forward(image)
        if self.training:
            self.seen += 1
            if self.seen - 1 in self.steps:
                return logits * math.inf
        return logits


class TestHalfPrecision:
    options = {"epochs": 2, "batch_size": 4, "loss": "BCE"}  # noqa: RUF012

    def test_a_step_that_overflows_is_left_out(self, folder, tmp_path, half):
        run = train(tiny(folder, tmp_path / "run", backbone=Overflowing({1}), **self.options))
        losses = [row["loss"] for row in run.history()]
        assert run.record["precision"] == "fp16"
        assert all(0 < loss < 10 for loss in losses)  # of the first epoch, the mean of one step

    def test_an_epoch_of_overflows_ends_the_run(self, folder, tmp_path, half):
        network = Overflowing(set(range(4)))
        with pytest.raises(FloatingPointError, match="every step of epoch 1 overflows in fp16"):
            train(tiny(folder, tmp_path / "run", backbone=network, **self.options))

    def test_in_other_precisions_it_ends_the_run_at_once(self, folder, tmp_path):
        network = Overflowing({1})
        with pytest.raises(FloatingPointError, match="in epoch 1; try a lower learning_rate"):
            train(tiny(folder, tmp_path / "run", backbone=network, **self.options))


def loop_of(folder, tmp_path, processes=None, **options):
    config = tiny(folder, tmp_path / "run", **options)
    images = TrainingImages.read(load_dataset(folder, "train"), config, CPU)
    return Loop(
        config, training.Run(config.folder), images, load_dataset(folder, "test")[:0],
        processes or Processes(CPU),
    )  # fmt: skip


class TestSeveralProcesses:
    def test_the_loss_of_another_that_is_no_number_stops_this_one(self, folder, tmp_path):
        class OneOfTwo(Processes):
            def total(self, values):
                return values + torch.tensor([math.nan, 0, 0, 0, 0])

        loop = loop_of(folder, tmp_path, OneOfTwo(CPU))
        with pytest.raises(FloatingPointError, match="the loss is nan in epoch 1"):
            loop._end_epoch()

    def test_batch_norm_sees_the_whole_batch_on_cuda(self, monkeypatch):
        room = training.processes
        monkeypatch.setattr(room, "DistributedDataParallel", lambda model, **_: model)
        network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
        before = network.state_dict()
        shared = Processes(torch.device("cuda", 0), 0, 2).shared(network)
        assert isinstance(shared[1], nn.SyncBatchNorm)
        assert shared is network
        after = network.state_dict()
        assert all(after[name] is not None and after[name].data_ptr() == part.data_ptr()
                   for name, part in before.items())  # fmt: skip
        assert Processes(CPU).shared(network) is network

    def test_what_is_shared_is_compiled_not_the_reverse(self, folder, tmp_path, monkeypatch):
        steps = []
        monkeypatch.setattr(
            Processes, "shared", lambda self, model: steps.append("shared") or model
        )
        monkeypatch.setattr(torch, "compile", lambda model: steps.append("compiled") or model)
        train(tiny(folder, tmp_path / "run", epochs=1, compile=True))
        assert steps == ["shared", "compiled"]

    def test_each_augments_its_own_images_alone(self, folder, monkeypatch):
        seen, real = [], training.batches.augment

        def note(gray, *given, **named):
            seen.append(len(gray))
            return real(gray, *given, **named)

        monkeypatch.setattr(training.batches, "augment", note)
        config = tiny(folder, "unused", batch_size=7)
        images = TrainingImages.read(load_dataset(folder, "train"), config, CPU)
        for rank in range(3):
            list(Batches(images, config, rank, 3).of_epoch(0, 1))
        assert seen == [3, 2, 2]


def test_memory_that_is_too_small_for_a_batch_names_it(folder, tmp_path, monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(training.batches, "augment", too_large)
    with pytest.raises(MemoryError, match=r"a batch of 4 images of 32 px does not fit"):
        train(tiny(folder, tmp_path / "run", backbone=plain_net()))
