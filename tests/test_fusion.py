import os

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import each_case
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from festkit import fuse, resize_map
from festkit._support.errors import InputTypeError
from festkit.backbones.contract import input_channels
from festkit.backbones.forward import network_input, probability_map
from festkit.data.dataset import load_dataset
from festkit.fest import FEST
from festkit.ops.components import find_components
from festkit.ops.gray import gray_levels
from festkit.ops.resize import resize_image, resize_mask

sides = st.integers(1, 9)
shapes = st.tuples(sides, sides)
probabilities = st.floats(0, 1, width=32)
OTHER_LIBRARIES = 6e-5  # their float32 positions are this far off at odd ratios
FLOAT64 = 2e-7


def plain_resize(prob, height, width):
    """Linear interpolation in float64, pixel by pixel: half-pixel centres, border clamped."""
    rows, columns = prob.shape
    resized = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, rows - 1), min(x0 + 1, columns - 1)
            top = prob[y0, x0] * (x0 + 1 - x) + prob[y0, x1] * (x - x0)
            bottom = prob[y1, x0] * (x0 + 1 - x) + prob[y1, x1] * (x - x0)
            resized[i, j] = top * (y0 + 1 - y) + bottom * (y - y0)
    return resized


def random_map(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


class TestResizeMap:
    @each_case("fusion_resize")
    def test_stored_figures(self, case):
        source = np.array(case["src"], np.float32)
        resized = resize_map(source, tuple(case["dst_shape"]))
        np.testing.assert_allclose(resized, case["float64"], rtol=0, atol=FLOAT64)
        np.testing.assert_allclose(resized, case["cv2"], rtol=0, atol=OTHER_LIBRARIES)

    def test_doubling_worked_by_hand(self):
        doubled = resize_map(np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), 4)
        expected = [
            [0, 0.25, 0.75, 1],
            [0.25, 0.375, 0.625, 0.75],
            [0.75, 0.625, 0.375, 0.25],
            [1, 0.75, 0.25, 0],
        ]
        np.testing.assert_array_equal(doubled, np.float32(expected))

    @given(st.data(), shapes, shapes)
    def test_agrees_with_float64(self, data, shape, size):
        prob = data.draw(arrays(np.float32, shape, elements=probabilities))
        expected = plain_resize(prob.astype(np.float64), *size)
        np.testing.assert_allclose(resize_map(prob, size), expected, rtol=0, atol=FLOAT64)

    @pytest.mark.parametrize(
        ("shape", "size"),
        [((64, 64), (96, 96)), ((96, 96), (41, 67)), ((60, 80), (256, 333)), ((51, 33), (16, 16))],
    )
    def test_agrees_with_other_libraries(self, shape, size):
        prob = random_map(shape)
        resized = resize_map(prob, size)
        by_cv2 = cv2.resize(prob, size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(resized, by_cv2, rtol=0, atol=OTHER_LIBRARIES)
        tensor = torch.from_numpy(prob)[None, None]
        by_torch = F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0]
        np.testing.assert_allclose(resized, by_torch, rtol=0, atol=OTHER_LIBRARIES)
        in_double = F.interpolate(tensor.double(), size, mode="bilinear", align_corners=False)[0, 0]
        np.testing.assert_allclose(resized, in_double, rtol=0, atol=FLOAT64)

    @given(st.data(), shapes)
    def test_own_size_changes_nothing(self, data, shape):
        prob = data.draw(arrays(np.float32, shape, elements=probabilities))
        np.testing.assert_array_equal(resize_map(prob, shape), prob)

    @given(st.data(), shapes, shapes)
    def test_stays_within_the_range_of_the_map(self, data, shape, size):
        prob = data.draw(arrays(np.float32, shape, elements=probabilities))
        resized = resize_map(prob, size)
        assert resized.min() >= prob.min() - 1e-7
        assert resized.max() <= prob.max() + 1e-7

    @given(shapes, shapes)
    def test_rows_and_columns_are_treated_alike(self, shape, size):
        prob = random_map(shape)
        transposed = resize_map(prob.T, size[::-1])
        np.testing.assert_allclose(transposed.T, resize_map(prob, size), rtol=0, atol=FLOAT64)

    @given(shape=shapes, size=shapes)
    def test_arrays_and_tensors_agree(self, device, shape, size):
        prob = random_map((2, 1, *shape))
        resized = resize_map(prob, size)
        tensor = resize_map(torch.from_numpy(prob).to(device), size)
        assert (tensor.dtype, tensor.device.type) == (torch.float32, device.partition(":")[0])
        np.testing.assert_allclose(tensor.cpu(), resized, rtol=0, atol=FLOAT64)
        np.testing.assert_array_equal(resized[1, 0], resize_map(prob[1, 0], size))

    def test_result_is_float32_and_its_size_may_be_one_number(self, device):
        assert resize_map(np.zeros((3, 4)), 5).shape == (5, 5)
        assert resize_map(np.zeros((3, 4)), np.int64(5)).dtype == np.float32
        half = torch.zeros(2, 3, 4, dtype=torch.float16, device=device)
        assert resize_map(half, (5, 6)).shape == (2, 5, 6)
        assert resize_map(half, (5, 6)).dtype == torch.float32

    @pytest.mark.parametrize(
        ("shape", "size"), [((4, 4), 0), ((4, 4), (3, -1)), ((0, 4), 3), ((4,), 3)]
    )
    def test_refuses_what_has_no_pixels(self, shape, size):
        with pytest.raises(ValueError, match=r"cannot resize a map of \(.*\) to -?\d+ x -?\d+ px"):
            resize_map(np.zeros(shape), size)
        with pytest.raises(ValueError, match=r"cannot resize a map of \(.*\) to -?\d+ x -?\d+ px"):
            resize_map(torch.zeros(shape), size)

    @pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_stays_where_it_has_a_weight(self, kind, bad):
        prob = kind(np.array([[0.5, bad, 0.5, 0.25]], np.float32))
        np.testing.assert_array_equal(resize_map(prob, (1, 4)), prob)
        np.testing.assert_array_equal(
            resize_map(prob, (3, 4)), np.repeat(np.asarray(prob), 3, axis=0)
        )
        expected = [[0.5, bad, bad, bad, bad, 0.4375, 0.3125, 0.25]]
        np.testing.assert_array_equal(resize_map(prob, (1, 8)), np.float32(expected))
        np.testing.assert_array_equal(resize_map(prob, (1, 2)), np.float32([[bad, 0.375]]))
        np.testing.assert_array_equal(
            resize_map(kind(np.full((2, 2), bad)), 5), np.full((5, 5), bad)
        )

    @given(st.data(), shapes, shapes)
    def test_one_nan_reaches_as_far_as_its_weight(self, data, shape, size):
        prob = random_map(shape)
        place = tuple(data.draw(st.integers(0, side - 1)) for side in shape)
        weight = np.zeros(shape)
        weight[place] = 1
        prob[place] = np.nan
        reached = plain_resize(weight, *size) > 0
        for ours in (resize_map(prob, size), resize_map(torch.from_numpy(prob), size).numpy()):
            np.testing.assert_array_equal(np.isnan(ours), reached)

    @given(shapes, shapes)
    def test_with_and_without_gradient_equal_to_the_bit(self, shape, size):
        prob = torch.from_numpy(random_map((3, *shape)))
        expected = resize_map(prob, size)
        assert torch.equal(resize_map(prob.clone().requires_grad_(), size).detach(), expected)
        np.testing.assert_array_equal(resize_map(prob.numpy(), size), expected)

    def test_gradients_flow_through(self):
        prob = torch.rand(2, 5, 6, dtype=torch.float64, requires_grad=True)
        resize_map(prob, (7, 4)).sum().backward()
        assert prob.grad.sum().item() == pytest.approx(2 * 7 * 4)

    @pytest.mark.parametrize("prob", [[[0.5, 0.5]], None, 0.5, "map.npy", ((0.5,),)])
    def test_refuses_what_is_no_array(self, prob):
        with pytest.raises(InputTypeError, match=r"the map is .*, expected an array or tensor"):
            resize_map(prob, 4)

    @pytest.mark.parametrize(
        "prob", [np.array([["0.5"]]), np.array([[None]]), np.ones((1, 1), complex)]
    )
    def test_refuses_arrays_of_no_numbers(self, prob):
        with pytest.raises(InputTypeError, match="expected an array or tensor of numbers"):
            resize_map(prob, 4)

    def test_refuses_masked_arrays(self):
        with pytest.raises(InputTypeError, match="masked array, whose mask would be lost; fill it"):
            resize_map(np.ma.masked_less(random_map((4, 4)), 0.5), 4)

    @pytest.mark.parametrize(
        "size", [2.5, None, "4", "44", (4,), (4, 4, 4), (4, 2.5), (None, 4), {}]
    )
    def test_refuses_sizes_that_are_not_whole_numbers(self, size):
        with pytest.raises(
            InputTypeError, match=r"size is .*, expected a whole number of pixels, o"
        ):
            resize_map(random_map((4, 4)), size)

    @pytest.mark.parametrize("size", [(4, 6), [4, 6], np.array([4, 6]), torch.Size([4, 6])])
    def test_takes_pairs_of_every_kind(self, size):
        assert resize_map(random_map((3, 3)), size).shape == (4, 6)


class TestFuse:
    def test_a_nan_stays_in_its_pixel(self):
        fused = fuse([np.array([[0.9, np.nan, 0.9]], np.float32)], (1, 3))
        np.testing.assert_array_equal(fused, np.float32([[0.9, np.nan, 0.9]]))

    def test_refuses_arrays_among_tensors(self):
        expected = "got maps as an array and a tensor on cpu; pass only arrays, or tensors"
        with pytest.raises(InputTypeError, match=expected):
            fuse([random_map((4, 4)), torch.rand(4, 4)], 4)

    @pytest.mark.parametrize("maps", [None, "maps", 3, {"a": 1}])
    def test_refuses_what_is_no_list(self, maps):
        with pytest.raises(
            InputTypeError, match=r"maps is .*, expected a list of one map per scale"
        ):
            fuse(maps, 4)

    def test_refuses_lists_of_lists(self):
        with pytest.raises(InputTypeError, match="a map is"):
            fuse([[[0.5]], [[0.5]]], 4)

    def test_mean_of_the_resized_maps(self):
        maps = [random_map((6, 7), 1), random_map((9, 5), 2), random_map((4, 4), 3)]
        expected = sum(plain_resize(prob.astype(np.float64), 8, 6) for prob in maps) / 3
        np.testing.assert_allclose(fuse(maps, (8, 6)), expected, rtol=0, atol=3e-7)

    def test_probabilities_are_averaged_in_float32(self):
        a, b = random_map((5, 5), 1), random_map((5, 5), 2)
        np.testing.assert_array_equal(fuse([a, b], 5), (a + b) / np.float32(2))
        np.testing.assert_array_equal(fuse([a, b], 5), fuse([b, a], 5))

    def test_one_map_is_only_resized(self):
        prob = random_map((5, 5))
        np.testing.assert_array_equal(fuse([prob], 8), resize_map(prob, 8))

    def test_arrays_and_tensors_agree(self, device):
        maps = [random_map((2, 1, 6, 6), 1), random_map((2, 1, 9, 9), 2)]
        tensors = [torch.from_numpy(prob).to(device) for prob in maps]
        fused = fuse(maps, (7, 8))
        assert fused.shape == (2, 1, 7, 8)
        np.testing.assert_allclose(fuse(tensors, (7, 8)).cpu(), fused, rtol=0, atol=FLOAT64)

    def test_leaves_the_maps_alone(self):
        maps = [np.ones((3, 3), np.float32), np.zeros((3, 3), np.float32)]
        fuse(maps, 3)
        assert [prob.mean() for prob in maps] == [1, 0]

    def test_refuses_no_maps(self):
        with pytest.raises(ValueError, match="fuse needs at least one probability map, got none"):
            fuse([], 8)

    def test_refuses_maps_of_different_images(self):
        expected = r"maps of shape \(2, 4, 4\) and \(1, 6, 6\) cannot be fused"
        with pytest.raises(ValueError, match=expected):
            fuse([np.zeros((2, 4, 4)), np.zeros((1, 6, 6))], 4)


class TestImages:
    @pytest.mark.parametrize("size", [(32, 32), (96, 80), (50, 61)])
    def test_resized_to_the_nearest_gray_level(self, size):
        image = np.random.default_rng(0).integers(0, 256, (50, 61), np.uint8)
        resized = resize_image(image, size)
        exact = plain_resize(image.astype(np.float64), *size)
        assert resized.dtype == np.uint8
        assert np.abs(resized - exact).max() < 0.501
        by_cv2 = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(resized.astype(int) - by_cv2).max() <= 1

    def test_network_input_is_normalised_and_repeated(self, device):
        gray = torch.tensor([0.5, 0.75], device=device).reshape(2, 1, 1, 1)
        batch = network_input(gray, mean=0.5, std=0.25, channels=4)
        assert batch.shape == (2, 4, 1, 1)
        assert batch[:, 3].flatten().tolist() == [0, 1]
        assert network_input(gray, mean=0.5, std=0.25).shape == (2, 3, 1, 1)

    def test_channels_a_network_takes(self):
        network = nn.Conv2d(1, 1, 1)
        assert input_channels(network) == 1
        assert input_channels(nn.Identity()) == 3


def halved(mask):
    """Target where at least two of four pixels are: the mean 127.5 of a tie rounds to 128."""
    height, width = mask.shape
    return mask.reshape(height // 2, 2, width // 2, 2).sum((1, 3)) >= 2


class TestTrainingMasks:
    @given(arrays(bool, (12, 12)))
    def test_half_covered_pixels_are_target(self, mask):
        resized, vanishing = resize_mask(mask, 6)
        kept = halved(mask)
        assert (resized | kept == resized).all()
        assert (resized & ~kept).sum() == vanishing

    @pytest.mark.parametrize(
        ("rows", "columns", "size", "area", "vanishing"),
        [
            (slice(4, 8), slice(4, 8), 8, 4, 0),  # 2:1, on the grid
            (slice(5, 9), slice(5, 9), 8, 5, 0),  # 2:1, off it: 1 whole, 4 half, 4 quarter pixels
            (slice(5, 7), slice(4, 6), 8, 2, 0),  # two half pixels
            (slice(5, 7), slice(5, 7), 8, 1, 1),  # four quarter pixels: one of them stays
            (slice(5, 6), slice(5, 6), 8, 1, 1),
            (slice(5, 6), slice(5, 6), 32, 4, 0),  # 1:2: 3/4 squared in each of its four pixels
        ],
    )
    def test_worked_by_hand(self, rows, columns, size, area, vanishing):
        mask = np.zeros((16, 16), bool)
        mask[rows, columns] = True
        resized, lost = resize_mask(mask, size)
        assert resized.dtype == bool
        assert (int(resized.sum()), lost) == (area, vanishing)

    def test_one_pixel_of_a_very_large_image_stays_at_its_place(self):
        mask = np.zeros((3000, 4000), bool)
        mask[1501, 3001] = True
        resized, vanishing = resize_mask(mask, 128)
        assert (np.argwhere(resized).tolist(), vanishing) == ([[64, 96]], 1)

    @pytest.mark.parametrize("turned", [False, True])
    def test_one_pixel_stays_at_its_place_where_a_side_grows(self, turned):
        mask = np.zeros((100, 4096), bool)
        mask[53, 2051] = True
        resized, vanishing = resize_mask(mask.T if turned else mask, 256)
        place = [int(53.5 * 2.56), 2051 // 16]
        assert (np.argwhere(resized).tolist(), vanishing) == ([place[:: -1 if turned else 1]], 1)

    @given(arrays(bool, (20, 24), elements=st.sampled_from([False] * 7 + [True])))
    def test_every_target_keeps_a_pixel_at_its_place(self, mask):
        resized, vanishing = resize_mask(mask, 9)
        rule = cv2.resize(mask.astype(np.uint8) * 255, (9, 9)) > 127
        assert (resized | rule == resized).all()
        assert (resized & ~rule).sum() <= vanishing
        found = find_components(mask[None])
        for y0, x0, y1, x1 in found.box.tolist():  # its box, a pixel wider on each side
            top, left = int(y0 * 9 / 20) - 1, int(x0 * 9 / 24) - 1
            bottom, right = int(np.ceil(y1 * 9 / 20)) + 1, int(np.ceil(x1 * 9 / 24)) + 1
            assert resized[max(top, 0) : bottom, max(left, 0) : right].any()

    @pytest.mark.slow
    @pytest.mark.real
    @pytest.mark.parametrize(
        ("name", "size", "targets", "vanishing"),
        [("IRSTD-1K", 256, 1195, 8), ("NUDT-SIRST", 384, 918, 0)],
    )
    def test_real_training_lists_keep_their_targets(self, name, size, targets, vanishing):
        if "FESTKIT_DATA" not in os.environ:
            pytest.skip("FESTKIT_DATA is not set")
        listed = load_dataset(name, "train")
        kept = by_rule = lost = before = after = 0
        for sample in listed:
            resized, few = resize_mask(sample.mask, size)
            rule = cv2.resize(sample.mask.astype(np.uint8) * 255, (size, size)) > 127
            kept, by_rule, lost = kept + resized.sum(), by_rule + rule.sum(), lost + few
            before += len(find_components(sample.mask[None]))
            after += resized.any() == sample.mask.any()
        assert (before, lost, after) == (targets, vanishing, len(listed))
        assert kept == pytest.approx(by_rule, rel=0.01)


class Brightness(nn.Module):
    """Logit = the mean of the network's input channels."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image):
        assert image.shape[1:] == (3, 8, 8)
        return self.scale * image.mean(1, keepdim=True)


class TestProbabilityMap:
    def test_sigmoid_of_the_logits_at_the_size_of_the_image(self, device):
        image = np.random.default_rng(0).integers(0, 256, (12, 20), np.uint8)
        prob = probability_map(Brightness().to(device), image, 8, mean=0.4, std=0.2)
        logits = (resize_image(image, 8) / 255 - 0.4) / 0.2
        expected = plain_resize(1 / (1 + np.exp(-logits)), 12, 20)
        assert prob.dtype == np.float32
        np.testing.assert_allclose(prob, expected, rtol=0, atol=1e-6)

    @pytest.mark.parametrize(
        "image", [np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 2.0), np.zeros((8, 8), np.int16)]
    )
    def test_refuses_other_images(self, image):
        with pytest.raises(
            ValueError, match=r"expected a gray image \(H, W\) of uint8, .*, got \(8, 8"
        ):
            probability_map(Brightness(), image, 8, mean=0.4, std=0.2)

    def test_float32_is_not_tf32(self, monkeypatch):
        seen = []

        class Looking(Brightness):
            def forward(self, image):
                seen.append(torch.backends.cudnn.allow_tf32)
                return super().forward(image)

        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
        fest = FEST({8: Looking()}, mean=0.4, std=0.2, device="cpu")
        seen.clear()
        fest.predict(np.zeros((8, 8), np.uint8))
        assert seen == [False]
        assert torch.backends.cudnn.allow_tf32


def test_a_tensor_that_may_be_one_colour_image_is_told_of():
    with pytest.warns(
        UserWarning, match=r"\(3, 8, 9\) is treated as three gray images.*image\[0\]"
    ):
        assert gray_levels(torch.zeros(3, 8, 9)).shape == (3, 8, 9)
