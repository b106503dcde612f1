"""A tower of linear layers, each with ReLU and dropout, in blocks of 64 rows (`lanes`).

Only the layers' results are kept for the backward pass: where one is zero, the ReLU or dropout has stopped it, and no
slope goes through. Masks are those that `dropout.Dropout` would draw from the same seeds.
"""

from __future__ import annotations

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
from mdaf_core.ops.simd import LANES, fill, load, maximum, store, where_positive


@numba.njit
def _finish(y, bias, first, seed, limit, scale):  # type: ignore[no-untyped-def]
    """y ← dropout(max(0, y + bias)) of one block."""
    zero, outs = fill(y.dtype.type(0)), len(bias)
    places = np.empty((4, LANES), np.uint32)
    goes_on = limit > 0 and begin_draws(seed, first, outs, places)
    for o in range(outs):
        value = maximum(zero, load(y, o * LANES) + fill(bias[o]))
        if limit > 0:
            value = drop(value, o, places, goes_on, seed, limit, scale)
        store(y, o * LANES, value)


@numba.njit(parallel=True, cache=True)
def _forward(x, rows, widths, weights, biases, seeds, limit, scale, begin, kept, out):  # type: ignore[no-untyped-def]
    """`kept`: the input and each layer's result in lanes."""
    for block in prange((rows + LANES - 1) // LANES):
        first = block * LANES
        count = min(LANES, rows - first)
        here = new_block(kept, begin[0], block, widths[0])
        turn(x, widths[0], first, count, 0, widths[0], here)
        for layer in range(len(weights)):
            inner, outs = widths[layer], widths[layer + 1]
            there = new_block(kept, begin[layer + 1], block, outs)
            product(array_at(weights[layer], outs * inner, x), inner, 1, outs, inner, here, there)
            _finish(there, array_at(biases[layer], outs, x), first, seeds[layer], limit, scale)
            here = there
        turn_back(here, widths[-1], first, count, 0, widths[-1], out)


@numba.njit(parallel=True, cache=True)
def _backward(dy, rows, widths, weights, scale, begin, kept, slopes, dx):  # type: ignore[no-untyped-def]
    """`slopes`: gradients of the input and of each layer's w x + bias, laid out as `kept`."""
    layers = len(weights)
    for block in prange((rows + LANES - 1) // LANES):
        first = block * LANES
        count = min(LANES, rows - first)
        here = block_of(slopes, begin[layers], block, widths[layers])
        turn(dy, widths[layers], first, count, 0, widths[layers], here)
        for layer in range(layers - 1, -1, -1):
            inner, outs = widths[layer], widths[layer + 1]
            y = block_of(kept, begin[layer + 1], block, outs)
            for o in range(outs):
                slope = where_positive(load(y, o * LANES), load(here, o * LANES) * fill(scale))
                store(here, o * LANES, slope)
            there = block_of(slopes, begin[layer], block, inner)
            product(array_at(weights[layer], outs * inner, dy), 1, inner, inner, outs, here, there)
            here = there
        turn_back(here, widths[0], first, count, 0, widths[0], dx)


@operator("tower")
def _tower(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], p: float, seeds: Tensor
) -> tuple[Tensor, Tensor]:
    """The tower's result, and its input and the results of all layers in lanes."""
    rows, widths = len(x), [x.shape[1], *(len(w) for w in weights)]
    begin = starts(rows, widths)
    kept, out = x.new_empty(int(begin[-1])), x.new_empty(rows, widths[-1])
    weights, biases = [w.contiguous() for w in weights], [b.contiguous() for b in biases]
    draws = seeds.numpy().view(np.uint64), *settings(x, p)
    given = rows, np.array(widths), addresses(weights), addresses(biases), *draws, begin
    use_torch_threads()
    _forward(*arrays(x), *given, kept.numpy(), out.view(-1).numpy())
    return out, kept


@_tower.register_fake
def _(x, weights, biases, p, seeds):  # type: ignore[no-untyped-def]
    blocks = (x.shape[0] + LANES - 1) // LANES
    kept = x.new_empty(sum(blocks * (width + 1) * LANES for width in (x.shape[1], *(w.shape[0] for w in weights))))
    return x.new_empty(x.shape[0], weights[-1].shape[0]), kept


@register_flop_formula(torch.ops.mdaf.tower)
def _operations(x_shape, weights, *_, **__) -> int:  # type: ignore[no-untyped-def]
    return 2 * x_shape[0] * sum(a * b for a, b in weights)


@operator("tower_backward")
def _tower_backward(
    dy: Tensor, weights: Sequence[Tensor], kept: Tensor, p: float
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    rows, widths = len(dy), np.array([weights[0].shape[1], *(len(w) for w in weights)])
    begin = starts(rows, widths.tolist())
    weights = [w.contiguous() for w in weights]
    dweights, dbiases = [torch.empty_like(w) for w in weights], [w.new_empty(len(w)) for w in weights]
    slopes, dx = torch.empty_like(kept).numpy(), dy.new_empty(rows, weights[0].shape[1])
    _, scale = settings(dy, p)
    use_torch_threads()
    _backward(*arrays(dy), rows, widths, addresses(weights), scale, begin, kept.numpy(), slopes, dx.view(-1).numpy())
    given = slopes, begin[1:], widths[1:], kept.numpy(), begin, widths[:-1], -(-rows // LANES)
    weight_gradients(*given, addresses(dweights), addresses(dbiases))
    return dx, dweights, dbiases


@_tower_backward.register_fake
def _(dy, weights, kept, p):  # type: ignore[no-untyped-def]
    dx = dy.new_empty(dy.shape[0], weights[0].shape[1])
    return dx, [torch.empty_like(w) for w in weights], [w.new_empty(w.shape[0]) for w in weights]


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, weights, _, ctx.p, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], *weights)


def _differentiate(ctx, dy, _):  # type: ignore[no-untyped-def]
    kept, *weights = ctx.saved_tensors
    return *_tower_backward(dy, weights, kept, ctx.p), None, None


_tower.register_autograd(_differentiate, setup_context=_keep)


def tower(x_BN: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], dropout: float = 0.0) -> Tensor:
    """x ← dropout(max(0, W x + b)) for each layer.

    Args:
        x_BN: (B, N), float32 or float64, on the CPU.
        weights, biases: (out, in) and (out,) of each layer, at least one; of the type of `x_BN`.
        dropout: share of the results that is dropped, the others growing by 1 / (1 − dropout); a seed a layer comes
            from torch's generator.

    Returns:
        (B, last width).
    """
    seeds = torch.randint(0, 2**62, (len(weights),)) if dropout else torch.zeros(len(weights), dtype=torch.int64)
    y_BN: Tensor = _tower(x_BN, weights, biases, dropout, seeds)[0]
    return y_BN
