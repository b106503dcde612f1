"""Adam whose untouched rows take their steps later, against torch's Adam on the whole table."""

import platform

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.ops.adam import RowAdam, step_all


def run(dtype, dim, decay, touched, read_every, seed=0, rows=23, steps_before=0):
    """A table trained by both for as many steps as `touched` has sets of rows."""
    draw = np.random.default_rng(seed)
    start = draw.normal(0, 0.05, (rows, dim)).astype(dtype)
    whole = torch.nn.Parameter(torch.from_numpy(start.copy()))
    torch_adam = torch.optim.Adam([whole], lr=0.1, weight_decay=decay)
    p, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    ours = RowAdam(p, m, v, np.zeros(rows, np.int32), (0.9, 0.999), 1e-8, decay)
    for step, some in enumerate(touched):
        index = np.array(sorted(some), dtype=np.int64)
        if step % read_every == 0:
            looked_at = draw.integers(0, rows, 5)
            ours.catch_up(looked_at)
            np.testing.assert_allclose(
                p[looked_at], whole.detach().numpy()[looked_at], rtol=TOLERANCE[dtype], atol=1e-7
            )
        gradient = draw.normal(0, 1e-3, (len(index), dim)).astype(dtype)
        rate = 0.01 * (1 + step % 3)
        whole.grad = torch.zeros_like(whole)
        whole.grad[torch.from_numpy(index)] = torch.from_numpy(gradient)
        torch_adam.param_groups[0]["lr"] = rate
        torch_adam.step()
        ours.step(index, gradient, rate)
    ours.catch_up_all()
    return ours, whole.detach().numpy(), torch_adam.state[whole]


TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


@settings(deadline=None, max_examples=30)
@given(
    touched=st.lists(st.sets(st.integers(0, 22), max_size=6), min_size=1, max_size=40),
    dim=st.sampled_from([1, 3, 16, 33]),
    decay=st.sampled_from([0.0, 5e-5, 2e-3]),
    read_every=st.integers(1, 5),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_is_adam_on_the_whole_table(touched, dim, decay, read_every, dtype):
    ours, expected, state = run(dtype, dim, decay, touched, read_every)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(ours.p, expected, rtol=tolerance, atol=tolerance / 10)
    np.testing.assert_allclose(ours.m, state["exp_avg"].numpy(), rtol=tolerance, atol=1e-9)
    np.testing.assert_allclose(ours.v, state["exp_avg_sq"].numpy(), rtol=tolerance, atol=1e-12)
    assert (ours.done == len(touched)).all()


def test_when_the_steps_are_taken_changes_no_bit():
    touched = [set(np.random.default_rng(s).integers(0, 23, 4).tolist()) for s in range(60)]
    seldom, _, _ = run(np.float32, 16, 2e-3, touched, read_every=1000)
    draw = np.random.default_rng(0)
    start = draw.normal(0, 0.05, (23, 16)).astype(np.float32)
    p, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    eager = RowAdam(p, m, v, np.zeros(23, np.int32), (0.9, 0.999), 1e-8, 2e-3)
    draw.integers(0, 23, 5)  # as `run` draws
    for step, some in enumerate(touched):
        index = np.array(sorted(some), dtype=np.int64)
        eager.step(index, draw.normal(0, 1e-3, (len(index), 16)).astype(np.float32), 0.01 * (1 + step % 3))
        eager.catch_up_all()
    assert np.array_equal(eager.p, seldom.p) and np.array_equal(eager.m, seldom.m)
    assert np.array_equal(eager.v, seldom.v)


def test_going_on_from_kept_moments():
    """As after a checkpoint: all rows up to date, the number of steps given."""
    touched = [{1, 2}, {3}, {2, 20}, set(), {0}]
    whole, _, _ = run(np.float64, 4, 1e-3, touched, read_every=1000)
    first, _, _ = run(np.float64, 4, 1e-3, touched[:3], read_every=1000)
    again = RowAdam(first.p, first.m, first.v, first.done, (0.9, 0.999), 1e-8, 1e-3, steps=3)
    draw = np.random.default_rng(0)
    draw.normal(0, 0.05, (23, 4))
    draw.integers(0, 23, 5)
    for step, some in enumerate(touched):
        gradient = draw.normal(0, 1e-3, (len(some), 4))
        if step >= 3:
            again.step(np.array(sorted(some), dtype=np.int64), gradient, 0.01 * (1 + step % 3))
    again.catch_up_all()
    assert np.array_equal(again.p, whole.p) and np.array_equal(again.v, whole.v)


@pytest.mark.parametrize("decay", [0.0, 1e-3])
def test_a_row_never_read_moves_by_the_penalty_alone(decay):
    ours, expected, _ = run(np.float64, 4, decay, [{0}] * 10, read_every=1000)
    start = np.random.default_rng(0).normal(0, 0.05, (23, 4))
    assert np.array_equal(ours.p[7], start[7]) == (decay == 0)
    np.testing.assert_allclose(ours.p[7], expected[7], rtol=1e-12)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere numbers too small to be normal are kept")
@pytest.mark.parametrize("by_rows", [False, True], ids=["whole", "rows"])
def test_a_moment_without_gradients_never_is_too_small_to_be_normal(by_rows: bool) -> None:
    """torch's stays at four times the smallest number for ever, which takes Intel's processors many times as long."""
    torch.manual_seed(0)
    whole = torch.nn.Parameter(torch.randn(40, 16))
    torch_adam = torch.optim.Adam([whole], lr=1e-3)
    p, m, v = whole.detach().clone(), torch.zeros(40, 16), torch.zeros(40, 16)
    table = RowAdam(p.numpy(), m.numpy(), v.numpy(), np.zeros(40, np.int32), (0.9, 0.999), 1e-8, 0.0)
    gradient, rows, least = torch.randn(40, 16), np.arange(40), float(np.finfo(np.float32).tiny)
    for step in range(1, 1201):
        whole.grad = gradient
        torch_adam.step()
        if by_rows:
            table.step(rows[: 40 if step == 1 else 20], gradient.numpy()[: 40 if step == 1 else 20], 1e-3)
        else:
            step_all([p], [(m, v)], [gradient], 1e-3, (0.9, 0.999), 1e-8, 0.0, step)
        gradient = torch.zeros(40, 16)
    if by_rows:
        table.catch_up_all()
    assert (torch_adam.state[whole]["exp_avg"].abs() < least).all()
    assert not ((m != 0) & (m.abs() < least)).any() and (m.abs() < 20 * least).all() and (v > 0).all()
    torch.testing.assert_close(p, whole.detach(), rtol=2e-5, atol=1e-7)
