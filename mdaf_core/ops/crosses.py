"""Cross layers of DCN V2 (Wang et al. 2021, arXiv:2008.13535, equation 1), in blocks of 64 rows (`lanes`)."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from mdaf_core.ops.direct import operator
from mdaf_core.ops.kernels import addresses, array_at, arrays, use_torch_threads
from mdaf_core.ops.lanes import block_of, new_block, product, starts, turn, turn_back, weight_gradients
from mdaf_core.ops.simd import LANES, fill, load, store, workspace


@numba.njit(parallel=True, cache=True)
def _forward(x, rows, dim, weights, biases, begin, kept, out):  # type: ignore[no-untyped-def]
    """`kept`: x0, then each layer's result, then each layer's w x + bias."""
    layers = len(weights)
    for block in prange((rows + LANES - 1) // LANES):
        first = block * LANES
        count = min(LANES, rows - first)
        x0 = new_block(kept, begin[0], block, dim)
        turn(x, dim, first, count, 0, dim, x0)
        here = x0
        for layer in range(layers):
            bias = array_at(biases[layer], dim, x)
            there = new_block(kept, begin[layer + 1], block, dim)
            linear = new_block(kept, begin[layers + layer + 1], block, dim)
            product(array_at(weights[layer], dim * dim, x), dim, 1, dim, dim, here, linear)
            for o in range(dim):
                value = load(linear, o * LANES) + fill(bias[o])
                store(linear, o * LANES, value)
                store(there, o * LANES, load(here, o * LANES) + load(x0, o * LANES) * value)
            here = there
        turn_back(here, dim, first, count, 0, dim, out)


@numba.njit(parallel=True, cache=True)
def _backward(dy, rows, dim, weights, begin, kept, slopes, dx):  # type: ignore[no-untyped-def]
    """`slopes`: gradients of each layer's w x + bias."""
    layers = len(weights)
    for block in prange((rows + LANES - 1) // LANES):
        first = block * LANES
        count = min(LANES, rows - first)
        x0 = block_of(kept, begin[0], block, dim)
        here, through = workspace(dim * LANES, dy), workspace(dim * LANES, dy)
        direct = workspace(dim * LANES, dy)  # what reaches x0 beside the layers
        direct[:] = 0
        turn(dy, dim, first, count, 0, dim, here)
        for layer in range(layers - 1, -1, -1):
            linear = block_of(kept, begin[layers + layer + 1], block, dim)
            slope = block_of(slopes, begin[layer], block, dim)
            for o in range(0, dim * LANES, LANES):
                upstream = load(here, o)
                store(slope, o, upstream * load(x0, o))
                store(direct, o, load(direct, o) + upstream * load(linear, o))
            product(array_at(weights[layer], dim * dim, dy), 1, dim, dim, dim, slope, through)
            for o in range(0, dim * LANES, LANES):
                store(here, o, load(here, o) + load(through, o))
        for o in range(0, dim * LANES, LANES):
            store(here, o, load(here, o) + load(direct, o))
        turn_back(here, dim, first, count, 0, dim, dx)


@operator("crosses")
def _crosses(x0: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The last layer's result, and what `_forward` keeps."""
    rows, dim = x0.shape
    begin = starts(rows, [dim] * (2 * len(weights) + 1))
    kept, out = x0.new_empty(int(begin[-1])), x0.new_empty(rows, dim)
    weights, biases = [w.contiguous() for w in weights], [b.contiguous() for b in biases]
    use_torch_threads()
    given = rows, dim, addresses(weights), addresses(biases), begin
    _forward(*arrays(x0), *given, kept.numpy(), out.view(-1).numpy())
    return out, kept


@_crosses.register_fake
def _(x0, weights, biases):  # type: ignore[no-untyped-def]
    size = (x0.shape[0] + LANES - 1) // LANES * (x0.shape[1] + 1) * LANES
    kept = x0.new_empty((2 * len(weights) + 1) * size)
    return torch.empty_like(x0, memory_format=torch.contiguous_format), kept


@register_flop_formula(torch.ops.mdaf.crosses)
def _operations(x0_shape, weights, *_, **__) -> int:  # type: ignore[no-untyped-def]
    return 2 * x0_shape[0] * sum(a * b for a, b in weights)


@operator("crosses_backward")
def _crosses_backward(dy: Tensor, weights: Sequence[Tensor], kept: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    rows, dim = dy.shape
    layers = len(weights)
    begin, widths = starts(rows, [dim] * (2 * layers + 1)), np.full(layers, dim)
    weights = [w.contiguous() for w in weights]
    dweights, dbiases = [torch.empty_like(w) for w in weights], [w.new_empty(dim) for w in weights]
    slopes, dx = kept.new_empty(int(begin[layers])).numpy(), dy.new_empty(rows, dim)
    use_torch_threads()
    _backward(*arrays(dy), rows, dim, addresses(weights), begin, kept.numpy(), slopes, dx.view(-1).numpy())
    given = slopes, begin, widths, kept.numpy(), begin, widths, -(-rows // LANES)
    weight_gradients(*given, addresses(dweights), addresses(dbiases))
    return dx, dweights, dbiases


@_crosses_backward.register_fake
def _(dy, weights, kept):  # type: ignore[no-untyped-def]
    dx = torch.empty_like(dy, memory_format=torch.contiguous_format)
    return dx, [torch.empty_like(w) for w in weights], [w.new_empty(w.shape[0]) for w in weights]


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], *inputs[1])


def _differentiate(ctx, dy, _):  # type: ignore[no-untyped-def]
    kept, *weights = ctx.saved_tensors
    return _crosses_backward(dy, weights, kept)


_crosses.register_autograd(_differentiate, setup_context=_keep)


def crosses(x0_BD: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """x ← x + x0 ⊙ (W x + b) for each layer, from x0 on.

    Args:
        x0_BD: (B, D), float32 or float64, on the CPU.
        weights, biases: (D, D) and (D,) of each layer, at least one; of the type of `x0_BD`.

    Returns:
        (B, D).
    """
    y_BD: Tensor = _crosses(x0_BD, weights, biases)[0]
    return y_BD
