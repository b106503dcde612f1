"""The selective scan on the CPU: fused forward and hand-written backward over packed sequences.

Work is cut into groups of whole sequences; a group runs through its tokens once for every block of channels. The inner
loops go over channels, which lie next to each other in memory, so that the compiler turns them into vector code, and
the state of a block stays in the first-level cache. The backward pass recomputes a sequence's states into a small
buffer instead of storing them: memory is O(tokens × channels). The number of groups is fixed, not taken from the
machine's threads, so that results do not depend on them.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from mdaf_core.ops.kernels import GROUPS, exp, sequence_groups, use_torch_threads

BLOCK = 64
"""Channels that a kernel takes at once."""


@numba.njit(inline="always")
def _load(block, row, first, width):  # type: ignore[no-untyped-def]
    """Copy a block of channels into a buffer of fixed length, zeros behind the last one: the loops over it then have a
    known, contiguous range."""
    for d in range(width):
        block[d] = row[first + d]
    for d in range(width, BLOCK):
        block[d] = 0


@numba.njit(parallel=True, cache=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def _forward(u, delta, A_ND, B, C, skip, z, gated, cu, groups, y):  # type: ignore[no-untyped-def]
    channels, states = u.shape[1], A_ND.shape[0]
    one = u.dtype.type(1)
    for group in prange(len(groups) - 1):
        h = np.empty((states, BLOCK), u.dtype)
        A = np.zeros((states, BLOCK), u.dtype)
        x, step = np.zeros(BLOCK, u.dtype), np.zeros(BLOCK, u.dtype)
        drive, acc = np.empty(BLOCK, u.dtype), np.empty(BLOCK, u.dtype)
        for first in range(0, channels, BLOCK):
            width = min(BLOCK, channels - first)
            for n in range(states):
                _load(A[n], A_ND[n], first, width)
            for s in range(groups[group], groups[group + 1]):
                h[:] = 0
                for t in range(cu[s], cu[s + 1]):
                    _load(x, u[t], first, width)
                    _load(step, delta[t], first, width)
                    for d in range(BLOCK):
                        drive[d] = step[d] * x[d]
                        acc[d] = 0
                    for n in range(states):
                        a, hn = A[n], h[n]
                        b, c = B[t, n], C[t, n]
                        for d in range(BLOCK):
                            new = exp(step[d] * a[d]) * hn[d] + b * drive[d]
                            hn[d] = new
                            acc[d] += c * new
                    for d in range(width):
                        y[t, first + d] = acc[d] + skip[first + d] * x[d]
                    if gated:
                        for d in range(width):
                            gate = z[t, first + d]
                            y[t, first + d] *= gate / (one + exp(-gate))


@numba.njit(parallel=True, cache=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    u, delta, A_ND, B, C, skip, z, gated, cu, groups, longest, dy, du, ddelta, dA_GND, dB, dC, dskip_GD, dz
):
    channels, states = u.shape[1], A_ND.shape[0]
    zero, one = u.dtype.type(0), u.dtype.type(1)
    for group in prange(len(groups) - 1):
        hs = np.zeros((longest + 1, states, BLOCK), u.dtype)  # hs[i + 1] = state after step i, hs[0] = 0
        decay = np.empty((longest, states, BLOCK), u.dtype)
        dh, A, dA = np.empty_like(hs[0]), np.zeros_like(hs[0]), np.empty_like(hs[0])
        x, step, g = np.zeros(BLOCK, u.dtype), np.zeros(BLOCK, u.dtype), np.zeros(BLOCK, u.dtype)
        drive, acc = np.empty(BLOCK, u.dtype), np.empty(BLOCK, u.dtype)
        through_B, through_A = np.empty(BLOCK, u.dtype), np.empty(BLOCK, u.dtype)
        for first in range(0, channels, BLOCK):
            width = min(BLOCK, channels - first)
            for n in range(states):
                _load(A[n], A_ND[n], first, width)
            dA[:] = 0
            for s in range(groups[group], groups[group + 1]):
                start, length = cu[s], cu[s + 1] - cu[s]
                for i in range(length):
                    _load(x, u[start + i], first, width)
                    _load(step, delta[start + i], first, width)
                    for d in range(BLOCK):
                        drive[d] = step[d] * x[d]
                    for n in range(states):
                        a, before, after, keep = A[n], hs[i, n], hs[i + 1, n], decay[i, n]
                        b = B[start + i, n]
                        for d in range(BLOCK):
                            e = exp(step[d] * a[d])
                            keep[d] = e
                            after[d] = e * before[d] + b * drive[d]
                dh[:] = 0
                for i in range(length - 1, -1, -1):
                    t = start + i
                    _load(x, u[t], first, width)
                    _load(step, delta[t], first, width)
                    _load(g, dy[t], first, width)
                    if gated:
                        acc[:] = 0
                        for n in range(states):
                            after, c = hs[i + 1, n], C[t, n]
                            for d in range(BLOCK):
                                acc[d] += c * after[d]
                        for d in range(width):
                            gate = z[t, first + d]
                            sigmoid = one / (one + exp(-gate))
                            ungated = acc[d] + skip[first + d] * x[d]
                            dz[t, first + d] = g[d] * ungated * sigmoid * (one + gate * (one - sigmoid))
                            g[d] *= gate * sigmoid
                    for d in range(BLOCK):
                        drive[d] = step[d] * x[d]
                        through_B[d] = zero
                        through_A[d] = zero
                    for n in range(states):
                        a, before, after, keep = A[n], hs[i, n], hs[i + 1, n], decay[i, n]
                        dhn, dAn = dh[n], dA[n]
                        b, c = B[t, n], C[t, n]
                        sum_B, sum_C = zero, zero
                        for d in range(BLOCK):
                            upstream = dhn[d] + c * g[d]
                            sum_C += g[d] * after[d]
                            sum_B += upstream * drive[d]
                            through_B[d] += upstream * b
                            carried = upstream * keep[d]
                            dhn[d] = carried
                            through_decay = carried * before[d]
                            through_A[d] += through_decay * a[d]
                            dAn[d] += through_decay * step[d]
                        dB[t, n] += sum_B
                        dC[t, n] += sum_C
                    for d in range(width):
                        du[t, first + d] = through_B[d] * step[d] + g[d] * skip[first + d]
                        ddelta[t, first + d] = through_B[d] * x[d] + through_A[d]
                        dskip_GD[group, first + d] += g[d] * x[d]
            for n in range(states):
                for d in range(width):
                    dA_GND[group, n, first + d] = dA[n, d]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, cu_seqlens):  # type: ignore[no-untyped-def, override]
        cu = cu_seqlens.cpu().numpy().astype(np.int64)
        groups = sequence_groups(cu)
        skip = u.new_zeros(u.shape[1]) if D is None else D
        tensors = [x.detach().contiguous() for x in (u, delta, A.t(), B, C, skip)]
        gate = None if z is None else z.detach().contiguous()
        arrays = [x.numpy() for x in tensors]
        y = torch.empty_like(tensors[0])
        # Without z the kernel gets u in its place and never reads it.
        use_torch_threads()
        _forward(*arrays, arrays[0] if gate is None else gate.numpy(), gate is not None, cu, groups, y.numpy())
        ctx.save_for_backward(*tensors, *([] if gate is None else [gate]))
        ctx.cu, ctx.groups, ctx.has_skip = cu, groups, D is not None
        return y

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def, override]
        tensors = [x.numpy() for x in ctx.saved_tensors]
        u, A_ND, B = tensors[0], tensors[2], tensors[3]
        gated = len(tensors) == 7
        du, ddelta = np.empty_like(u), np.empty_like(u)
        dz = np.empty_like(u) if gated else du
        dA = np.zeros((GROUPS, *A_ND.shape), u.dtype)
        dskip = np.zeros((GROUPS, u.shape[1]), u.dtype)
        dB, dC = np.zeros_like(B), np.zeros_like(B)
        longest = int((ctx.cu[1:] - ctx.cu[:-1]).max())
        inputs = tensors if gated else [*tensors, u]
        use_torch_threads()
        _backward(
            *inputs, gated, ctx.cu, ctx.groups, longest, dy.contiguous().numpy(), du, ddelta, dA, dB, dC, dskip, dz
        )  # fmt: skip
        wrap = torch.from_numpy
        return (
            wrap(du),
            wrap(ddelta),
            wrap(dA.sum(0).T),
            wrap(dB),
            wrap(dC),
            wrap(dskip.sum(0)) if ctx.has_skip else None,
            wrap(dz) if gated else None,
            None,
        )


def scan(
    u_TD: Tensor,
    delta_TD: Tensor,
    A_DN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_D: Tensor | None,
    z_TD: Tensor | None,
    cu_seqlens: Tensor,
) -> Tensor:
    """Same contract as `selective_scan.scan_reference`, float32 or float64, on the CPU."""
    return _Scan.apply(u_TD, delta_TD, A_DN, B_TN, C_TN, D_D, z_TD, cu_seqlens)  # type: ignore[no-any-return]
