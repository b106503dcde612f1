"""Causal depthwise convolution and SiLU on the CPU: one pass forward, one backward that recomputes what it needs."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from mdaf_core.ops.kernels import GROUPS, exp, sequence_groups, use_torch_threads


@numba.njit(inline="always")
def _convolve(acc, x, weight_KD, bias, start, t):  # type: ignore[no-untyped-def]
    """acc = bias + Σ_k weight_KD[K−1−k] · x[t−k], for t−k from `start` on."""
    width = weight_KD.shape[0]
    for d in range(len(acc)):
        acc[d] = bias[d]
    for k in range(min(width, t - start + 1)):
        row, w = x[t - k], weight_KD[width - 1 - k]
        for d in range(len(acc)):
            acc[d] += w[d] * row[d]


@numba.njit(parallel=True, cache=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def _forward(x, weight_KD, bias, silu, cu, groups, y):  # type: ignore[no-untyped-def]
    one = x.dtype.type(1)
    for group in prange(len(groups) - 1):
        acc = np.empty(x.shape[1], x.dtype)
        for s in range(groups[group], groups[group + 1]):
            for t in range(cu[s], cu[s + 1]):
                _convolve(acc, x, weight_KD, bias, cu[s], t)
                out = y[t]
                if silu:
                    for d in range(len(acc)):
                        out[d] = acc[d] / (one + exp(-acc[d]))
                else:
                    for d in range(len(acc)):
                        out[d] = acc[d]


@numba.njit(parallel=True, cache=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def _backward(x, weight_KD, bias, silu, cu, groups, longest, dy, dx, dweight_GKD, dbias_GD):  # type: ignore[no-untyped-def]
    one, width = x.dtype.type(1), weight_KD.shape[0]
    for group in prange(len(groups) - 1):
        acc = np.empty(x.shape[1], x.dtype)
        before = np.empty((longest, x.shape[1]), x.dtype)  # gradients before the SiLU, of one sequence
        db = dbias_GD[group]
        for s in range(groups[group], groups[group + 1]):
            start, length = cu[s], cu[s + 1] - cu[s]
            for i in range(length):
                g, upstream = before[i], dy[start + i]
                if silu:
                    _convolve(acc, x, weight_KD, bias, start, start + i)
                    for d in range(len(acc)):
                        sigmoid = one / (one + exp(-acc[d]))
                        g[d] = upstream[d] * sigmoid * (one + acc[d] * (one - sigmoid))
                else:
                    for d in range(len(acc)):
                        g[d] = upstream[d]
                for d in range(len(acc)):
                    db[d] += g[d]
                for k in range(min(width, i + 1)):
                    row, dw = x[start + i - k], dweight_GKD[group, width - 1 - k]
                    for d in range(len(acc)):
                        dw[d] += g[d] * row[d]
            for i in range(length):
                out = dx[start + i]
                for d in range(len(acc)):
                    out[d] = 0
                for k in range(min(width, length - i)):
                    g, w = before[i + k], weight_KD[width - 1 - k]
                    for d in range(len(acc)):
                        out[d] += w[d] * g[d]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight_DK, bias, silu, cu_seqlens):  # type: ignore[no-untyped-def, override]
        ctx.cu, ctx.silu = cu_seqlens.cpu().numpy().astype(np.int64), silu
        ctx.groups = sequence_groups(ctx.cu)
        tensors = [t.detach().contiguous() for t in (x, weight_DK.t(), bias)]
        y = torch.empty_like(tensors[0])
        use_torch_threads()
        _forward(*[t.numpy() for t in tensors], silu, ctx.cu, ctx.groups, y.numpy())
        ctx.save_for_backward(*tensors)
        return y

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def, override]
        x, weight_KD, bias = (t.numpy() for t in ctx.saved_tensors)
        dx = np.empty_like(x)
        dweight_GKD, dbias_GD = np.zeros((GROUPS, *weight_KD.shape), x.dtype), np.zeros((GROUPS, len(bias)), x.dtype)
        longest = int((ctx.cu[1:] - ctx.cu[:-1]).max())
        use_torch_threads()
        inputs = (x, weight_KD, bias, ctx.silu, ctx.cu, ctx.groups, longest, dy.contiguous().numpy())
        _backward(*inputs, dx, dweight_GKD, dbias_GD)
        wrap = torch.from_numpy
        return wrap(dx), wrap(dweight_GKD.sum(0).T), wrap(dbias_GD.sum(0)), None, None


def convolve(x_TD: Tensor, weight_DK: Tensor, bias_D: Tensor, silu: bool, cu_seqlens: Tensor) -> Tensor:
    """Same contract as `causal_conv.convolve_reference`, float32 or float64, on the CPU."""
    return _Convolution.apply(x_TD, weight_DK, bias_D, silu, cu_seqlens)  # type: ignore[no-any-return]
