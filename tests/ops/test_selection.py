import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from festkit.ops import order_statistic as selection
from festkit.ops.order_statistic import can_fuse, fused_eedm, kth_smallest

numbers = st.lists(
    st.one_of(st.sampled_from([0.0, -1.0, 2.5, math.inf]), st.floats(width=32, allow_nan=False)),
    min_size=1,
    max_size=40,
)


@given(numbers, st.data())
def test_agrees_with_sorting(device, values, data):
    k = data.draw(st.integers(0, len(values) - 1))
    found = kth_smallest(torch.tensor(values, device=device), k)
    assert found.item() == sorted(values)[k]
    assert (found.shape, found.device.type) == ((), device.partition(":")[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_keeps_the_type_of_the_values(device, dtype):
    found = kth_smallest(torch.tensor([[3.0, 1.0], [2.0, 1.0]], dtype=dtype, device=device), 2)
    assert (found.item(), found.dtype) == (2.0, dtype)


def test_nan_sorts_last(device):
    values = torch.tensor([math.nan, 3.0, math.inf, 1.0], device=device)
    assert [kth_smallest(values, k).item() for k in range(3)] == [1.0, 3.0, math.inf]
    assert kth_smallest(values, 3).isnan()


def of_bits(*bits):
    """Float32 values of 32-bit patterns."""
    return torch.from_numpy(np.array(bits, np.uint32).view(np.float32))


def check_ranks(values, ranks, find=kth_smallest):
    expected = values.sort().values
    for k in ranks:
        found = find(values, k)
        assert found == expected[k] or (found.isnan() and expected[k].isnan())


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12))
def test_agrees_with_torch_on_any_bits(bits):
    check_ranks(of_bits(*bits), range(len(bits)))
    check_ranks(of_bits(*bits), range(len(bits)), selection._largest_of_smallest)


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([7.0]),
        torch.full((300,), -2.5),
        torch.tensor([0.0, -0.0, 0.0, -0.0, 1e-45, -1e-45]),  # denormals beside both zeros
        torch.tensor([math.inf, -math.inf, 3.4e38, -3.4e38, math.inf]),
        of_bits(0x7FC00000, 0xFFC00000, 0x7F800001, 0x7F800000, 0xFF800000),  # NaN of both signs
        1 + 2.0**-23 * torch.arange(300),  # equal high halves
        2.0 ** torch.arange(-149, 128),  # every exponent
        torch.arange(4097.0).flip(0),  # one more than a block
        torch.arange(4224.0) % 3,
    ],
    ids=str,
)
def test_agrees_with_torch_on_cases_of_note(values):
    last = len(values) - 1
    check_ranks(values, {0, last // 3, last // 2, last - last // 10, last})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_agrees_with_torch_on_every_type(dtype):
    values = torch.randn(50, generator=torch.Generator().manual_seed(0)).to(dtype)
    check_ranks(values, range(50))


def test_float64_is_not_rounded():
    values = 1 + 2.0**-50 * torch.arange(9, dtype=torch.float64)
    check_ranks(values, range(9))


def test_leaves_its_input_alone_and_carries_no_gradient(device):
    values = torch.tensor([3.0, 1.0, 2.0], device=device, requires_grad=True)
    assert not kth_smallest(values, 0).requires_grad
    assert values.tolist() == [3.0, 1.0, 2.0]


def test_exact_among_many(device):
    values = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    expected = values.sort().values[[0, 49_999, 99_999]]
    found = [kth_smallest(values.to(device), k).item() for k in (0, 49_999, 99_999)]
    assert found == expected.tolist()


@pytest.mark.parametrize("k", [-1, 3])
def test_refuses_a_rank_that_is_none(k):
    with pytest.raises(ValueError, match=f"rank {k} is outside 0 to 2"):
        kth_smallest(torch.zeros(3), k)


def test_refuses_no_values():
    with pytest.raises(ValueError, match="of no values; check for an empty batch"):
        kth_smallest(torch.zeros(0), 0)


def test_fuses_on_the_cpu():
    assert can_fuse(torch.zeros(1))
    assert not can_fuse(torch.zeros(1, device="meta"))


def test_fused_eedm_by_hand():
    logits = torch.tensor([[[[0.0, 0.0, -100.0, 2.0]]]], requires_grad=True)
    mask = torch.tensor([[[[False, True, False, True]]]])
    edge = torch.tensor([[[[False, True, True, False]]]])
    # losses log 2, 3 log 2, 0 and 0.127: the first two are kept
    loss = fused_eedm(logits, mask, edge, edge_weight=3.0, rank=2)
    loss.backward()
    assert loss.item() == pytest.approx(2 * math.log(2), rel=1e-6)
    assert logits.grad.tolist() == [[[[0.25, -0.75, 0, 0]]]]
