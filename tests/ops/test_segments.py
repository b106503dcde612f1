"""Pooling over packed sequences against plain loops."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.ops import segments

LENGTHS = st.lists(st.integers(0, 50), min_size=1, max_size=10)


def pieces(x: torch.Tensor, lengths: list[int]) -> list[torch.Tensor]:
    return list(x.split(lengths))


def setup(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    cu = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    x = torch.randn(sum(lengths), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(lengths)))
    return x, cu


@settings(deadline=None, max_examples=30)
@given(LENGTHS)
def test_pooling(lengths: list[int]) -> None:
    x, cu = setup(lengths)
    zero = torch.zeros(3, dtype=torch.float64)
    for pooled, one in (
        (segments.segment_sum(x, cu), lambda p: p.sum(0)),
        (segments.segment_mean(x, cu), lambda p: p.mean(0)),
        (segments.segment_last(x, cu), lambda p: p[-1]),
    ):
        expected = torch.stack([one(p) if len(p) else zero for p in pieces(x, lengths)])
        torch.testing.assert_close(pooled, expected)


@settings(deadline=None, max_examples=30)
@given(LENGTHS)
def test_softmax_and_positions(lengths: list[int]) -> None:
    x, cu = setup(lengths)
    expected = torch.cat([torch.softmax(p, 0) for p in pieces(x, lengths)])
    torch.testing.assert_close(segments.segment_softmax(x, cu), expected)
    torch.testing.assert_close(segments.segment_softmax(x[:, 0] * 1000, cu).isfinite().all(), torch.tensor(True))
    assert segments.positions(cu).tolist() == [i for n in lengths for i in range(n)]
    assert segments.segment_ids(cu).tolist() == [s for s, n in enumerate(lengths) for _ in range(n)]


def test_gradient_of_softmax() -> None:
    cu = torch.tensor([0, 2, 2, 5], dtype=torch.int32)
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: segments.segment_softmax(s, cu), (x,))
