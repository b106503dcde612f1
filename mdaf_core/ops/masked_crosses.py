"""Cross layers of DCNv3 (Li et al. 2024, arXiv:2407.13349) with their dropout, in blocks of 64 rows (`lanes`).

Masks are those that `dropout.Dropout` would draw from the same seeds; the backward pass draws them again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from mdaf_core.ops.direct import operator
from mdaf_core.ops.dropout import settings
from mdaf_core.ops.kernels import addresses, array_at, arrays, use_torch_threads
from mdaf_core.ops.lanes import (
    begin_draws,
    block_of,
    drop,
    new_block,
    product,
    starts,
    turn,
    turn_back,
    weight_gradients,
)
from mdaf_core.ops.simd import LANES, fill, load, maximum, store, total, where_positive, workspace

EPS = 1e-5
"""Of the layer norm, as `torch.nn.LayerNorm`'s."""


@numba.njit
def _moments(x, width, mean, inverse):  # type: ignore[no-untyped-def]
    """Mean and 1 / standard deviation of each row's `width` numbers."""
    sum_ = fill(x.dtype.type(0))
    for o in range(width):
        sum_ = sum_ + load(x, o * LANES)
    middle = sum_ * fill(x.dtype.type(1 / width))
    store(mean, 0, middle)
    sum_ = fill(x.dtype.type(0))
    for o in range(width):
        apart = load(x, o * LANES) - middle
        sum_ = sum_ + apart * apart
    store(inverse, 0, sum_)
    for lane in range(LANES):
        inverse[lane] = x.dtype.type(1) / math.sqrt(inverse[lane] / x.dtype.type(width) + x.dtype.type(EPS))


@numba.njit(error_model="numpy")
def _finish(half, x, base, gain, shift, bias, first, seed, limit, scale, y):  # type: ignore[no-untyped-def]
    """y = dropout(x + base · ([half, half · max(0, LayerNorm(half))] + bias)) of one block."""
    dim, width = len(bias), len(gain)
    mean, inverse = workspace(LANES, x), workspace(LANES, x)
    places = np.empty((4, LANES), np.uint32)
    _moments(half, width, mean, inverse)
    goes_on = limit > 0 and begin_draws(seed, first, dim, places)
    for o in range(dim):
        if o < width:
            cross = load(half, o * LANES)
        else:
            p = o - width
            cross = load(half, p * LANES)
            normal = (cross - load(mean, 0)) * load(inverse, 0) * fill(gain[p]) + fill(shift[p])
            cross = cross * maximum(fill(x.dtype.type(0)), normal)
        value = load(x, o * LANES) + load(base, o * LANES) * (cross + fill(bias[o]))
        if limit > 0:
            value = drop(value, o, places, goes_on, seed, limit, scale)
        store(y, o * LANES, value)


@numba.njit(error_model="numpy")
def _slopes(upstream, half, x, base, gain, shift, bias, first, seed, limit, scale, itself, direct, slope, sums):  # type: ignore[no-untyped-def]
    """The way back to half.

    Args:
        upstream: the gradient of y; becomes that of x but for what comes through half.
        itself: base is x, else what reaches it is added to `direct`.
        slope: receives the gradient of half.
        sums: receives those of bias, gain and shift.
    """
    dim, width = len(bias), len(gain)
    zero, share = fill(x.dtype.type(0)), fill(x.dtype.type(1 / width))
    mean, inverse = workspace(LANES, x), workspace(LANES, x)
    normals, places = workspace(width * LANES, x), np.empty((4, LANES), np.uint32)
    _moments(half, width, mean, inverse)
    middle, narrow = load(mean, 0), load(inverse, 0)
    goes_on = limit > 0 and begin_draws(seed, first, dim, places)
    inner, along = zero, zero  # Σ of the normalised numbers' gradients, and of these times the numbers
    for o in range(dim):
        above = load(upstream, o * LANES)
        if limit > 0:
            above = drop(above, o, places, goes_on, seed, limit, scale)
        crossed = above * load(base, o * LANES)
        sums[o] = total(crossed)
        if o < width:
            cross = load(half, o * LANES)
            store(slope, o * LANES, crossed)
        else:
            p = o - width
            straight = load(half, p * LANES)
            apart = (straight - middle) * narrow
            gate = maximum(zero, apart * fill(gain[p]) + fill(shift[p]))
            cross = straight * gate
            store(slope, p * LANES, load(slope, p * LANES) + crossed * gate)
            normal = where_positive(gate, crossed * straight)
            sums[dim + p], sums[dim + width + p] = total(normal * apart), total(normal)
            normal = normal * fill(gain[p])
            store(normals, p * LANES, normal)
            inner, along = inner + normal, along + normal * apart
        factor = above * (cross + fill(bias[o]))
        if itself:
            above = above + factor
        else:
            store(direct, o * LANES, load(direct, o * LANES) + factor)
        store(upstream, o * LANES, above)
    inner, along = inner * share, along * share
    for o in range(width):
        apart = (load(half, o * LANES) - middle) * narrow
        normal = (load(normals, o * LANES) - inner - apart * along) * narrow
        store(slope, o * LANES, load(slope, o * LANES) + normal)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(x, rows, dim, exponential, weights, gains, shifts, biases, seeds, limit, scale, begin, kept, out):  # type: ignore[no-untyped-def]
    """`kept`: x0, then each layer's result, then each layer's w x."""
    layers, width = len(weights), dim // 2
    for block in prange((rows + LANES - 1) // LANES):
        first = block * LANES
        count = min(LANES, rows - first)
        x0 = new_block(kept, begin[0], block, dim)
        turn(x, dim, first, count, 0, dim, x0)
        here = x0
        for layer in range(layers):
            there = new_block(kept, begin[layer + 1], block, dim)
            half = new_block(kept, begin[layers + layer + 1], block, width)
            product(array_at(weights[layer], width * dim, x), dim, 1, width, dim, here, half)
            gain, shift = array_at(gains[layer], width, x), array_at(shifts[layer], width, x)
            base, bias = here if exponential else x0, array_at(biases[layer], dim, x)
            _finish(half, here, base, gain, shift, bias, first, seeds[layer], limit, scale, there)
            here = there
        turn_back(here, dim, first, count, 0, dim, out)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(
    dy, rows, dim, exponential, weights, gains, shifts, biases, seeds, limit, scale, begin, kept, slopes, sums, dx
):  # type: ignore[no-untyped-def]
    """`slopes`: gradients of each layer's w x; `sums`: [layer][block][bias, gain, shift], theirs by block."""
    layers, width = len(weights), dim // 2
    for block in prange((rows + LANES - 1) // LANES):
        first = block * LANES
        count = min(LANES, rows - first)
        x0 = block_of(kept, begin[0], block, dim)
        above, through = workspace(dim * LANES, dy), workspace(dim * LANES, dy)
        direct = workspace(dim * LANES, dy)  # what reaches x0 beside the layers
        direct[:] = 0
        turn(dy, dim, first, count, 0, dim, above)
        for layer in range(layers - 1, -1, -1):
            here = block_of(kept, begin[layer], block, dim)
            half = block_of(kept, begin[layers + layer + 1], block, width)
            slope = block_of(slopes, begin[layers + layer + 1] - begin[layers + 1], block, width)
            gain, shift = array_at(gains[layer], width, dy), array_at(shifts[layer], width, dy)
            base, bias = here if exponential else x0, array_at(biases[layer], dim, dy)
            draws, found = (first, seeds[layer], limit, scale), sums[layer, block]
            _slopes(above, half, here, base, gain, shift, bias, *draws, exponential, direct, slope, found)
            product(array_at(weights[layer], width * dim, dy), 1, dim, dim, width, slope, through)
            for o in range(0, dim * LANES, LANES):
                store(above, o, load(above, o) + load(through, o))
        for o in range(0, dim * LANES, LANES):
            store(above, o, load(above, o) + load(direct, o))
        turn_back(above, dim, first, count, 0, dim, dx)


def _places(rows: int, dim: int, layers: int) -> np.ndarray:
    return starts(rows, [dim] * (layers + 1) + [dim // 2] * layers)


@operator("masked_crosses")
def _crosses(
    x0: Tensor,
    weights: Sequence[Tensor],
    gains: Sequence[Tensor],
    shifts: Sequence[Tensor],
    biases: Sequence[Tensor],
    exponential: bool,
    p: float,
    seeds: Tensor,
) -> tuple[Tensor, Tensor]:
    """The last layer's result, and what `_forward` keeps."""
    rows, dim = x0.shape
    begin = _places(rows, dim, len(weights))
    kept, out = x0.new_empty(int(begin[-1])), x0.new_empty(rows, dim)
    given = [[x.contiguous() for x in some] for some in (weights, gains, shifts, biases)]
    draws = seeds.numpy().view(np.uint64), *settings(x0, p)
    use_torch_threads()
    places = [addresses(some) for some in given]
    _forward(*arrays(x0), rows, dim, exponential, *places, *draws, begin, kept.numpy(), out.view(-1).numpy())
    return out, kept


@_crosses.register_fake
def _(x0, weights, gains, shifts, biases, exponential, p, seeds):  # type: ignore[no-untyped-def]
    blocks, layers, dim = (x0.shape[0] + LANES - 1) // LANES, len(weights), x0.shape[1]
    kept = x0.new_empty(blocks * LANES * ((layers + 1) * (dim + 1) + layers * (dim // 2 + 1)))
    return torch.empty_like(x0, memory_format=torch.contiguous_format), kept


@register_flop_formula(torch.ops.mdaf.masked_crosses)
def _operations(x0_shape, weights, *_, **__) -> int:  # type: ignore[no-untyped-def]
    return 2 * x0_shape[0] * sum(a * b for a, b in weights)


@operator("masked_crosses_backward")
def _crosses_backward(
    dy: Tensor,
    weights: Sequence[Tensor],
    gains: Sequence[Tensor],
    shifts: Sequence[Tensor],
    biases: Sequence[Tensor],
    kept: Tensor,
    exponential: bool,
    p: float,
    seeds: Tensor,
) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    rows, dim = dy.shape
    layers, blocks, width = len(weights), -(-rows // LANES), dim // 2
    begin = _places(rows, dim, layers)
    given = [[x.contiguous() for x in some] for some in (weights, gains, shifts, biases)]
    draws = seeds.numpy().view(np.uint64), *settings(dy, p)
    slopes = kept.new_empty(int(begin[-1] - begin[layers + 1])).numpy()
    sums, dx = dy.new_empty(layers, blocks, 2 * dim), dy.new_empty(rows, dim)
    use_torch_threads()
    places = [addresses(some) for some in given]
    ends = begin, kept.numpy(), slopes, sums.numpy(), dx.view(-1).numpy()
    _backward(*arrays(dy), rows, dim, exponential, *places, *draws, *ends)
    dweights = [torch.empty_like(w) for w in given[0]]
    outs, inners = np.full(layers, width), np.full(layers, dim)
    parts = slopes, begin[layers + 1 :] - begin[layers + 1], outs, kept.numpy(), begin, inners, blocks
    weight_gradients(*parts, addresses(dweights), np.empty(0, np.int64))
    dbiases, dgains, dshifts = ([x.clone() for x in some] for some in sums.sum(1).split([dim, width, width], dim=1))
    return dx, dweights, dgains, dshifts, dbiases


@_crosses_backward.register_fake
def _(dy, weights, gains, shifts, biases, kept, exponential, p, seeds):  # type: ignore[no-untyped-def]
    dx = torch.empty_like(dy, memory_format=torch.contiguous_format)
    return dx, *([torch.empty_like(x) for x in given] for given in (weights, gains, shifts, biases))


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, *given, ctx.exponential, ctx.p, seeds = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], seeds, *(x for some in given for x in some))


def _differentiate(ctx, dy, _):  # type: ignore[no-untyped-def]
    kept, seeds, *given = ctx.saved_tensors
    layers = len(given) // 4
    split = [given[i * layers : (i + 1) * layers] for i in range(4)]
    return *_crosses_backward(dy, *split, kept, ctx.exponential, ctx.p, seeds), None, None, None


_crosses.register_autograd(_differentiate, setup_context=_keep)


def masked_crosses(
    x0_BD: Tensor,
    weights: Sequence[Tensor],
    gains: Sequence[Tensor],
    shifts: Sequence[Tensor],
    biases: Sequence[Tensor],
    exponential: bool,
    dropout: float = 0.0,
) -> Tensor:
    """x ← dropout(x + base ⊙ ([h ‖ h ⊙ max(0, LayerNorm(h))] + b)) with h = W x for each layer, from x0 on.

    Args:
        x0_BD: (B, D), D even, float32 or float64, on the CPU.
        weights: (D/2, D) of each layer, at least one.
        gains, shifts: (D/2,), the layer norms' weights and biases.
        biases: (D,).
        exponential: base is x itself, else x0.
        dropout: share of each layer's results that is dropped, the others growing by 1 / (1 − dropout); a seed a layer
            comes from torch's generator.

    Returns:
        (B, D).
    """
    seeds = torch.randint(0, 2**62, (len(weights),)) if dropout else torch.zeros(len(weights), dtype=torch.int64)
    y_BD: Tensor = _crosses(x0_BD, weights, gains, shifts, biases, exponential, dropout, seeds)[0]
    return y_BD
