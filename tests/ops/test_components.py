import warnings
from dataclasses import fields

import numpy as np
import plain_components
import pytest
import torch
from drawnshapes import blobs, checkerboard, comb, rings, spiral
from goldens import bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label, regionprops
from waits import counted_waits

from festkit.ops.components import Components, binarize, compiled, find_components, tensors

LEVELS = [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0]
WAYS = ["compiled", "plain", "tensors"]
shapes = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)
batches = arrays(np.float32, shapes, elements=st.sampled_from(LEVELS))
any_batches = st.one_of(
    batches,
    arrays(np.float16, shapes, elements=st.sampled_from(LEVELS)),
    arrays(bool, shapes),
)


def find_by(way, values, threshold=0.5, device="cpu"):
    """Components as arrays, by one of the two ways behind find_components, or by the oracle."""
    if way == "tensors":
        tensor = torch.from_numpy(np.ascontiguousarray(values)).to(device)
        return on_host(find_components(tensor, threshold))
    with pytest.MonkeyPatch.context() as patch:
        if way == "plain":
            patch.setattr(compiled, "find", plain_components.find)
        return find_components(values, threshold)


def on_host(found):
    return Components(*(getattr(found, field.name).cpu().numpy() for field in fields(found)))


def assert_same(ours, theirs):
    """Equal to the bit in every field, and in its type and shape."""
    for field in fields(Components):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
        assert a.tobytes() == b.tobytes(), field.name


@pytest.fixture(scope="session", params=WAYS)
def find(request, device):
    return lambda values, threshold=0.5: find_by(request.param, values, threshold, device)


def by_scikit_image(batch, threshold):
    """The same components by label and regionprops."""
    height, width = batch.shape[1:]
    regions = []
    for index, values in enumerate(batch.astype(np.float32)):
        labels = label(values > np.float32(threshold), connectivity=2)
        for region in regionprops(labels, intensity_image=values):
            pixels = np.sort(region.coords @ [width, 1])
            regions.append((index, pixels[0], region, pixels + index * height * width))
    regions.sort(key=lambda entry: entry[:2])
    found = [region for _, _, region, _ in regions]
    own = [np.stack([pixels, np.full(len(pixels), k)]) for k, (*_, pixels) in enumerate(regions)]
    pixels, number = np.concatenate([np.empty((2, 0), np.int64), *own], axis=1)
    order = np.argsort(pixels)
    return Components(
        image=np.array([index for index, *_ in regions], np.int64),
        first=np.array([first for _, first, *_ in regions], np.int64),
        area=np.array([region.area for region in found], np.int64),
        sum_y=np.array([region.coords[:, 0].sum() for region in found], np.int64),
        sum_x=np.array([region.coords[:, 1].sum() for region in found], np.int64),
        peak=np.array([region.intensity_max for region in found], np.float32),
        box=np.array([region.bbox for region in found], np.int64).reshape(-1, 4),
        pixels=pixels[order],
        label=number[order],
    )


NOISE = np.random.default_rng(0).random((40, 40), np.float32)
FRAME = ~np.pad(np.ones((8, 9), bool), 1)
MAPS = {
    "blobs": blobs(64, 6, seed=1),
    "blobs in noise": blobs(64, 6, seed=2) + np.float32(0.4) * np.resize(NOISE, (64, 64)),
    "blobs in 8 levels": np.round(blobs(64, 9, seed=3) * 7) / np.float32(7),
    "blobs as float16": blobs(64, 6, seed=4).astype(np.float16),
    "thin noise": NOISE - np.float32(0.45),
    "noise": NOISE,
    "dense noise": NOISE + np.float32(0.3),
    "speckle": np.where(NOISE > 0.97, NOISE, 0),
    "spiral": spiral(33),
    "spiral inwards": spiral(33)[::-1, ::-1],
    "spiral mirrored": spiral(33).T,
    "between the spiral": ~spiral(33),
    "comb": comb(24),
    "comb upside down": comb(24)[::-1],
    "comb on its side": comb(24).T,
    "checkerboard": checkerboard(16),
    "grid of dots": np.kron(np.ones((8, 8), bool), bits(["10", "00"])),
    "full": np.ones((13, 17), bool),
    "empty": np.zeros((13, 17), bool),
    "one pixel": bits(["000", "000", "010"]),
    "one by one": bits(["1"]),
    "1 x N": bits(["1101100011"]),
    "N x 1": bits(["1101100011"]).T,
    "2 x N": bits(["1001001101", "0110000001"]),
    "N x 2": bits(["1001001101", "0110000001"]).T,
    "all borders": FRAME,
    "each border": bits(["01010", "10000", "00001", "10000", "00101"]),
    "row ends": bits(["0001", "1000", "0001", "1000"]),
    "rings": rings(21),
    "L": bits(["1000", "1000", "1000", "1111"]),
    "U around a dot": bits(["10001", "10101", "10001", "11111"]),
}


@pytest.mark.parametrize("name", MAPS)
def test_agrees_with_scikit_image_on(name, find):
    values = MAPS[name]
    assert_same(find(values), by_scikit_image(values[None], 0.5))


def test_agrees_with_scikit_image_on_a_batch(find):
    batch = np.stack([blobs(48, count, seed=count) for count in (5, 0, 40, 1)])
    batch[1, -1] = batch[2, 0] = 1
    assert_same(find(batch, 0.1), by_scikit_image(batch, 0.1))


@given(batch=any_batches, threshold=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0]))
def test_agrees_with_scikit_image(find, batch, threshold):
    assert_same(find(batch, threshold), by_scikit_image(batch, threshold))


@settings(max_examples=300)
@given(batch=any_batches, threshold=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0]))
def test_all_ways_are_equal_to_the_bit(device, batch, threshold):
    first, *others = [find_by(way, batch, threshold, device) for way in WAYS]
    for other in others:
        assert_same(other, first)


@pytest.mark.parametrize("density", [0.02, 0.2, 0.35, 0.41, 0.5, 0.59, 0.8, 0.98])
def test_all_ways_are_equal_on_larger_noise(density, device):
    batch = np.random.default_rng(7).random((3, 70, 91)) < density
    first, *others = [find_by(way, batch, 0.5, device) for way in WAYS]
    assert len(first)
    for other in others:
        assert_same(other, first)


def test_two_targets_worked_by_hand(find):
    values = np.array(
        [
            [0.0, 0.6, 0.0, 0.0, 0.0],
            [0.7, 0.0, 0.0, 0.0, 0.9],
            [0.0, 0.0, 0.0, 0.0, 0.8],
        ],
        np.float32,
    )
    found = find(values)
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


def test_numbers_follow_the_first_pixel_also_where_arms_meet_late(find):
    mask = bits(["0001", "1001", "0101", "0011"])
    np.testing.assert_array_equal(find(mask).first, [3])
    mask = bits(["00100", "00000", "10001", "10101", "01010"])
    found = find(mask)
    np.testing.assert_array_equal(found.first, [2, 10])
    np.testing.assert_array_equal(found.area, [1, 7])


def test_a_spiral_is_one_component(find):
    mask = spiral(65)
    found = find(mask)
    assert (len(found), found.area[0]) == (1, mask.sum())
    assert len(find(~mask)) == label(~mask, connectivity=2).max()


def test_rings_share_one_centroid(find):
    np.testing.assert_array_equal(find(rings(21)).centroid, [[10, 10]] * 6)


def test_a_centroid_may_lie_outside_its_component(find):
    mask = MAPS["L"]
    (centroid,) = find(mask).centroid_pixel
    np.testing.assert_array_equal(centroid, [2, 0])
    (centroid,) = find(FRAME).centroid_pixel
    assert not FRAME[tuple(centroid)]


def test_images_of_a_batch_do_not_touch_through_their_borders(find):
    batch = bits([["00", "11"], ["11", "00"], ["01", "10"], ["01", "01"]])
    found = find(batch)
    np.testing.assert_array_equal(found.image, [0, 1, 2, 3])
    np.testing.assert_array_equal(found.first, [2, 0, 1, 1])


@given(batches)
def test_images_of_a_batch_never_share_a_component(find, batch):
    whole = find(batch, 0.3)
    single = [find(values, 0.3) for values in batch]
    np.testing.assert_array_equal(whole.area, np.concatenate([one.area for one in single]))
    np.testing.assert_array_equal(whole.first, np.concatenate([one.first for one in single]))
    np.testing.assert_array_equal(whole.image, np.repeat(range(len(batch)), [*map(len, single)]))


@given(batches, st.integers(0, 2**32 - 1))
def test_touch_is_a_shared_pixel(batch, seed):
    found = find_components(batch, 0.3)
    mask = np.random.default_rng(seed).random(batch.shape) < 0.2
    shares = [mask.reshape(-1)[found.pixels[found.label == k]].any() for k in range(len(found))]
    np.testing.assert_array_equal(found.overlaps(mask), np.array(shares, bool))


@given(batches, st.integers(0, 2**32 - 1))
def test_tensors_answer_like_arrays(device, batch, seed):
    mask = np.random.default_rng(seed).random(batch.shape) < 0.2
    ours = find_components(torch.from_numpy(batch).to(device), 0.3)
    theirs = find_components(batch, 0.3)
    for tensor, array in [
        (ours.centroid, theirs.centroid),
        (ours.centroid_pixel, theirs.centroid_pixel),
        (ours.overlaps(torch.from_numpy(mask).to(device)), theirs.overlaps(mask)),
    ]:
        assert tensor.device.type == torch.device(device).type
        assert tensor.cpu().numpy().dtype == array.dtype
        np.testing.assert_array_equal(tensor.cpu().numpy(), array)


@given(batches)
def test_memory_layout_does_not_matter(batch):
    values = batch[0]
    padded = np.ones((2 * values.shape[0], 3 * values.shape[1]), np.float32)
    strided = padded[::2, ::3]
    strided[:] = values
    expected = find_components(values, 0.3)
    for same in (np.asfortranarray(values), strided, values[::-1, ::-1].copy()[::-1, ::-1]):
        assert_same(find_components(same, 0.3), expected)
    for same in (np.asfortranarray(values), strided):
        assert_same(on_host(find_components(torch.from_numpy(same), 0.3)), expected)


def test_thresholds_compare_as_float32_and_strictly(find):
    assert not binarize(np.array([0.1], np.float32), 0.1).any()
    assert not binarize(np.array([0.1, 0.1 + 1e-12]), 0.1).any()
    assert binarize(np.nextafter(np.float32(0.1), np.float32(1)), 0.1)
    assert len(find(np.full((3, 3), 0.1, np.float32), 0.1)) == 0
    assert len(find(np.full((3, 3), 0.1 + 1e-12), 0.1)) == 0
    assert len(find(np.full((3, 3), np.nextafter(np.float32(0.1), np.float32(1))), 0.1)) == 1


def test_nan_is_background(find):
    values = np.array([[1.0, np.nan, 1.0]], np.float32)
    np.testing.assert_array_equal(find(values).area, [1, 1])
    assert len(find(np.full((2, 2), np.nan, np.float32))) == 0


@pytest.mark.parametrize("byte", [2, 254, 255])
def test_true_bytes_other_than_1(find, byte):
    mask, expected = MAPS["rings"], find(MAPS["rings"])
    other = (mask.astype(np.uint8) * np.uint8(byte)).view(bool)
    assert_same(find(other), expected)
    np.testing.assert_array_equal(expected.overlaps(other), expected.overlaps(mask))


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (0, 4, 5), (2, 0, 5), (2, 5, 0), (0, 0)])
@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_nothing_found(find, shape, dtype):
    found = find(np.zeros(shape, dtype))
    assert len(found) == 0
    assert found.centroid.shape == found.centroid_pixel.shape == (0, 2)
    assert found.box.shape == (0, 4)
    assert found.overlaps(np.ones(shape, bool)).shape == (0,)


@pytest.mark.parametrize("shape", [(5,), (1, 1, 4, 4)])
@pytest.mark.parametrize("zeros", [np.zeros, torch.zeros])
def test_refuses_other_dimensions(shape, zeros):
    with pytest.raises(ValueError, match=r"\(H, W\) or a batch \(N, H, W\), got \("):
        find_components(zeros(shape))


def test_tensors_stay_on_their_device_and_outside_the_graph(device):
    values = torch.from_numpy(MAPS["blobs"]).to(device).requires_grad_()
    found = find_components(values)
    for field in fields(found):
        tensor = getattr(found, field.name)
        assert tensor.device == values.device
        assert not tensor.requires_grad


@pytest.mark.parametrize("limit", [0, 3, 60])
def test_a_dense_batch_is_split_without_a_trace(limit, device, monkeypatch):
    batch = (
        np.random.default_rng(3).random((7, 9, 11))
        < np.reshape([0, 9, 1, 0, 5, 2, 0], (7, 1, 1)) / 9
    )
    expected = find_components(batch)
    calls = []
    split = tensors._find_in_halves
    monkeypatch.setattr(tensors, "LARGEST_FOREGROUND", limit)
    monkeypatch.setattr(
        tensors, "_find_in_halves", lambda *args: calls.append(len(args[0])) or split(*args)
    )
    assert_same(find_by("tensors", batch, device=device), expected)
    assert calls[0] == 7
    assert min(calls) > 1


@pytest.mark.parametrize("name", ["spiral", "between the spiral", "comb", "noise"])
def test_tensors_go_on_until_all_runs_agree(name, device, monkeypatch):
    monkeypatch.setattr(tensors, "ROUNDS", 1)
    monkeypatch.setattr(tensors, "JUMPS", 1)
    assert_same(find_by("tensors", MAPS[name], device=device), find_components(MAPS[name]))


@pytest.mark.parametrize("turns", range(4))
def test_a_snake_needs_about_the_logarithm_of_its_length_in_rounds(turns, device, monkeypatch):
    rounds = []
    hook = tensors._hook
    monkeypatch.setattr(tensors, "_hook", lambda *args: rounds.append(1) or hook(*args))
    mask = np.rot90(spiral(257), turns)
    assert len(find_by("tensors", mask, device=device)) == 1
    assert len(rounds) <= np.log2(mask.sum())


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_the_host_waits_at_most_three_times(count, device):
    batch = np.stack([blobs(96, count, seed) for seed in range(8)])
    values = torch.from_numpy(batch).to(device)
    with counted_waits() as seen:
        find_components(values, 0.1)
    assert seen["nonzero"] == 1
    assert seen.total() <= 3


def test_waits_are_counted():
    values = torch.arange(4.0)
    with counted_waits() as seen:
        values[values > 1]
        values.sum().item()
        bool(values[0] > 0)
        values.unique()
        values.cpu()
        values.tolist()
    assert seen.total() == 6


def test_cuda_itself_sees_at_most_three_waits(device):
    if torch.device(device).type != "cuda":
        pytest.skip("needs --device cuda")
    batch = torch.from_numpy(np.stack([blobs(96, 5, seed) for seed in range(8)])).to(device)
    find_components(batch, 0.1)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            find_components(batch, 0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(caught) <= 3
