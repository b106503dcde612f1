"""Causal depthwise convolution and SiLU on the CPU: one pass forward, one backward that recomputes what it needs."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.direct import operator
from mdaf_core.ops.kernels import GROUPS, arrays, sequence_groups, use_torch_threads
from mdaf_core.ops.simd import LANES, fill, load, sigmoid, store, workspace

# All arrays are flat: x, y and their gradients [T][channels], weight [width][channels], bias [channels].


@numba.njit
def convolve_token(x, weight, bias, channels, first, start, t):  # type: ignore[no-untyped-def]
    """bias + Σ_k weight[width−1−k] · x[t−k], for t−k from `start` on."""
    width = len(weight) // channels
    out = load(bias, first)
    for k in range(min(width, t - start + 1)):
        out = out + load(weight, (width - 1 - k) * channels + first) * load(x, (t - k) * channels + first)
    return out


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(x, weight, bias, silu, cu, groups, y):  # type: ignore[no-untyped-def]
    channels = len(bias)
    for group in prange(len(groups) - 1):
        for s in range(groups[group], groups[group + 1]):
            for t in range(cu[s], cu[s + 1]):
                for first in range(0, channels, LANES):
                    out = convolve_token(x, weight, bias, channels, first, cu[s], t)
                    store(y, t * channels + first, out * sigmoid(out) if silu else out)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(x, weight, bias, silu, cu, groups, longest, dy, dx, dweight_G, dbias_G):  # type: ignore[no-untyped-def]
    channels = len(bias)
    width = len(weight) // channels
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for group in prange(len(groups) - 1):
        before = workspace(longest * LANES, x)  # gradients before the SiLU, of one sequence and vector of channels
        dweight, dbias = dweight_G[group], dbias_G[group]
        for s in range(groups[group], groups[group + 1]):
            start, length = cu[s], cu[s + 1] - cu[s]
            for first in range(0, channels, LANES):
                for i in range(length):
                    g = load(dy, (start + i) * channels + first)
                    if silu:
                        out = convolve_token(x, weight, bias, channels, first, start, start + i)
                        share = sigmoid(out)
                        g = g * share * (fill(one) + out * (fill(one) - share))
                    store(before, i * LANES, g)
                    store(dbias, first, load(dbias, first) + g)
                    for k in range(min(width, i + 1)):
                        at = (width - 1 - k) * channels + first
                        store(dweight, at, load(dweight, at) + g * load(x, (start + i - k) * channels + first))
                for i in range(length):
                    out = fill(zero)
                    for k in range(min(width, length - i)):
                        out = out + load(weight, (width - 1 - k) * channels + first) * load(before, (i + k) * LANES)
                    store(dx, (start + i) * channels + first, out)


@operator("causal_conv1d")
def _convolution(x: Tensor, weight: Tensor, bias: Tensor, silu: bool, cu_seqlens: Tensor) -> Tensor:
    cu = cu_seqlens.numpy().astype(np.int64)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    use_torch_threads()
    _forward(*arrays(x, weight.t(), bias), silu, cu, sequence_groups(cu), y.view(-1).numpy())
    return y


@_convolution.register_fake
def _(x, weight, bias, silu, cu_seqlens):  # type: ignore[no-untyped-def]
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@operator("causal_conv1d_backward")
def _convolution_backward(
    dy: Tensor, x: Tensor, weight: Tensor, bias: Tensor, silu: bool, cu_seqlens: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias."""
    cu = cu_seqlens.numpy().astype(np.int64)
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    dweight_G, dbias_G = x.new_zeros(GROUPS, weight.numel()), x.new_zeros(GROUPS, len(bias))
    longest = int(np.diff(cu).max(initial=0))
    use_torch_threads()
    _backward(
        *arrays(x, weight.t(), bias), silu, cu, sequence_groups(cu), longest,
        *arrays(dy, dx), dweight_G.numpy(), dbias_G.numpy(),
    )  # fmt: skip
    return dx, dweight_G.sum(0).view(weight.shape[1], -1).t().contiguous(), dbias_G.sum(0)


@_convolution_backward.register_fake
def _(dy, x, weight, bias, silu, cu_seqlens):  # type: ignore[no-untyped-def]
    return tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, weight, bias))


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, weight, bias, ctx.silu, cu_seqlens = inputs
    ctx.save_for_backward(x, weight, bias, cu_seqlens)


def _differentiate(ctx, dy):  # type: ignore[no-untyped-def]
    x, weight, bias, cu_seqlens = ctx.saved_tensors
    return *_convolution_backward(dy, x, weight, bias, ctx.silu, cu_seqlens), None, None


_convolution.register_autograd(_differentiate, setup_context=_keep)


def convolve(x_TD: Tensor, weight_DK: Tensor, bias_D: Tensor, silu: bool, cu_seqlens: Tensor) -> Tensor:
    """Same contract as `causal_conv.convolve_reference`, float32 or float64, on the CPU."""
    channels = x_TD.shape[1]
    missing = -channels % LANES
    if missing:  # channels of zeros, up to a whole vector
        x_TD, weight_DK = F.pad(x_TD, (0, missing)), F.pad(weight_DK, (0, 0, 0, missing))
        bias_D = F.pad(bias_D, (0, missing))
    y_TD: Tensor = _convolution(x_TD, weight_DK, bias_D, silu, cu_seqlens)
    return y_TD[:, :channels] if missing else y_TD
