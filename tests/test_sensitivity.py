import warnings
from dataclasses import replace
from itertools import chain

import cv2
import numpy as np
import plain_components
import pytest
import torch
from goldens import GOLDENS, bits, dense, each_case
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from festkit import Detection, adjust_sensitivity, count, fuse, sensitivity
from festkit._support.errors import InputTypeError
from festkit.ops import components
from festkit.ops.components import Components, columns, compiled, find_components
from festkit.sensitivity import check_threshold

LEVELS = st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 1.0])
THRESHOLDS = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 1.0])
prob_maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=LEVELS)
prob_batches = arrays(np.float32, array_shapes(min_dims=3, max_dims=3, max_side=7), elements=LEVELS)


def flood_fill(foreground):
    """8-connected components in raster order, pixel by pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(foreground)}
    components = []
    while left:
        waiting = [min(left)]
        left -= set(waiting)
        component = []
        while waiting:
            y, x = waiting.pop()
            component.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            waiting += near
        components.append(component)
    return components


def plain_refine(prob, scale_maps, th1, th2):
    """Adjustable sensitivity written out: the mask and the weak centroids."""
    strong = prob > np.float32(th1)
    mask = strong.copy()
    weak = []
    for scale in scale_maps:
        before = mask.copy()
        for component in flood_fill(scale > np.float32(th2)):
            if not any(before[pixel] for pixel in component):
                y = sum(y for y, _ in component) // len(component)
                x = sum(x for _, x in component) // len(component)
                mask[y, x] = True
                weak.append([y, x])
    return mask, np.array(weak, int).reshape(-1, 2)


def refine(prob, th1=0.5, th2=0.1, **options):
    """adjust_sensitivity without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return adjust_sensitivity(prob, th1, th2, **options)


def refine_by_tensors(device, prob, *thresholds, scale_maps=None):
    """The same by tensor operations, which the CPU otherwise leaves to arrays."""
    maps = [prob, *(scale_maps or [])]
    tensors = [torch.from_numpy(np.array(values)).to(device) for values in maps]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "_native", lambda tensor: tensor.detach().float())
        found = refine(tensors[0], *thresholds, scale_maps=tensors[1:] if scale_maps else None)
    assert isinstance(found._prob, torch.Tensor)
    assert {found.mask.device.type, found.weak.device.type} == {torch.device(device).type}
    return found


def inject_plainly(mask, prob, th2):
    found = Components(*plain_components.find(prob, th2))
    chosen = np.flatnonzero(~found.overlaps(mask))
    centres = columns(found.image, *found.centroid_pixel.T)[chosen]
    mask[tuple(centres.T)] = True
    return chosen, centres


def refine_plainly(_, prob, *thresholds, scale_maps=None):
    """The same without compiled loops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "find", plain_components.find)
        patch.setattr(sensitivity, "_inject", inject_plainly)
        patch.setattr(sensitivity, "_mark_above", lambda *_: 2**32 - 1)  # leaves it to numpy
        found = refine(prob, *thresholds, scale_maps=scale_maps)
        targets = found.targets()
    assert found.targets() == targets
    return found


def assert_same(ours, theirs):
    """Equal in every pixel, every target and every type."""
    for name in ("mask", "strong", "weak"):
        a, b = getattr(ours.numpy(), name), getattr(theirs.numpy(), name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert (ours.th1, ours.th2) == (theirs.th1, theirs.th2)
    assert ours.targets() == theirs.targets()


def added(detection):
    return np.argwhere(detection.mask & ~detection.strong).tolist()


def noise(seed, shape=(48, 64)):
    """A smooth random map in [0, 1], with many weak and strong spots."""
    field = np.random.default_rng(seed).random(shape, dtype=np.float32)
    field = cv2.GaussianBlur(field, (0, 0), 1.3)
    return np.clip((field - 0.5) / (field.max() - 0.5), 0, 1)


class TestStoredFigures:
    @each_case("as_single")
    def test_one_map(self, case):
        found = refine(dense(case["map"]), case["th1"], case["th2"])
        assert found.strong.sum() == case["n_T1"]
        assert added(found) == case["component_added"]

    @each_case("as_multiscale")
    def test_weak_targets_of_each_scale(self, case):
        maps = [dense(scale) for scale in case["maps"]]
        fused = fuse(maps, maps[0].shape)
        found = refine(fused, case["th1"], case["th2"], scale_maps=maps)
        assert found.strong.sum() == case["n_T1"]
        assert added(found) == case["official_per_scale_added"]

    @each_case("as_multiscale")
    def test_weak_targets_of_the_fused_map(self, case):
        maps = [dense(scale) for scale in case["maps"]]
        found = refine(fuse(maps, maps[0].shape), case["th1"], case["th2"])
        assert added(found) == case["fused_map_added"]

    @pytest.mark.parametrize("i", range(8))
    @pytest.mark.parametrize("j", range(8))
    def test_sweep(self, i, j):
        sweep = GOLDENS["sweep"]
        truth = bits(sweep["gt"])
        th1, th2 = sweep["thresholds"][i], sweep["thresholds"][j]
        found = refine(dense(sweep["map"]), th1, th2)
        result = count(found.mask, truth)
        predicted = int(found.mask.sum())
        figures = [
            result.intersection,
            predicted,
            result.detected,
            predicted - result.false_pixels,
        ]
        # At th2 >= th1 only the strong mask is left, which the diagonal stores.
        assert figures == sweep["value"][i][min(i, j)]
        assert (truth.sum(), result.targets) == (sweep["gt_px"], sweep["gt_targets"])


class TestAgainstPlainReference:
    @given(prob_maps, THRESHOLDS, THRESHOLDS)
    def test_one_map(self, prob, th1, th2):
        found = refine(prob, th1, th2)
        mask, weak = plain_refine(prob, [prob], th1, th2)
        np.testing.assert_array_equal(found.mask, mask)
        np.testing.assert_array_equal(found.weak, weak)

    @given(st.data(), THRESHOLDS, THRESHOLDS)
    def test_scale_maps(self, data, th1, th2):
        shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=9))
        maps = [data.draw(arrays(np.float32, shape, elements=LEVELS)) for _ in range(3)]
        prob = fuse(maps, shape)
        found = refine(prob, th1, th2, scale_maps=maps)
        mask, weak = plain_refine(prob, maps, th1, th2)
        np.testing.assert_array_equal(found.mask, mask)
        np.testing.assert_array_equal(found.weak, weak)

    @pytest.mark.parametrize("seed", range(4))
    def test_smooth_maps(self, seed):
        maps = [noise(seed), noise(seed + 100)]
        prob = fuse(maps, maps[0].shape)
        for scale_maps in (None, maps):
            found = refine(prob, 0.4, 0.2, scale_maps=scale_maps)
            mask, weak = plain_refine(prob, scale_maps or [prob], 0.4, 0.2)
            np.testing.assert_array_equal(found.mask, mask)
            np.testing.assert_array_equal(found.weak, weak)
            assert len(weak) > 5
            assert found.strong.sum() > 5


class TestProperties:
    @given(prob_maps, THRESHOLDS, THRESHOLDS)
    def test_only_adds_pixels_to_the_strong_mask(self, prob, th1, th2):
        found = refine(prob, th1, th2)
        np.testing.assert_array_equal(found.strong, prob > np.float32(th1))
        assert not (found.strong & ~found.mask).any()
        assert (found.mask & ~found.strong).sum() <= len(found.weak)

    @given(prob_maps, THRESHOLDS, THRESHOLDS)
    def test_th2_from_th1_upwards_leaves_the_strong_mask(self, prob, low, high):
        th1, th2 = sorted((low, high))
        with pytest.warns(UserWarning, match=f"th2 = {th2} is not below th1 = {th1}"):
            found = adjust_sensitivity(prob, th1, th2)
        np.testing.assert_array_equal(found.mask, prob > np.float32(th1))
        assert found.weak.shape == (0, 2)

    @given(prob_maps, THRESHOLDS)
    def test_no_th2_looks_for_no_weak_targets(self, prob, th1):
        found = adjust_sensitivity(prob, th1, None)
        np.testing.assert_array_equal(found.mask, prob > np.float32(th1))
        assert (found.weak.shape, found.th2) == ((0, 2), None)

    @given(prob_maps)
    def test_one_map_transposes(self, prob):
        transposed = refine(prob.T)
        np.testing.assert_array_equal(transposed.mask.T, refine(prob).mask)

    @given(prob_batches)
    def test_a_batch_equals_its_maps(self, batch):
        single = [refine(prob) for prob in batch]
        weak = [[k, *pixel] for k, found in enumerate(single) for pixel in found.weak.tolist()]
        for shaped in (batch, batch[:, None]):
            found = refine(shaped)
            assert found.mask.shape == found.strong.shape == shaped.shape
            np.testing.assert_array_equal(
                found.mask.reshape(batch.shape), np.stack([one.mask for one in single])
            )
            np.testing.assert_array_equal(found.weak, np.array(weak, int).reshape(-1, 3))
            own = [replace(t, image=k) for k, one in enumerate(single) for t in one.targets()]
            listed = sorted(found.targets(), key=lambda target: target.image)
            assert listed == own

    @given(prob_batches)
    def test_a_batch_equals_its_maps_scale_by_scale(self, batch):
        scales = [batch, np.roll(batch, 1, axis=-1)]
        prob = fuse(scales, batch.shape[-2:])
        found = refine(prob, scale_maps=scales)
        for k, mask in enumerate(found.mask):
            single = refine(prob[k], scale_maps=[scale[k] for scale in scales])
            np.testing.assert_array_equal(mask, single.mask)

    @given(prob=prob_batches)
    def test_arrays_and_tensors_agree(self, device, prob):
        scales = [prob, prob[::-1].copy()]
        for maps in (None, scales):
            ours = refine(prob, scale_maps=maps)
            tensors = None if maps is None else [torch.from_numpy(m).to(device) for m in maps]
            found = refine(torch.from_numpy(prob).to(device), scale_maps=tensors)
            for name in ("mask", "strong", "weak"):
                tensor = getattr(found, name)
                assert isinstance(tensor, torch.Tensor)
                assert tensor.device.type == device.partition(":")[0]
                np.testing.assert_array_equal(tensor.cpu().numpy(), getattr(ours, name))
            assert found.targets() == ours.targets()

    @given(prob_maps)
    def test_one_scale_map_equals_the_map_itself(self, prob):
        alone, listed = refine(prob), refine(prob, scale_maps=[prob])
        np.testing.assert_array_equal(alone.mask, listed.mask)
        np.testing.assert_array_equal(alone.weak, listed.weak)


@pytest.mark.parametrize("other", [refine_by_tensors, refine_plainly])
class TestAllWaysAgree:
    @pytest.mark.parametrize("section", ["as_single", "as_multiscale"])
    def test_on_stored_figures(self, other, device, section):
        for case in GOLDENS[section]:
            maps = [dense(one) for one in case.get("maps") or [case["map"]]]
            prob = fuse(maps, maps[0].shape)
            for scales in (None, maps, maps[::-1]):
                ours = refine(prob, case["th1"], case["th2"], scale_maps=scales)
                found = other(device, prob, case["th1"], case["th2"], scale_maps=scales)
                assert_same(found, ours)

    @given(batch=prob_batches, th1=THRESHOLDS, th2=st.one_of(st.none(), THRESHOLDS))
    def test_on_batches(self, other, device, batch, th1, th2):
        scales = [batch[::-1], np.roll(batch, 1, axis=-1), batch]
        for maps in (None, scales[:1], scales):
            for shaped in (batch, batch[:, None]):
                own = maps and [one.reshape(shaped.shape) for one in maps]
                ours = refine(shaped, th1, th2, scale_maps=own)
                assert_same(other(device, shaped, th1, th2, scale_maps=own), ours)

    @given(prob=prob_maps, th1=THRESHOLDS, th2=st.one_of(st.none(), THRESHOLDS))
    def test_on_one_map(self, other, device, prob, th1, th2):
        for maps in (None, [prob[::-1, ::-1], prob]):
            ours = refine(prob, th1, th2, scale_maps=maps)
            assert_same(other(device, prob, th1, th2, scale_maps=maps), ours)

    @pytest.mark.parametrize("seed", range(4))
    def test_on_smooth_maps(self, other, device, seed):
        maps = [np.stack([noise(seed), noise(seed + k)]) for k in (1, 50, 100)]
        prob = fuse(maps, maps[0].shape[-2:])
        for scales in (None, maps, maps[::-1]):
            ours = refine(prob, 0.4, 0.2, scale_maps=scales)
            assert len(ours.weak) > 10
            assert_same(other(device, prob, 0.4, 0.2, scale_maps=scales), ours)

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_on_other_precisions(self, other, device, dtype):
        prob = noise(9).astype(dtype)
        assert_same(other(device, prob, 0.4, 0.2), refine(prob, 0.4, 0.2))

    def test_on_nan(self, other, device):
        prob = noise(5)
        prob[::2, ::3] = np.nan
        for scales in (None, [prob, prob[::-1]]):
            ours = refine(np.nan_to_num(prob), 0.4, 0.2, scale_maps=scales)
            assert_same(other(device, prob, 0.4, 0.2, scale_maps=scales), ours)
        assert not other(device, np.full((4, 4), np.nan), 0.4, 0.2).mask.any()

    @pytest.mark.parametrize("shape", [(4, 5), (1, 1), (3, 4, 5), (0, 4, 5), (0, 1, 4, 5)])
    def test_on_nothing(self, other, device, shape):
        prob = np.zeros(shape, np.float32)
        for scales in (None, [prob, prob]):
            found = other(device, prob, 0.5, 0.1, scale_maps=scales)
            assert_same(found, refine(prob, scale_maps=scales))
            assert (found.targets(), len(found.weak)) == ([], 0)


class TestTensorsOffTheCPU:
    """What arrays warn about and refuse, tensors do too; the CPU stands in for other devices."""

    @pytest.fixture(autouse=True)
    def stay_tensors(self, monkeypatch):
        monkeypatch.setattr(sensitivity, "_native", lambda tensor: tensor.detach().float())

    def test_nan_warns(self, device):
        prob = torch.tensor([[0.8, torch.nan, 0.3]], device=device, requires_grad=True)
        with pytest.warns(UserWarning, match="prob has 1 NaN in 3 values; they") as record:
            found = adjust_sensitivity(prob)
        assert record[0].filename == __file__
        assert found.mask.tolist() == [[True, False, True]]
        assert prob.isnan().any()

    @pytest.mark.parametrize("values", [[-3.0, 4.5], [0.0, 1.01], [-0.01, 1.0], [0.0, torch.inf]])
    @pytest.mark.filterwarnings("ignore:prob holds 1 NaN")
    def test_out_of_range_is_refused(self, device, values):
        with pytest.raises(ValueError, match=r"prob runs from .*, expected prob.* torch\.sigmoid"):
            adjust_sensitivity(torch.tensor([values], device=device))
        with pytest.raises(ValueError, match="prob runs from"):
            adjust_sensitivity(torch.tensor([[*values, torch.nan]], device=device))

    def test_shapes_must_agree(self, device):
        prob = torch.zeros(4, 4, device=device)
        with pytest.raises(
            ValueError, match=r"a scale map has shape \(1, 5, 4\) on cpu, the fused map"
        ):
            adjust_sensitivity(prob, scale_maps=[prob, torch.zeros(5, 4, device=device)])

    def test_input_and_gradients_stay_as_they_were(self, device):
        prob = torch.from_numpy(noise(3)).to(device).requires_grad_()
        before = prob.detach().clone()
        found = adjust_sensitivity(prob, 0.4, 0.2, scale_maps=[prob, prob.flip(0)])
        assert torch.equal(prob, before)
        assert {found.mask.requires_grad, found.weak.requires_grad} == {False}
        assert not torch.equal(found.mask, found.strong)


class TestKindsOfInput:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
    def test_tensors_of_any_precision(self, device, dtype):
        prob = torch.zeros(9, 9, dtype=dtype)
        prob[2, 2], prob[6, 5:8] = 0.75, 0.25
        found = adjust_sensitivity(prob.to(device).requires_grad_())
        assert torch.argwhere(found.mask).tolist() == [[2, 2], [6, 6]]
        assert found.mask.dtype == torch.bool

    def test_double_precision_compares_as_float32(self):
        assert not adjust_sensitivity(np.array([[0.5 + 1e-9]]), th2=None).mask.any()

    def test_input_stays_as_it_was(self):
        prob = np.array([[0.8, np.nan, 0.3]], np.float32)
        before = prob.copy()
        refine(prob)
        np.testing.assert_array_equal(prob, before)

    def test_no_images(self):
        found = adjust_sensitivity(np.zeros((0, 4, 4), np.float32))
        assert (found.mask.shape, found.weak.shape, found.targets()) == ((0, 4, 4), (0, 3), [])


class TestTargets:
    def test_kinds_places_and_sizes(self):
        prob = np.zeros((10, 12), np.float32)
        prob[1:3, 1:4] = 0.6
        prob[1, 2] = 0.9
        prob[0, 1] = 0.3  # belongs to the strong target's surroundings, not to its mask
        prob[6, 5:9] = 0.25
        prob[6, 6] = 0.375
        found = adjust_sensitivity(prob)
        strong, weak = found.targets()
        assert (strong.kind, strong.centroid, strong.area) == ("strong", (1.5, 2.0), 6)
        assert (strong.peak, strong.box, strong.image) == (pytest.approx(0.9), (1, 1, 3, 4), 0)
        assert (weak.kind, weak.centroid, weak.area) == ("weak", (6.0, 6.5), 4)
        assert (weak.peak, weak.box, weak.image) == (0.375, (6, 5, 7, 9), 0)
        np.testing.assert_array_equal(found.weak, [[6, 6]])
        assert isinstance(found, Detection)
        assert (found.th1, found.th2) == (0.5, 0.1)

    def test_weak_targets_are_measured_on_the_scale_that_saw_them(self):
        scale = np.zeros((8, 8), np.float32)
        scale[3, 3:6] = 0.9
        empty = np.zeros_like(scale)
        found = adjust_sensitivity(fuse([empty, scale], 8), 0.5, 0.1, scale_maps=[empty, scale])
        (target,) = found.targets()
        assert (target.kind, target.peak, target.area) == ("weak", pytest.approx(0.9), 3)

    def test_two_weak_targets_may_share_a_pixel(self):
        prob = np.zeros((7, 7), np.float32)
        prob[1:6, 1:6] = 0.3
        prob[2:5, 2:5] = 0
        prob[3, 3] = 0.3
        found = adjust_sensitivity(prob)
        assert (found.weak.tolist(), found.mask.sum()) == ([[3, 3], [3, 3]], 1)
        assert [target.area for target in found.targets()] == [16]  # and are one object

    @staticmethod
    def spots(*places, side=24, value=0.3):
        prob = np.zeros((side, side), np.float32)
        for y, x, height, width in places:
            prob[y : y + height, x : x + width] = value
        return prob

    @pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
    def test_marks_of_two_scales_on_one_object_are_one_target(self, kind):
        """Centroids (5, 5) and (4, 6) do not meet; the paper's rule counts both marks."""
        scales = [kind(self.spots((5, 5, 1, 1))), kind(self.spots((4, 6, 1, 1)))]
        found = adjust_sensitivity(fuse(scales, 24), scale_maps=scales)
        assert found.weak.tolist() == [[5, 5], [4, 6]]
        assert [target.centroid for target in found.targets()] == [(5.0, 5.0)]
        apart = [scales[0], kind(self.spots((5, 9, 1, 1)))]
        assert len(adjust_sensitivity(fuse(apart, 24), scale_maps=apart).targets()) == 2

    def test_the_paper_counts_both_marks(self):
        scales = [self.spots((5, 5, 1, 1)), self.spots((5, 7, 1, 1))]
        found = adjust_sensitivity(fuse(scales, 24), scale_maps=scales)
        result = count(found.mask, scales[0] > 0)
        assert (len(found.targets()), result.detected, result.false_pixels) == (1, 1, 1)

    @pytest.mark.parametrize(("distance", "targets"), [(2, 1), (3, 2)])
    def test_closer_than_3_px_is_one_object(self, distance, targets):
        prob = self.spots((5, 5, 1, 1), (5, 5 + distance, 1, 1))
        assert len(adjust_sensitivity(prob).targets()) == targets
        prob[5, 5] = 0.9  # a strong target takes a weak mark, too
        assert adjust_sensitivity(prob).targets()[0].kind == "strong"
        assert len(adjust_sensitivity(prob).targets()) == targets
        prob[5, 5 + distance] = 0.9  # but strong targets stay apart
        assert len(adjust_sensitivity(prob).targets()) == 2

    def test_only_targets_that_are_listed_take_others(self):
        prob = self.spots((5, 2, 1, 1), (5, 4, 1, 1), (5, 6, 1, 1), (5, 8, 1, 1))
        assert [t.centroid[1] for t in adjust_sensitivity(prob).targets()] == [2, 6]

    def test_images_of_a_batch_keep_their_targets(self):
        batch = np.stack([self.spots((5, 5, 1, 1))] * 2)
        assert [t.image for t in adjust_sensitivity(batch).targets()] == [0, 1]

    @given(prob_maps)
    def test_agrees_with_comparing_all(self, prob):
        scales = [prob, prob[::-1], np.roll(prob, 1)]
        found = refine(fuse(scales, prob.shape), scale_maps=scales)
        parts = [
            find_components(part.prob, 0.1).centroid[part.chosen].tolist()
            for part in found._weak_parts
        ]
        listed = [list(t.centroid) for t in found.targets() if t.kind == "strong"]
        for centroid in chain.from_iterable(parts):
            if all(np.hypot(*np.subtract(centroid, other)) >= 3 for other in listed):
                listed.append(centroid)
        assert [list(t.centroid) for t in found.targets()] == listed


class TestValues:
    def test_detections_compare_by_value_and_print_short(self):
        one, same, other = (refine(noise(seed)) for seed in (1, 1, 2))
        assert one == same != other
        assert hash(one) == hash(same)
        assert one != "detection"
        assert len({one, same}) == 1
        assert one == refine(torch.from_numpy(noise(1)))
        assert one != refine(noise(1), 0.4)
        assert len(repr(one)) < 100
        assert "shape=(48, 64)" in repr(one)
        assert len(one._repr_html_()) < 500

    def test_targets_compare_hash_and_print(self):
        one, same = (refine(noise(1)).targets()[0] for _ in range(2))
        assert one == same
        assert len({one, same}) == 1
        assert len(repr(one)) < 200
        assert "strong target" in one._repr_html_()

    def test_components_compare_by_value_and_print_short(self):
        one, same, other = (components.find_components(noise(seed)) for seed in (1, 1, 2))
        assert one == same != other
        assert hash(one) == hash(same)
        assert len(repr(one)) < 60


class TestBadInput:
    def test_nan_is_background_with_a_warning(self):
        prob = np.array([[0.8, np.nan, 0.0, 0.3]], np.float32)
        with pytest.warns(UserWarning, match="prob has 1 NaN in 4 values; they count as backgr"):
            found = adjust_sensitivity(prob)
        assert found.mask.tolist() == [[True, False, False, True]]
        assert found.targets()[0].area == 1
        with pytest.warns(UserWarning, match="scale map has 4 NaN in 4 values"):
            adjust_sensitivity(np.zeros((1, 4)), scale_maps=[np.full((1, 4), np.nan)])

    def test_the_warning_points_at_the_caller(self):
        with pytest.warns(UserWarning, match="NaN") as record:
            adjust_sensitivity(np.full((2, 2), np.nan))
        assert record[0].filename == __file__

    @pytest.mark.parametrize("values", [[-3.0, 4.5], [0.0, 1.01], [-0.01, 1.0], [0.0, np.inf]])
    def test_out_of_range_maps_are_taken_for_logits(self, values):
        expected = r"prob runs from .* to .*, expected prob.* in \[0, 1\]; if these are logits, app"
        with pytest.raises(ValueError, match=expected):
            adjust_sensitivity(np.array([values]))
        with pytest.raises(ValueError, match="scale map runs from"):
            adjust_sensitivity(np.zeros((1, 2)), scale_maps=[np.array([values])])

    def test_rounding_beyond_one_is_accepted(self):
        assert adjust_sensitivity(np.array([[1 + 1e-7, -1e-7]])).mask.tolist() == [[True, False]]

    @pytest.mark.parametrize(
        "prob",
        [
            np.full((4, 4), 200, np.uint8),
            np.ones((4, 4), bool),
            torch.full((4, 4), 200, dtype=torch.uint8),
            torch.ones(4, 4, dtype=torch.bool),
            torch.ones(4, 4, dtype=torch.int64),
        ],
    )
    def test_refuses_maps_that_are_not_floating_point(self, prob):
        expected = rf"prob is {prob.dtype}, expected floating-point .* divide 8-bit maps by 255"
        with pytest.raises(ValueError, match=expected):
            adjust_sensitivity(prob)

    @pytest.mark.parametrize("shape", [(4,), (2, 3, 4, 4), (1, 1, 1, 4, 4)])
    def test_refuses_other_dimensions(self, shape):
        with pytest.raises(ValueError, match=r"prob has shape \(.*\), expected \(H, W\), \(N, H"):
            adjust_sensitivity(np.zeros(shape))
        with pytest.raises(ValueError, match=r"prob has shape \(.*\), expected \(H, W\), \(N, H"):
            adjust_sensitivity(torch.zeros(shape))

    @pytest.mark.parametrize("value", [-0.1, 1.5, 50, np.nan])
    def test_refuses_thresholds_outside_0_to_1(self, value):
        prob = np.zeros((4, 4))
        with pytest.raises(
            ValueError, match=rf"th1 is {value}, expected a probability in \[0, 1\]"
        ):
            adjust_sensitivity(prob, th1=value)
        with pytest.raises(
            ValueError, match=rf"th2 is {value}, expected a probability in \[0, 1\]"
        ):
            adjust_sensitivity(prob, th2=value)
        with pytest.raises(ValueError, match="th is"):
            check_threshold("th", value)

    @pytest.mark.parametrize("value", [np.array([0.5, 0.6]), [0.5], "0.5", True, torch.rand(3)])
    def test_refuses_thresholds_that_are_no_number(self, value):
        prob = np.zeros((4, 4))
        for name in ("th1", "th2"):
            with pytest.raises(InputTypeError, match=rf"{name} is .*, expected one number"):
                adjust_sensitivity(prob, **{name: value})
        with pytest.raises(InputTypeError, match="th1 is None, expected one number"):
            adjust_sensitivity(prob, None)
        with pytest.raises(InputTypeError, match=r"threshold is .*, expected one number"):
            components.find_components(prob, value)

    @pytest.mark.parametrize("prob", [None, "map", [["0.5"]], [[0.5], [0.5, 0.5]], {}])
    def test_refuses_maps_of_no_numbers(self, prob):
        with pytest.raises(
            InputTypeError, match=r"prob is .*, expected an array or tensor of numb"
        ):
            adjust_sensitivity(prob)
        with pytest.raises(
            InputTypeError, match=r"values is .*, expected an array or tensor of nu"
        ):
            components.find_components(prob)

    def test_refuses_masked_arrays(self):
        prob = np.ma.masked_array(np.full((4, 4), 0.9), np.eye(4))
        for name, call in (("prob", adjust_sensitivity), ("values", components.find_components)):
            with pytest.raises(
                InputTypeError, match=rf"{name} is a masked.*\({name}\.filled\(0\)\)"
            ):
                call(prob)
        with pytest.raises(InputTypeError, match="scale map is a masked array"):
            adjust_sensitivity(prob.filled(0), scale_maps=[prob])

    @pytest.mark.parametrize("th2", [0.3, 0.5])
    def test_th2_above_th1_warns_on_one_map_only(self, th2):
        prob = np.zeros((4, 4))
        with pytest.warns(UserWarning, match="can have no weak targets") as record:
            adjust_sensitivity(prob, 0.3, th2)
        assert record[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            adjust_sensitivity(prob, 0.3, th2, scale_maps=[prob, prob])
            adjust_sensitivity(prob, 0.3, None)

    def test_refuses_a_scale_map_of_another_shape(self):
        expected = (
            r"a scale map has shape \(1, 5, 4\) .*the fused map \(1, 4, 4\) .*; resize every sc"
        )
        with pytest.raises(ValueError, match=expected):
            adjust_sensitivity(np.zeros((4, 4)), scale_maps=[np.zeros((4, 4)), np.zeros((5, 4))])

    def test_refuses_no_scale_maps(self):
        with pytest.raises(
            ValueError, match="scale_maps is empty; pass the map of every scale, or None"
        ):
            adjust_sensitivity(np.full((4, 4), 0.3), scale_maps=[])
