import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import bits, each_case
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import nn

import festkit.losses
from festkit import EEDMLoss, create_loss, eedm_loss
from festkit._support.errors import InputTypeError
from festkit.losses import (
    LOSSES,
    BCELoss,
    DiceLoss,
    DMLoss,
    EELoss,
    SoftIoULoss,
    dice_loss,
    edge_map,
    hard_mining,
    pixel_bce,
    soft_iou_loss,
)
from festkit.ops.order_statistic import can_fuse, kth_smallest

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8))
shares = st.integers(1, 20)  # twentieths
TIED = {
    "weighted_replicate_edge_f64": {"edge weight 1 equals mining only"},
    "uniform_times_weight_f64": {"edge weight 1 equals mining only", "random p=0.5"},
}


@st.composite
def batches(draw):
    """Logits with many ties, and masks, both (N, 1, H, W)."""
    count, height, width = draw(array_shapes(min_dims=3, max_dims=3, max_side=5))
    shape = (count, 1, height, width)
    logits = draw(arrays(np.float32, shape, elements=st.sampled_from([-4, -1.5, -1.5, 0, 0.5, 3])))
    return torch.from_numpy(logits), torch.from_numpy(draw(arrays(bool, shape)))


def plain_edge(mask):
    """A pixel is edge if one of its 4 neighbours within the image has the other class."""
    height, width = mask.shape
    edge = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(v, u) for v, u in near if 0 <= v < height and 0 <= u < width]
            edge[y, x] = any(mask[pixel] != mask[y, x] for pixel in inside)
    return edge


def plain_eedm(logits, mask, edge_weight, kept_at_least):
    """EEDM in float64 with a full sort: the loss and its gradient."""
    x = logits.double().numpy()
    y = mask.double().numpy()
    edge = np.stack([plain_edge(image[0])[None] for image in mask.numpy()])
    weight = np.where(edge, edge_weight, 1.0)
    loss = weight * (np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))))
    threshold = np.sort(loss, axis=None)[::-1][kept_at_least - 1]
    kept = loss >= threshold * (1 - 1e-12)
    gradient = kept * weight * (1 / (1 + np.exp(-x)) - y) / kept.sum()
    return loss[kept].mean(), gradient


def case_tensors(case, device):
    """Logits and mask of a stored case, (N, 1, H, W)."""
    logits = torch.tensor(case["logits"], device=device)[:, None]
    return logits, torch.from_numpy(bits(case["target"])).to(device)[:, None]


def figures_with_exact_ties(case, edge_weight, section):
    """The stored figures of a case, with pixels of equal loss kept or dropped together.

    In the cases TIED the logits 1.875 and -1.875 lie on the threshold. The stored figures tell the
    two apart by their rounding in float64 and keep one pixel less.
    """
    if case["name"] not in TIED[section]:
        return case[section]
    logits, mask = case_tensors(case, "cpu")
    kept_at_least = mask.numel() - int(case["p_drop"] * mask.numel())
    loss, gradient = plain_eedm(logits, mask, edge_weight, kept_at_least)
    scale = case["edge_weight"] / edge_weight
    figures = {
        "loss": scale * loss,
        "kept": np.count_nonzero(gradient),
        "grad_abs_sum": np.abs(gradient).sum(),
        "grad_sum": gradient.sum(),
    }
    assert figures["kept"] == case[section]["kept"] + 1
    return figures


def with_gradient(loss, logits, mask):
    logits = logits.clone().requires_grad_()
    value = loss(logits, mask)
    value.backward()
    return value.item(), logits.grad


def composed_eedm(logits, mask, edge_weight=4.0, keep_ratio=0.5):
    """EEDM written out in torch, its gradient by autograd."""
    logits = logits.float()
    loss = F.softplus(torch.where(mask, -logits, logits))
    loss = loss * torch.where(edge_map(mask), edge_weight, 1.0)
    kept_at_least = math.ceil(round(keep_ratio * loss.numel(), 6))
    kept = loss.detach() >= loss.detach().flatten().sort().values[-kept_at_least]
    return (loss * kept).sum() / kept.sum()


def assert_same_bits(logits, mask, edge_weight=4.0, keep_ratio=0.5, factor=1.0):
    """EEDM and its composition agree to the last bit: value, gradient, sign of zeros, NaN."""
    results = []
    for loss in (eedm_loss, composed_eedm):
        x = logits.clone().requires_grad_()
        value = loss(x, mask, edge_weight=edge_weight, keep_ratio=keep_ratio)
        (factor * value).backward()
        assert (value.dtype, x.grad.dtype) == (torch.float32, logits.dtype)
        results.append((value.detach(), x.grad))
    for ours, plain in zip(*results, strict=True):
        assert torch.equal(ours.isnan(), plain.isnan())
        assert torch.equal(ours.nan_to_num(), plain.nan_to_num())
        assert torch.equal(ours.signbit() & ~ours.isnan(), plain.signbit() & ~plain.isnan())


def random_batch(seed=0, shape=(2, 1, 16, 16)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator) * 3
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[:, :, 4:7, 5:9] = True
    return logits, mask


class TestEdgeMap:
    @each_case("edge")
    def test_stored_figures(self, case, device):
        mask = torch.from_numpy(bits(case["mask"])).to(device)
        np.testing.assert_array_equal(edge_map(mask).cpu(), bits(case["replicate"]))

    @each_case("edge")
    def test_how_the_published_edges_differ(self, case):
        """They mark the first row, lose the second, and clear the other lines of the frame."""
        edge = edge_map(torch.from_numpy(bits(case["mask"]))).numpy()
        cleared = np.zeros_like(edge)
        cleared[1:-1, 1:-1] = edge[1:-1, 1:-1]
        np.testing.assert_array_equal(cleared, bits(case["frame_cleared"]))
        cleared[0, 1:-1], cleared[1] = True, False
        np.testing.assert_array_equal(cleared, bits(case["official"]))

    @given(masks)
    def test_agrees_with_plain_loops(self, mask):
        np.testing.assert_array_equal(edge_map(torch.from_numpy(mask)), plain_edge(mask))

    @given(masks)
    def test_symmetries(self, mask):
        mask = torch.from_numpy(mask)
        edge = edge_map(mask)
        assert torch.equal(edge_map(~mask), edge)
        assert torch.equal(edge_map(mask.T).T, edge)
        assert torch.equal(edge_map(mask.flip(0)).flip(0), edge)
        assert torch.equal(edge_map(torch.stack([~mask, mask])[:, None])[1, 0], edge)

    @pytest.mark.parametrize("value", [False, True])
    def test_one_class_has_no_edge(self, value):
        assert not edge_map(torch.full((2, 1, 5, 6), value)).any()

    def test_leaves_the_mask_alone(self):
        _, mask = random_batch()
        before = mask.clone()
        edge_map(mask)
        assert torch.equal(mask, before)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_refuses_masks_that_are_not_bool(self, dtype):
        with pytest.raises(
            ValueError, match=f"the mask is {dtype}, expected torch.bool; pass mask"
        ):
            edge_map(torch.zeros(4, 4, dtype=dtype))


class TestHardMining:
    def test_worked_by_hand(self, device):
        loss = torch.tensor([[1.0, 8.0], [4.0, 2.0]], device=device)
        found = {ratio: hard_mining(loss, ratio).item() for ratio in (0.01, 0.25, 0.26, 0.5, 1)}
        assert found == {0.01: 8, 0.25: 8, 0.26: 6, 0.5: 6, 1: 3.75}

    def test_ties_are_kept(self):
        assert hard_mining(torch.tensor([1.0, 2, 2, 2, 3]), 0.4).item() == 9 / 4
        assert hard_mining(torch.full((7,), 0.5), 0.1).item() == 0.5

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=60), shares)
    def test_agrees_with_sorting(self, values, share):
        kept_at_least = math.ceil(share * len(values) / 20)
        threshold = sorted(values)[-kept_at_least]
        kept = [value for value in values if value >= threshold]
        found = hard_mining(torch.tensor(values, dtype=torch.float32), share / 20)
        assert found.item() == pytest.approx(sum(kept) / len(kept), rel=1e-6)

    @pytest.mark.parametrize(("ratio", "kept"), [(0.07, 7), (0.55, 55), (0.29, 29), (1 - 0.9, 10)])
    def test_rounding_of_the_ratio_keeps_no_extra_value(self, ratio, kept):
        found = hard_mining(torch.arange(100.0), ratio)
        assert found.item() == np.arange(100 - kept, 100).mean()

    def test_gradient_reaches_kept_values_only(self):
        loss = torch.tensor([1.0, 4.0, 3.0, 2.0], requires_grad=True)
        hard_mining(loss, 0.5).backward()
        assert loss.grad.tolist() == [0, 0.5, 0.5, 0]

    @pytest.mark.parametrize("ratio", [0.25, 0.6, 1])
    def test_gradient_by_finite_differences(self, ratio):
        loss = torch.linspace(0.1, 2, 12, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(lambda values: hard_mining(values, ratio), loss)

    @pytest.mark.parametrize("ratio", [0.25, 1])
    def test_nan_is_never_hidden(self, ratio):
        assert hard_mining(torch.tensor([1.0, math.nan, 3.0, 4.0]), ratio).isnan()

    @pytest.mark.parametrize("ratio", [0, -0.5, 1.01, math.nan])
    def test_refuses_other_shares(self, ratio):
        with pytest.raises(
            ValueError, match=rf"keep_ratio is {ratio}, expected a share in \(0, 1\]"
        ):
            hard_mining(torch.ones(4), ratio)

    def test_refuses_no_values(self):
        with pytest.raises(ValueError, match="check for an empty batch"):
            hard_mining(torch.ones(0), 0.5)


class TestEEDM:
    @each_case("eedm")
    def test_stored_figures_in_float64(self, case, device):
        logits, mask = case_tensors(case, device)
        edge_weight = torch.where(edge_map(mask), case["edge_weight"], 1.0)
        for weight, figures in (
            (edge_weight, case["weighted_replicate_edge_f64"]),
            (case["edge_weight"], case["uniform_times_weight_f64"]),
        ):
            x = logits.double().requires_grad_()
            loss = weight * F.binary_cross_entropy_with_logits(x, mask.double(), reduction="none")
            value = hard_mining(loss, 1 - case["p_drop"])
            value.backward()
            threshold = kth_smallest(loss, int(case["p_drop"] * mask.numel()))
            assert threshold.item() == pytest.approx(figures["threshold"], rel=1e-12)
            assert value.item() == pytest.approx(figures["loss"], rel=1e-12)
            assert x.grad.count_nonzero() == figures["kept"]
            assert x.grad.abs().sum().item() == pytest.approx(figures["grad_abs_sum"], rel=1e-12)
            assert x.grad.sum().item() == pytest.approx(figures["grad_sum"], rel=1e-12)

    @each_case("eedm")
    def test_stored_figures(self, case, device):
        logits, mask = case_tensors(case, device)
        loss = EEDMLoss(edge_weight=case["edge_weight"], keep_ratio=1 - case["p_drop"])
        value, gradient = with_gradient(loss, logits, mask)
        figures = figures_with_exact_ties(case, case["edge_weight"], "weighted_replicate_edge_f64")
        assert value == pytest.approx(figures["loss"], rel=1e-6)
        assert gradient.count_nonzero() == figures["kept"]
        assert gradient.abs().sum().item() == pytest.approx(figures["grad_abs_sum"], rel=1e-6)
        assert gradient.sum().item() == pytest.approx(figures["grad_sum"], rel=1e-6)

    @each_case("eedm")
    def test_how_the_published_loss_differs(self, case, device):
        """It weighs every pixel, edge or not: a factor times mining alone."""
        logits, mask = case_tensors(case, device)
        value, gradient = with_gradient(DMLoss(keep_ratio=1 - case["p_drop"]), logits, mask)
        figures = figures_with_exact_ties(case, 1.0, "uniform_times_weight_f64")
        assert case["edge_weight"] * value == pytest.approx(figures["loss"], rel=1e-6)
        assert gradient.count_nonzero() == figures["kept"]
        published = case["uniform_times_weight_f64"]["loss"]
        assert case["official_loss_f64_targets"] == pytest.approx(published, rel=1e-6)

    @each_case("eedm")
    def test_stored_plain_cross_entropy(self, case, device):
        value = BCELoss()(*case_tensors(case, device)).item()
        assert value == pytest.approx(case["plain_bce_mean_f64"], rel=1e-6)

    @given(batches(), st.sampled_from([1.0, 3.0, 4.0, 7.0]), shares)
    def test_agrees_with_a_full_sort_in_float64(self, batch, edge_weight, share):
        logits, mask = batch
        kept_at_least = math.ceil(share * mask.numel() / 20)
        expected, expected_gradient = plain_eedm(logits, mask, edge_weight, kept_at_least)
        loss = EEDMLoss(edge_weight=edge_weight, keep_ratio=share / 20)
        value, gradient = with_gradient(loss, logits, mask)
        assert value == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-7)

    @given(batches())
    def test_weight_1_and_ratio_1_equal_cross_entropy(self, batch):
        logits, mask = batch
        value = eedm_loss(logits, mask, edge_weight=1, keep_ratio=1).item()
        plain = F.binary_cross_entropy_with_logits(logits.double(), mask.double()).item()
        assert value == pytest.approx(plain, rel=1e-6)

    @pytest.mark.parametrize("fused", [True, False])
    def test_equal_logits_tie_whatever_code_reaches_them(self, fused, monkeypatch):
        """The last pixels of a batch do not fill a vector, and are rounded otherwise."""
        monkeypatch.setattr(festkit.losses, "can_fuse", lambda _: fused)
        for pixels in (9, 17, 31, 33, 75):
            for value in torch.linspace(-8, 8, 81).tolist():
                logits = torch.full((1, 1, 1, pixels), value, requires_grad=True)
                eedm_loss(logits, torch.zeros(1, 1, 1, pixels, dtype=torch.bool)).backward()
                assert logits.grad.count_nonzero() == pixels, (pixels, value)

    def test_gradient_by_hand(self, device):
        logits, mask = (tensor.to(device) for tensor in random_batch())
        value, gradient = with_gradient(eedm_loss, logits, mask)
        weight = torch.where(edge_map(mask), 4.0, 1.0)
        kept = gradient != 0
        expected = weight * (logits.sigmoid() - mask.float()) / kept.sum()
        torch.testing.assert_close(gradient, expected * kept, rtol=1e-5, atol=1e-8)
        assert kept.sum() == mask.numel() // 2
        weighted = pixel_bce(logits, mask) * weight
        assert weighted[kept].min() >= weighted[~kept].max()
        assert value == pytest.approx(weighted[kept].mean().item(), rel=1e-6)

    @pytest.mark.parametrize("background", [-6, -14, -30])
    def test_confident_background_does_not_tie(self, background, device):
        logits, mask = random_batch()
        logits = torch.where(mask, 3.0, logits + background)
        expected, _ = plain_eedm(logits, mask, 4.0, mask.numel() // 2)
        value, gradient = with_gradient(eedm_loss, logits.to(device), mask.to(device))
        assert value == pytest.approx(expected, rel=1e-5)
        assert gradient.count_nonzero() == mask.numel() // 2

    def test_the_edge_map_changes_the_loss(self, monkeypatch):
        logits, mask = random_batch()
        found = {eedm_loss(logits, mask).item()}
        for edges in (torch.zeros_like, torch.ones_like, lambda mask: edge_map(mask).roll(3, -1)):
            monkeypatch.setattr(festkit.losses, "edge_map", edges)
            found.add(eedm_loss(logits, mask).item())
        assert len(found) == 4

    def test_hardest_pixels_are_taken_over_the_whole_batch(self):
        mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
        logits = torch.full((2, 1, 4, 4), -5.0)
        logits[0] = torch.linspace(1, 2, 16).reshape(1, 4, 4)
        _, gradient = with_gradient(eedm_loss, logits, mask)
        assert gradient[0].all()
        assert not gradient[1].any()

    @pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
    def test_refuses_other_edge_weights(self, value):
        logits, mask = random_batch()
        expected = f"edge_weight is {value}, expected a number in \\(0, inf\\)"
        with pytest.raises(ValueError, match=expected):
            eedm_loss(logits, mask, edge_weight=value)
        with pytest.raises(ValueError, match=expected):
            EEDMLoss(edge_weight=value)

    @pytest.mark.parametrize("value", [0, -1, 1.5, math.nan])
    def test_refuses_other_ratios(self, value):
        logits, mask = random_batch()
        with pytest.raises(ValueError, match=f"keep_ratio is {value}, expected a share in"):
            eedm_loss(logits, mask, keep_ratio=value)
        with pytest.raises(ValueError, match=f"keep_ratio is {value}, expected a share in"):
            EEDMLoss(keep_ratio=value)


class TestFusedEEDM:
    @given(batches(), st.sampled_from([0.1, 1.0, 3.0, 4.0]), shares, st.sampled_from([1, -0.3, 0]))
    def test_same_bits_when_values_tie(self, batch, edge_weight, share, factor):
        assert_same_bits(*batch, edge_weight, share / 20, factor)

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("keep_ratio", [0.1, 0.5, 1])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
    def test_same_bits_on_random_batches(self, seed, keep_ratio, dtype, device):
        logits, mask = (tensor.to(device) for tensor in random_batch(seed, (3, 1, 37, 41)))
        for factor in (1, 65536, 1 / 3):
            assert_same_bits(logits.to(dtype), mask, 5.3, keep_ratio, factor)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 200, -200, 1e-45, -0.0])
    @pytest.mark.parametrize("keep_ratio", [0.001, 0.5, 1])
    def test_same_bits_at_the_limits(self, value, keep_ratio):
        logits, mask = random_batch()
        logits[0, 0, 5, 4:10] = value
        assert_same_bits(logits, mask, keep_ratio=keep_ratio)
        assert_same_bits(torch.full_like(logits, value), mask, keep_ratio=keep_ratio)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_same_bits_under_autocast(self, dtype, device):
        logits, mask = (tensor.to(device) for tensor in random_batch())
        with torch.autocast(logits.device.type, torch.bfloat16):
            assert_same_bits(logits.to(dtype), mask)

    def test_same_gradient_for_any_layout(self):
        logits, mask = random_batch(shape=(3, 1, 16, 24))
        expected = with_gradient(eedm_loss, logits, mask)
        for reorder in (
            lambda tensor: tensor.contiguous(memory_format=torch.channels_last),
            lambda tensor: tensor.mT.contiguous().mT,
            lambda tensor: torch.stack([tensor, tensor], -1)[..., 0],
        ):
            value, gradient = with_gradient(eedm_loss, reorder(logits), reorder(mask))
            assert value == pytest.approx(expected[0], rel=1e-6)
            assert torch.equal(gradient, expected[1])

    def test_same_bits_without_compiled_loops(self, monkeypatch):
        monkeypatch.setattr(festkit.losses, "can_fuse", lambda _: False)
        for seed in range(3):
            assert_same_bits(*random_batch(seed))

    @pytest.mark.slow
    def test_same_bits_within_torch_compile(self, device):
        logits, mask = (tensor.to(device) for tensor in random_batch())
        compiled = torch.compile(eedm_loss, backend="eager")
        value, gradient = with_gradient(compiled, logits, mask)
        expected = with_gradient(eedm_loss, logits, mask)
        assert value == expected[0]
        assert torch.equal(gradient, expected[1])

    def test_runs_backward_twice_when_asked(self):
        logits, mask = random_batch()
        x = logits.requires_grad_()
        value = eedm_loss(x, mask)
        first, second = (torch.autograd.grad(value, x, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(first, second)

    def test_refuses_a_gradient_of_its_gradient(self):
        logits, mask = random_batch()
        if not can_fuse(logits):
            pytest.skip("without compiled loops autograd does it, and can")
        x = logits.requires_grad_()
        with pytest.raises(RuntimeError, match=r"no second derivative .*; write it out"):
            torch.autograd.grad(eedm_loss(x, mask), x, create_graph=True)

    def test_refuses_an_empty_batch(self):
        empty = torch.zeros(0, 1, 4, 4)
        with pytest.raises(ValueError, match="check for an empty batch"):
            eedm_loss(empty, empty.bool())

    def test_host_does_not_wait_for_the_device(self, device):
        if not device.startswith("cuda"):
            pytest.skip("needs a CUDA device")
        logits, mask = (tensor.to(device) for tensor in random_batch())
        logits.requires_grad_()
        torch.cuda.set_sync_debug_mode("error")
        try:
            eedm_loss(logits, mask).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


class TestRegionLosses:
    def test_worked_by_hand(self):
        logits = torch.zeros(1, 1, 2, 2)  # probability 0.5 everywhere
        mask = torch.tensor([[[[True, False], [False, False]]]])
        # sum p y = 0.5, sum p = 2, sum y = 1
        assert soft_iou_loss(logits, mask).item() == pytest.approx(1 - 1.5 / 3.5)
        assert dice_loss(logits, mask).item() == pytest.approx(1 - 2 / 4)

    @pytest.mark.parametrize("loss", [soft_iou_loss, dice_loss])
    def test_averaged_over_images(self, loss):
        logits, mask = random_batch()
        single = [loss(logits[k : k + 1], mask[k : k + 1]).item() for k in range(2)]
        assert loss(logits, mask).item() == pytest.approx(sum(single) / 2, rel=1e-6)

    @pytest.mark.parametrize("loss", [soft_iou_loss, dice_loss])
    @pytest.mark.parametrize("value", [False, True])
    def test_zero_when_perfect(self, loss, value):
        mask = torch.full((2, 1, 8, 8), value)
        assert loss(torch.where(mask, 200.0, -200.0), mask).item() == 0
        assert 0.9 < loss(torch.where(mask, -200.0, 200.0), mask).item() < 1


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    def test_defined_on_empty_and_full_masks(self, name, device):
        for value in (False, True):
            mask = torch.full((2, 1, 8, 8), value, device=device)
            for logit in (-200.0, 0.0, 200.0):
                found, gradient = with_gradient(
                    create_loss(name), torch.full((2, 1, 8, 8), logit, device=device), mask
                )
                assert math.isfinite(found)
                assert found >= 0
                assert gradient.isfinite().all()

    def test_falls_when_logits_improve(self, name):
        logits, mask = random_batch()
        step = torch.where(mask, 1.0, -1.0)
        values = [create_loss(name)(logits + k * step, mask).item() for k in range(6)]
        assert values == sorted(values, reverse=True)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_computed_in_float32(self, name, dtype, device):
        logits, mask = (tensor.to(device) for tensor in random_batch())
        found = create_loss(name)(logits.to(dtype), mask)
        expected = create_loss(name)(logits.to(dtype).float(), mask)
        assert (found.dtype, found.shape) == (torch.float32, ())
        assert found.item() == expected.item()

    def test_leaves_its_input_alone(self, name):
        logits, mask = random_batch()
        create_loss(name)(logits, mask)
        again = random_batch()
        assert torch.equal(logits, again[0])
        assert torch.equal(mask, again[1])

    @pytest.mark.parametrize(
        ("logits", "mask"),
        [
            ((2, 1, 4, 4), (2, 4, 4)),
            ((2, 1, 4, 4), (1, 1, 4, 4)),
            ((2, 1, 4, 4), (2, 1, 4, 5)),
            ((2, 3, 4, 4), (2, 3, 4, 4)),
            ((2, 4, 4), (2, 4, 4)),
        ],
    )
    def test_refuses_other_shapes(self, name, logits, mask):
        with pytest.raises(
            ValueError, match=r"logits \(.*\) and mask \(.*\) must both be \(N, 1, H"
        ):
            create_loss(name)(torch.zeros(logits), torch.zeros(mask, dtype=torch.bool))

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
    def test_refuses_masks_that_are_not_bool(self, name, dtype):
        logits, mask = random_batch()
        with pytest.raises(
            ValueError, match=f"the mask is {dtype}, expected torch.bool; pass mask"
        ):
            create_loss(name)(logits, mask.to(dtype))


class TestCreateLoss:
    def test_names_and_options(self):
        kinds = {
            "bce": BCELoss,
            "Soft-IoU": SoftIoULoss,
            "dice": DiceLoss,
            "ee": EELoss,
            "DM": DMLoss,
            "EEDM": EEDMLoss,
        }
        assert {name: type(create_loss(name)) for name in kinds} == kinds
        loss = create_loss("eedm", edge_weight=5, keep_ratio=0.3)
        assert (loss.edge_weight, loss.keep_ratio) == (5, 0.3)
        assert all(isinstance(create_loss(name), nn.Module) for name in LOSSES)

    def test_modules_equal_their_functions(self):
        logits, mask = random_batch()

        def eedm(edge_weight, keep_ratio):
            return eedm_loss(logits, mask, edge_weight=edge_weight, keep_ratio=keep_ratio)

        pairs = [
            (EEDMLoss(), eedm(4, 0.5)),
            (EELoss(edge_weight=3), eedm(3, 1)),
            (DMLoss(keep_ratio=0.2), eedm(1, 0.2)),
            (BCELoss(), pixel_bce(logits, mask).mean()),
            (SoftIoULoss(), soft_iou_loss(logits, mask)),
            (DiceLoss(), dice_loss(logits, mask)),
        ]
        for loss, expected in pairs:
            assert torch.equal(loss(logits, mask), expected)

    def test_unknown_loss_lists_the_known_and_the_nearest(self):
        expected = r"unknown loss 'EEMD'; choose from BCE, .*, DM, EEDM. Did you mean 'EEDM'\?"
        with pytest.raises(ValueError, match=expected):
            create_loss("EEMD")

    def test_unknown_option_lists_the_known(self):
        expected = "EEDM has no option 'weight'; it has edge_weight, keep_ratio"
        with pytest.raises(ValueError, match=expected):
            create_loss("EEDM", weight=3)
        with pytest.raises(ValueError, match=r"DM has no option 'edge_weight'; it has keep_ratio$"):
            create_loss("DM", edge_weight=3)
        with pytest.raises(ValueError, match="Dice has no option 'smooth'; it has no options"):
            create_loss("Dice", smooth=1)

    def test_options_are_checked_at_once(self):
        with pytest.raises(ValueError, match="edge_weight is 0"):
            create_loss("EE", edge_weight=0)
        with pytest.raises(ValueError, match="keep_ratio is 2"):
            create_loss("DM", keep_ratio=2)


@pytest.mark.parametrize("value", [None, "4", [4.0], np.array([4.0]), True])
def test_refuses_options_that_are_no_number(value):
    for name, create in (("edge_weight", EELoss), ("keep_ratio", DMLoss)):
        with pytest.raises(InputTypeError, match=f"{name} is .*, expected one number"):
            create(value)


@pytest.mark.parametrize("loss", [pixel_bce, eedm_loss, soft_iou_loss, dice_loss])
def test_refuses_arrays(loss):
    logits, mask = np.zeros((1, 1, 4, 4), np.float32), np.zeros((1, 1, 4, 4), bool)
    with pytest.raises(InputTypeError, match=r"logits is .*, expected a tensor"):
        loss(logits, torch.from_numpy(mask))
    with pytest.raises(InputTypeError, match=r"mask is .*, expected a tensor"):
        loss(torch.from_numpy(logits), mask)


@pytest.mark.parametrize("loss", [pixel_bce, eedm_loss, soft_iou_loss, dice_loss])
def test_true_bytes_other_than_1(loss):
    mask = np.zeros((1, 1, 9, 9), bool)
    mask[0, 0, 2:5, 3:6] = True
    other = torch.from_numpy((mask.astype(np.uint8) * np.uint8(255)).view(bool))
    logits = torch.linspace(-3, 3, 81).reshape(1, 1, 9, 9).requires_grad_()
    expected = loss(logits, torch.from_numpy(mask))
    found = loss(logits, other)
    assert torch.equal(found, expected)
    for each, same in zip(
        torch.autograd.grad(found.sum(), logits),
        torch.autograd.grad(expected.sum(), logits),
        strict=True,
    ):
        assert torch.equal(each, same)
    assert torch.equal(edge_map(other), edge_map(torch.from_numpy(mask)))
