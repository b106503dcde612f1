"""Self-attention among the few fields of each row (Vaswani et al. 2017): scores, softmax, dropout, weighted sum, fused.

A row has ten or forty fields, so its score matrices are tiny and a general kernel spends its time on moving them. Here
64 rows lie side by side in the lanes of a vector (`simd`) and one head at a time is worked out in cache; scores are
never written to memory, and the backward pass forms them again. Each row's sums are formed in the order of its fields:
the result does not depend on the batch around it or on the number of threads.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import register_flop_formula

from mdaf_core.ops.direct import operator
from mdaf_core.ops.dropout import hash32, settings
from mdaf_core.ops.kernels import arrays, use_torch_threads
from mdaf_core.ops.lanes import turn, turn_back
from mdaf_core.ops.simd import LANES, LOG2_E, exp2, fill, load, maximum, store, surviving, workspace

# All arrays are flat; their layouts:
#   qkv and its gradient [B][field][q, k, v][head][dim], mixed and its gradient [B][field][head][dim]
#   in the cache, one head of 64 rows [field][dim][LANES]


@numba.njit
def _gather(x, width, first, rows, offset, stride, fields, dim, out):  # type: ignore[no-untyped-def]
    """out[field][dim][lane] = x[first + lane][offset + field · stride + dim], lanes from `rows` on zero."""
    for field in range(fields):
        here = out[field * dim * LANES : (field + 1) * dim * LANES]
        turn(x, width, first, rows, offset + field * stride, dim, here)


@numba.njit
def _scatter(x, width, first, rows, offset, stride, fields, dim, out):  # type: ignore[no-untyped-def]
    """The way back."""
    for field in range(fields):
        here = x[field * dim * LANES : (field + 1) * dim * LANES]
        turn_back(here, width, first, rows, offset + field * stride, dim, out)


@numba.njit
def _rows(first):  # type: ignore[no-untyped-def]
    places = np.empty(LANES, np.uint32)
    for lane in range(LANES):
        places[lane] = first + lane
    return places


@numba.njit
def _keep(values, seed, pair, places, limit, scale):  # type: ignore[no-untyped-def]
    """Dropout of one weight of each lane, by a hash of seed, pair of fields and row."""
    start = hash32(np.uint32(np.uint32(seed) ^ hash32(np.uint32(pair))))
    return surviving(values, places, start, np.uint32(seed >> np.uint64(32)), limit, scale)


@numba.njit
def _weights(q, k, i, fields, dim, out):  # type: ignore[no-untyped-def]
    """Softmax over the fields of the inner products of query i with all keys: out[field][lane]."""
    one, log2_e = out.dtype.type(1), out.dtype.type(LOG2_E)
    for j in range(fields):
        score = load(q, i * dim * LANES) * load(k, j * dim * LANES)
        for d in range(1, dim):
            score = score + load(q, (i * dim + d) * LANES) * load(k, (j * dim + d) * LANES)
        store(out, j * LANES, fill(log2_e) * score)
    top = load(out, 0)
    for j in range(1, fields):
        top = maximum(top, load(out, j * LANES))
    sum_ = fill(out.dtype.type(0))
    for j in range(fields):
        weight = exp2(load(out, j * LANES) - top)
        store(out, j * LANES, weight)
        sum_ = sum_ + weight
    inverse = fill(one) / sum_
    for j in range(fields):
        store(out, j * LANES, load(out, j * LANES) * inverse)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(qkv, batch, fields, heads, dim, seed, limit, scale, mixed):  # type: ignore[no-untyped-def]
    width = fields * heads * dim
    size = fields * dim * LANES
    for block in prange((batch + LANES - 1) // LANES):
        first = block * LANES
        rows = min(LANES, batch - first)
        q, k, v = workspace(size, qkv), workspace(size, qkv), workspace(size, qkv)
        out, weight, places = workspace(size, qkv), workspace(fields * LANES, qkv), _rows(first)
        for head in range(heads):
            _gather(qkv, 3 * width, first, rows, head * dim, 3 * heads * dim, fields, dim, q)
            _gather(qkv, 3 * width, first, rows, (heads + head) * dim, 3 * heads * dim, fields, dim, k)
            _gather(qkv, 3 * width, first, rows, (2 * heads + head) * dim, 3 * heads * dim, fields, dim, v)
            for i in range(fields):
                _weights(q, k, i, fields, dim, weight)
                if limit > 0:
                    for j in range(fields):
                        pair = (head * fields + i) * fields + j
                        store(weight, j * LANES, _keep(load(weight, j * LANES), seed, pair, places, limit, scale))
                for d in range(dim):
                    sum_ = load(weight, 0) * load(v, d * LANES)
                    for j in range(1, fields):
                        sum_ = sum_ + load(weight, j * LANES) * load(v, (j * dim + d) * LANES)
                    store(out, (i * dim + d) * LANES, sum_)
            _scatter(out, width, first, rows, head * dim, heads * dim, fields, dim, mixed)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(dmixed, qkv, batch, fields, heads, dim, seed, limit, scale, dqkv):  # type: ignore[no-untyped-def]
    width = fields * heads * dim
    size = fields * dim * LANES
    for block in prange((batch + LANES - 1) // LANES):
        first = block * LANES
        rows = min(LANES, batch - first)
        q, k, v = workspace(size, qkv), workspace(size, qkv), workspace(size, qkv)
        dq, dk, dv = workspace(size, qkv), workspace(size, qkv), workspace(size, qkv)
        dout, places = workspace(size, qkv), _rows(first)
        weight, slope = workspace(fields * LANES, qkv), workspace(fields * LANES, qkv)
        for head in range(heads):
            _gather(qkv, 3 * width, first, rows, head * dim, 3 * heads * dim, fields, dim, q)
            _gather(qkv, 3 * width, first, rows, (heads + head) * dim, 3 * heads * dim, fields, dim, k)
            _gather(qkv, 3 * width, first, rows, (2 * heads + head) * dim, 3 * heads * dim, fields, dim, v)
            _gather(dmixed, width, first, rows, head * dim, heads * dim, fields, dim, dout)
            dk[:] = 0
            dv[:] = 0
            for i in range(fields):
                _weights(q, k, i, fields, dim, weight)
                inner = fill(qkv.dtype.type(0))  # Σ_j weight · its slope, which the softmax takes away
                for j in range(fields):
                    here = load(weight, j * LANES)
                    pair = (head * fields + i) * fields + j
                    kept = _keep(here, seed, pair, places, limit, scale) if limit > 0 else here
                    through = fill(qkv.dtype.type(0))
                    for d in range(dim):
                        upstream, at = load(dout, (i * dim + d) * LANES), (j * dim + d) * LANES
                        through = through + upstream * load(v, at)
                        store(dv, at, load(dv, at) + kept * upstream)
                    if limit > 0:
                        through = _keep(through, seed, pair, places, limit, scale)
                    store(slope, j * LANES, through)
                    inner = inner + here * through
                for j in range(fields):
                    store(slope, j * LANES, load(weight, j * LANES) * (load(slope, j * LANES) - inner))
                for d in range(dim):
                    query, through = load(q, (i * dim + d) * LANES), fill(qkv.dtype.type(0))
                    for j in range(fields):
                        here, at = load(slope, j * LANES), (j * dim + d) * LANES
                        through = through + here * load(k, at)
                        store(dk, at, load(dk, at) + here * query)
                    store(dq, (i * dim + d) * LANES, through)
            _scatter(dq, 3 * width, first, rows, head * dim, 3 * heads * dim, fields, dim, dqkv)
            _scatter(dk, 3 * width, first, rows, (heads + head) * dim, 3 * heads * dim, fields, dim, dqkv)
            _scatter(dv, 3 * width, first, rows, (2 * heads + head) * dim, 3 * heads * dim, fields, dim, dqkv)


def _settings(x: Tensor, p: float, seed: Tensor) -> tuple[object, ...]:
    return np.uint64(seed.item()), *settings(x, p)


@operator("field_attention")
def _attention(qkv: Tensor, heads: int, p: float, seed: Tensor) -> Tensor:
    batch, fields, width = qkv.shape
    mixed = qkv.new_empty(batch, fields, width // 3)
    use_torch_threads()
    (flat,) = arrays(qkv)
    dim = width // 3 // heads
    _forward(flat, batch, fields, heads, dim, *_settings(qkv, p, seed), mixed.view(-1).numpy())
    return mixed


@_attention.register_fake
def _(qkv, heads, p, seed):  # type: ignore[no-untyped-def]
    return qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)


@register_flop_formula(torch.ops.mdaf.field_attention)
def _operations(qkv_shape, *_, **__) -> int:  # type: ignore[no-untyped-def]
    batch, fields, width = qkv_shape
    return 4 * batch * fields * fields * (width // 3)  # scores and their use, a product and a sum each


@operator("field_attention_backward")
def _attention_backward(dmixed: Tensor, qkv: Tensor, heads: int, p: float, seed: Tensor) -> Tensor:
    batch, fields, width = qkv.shape
    dqkv = torch.empty_like(qkv, memory_format=torch.contiguous_format)
    use_torch_threads()
    upstream, flat = arrays(dmixed, qkv)
    dim = width // 3 // heads
    _backward(upstream, flat, batch, fields, heads, dim, *_settings(qkv, p, seed), dqkv.view(-1).numpy())
    return dqkv


@_attention_backward.register_fake
def _(dmixed, qkv, heads, p, seed):  # type: ignore[no-untyped-def]
    return torch.empty_like(qkv, memory_format=torch.contiguous_format)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    qkv, ctx.heads, ctx.p, seed = inputs
    ctx.save_for_backward(qkv, seed)


def _differentiate(ctx, dmixed):  # type: ignore[no-untyped-def]
    qkv, seed = ctx.saved_tensors
    return _attention_backward(dmixed, qkv, ctx.heads, ctx.p, seed), None, None, None


_attention.register_autograd(_differentiate, setup_context=_save)


def field_attention(qkv_BFE: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """softmax(q kᵀ) v among the fields of each row, head by head; scores are not scaled.

    Args:
        qkv_BFE: (B, F, 3 D): each field's query, key and value of all heads; float32 or float64.
        heads: number of heads, a divisor of D.
        dropout: share of the attention weights that is dropped, the others growing by 1 / (1 − dropout); its seed comes
            from torch's generator.

    Returns:
        (B, F, D), heads side by side.
    """
    if qkv_BFE.device.type == "cpu":
        seed = torch.randint(0, 2**62, ()) if dropout else torch.zeros((), dtype=torch.int64)
        mixed_BFD: Tensor = _attention(qkv_BFE, heads, dropout, seed)
        return mixed_BFD
    rows, fields, _ = qkv_BFE.shape
    q, k, v = qkv_BFE.view(rows, fields, 3, heads, -1).permute(2, 0, 3, 1, 4)
    mixed_BHFd = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=1.0)
    return mixed_BHFd.transpose(1, 2).reshape(rows, fields, -1)
