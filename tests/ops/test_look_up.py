"""Looking up rows of a table: the vectors, and the gradient of the table against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from mdaf_core.ops.look_up import look_up


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 200), st.sampled_from([torch.float32, torch.float64]))
def test_each_row_gets_the_sum_of_the_gradients_of_its_places(size, dim, places, dtype):
    rng = np.random.default_rng(size * 1000 + dim + places)
    table = torch.from_numpy(rng.normal(size=(size, dim))).to(dtype).requires_grad_()
    rows = torch.from_numpy(rng.integers(size, size=(places, 1)))
    slope = torch.from_numpy(rng.normal(size=(places, 1, dim))).to(dtype)
    found = look_up(table, rows)
    assert torch.equal(found, table[rows])
    found.backward(slope)
    exact = np.zeros((size, dim))
    for row, own in zip(rows[:, 0].tolist(), slope[:, 0].double().numpy(), strict=True):
        exact[row] += own
    rounding = 1e-12 if dtype == torch.float64 else 1e-5
    np.testing.assert_allclose(table.grad.double().numpy(), exact, rtol=rounding, atol=rounding)


def test_sums_are_formed_in_the_order_of_places_as_torch_forms_them():
    rng = torch.Generator().manual_seed(1)
    table, rows = torch.randn(7, 16, generator=rng), torch.randint(7, (500, 3), generator=rng)
    slope = torch.randn(500, 3, 16, generator=rng)
    gradients = []
    for function in (look_up, lambda weight, at: F.embedding(at, weight)):
        own = table.clone().requires_grad_()
        function(own, rows).backward(slope)
        gradients.append(own.grad)
    assert torch.equal(*gradients)


def test_gradients_that_are_not_contiguous_and_other_devices():
    table = torch.arange(6.0).reshape(3, 2).requires_grad_()
    (look_up(table, torch.tensor([[0, 2]])).sum(1) * torch.tensor([1.0, 10.0])).sum().backward()
    assert table.grad.tolist() == [[1, 10], [0, 0], [1, 10]]
    assert look_up(torch.empty(5, 4, device="meta"), torch.zeros(2, 3, dtype=torch.int64, device="meta")).shape == (
        2,
        3,
        4,
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        given = torch.ones(3, 2, requires_grad=True)
        (first,) = torch.autograd.grad((look_up(given, torch.tensor([1])) ** 2).sum(), given, create_graph=True)
        first.sum().backward()


def test_fake_tensors_and_counters_see_torchs_own_look_up():
    with FakeTensorMode():
        table = torch.empty(5, 4, requires_grad=True)
        look_up(table, torch.zeros(2, 3, dtype=torch.int64)).sum().backward()
    assert table.grad.shape == (5, 4)
