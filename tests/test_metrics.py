import json
import math
from dataclasses import asdict
from functools import reduce

import numpy as np
import pytest
import torch
from goldens import bits, each_case
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label

from festkit import Counts, count, evaluate
from festkit.metrics import match_targets

pixels = st.sampled_from([False, False, True])


@st.composite
def mask_pairs(draw, min_dims=2, max_dims=2):
    """A prediction and a truth of one shape."""
    shape = draw(array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=9))
    return [draw(arrays(bool, shape, elements=pixels)) for _ in range(2)]


def regions(mask):
    """Pixel coordinates of every 8-connected target, in raster order of their first pixel."""
    labels = label(mask, connectivity=2)
    found = [np.argwhere(labels == k) for k in range(1, labels.max() + 1)]
    return sorted(found, key=lambda coordinates: tuple(coordinates[0]))


def plain_count(pred, mask, max_distance=3.0):
    """The counts of one image, written out with loops."""
    left = regions(pred)
    true = regions(mask)
    matched = []
    for target in true:
        for candidate in left:
            dy, dx = candidate.sum(0) / len(candidate) - target.sum(0) / len(target)
            if math.sqrt(dy * dy + dx * dx) < max_distance:
                matched.append(candidate)
                left = [other for other in left if other is not candidate]
                break
    both, either = int((pred & mask).sum()), int((pred | mask).sum())
    return Counts(
        images=1,
        pixels=pred.size,
        intersection=both,
        union=either,
        iou_sum=both / either if either else 0.0,
        targets=len(true),
        detected=len(matched),
        false_pixels=int(pred.sum()) - sum(map(len, matched)),
    )


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
            assert (result.pd, result.fa) == (figures["Pd"], figures["Fa"])
            assert result.iou == figures["IoU"]
            assert result.niou == pytest.approx(figures["nIoU"], abs=1e-6)
            assert result.score == figures.get("score_value")
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
        assert (result.iou, result.pd, result.score, result.valid) == (None, None, None, False)
        assert (result.niou, result.fa) == (0.0, 0.0)
        nothing = count(empty[None][:0], empty[None][:0])
        assert nothing == Counts()
        assert (nothing.niou, nothing.fa, nothing.valid) == (None, None, False)


class TestMatchTargets:
    def test_truths_choose_in_order_and_a_prediction_serves_once(self):
        preds = np.array([[5.0, 5.0], [5.0, 6.0]])
        truths = np.array([[5.0, 7.5], [5.0, 5.0], [5.0, 6.0]])
        np.testing.assert_array_equal(match_targets(preds, truths, 3.0), [0, 1, -1])

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
            union=40,
            iou_sum=2.0,
            targets=8,
            detected=6,
            false_pixels=5,
        )
        assert (result.iou, result.niou, result.pd, result.fa) == (0.75, 0.5, 0.75, 5e-5)
        assert (result.score, result.valid) == (0.75, True)

    @pytest.mark.parametrize(("false_pixels", "valid"), [(99, True), (100, False), (101, False)])
    def test_score_is_valid_only_below_the_false_alarm_limit(self, false_pixels, valid):
        result = Counts(1, 1_000_000, 1, 1, 1.0, 1, 1, false_pixels)
        assert (result.score, result.valid) == (1.0, valid)

    @given(st.lists(mask_pairs(), min_size=3, max_size=3))
    def test_adding_is_associative_and_equals_evaluating_the_whole(self, pairs):
        a, b, c = (count(*pair) for pair in pairs)
        whole = evaluate([pred for pred, _ in pairs], [mask for _, mask in pairs])
        for total in ((a + b) + c, a + (b + c), c + a + b, Counts() + a + b + c):
            ours, theirs = asdict(total), asdict(whole)
            assert ours.pop("iou_sum") == pytest.approx(theirs.pop("iou_sum"), rel=1e-12)
            assert ours == theirs

    def test_record_is_plain_json(self):
        truth = draw_mask((8, 8), (2, 2, 2, 2))
        record = count(truth, truth).record()
        assert json.loads(json.dumps(record)) == record
        assert (record["iou"], record["pd"], record["valid"], record["targets"]) == (1, 1, True, 1)


class TestEvaluate:
    def test_images_of_different_size_one_at_a_time(self):
        truths = [draw_mask((8, 9), (2, 2, 2, 2)), draw_mask((5, 4), (0, 0, 1, 1))]
        preds = [truths[0], np.zeros((5, 4), bool)]
        result = evaluate(iter(preds), (truth for truth in truths))
        assert (result.images, result.pixels, result.pd) == (2, 92, 0.5)
        assert (result.iou, result.niou) == (4 / 5, 0.5)

    def test_nothing(self):
        assert evaluate([], []) == Counts()


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
        with pytest.raises(ValueError, match=f"max_distance is {value}, expected a distance above"):
            count(mask, mask, max_distance=value)

    def test_refuses_sets_of_unequal_length(self):
        masks = [np.zeros((4, 4), bool)] * 3
        with pytest.raises(ValueError, match="only 2 predictions came; every image needs one of"):
            evaluate(masks[:2], masks)
        with pytest.raises(ValueError, match="only 1 truths came; every image needs one of each"):
            evaluate(masks, masks[:1])
