import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label
from torch import Generator

from festkit.training.augment import (
    TargetBank,
    augment,
    change_values,
    crop_images,
    cut_targets,
    flip_and_turn,
    paste_targets,
    warp,
)


def seeded(seed=0):
    return Generator().manual_seed(seed)


def batch(count=2, side=32, seed=0):
    """Gray noise in [0.3, 0.5] with one 3 x 3 target of 0.9 per image."""
    gray = torch.rand(count, 1, side, side, generator=seeded(seed)) * 0.2 + 0.3
    mask = torch.zeros(count, 1, side, side, dtype=torch.bool)
    for n in range(count):
        y, x = 10 + 2 * n, 14 - n
        mask[n, 0, y : y + 3, x : x + 3] = True
    return torch.where(mask, 0.9, gray), mask


def levels(gray):
    """Gray values in [0, 1] as 8-bit levels."""
    return (255 * gray).round().to(torch.uint8)


def bank_of(contrast, mask):
    """A bank, with the pixels within 2 px of every target looked for one by one."""
    near = torch.zeros_like(mask)
    for n, y, x in mask.nonzero().tolist():
        near[n, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = True
    return TargetBank(contrast, mask, near)


def components(mask):
    return int(label(mask.squeeze().numpy(), connectivity=2).max())


class TestTurns:
    def test_exactly_the_eight_symmetries_of_a_square(self):
        image = torch.arange(9.0).reshape(3, 3)
        wanted = {
            tuple(torch.rot90(side, turns).flatten().tolist())
            for side in (image, image.flip(-1))
            for turns in range(4)
        }
        many = image.expand(400, 1, 3, 3)
        turned, _ = flip_and_turn(many, many > 4, seeded())
        found = [tuple(one.flatten().tolist()) for one in turned]
        assert set(found) == wanted
        assert len(wanted) == 8
        assert min(found.count(one) for one in wanted) > 25

    @given(st.integers(0, 2**31))
    @settings(max_examples=30)
    def test_image_and_mask_move_together(self, seed):
        gray, mask = batch(6, 16, seed)
        gray = torch.where(mask, 0.9, gray)
        new, moved = flip_and_turn(gray, mask, seeded(seed))
        torch.testing.assert_close(moved, new == 0.9, rtol=0, atol=0)
        assert moved.dtype == torch.bool
        assert moved.sum() == mask.sum()


def one_by_one(mask, side, generator, on_target):
    """Where squares start, image by image, from the same random numbers."""
    for one, (wanted, chosen, *place) in zip(
        mask[:, 0], torch.rand(len(mask), 4, generator=generator), strict=True
    ):
        ends = torch.tensor(one.shape) - side
        first, last = torch.zeros(2, dtype=torch.int64), ends
        pixels = one.nonzero()
        if wanted < on_target and len(pixels):
            pixel = pixels[int(chosen * len(pixels))]
            first, last = (pixel - side + 1).clamp(min=0), pixel.minimum(ends)
        yield (first + (torch.stack(place) * (last - first + 1)).long()).tolist()


class TestCrops:
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1, 5, 13]))
    @settings(max_examples=60)
    def test_agrees_with_one_image_after_the_other(self, device, seed, on_target, side):
        mask = torch.rand(6, 1, 13, 17, generator=seeded(seed)) < 0.02 * (seed % 3)
        gray = torch.arange(6 * 13 * 17).reshape(6, 1, 13, 17)
        cut, truth = crop_images(
            gray.to(device), mask.to(device), side, seeded(seed), on_target=on_target
        )
        places = one_by_one(mask, side, seeded(seed), on_target)
        for n, (y, x) in enumerate(places):
            assert torch.equal(cut[n].cpu(), gray[n, :, y : y + side, x : x + side])
            assert torch.equal(truth[n].cpu(), mask[n, :, y : y + side, x : x + side])

    def starts(self, mask, side, **options):
        """Where the squares of many copies of a mask start, told by the numbers of their pixels."""
        height, width = mask.shape
        numbers = torch.arange(height * width).reshape(height, width)
        many = numbers.expand(2000, 1, height, width), mask.expand(2000, 1, height, width)
        cut, truth = crop_images(*many, side, seeded(), **options)
        found = [divmod(int(one[0, 0, 0]), width) for one in cut]
        for (y, x), one, own in zip(found, cut, truth, strict=True):
            assert torch.equal(one[0], numbers[y : y + side, x : x + side])
            assert torch.equal(own[0], mask[y : y + side, x : x + side])
        return found

    def around(self, side, *pixels):
        """Every start of a square in 9 x 7 pixels that holds one of some pixels."""
        return {
            (y, x)
            for y in range(9 - side + 1)
            for x in range(7 - side + 1)
            if any(y <= py < y + side and x <= px < x + side for py, px in pixels)
        }

    @pytest.mark.parametrize("pixel", [(0, 0), (8, 6), (4, 3), (1, 6)])
    def test_on_a_target_every_square_that_holds_it(self, pixel):
        mask = torch.zeros(9, 7, dtype=torch.bool)
        mask[pixel] = True
        assert set(self.starts(mask, 4, on_target=1)) == self.around(4, pixel)

    def test_every_target_is_as_likely(self):
        mask = torch.zeros(9, 7, dtype=torch.bool)
        mask[0, 0] = mask[8, 6] = True
        found = self.starts(mask, 3, on_target=1)
        first = sum(start in self.around(3, (0, 0)) for start in found)
        assert 900 < first < 1100

    def test_half_of_them_lie_anywhere(self):
        mask = torch.zeros(9, 7, dtype=torch.bool)
        mask[0, 0] = True
        found = self.starts(mask, 2)
        assert set(found) == self.around(2, *np.ndindex(9, 7))
        corner = found.count((0, 0)) / 2000
        assert corner == pytest.approx(0.5 + 0.5 / (8 * 6), abs=0.04)

    @pytest.mark.parametrize("options", [{}, {"on_target": 1}])
    def test_without_a_target_anywhere(self, options):
        found = self.starts(torch.zeros(9, 7, dtype=torch.bool), 2, **options)
        assert set(found) == self.around(2, *np.ndindex(9, 7))
        assert max(found.count(start) for start in set(found)) < 90  # 42 of each are expected

    def test_the_whole_image(self):
        gray, mask = batch()
        cut, truth = crop_images(gray, mask, 32, seeded())
        assert torch.equal(cut, gray)
        assert torch.equal(truth, mask)

    def test_it_comes_after_the_warp(self):
        gray, mask = batch(6)
        gray = levels(gray)
        bank, generator = cut_targets(gray, mask), seeded(9)
        turned, moved = flip_and_turn(gray, mask, generator)
        pasted, moved = paste_targets(turned.float() / 255, moved, bank, generator)
        warped, moved = warp(pasted, moved, generator)
        cut, moved = crop_images(warped, moved, 16, generator)
        wanted = change_values(cut, generator)
        found, truth = augment(gray, mask, bank, seeded(9), crop=16)
        assert torch.equal(found, wanted)
        assert torch.equal(truth, moved)
        assert truth.any()


class TestWarp:
    def test_a_disk_lands_where_opencv_puts_it(self):
        side, count = 64, 40
        rows, columns = np.mgrid[:side, :side]
        disk = (rows - 36) ** 2 + (columns - 28) ** 2 <= 36
        gray = torch.from_numpy(0.2 + 0.6 * disk.astype(np.float32)).expand(count, 1, side, side)
        mask = torch.from_numpy(disk).expand(count, 1, side, side)
        new, moved = warp(gray, mask, seeded(3), probability=1.0)

        generator = seeded(3)
        torch.rand(count, generator=generator)
        angle, size, dx, dy = (torch.rand(4, count, generator=generator) * 2 - 1).double().numpy()
        for n in range(count):
            turn, shrink = math.radians(45) * angle[n], 1 / (1 + 0.2 * size[n])
            cosine, sine = math.cos(turn) * shrink, math.sin(turn) * shrink
            middle = (side - 1) / 2
            matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0]])
            matrix[:, 2] = middle + 0.1 * side * np.array([dx[n], dy[n]])
            matrix[:, 2] -= matrix[:, :2] @ [middle, middle]
            wanted = cv2.warpAffine(
                disk.astype(np.float32), matrix, (side, side),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            )  # fmt: skip
            assert np.mean((wanted > 0.5) != moved[n, 0].numpy()) < 0.002
            assert np.abs(0.2 + 0.6 * wanted - new[n, 0].numpy()).mean() < 0.003

    def test_centre_and_area_follow_the_analytic_place(self):
        side = 64
        rows, columns = np.mgrid[:side, :side]
        disk = torch.from_numpy((rows - 31.5) ** 2 + (columns - 31.5) ** 2 <= 49)[None, None]
        for seed in range(20):
            generator = seeded(seed)
            _, moved = warp(disk.float(), disk, generator, probability=1.0)
            again = seeded(seed)
            torch.rand(1, generator=again)
            angle, size, dx, dy = (torch.rand(4, 1, generator=again)[:, 0] * 2 - 1).tolist()
            turn, grow = math.radians(45 * angle), 1 + 0.2 * size
            shift = np.array([0.1 * side * dx, 0.1 * side * dy])
            back = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
            x, y = 31.5 - grow * back @ shift
            found = np.argwhere(moved[0, 0].numpy())
            np.testing.assert_allclose(found.mean(0), [y, x], atol=0.35)
            assert len(found) == pytest.approx(disk.sum().item() * grow**2, rel=0.08)

    def test_nothing_moves_at_probability_zero(self):
        gray, mask = batch()
        new, moved = warp(gray, mask, seeded(), probability=0.0)
        assert torch.equal(new, gray)
        assert torch.equal(moved, mask)

    def test_about_half_of_the_images_are_warped(self):
        gray, mask = batch(200, 16)
        new, _ = warp(gray, mask, seeded())
        changed = (new != gray).flatten(1).any(1).sum().item()
        assert 70 < changed < 130

    def test_the_given_batch_stays(self):
        gray, mask = batch(8)
        gray = levels(gray)
        before, was = gray.clone(), mask.clone()
        augment(gray, mask, cut_targets(gray, mask), seeded())
        assert torch.equal(gray, before)
        assert torch.equal(mask, was)


class TestValues:
    def test_brightness_and_contrast_keep_their_bounds(self):
        gray = torch.tensor([0.4, 0.6]).repeat(200, 1, 8, 4)
        new = change_values(gray, seeded(), noise=0.0)
        shift = new.mean((1, 2, 3)) - 0.5
        spread = (new.amax((1, 2, 3)) - new.amin((1, 2, 3))) / 0.2
        assert shift.abs().max() <= 0.2 + 1e-6
        assert spread.min() >= 0.8 - 1e-5
        assert spread.max() <= 1.2 + 1e-5
        assert shift.min() < -0.15
        assert shift.max() > 0.15

    def test_half_of_the_images_get_noise_up_to_the_bound(self):
        gray = torch.full((200, 1, 16, 16), 0.5)
        spread = change_values(gray, seeded(), brightness=0.0, contrast=0.0).std((1, 2, 3))
        assert spread.max() < 0.02 * 1.2
        assert 70 < (spread == 0).sum() < 130

    @given(st.integers(0, 2**31))
    @settings(max_examples=20)
    def test_values_stay_in_range(self, seed):
        gray = torch.rand(3, 1, 8, 8, generator=seeded(seed))
        new = change_values((gray * 3 - 1).clamp(0, 1), seeded(seed))
        assert new.min() >= 0
        assert new.max() <= 1


class TestCutting:
    def test_a_target_is_cut_with_its_contrast(self):
        gray = torch.full((1, 1, 32, 32), 51, dtype=torch.uint8)
        mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
        mask[0, 0, 10:12, 20:23] = True
        gray[mask] = torch.tensor([102, 153, 204, 102, 51, 0], dtype=torch.uint8)
        bank = cut_targets(gray, mask)
        assert bank.mask.shape == bank.contrast.shape == (1, 7, 7)
        assert bank.mask.sum() == 6
        torch.testing.assert_close(
            bank.contrast[bank.mask], torch.tensor([0.2, 0.4, 0.6, 0.2, 0.0, -0.2])
        )
        assert (bank.contrast[~bank.mask] == 0).all()
        rows, columns = bank.mask[0].nonzero().T
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 4, 2, 4)
        rows, columns = bank.near[0].nonzero().T
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 6, 0, 6)
        assert bank.near.sum() == 6 * 7

    def test_a_neighbour_is_neither_background_nor_part(self):
        gray = torch.full((1, 1, 32, 32), 51, dtype=torch.uint8)
        mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
        mask[0, 0, 10:13, 10:13] = mask[0, 0, 10:13, 14:15] = True
        gray[mask] = 255
        bank = cut_targets(gray, mask)
        assert sorted(bank.mask.sum((1, 2)).tolist()) == [3, 9]
        torch.testing.assert_close(bank.contrast, 0.8 * bank.mask)

    def test_targets_of_all_images_are_cut(self):
        gray, mask = batch(5)
        bank = cut_targets(levels(gray), mask)
        assert len(bank) == 5
        assert (bank.mask.sum((1, 2)) == 9).all()

    def test_targets_near_the_frame_are_left_out(self):
        mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
        mask[0, 0, 0:3, 10:13] = mask[0, 0, 29:32, 10:13] = mask[0, 0, 10:13, 30:32] = True
        assert len(cut_targets(mask.byte(), mask)) == 0

    def test_targets_larger_than_the_largest_patch_are_left_out(self):
        mask = torch.zeros(1, 1, 200, 200, dtype=torch.bool)
        mask[0, 0, 40:140, 40:140] = mask[0, 0, 170:173, 100:103] = True
        bank = cut_targets(mask.byte() * 127, mask)
        assert len(bank) == 0 or bank.mask.sum((1, 2)).tolist() == [9]
        assert bank.mask.shape[1:] == (64, 64)

    def test_a_set_without_targets_gives_an_empty_bank(self):
        gray = levels(torch.rand(3, 1, 16, 16))
        bank = cut_targets(gray, torch.zeros_like(gray, dtype=torch.bool))
        assert len(bank) == 0

    def test_a_mask_that_is_all_target(self):
        gray = levels(torch.rand(1, 1, 16, 16))
        assert len(cut_targets(gray, torch.ones_like(gray, dtype=torch.bool))) == 0


class TestPasting:
    def test_an_empty_bank_changes_nothing(self):
        gray, mask = batch()
        empty = bank_of(torch.zeros(0, 5, 5), torch.zeros(0, 5, 5, dtype=torch.bool))
        new, more = paste_targets(gray, mask, empty, seeded(), probability=1.0)
        assert torch.equal(new, gray)
        assert torch.equal(more, mask)

    @given(st.integers(0, 2**31))
    @settings(max_examples=40)
    def test_at_most_one_more_target_clear_of_the_others(self, seed):
        gray, mask = batch(6, 24, seed)
        new, more = paste_targets(
            gray, mask, cut_targets(levels(gray), mask), seeded(seed), probability=1.0
        )
        for n in range(6):
            old, pasted = mask[n, 0].numpy(), (more & ~mask)[n, 0].numpy()
            assert (more[n, 0].numpy() & old).sum() == old.sum()
            assert components(more[n]) - components(mask[n]) == int(pasted.any()) <= 1
            if pasted.any():
                apart = np.abs(np.argwhere(old)[:, None] - np.argwhere(pasted)[None]).max(-1)
                assert apart.min() > 2
            same = ~pasted
            np.testing.assert_array_equal(new[n, 0].numpy()[same], gray[n, 0].numpy()[same])

    def test_the_contrast_to_the_background_is_kept(self):
        gray = torch.full((40, 1, 24, 24), 0.25)
        mask = torch.zeros(40, 1, 24, 24, dtype=torch.bool)
        target = torch.zeros(1, 5, 5, dtype=torch.bool)
        target[0, 1:4, 2] = True
        contrast = torch.zeros(1, 5, 5)
        contrast[0, 1:4, 2] = torch.tensor([0.1, 0.2, -0.1])
        new, more = paste_targets(gray, mask, bank_of(contrast, target), seeded(), probability=1.0)
        assert (more.sum((1, 2, 3)) == 3).all()
        ways = {tuple(row) for row in new[more].reshape(40, 3).mul(100).round().tolist()}
        assert ways == {(35, 45, 15), (15, 45, 35)}  # it is turned at random
        assert (new[~more] == 0.25).all()

    def test_values_are_clamped(self):
        gray, mask = torch.full((4, 1, 9, 9), 0.8), torch.zeros(4, 1, 9, 9, dtype=torch.bool)
        bank = bank_of(torch.full((1, 3, 3), 0.5), torch.ones(1, 3, 3, dtype=torch.bool))
        new, more = paste_targets(gray, mask, bank, seeded(), probability=1.0)
        assert (new[more] == 1).all()

    def test_an_image_without_room_stays_as_it_is(self):
        gray = torch.rand(3, 1, 12, 12)
        mask = torch.zeros(3, 1, 12, 12, dtype=torch.bool)
        mask[..., ::4, ::4] = True
        target = torch.zeros(1, 7, 7, dtype=torch.bool)
        target[:, 2:5, 2:5] = True
        bank = bank_of(target.float(), target)
        new, more = paste_targets(gray, mask, bank, seeded(), probability=1.0)
        assert torch.equal(new, gray)
        assert torch.equal(more, mask)

    @pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 70, 130)])
    def test_the_share_of_images_that_get_one(self, probability, low, high):
        gray = torch.full((200, 1, 16, 16), 0.25)
        mask = torch.zeros(200, 1, 16, 16, dtype=torch.bool)
        bank = bank_of(torch.ones(1, 3, 3) * 0.5, torch.ones(1, 3, 3, dtype=torch.bool))
        _, more = paste_targets(gray, mask, bank, seeded(), probability=probability)
        assert low <= more.flatten(1).any(1).sum() <= high

    def test_another_device_holds_the_same_bank(self):
        gray, mask = batch(3)
        bank = cut_targets(levels(gray), mask).to(torch.device("meta"))
        assert {part.device.type for part in (bank.contrast, bank.mask, bank.near)} == {"meta"}
        assert len(bank) == 3

    @pytest.mark.parametrize("side", [1, 2, 3, 5])
    @pytest.mark.parametrize("seed", range(3))
    def test_a_pasted_target_never_touches_another(self, side, seed):
        mask = torch.zeros(40, 1, 24, 24, dtype=torch.bool)
        mask[..., 10 : 10 + side, 8 : 8 + side] = True
        gray = torch.where(mask, 0.9, 0.2)
        bank = cut_targets(levels(gray), mask)
        _, more = paste_targets(gray, mask, bank, seeded(seed), probability=1.0)
        found = [components(one) for one in more]
        assert set(found) <= {1, 2}
        assert [int(one.sum()) for one in more] == [n * side**2 for n in found]
        assert found.count(2) > 20


class TestWhole:
    def test_it_does_the_four_in_turn(self):
        gray, mask = batch(8)
        gray = levels(gray)
        bank, generator = cut_targets(gray, mask), seeded(9)
        turned, moved = flip_and_turn(gray, mask, generator)
        pasted, moved = paste_targets(turned.float() / 255, moved, bank, generator)
        warped, moved = warp(pasted, moved, generator)
        wanted = change_values(warped, generator)
        found, truth = augment(gray, mask, bank, seeded(9))
        assert torch.equal(found, wanted)
        assert torch.equal(truth, moved)

    @given(st.integers(0, 2**31))
    @settings(max_examples=15)
    def test_masks_stay_masks_and_images_in_range(self, seed):
        gray, mask = batch(4, 32, seed)
        gray = levels(gray)
        new, moved = augment(gray, mask, cut_targets(gray, mask), seeded(seed))
        assert moved.dtype == torch.bool
        assert new.dtype == torch.float32
        assert new.shape == moved.shape == gray.shape
        assert 0 <= new.min() <= new.max() <= 1
        assert torch.isfinite(new).all()

    def test_the_same_seed_gives_the_same_batch(self):
        gray, mask = batch(8)
        gray = levels(gray)
        bank = cut_targets(gray, mask)
        first, second, other = (augment(gray, mask, bank, seeded(seed)) for seed in (4, 4, 5))
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
        assert not torch.equal(first[0], other[0])

    def test_targets_stay_under_their_masks(self):
        _, mask = batch(60, 32)
        flat = levels(torch.where(mask, 0.9, 0.2))
        new, moved = augment(flat, mask, cut_targets(flat, mask), seeded(2))
        for image, target in zip(new, moved, strict=True):
            middle = (image.amin() + image.amax()) / 2
            bright = image > middle
            if target.any():
                assert (bright & target).sum() / (bright | target).sum() > 0.6

    def test_a_target_at_the_frame_is_never_shown_without_its_mask(self):
        mask = torch.zeros(200, 1, 32, 32, dtype=torch.bool)
        mask[..., 1:5, 14:18] = True
        gray = torch.where(mask, 0.9, 0.2)
        new, moved = warp(gray, mask, seeded(), probability=1.0)
        assert ((new > 0.75) & ~moved).sum() == 0
