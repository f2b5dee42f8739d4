import numpy as np
import pytest
import torch
from handmade import make_set
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyrun import tiny

from festkit.data.dataset import load_dataset
from festkit.training.batches import Batches, TrainingImages, seed_of
from festkit.training.trainer import train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=11)


def batches(folder, *, rank=0, processes=1, images=None, **options):
    config = tiny(folder, "unused", **({"batch_size": 4} | options))
    listed = load_dataset(folder, "train")
    read = images or TrainingImages.read(listed, config, CPU)
    return Batches(read, config, rank, processes)


def as_list(made, epoch=0, **options):
    return list(made.of_epoch(epoch, 1, **options))


def assert_same(first, second):
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.image, two.image)
        assert torch.equal(one.mask, two.mask)
        assert one.total == two.total


@pytest.fixture(scope="module")
def undisturbed(folder):
    return {epoch: as_list(batches(folder), epoch) for epoch in (0, 1)}


class TestBatches:
    @pytest.mark.parametrize("workers", [1, 3])
    def test_any_number_of_workers(self, folder, undisturbed, workers):
        for epoch, wanted in undisturbed.items():
            assert_same(as_list(batches(folder, workers=workers), epoch), wanted)

    def test_wherever_the_images_are(self, folder, undisturbed):
        assert_same(as_list(batches(folder, cache_on="host")), undisturbed[0])

    @pytest.mark.parametrize("workers", [0, 1, 3])
    @pytest.mark.parametrize("first", [0, 1, 2, 3])
    def test_from_any_step_on(self, folder, undisturbed, first, workers):
        found = as_list(batches(folder, workers=workers), 1, first=first)
        assert_same(found, undisturbed[1][first:])

    def test_squares_of_the_images(self, folder):
        made = as_list(batches(folder, crop=16))
        assert [batch.image.shape for batch in made] == [
            (4, 1, 16, 16),
            (4, 1, 16, 16),
            (3, 1, 16, 16),
        ]
        assert [batch.mask.shape for batch in made] == [batch.image.shape for batch in made]
        assert_same(as_list(batches(folder, crop=16, workers=2)), made)

    def test_squares_anywhere_then_whole_images(self, folder):
        recipe = {"crop": 16, "epochs": 4, "natural_epochs": 2, "whole_epochs": 1}
        made = batches(folder, **recipe)
        assert [b.image.shape[-1] for b in as_list(made, 2)] == [16, 16, 16]
        assert [b.image.shape[-1] for b in as_list(made, 3)] == [32, 32, 32]

        def holding_a_target(**recipe):
            made = batches(folder, crop=16, epochs=20, **recipe)
            images = [b.mask.any((1, 2, 3)) for epoch in range(20) for b in as_list(made, epoch)]
            return torch.cat(images).float().mean()

        assert holding_a_target() > 1.2 * holding_a_target(natural_epochs=20)

    def test_left_early_the_workers_end(self, folder):
        for _ in batches(folder, workers=3).of_epoch(0, 1):
            break

    def test_whatever_the_global_generator_does(self, folder, undisturbed):
        torch.manual_seed(77)
        assert_same(as_list(batches(folder)), undisturbed[0])

    @pytest.mark.parametrize("processes", [1, 2])
    def test_the_parts_of_all_processes_are_the_batch(self, folder, undisturbed, processes):
        parts = [
            as_list(batches(folder, rank=rank, processes=processes)) for rank in range(processes)
        ]
        assert len(parts[0]) == 3 - (processes > 1)  # the last three images are too few for two
        for step, wholes in enumerate(zip(*parts, strict=True)):
            wanted = undisturbed[0][step]
            assert [whole.total for whole in wholes] == [len(wanted.mask)] * processes
            image, mask = torch.empty_like(wanted.image), torch.empty_like(wanted.mask)
            for rank, part in enumerate(wholes):
                image[rank::processes], mask[rank::processes] = part.image, part.mask
            assert torch.equal(image, wanted.image)
            assert torch.equal(mask, wanted.mask)

    @given(st.integers(2, 40), st.integers(2, 12), st.integers(1, 4))
    @settings(max_examples=50)
    def test_every_process_gets_two_images_of_every_batch(self, count, batch_size, processes):
        images = TrainingImages(
            torch.zeros(count, 1, 2, 2), torch.zeros(count, 1, 2, 2), None, 0.5, 0.5, CPU
        )
        config = tiny("set", "unused", batch_size=batch_size)
        if min(count, batch_size) < 2 * processes:
            with pytest.raises(ValueError, match=rf"too small for {processes} processes"):
                Batches(images, config, 0, processes)
            return
        made = Batches(images, config, processes - 1, processes)
        held = [len(range(count)[start : start + batch_size]) for start in made.starts]
        assert all(len(range(total)[processes - 1 :: processes]) >= 2 for total in held)
        assert sum(held) == made.images_per_epoch
        assert count - sum(held) < 2 * processes

    def test_an_epoch_holds_every_image_once(self, folder):
        images = batches(folder).images
        seen, at = [], images.at

        def note(index):
            seen.extend(index.tolist())
            return at(index)

        object.__setattr__(images, "at", note)
        made = batches(folder, images=images)
        as_list(made)
        assert sorted(seen) == list(range(11))
        as_list(made, 1)
        assert seen[:11] != seen[11:]

    def test_another_seed_epoch_or_step_gives_another_seed(self):
        keys = [(s, e, b) for s in (-1, 0, 1, 2**40) for e in range(4) for b in range(4)]
        assert len({seed_of(*key) for key in keys}) == len(keys) - 16  # 2**40 counts as 0

    def test_the_input_is_normalised_and_channels_last(self, folder):
        made = batches(folder)
        batch = next(made.of_epoch(0, 3))
        assert batch.image.shape == (4, 3, 32, 32)
        assert batch.image.is_contiguous(memory_format=torch.channels_last)
        assert batch.mask.dtype == torch.bool
        gray = batch.image[:, 0] * made.images.std + made.images.mean
        assert -1e-6 <= gray.min() <= gray.max() <= 1 + 1e-6

    @pytest.mark.parametrize(
        ("images", "sizes"), [(8, [4, 4]), (9, [4, 4]), (10, [4, 4, 2]), (3, [3]), (4, [4])]
    )
    def test_a_last_batch_of_one_is_left_out(self, images, sizes, tmp_path):
        small = make_set(tmp_path / "set", train=images, test=1)
        made = batches(small)
        assert [batch.total for batch in as_list(made)] == sizes
        assert made.images_per_epoch == sum(sizes)


class TestReading:
    def test_gray_levels_and_masks_of_the_dataset(self, folder):
        listed = load_dataset(folder, "train")
        images = batches(folder, size=64).images
        assert images.gray.dtype == torch.uint8
        assert images.mask.dtype == torch.bool
        assert len(images) == 11
        grays = [sample.image.astype(float) / 255 for sample in listed]
        assert images.mean == pytest.approx(np.mean([gray.mean() for gray in grays]))
        for index, sample in enumerate(listed):  # 48 rows become 64: columns stay as they are
            np.testing.assert_array_equal(images.mask[index, 0].numpy().any(0), sample.mask.any(0))

    def test_the_bank_holds_training_targets_only(self, folder):
        images = batches(folder).images
        assert 0 < len(images.bank) <= sum(1 + number % 2 for number in range(11))

    def test_trained_on_squares_a_network_maps_whole_images(self, folder, tmp_path):
        runs = [
            train(tiny(folder, tmp_path / str(crop), epochs=1, crop=crop)) for crop in (None, 16)
        ]
        assert [run.record["crop"] for run in runs] == [None, 16]
        assert [run.record["size"] for run in runs] == [32, 32]
        whole, cut = (run.test_maps() for run in runs)
        assert {n: m.shape for n, m in whole.items()} == {n: m.shape for n, m in cut.items()}
        assert runs[0].weights.read_bytes() != runs[1].weights.read_bytes()

    def test_workers_and_place_change_no_weight(self, folder, tmp_path):
        runs = [
            train(tiny(folder, tmp_path / name, epochs=2, **options))
            for name, options in {"a": {}, "b": {"workers": 2, "cache_on": "host"}}.items()
        ]
        assert runs[0].weights.read_bytes() == runs[1].weights.read_bytes()
        assert (runs[0].folder / "config.json").read_bytes() == (
            runs[1].folder / "config.json"
        ).read_bytes()
