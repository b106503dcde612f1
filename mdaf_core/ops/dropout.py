"""Dropout whose mask is computed, not stored: each element's fate is a hash of the call's seed and its position.

PyTorch draws the mask of a CPU tensor one number after another on one core. A hash needs no order, so all cores draw,
and the backward pass draws the same mask again. Results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.ops.direct import operator
from mdaf_core.ops.kernels import arrays, use_torch_threads

PART = 1 << 16
"""Elements that one thread takes at once."""


@numba.njit(inline="always")
def hash32(x):  # type: ignore[no-untyped-def]
    """A bijection of 32-bit integers whose output bits all depend on all input bits (Wellons' lowbias32)."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))  # numba widens each product
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@numba.njit(parallel=True, cache=True)
def _mask(x, seed, limit, scale, out):  # type: ignore[no-untyped-def]
    """out = scale · x where the hash is at least `limit`, else 0; flat arrays."""
    zero = x.dtype.type(0)
    for part in prange(-(-len(x) // PART)):
        start = part * PART
        here, there = x[start : start + PART], out[start : start + PART]
        first = hash32(np.uint32(np.uint32(seed) ^ hash32(np.uint32(part))))
        second = np.uint32(seed >> np.uint64(32))
        for i in range(len(here)):
            drawn = hash32(np.uint32(hash32(np.uint32(np.uint32(i) + first)) ^ second))
            there[i] = here[i] * scale if drawn >= limit else zero


def settings(x: Tensor, p: float) -> tuple[np.uint32, Any]:
    """The hash below which an element is dropped, and by what the others grow, for kernels on `x`."""
    return np.uint32(round(p * 2**32)), x.new_tensor(1 / (1 - p)).numpy()[()]


@operator("dropout")
def _dropout(x: Tensor, p: float, seed: Tensor) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    use_torch_threads()
    (flat,) = arrays(x)
    _mask(flat, np.uint64(seed.item()), *settings(x, p), out.view(-1).numpy())
    return out


@_dropout.register_fake
def _(x, p, seed):  # type: ignore[no-untyped-def]
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, ctx.p, seed = inputs
    ctx.save_for_backward(seed)


def _differentiate(ctx, dy):  # type: ignore[no-untyped-def]
    return _dropout(dy, ctx.p, *ctx.saved_tensors), None, None


_dropout.register_autograd(_differentiate, setup_context=_keep)


class Dropout(nn.Module):
    """As `torch.nn.Dropout`: while training, zero with probability p, else x / (1 − p).

    The seed of each call comes from torch's generator.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"A dropout rate is at least 0 and below 1, not {p}.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p, training=True)
        out: Tensor = _dropout(x, self.p, torch.randint(0, 2**62, ()))
        return out

    def extra_repr(self) -> str:
        return f"p={self.p}"
