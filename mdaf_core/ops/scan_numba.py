"""The selective scan on the CPU: fused forward and hand-written backward over packed sequences.

Work is cut into groups of whole sequences; a group runs through its tokens once for every block of channels. The inner
loops go over channels, which lie next to each other in memory, so that the compiler turns them into vector code, and
the state of a block stays in the first-level cache. The backward pass recomputes a sequence's states into a small
buffer instead of storing them: memory is O(tokens × channels). The number of groups is fixed, not taken from the
machine's threads, so sums are formed in the same order everywhere and results are bit-identical.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic, overload
from torch import Tensor

GROUPS = 16
BLOCK = 64


@intrinsic
def _round(typingctx, x):  # type: ignore[no-untyped-def]
    """Nearest whole number of a float32, as float32."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [ir.FloatType()]), args)

    return types.float32(types.float32), codegen


@intrinsic
def _two_to(typingctx, x):  # type: ignore[no-untyped-def]
    """2^x of a whole float32 in [-126, 127], by writing the exponent's bits."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        i32 = ir.IntType(32)
        exponent = builder.add(builder.fptosi(args[0], i32), ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(exponent, ir.Constant(i32, 23)), ir.FloatType())

    return types.float32(types.float32), codegen


def _exp(x):  # type: ignore[no-untyped-def]
    return math.exp(x)


@overload(_exp, inline="always")
def _exp_overload(x):  # type: ignore[no-untyped-def]
    if x != types.float32:
        return lambda x: math.exp(x)

    f = np.float32
    low, high, log2e = f(-87.3), f(88.0), f(1.4426950408889634)
    # ln2 in two parts, so that the reduced argument keeps its last bits (Cody & Waite 1980).
    ln2_high, ln2_low = f(0.693359375), f(-2.12194440e-4)
    # Taylor coefficients up to the 6th power: relative error below 1.3e-7 on [-ln2/2, ln2/2].
    c2, c3, c4, c5, c6 = f(1 / 2), f(1 / 6), f(1 / 24), f(1 / 120), f(1 / 720)
    one = f(1.0)

    def fast(x):  # type: ignore[no-untyped-def]
        x = min(max(x, low), high)
        k = _round(x * log2e)
        r = x - k * ln2_high - k * ln2_low
        p = one + r * (one + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * c6)))))
        return p * _two_to(k)

    return fast


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
                            new = _exp(step[d] * a[d]) * hn[d] + b * drive[d]
                            hn[d] = new
                            acc[d] += c * new
                    for d in range(width):
                        y[t, first + d] = acc[d] + skip[first + d] * x[d]
                    if gated:
                        for d in range(width):
                            gate = z[t, first + d]
                            y[t, first + d] *= gate / (one + _exp(-gate))


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
                            e = _exp(step[d] * a[d])
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
                            sigmoid = one / (one + _exp(-gate))
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


def _groups(cu: np.ndarray) -> np.ndarray:
    """First sequence of each of `GROUPS` groups with about equally many tokens, and the end; int64."""
    targets = np.linspace(0, cu[-1], GROUPS + 1)[1:-1]
    inner = np.searchsorted(cu, targets)
    return np.concatenate([[0], np.clip(inner, 0, len(cu) - 1), [len(cu) - 1]]).astype(np.int64)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, cu_seqlens):  # type: ignore[no-untyped-def, override]
        cu = cu_seqlens.cpu().numpy().astype(np.int64)
        groups = _groups(cu)
        skip = u.new_zeros(u.shape[1]) if D is None else D
        tensors = [x.detach().contiguous() for x in (u, delta, A.t(), B, C, skip)]
        gate = None if z is None else z.detach().contiguous()
        arrays = [x.numpy() for x in tensors]
        y = torch.empty_like(tensors[0])
        # Without z the kernel gets u in its place and never reads it.
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
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
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
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
