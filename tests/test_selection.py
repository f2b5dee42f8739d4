import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from festkit.selection import kth_smallest

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
