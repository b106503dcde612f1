"""Layers in blocks of 64 rows against their definitions in torch and float64, draws included."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.crosses import crosses
from mdaf_core.ops.dropout import Dropout
from mdaf_core.ops.lanes import _TOGETHER, PART
from mdaf_core.ops.masked_crosses import masked_crosses
from mdaf_core.ops.simd import LANES
from mdaf_core.ops.tower import tower

Network = tuple[Callable[..., Tensor], Callable[..., Tensor], list[list[Tensor]]]


def lists(shapes: list[list[tuple[int, ...]]]) -> list[list[Tensor]]:
    return [[torch.randn(shape, dtype=torch.float64) / shape[-1] ** 0.5 for shape in some] for some in shapes]


def plain_tower(x: Tensor, weights: list[Tensor], biases: list[Tensor], p: float) -> Tensor:
    for weight, bias in zip(weights, biases, strict=True):
        x = Dropout(p)(F.linear(x, weight, bias).relu())
    return x


def plain_crosses(x0: Tensor, weights: list[Tensor], biases: list[Tensor], p: float) -> Tensor:
    x = x0
    for weight, bias in zip(weights, biases, strict=True):
        x = x + x0 * F.linear(x, weight, bias)
    return x


def plain_masked(exponential: bool) -> Callable[..., Tensor]:
    def compute(x0: Tensor, *given: list[Tensor]) -> Tensor:
        *parameters, p = given
        x = x0
        for weight, gain, shift, bias in zip(*parameters, strict=True):
            half = x @ weight.T
            centred = half - half.mean(1, keepdim=True)
            spread = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
            cross = torch.cat([half, half * (spread * gain + shift).relu()], dim=1)
            x = Dropout(p)(x + (x if exponential else x0) * (cross + bias))  # type: ignore[arg-type]
        return x

    return compute


def network(name: str, dim: int) -> Network:
    """The kernel, its definition, and lists of parameters that fit `dim` inputs."""
    if name == "tower":
        widths = [dim, 7, 12, 3]
        shapes = [[(b, a) for a, b in pairwise(widths)], [(b,) for b in widths[1:]]]
        return tower, plain_tower, lists(shapes)  # type: ignore[list-item]
    if name == "crosses":
        return lambda x, w, b, p: crosses(x, w, b), plain_crosses, lists([[(dim, dim)] * 3, [(dim,)] * 3])
    exponential, half = name == "exponential", dim // 2
    parameters = lists([[(half, dim)] * 3, [(half,)] * 3, [(half,)] * 3, [(dim,)] * 3])
    return (
        lambda x, *given: masked_crosses(x, *given[:-1], exponential, given[-1]),
        plain_masked(exponential),
        parameters,
    )


NAMES = ("tower", "crosses", "exponential", "linear")


def outcome(function: Callable[..., Tensor], x: Tensor, parameters: list[list[Tensor]], p: float) -> list[Tensor]:
    """Result and gradients of one call."""
    x = x.clone().requires_grad_()
    parameters = [[w.clone().requires_grad_() for w in some] for some in parameters]
    torch.manual_seed(5)
    y = function(x, *parameters, p)
    torch.manual_seed(6)
    inputs = [x, *(w for some in parameters for w in some)]
    return [y.detach(), *torch.autograd.grad(y, inputs, torch.randn_like(y))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rows", "dim"), [(1, 2), (LANES, 8), (LANES + 1, 14), (2 * _TOGETHER * LANES + 37, 2 * _TOGETHER + 6), (0, 4)]
)
def test_against_the_definition(name: str, rows: int, dim: int) -> None:
    """In float64 to its roundings, in float32 to 1e-5; of rows that go over a part of the draws too."""
    torch.manual_seed(rows)
    fused, plain, parameters = network(name, dim)
    x = torch.randn(rows, dim, dtype=torch.float64)
    for p in (0.0, 0.4):
        expected = outcome(plain, x, parameters, p)
        for e, a in zip(expected, outcome(fused, x, parameters, p), strict=True):
            torch.testing.assert_close(a, e, rtol=1e-9, atol=1e-12)
        found = outcome(fused, x.float(), [[w.float() for w in some] for some in parameters], p)
        for e, a in zip(outcome(plain, x.float(), [[w.float() for w in s] for s in parameters], p), found, strict=True):
            torch.testing.assert_close(a, e, rtol=1e-4, atol=1e-5 * max(1.0, float(e.abs().max()) if len(e) else 0))


def test_draws_go_on_in_the_next_part() -> None:
    """Rows that lie over the end of a part of the array draw as `Dropout` does."""
    width = 300
    rows = PART // width + 2
    x, weight, bias = torch.randn(rows, 3), torch.randn(width, 3), torch.ones(width)
    torch.manual_seed(1)
    fused = tower(x, [weight], [bias], 0.5)
    torch.manual_seed(1)
    torch.testing.assert_close(fused, plain_tower(x, [weight], [bias], 0.5))


@pytest.mark.parametrize("name", NAMES)
def test_threads_and_the_batch_around_a_row_change_nothing(name: str) -> None:
    fused, _, parameters = network(name, 22)
    parameters = [[w.float() for w in some] for some in parameters]
    x = torch.randn(20 * LANES + 5, 22)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(outcome(fused, x, parameters, 0.3))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    whole = fused(x, *parameters, 0.0)
    assert torch.equal(fused(x[70:75], *parameters, 0.0), whole[70:75])


def test_what_is_no_number_stays_none() -> None:
    x = torch.ones(3, 2)
    x[1] = torch.nan
    y = tower(x, [torch.ones(2, 2)], [torch.zeros(2)])
    assert y[1].isnan().all() and torch.equal(y[[0, 2]], torch.full((2, 2), 2.0))


@pytest.mark.parametrize("name", NAMES)
def test_torch_accepts_the_operators(name: str) -> None:
    fused, _, parameters = network(name, 4)
    leaves = [[w.requires_grad_() for w in some] for some in parameters]
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    seeds = torch.tensor([1, 2, 3])
    if name == "tower":
        operator, arguments = torch.ops.mdaf.tower.default, (x, *leaves, 0.3, seeds)
    elif name == "crosses":
        operator, arguments = torch.ops.mdaf.crosses.default, (x, *leaves)
    else:
        operator, arguments = torch.ops.mdaf.masked_crosses.default, (x, *leaves, name == "exponential", 0.3, seeds)
    torch.library.opcheck(operator, arguments)
    flat = [w for some in leaves for w in some]

    def compute(x: Tensor, *given: Tensor) -> Tensor:
        left = iter(given)
        torch.manual_seed(1)
        return fused(x, *([next(left) for _ in some] for some in leaves), 0.3)

    assert torch.autograd.gradcheck(compute, (x, *flat), check_undefined_grad=False)
