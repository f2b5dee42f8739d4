import numpy as np
import pytest
from goldens import bits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label, regionprops

from festkit.components import above, find_components

LEVELS = [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0]
batches = arrays(
    np.float32,
    array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9),
    elements=st.sampled_from(LEVELS),
)


def test_two_targets_worked_by_hand():
    values = np.array(
        [
            [0.0, 0.6, 0.0, 0.0, 0.0],
            [0.7, 0.0, 0.0, 0.0, 0.9],
            [0.0, 0.0, 0.0, 0.0, 0.8],
        ],
        np.float32,
    )
    found = find_components(values)
    assert len(found) == 2
    np.testing.assert_array_equal(found.image, [0, 0])
    np.testing.assert_array_equal(found.first, [1, 9])
    np.testing.assert_array_equal(found.area, [2, 2])
    np.testing.assert_array_equal(found.sum_y, [1, 3])
    np.testing.assert_array_equal(found.sum_x, [1, 8])
    np.testing.assert_array_equal(found.centroid, [[0.5, 0.5], [1.5, 4.0]])
    np.testing.assert_array_equal(found.centroid_pixel, [[0, 0], [1, 4]])
    np.testing.assert_array_equal(found.peak, np.float32([0.7, 0.9]))
    np.testing.assert_array_equal(found.box, [[0, 0, 2, 2], [1, 4, 3, 5]])
    np.testing.assert_array_equal(found.pixels, [1, 5, 9, 14])
    np.testing.assert_array_equal(found.label, [0, 0, 1, 1])


def test_numbers_follow_the_first_pixel_also_where_arms_meet_late():
    mask = bits(["0001", "1001", "0101", "0011"])
    np.testing.assert_array_equal(find_components(mask).first, [3])
    mask = bits(["00100", "00000", "10001", "10101", "01010"])
    found = find_components(mask)
    np.testing.assert_array_equal(found.first, [2, 10])
    np.testing.assert_array_equal(found.area, [1, 7])


def test_a_spiral_is_one_component():
    mask = np.zeros((65, 65), bool)
    y, x, dy, dx = 0, 0, 0, 1
    mask[0, 0] = True
    for length in [64, *np.repeat(np.arange(64, 0, -2), 2)]:
        for _ in range(length):
            y, x = y + dy, x + dx
            mask[y, x] = True
        dy, dx = dx, -dy
    found = find_components(mask)
    assert (len(found), found.area[0]) == (1, mask.sum())
    assert len(find_components(~mask)) == label(~mask, connectivity=2).max()


@given(batches)
def test_agrees_with_scikit_image(batch):
    found = find_components(batch, 0.3)
    number = 0
    for index, values in enumerate(batch):
        labels = label(values > np.float32(0.3), connectivity=2)
        regions = regionprops(labels, intensity_image=values)
        width = values.shape[1]
        first = {r.label: min(int(y) * width + int(x) for y, x in r.coords) for r in regions}
        for region in sorted(regions, key=lambda region: first[region.label]):
            assert found.image[number] == index
            assert found.first[number] == first[region.label]
            assert found.area[number] == region.area
            assert found.peak[number] == region.intensity_max
            np.testing.assert_array_equal(found.box[number], region.bbox)
            np.testing.assert_allclose(found.centroid[number], region.centroid, rtol=1e-12)
            np.testing.assert_array_equal(
                found.centroid_pixel[number], region.coords.sum(0) // len(region.coords)
            )
            own = found.pixels[found.label == number] - index * values.size
            np.testing.assert_array_equal(own, np.sort(region.coords @ [width, 1]))
            number += 1
    assert len(found) == number


@given(batches, st.integers(0, 2**32 - 1))
def test_touch_is_a_shared_pixel(batch, seed):
    found = find_components(batch, 0.3)
    mask = np.random.default_rng(seed).random(batch.shape) < 0.2
    shares = [mask.reshape(-1)[found.pixels[found.label == k]].any() for k in range(len(found))]
    np.testing.assert_array_equal(found.touch(mask), np.array(shares, bool))


@given(batches)
def test_images_of_a_batch_never_share_a_component(batch):
    whole = find_components(batch, 0.3)
    single = [find_components(values, 0.3) for values in batch]
    np.testing.assert_array_equal(whole.area, np.concatenate([one.area for one in single]))
    np.testing.assert_array_equal(whole.first, np.concatenate([one.first for one in single]))
    np.testing.assert_array_equal(whole.image, np.repeat(range(len(batch)), [*map(len, single)]))


@given(batches)
def test_memory_layout_does_not_matter(batch):
    values = batch[0]
    padded = np.ones((2 * values.shape[0], 3 * values.shape[1]), np.float32)
    strided = padded[::2, ::3]
    strided[:] = values
    for same in (np.asfortranarray(values), strided, values[::-1, ::-1].copy()[::-1, ::-1]):
        ours, plain = find_components(same, 0.3), find_components(values, 0.3)
        np.testing.assert_array_equal(ours.pixels, plain.pixels)
        np.testing.assert_array_equal(ours.label, plain.label)
        np.testing.assert_array_equal(ours.peak, plain.peak)


def test_thresholds_compare_as_float32_and_strictly():
    assert not above(np.array([0.1], np.float32), 0.1).any()
    assert not above(np.array([0.1, 0.1 + 1e-12]), 0.1).any()
    assert above(np.nextafter(np.float32(0.1), np.float32(1)), 0.1)
    assert len(find_components(np.full((3, 3), 0.5, np.float32), 0.5)) == 0


def test_nan_is_background():
    values = np.array([[1.0, np.nan, 1.0]], np.float32)
    np.testing.assert_array_equal(find_components(values).area, [1, 1])


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (0, 4, 5)])
def test_nothing_found(shape):
    found = find_components(np.zeros(shape))
    assert len(found) == 0
    assert found.centroid.shape == found.centroid_pixel.shape == (0, 2)
    assert found.box.shape == (0, 4)
    assert found.touch(np.ones(shape, bool)).shape == (0,)


@pytest.mark.parametrize("shape", [(5,), (1, 1, 4, 4)])
def test_refuses_other_dimensions(shape):
    with pytest.raises(ValueError, match=r"\(H, W\) or a batch \(N, H, W\), got \("):
        find_components(np.zeros(shape))
