"""The scan with one decay a head on the CPU (`ops.ssd`): forward, and a hand-written backward, over packed sequences.

As `scan_numba`: all arithmetic is on vectors of 64 neighbouring channels, work is cut into groups of whole sequences
and, where one sequence holds much of the batch, into parts of the channels, and the backward pass works out states
again from those kept before each chunk. With one decay for all states of a channel there is one exponential a token and
vector, where the selective scan has one a state.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from mdaf_core.ops.direct import operator
from mdaf_core.ops.kernels import arrays, sequence_groups, use_torch_threads
from mdaf_core.ops.scan_numba import PARTS
from mdaf_core.ops.simd import (
    LANES,
    LOG2_E,
    exp2,
    fill,
    flush_subnormals,
    load,
    restore_subnormals,
    store,
    total,
    workspace,
)

HELD = 1024
"""States of one channel that the backward pass holds at once: steps of a chunk times states."""


# All arrays are flat; their layouts:
#   x, decay (its logarithm to base 2), y and their gradients [T][channels]; B, C [T][sets][states]
#   starts [chunks][channels / LANES][states][LANES]: sequence s has those from later[s] on, none of its first chunk
# `own`: whether y_t reads the state with x_t in it, or just before.


@numba.njit(inline="always")
def ssd_token(x, decay, B, C, own, states, t, channels, per_set, first, h, begin, y):  # type: ignore[no-untyped-def]
    """Token t of the 64 channels from `first` on: from the states before it, at `begin` in h, to those behind it."""
    at = t * channels + first
    given, shrink = load(x, at), exp2(load(decay, at))
    at_BC = (t * (channels // per_set) + first // per_set) * states
    out = fill(x.dtype.type(0))
    for n in range(states):
        k = begin + n * LANES
        before = shrink * load(h, k)
        new = before + fill(B[at_BC + n]) * given
        store(h, k, new)
        if own:
            out = out + fill(C[at_BC + n]) * new
        else:
            out = out + fill(C[at_BC + n]) * before
    store(y, at, out)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(  # type: ignore[no-untyped-def]
    x, decay, B, C, own, states, channels, per_set, chunk, cu, groups, parts, later, y, starts
):
    vectors = channels // LANES
    for item in prange((len(groups) - 1) * parts):
        group, part = item // parts, item % parts
        mode = flush_subnormals()
        h = workspace(states * LANES, x)
        for s in range(groups[group], groups[group + 1]):
            for first in range(part * vectors // parts * LANES, (part + 1) * vectors // parts * LANES, LANES):
                h[:] = 0
                for t in range(cu[s], cu[s + 1]):
                    step = t - cu[s]
                    if len(starts) and step % chunk == 0 and step > 0:
                        place = ((later[s] + step // chunk - 1) * vectors + first // LANES) * len(h)
                        starts[place : place + len(h)] = h
                    ssd_token(x, decay, B, C, own, states, t, channels, per_set, first, h, 0, y)
        restore_subnormals(mode)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    x, decay, B, C, own, states, channels, per_set, chunk, cu, groups, parts, later, starts,
    dy, dx, ddecay, dB_P, dC_P,
):  # fmt: skip
    vectors, sets, size = channels // LANES, channels // per_set, states * LANES
    zero = x.dtype.type(0)
    for item in prange((len(groups) - 1) * parts):
        group, part = item // parts, item % parts
        mode = flush_subnormals()
        dB, dC = dB_P[part], dC_P[part]
        # Of one chunk of a sequence and vector of channels: states before each step, shrunk, and each step's decay.
        shrunk, shrinks = workspace(chunk * size, x), workspace(chunk * LANES, x)
        h, dh = workspace(size, x), workspace(size, x)
        for s in range(groups[group], groups[group + 1]):
            start, length = cu[s], cu[s + 1] - cu[s]
            chunks = (length + chunk - 1) // chunk
            for first in range(part * vectors // parts * LANES, (part + 1) * vectors // parts * LANES, LANES):
                dh[:] = 0
                for c in range(chunks - 1, -1, -1):
                    begin, end = start + c * chunk, min(start + c * chunk + chunk, start + length)
                    h[:] = 0
                    if c > 0:
                        place = ((later[s] + c - 1) * vectors + first // LANES) * size
                        h[:] = starts[place : place + size]
                    for t in range(begin, end):
                        at, i = t * channels + first, t - begin
                        at_BC = (t * sets + first // per_set) * states
                        given, shrink = load(x, at), exp2(load(decay, at))
                        store(shrinks, i * LANES, shrink)
                        for n in range(states):
                            before = shrink * load(h, n * LANES)
                            store(shrunk, i * size + n * LANES, before)
                            store(h, n * LANES, before + fill(B[at_BC + n]) * given)
                    for t in range(end - 1, begin - 1, -1):
                        at, i = t * channels + first, t - begin
                        at_BC = (t * sets + first // per_set) * states
                        given, shrink, g = load(x, at), load(shrinks, i * LANES), load(dy, at)
                        through_x, through_decay = fill(zero), fill(zero)
                        for n in range(states):
                            k = n * LANES
                            before, behind = load(shrunk, i * size + k), load(dh, k)
                            whole = behind + fill(C[at_BC + n]) * g
                            if own:
                                behind = whole
                                dC[at_BC + n] += total(g * (before + fill(B[at_BC + n]) * given))
                            else:
                                dC[at_BC + n] += total(g * before)
                            dB[at_BC + n] += total(behind * given)
                            through_x = through_x + fill(B[at_BC + n]) * behind
                            through_decay = through_decay + whole * before
                            store(dh, k, shrink * whole)
                        store(dx, at, through_x)
                        store(ddecay, at, through_decay)
        restore_subnormals(mode)


def _work(cu_seqlens: Tensor, channels: int, chunk: int) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """As `scan_numba._work`."""
    cu = cu_seqlens.numpy().astype(np.int64)
    length = np.diff(cu)
    parts = min(PARTS, channels // LANES) if 4 * length.max(initial=0) > cu[-1] else 1
    return cu, sequence_groups(cu), parts, np.r_[0, np.cumsum(np.maximum(length - 1, 0) // chunk)]


def _chunk(states: int) -> int:
    return max(HELD // states, 8)


@operator("ssd")
def _ssd(
    x: Tensor, decay: Tensor, B: Tensor, C: Tensor, cu_seqlens: Tensor, own: bool, keep: bool
) -> tuple[Tensor, Tensor]:
    """y and, with `keep`, the states that the backward pass begins chunks with. x, decay (T, channels), B, C (T, sets,
    states)."""
    (tokens, channels), (_, sets, states) = x.shape, B.shape
    chunk = _chunk(states)
    cu, groups, parts, later = _work(cu_seqlens, channels, chunk)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    starts = x.new_empty(tokens // chunk if keep else 0, channels * states)  # at most; what is not used costs nothing
    use_torch_threads()
    inputs, sizes = arrays(x, decay * LOG2_E, B, C), (own, states, channels, channels // sets, chunk)
    _forward(*inputs, *sizes, cu, groups, parts, later, *arrays(y, starts))
    return y, starts


@_ssd.register_fake
def _(x, decay, B, C, cu_seqlens, own, keep):  # type: ignore[no-untyped-def]
    starts = x.new_empty(x.shape[0] // _chunk(B.shape[2]) if keep else 0, x.shape[1] * B.shape[2])
    return torch.empty_like(x, memory_format=torch.contiguous_format), starts


@operator("ssd_backward")
def _ssd_backward(
    dy: Tensor, starts: Tensor, x: Tensor, decay: Tensor, B: Tensor, C: Tensor, cu_seqlens: Tensor, own: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, decay, B, C."""
    (tokens, channels), (_, sets, states) = x.shape, B.shape
    chunk = _chunk(states)
    cu, groups, parts, later = _work(cu_seqlens, channels, chunk)
    dx, ddecay = x.new_empty(tokens, channels), x.new_empty(tokens, channels)
    dB_P, dC_P = (x.new_zeros(parts, B.numel()) for _ in range(2))
    use_torch_threads()
    inputs, sizes = arrays(x, decay * LOG2_E, B, C), (own, states, channels, channels // sets, chunk)
    outputs = *arrays(starts, dy, dx, ddecay), dB_P.numpy(), dC_P.numpy()
    _backward(*inputs, *sizes, cu, groups, parts, later, *outputs)
    dB, dC = (part.sum(0).view(B.shape) if parts > 1 else part[0].clone().view(B.shape) for part in (dB_P, dC_P))
    return dx, ddecay, dB, dC


@_ssd_backward.register_fake
def _(dy, starts, x, decay, B, C, cu_seqlens, own):  # type: ignore[no-untyped-def]
    return tuple(torch.empty_like(given, memory_format=torch.contiguous_format) for given in (x, decay, B, C))


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.own, _ = inputs
    starts = output[1]
    ctx.mark_non_differentiable(starts)
    ctx.save_for_backward(starts, *tensors)


def _differentiate(ctx, dy, _):  # type: ignore[no-untyped-def]
    return *_ssd_backward(dy, *ctx.saved_tensors, ctx.own), None, None, None


_ssd.register_autograd(_differentiate, setup_context=_keep)


def scan(x_TD: Tensor, decay_TD: Tensor, B_TGN: Tensor, C_TGN: Tensor, cu_seqlens: Tensor, own: bool) -> Tensor:
    """As `ssd.ssd_reference`, with a decay a channel; the channels of a set are whole vectors."""
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (x_TD, decay_TD, B_TGN, C_TGN))
    return _ssd(x_TD, decay_TD, B_TGN, C_TGN, cu_seqlens, own, keep)[0]
