"""The scan and the convolution against definitions written out step by step in float64."""

from __future__ import annotations

import platform
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mdaf_core.base.errors import StudioError
from mdaf_core.ops.causal_conv import convolve_reference
from mdaf_core.ops.conv_numba import convolve
from mdaf_core.ops.scan_numba import scan
from mdaf_core.ops.selective_scan import implementation, scan_reference, selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "z")
ROUNDINGS = 20  # of the terms' sizes that an error may measure


def cumulative(lengths: list[int]) -> torch.Tensor:
    return torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)


def inputs(lengths: list[int], channels: int, states: int, seed: int) -> list[torch.Tensor]:
    """u, delta (> 0), A (< 0), B, C, D, z in float64."""
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(lengths)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    return [
        normal(tokens, channels),
        F.softplus(normal(tokens, channels)),
        -torch.exp(normal(channels, states)),
        normal(tokens, states),
        normal(tokens, states),
        normal(channels),
        normal(tokens, channels),
    ]


def by_hand(u, delta, A, B, C, D, z, cu):  # type: ignore[no-untyped-def]
    """The recurrence with loops over sequences, steps, channels and states: nothing shared with the package."""
    y = np.zeros_like(u)
    for s in range(len(cu) - 1):
        h = np.zeros_like(A)
        for t in range(cu[s], cu[s + 1]):
            for d in range(u.shape[1]):
                for n in range(A.shape[1]):
                    h[d, n] = np.exp(delta[t, d] * A[d, n]) * h[d, n] + delta[t, d] * B[t, n] * u[t, d]
                y[t, d] = C[t] @ h[d] + D[d] * u[t, d]
                y[t, d] *= z[t, d] / (1 + np.exp(-z[t, d]))
    return y


def upstream(y: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(y.dtype)


def outputs_and_gradients(function, tensors, cu, dtype, weight=None):  # type: ignore[no-untyped-def]
    leaves = [x.detach().to(dtype).requires_grad_() for x in tensors]
    y = function(*leaves, cu)
    weight = upstream(y) if weight is None else weight.to(dtype)
    return [y.detach(), *torch.autograd.grad(y, leaves, weight)]


def sizes_of_terms(tensors, cu, weight, dtype, softplus=False):  # type: ignore[no-untyped-def]
    """Of y and of every gradient: the sum of the absolute values of the terms it is the sum of.

    A sum of terms that cancel is only as exact as its terms are, in any order and any implementation: rounding errors
    are proportional to these sizes, not to the sum. All factors are made positive, and so are all slopes: those of
    exp(−Δ|A|), and of silu. e^−x is known to x roundings of `dtype` where x > 1, because x itself is
    rounded, and never better than to its smallest number.
    """
    u, delta, A, B, C, D, z = leaves = [x.clone() if name in ("delta", "z") else x.abs() for name, x in tensors.items()]
    for leaf in leaves:
        leaf.requires_grad_()
    step = F.softplus(delta, threshold=100) if softplus else delta
    finest = torch.finfo(dtype).tiny / torch.finfo(dtype).eps
    y = []
    for start, end in pairwise(cu.tolist()):
        h = torch.zeros_like(A)
        for t in range(start, end):
            x = step[t][:, None] * A
            value = (torch.exp(-x) * x.clamp(min=1)).detach().clamp(min=finest)
            h = value * (1 + x - x.detach()) * h + (step[t] * u[t])[:, None] * B[t]
            y.append((h * C[t]).sum(-1) + D * u[t])
    sigma = torch.sigmoid(z.detach())
    slope = sigma + z.detach().abs() * sigma * (1 - sigma)
    y = torch.stack(y) * ((z.detach() * sigma).abs() + slope * (z - z.detach()))
    return [y.detach(), *torch.autograd.grad(y, leaves, weight.abs())]


def roundings(function, lengths, channels, states, dtype, seed, softplus=False):  # type: ignore[no-untyped-def]
    """Name → largest error of y and of every gradient, in roundings of `dtype` of the sum of the terms' sizes."""
    cu = cumulative(lengths)
    tensors = {n: x.to(dtype).double() for n, x in zip(NAMES, inputs(lengths, channels, states, seed), strict=True)}
    if softplus:
        tensors["delta"] = (tensors["delta"] * 20 - 4).to(dtype).double()
    weight = upstream(tensors["u"]).to(dtype).double()

    def reference(u, delta, *others):  # type: ignore[no-untyped-def]
        return scan_reference(u, F.softplus(delta, threshold=100) if softplus else delta, *others)

    expected = outputs_and_gradients(reference, tensors.values(), cu, torch.float64, weight)
    actual = outputs_and_gradients(function, tensors.values(), cu, dtype, weight)
    sizes = sizes_of_terms(tensors, cu, weight, dtype, softplus)
    return {
        name: float(((a.double() - e).abs() / size.clamp(min=torch.finfo(dtype).tiny)).max() / torch.finfo(dtype).eps)
        for name, e, a, size in zip(("y", *NAMES), expected, actual, sizes, strict=True)
    }


def test_reference_is_the_recurrence() -> None:
    lengths = [3, 0, 1, 7]
    tensors, cu = inputs(lengths, channels=3, states=2, seed=1), cumulative(lengths)
    expected = by_hand(*[x.numpy() for x in tensors], cu.numpy())
    np.testing.assert_allclose(scan_reference(*tensors, cu).numpy(), expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(lambda x: sum(x) > 0),
    channels=st.sampled_from([1, 7, 64, 70, 130]),
    states=st.sampled_from([1, 4, 16]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    softplus=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_numba_forward_and_every_gradient(lengths, channels, states, dtype, softplus, seed) -> None:  # type: ignore[no-untyped-def]
    found = roundings(partial(scan, delta_softplus=softplus), lengths, channels, states, dtype, seed, softplus)
    assert max(found.values()) < ROUNDINGS, found


@pytest.mark.parametrize("planted", NAMES)
@pytest.mark.parametrize("states", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_small_error_of_one_term_is_seen(planted: str, states: int, seed: int) -> None:
    """One number of one input, the one of most effect, is off by 1e-4: ten tokens, one channel, terms that cancel."""

    def wrong(*arguments):  # type: ignore[no-untyped-def]
        tensors = list(arguments)
        x = tensors[NAMES.index(planted)]
        off = torch.ones_like(x)
        off.view(-1)[x.detach().abs().argmax()] += 1e-4
        tensors[NAMES.index(planted)] = x * off
        return scan(*tensors)

    assert max(roundings(wrong, [4, 0, 6], 1, states, torch.float32, seed).values()) > 2 * ROUNDINGS


@pytest.mark.parametrize("lengths", [[0, 5, 0, 60, 1, 33, 0], [50] * 4, [1] * 9, [1], [129]])
def test_parallel_forward_and_every_gradient(lengths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDAF_SCAN", "parallel")
    tensors, cu = inputs(lengths, channels=20, states=5, seed=6), cumulative(lengths)
    expected = outputs_and_gradients(scan_reference, tensors, cu, torch.float64)
    actual = outputs_and_gradients(lambda *x: selective_scan(*x[:-1], cu_seqlens=x[-1]), tensors, cu, torch.float64)
    for name, e, a in zip(("y", *NAMES), expected, actual, strict=True):
        torch.testing.assert_close(a, e, rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("lengths", [[0, 5, 0, 60, 1, 33, 0], [50] * 4, [1] * 9])
def test_packed_equals_one_sequence_at_a_time(lengths: list[int]) -> None:
    tensors, cu = inputs(lengths, channels=20, states=16, seed=3), cumulative(lengths)
    packed = outputs_and_gradients(scan, tensors, cu, torch.float32)
    pieces = []
    weight = torch.randn(packed[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).float()
    leaves = [x.float().requires_grad_() for x in tensors]
    u, delta, A, B, C, D, z = leaves
    for s in range(len(lengths)):
        piece = slice(int(cu[s]), int(cu[s + 1]))
        if lengths[s]:
            pieces.append(scan(u[piece], delta[piece], A, B[piece], C[piece], D, z[piece], cumulative([lengths[s]])))
    y = torch.cat(pieces)
    alone = [y, *torch.autograd.grad(y, leaves, weight)]
    for name, p, q in zip(("y", *NAMES), packed, alone, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("lengths", [[200], [130, 3, 64, 0, 65], [1000, *[1] * 40]])
def test_sequences_longer_than_a_chunk_and_parts_of_the_channels(lengths: list[int]) -> None:
    found = roundings(scan, lengths, 192, 3, torch.float32, seed=4)
    assert max(found.values()) < ROUNDINGS, found


def test_numba_gradients_by_finite_differences() -> None:
    tensors, cu = inputs([3, 0, 4], channels=3, states=2, seed=5), cumulative([3, 0, 4])
    leaves = [x.requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(lambda *x: scan(*x, cu), leaves)


def test_without_skip_and_gate() -> None:
    tensors, cu = inputs([4, 9], channels=5, states=3, seed=2), cumulative([4, 9])
    u, delta, A, B, C, _, _ = tensors
    torch.testing.assert_close(
        scan(u, delta, A, B, C, None, None, cu), scan_reference(u, delta, A, B, C, None, None, cu)
    )


def test_extreme_steps_stay_finite() -> None:
    tensors, cu = inputs([50], channels=8, states=4, seed=2), cumulative([50])
    tensors[1] = tensors[1] * 1e4  # exp(Δ A) underflows to 0
    y, *gradients = outputs_and_gradients(scan, tensors, cu, torch.float32)
    assert all(torch.isfinite(x).all() for x in (y, *gradients))


def test_batched_layout_scalar_step_softplus_and_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    u, z = torch.randn(2, 5, 6, generator=generator), torch.randn(2, 5, 6, generator=generator)
    delta = torch.randn(2, 5, 1, generator=generator)
    A, B, C = -torch.rand(6, 3, generator=generator), torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    bias = torch.randn(1, generator=generator)
    results = {}
    for name in ("numba", "reference"):
        monkeypatch.setenv("MDAF_SCAN", name)
        results[name] = selective_scan(u, delta, A, B, C, None, z, bias, delta_softplus=True)
    torch.testing.assert_close(results["numba"], results["reference"], rtol=1e-5, atol=1e-6)
    step = F.softplus(delta + bias).expand_as(u)
    expected = by_hand(
        *[x.reshape(10, -1).double().numpy() for x in (u, step)], A.double().numpy(),
        *[x.reshape(10, -1).double().numpy() for x in (B, C)], np.zeros(6), z.reshape(10, 6).double().numpy(),
        [0, 5, 10],
    )  # fmt: skip
    np.testing.assert_allclose(results["numba"].reshape(10, 6).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_no_tokens_at_all() -> None:
    empty = torch.zeros(0, 4)
    y = selective_scan(
        empty, empty, -torch.ones(4, 2), torch.zeros(0, 2), torch.zeros(0, 2), cu_seqlens=cumulative([0, 0])
    )
    assert y.shape == (0, 4)


def test_results_do_not_depend_on_threads() -> None:
    lengths = [7, 0, 50, 13, 22, 1, 9] * 5
    tensors, cu = inputs(lengths, channels=70, states=16, seed=9), cumulative(lengths)
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(outputs_and_gradients(scan, tensors, cu, torch.float32))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_dispatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDAF_SCAN", "auto")
    assert implementation("cpu") == "numba"
    monkeypatch.setenv("MDAF_SCAN", "mamba_ssm")
    with pytest.raises(StudioError, match="needs a GPU"):
        implementation("cpu")


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(lambda x: sum(x) > 0),
    width=st.integers(2, 6),
    silu=st.booleans(),
    function=st.sampled_from([convolve, convolve_reference]),
    seed=st.integers(0, 100),
)
def test_convolution_is_conv1d_on_each_sequence(lengths, width, silu, function, seed) -> None:  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(lengths), 3, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(3, width, dtype=torch.float64, generator=generator, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, generator=generator, requires_grad=True)
    cu = cumulative(lengths)
    expected = torch.cat(
        [
            F.conv1d(F.pad(x[int(a) : int(b)].T[None], (width - 1, 0)), weight[:, None], bias, groups=3)[0].T
            for a, b in pairwise(cu)
            if b > a
        ]
    )
    expected = F.silu(expected) if silu else expected
    upstream = torch.randn(expected.shape, dtype=torch.float64, generator=generator)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        inputs = [t.detach().to(dtype).requires_grad_() for t in (x, weight, bias)]
        actual = function(*inputs, silu, cu)
        torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance * 10)
        for a, e in zip(
            torch.autograd.grad(actual, inputs, upstream.to(dtype)),
            torch.autograd.grad(expected, (x, weight, bias), upstream, retain_graph=True),
            strict=True,
        ):
            torch.testing.assert_close(a.double(), e, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (3, lambda x: x[:-1], "B must be"),
        (2, lambda x: x[:, :0].expand(-1, -1)[:4], "A must be"),
        (5, lambda x: x.double(), "D is torch.float64"),
        (0, lambda x: x.half(), "torch.float16"),
        (7, lambda x: x[:-1], "cu_seqlens must rise"),
        (7, lambda x: x.flip(0), "cu_seqlens must rise"),
    ],
)
def test_what_does_not_fit_is_refused(name, change, words) -> None:  # type: ignore[no-untyped-def]
    tensors = [*(x.float() for x in inputs([3, 2], channels=5, states=2, seed=0)), cumulative([3, 2])]
    tensors[name] = change(tensors[name])
    with pytest.raises(ValueError, match=words):
        scan(*tensors)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere numbers too small to be normal are kept")
def test_what_decays_is_never_too_small_to_be_normal() -> None:
    """One event, and one output that is asked for 200 events later: states and gradients decay all the way."""
    tokens, least = 200, float(np.finfo(np.float32).tiny)

    def outcome(scan) -> list[torch.Tensor]:  # type: ignore[no-untyped-def]
        u = torch.zeros(tokens, 64)
        u[0] = 1
        given = [
            u,
            torch.full((tokens, 64), 0.5),
            torch.full((64, 2), -1.0),
            torch.ones(tokens, 2),
            torch.ones(tokens, 2),
        ]
        for x in given:
            x.requires_grad_()
        y = scan(*given, None, None, torch.tensor([0, tokens]))
        return [y.detach(), *torch.autograd.grad(y[-1].sum(), given)]

    ours, theirs = outcome(scan), outcome(scan_reference)
    assert any(bool(((x != 0) & (x.abs() < least)).any()) for x in theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert not bool(((mine != 0) & (mine.abs() < least)).any())
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=least * tokens)
