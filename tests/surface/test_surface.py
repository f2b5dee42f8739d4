"""Every cell of a surface against adjustable sensitivity and the metric written out per cell."""

import json
import math
import warnings
from dataclasses import fields, replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from drawnshapes import blobs, checkerboard, comb, rings, spiral
from goldens import GOLDENS, bits, dense
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label, regionprops

from festkit import Counts
from festkit._support.errors import InputTypeError
from festkit.surface import EIGHT_BIT, ROC, ThresholdSurface, roc, threshold_surface
from festkit.surface.image import _add_regions

GRID = [0.0, 0.1, 0.25, 0.3, 0.5, 0.8]
RULES = ["fused", "per scale", "scales swapped", "three scales"]


@lru_cache(maxsize=1 << 15)
def regions_of(data, shape):
    labels = label(np.frombuffer(data, bool).reshape(shape), connectivity=2)
    return sorted((region.coords.tolist() for region in regionprops(labels)), key=min)


def regions(mask):
    """Pixels of every 8-connected region, in raster order of their first pixel."""
    return regions_of(mask.tobytes(), mask.shape)


def refined(prob, scale_maps, th1, th2):
    """Adjustable sensitivity by its definition."""
    mask = prob > th1
    for scale in scale_maps:
        before = mask.copy()
        for pixels in regions(scale > th2):
            if not any(before[y, x] for y, x in pixels):
                y, x = np.sum(pixels, axis=0) // len(pixels)
                mask[y, x] = True
    return mask


def compared(pred, truth):
    """The metric by its definition."""
    predicted, true = regions(pred), regions(truth)
    remaining, taken = list(predicted), []
    for target in true:
        for other in remaining:
            (a, b), (c, d) = (
                [sum(axis) / len(pixels) for axis in zip(*pixels, strict=True)]
                for pixels in (target, other)
            )
            if math.sqrt((a - c) * (a - c) + (b - d) * (b - d)) < 3:
                remaining.remove(other)
                taken.append(other)
                break
    both, either = int((pred & truth).sum()), int((pred | truth).sum())
    return Counts(
        images=1,
        pixels=pred.size,
        intersection=both,
        predicted=int(pred.sum()),
        true=int(truth.sum()),
        targets=len(true),
        detected=len(taken),
        false_pixels=sum(map(len, remaining)),
        iou_sum=both / either if either else 0.0,
        empty=int(either == 0),
    )


def expected_counts(probs, masks, scale_maps, th1, th2):
    """Counts of a set at one pair of thresholds, cell by cell and image by image."""
    low1, low2 = np.float32(th1), np.float32(th2)
    total = Counts()
    for k, (prob, mask) in enumerate(zip(probs, masks, strict=True)):
        own = [prob] if scale_maps is None else scale_maps[k]
        maps = [np.asarray(scale).astype(np.float32) for scale in own]
        pred = refined(np.asarray(prob).astype(np.float32), maps, low1, low2)
        total += compared(pred, np.asarray(mask))
    return total


def assert_every_cell(probs, masks, th1, th2, scale_maps=None):
    """The surface, after every cell of it was compared."""
    surface = threshold_surface(probs, masks, th1, th2, scale_maps=scale_maps, workers=1)
    for a in th1:
        for b in th2:
            expected = expected_counts(probs, masks, scale_maps, a, b)
            assert surface.at(a, b) == expected, (a, b)
    return surface


def assert_same_surface(ours, theirs):
    """Equal to the bit in every field, and in its type and shape."""
    for field in fields(ThresholdSurface):
        a, b = (np.asarray(getattr(one, field.name)) for one in (ours, theirs))
        assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
        assert a.tobytes() == b.tobytes(), field.name


def picture(*rows):
    """Map of digits, tenths each, and dots for 0."""
    return np.array([[int(letter.replace(".", "0")) for letter in row] for row in rows], float) / 10


def spot(shape, *pixels):
    """Mask of single pixels."""
    mask = np.zeros(shape, bool)
    mask[tuple(np.transpose(pixels))] = True
    return mask


def ramp(mask):
    """A mask whose pixels ascend in 6 levels from its first to its last corner."""
    slope = np.add.outer(*(np.linspace(0, 0.5, side) for side in mask.shape))
    return (mask * (1 + np.floor(slope * 6)) / 7).astype(np.float32)


def some_truth(shape, seed):
    """A few rectangles of 1 to 5 px."""
    rng, mask = np.random.default_rng(seed), np.zeros(shape, bool)
    for y, x, height, width in rng.integers([0, 0, 1, 1], [*shape, 6, 6], (7, 4)):
        mask[y : y + height, x : x + width] = True
    return mask


def random_map(seed, shape):
    """Noise of random density in a few levels, thresholds among them, or clumps of it."""
    rng = np.random.default_rng(seed)
    values = rng.choice([0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.8, 1.0], shape)
    if rng.random() < 0.5:
        values = np.kron(values, np.ones((2, 2)))[: shape[0], : shape[1]]
    return (values * (rng.random(shape) < rng.choice([0.06, 0.2, 0.4, 0.7, 1.0]))).astype(
        np.float32
    )


NOISE = np.random.default_rng(0).random((48, 48), np.float32)
MAPS = {
    "blobs": blobs(48, 7, seed=1),
    "blobs beyond the border": np.roll(blobs(48, 7, seed=5), 24, axis=(0, 1)),
    "blobs in noise": np.minimum(blobs(48, 5, seed=2) + np.float32(0.2) * NOISE, 1),
    "blobs in 10 levels": np.round(blobs(48, 9, seed=3), 1),
    "blobs as float16": blobs(48, 7, seed=4).astype(np.float16),
    "white noise": NOISE,
    "thin noise": np.maximum(NOISE * 2 - 1, 0) ** 2,
    "noise in 10 levels": np.round(NOISE, 1),
    "speckle": np.where(NOISE > 0.97, NOISE[::-1], 0),
    "spiral": ramp(spiral(31)),
    "spiral inwards": ramp(spiral(31)[::-1, ::-1]),
    "flat spiral": 0.3 * spiral(31),
    "between the spiral": ramp(~spiral(31)),
    "comb": ramp(comb(24)),
    "comb upside down": ramp(comb(24)[::-1]),
    "comb on its side": ramp(comb(24).T[:, ::-1]),
    "checkerboard": ramp(checkerboard(16)),
    "flat checkerboard": 0.3 * checkerboard(15),
    "dots": ramp(np.kron(np.ones((8, 8), bool), bits(["10", "00"]))),
    "dots within reach": ramp(np.kron(np.ones((6, 6), bool), np.eye(3, dtype=bool)[[2]] * 1)),
    "full, weak": np.full((17, 22), 0.3),
    "full, strong": np.full((17, 22), 0.9),
    "full, ascending": ramp(np.ones((17, 22), bool)),
    "one pixel": 0.3 * spot((9, 9), (4, 4)),
    "corners": 0.3 * spot((9, 9), (0, 0), (0, 8), (8, 0), (8, 8)),
    "empty": np.zeros((12, 13)),
    "one by one": np.full((1, 1), 0.3),
    "1 x N": NOISE[:1],
    "N x 1": np.round(NOISE[:, :1], 1),
    "2 x N": NOISE[:2],
    "all borders": ramp(~np.pad(np.ones((18, 21), bool), 1)),
    "flat frame": 0.3 * ~np.pad(np.ones((18, 21), bool), 1),
    "rings": ramp(rings(21)),
    "flat rings": 0.3 * rings(21),
    "rings ascending inwards": rings(21)
    * (1 - np.maximum.outer(*2 * [abs(np.arange(21) - 10)]) / 11),
    "rings ascending outwards": rings(21) * (np.maximum.outer(*2 * [abs(np.arange(21) - 10)]) / 11),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MAPS)
def test_every_cell_of(name, rule):
    prob = np.asarray(MAPS[name])
    other, third = prob[::-1, ::-1].copy(), np.roll(prob, 2, axis=-1)
    scales = {
        "fused": None,
        "per scale": [[prob, other]],
        "scales swapped": [[other, prob]],
        "three scales": [[third, other, prob]],
    }[rule]
    fused = prob if rule == "fused" else ((prob + other) / 2).astype(prob.dtype)
    assert_every_cell([fused], [some_truth(prob.shape, seed=1)], GRID, GRID, scales)


levels = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0])
shapes = array_shapes(min_dims=2, max_dims=2, max_side=14)
grids = st.sets(st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.3, 0.5, 0.6, 0.8, 1.0]), min_size=1)
grids = grids.map(lambda values: sorted(values)[:4])
seeds = st.integers(0, 2**32 - 1)


def maps_of(shape):
    """Sparse maps that shrink to simple ones, and noise."""
    sparse = arrays(np.float32, shape, elements=levels)
    noise = st.builds(random_map, seeds, st.just(shape))
    return st.one_of(sparse, noise, noise.map(np.float16))


class TestRandomMaps:
    @settings(max_examples=250)
    @given(st.data(), shapes, grids, grids)
    def test_fused(self, data, shape, th1, th2):
        prob, mask = data.draw(maps_of(shape)), data.draw(maps_of(shape)) > 0.4
        assert_every_cell([prob], [mask], th1, th2)

    @pytest.mark.slow
    @settings(max_examples=250)
    @given(st.data(), shapes, grids, grids)
    def test_per_scale(self, data, shape, th1, th2):
        prob, mask = data.draw(maps_of(shape)), data.draw(maps_of(shape)) > 0.4
        scales = data.draw(st.lists(maps_of(shape), min_size=1, max_size=3))
        assert_every_cell([prob], [mask], th1, th2, [scales])

    @pytest.mark.slow
    @pytest.mark.parametrize("scales", [None, 1, 2, 3])
    def test_noise_of_every_density(self, scales):
        for seed in range(60):
            shape = tuple(np.random.default_rng(seed).integers(1, 33, 2))
            prob, mask, *own = (random_map([seed, k], shape) for k in range(2 + (scales or 0)))
            own = [own] if scales else None
            assert_every_cell([prob], [mask > 0.7], [0.2, 0.4, 0.75], [0.0, 0.1, 0.3], own)

    def test_one_scale_equals_the_fused_rule(self):
        grid = np.linspace(0, 1, 21)
        for name in ("blobs", "noise in 10 levels", "rings ascending outwards"):
            prob = MAPS[name]
            mask = some_truth(prob.shape, seed=2)
            fused = threshold_surface([prob], [mask], grid, grid)
            alone = threshold_surface([prob], [mask], grid, grid, scale_maps=[[prob]])
            assert_same_surface(alone, fused)

    def test_from_th1_upwards_th2_changes_nothing_on_one_map(self):
        prob, mask = MAPS["white noise"], some_truth((48, 48), seed=3)
        grid = np.linspace(0, 1, 21)
        surface = threshold_surface([prob], [mask], grid, grid)
        for i, along in enumerate(surface.th1):
            assert len(set(surface.along_th2(along)[i:])) == 1

    def test_on_scales_th2_above_th1_still_counts(self):
        prob, scale = np.zeros((5, 5)), 0.9 * spot((5, 5), (2, 2))
        surface = assert_every_cell([prob], [scale > 0], [0.3], [0.5], [[scale]])
        assert surface.pd == 1


class TestGroups:
    """Components far apart are counted in groups; none may see another's pixels or targets."""

    @pytest.mark.slow
    @pytest.mark.parametrize("scales", [None, 2])
    def test_many_blobs(self, scales):
        for count, side in ((60, 96), (150, 128)):
            prob, *own = (blobs(side, count, seed=count + k) for k in range(1 + (scales or 0)))
            mask = np.roll(prob, 1, axis=0) > 0.4
            assert_every_cell([prob], [mask], GRID, GRID, [own] if scales else None)

    @pytest.mark.slow
    @settings(max_examples=60, deadline=None)
    @given(seeds, st.integers(1, 5), st.integers(1, 5))
    def test_spots_on_a_lattice_of_every_gap(self, seed, gap, size):
        """Weak and strong squares with 1 to 5 empty rows between them, truths moved a little."""
        rng, pitch = np.random.default_rng(seed), gap + size
        prob, mask = np.zeros((40, 40), np.float32), np.zeros((40, 40), bool)
        for y in range(0, 40, pitch):
            for x in range(0, 40, pitch):
                prob[y : y + size, x : x + size] = rng.choice([0.0, 0.15, 0.3, 0.9])
                top, left = np.maximum(rng.integers([y - 2, x - 2], [y + 3, x + 3]), 0)
                mask[top : top + size, left : left + size] |= rng.random() < 0.5
        assert_every_cell([prob], [mask], [0.2, 0.5], [0.1, 0.25])

    def test_a_group_within_the_box_of_another(self):
        prob = np.zeros((40, 40))
        prob[2, 2:38] = prob[2:38, 2] = 0.3
        prob[20, 20], prob[30, 30] = 0.9, 0.2
        mask = spot((40, 40), (20, 21), (12, 12), (31, 31))
        assert_every_cell([prob], [mask], GRID, GRID)
        assert_every_cell([prob], [mask], GRID, GRID, [[prob, prob.T[::-1]]])


class TestStoredSweep:
    def test_every_cell(self):
        sweep = GOLDENS["sweep"]
        grid = sweep["thresholds"]
        surface = threshold_surface([dense(sweep["map"])], [bits(sweep["gt"])], grid, grid)
        stored = [
            [row[min(i, j)] for j in range(len(grid))] for i, row in enumerate(sweep["value"])
        ]
        tables = [surface.intersection, surface.predicted, surface.detected, surface.matched]
        np.testing.assert_array_equal(np.stack(tables, axis=-1), stored)
        assert (surface.true, surface.targets) == (sweep["gt_px"], sweep["gt_targets"])

    @pytest.mark.parametrize("section", ["as_single", "as_multiscale"])
    def test_cases_of_adjustable_sensitivity(self, section):
        for case in GOLDENS[section]:
            maps = [dense(one) for one in case.get("maps") or [case["map"]]]
            prob = np.mean(maps, axis=0, dtype=np.float32)
            scales = None if section == "as_single" else [maps]
            th1, th2 = case["th1"], case["th2"]
            mask = some_truth(prob.shape, seed=4)
            surface = assert_every_cell([prob], [mask], [th1], [th2], scales)
            added = case["component_added" if scales is None else "official_per_scale_added"]
            assert surface.predicted == case["n_T1"] + len(added), case["name"]


def only_cell(prob, mask, scales=None):
    """Predicted, detected and matched pixels at (0.5, 0.1)."""
    own = None if scales is None else [scales]
    surface = assert_every_cell([prob], [mask], [0.5], [0.1], own)
    return tuple(int(t[0, 0]) for t in (surface.predicted, surface.detected, surface.matched))


RING = picture(
    "333333333",
    "3.......3",
    "3.......3",
    "3.......3",
    "3.......3",
    "3.......3",
    "3.......3",
    "3.......3",
    "333333333",
)


class TestCentroidsThatMerge:
    """A weak ring of 9 x 9 puts its pixel at (4, 4), amid whatever stands there."""

    @staticmethod
    def ring_around(**values):
        prob = RING.copy()
        for place, value in values.items():
            prob[int(place[1]), int(place[2])] = value
        return prob

    def test_alone_on_background(self):
        assert only_cell(RING, spot((9, 9), (4, 4))) == (1, 1, 1)

    def test_on_a_strong_pixel(self):
        assert only_cell(self.ring_around(p44=0.9), spot((9, 9), (4, 4))) == (1, 1, 1)

    @pytest.mark.parametrize("place", ["p33", "p34", "p35", "p43", "p45", "p53", "p54", "p55"])
    def test_beside_a_strong_pixel(self, place):
        assert only_cell(self.ring_around(**{place: 0.9}), spot((9, 9), (4, 4))) == (2, 1, 2)

    def test_between_two_strong_targets(self):
        """Both were within reach of a truth; merged they are one target for one of them."""
        prob = self.ring_around(p43=0.9, p45=0.9)
        assert only_cell(prob, spot((9, 9), (4, 2), (4, 6))) == (3, 1, 3)
        without = threshold_surface([prob], [spot((9, 9), (4, 2), (4, 6))], [0.5], [0.5])
        assert without.detected == 2

    def test_beside_a_weak_dot(self):
        assert only_cell(self.ring_around(p45=0.3), spot((9, 9), (4, 4))) == (2, 1, 2)

    def test_on_the_pixel_of_a_weak_dot(self):
        assert only_cell(self.ring_around(p44=0.3), spot((9, 9), (4, 4))) == (1, 1, 1)

    def test_a_chain_of_weak_pixels_down_to_a_strong_one(self):
        mask = spot((9, 9), (4, 4))
        assert only_cell(self.ring_around(p43=0.3, p45=0.3), mask) == (3, 1, 3)
        assert only_cell(self.ring_around(p43=0.3, p45=0.9), mask) == (3, 1, 3)

    def test_the_first_pixel_of_a_merged_target_decides_its_turn(self):
        """Alone, (5, 2) comes before (5, 4); that one merges with (4, 4) and then comes first."""
        prob, mask = self.ring_around(p52=0.9, p54=0.9), spot((9, 9), (5, 3))
        assert only_cell(prob, mask) == (3, 1, 2)
        assert threshold_surface([prob], [mask], [0.5], [0.5]).matched == 1

    def test_rings_in_rings_share_a_pixel(self):
        prob = 0.3 * rings(21)
        assert only_cell(prob, spot((21, 21), (10, 10))) == (1, 1, 1)

    def test_a_ring_in_each_scale_merges_too(self):
        shifted = np.pad(RING, ((0, 0), (1, 0)))
        ring = np.pad(RING, ((0, 0), (0, 1)))
        mask = spot(ring.shape, (4, 4))
        assert only_cell(np.zeros(ring.shape), mask, [ring, shifted]) == (2, 1, 2)
        ring[4, 5] = 0.3  # a pixel where the second scale puts its own
        assert only_cell(np.zeros(ring.shape), mask, [ring, shifted]) == (2, 1, 2)

    def test_a_pixel_of_an_earlier_scale_takes_the_component_it_lies_in(self):
        ell = picture("3....", "3....", "3....", "3....", "33333")  # its pixel is (2, 1)
        block = picture(".....", ".....", ".333.", ".333.", ".....")  # its pixel is (2, 2)
        mask = spot((5, 5), (2, 1))
        empty = np.zeros((5, 5))
        assert only_cell(empty, mask, [ell, block])[0] == 1
        assert only_cell(empty, mask, [block, ell])[0] == 2
        dot = 0.3 * spot((5, 5), (0, 0))  # overlaps the L, but not its pixel
        assert only_cell(empty, mask, [ell, dot])[0] == 2
        assert only_cell(empty, mask, [dot, ell])[0] == 1

    def test_pixels_of_one_scale_do_not_take_each_other_s_components(self):
        prob = self.ring_around(p33=0.3, p34=0.3, p35=0.3, p43=0.3, p44=0.3, p45=0.3)
        assert only_cell(prob, spot((9, 9), (4, 4))) == (2, 1, 2)


class TestReach:
    @pytest.mark.parametrize(("place", "detected"), [((2, 4), 1), ((2, 5), 0), ((4, 4), 1)])
    def test_three_pixels_are_too_far(self, place, detected):
        prob = 0.9 * spot((9, 9), (2, 2))
        assert only_cell(prob, spot((9, 9), place)) == (1, detected, detected)

    @pytest.mark.parametrize("place", [(4, 4), (5, 4)])
    def test_three_pixels_are_too_far_diagonally(self, place):
        prob = 0.3 * spot((9, 9), (2, 2))
        near = math.dist(place, (2, 2)) < 3
        assert only_cell(prob, spot((9, 9), place)) == (1, near, near)

    @pytest.mark.parametrize("swapped", [False, True])
    def test_rounding_decides_at_a_distance_of_9_and_12_fifths(self, swapped):
        five, one = np.zeros((2, 230, 230), bool)
        step = np.arange(0, 220, 11)
        for y, x in np.stack(np.meshgrid(step, step)).reshape(2, -1).T:
            one[y, x] = True
            five[[y + 1, y + 1, y + 2, y + 2, y + 3], [x + 1, x + 2, x + 2, x + 3, x + 4]] = True
        truth, pred = (one, five) if swapped else (five, one)
        surface = assert_every_cell([pred * 0.9], [truth], [0.5], [0.5])
        assert 20 < surface.detected < surface.targets - 20

    @pytest.mark.parametrize("transposed", [False, True])
    def test_rounding_decides_at_whole_distances(self, transposed):
        five = np.zeros((230, 230), bool)
        step = np.arange(4, 215, 11)
        for y, x in np.stack(np.meshgrid(step, step)).reshape(2, -1).T:
            five[[y, y, y + 1, y + 1, y + 2], [x, x + 1, x + 1, x + 2, x + 2]] = True
        pred = np.roll(five, 3, axis=1) * 0.9
        if transposed:
            five, pred = five.T, pred.T
        surface = assert_every_cell([pred], [five], [0.5], [0.5])
        assert 20 <= surface.detected <= surface.targets - 20

    def test_several_truths_take_the_first_that_remains(self):
        prob = picture(".....", ".9.8.", ".....", ".7.3.", ".....")
        mask = spot((5, 5), (0, 2), (2, 0), (2, 2), (4, 4))
        assert_every_cell([prob], [mask], GRID, GRID)
        assert only_cell(prob, mask) == (4, 4, 4)

    def test_the_first_counts_and_not_the_nearest(self):
        prob = np.zeros((10, 12))
        prob[6, 7:10] = prob[8, 8] = 0.9
        assert only_cell(prob, spot((10, 12), (8, 8))) == (4, 1, 3)

    def test_targets_far_apart_keep_out_of_each_other_s_way(self):
        """Places at every distance from one another, alone and in company."""
        rng = np.random.default_rng(8)
        for _ in range(40):
            prob = np.where(rng.random((40, 40)) < 0.01, rng.choice([0.3, 0.9], (40, 40)), 0)
            assert_every_cell([prob], [rng.random((40, 40)) < 0.01], [0.2, 0.5], [0.1, 0.4])

    @pytest.mark.parametrize("turns", range(4))
    def test_a_corner_of_two_bars_around_a_dot(self, turns):
        """The bars are within reach of one another, the dot within their box alone."""
        prob = np.zeros((14, 34))
        prob[1, 10] = prob[1:8, 30] = prob[10, :31] = 0.9
        prob = np.rot90(prob, turns)
        nothing = np.zeros(prob.shape)
        assert_every_cell([prob], [nothing > 0], [0.5], [0.1], [[nothing]])


class TestSets:
    PROBS = (MAPS["blobs"], MAPS["1 x N"], MAPS["empty"], MAPS["rings"], MAPS["full, weak"])
    MASKS = tuple(some_truth(np.shape(prob), seed) for seed, prob in enumerate(PROBS))

    def surface(self, **options):
        return threshold_surface(self.PROBS, self.MASKS, GRID, GRID, **options)

    def test_images_of_different_size(self):
        surface = assert_every_cell(self.PROBS, self.MASKS, GRID, GRID)
        assert surface.images == 5
        assert surface.pixels == sum(mask.size for mask in self.MASKS)

    def test_nothing_true(self):
        masks = [np.zeros(mask.shape, bool) for mask in self.MASKS]
        surface = assert_every_cell(self.PROBS, masks, GRID, GRID)
        assert (surface.targets, surface.true) == (0, 0)
        assert np.isnan(surface.pd).all()
        assert np.isnan(surface.score).all()
        assert surface.empty.max() > 0

    def test_nothing_true_and_nothing_predicted(self):
        surface = threshold_surface([np.zeros((3, 4))] * 2, [np.zeros((3, 4), bool)] * 2, [0], [0])
        assert surface.at(0, 0) == Counts(images=2, empty=2, pixels=24)
        assert np.isnan(surface.iou)

    @pytest.mark.parametrize("name", ["iou", "niou", "pd", "fa", "score"])
    def test_ratios_are_those_of_the_counts(self, name):
        empty = np.zeros((3, 3), bool)
        for surface in (self.surface(), threshold_surface([empty * 0.5], [empty], GRID, GRID)):
            ratios = getattr(surface, name)
            for i, a in enumerate(GRID):
                for j, b in enumerate(GRID):
                    expected = getattr(surface.at(a, b), name)
                    np.testing.assert_array_equal(
                        ratios[i, j], np.nan if expected is None else expected
                    )

    @pytest.mark.parametrize("workers", [1, 2, 5, 32])
    def test_workers_change_nothing(self, workers):
        probs = [random_map(k, (9, k + 1)) for k in range(40)]
        masks = [prob > 0.45 for prob in probs]
        scales = [[prob[::-1], prob] for prob in probs]
        for own in (None, scales):
            ours = threshold_surface(probs, masks, GRID, GRID, scale_maps=own, workers=workers)
            one = threshold_surface(probs, masks, GRID, GRID, scale_maps=own, workers=1)
            assert_same_surface(ours, one)

    def test_generators_and_tensors(self):
        expected = self.surface()
        assert_same_surface(
            threshold_surface(iter(self.PROBS), (mask for mask in self.MASKS), GRID, GRID), expected
        )
        probs = [torch.from_numpy(np.asarray(p)).requires_grad_() for p in self.PROBS]
        masks = [torch.from_numpy(mask)[None, None] for mask in self.MASKS]
        assert_same_surface(threshold_surface(probs, masks, GRID, GRID), expected)

    def test_a_scale_s_maps_may_be_one_array(self):
        scales = np.stack([MAPS["blobs"], MAPS["white noise"]])
        args = [MAPS["blobs"]], [self.MASKS[0]], GRID, GRID
        assert_same_surface(
            threshold_surface(*args, scale_maps=scales[None]),
            threshold_surface(*args, scale_maps=[list(scales)]),
        )

    def test_memory_layout_and_permission_do_not_matter(self, tmp_path):
        prob, mask = MAPS["blobs"], self.MASKS[0]
        expected = threshold_surface([prob], [mask], GRID, GRID)
        compiled_for = list(getattr(_add_regions, "signatures", []))
        spread = np.zeros((96, 96), np.float32)
        spread[::2, ::2] = prob
        frozen = prob.copy(), mask.copy()
        for array in frozen:
            array.setflags(write=False)
        others = [
            (np.asfortranarray(prob), mask.astype(np.uint8)),
            (spread[::2, ::2], mask),
            frozen,
        ]
        others.append((prob.astype(">f4"), np.asfortranarray(mask)))
        np.save(tmp_path / "prob.npy", prob)
        others.append((np.load(tmp_path / "prob.npy", mmap_mode="r"), mask))
        for same, truth in others:
            assert_same_surface(threshold_surface([same], [truth], GRID, GRID), expected)
        assert list(getattr(_add_regions, "signatures", [])) == compiled_for

    @pytest.mark.parametrize("byte", [2, 255])
    def test_true_bytes_other_than_1(self, byte):
        prob, mask = MAPS["blobs"], self.MASKS[0]
        expected = threshold_surface([prob], [mask], GRID, GRID)
        other = (mask.astype(np.uint8) * np.uint8(byte)).view(bool)
        for same in (other, torch.from_numpy(other)):
            assert_same_surface(threshold_surface([prob], [same], GRID, GRID), expected)

    @pytest.mark.parametrize("grid", [["0.1", "0.5"], "0.5", None, [None], [[0.1], [0.2, 0.3]]])
    def test_refuses_grids_of_no_numbers(self, grid):
        prob = np.zeros((4, 4))
        for name, grids in (("th1", (grid, [0.1])), ("th2", ([0.5], grid))):
            with pytest.raises(InputTypeError, match=f"{name} is .*, expected an array or tensor"):
                threshold_surface([prob], [prob > 1], *grids)

    def test_refuses_masked_arrays(self):
        prob = np.ma.masked_array(np.zeros((4, 4)), np.eye(4))
        with pytest.raises(InputTypeError, match=r"prob is a masked array.*; fill it first"):
            threshold_surface([prob], [np.eye(4, dtype=bool)], [0.5], [0.1])

    def test_surfaces_compare_by_value_and_print_short(self):
        prob, mask = MAPS["blobs"], self.MASKS[0]
        one, same = (threshold_surface([prob], [mask], GRID, GRID) for _ in range(2))
        other = threshold_surface([prob], [~mask], GRID, GRID)
        assert one == same
        assert hash(one) == hash(same)
        assert one != other
        assert one != 3
        assert len({one, same, other}) == 2
        assert len(repr(one)) < 150
        assert repr(one).startswith("ThresholdSurface(th1=0..0.8 (6), th2=0..0.8 (6), images=1, ta")
        assert len(one._repr_html_()) < 600
        curve = one.roc(0.1)
        assert curve == same.roc(0.1) != other.roc(0.1)
        assert hash(curve) == hash(same.roc(0.1))
        assert len(repr(curve)) < 80

    def test_maps_are_taken_only_some_way_ahead(self):
        taken = []

        def maps():
            for k in range(200):
                taken.append(k)
                yield np.zeros((2, 2))

        def broken():
            yield from [np.zeros((2, 2), bool)] * 3
            yield np.zeros((3, 3), bool)

        with pytest.raises(ValueError, match="a map has shape"):
            threshold_surface(maps(), broken(), [0.5], [0.1], workers=1)
        assert len(taken) < 10

    def test_nan_is_background_with_a_warning(self):
        prob = MAPS["blobs"].copy()
        prob[::3, ::2] = np.nan
        for own, name in ((None, "prob"), ([[prob]], "scale map")):
            first = prob if own is None else np.nan_to_num(prob)
            with pytest.warns(UserWarning, match=f"{name} has 384 NaN in 2304 values; they count"):
                surface = threshold_surface([first], [self.MASKS[0]], GRID, GRID, scale_maps=own)
            clean = np.nan_to_num(prob)
            assert_same_surface(surface, threshold_surface([clean], [self.MASKS[0]], GRID, GRID))

    def test_input_stays_as_it_was(self):
        prob, mask, grid = MAPS["blobs"].copy(), self.MASKS[0].copy(), np.array(GRID)
        surface = threshold_surface([prob], [mask], grid, grid, scale_maps=[[prob]])
        np.testing.assert_array_equal(prob, MAPS["blobs"])
        np.testing.assert_array_equal(mask, self.MASKS[0])
        grid[0] = 0.05
        assert surface.th1[0] == surface.th2[0] == 0


class TestGrids:
    def test_all_8_bit_levels(self):
        assert (len(EIGHT_BIT), EIGHT_BIT[0], EIGHT_BIT[51], EIGHT_BIT[-1]) == (256, 0, 0.2, 1)
        rng = np.random.default_rng(2)
        prob = np.float32(rng.integers(0, 256, (7, 7)) / 255) * (rng.random((7, 7)) < 0.5)
        mask = prob > 0.6
        surface = threshold_surface([prob], [mask], EIGHT_BIT, EIGHT_BIT)
        assert surface.predicted.shape == (256, 256)
        for i, j in rng.integers(0, 256, (400, 2)):
            a, b = EIGHT_BIT[i], EIGHT_BIT[j]
            assert surface.at(a, b) == expected_counts([prob], [mask], None, a, b)
        below = np.unique(prob[prob > 0])
        exact = [round(float(value) * 255) for value in below]
        np.testing.assert_array_equal(
            surface.predicted[exact, exact], [(prob > value).sum() for value in below]
        )

    def test_every_distinct_value(self):
        prob = NOISE[:7, :6]
        grid = np.unique(prob)
        surface = assert_every_cell([prob], [prob > 0.7], grid, grid)
        np.testing.assert_array_equal(np.diag(surface.predicted), np.arange(42)[::-1])

    def test_one_threshold(self):
        surface = assert_every_cell([MAPS["blobs"]], [MAPS["blobs"] > 0.4], [0.5], [0.1])
        assert surface.iou.shape == (1, 1)

    def test_a_coarse_grid_is_part_of_a_fine_one(self):
        args = [MAPS["blobs in noise"]], [some_truth((48, 48), seed=5)]
        fine = np.linspace(0, 1, 41)
        whole = threshold_surface(*args, fine, fine)
        part = threshold_surface(*args, fine[3::5], fine[1::7])
        for name in ("intersection", "predicted", "detected", "matched", "empty", "iou_sum"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[3::5, 1::7])

    def test_thresholds_that_are_one_as_float32(self):
        grid = [0.1, 0.1 + 1e-10, 0.5]
        surface = threshold_surface([MAPS["blobs"]], [MAPS["blobs"] > 0.4], grid, grid)
        np.testing.assert_array_equal(surface.predicted[0], surface.predicted[1])
        np.testing.assert_array_equal(surface.matched[:, 0], surface.matched[:, 1])

    @pytest.mark.parametrize("name", ["th1", "th2"])
    @pytest.mark.parametrize(
        ("grid", "message"),
        [
            ([], r"has shape \(0,\), expected a list of thresholds"),
            (0.5, r"has shape \(\), expected a list of thresholds"),
            ([[0.1, 0.5]], r"has shape \(1, 2\), expected a list of thresholds"),
            ([0.5, 0.1], r"must be strictly ascending; sort it \(numpy.unique\)"),
            ([0.1, 0.1], "must be strictly ascending"),
            ([0.1, np.nan, 0.5], "must be strictly ascending"),
            ([-0.1, 0.5], r"is -0.1, expected a probability in \[0, 1\]"),
            ([0.1, 1.5], r"is 1.5, expected a probability in \[0, 1\]"),
            ([np.nan], r"is nan, expected a probability in \[0, 1\]"),
            ([0.1, 50], r"is 50.0, expected a probability in \[0, 1\]"),
        ],
    )
    def test_refuses_grids(self, name, grid, message):
        options = {"th1": [0.5], "th2": [0.1]} | {name: grid}
        with pytest.raises(ValueError, match=f"{name} {message}"):
            threshold_surface([np.zeros((4, 4))], [np.zeros((4, 4), bool)], **options)


def surface_of(probs, masks, scale_maps=None):
    return threshold_surface(probs, masks, [0.5], [0.1], scale_maps=scale_maps)


class TestBadInput:
    MAP, MASK = np.zeros((4, 5)), np.zeros((4, 5), bool)

    @pytest.mark.parametrize(("probs", "masks"), [(3, 2), (2, 3), (0, 2), (2, 0)])
    def test_as_many_maps_as_truths(self, probs, masks):
        message = (
            f"maps, masks or scale maps ended after {min(probs, masks)} images; pass one of each"
        )
        with pytest.raises(ValueError, match=message):
            surface_of([self.MAP] * probs, [self.MASK] * masks)

    def test_as_many_lists_of_scale_maps_as_images(self):
        maps, masks = [self.MAP] * 2, [self.MASK] * 2
        with pytest.raises(ValueError, match="scale maps ended after 1 images; pass one of each"):
            surface_of(maps, masks, [[self.MAP]])
        with pytest.raises(ValueError, match="scale maps ended after 2 images; pass one of each"):
            surface_of(maps, masks, [[self.MAP]] * 3)
        with pytest.raises(
            ValueError, match="an image has no scale maps; pass them for every image, o"
        ):
            surface_of(maps, masks, [[self.MAP], []])

    def test_no_images(self):
        with pytest.raises(ValueError, match="no images given; pass at least one map"):
            surface_of([], [])

    @pytest.mark.parametrize(
        ("prob", "mask", "scale"),
        [((4, 4), None, None), (None, (5, 4), None), (None, None, (1, 5))],
    )
    def test_shapes_must_agree(self, prob, mask, scale):
        maps = [np.zeros(prob or (4, 5))]
        scales = [[np.zeros(scale)]] if scale else None
        message = (
            r"a map has shape \(4, [45]\), but its mask or a scale map \(.*\); resize maps to the"
        )
        with pytest.raises(ValueError, match=message):
            surface_of(maps, [np.zeros(mask or (4, 5), bool)], scales)

    @pytest.mark.parametrize("images", [0, 2])
    def test_one_image_at_a_time(self, images):
        batch, masks = np.zeros((images, 4, 5)), np.zeros((images, 4, 5), bool)
        message = rf"has {images} images; pass one map \(H, W\) per image"
        with pytest.raises(ValueError, match=f"a prob {message}"):
            surface_of([batch], [masks])
        with pytest.raises(ValueError, match=f"a mask {message}"):
            surface_of([self.MAP], [masks])
        with pytest.raises(ValueError, match=f"a scale map {message}"):
            surface_of([self.MAP], [self.MASK], [[batch]])

    @pytest.mark.parametrize("values", [-3.0, 4.5, np.inf])
    def test_maps_must_be_probabilities(self, values):
        logits = np.full((4, 5), values)
        with pytest.raises(ValueError, match=r"prob runs from .*, expected prob.* torch.sigmoid"):
            surface_of([logits], [self.MASK])
        with pytest.raises(ValueError, match=r"scale map runs from .*, expected probabilities"):
            surface_of([self.MAP], [self.MASK], [[logits]])

    def test_maps_must_be_floating_point_and_truths_bool(self):
        with pytest.raises(ValueError, match="prob is uint8, expected floating-point"):
            surface_of([np.zeros((4, 5), np.uint8)], [self.MASK])
        with pytest.raises(ValueError, match="mask is uint8 with values other than 0 and 1"):
            surface_of([self.MAP], [np.full((4, 5), 255, np.uint8)])

    def test_an_error_in_a_later_image_comes_through(self):
        maps = [self.MAP] * 30 + [self.MAP + 2]
        with pytest.raises(ValueError, match="prob runs from 2 to 2"):
            surface_of(maps, [self.MASK] * 31)


def table(**changed):
    """A surface of 2 x 3 cells that are all alike, but for the given tables."""
    ones = np.ones((2, 3), np.int64)
    surface = ThresholdSurface(
        th1=np.array([0.3, 0.6]),
        th2=np.array([0.1, 0.2, 0.5]),
        intersection=20 * ones,
        predicted=100 * ones,
        detected=2 * ones,
        matched=100 * ones,
        iou_sum=0.5 * ones,
        empty=0 * ones,
        images=1,
        pixels=10**6,
        targets=4,
        true=40,
    )
    return replace(surface, **{name: np.array(rows) for name, rows in changed.items()})


class TestBest:
    def test_the_highest_score(self):
        best = table(detected=[[2, 3, 2], [2, 2, 2]]).best()
        assert best[:2] == (best.th1, best.th2) == (0.3, 0.2)
        assert best.counts == table(detected=[[2, 3, 2], [2, 2, 2]]).at(0.3, 0.2)
        assert type(best.th1) is type(best.th2) is float

    def test_the_best_point_may_be_kept_in_order(self):
        low, high = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
        high[3, 3], high[5, 5] = 0.9, 0.35
        surface = threshold_surface(
            [low], [high > 0.5], [0.2, 0.5], [0.1, 0.3, 0.6], scale_maps=[[high]]
        )
        assert surface.best(max_fa=1)[:2] == (0.5, 0.6)
        assert surface.best(max_fa=1, ordered=True)[1] <= surface.best(max_fa=1, ordered=True)[0]

    def test_a_better_intersection_counts_as_well(self):
        assert table(intersection=[[20, 20, 20], [21, 20, 20]]).best()[:2] == (0.6, 0.1)

    def test_among_equals_the_lowest_fa_then_th2_below_th1_then_the_highest(self):
        assert table().best()[:2] == (0.6, 0.5)
        assert table(matched=[[100, 99, 99], [99, 99, 99]]).best()[:2] == (0.3, 0.1)
        assert table(matched=[[99, 99, 100], [99, 100, 99]]).best()[:2] == (0.6, 0.2)
        assert table(matched=[[99, 100, 99], [99, 100, 99]]).best()[:2] == (0.6, 0.2)

    def test_only_below_the_limit(self):
        detected, matched = [[4, 3, 2], [1, 1, 1]], [[0, 1, 2], [3, 4, 5]]
        surface = table(detected=detected, matched=matched)
        assert surface.best()[:2] == (0.3, 0.2)  # Fa 1e-4 at (0.3, 0.1) is not below 1e-4
        assert surface.best(max_fa=1.0001e-4)[:2] == (0.3, 0.1)
        assert surface.best(max_fa=9.75e-5)[:2] == (0.6, 0.5)
        for limit in (1e-4, 9.75e-5):
            assert surface.best(limit).counts.fa < limit

    def test_none_below_the_limit(self):
        surface = table(matched=[[0, 0, 0], [0, 0, 10]])
        message = "Score and Fa below 8e-05; the lowest Fa is 9e-05. Widen the grids, or allow more"
        with pytest.raises(ValueError, match=message):
            surface.best(max_fa=8e-5)
        with pytest.raises(ValueError, match="Fa below 0; the lowest Fa is 0"):
            table().best(max_fa=0)

    def test_no_score(self):
        mask = np.zeros((4, 4), bool)
        with pytest.raises(ValueError, match="no pair of thresholds has a Score and Fa below"):
            threshold_surface([mask * 0.5], [mask], [0.5], [0.1]).best()

    @pytest.mark.slow
    def test_equals_a_search_through_all_cells(self):
        prob = MAPS["blobs in noise"]
        surface = threshold_surface([prob], [blobs(48, 5, seed=2) > 0.4], EIGHT_BIT, EIGHT_BIT)
        for limit in (1e-2, 1e-3, 1e-4):
            cells = [
                (c.score, -c.fa, b < a, b, a)
                for a in EIGHT_BIT
                for b, c in zip(EIGHT_BIT, surface.along_th2(a), strict=True)
                if c.fa < limit
            ]
            best = surface.best(limit)
            th1, th2, counts = best
            assert (counts.score, -counts.fa, th2 < th1, th2, th1) == max(cells)


class TestAt:
    def test_lines_of_cells(self):
        surface = TestSets().surface()
        assert surface.along_th1(0.25) == [surface.at(a, 0.25) for a in GRID]
        assert surface.along_th2(0.5) == [surface.at(0.5, b) for b in GRID]

    def test_counts_are_plain_numbers(self):
        values = TestSets().surface().at(0.5, 0.1).record()
        assert {type(value) for value in values.values()} <= {int, float, bool}
        json.dumps(values)

    def test_finds_thresholds_in_spite_of_rounding(self):
        surface = threshold_surface([MAPS["blobs"]], [NOISE > 2], np.arange(0.1, 1, 0.1), [0.1])
        assert surface.at(0.3, 0.1) == surface.along_th1(0.1)[2]

    @pytest.mark.parametrize("value", [0.29, 0.301, -1, 7, math.nan, math.inf])
    def test_refuses_thresholds_off_the_grid(self, value):
        surface = table()
        for look_up in (
            lambda: surface.at(value, 0.1),
            lambda: surface.along_th2(value),
        ):
            with pytest.raises(
                ValueError, match=f"th1 = {value} is not on the grid; nearest is 0."
            ):
                look_up()
        for look_up in (
            lambda: surface.at(0.3, value),
            lambda: surface.along_th1(value),
            lambda: surface.roc(value),
        ):
            with pytest.raises(
                ValueError, match=f"th2 = {value} is not on the grid; nearest is 0."
            ):
                look_up()


class TestAddition:
    def test_a_set_is_the_sum_of_its_parts(self):
        probs, masks = TestSets.PROBS, TestSets.MASKS
        parts = [threshold_surface(probs[k:m], masks[k:m], GRID, GRID) for k, m in ((0, 2), (2, 5))]
        whole, total = TestSets().surface(), parts[0] + parts[1]
        np.testing.assert_allclose(total.iou_sum, whole.iou_sum, rtol=1e-15)
        assert_same_surface(replace(total, iou_sum=whole.iou_sum), whole)
        assert total.at(0.5, 0.1) == parts[0].at(0.5, 0.1) + parts[1].at(0.5, 0.1)

    def test_leaves_its_parts_as_they_were(self):
        surface = table()
        double = surface + surface
        assert (double.images, double.pixels, double.true) == (2, 2 * 10**6, 80)
        assert (double.targets, double.detected[1, 2]) == (8, 4)
        assert_same_surface(surface, table())

    def test_refuses_other_grids(self):
        for name, grid in (("th1", [0.3, 0.7]), ("th2", [0.1, 0.2, 0.6])):
            with pytest.raises(ValueError, match=f"with different grids of {name} cannot be added"):
                table() + table(**{name: grid})


@pytest.mark.parametrize("suffix", [".json", ".npz"])
class TestFiles:
    def test_a_round_trip_is_exact(self, tmp_path, suffix):
        surface = TestSets().surface()
        path = surface.save(tmp_path / f"new folder/surface{suffix}")
        assert [entry.name for entry in path.parent.iterdir()] == [f"surface{suffix}"]
        for place in (path, str(path)):
            loaded = ThresholdSurface.load(place)
            assert_same_surface(loaded, surface)
            for name in ("images", "pixels", "targets", "true"):
                assert type(getattr(loaded, name)) is int

    def test_a_distinct_value_is_found_again(self, tmp_path, suffix):
        grid = np.unique(NOISE[:5, :5])
        surface = threshold_surface([NOISE[:5, :5]], [NOISE[:5, :5] > 0.5], grid, [1e-300, 1 / 3])
        assert_same_surface(ThresholdSurface.load(surface.save(tmp_path / f"s{suffix}")), surface)

    def test_saving_again_replaces(self, tmp_path, suffix):
        path = table().save(tmp_path / f"s{suffix}")
        (table() + table()).save(path)
        assert ThresholdSurface.load(path).images == 2

    def test_no_such_file(self, tmp_path, suffix):
        with pytest.raises(FileNotFoundError):
            ThresholdSurface.load(tmp_path / f"missing{suffix}")

    def test_a_damaged_file(self, tmp_path, suffix):
        path = table().save(tmp_path / f"s{suffix}")
        whole = path.read_bytes()
        for length in [0, 1, 10, len(whole) // 2, len(whole) - 4]:
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=f"s{suffix} contains no threshold surface"):
                ThresholdSurface.load(path)

    def test_a_file_of_something_else(self, tmp_path, suffix):
        path = tmp_path / f"s{suffix}"
        for content in (
            b"\x89PNG\r\n\x1a\n" * 20,
            b"th1,th2\n0.5,0.1\n",
            b"PK\x03\x04" + bytes(99),
        ):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=f"s{suffix} contains no threshold surface"):
                ThresholdSurface.load(path)


def test_refuses_other_suffixes(tmp_path):
    for name in ("surface.csv", "surface", "surface.json.gz"):
        message = f"{name} is neither .json nor .npz; use one of these suffixes"
        with pytest.raises(ValueError, match=message):
            table().save(tmp_path / name)
        with pytest.raises(ValueError, match=message):
            ThresholdSurface.load(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"th1": None},
        {"th1": 0.5},
        {"th1": "0.5"},
        {"th1": [0.3, 0.5, 0.6]},
        {"detected": [[1, 2, 3]]},
        {"detected": [[1, 2, 3], [1, 2]]},
        {"detected": [["a", "b", "c"]] * 2},
        {"predicted": [[None] * 3] * 2},
        {"predicted": [[10**30] * 3] * 2},
        {"iou_sum": [0.5]},
        {"images": None},
        {"images": [1, 2]},
        {"images": math.inf},
        {"targets": "many"},
    ],
    ids=str,
)
def test_refuses_json_that_holds_no_surface(tmp_path, change):
    path = table().save(tmp_path / "s.json")
    values = json.loads(path.read_text()) | change
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"s.json contains no threshold surface"):
        ThresholdSurface.load(path)
    for name in change:
        del values[name]
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"s.json contains no threshold surface \(KeyError"):
        ThresholdSurface.load(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "3", '"th1"', "[1, 2]", "{"])
def test_refuses_other_json(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ValueError, match=r"s.json contains no threshold surface"):
        ThresholdSurface.load(tmp_path / "s.json")


@pytest.mark.slow
def test_every_broken_byte_of_an_npz_is_noticed_or_harmless(tmp_path):
    path = table().save(tmp_path / "s.npz")
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            loaded = ThresholdSurface.load(path)
        except ValueError:
            continue
        assert_same_surface(loaded, table())


class Opened:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_stay_closed(tmp_path):
    values = {f.name: getattr(table(), f.name) for f in fields(ThresholdSurface)}
    values["images"] = np.array(Opened(tmp_path / "opened"), object)
    np.savez(tmp_path / "s.npz", **values)
    with pytest.raises(
        ValueError, match=r"s.npz contains no threshold surface .*allow_pickle=False"
    ):
        ThresholdSurface.load(tmp_path / "s.npz")
    assert not (tmp_path / "opened").exists()


def pair_auc(prob, mask):
    """How often a true pixel has more than another one, ties half."""
    difference = np.sign(np.subtract.outer(prob[mask].astype(float), prob[~mask].astype(float)))
    return (difference.mean() + 1) / 2


class TestROC:
    @pytest.mark.parametrize("name", ["noise in 10 levels", "blobs", "speckle", "full, weak"])
    def test_auc_counts_pairs(self, name):
        prob = np.asarray(MAPS[name], np.float32)
        mask = NOISE[: prob.shape[0], : prob.shape[1]] ** 2 + prob > 0.8
        curve = roc([prob], [mask], np.union1d(0, prob))
        assert curve.auc == pytest.approx(pair_auc(prob, mask), abs=1e-12)
        order = prob[mask].argsort()  # the rates, pixel by pixel
        for k in order[:: max(1, len(order) // 20)]:
            i = np.searchsorted(curve.thresholds, prob[mask][k])
            assert curve.tpr[i] == (prob[mask] > prob[mask][k]).mean()
            assert curve.fpr[i] == (prob[~mask] > prob[mask][k]).mean()

    @given(st.data(), shapes)
    def test_auc_counts_pairs_over_several_images(self, data, shape):
        probs = [data.draw(arrays(np.float32, shape, elements=levels)) for _ in range(2)]
        masks = [np.ones(shape, bool), np.zeros(shape, bool)]
        curve = roc(probs, masks, np.union1d(0, probs))
        assert curve.auc == pytest.approx(pair_auc(np.stack(probs), np.stack(masks)), abs=1e-12)

    def test_is_the_surface_without_weak_targets(self):
        prob, mask = MAPS["blobs in noise"], some_truth((48, 48), seed=6)
        curve, grid = roc([prob], [mask]), EIGHT_BIT
        surface = threshold_surface([prob], [mask], grid, [0.1, 1.0])
        assert len(curve.thresholds) == 256
        for ours, theirs in zip(vars(curve).values(), vars(surface.roc(1.0)).values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        counts = [expected_counts([prob], [mask], None, a, 1.0) for a in grid[::16]]
        assert curve.pd[::16].tolist() == [one.pd for one in counts]
        assert curve.fa[::16].tolist() == [one.fa for one in counts]
        assert curve.tpr[::16].tolist() == [one.recall for one in counts]
        assert surface.roc(0.1).pd.sum() > curve.pd.sum()

    def test_areas_by_hand(self, monkeypatch):
        one = ROC(np.array([0.5]), *np.array([[0.5], [0.25], [1.0], [0.0]]))
        monkeypatch.delattr(np, "trapezoid", raising=False)  # numpy 1.26 has none
        assert one.auc == pytest.approx(0.25 * 0.25 + 0.75 * 0.75)
        perfect = ROC(np.array([0.0, 0.5]), *np.array([[1, 1], [1, 0], [1, 1], [1, 0]], float))
        assert (perfect.auc, perfect.pd_auc()) == (1, 1)

    def test_pd_auc_by_hand(self):
        pd, fa = np.array([[1.0, 0.8, 0.8, 0.5, 0.2], [2e-4, 9e-5, 6e-5, 2e-5, 1e-5]])
        curve = ROC(np.linspace(0.1, 0.5, 5), pd, fa, pd, fa)
        # 0 up to 1e-5, 0.2 up to 2e-5, 0.5 up to 6e-5, 0.8 up to 1e-4.
        assert curve.pd_auc() == pytest.approx(0.1 * 0.2 + 0.4 * 0.5 + 0.4 * 0.8)
        assert curve.pd_auc(5e-5) == pytest.approx(0.2 * 0.2 + 0.6 * 0.5)
        assert curve.pd_auc(1e-3) == pytest.approx(0.002 + 0.02 + 0.112 + 0.8)
        assert curve.pd_auc(1e-6) == 0

    def test_pd_auc_where_a_higher_threshold_finds_more(self):
        """Targets that melt together are lost again: at any rate the best threshold counts."""
        pd, fa = np.array([[0.2, 0.9, 0.4], [6e-5, 4e-5, 0.0]])
        curve = ROC(np.array([0.1, 0.2, 0.3]), pd, fa, pd, fa)
        assert curve.pd_auc() == pytest.approx(0.4 * 0.4 + 0.6 * 0.9)
        tied = ROC(np.array([0.1, 0.2]), *np.array([[0, 0], [0, 0], [0.9, 0.4], [0.0, 0.0]]))
        assert tied.pd_auc() == pytest.approx(0.9)

    @pytest.mark.parametrize("max_fa", [0, -1, math.nan, math.inf])
    def test_pd_auc_needs_a_range(self, max_fa):
        curve = ROC(np.array([0.5]), *np.array([[0.8], [0.1], [1.0], [1e-5]]))
        with pytest.raises(ValueError, match=f"max_fa is {max_fa}, expected a false-alarm rate in"):
            curve.pd_auc(max_fa)

    @pytest.mark.parametrize("true", [0, 1])
    def test_needs_true_and_other_pixels(self, true):
        mask = np.full((4, 4), bool(true))
        message = f"{16 * true} of 16 pixels are true; a ROC needs true and false pixels"
        with pytest.raises(ValueError, match=message):
            roc([mask * 0.5], [mask])
        with pytest.raises(ValueError, match=message):
            threshold_surface([mask * 0.5], [mask], [0.5], [0.1]).roc(0.1)

    def test_a_flooded_frame_is_what_a_roc_is_for(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            roc([NOISE], [NOISE > 0.5], [0.0, 0.5])
        with pytest.warns(UserWarning, match="1 NaN in 4 values"):
            roc([np.array([[0.1, np.nan], [0.5, 0.9]])], [np.eye(2, dtype=bool)])


def test_refuses_more_pairs_than_memory_holds():
    many = np.linspace(0, 1, 4000)
    with pytest.raises(ValueError, match="4000 × 4000 thresholds exceed the"):
        threshold_surface([np.zeros((4, 4))], [np.zeros((4, 4), bool)], many, many)


@pytest.mark.parametrize("workers", [0, -1])
def test_refuses_no_workers(workers):
    with pytest.raises(ValueError, match=f"workers is {workers}, expected .*threads in .1, "):
        threshold_surface(
            [np.zeros((4, 4))], [np.zeros((4, 4), bool)], [0.5], [0.1], workers=workers
        )


def test_a_float32_grid_is_asked_for_in_float64():
    grid = np.float32([0.1, 0.3])
    surface = threshold_surface([np.zeros((4, 4))], [np.zeros((4, 4), bool)], grid, grid)
    assert surface.at(0.1, 0.3).images == 1
