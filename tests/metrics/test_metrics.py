import json
import math
import re
from dataclasses import asdict, astuple, replace
from functools import reduce

import numpy as np
import pytest
import torch
from goldens import bits, each_case
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats
from skimage.measure import label

from festkit import adjust_sensitivity, fuse, resize_map
from festkit._support.errors import InputTypeError
from festkit.metrics import (
    INTERVAL_METHOD,
    SIZE_CLASSES,
    Counts,
    TargetCounts,
    as_mask,
    confidence_intervals,
    count,
    count_targets,
    evaluate,
    evaluate_images,
    match_targets,
    record_of,
)

pixels = st.sampled_from([False, False, True])


@st.composite
def mask_pairs(draw, min_dims=2, max_dims=2):
    """A prediction and a truth of one shape."""
    shape = draw(array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=9))
    return [draw(arrays(bool, shape, elements=pixels)) for _ in range(2)]


@st.composite
def block_pairs(draw):
    """A prediction and a truth of up to five blocks each, of every size class."""
    side = st.sampled_from([1, 2, 3, 4, 9, 10])
    block = st.tuples(st.integers(0, 19), st.integers(0, 23), side, side)
    return [draw_mask((20, 24), *draw(st.lists(block, max_size=5))) for _ in range(2)]


def regions(mask):
    """Pixel coordinates of every 8-connected target, in raster order of their first pixel."""
    labels = label(mask, connectivity=2)
    found = [np.argwhere(labels == k) for k in range(1, labels.max() + 1)]
    return sorted(found, key=lambda coordinates: tuple(coordinates[0]))


def plain_match(pred, mask, max_distance=3.0):
    """Pairs of a true target and the predicted one it takes, and the predicted ones left over."""
    left, pairs = regions(pred), []
    for target in regions(mask):
        for candidate in left:
            dy, dx = candidate.sum(0) / len(candidate) - target.sum(0) / len(target)
            if math.sqrt(dy * dy + dx * dx) < max_distance:
                pairs.append((target, candidate))
                left = [other for other in left if other is not candidate]
                break
    return pairs, left


def plain_count(pred, mask, max_distance=3.0):
    """The counts of one image, written out with loops."""
    pairs, left = plain_match(pred, mask, max_distance)
    both, either = int((pred & mask).sum()), int((pred | mask).sum())
    return Counts(
        images=1,
        empty=int(either == 0),
        pixels=pred.size,
        intersection=both,
        predicted=int(pred.sum()),
        true=int(mask.sum()),
        iou_sum=both / either if either else 0.0,
        targets=len(regions(mask)),
        detected=len(pairs),
        false_pixels=sum(map(len, left)),
    )


def plain_count_targets(pred, mask, areas=(1, math.inf), max_distance=3.0):
    """The target counts of one image, written out with sets of pixels."""
    pairs, left = plain_match(pred, mask, max_distance)
    pairs = [pair for pair in pairs if areas[0] <= len(pair[0]) <= areas[1]]
    left = [false for false in left if areas[0] <= len(false) <= areas[1]]
    as_sets = [[set(map(tuple, pixels.tolist())) for pixels in pair] for pair in pairs]
    return TargetCounts(
        pixels=pred.size,
        targets=sum(areas[0] <= len(target) <= areas[1] for target in regions(mask)),
        detected=len(pairs),
        false_targets=len(left),
        false_pixels=sum(map(len, left)),
        iou_sum=sum(len(a & b) / len(a | b) for a, b in as_sets),
    )


def assert_same(ours, theirs):
    """Equal, but for the rounding of sums of IoUs."""
    assert type(ours) is type(theirs)
    assert ours.iou_sum == pytest.approx(theirs.iou_sum, rel=1e-12)
    assert replace(ours, iou_sum=0) == replace(theirs, iou_sum=0)


def draw_mask(shape, *targets):
    mask = np.zeros(shape, bool)
    for y, x, height, width in targets:
        mask[y : y + height, x : x + width] = True
    return mask


class TestStoredFigures:
    @each_case("metrics")
    def test_every_image(self, case):
        images = zip(bits(case["pred"]), bits(case["gt"]), case["per_image"], strict=True)
        for pred, truth, figures in images:
            result = count(pred, truth)
            assert {
                "targets": result.targets,
                "false_px": result.false_pixels,
                "detected": result.detected,
                "inter": result.intersection,
                "union": result.union,
            } == figures

    @each_case("metrics")
    def test_whole_set(self, case):
        pred, truth, figures = bits(case["pred"]), bits(case["gt"]), case["dataset"]
        for result in (count(pred, truth), evaluate(pred, truth)):
            assert result.pixels == figures["pixels"]
            exact = {"Pd": result.pd, "Fa": result.fa, "IoU": result.iou}
            exact["score_value"] = result.score
            for name, value in exact.items():  # null in JSON is NaN here
                told = figures.get(name)
                np.testing.assert_equal(value, np.nan if told is None else told)
            assert result.niou == pytest.approx(figures["nIoU"], abs=1e-6)
            assert result.valid is figures.get("score_valid", False)


class TestCount:
    @given(mask_pairs(), st.sampled_from([0.5, 1.5, 3.0, 4.0, math.inf]))
    def test_agrees_with_plain_loops(self, pair, max_distance):
        assert count(*pair, max_distance=max_distance) == plain_count(*pair, max_distance)

    @given(mask_pairs(min_dims=3, max_dims=3))
    def test_a_batch_equals_its_images(self, pair):
        single = [plain_count(pred, mask) for pred, mask in zip(*pair, strict=True)]
        expected = reduce(Counts.__add__, single)
        assert count(*pair) == expected
        assert count(*(masks[:, None] for masks in pair)) == expected

    @given(pair=mask_pairs())
    def test_arrays_tensors_and_numbers_agree(self, device, pair):
        expected = count(*pair)
        assert count(*(torch.from_numpy(mask).to(device) for mask in pair)) == expected
        for dtype in (np.uint8, np.int64, np.float32):
            assert count(*(mask.astype(dtype) for mask in pair)) == expected

    @given(mask_pairs())
    def test_transposing_keeps_what_does_not_depend_on_raster_order(self, pair):
        here, there = count(*pair), count(*(mask.T for mask in pair))
        for name in ("intersection", "union", "targets", "pixels", "iou_sum"):
            assert getattr(here, name) == getattr(there, name)

    def test_transposing_may_change_who_matches(self):
        truth = draw_mask((9, 9), (5, 5, 1, 1))
        pred = draw_mask((9, 9), (4, 7, 1, 1), (6, 4, 2, 1))
        assert count(pred, truth).false_pixels == 2
        assert count(pred.T, truth.T).false_pixels == 1

    def test_the_first_match_counts_not_the_nearest(self):
        truth = draw_mask((16, 16), (8, 8, 1, 1))
        pred = draw_mask((16, 16), (6, 7, 1, 3), (8, 8, 1, 1))
        result = count(pred, truth)
        assert (result.detected, result.intersection, result.false_pixels) == (1, 1, 1)

    def test_pixels_of_a_matched_target_are_never_false(self):
        truth = draw_mask((16, 16), (6, 6, 2, 2))
        result = count(draw_mask((16, 16), (4, 4, 6, 6)), truth)
        assert (result.detected, result.false_pixels, result.iou) == (1, 0, 4 / 36)

    def test_a_second_target_on_the_same_truth_is_false(self):
        truth = draw_mask((16, 16), (5, 5, 5, 5))
        result = count(draw_mask((16, 16), (6, 7, 1, 1), (8, 7, 1, 2)), truth)
        assert (result.detected, result.false_pixels) == (1, 2)

    @pytest.mark.parametrize(("distance", "detected"), [(2, 1), (3, 0)])
    def test_distance_three_is_too_far(self, distance, detected):
        truth, pred = draw_mask((9, 9), (4, 4, 1, 1)), draw_mask((9, 9), (4, 4 + distance, 1, 1))
        assert count(pred, truth).detected == detected
        assert count(pred, truth, max_distance=distance + 0.01).detected == 1
        assert count(pred, truth, max_distance=distance).detected == 0

    def test_nothing_true_and_nothing_predicted(self):
        empty = np.zeros((8, 8), bool)
        result = count(empty, empty)
        undefined = ("iou", "pd", "score", "niou_nonempty", "precision", "recall", "f1")
        assert np.isnan([getattr(result, name) for name in undefined]).all()
        assert (result.niou, result.fa, result.valid) == (0.0, 0.0, False)
        record = json.loads(json.dumps(result.record(), allow_nan=False))
        assert [record[name] for name in undefined] == [None] * 7
        full = ~empty
        half = count(np.stack([empty, full]), np.stack([empty, full]))
        assert (half.niou, half.niou_nonempty) == (0.5, 1.0)
        nothing = count(empty[None][:0], empty[None][:0])
        assert nothing == Counts()
        assert np.isnan([nothing.niou, nothing.fa]).all()
        assert nothing.valid is False

    @pytest.mark.parametrize("byte", [2, 128, 255])
    @pytest.mark.parametrize("counting", [count, count_targets])
    def test_true_bytes_other_than_1(self, counting, byte):
        truth, pred = draw_mask((9, 9), (2, 2, 3, 3)), draw_mask((9, 9), (3, 3, 3, 3), (0, 8, 1, 1))
        others = [(mask.astype(np.uint8) * np.uint8(byte)).view(bool) for mask in (pred, truth)]
        expected = counting(pred, truth)
        assert counting(*others) == expected
        assert counting(*(torch.from_numpy(mask) for mask in others)) == expected
        assert np.unique(as_mask("mask", others[0]).view(np.uint8)).tolist() == [0, 1]

    @pytest.mark.parametrize("distance", [None, "3", [3.0], np.array([3.0, 4.0]), True])
    def test_refuses_distances_that_are_no_number(self, distance):
        mask = draw_mask((9, 9), (2, 2, 3, 3))
        with pytest.raises(InputTypeError, match=r"max_distance is .*, expected one number"):
            count(mask, mask, max_distance=distance)

    def test_refuses_masks_of_no_numbers(self):
        mask = draw_mask((9, 9), (2, 2, 3, 3))
        for other in (None, "mask.png", mask.astype(str), mask.astype(object)):
            with pytest.raises(InputTypeError, match=r"pred is .*, expected an array or tensor of"):
                count(other, mask)
        with pytest.raises(InputTypeError, match="mask is a masked array"):
            count(mask, np.ma.masked_array(mask, mask))


class TestCountTargets:
    # Truth: a point (4 px), a spot (16 px) and an extended target (100 px). Prediction: the point
    # one column aside (shared 2, either 6), half of the extended target 2.5 px aside (50, 100),
    # and two false ones, of 12 px and of 1 px.
    TRUTH = draw_mask((24, 32), (2, 2, 2, 2), (2, 12, 4, 4), (8, 20, 10, 10))
    PRED = draw_mask((24, 32), (2, 3, 2, 2), (8, 20, 10, 5), (16, 2, 3, 4), (20, 2, 1, 1))

    @pytest.mark.parametrize(
        ("size", "counts"),
        [
            (None, {"targets": 3, "detected": 2, "false_targets": 2, "false_pixels": 13}),
            ("point", {"targets": 1, "detected": 1, "false_targets": 1, "false_pixels": 1}),
            ("spot", {"targets": 1, "detected": 0, "false_targets": 1, "false_pixels": 12}),
            ("extended", {"targets": 1, "detected": 1, "false_targets": 0, "false_pixels": 0}),
        ],
    )
    def test_worked_by_hand(self, size, counts):
        iou_sum = {None: 2 / 6 + 50 / 100, "point": 2 / 6, "spot": 0, "extended": 50 / 100}[size]
        expected = TargetCounts(pixels=24 * 32, iou_sum=iou_sum, **counts)
        assert_same(count_targets(self.PRED, self.TRUTH, size_class=size), expected)

    @pytest.mark.parametrize("size", [None, *SIZE_CLASSES])
    @given(pair=st.one_of(mask_pairs(), block_pairs()), max_distance=st.sampled_from([1.5, 3, 9]))
    def test_agrees_with_plain_loops(self, size, pair, max_distance):
        areas = (1, math.inf) if size is None else SIZE_CLASSES[size]
        expected = plain_count_targets(*pair, areas, max_distance)
        assert_same(count_targets(*pair, size_class=size, max_distance=max_distance), expected)

    @given(block_pairs())
    def test_the_size_classes_add_up(self, pair):
        whole = count_targets(*pair)
        parts = sum((count_targets(*pair, size_class=s) for s in SIZE_CLASSES), TargetCounts())
        assert_same(replace(parts, pixels=whole.pixels), whole)

    @given(block_pairs())
    def test_agrees_with_count(self, pair):
        ours, theirs = count_targets(*pair), count(*pair)
        for name in ("pixels", "targets", "detected", "false_pixels", "pd", "fa"):
            np.testing.assert_equal(getattr(ours, name), getattr(theirs, name))

    @pytest.mark.parametrize(
        ("height", "width", "size"),
        [(3, 3, "point"), (2, 5, "spot"), (9, 9, "spot"), (2, 41, "extended")],
    )
    def test_edges_of_the_size_classes(self, height, width, size):
        block, empty = draw_mask((12, 50), (1, 1, height, width)), np.zeros((12, 50), bool)
        assert {s: count_targets(empty, block, size_class=s).targets for s in SIZE_CLASSES} == {
            s: int(s == size) for s in SIZE_CLASSES
        }
        found = {s: count_targets(block, empty, size_class=s) for s in SIZE_CLASSES}
        assert {s: counts.false_targets for s, counts in found.items()} == {
            s: int(s == size) for s in SIZE_CLASSES
        }

    @given(mask_pairs(min_dims=3, max_dims=3), st.integers(0, 9))
    def test_any_split_of_a_batch_adds_up(self, pair, cut):
        for counting in (count, count_targets):
            parts = [
                counting(*(masks[part] for masks in pair))
                for part in (slice(cut), slice(cut, None))
            ]
            assert_same(parts[0] + parts[1], counting(*pair))

    def test_tensors(self, device):
        pair = [torch.from_numpy(mask).to(device) for mask in (self.PRED, self.TRUTH)]
        expected = count_targets(self.PRED, self.TRUTH)
        assert count_targets(*pair) == expected
        assert count_targets(*(mask[None, None].float() for mask in pair)) == expected

    def test_nothing_true_and_nothing_predicted(self):
        empty = np.zeros((8, 8), bool)
        result = count_targets(empty, empty)
        assert result == TargetCounts(pixels=64)
        ratios = [getattr(result, name) for name in result.ratios]
        np.testing.assert_equal(ratios, [np.nan, 0, *[np.nan] * 4])


class TestTargetCounts:
    def test_ratios_worked_by_hand(self):
        result = TargetCounts(
            pixels=1000, targets=8, detected=6, false_targets=2, false_pixels=5, iou_sum=4.5
        )
        assert (result.pd, result.fa, result.precision) == (0.75, 0.005, 0.75)
        assert (result.f1, result.target_iou) == (12 / 16, 0.75)
        assert result.hiou == pytest.approx(6 / (8 + 2) * 0.75)

    def test_nothing_detected(self):
        result = TargetCounts(pixels=9, targets=2)
        assert (result.pd, result.f1, result.hiou) == (0, 0, 0)
        assert np.isnan([result.precision, result.target_iou]).all()

    def test_record_is_plain_json(self):
        record = count_targets(TestCountTargets.PRED, TestCountTargets.TRUTH).record()
        assert json.loads(json.dumps(record)) == record
        assert (record["targets"], record["precision"]) == (3, 0.5)
        assert record["hiou"] == pytest.approx(2 / 5 * 5 / 12)


class TestConfidenceIntervals:
    @pytest.fixture
    def images(self):
        """Counts of 30 images: ours, another method's, and ours target by target."""
        rng = np.random.default_rng(3)
        truths = [rng.random((12, 12)) < 0.05 for _ in range(30)]
        ours = [truth ^ (rng.random((12, 12)) < 0.03) for truth in truths]
        others = [truth ^ (rng.random((12, 12)) < 0.06) for truth in truths]
        targets = list(map(count_targets, ours, truths))
        return evaluate_images(ours, truths), evaluate_images(others, truths), targets

    HIT, MISS = (
        Counts(
            images=1, pixels=10**4, intersection=4 * k, predicted=4 * k, true=4, iou_sum=k,
            targets=1, detected=k,
        )
        for k in (1, 0)
    )  # fmt: skip

    def test_one_target_per_image_has_wilsons_interval(self):
        images = [self.HIT] * 90 + [self.MISS] * 10
        z = stats.t.ppf(0.975, 99)
        for end in confidence_intervals(images)["pd"]:
            # 99 trials, since the variance is estimated from 100 images
            assert abs(0.9 - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 99), rel=1e-3)

    def test_targets_of_one_image_that_hang_together_are_one_trial(self):
        four = [
            Counts(images=1, pixels=10**4, targets=4 * c.targets, detected=4 * c.detected)
            for c in [self.HIT] * 30 + [self.MISS] * 10
        ]
        one = confidence_intervals([self.HIT] * 30 + [self.MISS] * 10)["pd"]
        assert confidence_intervals(four)["pd"] == pytest.approx(one)

    @pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
    @pytest.mark.parametrize("images", [*range(2, 11), 100, 101, 5000])
    def test_few_images_have_students_quantile(self, images, level):
        """Wilson's interval of hits alone ends z² / (images + z²) below 1."""
        low, _ = confidence_intervals([self.HIT] * images, level=level)["pd"]
        z = math.sqrt(images * (1 - low) / low)
        assert z == pytest.approx(stats.t.ppf((1 + level) / 2, images - 1), rel=1e-6)

    @pytest.mark.parametrize("images", [5, 20, 200])
    def test_no_zero_width_at_the_bounds(self, images):
        z = stats.t.ppf(0.975, images - 1)
        reach = z * z / (images + z * z)  # Wilson's, of as many trials as images
        found = confidence_intervals([self.HIT] * images)
        for name in set(Counts.ratios) - {"fa"}:
            assert found[name] == pytest.approx((1 - reach, 1))
            assert found[name][1] == 1
        found = confidence_intervals([self.MISS] * images)
        for name in ("iou", "niou", "recall", "pd", "score"):
            assert found[name] == pytest.approx((0, reach))
            assert found[name][0] == 0
        # No false alarm in all of them: a Poisson count of false alarms of 81 px.
        low, high = found["fa"]
        poisson = stats.chi2.ppf(stats.norm.cdf(z), 2) / 2
        assert low == 0
        assert high == pytest.approx(poisson * 81 / (images * 10**4), rel=0.03)

    def test_equal_images_between_the_bounds_have_a_width(self):
        half = Counts(images=1, pixels=100, targets=2, detected=1, iou_sum=1 / 3, intersection=1,
                      predicted=1, true=3)  # fmt: skip
        for low, high in (confidence_intervals([half] * 20)[name] for name in ("iou", "pd")):
            assert low < 1 / 3 < 0.5 < high

    def test_false_alarms_of_one_size_have_a_poisson_interval(self):
        """Garwood's, of their number."""
        images = [Counts(pixels=10**4, false_pixels=100 * (k < 12)) for k in range(200)]
        z = stats.t.ppf(0.975, 199)
        tails = stats.norm.cdf([-z, z])
        low, high = (stats.chi2.ppf(q, 2 * n) / 2 for q, n in zip(tails, (12, 13), strict=True))
        unit = 100 / (200 * 10**4)
        assert confidence_intervals(images)["fa"] == pytest.approx(
            (low * unit, high * unit), rel=5e-3
        )

    @pytest.mark.slow
    @given(st.lists(mask_pairs(), min_size=2, max_size=6))
    def test_every_interval_holds_its_ratio(self, pairs):
        for counting, kind in ((count, Counts), (count_targets, TargetCounts)):
            counts = [counting(*pair) for pair in pairs]
            total, found = sum(counts, kind()), confidence_intervals(counts)
            assert tuple(found) == kind.ratios
            for name, (low, high) in found.items():
                value = getattr(total, name)
                assert {type(low), type(high)} == {float}
                if math.isnan(value):
                    assert math.isnan(low)
                    assert math.isnan(high)
                else:
                    assert 0 <= low <= value <= high <= 1
                    assert low < high

    @given(st.lists(mask_pairs(), min_size=2, max_size=6))
    def test_every_difference_holds_its_value_and_turns_its_sign(self, pairs):
        ours = [count(*pair) for pair in pairs]
        theirs = [count(~pred, mask) for pred, mask in pairs]
        total, other = sum(ours, Counts()), sum(theirs, Counts())
        found = confidence_intervals(ours, baseline=theirs)
        back = confidence_intervals(theirs, baseline=ours)
        for name, (low, high) in found.items():
            value = getattr(total, name) - getattr(other, name)
            np.testing.assert_allclose([-high, -low], back[name])
            assert math.isnan(value) or low <= value <= high

    def test_a_higher_level_is_wider(self, images):
        narrow, wide = (confidence_intervals(images[0], level=level) for level in (0.5, 0.99))
        for name, (low, high) in narrow.items():
            assert wide[name][0] < low < high < wide[name][1]

    def test_the_order_of_images_does_not_matter(self, images):
        ours = images[0]
        found, again = confidence_intervals(ours), confidence_intervals(ours[::-1])
        for name, ends in found.items():
            assert again[name] == pytest.approx(ends)

    def test_equal_methods_may_differ_by_one_hit_more(self, images):
        ours = images[0]
        for low, high in confidence_intervals(ours, baseline=list(ours)).values():
            assert low == -high < 0
        z = stats.t.ppf(0.975, 199)
        found = confidence_intervals([self.HIT] * 200, baseline=[self.HIT] * 200)["pd"]
        assert found == pytest.approx((-z / 200, z / 200), rel=1e-3)

    def test_equal_methods_may_differ_by_one_image_in_any_share_of_pixels(self):
        z = stats.t.ppf(0.975, 199)
        found = confidence_intervals([self.HIT] * 200, baseline=[self.HIT] * 200)
        for name in ("iou", "niou", "niou_nonempty", "precision", "recall", "f1"):
            assert found[name] == pytest.approx((-z / 200, z / 200))

    @pytest.mark.parametrize(("false", "size"), [(0, 81), (20, 81), (300, 300)])
    def test_equal_methods_may_differ_by_one_false_alarm(self, false, size):
        """Of the size that is usual, that of a small target at least."""
        z = stats.t.ppf(0.975, 49)
        one = [replace(self.HIT, false_pixels=false * (k == 7)) for k in range(50)]
        found = confidence_intervals(one, baseline=one)["fa"]
        assert found == pytest.approx((-z * size / (50 * 10**4), z * size / (50 * 10**4)))

    def test_a_difference_in_fa_holds_the_truth_where_false_alarms_are_few(self):
        """Of 20 px each, in 1.2 and 0.4 of 200 images on average: one sample in four has none."""
        rng = np.random.default_rng(5)
        truth, held, repeats = 20 * (0.006 - 0.002) / 10**4, 0, 300
        for _ in range(repeats):
            ours, theirs = (
                [replace(self.HIT, false_pixels=20 * int(k)) for k in rng.random(200) < rate]
                for rate in (0.006, 0.002)
            )
            low, high = confidence_intervals(ours, baseline=theirs)["fa"]
            held += low <= truth <= high
        assert held >= 0.95 * repeats

    def test_pairing_narrows_a_constant_gain(self):
        theirs = [Counts(images=1, targets=4, detected=k % 3) for k in range(50)]
        ours = [replace(counts, detected=counts.detected + 1) for counts in theirs]
        low, high = confidence_intervals(ours)["pd"]
        assert high - low > 0.05
        low, high = confidence_intervals(ours, baseline=theirs)["pd"]
        assert low < 0.25 < high
        assert high - low < 0.03

    def test_a_ratio_undefined_in_one_method_has_no_difference(self):
        nothing = [Counts(images=1, pixels=9, true=4)] * 3
        something = [Counts(images=1, pixels=9, true=4, predicted=4, intersection=4)] * 3
        found = confidence_intervals(something, baseline=nothing)
        assert np.isnan([*found["precision"], *found["pd"], *found["score"]]).all()
        assert found["iou"][1] == 1

    def test_records_name_the_method_and_hold_no_nan(self):
        record = record_of([Counts(images=1, pixels=9)] * 3)
        assert record["intervals"]["method"] == INTERVAL_METHOD
        assert record["intervals"]["pd"] is None
        json.dumps(record, allow_nan=False)
        assert record_of([self.HIT])["intervals"] == {}

    @pytest.mark.parametrize("images", [0, 1])
    def test_refuses_too_few_images(self, images):
        with pytest.raises(ValueError, match=rf"{images} counts of .* at least 2 single images"):
            confidence_intervals([Counts(images=1)] * images)

    @pytest.mark.parametrize(
        ("counts", "baseline", "kinds"),
        [
            ([Counts(), TargetCounts()], None, "Counts, TargetCounts"),
            ([Counts(), Counts()], [TargetCounts()] * 2, "Counts, TargetCounts"),
            ([astuple(Counts())] * 2, None, "tuple"),
        ],
    )
    def test_refuses_mixed_counts(self, counts, baseline, kinds):
        with pytest.raises(TypeError, match=f"counts mix {kinds}; expected only Counts"):
            confidence_intervals(counts, baseline=baseline)

    @pytest.mark.parametrize("length", [0, 2, 4])
    def test_refuses_a_baseline_of_other_length(self, length):
        with pytest.raises(ValueError, match="pass counts of the same images"):
            confidence_intervals([Counts()] * 3, baseline=[Counts()] * length)

    @pytest.mark.parametrize("other", [Counts(pixels=9, targets=2), Counts(pixels=8, targets=1)])
    def test_refuses_a_baseline_on_other_images(self, other):
        counts = [Counts(pixels=9, targets=1)] * 2
        expected = r"image 1 has \(9, 1\) pixels and targets in counts, .* in the same order"
        with pytest.raises(ValueError, match=expected):
            confidence_intervals(counts, baseline=[counts[0], other])

    @pytest.mark.parametrize("level", [0, 1, 95, -0.5, np.nan])
    def test_refuses_a_level_outside_its_range(self, level):
        with pytest.raises(ValueError, match=rf"level is {level}, expected a share in \(0, 1\)"):
            confidence_intervals([Counts()] * 2, level=level)


class TestMatchTargets:
    def test_truths_choose_in_order_and_a_prediction_serves_once(self):
        preds = np.array([[5.0, 5.0], [5.0, 6.0]])
        truths = np.array([[5.0, 7.5], [5.0, 5.0], [5.0, 6.0]])
        np.testing.assert_array_equal(match_targets(preds, truths, 3.0), [0, 1, -1])

    @given(st.integers(0, 2**32), st.sampled_from([0.0, 1.0, 3.0, math.inf]))
    def test_agrees_with_plain_loops(self, seed, max_distance):
        rng = np.random.default_rng(seed)
        preds, truths = (rng.integers(0, 12, (rng.integers(40), 2)) / 2 for _ in range(2))
        given = preds.copy()
        taken = []
        for truth in truths:
            near = [
                k
                for k, pred in enumerate(preds)
                if math.sqrt(((pred - truth) ** 2).sum()) < max_distance and k not in taken
            ]
            taken.append(near[0] if near else -1)
        np.testing.assert_array_equal(match_targets(preds, truths, max_distance), taken)
        np.testing.assert_array_equal(preds, given)

    @staticmethod
    def literal(preds, truths, max_distance):
        """Every remaining prediction is looked at, in order, for every truth, in order."""
        left, taken = list(range(len(preds))), []
        for y, x in truths.tolist():
            dy, dx = preds[left, 0] - y, preds[left, 1] - x
            near = np.flatnonzero(np.sqrt(dy * dy + dx * dx) < max_distance)
            taken.append(left.pop(near[0]) if len(near) else -1)
        return taken

    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        many=st.integers(0, 700),
        side=st.sampled_from([1, 8, 30, 90, 400, 4096]),
        parts=st.sampled_from([1, 2, 3, 5, 7]),
        max_distance=st.sampled_from([1e-3, 0.5, 1.5, 3.0, 4.2, 50.0, math.inf]),
    )
    def test_agrees_with_looking_at_all_sparse_and_dense(
        self, seed, many, side, parts, max_distance
    ):
        """Fractions of 3, 5 and 7 px make distances that only rounding tells from the limit."""
        rng = np.random.default_rng(seed)
        preds, truths = (
            rng.integers(0, side * parts, (rng.integers(many + 1), 2)) / parts for _ in range(2)
        )
        expected = self.literal(preds, truths, max_distance)
        np.testing.assert_array_equal(match_targets(preds, truths, max_distance), expected)

    @pytest.mark.parametrize("step", [0, 1e-9, 0.01, 3 - 1e-12, 3, 3 + 1e-12])
    def test_agrees_where_all_lie_in_one_place_or_on_the_limit(self, step):
        line = np.arange(300.0)[:, None] * [0.6 * step, 0.8 * step] + 7.3
        for preds, truths in (
            (line, line[::-1]),
            (line[::-1], line),
            (line, line + 1.8),
        ):
            expected = self.literal(preds, truths, 3.0)
            np.testing.assert_array_equal(match_targets(preds, truths, 3.0), expected)

    @pytest.mark.parametrize(("preds", "truths"), [(0, 2), (2, 0), (0, 0)])
    def test_nothing_on_one_side(self, preds, truths):
        match = match_targets(np.zeros((preds, 2)), np.zeros((truths, 2)), 3.0)
        np.testing.assert_array_equal(match, [-1] * truths)


class TestCounts:
    def test_ratios_worked_by_hand(self):
        result = Counts(
            images=4,
            pixels=100_000,
            intersection=30,
            predicted=50,
            true=40,
            iou_sum=1.5,
            targets=8,
            detected=6,
            false_pixels=5,
            empty=1,
        )
        assert result.union == 60
        assert (result.iou, result.niou, result.niou_nonempty) == (0.5, 0.375, 0.5)
        assert (result.precision, result.recall, result.f1) == (0.6, 0.75, 60 / 90)
        assert (result.pd, result.fa) == (0.75, 5e-5)
        assert (result.score, result.valid) == (0.625, True)

    @pytest.mark.parametrize(("side", "none"), [("predicted", "recall"), ("true", "precision")])
    def test_one_side_empty(self, side, none):
        result = Counts(images=1, pixels=9, **{side: 4})
        ratios = {name: getattr(result, name) for name in ("iou", "precision", "recall", "f1")}
        expected = {"iou": 0, "precision": 0, "recall": 0, "f1": 0} | {none: np.nan}
        np.testing.assert_equal(ratios, expected)

    @pytest.mark.parametrize(("false_pixels", "valid"), [(99, True), (100, False), (101, False)])
    def test_score_is_valid_only_below_the_false_alarm_limit(self, false_pixels, valid):
        result = Counts(
            images=1, pixels=1_000_000, intersection=1, predicted=1, true=1, iou_sum=1.0,
            targets=1, detected=1, false_pixels=false_pixels,
        )  # fmt: skip
        assert (result.score, result.valid) == (1.0, valid)

    def test_equal_counts_are_equal_and_hash_alike(self):
        ours, theirs = (Counts(images=1, pixels=9, targets=kind(2)) for kind in (int, np.int64))
        assert ours == theirs != replace(ours, targets=3)
        assert len({ours, theirs, TargetCounts(pixels=9, targets=2)}) == 2
        assert eval(repr(ours)) == ours
        assert len(repr(ours)) < 200

    def test_jupyter_shows_the_ratios(self):
        shown = Counts(images=1, pixels=10**6, targets=2, detected=1, false_pixels=120, true=4)
        html = shown._repr_html_()
        assert len(html) < 600
        cells = dict(
            zip(*(re.findall(f"<{t}>(.*?)</{t}>", html) for t in ("th", "td")), strict=True)
        )
        shown = [cells[name] for name in ("Pd [%]", "Fa [10⁻⁶]", "IoU [%]")]
        assert shown == ["50.00", "120.00", "0.00"]
        assert cells["precision [%]"] == "–"  # undefined
        assert cells["Score [%]"] == "–"  # void at this Fa
        assert "<td>–</td>" in TargetCounts()._repr_html_()

    @given(st.lists(mask_pairs(), min_size=3, max_size=3))
    def test_adding_is_associative_and_equals_evaluating_the_whole(self, pairs):
        a, b, c = (count(*pair) for pair in pairs)
        whole = evaluate([pred for pred, _ in pairs], [mask for _, mask in pairs])
        for total in ((a + b) + c, a + (b + c), c + a + b, Counts() + a + b + c):
            assert_same(total, whole)

    def test_different_kinds_do_not_add(self):
        with pytest.raises(TypeError, match="unsupported operand"):
            Counts() + TargetCounts()

    def test_record_is_plain_json(self):
        truth = draw_mask((8, 8), (2, 2, 2, 2))
        record = count(truth, truth).record()
        assert json.loads(json.dumps(record)) == record
        assert (record["iou"], record["pd"], record["valid"], record["targets"]) == (1, 1, True, 1)
        assert record["union"] == 4
        assert {*record} == {*asdict(Counts()), *Counts.ratios, "union", "valid"}


class TestEvaluate:
    def test_images_of_different_size_one_at_a_time(self):
        truths = [draw_mask((8, 9), (2, 2, 2, 2)), draw_mask((5, 4), (0, 0, 1, 1))]
        preds = [truths[0], np.zeros((5, 4), bool)]
        result = evaluate(iter(preds), (truth for truth in truths))
        assert (result.images, result.pixels, result.pd) == (2, 92, 0.5)
        assert (result.iou, result.niou) == (4 / 5, 0.5)

    def test_nothing(self):
        assert evaluate([], []) == Counts()
        assert evaluate_images([], []) == []

    @given(st.lists(mask_pairs(), max_size=4))
    def test_image_by_image(self, pairs):
        preds, masks = [pred for pred, _ in pairs], [mask for _, mask in pairs]
        assert evaluate_images(preds, iter(masks)) == [plain_count(*pair) for pair in pairs]
        assert evaluate(iter(preds), masks) == sum(map(plain_count, preds, masks), Counts())


class TestBadInput:
    @pytest.mark.parametrize("shape", [(8, 9), (1, 8, 8), (9, 8)])
    def test_refuses_masks_of_different_shape(self, shape):
        expected = (
            r"prediction \(.*\) and truth \(8, 8\) differ in shape; resize the probability map"
        )
        with pytest.raises(ValueError, match=expected):
            count(np.zeros(shape, bool), np.zeros((8, 8), bool))

    @pytest.mark.parametrize("value", [255, 2, -1, 0.5, np.nan])
    def test_refuses_masks_with_other_values(self, value):
        mask = np.zeros((4, 4), bool)
        other = np.full((4, 4), value)
        expected = rf"is {other.dtype} with values other than 0 and 1; pass a bool mask"
        with pytest.raises(ValueError, match=f"pred {expected}"):
            count(other, mask)
        with pytest.raises(ValueError, match=f"mask {expected}"):
            count(mask, torch.from_numpy(other))

    @pytest.mark.parametrize("shape", [(4,), (2, 3, 4, 4), (1, 1, 1, 4, 4)])
    def test_refuses_other_dimensions(self, shape):
        with pytest.raises(
            ValueError, match=r"pred has shape \(.*\), expected \(H, W\), \(N, H, W"
        ):
            count(np.zeros(shape, bool), np.zeros(shape, bool))

    @pytest.mark.parametrize("value", [0, -1, np.nan])
    def test_refuses_a_distance_that_matches_nothing(self, value):
        mask = np.ones((4, 4), bool)
        with pytest.raises(ValueError, match=f"max_distance is {value}, expected a distance in"):
            count(mask, mask, max_distance=value)
        with pytest.raises(ValueError, match=f"max_distance is {value}, expected a distance in"):
            count_targets(mask, mask, max_distance=value)

    def test_refuses_an_unknown_size(self):
        mask = np.ones((4, 4), bool)
        with pytest.raises(ValueError, match=r"size class 'spots'; choose from .* mean 'spot'\?"):
            count_targets(mask, mask, size_class="spots")

    def test_refuses_sets_of_unequal_length(self):
        masks = [np.zeros((4, 4), bool)] * 3
        with pytest.raises(ValueError, match="ended after 2 images; pass both"):
            evaluate(masks[:2], masks)
        with pytest.raises(ValueError, match="ended after 1 images; pass both"):
            evaluate(masks, masks[:1])


def test_channels_last_are_no_batch():
    """They would count as one image of width 1 to 4 for each row."""
    mask = np.zeros((32, 32), bool)
    mask[4:7, 4:7] = True
    for channels in (1, 3, 4):
        wide = np.repeat(mask[..., None], channels, 2)
        prob = wide.astype(np.float32)
        for call in (
            lambda m=wide: count(m, m),
            lambda p=prob: adjust_sensitivity(p),
            lambda p=prob: resize_map(p, 16),
            lambda p=prob: fuse([p, p], 16),
        ):
            with pytest.raises(ValueError, match=r"channels last.*\[\.\.\., 0\]"):
                call()
    assert count(mask[None], mask[None]).images == 1


def test_counts_of_several_images_are_not_those_of_one():
    several = Counts(images=4, pixels=64, targets=1, detected=1)
    with pytest.raises(ValueError, match=r"up to 4 images.*evaluate_images"):
        confidence_intervals([several, several])
