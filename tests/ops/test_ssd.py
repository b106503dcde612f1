"""The scan with one decay a head: the kernel and the recurrence in torch against loops in float64."""

from __future__ import annotations

import platform
from itertools import pairwise

import numpy as np
import pytest
import torch

from mdaf_core.ops.ssd import ssd, ssd_chunked, ssd_reference

SHAPES = [(4, 64, 1, 16, [3, 0, 50, 1, 140]), (3, 5, 3, 7, [40, 2, 0, 200]), (4, 16, 2, 64, [70])]
"""Heads, channels a head, sets, states, lengths: whole vectors and odd widths; chunks of 64, 146 and 16 steps."""


def inputs(heads, width, sets, states, lengths):  # type: ignore[no-untyped-def]
    draw, tokens = torch.Generator().manual_seed(0), sum(lengths)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=draw)

    x, decay = normal(tokens, heads, width), -(torch.rand(tokens, heads, dtype=torch.float64, generator=draw) ** 3)
    given = [x, decay, normal(tokens, sets, states), normal(tokens, sets, states)]
    return given, torch.tensor([0, *lengths]).cumsum(0).to(torch.int32), normal(tokens, heads, width)


def by_hand(x, decay, B, C, cu, own):  # type: ignore[no-untyped-def]
    """With loops over sequences, steps and heads."""
    y, heads_of_a_set = np.zeros_like(x), x.shape[1] // B.shape[1]
    for begin, end in pairwise(cu):
        state = np.zeros((*x.shape[1:], B.shape[2]))
        for t in range(begin, end):
            for h in range(x.shape[1]):
                g = h // heads_of_a_set
                shrunk = np.exp(decay[t, h]) * state[h]
                state[h] = shrunk + np.outer(x[t, h], B[t, g])
                y[t, h] = (state[h] if own else shrunk) @ C[t, g]
    return y


def with_gradients(function, given, cu, weight, own):  # type: ignore[no-untyped-def]
    leaves = [value.detach().clone().requires_grad_() for value in given]
    y = function(*leaves, cu, own)
    return [y.detach(), *torch.autograd.grad(y, leaves, weight.to(y.dtype))]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_recurrence_and_chunks_are_the_definition(shape, own: bool) -> None:
    given, cu, weight = inputs(*shape)
    exact = with_gradients(ssd_reference, given, cu, weight, own)
    np.testing.assert_allclose(exact[0], by_hand(*(x.numpy() for x in given), cu.tolist(), own), rtol=1e-10, atol=1e-12)
    quick = with_gradients(ssd, [x.float() for x in given], cu, weight, own)
    for mine, theirs in zip(quick, exact, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))
    by_chunks = with_gradients(ssd_chunked, given, cu, weight, own)
    for mine, theirs in zip(by_chunks, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10 * float(theirs.abs().max()))


def test_gradients_of_the_recurrence_are_slopes() -> None:
    given, cu, _ = inputs(2, 3, 1, 2, [4, 0, 1])
    leaves = [value.requires_grad_() for value in given]
    for own in (True, False):
        assert torch.autograd.gradcheck(lambda *x, own=own: ssd_reference(*x, cu, own), leaves)


def test_the_operator_is_one() -> None:
    from mdaf_core.ops.ssd_numba import _ssd

    (x, decay, B, C), cu, _ = inputs(1, 64, 1, 3, [5, 2])
    given = x.flatten(1), decay.expand(-1, 64).contiguous(), B, C
    leaves = [value.float().requires_grad_() for value in given]
    torch.library.opcheck(_ssd.registered, (*leaves, cu, True, True), test_utils=("test_schema", "test_faketensor"))


def test_shapes_that_do_not_fit_are_refused() -> None:
    (x, decay, B, C), cu, _ = inputs(3, 4, 1, 2, [5])
    with pytest.raises(ValueError, match="fit together"):
        ssd(x, decay[:, :2], B, C, cu)
    with pytest.raises(ValueError, match="fit together"):
        ssd(x, decay, B.expand(-1, 2, -1), C.expand(-1, 2, -1), cu)
    assert ssd(x[:0], decay[:0], B[:0], C[:0], torch.tensor([0, 0], dtype=torch.int32)).shape == (0, 3, 4)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere numbers too small to be normal are kept")
def test_what_decays_is_never_too_small_to_be_normal() -> None:
    """One event, and one output that is asked for 200 events later: states and gradients decay all the way."""
    tokens, least = 200, float(np.finfo(np.float32).tiny)

    def outcome(scan) -> list[torch.Tensor]:  # type: ignore[no-untyped-def]
        x = torch.zeros(tokens, 1, 64)
        x[0] = 1
        given = [x, torch.full((tokens, 1), -0.5), torch.ones(tokens, 1, 2), torch.ones(tokens, 1, 2)]
        for one in given:
            one.requires_grad_()
        y = scan(*given, torch.tensor([0, tokens]))
        return [y.detach(), *torch.autograd.grad(y[-1].sum(), given)]

    ours, theirs = outcome(ssd), outcome(ssd_reference)
    assert any(bool(((x != 0) & (x.abs() < least)).any()) for x in theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert not bool(((mine != 0) & (mine.abs() < least)).any())
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=least * tokens)
