"""Pooling of overlapping slices against definitions in float64, one row at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mdaf_core.ops.slices import _by_parts, slice_attention, slice_attention_reference, slice_last, slice_mean


def case(lengths: list[int], rows: int, dim: int, seed: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Random slices of packed sequences of these lengths, empty ones and whole ones among them."""
    rng = np.random.default_rng(seed)
    cu = np.r_[0, np.cumsum(lengths)]
    sequence = rng.integers(0, len(lengths), rows)
    end = cu[sequence] + (rng.random(rows) * (np.array(lengths)[sequence] + 1)).astype(int)
    begin = np.maximum(end - rng.integers(0, 60, rows), cu[sequence])
    begin = np.where(rng.random(rows) < 0.3, cu[sequence], begin)
    floats = {
        "query": rng.normal(size=(rows, dim)),
        "token": rng.normal(size=(cu[-1], dim)),
        "equal": rng.normal(size=2),
        "recency": rng.normal(),
        "nothing": rng.normal(),
    }
    whole = {
        "code": rng.integers(0, 4, (cu[-1], 2)),
        "target": rng.integers(0, 4, (rows, 2)),
        "begin": begin,
        "end": end,
        "cu": cu,
    }
    return {name: torch.tensor(value, dtype=dtype) for name, value in floats.items()} | {
        name: torch.tensor(value, dtype=torch.int64) for name, value in whole.items()
    }


def attend(x: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    names = ("query", "token", "code", "target", "equal", "recency", "nothing", "begin", "end", "cu")
    return slice_attention(*(x[name] for name in names))


def by_hand(x: dict[str, Tensor], b: int) -> tuple[np.ndarray, float]:
    """One row, in plain numbers."""
    q, token = x["query"][b].numpy(), x["token"].numpy()
    begin, end = int(x["begin"][b]), int(x["end"][b])
    scores = [float(x["nothing"])]
    for t in range(begin, end):
        same = [
            float(x["equal"][h])
            for h in range(2)
            if x["code"][t, h] == x["target"][b, h] and x["target"][b, h] not in (0, 1)
        ]
        scores.append(float(q @ token[t]) + sum(same) - float(x["recency"]) * math.log(end - t))
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    return weights[1:] @ token[begin:end], float(weights[0])


@given(
    lengths=st.lists(st.integers(0, 70), min_size=1, max_size=6),
    rows=st.integers(1, 20),
    dim=st.sampled_from([1, 3, 64, 130]),
    seed=st.integers(0, 10**6),
)
def test_attention_is_its_definition(lengths, rows, dim, seed):
    x = case(lengths, rows, dim, seed)
    pooled, left = attend(x)
    for b in range(rows):
        vector, nothing = by_hand(x, b)
        np.testing.assert_allclose(pooled[b], vector, rtol=1e-10, atol=1e-10)
        assert float(left[b]) == pytest.approx(nothing, rel=1e-10)
        if x["begin"][b] == x["end"][b]:
            assert left[b] == 1 and not pooled[b].any()


@pytest.mark.parametrize("lengths", [[5, 0, 3], [1], [40, 7]], ids=str)
def test_gradients_are_those_of_the_definition(lengths):
    x, y = case(lengths, 9, 5, 3), case(lengths, 9, 5, 3)
    floats = ("query", "token", "equal", "recency", "nothing")
    for z in (x, y):
        for name in floats:
            z[name].requires_grad_()
    weight_BD, weight_B = torch.randn(9, 5, dtype=torch.float64), torch.randn(9, dtype=torch.float64)
    names = ("query", "token", "code", "target", "equal", "recency", "nothing", "begin", "end")
    for pooled, left in (attend(x), slice_attention_reference(*(y[name] for name in names))):
        ((pooled * weight_BD).sum() + (left * weight_B).sum()).backward()
    for name in floats:
        torch.testing.assert_close(x[name].grad, y[name].grad, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("longest", [1, 1000, 10_000])
def test_float32_keeps_five_digits(longest):
    x, exact = (case([longest, 3], 6, 64, 1, dtype) for dtype in (torch.float32, torch.float64))
    exact = {name: value.to(exact[name].dtype) for name, value in x.items()}
    for z in (x, exact):
        for name in ("query", "token"):
            z[name] = z[name].mul(0.3).requires_grad_()
    outputs = [attend(z) for z in (x, exact)]
    for pooled, left in outputs:
        (pooled.sum() + left.sum()).backward()
    for found, right in ((outputs[0][0], outputs[1][0]), *((x[n].grad, exact[n].grad) for n in ("query", "token"))):
        apart = (found.detach().double() - right.detach()).abs().max() / right.detach().abs().max()
        assert float(apart) < 1e-5


def test_a_row_does_not_depend_on_the_batch_or_the_threads():
    x = case([300, 20, 0, 80], 64, 64, 5, torch.float32)
    pooled, left = attend(x)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [
            attend(x | {name: x[name][b : b + 1] for name in ("query", "target", "begin", "end")}) for b in range(64)
        ]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.cat([p for p, _ in alone]), pooled)
    assert torch.equal(torch.cat([weight for _, weight in alone]), left)


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4), seed=st.integers(0, 10**6))
def test_mean_and_last_are_their_definitions(lengths, seed):
    x = case(lengths, 7, 4, seed)
    mean, last = (pool(x["token"], x["begin"], x["end"]) for pool in (slice_mean, slice_last))
    for b in range(7):
        own = x["token"][x["begin"][b] : x["end"][b]]
        expected = (own.mean(0), own[-1]) if len(own) else (torch.zeros(4).double(),) * 2
        torch.testing.assert_close(mean[b], expected[0])
        torch.testing.assert_close(last[b], expected[1])


def test_the_operator_is_one_of_torchs():
    x = case([5, 0, 3], 4, 64, 2)
    names = ("query", "token", "code", "target", "equal", "recency", "nothing", "begin", "end", "cu")
    inputs = [x[name].requires_grad_() if x[name].is_floating_point() else x[name] for name in names]
    torch.library.opcheck(torch.ops.mdaf.slice_attention.default, tuple(inputs))


@pytest.mark.parametrize("pairs", [1, 60, 1 << 24])
def test_a_few_rows_at_a_time_are_all_rows(pairs: int) -> None:
    """As devices without the kernel compute it."""
    names = ("query", "token", "code", "target", "equal", "recency", "nothing", "begin", "end")
    found = []
    for function, options in ((_by_parts, {"pairs": pairs}), (slice_attention_reference, {})):
        x = case([9, 0, 30, 4, 30], 12, 5, 3)
        floats = [x[name].requires_grad_() for name in names if x[name].is_floating_point()]
        pooled, left = function(*(x[name] for name in names), **options)
        found.append([pooled, left, *torch.autograd.grad(pooled.square().sum() + left.square().sum(), floats)])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
