"""The selective scan on the CPU: fused forward and hand-written backward over packed sequences.

Work is cut into groups of whole sequences, and where one sequence holds much of the batch, into parts of the channels.
All arithmetic is on vectors of 64 neighbouring channels (`simd`), whose states stay in the first-level cache. The
forward pass keeps the states before each chunk of `CHUNK` steps but a sequence's first, from which the backward pass
works out the others, chunk by chunk, in a small buffer: memory is O(tokens × channels). Groups and parts depend on the
sequences alone, not on the machine's threads, and so do results.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.direct import operator
from mdaf_core.ops.kernels import GROUPS, arrays, sequence_groups, use_torch_threads
from mdaf_core.ops.simd import (
    LANES,
    LN_2,
    LOG2_E,
    exp2,
    fill,
    flush_subnormals,
    load,
    restore_subnormals,
    sigmoid,
    softplus,
    store,
    total,
    workspace,
)

CHUNK = 64
"""Steps whose states the backward pass holds at once."""
PARTS = 8
"""Parts of the channels, at most, where groups of sequences alone would leave threads idle."""


# All arrays are flat; their layouts:
#   u, delta, z, y and their gradients [T][channels]; B, C [T][states]; skip [channels]
#   A [channels / LANES][states][LANES], times log2(e), so that a decay is exp2(Δ A)
#   dB_P, dC_P [parts][T][states]; dA_G as A and dskip_G as skip, one a group
#   starts [chunks][channels / LANES][states][LANES]: sequence s has those from later[s] on, none of its first chunk


@numba.njit
def _step(delta, at, positive):  # type: ignore[no-untyped-def]
    step = load(delta, at)
    return step if positive else softplus(step)


@numba.njit(inline="always")
def scan_token(u, delta, A, B, C, skip, z, positive, gated, t, first, h, begin, y):  # type: ignore[no-untyped-def]
    """Token t of the 64 channels from `first` on: from the states before it, at `begin` in h, to those behind it."""
    channels = len(skip)
    states = len(A) // channels
    at = t * channels + first
    x, step = load(u, at), _step(delta, at, positive)
    drive = step * x
    out = load(skip, first) * x
    for n in range(states):
        decay = exp2(step * load(A, first * states + n * LANES))
        new = decay * load(h, begin + n * LANES) + fill(B[t * states + n]) * drive
        store(h, begin + n * LANES, new)
        out = out + fill(C[t * states + n]) * new
    if gated:
        gate = load(z, at)
        out = out * gate * sigmoid(gate)
    store(y, at, out)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(  # type: ignore[no-untyped-def]
    u, delta, A, B, C, skip, z, positive, gated, cu, groups, parts, later, y, starts
):
    channels = len(skip)
    states, vectors = len(A) // channels, channels // LANES
    for item in prange((len(groups) - 1) * parts):
        group, part = item // parts, item % parts
        mode = flush_subnormals()
        h = workspace(states * LANES, u)
        for s in range(groups[group], groups[group + 1]):
            for first in range(part * vectors // parts * LANES, (part + 1) * vectors // parts * LANES, LANES):
                h[:] = 0
                for t in range(cu[s], cu[s + 1]):
                    step_of = t - cu[s]
                    if len(starts) and step_of % CHUNK == 0 and step_of > 0:
                        place = ((later[s] + step_of // CHUNK - 1) * vectors + first // LANES) * len(h)
                        starts[place : place + len(h)] = h
                    scan_token(u, delta, A, B, C, skip, z, positive, gated, t, first, h, 0, y)
        restore_subnormals(mode)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    u, delta, A, B, C, skip, z, positive, gated, cu, groups, parts, later, starts,
    dy, du, ddelta, dA_G, dB_P, dC_P, dskip_G, dz,
):  # fmt: skip
    channels = len(skip)
    states, vectors = len(A) // channels, channels // LANES
    size = states * LANES  # one vector of channels, all states
    zero, one = u.dtype.type(0), u.dtype.type(1)
    ln_2 = u.dtype.type(LN_2)
    for item in prange((len(groups) - 1) * parts):
        group, part = item // parts, item % parts
        mode = flush_subnormals()
        dA, dskip, dB, dC = dA_G[group], dskip_G[group], dB_P[part], dC_P[part]
        # Of one chunk of a sequence and vector of channels: states before each step and after the last, each step's
        # decay, its step size, its output before the gate.
        hs, decays = workspace((CHUNK + 1) * size, u), workspace(CHUNK * size, u)
        steps, outs = workspace(CHUNK * LANES, u), workspace(CHUNK * LANES, u)
        dh = workspace(size, u)
        for s in range(groups[group], groups[group + 1]):
            start, length = cu[s], cu[s + 1] - cu[s]
            chunks = (length + CHUNK - 1) // CHUNK
            for first in range(part * vectors // parts * LANES, (part + 1) * vectors // parts * LANES, LANES):
                block = first * states
                dh[:] = 0
                for chunk in range(chunks - 1, -1, -1):
                    begin, end = start + chunk * CHUNK, min(start + chunk * CHUNK + CHUNK, start + length)
                    hs[:size] = 0
                    if chunk > 0:
                        place = ((later[s] + chunk - 1) * vectors + first // LANES) * size
                        hs[:size] = starts[place : place + size]
                    for t in range(begin, end):
                        at, i = t * channels + first, t - begin
                        x, step = load(u, at), _step(delta, at, positive)
                        drive = step * x
                        out = load(skip, first) * x
                        for n in range(states):
                            k = i * size + n * LANES
                            decay = exp2(step * load(A, block + n * LANES))
                            new = decay * load(hs, k) + fill(B[t * states + n]) * drive
                            store(decays, k, decay)
                            store(hs, k + size, new)
                            out = out + fill(C[t * states + n]) * new
                        store(outs, i * LANES, out)
                        store(steps, i * LANES, step)
                    for t in range(end - 1, begin - 1, -1):
                        at, i = t * channels + first, t - begin
                        x, step, g = load(u, at), load(steps, i * LANES), load(dy, at)
                        if gated:
                            gate = load(z, at)
                            share = sigmoid(gate)
                            store(dz, at, g * load(outs, i * LANES) * share * (fill(one) + gate * (fill(one) - share)))
                            g = g * gate * share
                        drive = step * x
                        through_B, through_A = fill(zero), fill(zero)
                        for n in range(states):
                            k = n * LANES
                            upstream = load(dh, k) + fill(C[t * states + n]) * g
                            dC[t * states + n] += total(g * load(hs, i * size + size + k))
                            dB[t * states + n] += total(upstream * drive)
                            through_B = through_B + upstream * fill(B[t * states + n])
                            carried = upstream * load(decays, i * size + k)
                            store(dh, k, carried)
                            through_decay = carried * load(hs, i * size + k)
                            through_A = through_A + through_decay * load(A, block + k)
                            store(dA, block + k, load(dA, block + k) + through_decay * step)
                        store(du, at, through_B * step + g * load(skip, first))
                        dstep = through_B * x + fill(ln_2) * through_A
                        store(ddelta, at, dstep if positive else dstep * sigmoid(load(delta, at)))
                        store(dskip, first, load(dskip, first) + g * x)
        restore_subnormals(mode)


def _work(cu_seqlens: Tensor, channels: int) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Boundaries, first sequence of each group, parts of the channels, chunks before each sequence and in all without
    the first ones."""
    cu = cu_seqlens.numpy().astype(np.int64)
    length = np.diff(cu)
    parts = min(PARTS, channels // LANES) if 4 * length.max(initial=0) > cu[-1] else 1
    return cu, sequence_groups(cu), parts, np.r_[0, np.cumsum(np.maximum(length - 1, 0) // CHUNK)]


def packed(A_DN: Tensor) -> Tensor:
    """A as the kernels want it, flat."""
    return (A_DN * LOG2_E).reshape(-1, LANES, A_DN.shape[1]).transpose(1, 2).contiguous().view(-1)


# The operator works on whole vectors of channels; absent D or z are None, and so are their gradients' tensors empty.


@operator("selective_scan")
def _scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    cu_seqlens: Tensor,
    softplus: bool,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """y and, with `keep`, the states that the backward pass begins chunks with."""
    _check_boundaries(cu_seqlens, len(u))
    cu, groups, parts, later = _work(cu_seqlens, u.shape[1])
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    starts = u.new_empty(len(u) // CHUNK if keep else 0, A.numel())  # at most so many; what is not used costs nothing
    skip = u.new_zeros(u.shape[1]) if D is None else D
    # Without z the kernel gets u in its place and never reads it.
    use_torch_threads()
    inputs = arrays(u, delta, packed(A), B, C, skip, u if z is None else z)
    _forward(*inputs, not softplus, z is not None, cu, groups, parts, later, *arrays(y, starts))
    return y, starts


@_scan.register_fake
def _(u, delta, A, B, C, D, z, cu_seqlens, softplus, keep):  # type: ignore[no-untyped-def]
    starts = u.new_empty(len(u) // CHUNK if keep else 0, A.numel())
    return torch.empty_like(u, memory_format=torch.contiguous_format), starts


@operator("selective_scan_backward")
def _scan_backward(
    dy: Tensor,
    starts: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    cu_seqlens: Tensor,
    softplus: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, B, C, D, z."""
    (tokens, channels), states = u.shape, A.shape[1]
    cu, groups, parts, later = _work(cu_seqlens, channels)
    if len(starts) < later[-1]:
        raise ValueError(f"The backward pass needs the states before {later[-1]} chunks, and has {len(starts)}.")
    du, ddelta = (u.new_empty(tokens, channels) for _ in range(2))
    dz = u.new_empty(0 if z is None else tokens, channels)
    dA_G, dskip_G = u.new_zeros(GROUPS, channels * states), u.new_zeros(GROUPS, channels)
    dB_P, dC_P = (u.new_zeros(parts, tokens * states) for _ in range(2))
    skip = u.new_zeros(channels) if D is None else D
    use_torch_threads()
    _backward(
        *arrays(u, delta, packed(A), B, C, skip, u if z is None else z),
        not softplus, z is not None, cu, groups, parts, later, *arrays(starts, dy, du, ddelta),
        dA_G.numpy(), dB_P.numpy(), dC_P.numpy(), dskip_G.numpy(), *arrays(du if z is None else dz),
    )  # fmt: skip
    dA = dA_G.sum(0).view(-1, states, LANES).transpose(1, 2).reshape(channels, states).contiguous()
    dB, dC = (x[0].clone() if parts == 1 else x.sum(0) for x in (dB_P, dC_P))
    dD = u.new_empty(0) if D is None else dskip_G.sum(0)
    return du, ddelta, dA, dB.view(tokens, states), dC.view(tokens, states), dD, dz


@_scan_backward.register_fake
def _(dy, starts, u, delta, A, B, C, D, z, cu_seqlens, softplus):  # type: ignore[no-untyped-def]
    dense = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (u, u, A, B, C)]
    dD = u.new_empty(0) if D is None else torch.empty_like(D)
    return *dense, dD, u.new_empty(0 if z is None else u.shape[0], u.shape[1])


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.softplus, _ = inputs
    starts = output[1]
    ctx.mark_non_differentiable(starts)
    ctx.save_for_backward(starts, *tensors)


def _differentiate(ctx, dy, _):  # type: ignore[no-untyped-def]
    *tensors, D, z, cu_seqlens = ctx.saved_tensors
    *gradients, dD, dz = _scan_backward(dy, *tensors, D, z, cu_seqlens, ctx.softplus)
    return *gradients, None if D is None else dD, None if z is None else dz, None, None, None


_scan.register_autograd(_differentiate, setup_context=_keep)


def _check(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, z: Tensor | None) -> None:
    tokens, channels = u.shape
    states = A.shape[-1]
    expected = {"delta": (tokens, channels), "A": (channels, states), "B": (tokens, states), "C": (tokens, states)}
    given: dict[str, Tensor | None] = {"delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z}
    for name, x in given.items():
        shape = (expected | {"D": (channels,), "z": (tokens, channels)})[name]
        if x is not None and tuple(x.shape) != shape:
            raise ValueError(f"{name} must be {shape} beside u of {tuple(u.shape)}, not {tuple(x.shape)}.")
        if x is not None and (x.dtype, x.device) != (u.dtype, u.device):
            raise ValueError(f"{name} is {x.dtype} on {x.device}, u is {u.dtype} on {u.device}: they must agree.")
    if u.dtype not in (torch.float32, torch.float64) or u.device.type != "cpu":
        raise ValueError(f"The numba scan takes float32 or float64 on the CPU, not {u.dtype} on {u.device}.")


def _check_boundaries(cu_seqlens: Tensor, tokens: int) -> None:
    steps = cu_seqlens.diff()
    if len(cu_seqlens) < 2 or cu_seqlens[0] != 0 or cu_seqlens[-1] != tokens or bool((steps < 0).any()):
        raise ValueError(f"cu_seqlens must rise from 0 to the number of tokens ({tokens}).")


def scan(
    u_TD: Tensor,
    delta_TD: Tensor,
    A_DN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_D: Tensor | None,
    z_TD: Tensor | None,
    cu_seqlens: Tensor,
    delta_softplus: bool = False,
) -> Tensor:
    """Same contract as `selective_scan.scan_reference`, float32 or float64, on the CPU; with `delta_softplus` the steps
    are softplus(delta).

    Raises:
        ValueError: shapes, types or boundaries do not fit together (the kernel itself checks nothing).
    """
    _check(u_TD, delta_TD, A_DN, B_TN, C_TN, D_D, z_TD)
    channels = u_TD.shape[1]
    missing = -channels % LANES
    if missing:  # channels of zeros, up to a whole vector
        u_TD, delta_TD = F.pad(u_TD, (0, missing)), F.pad(delta_TD, (0, missing))
        A_DN = F.pad(A_DN, (0, 0, 0, missing))
        D_D = None if D_D is None else F.pad(D_D, (0, missing))
        z_TD = None if z_TD is None else F.pad(z_TD, (0, missing))
    inputs = u_TD, delta_TD, A_DN, B_TN, C_TN, D_D, z_TD
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    y_TD: Tensor = _scan(*inputs, cu_seqlens, delta_softplus, keep)[0]
    return y_TD[:, :channels] if missing else y_TD
