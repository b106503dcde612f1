"""Networks of dense layers on blocks of 64 rows that lie side by side in the lanes of a vector (`simd`).

A small network spends its time on moving numbers between many small operations. Here a block's layer is worked out
while it is in cache: its product, and what follows it number by number. Each row's sums are formed in the order of its
inputs, those of a weight's gradient in blocks of rows: results do not depend on the number of threads, and a row's not
on the batch around it.

Layout of N features of a batch, flat: [block][N + 1][64]. Rows are filled up with zeros to whole blocks; the feature
too many keeps blocks from lying a power of two apart, where caches would hold few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numba
import numpy as np
from numba import prange

from mdaf_core.ops.dropout import PART, hash32
from mdaf_core.ops.kernels import array_at
from mdaf_core.ops.simd import (
    LANES,
    QUARTER,
    add_totals,
    fill,
    fill_quarter,
    load,
    load_quarter,
    store,
    surviving,
    total,
    turn_square,
)

_INPUTS = 128
"""Inputs of a product that are taken together: 64 rows of them fit into the first-level cache."""
_TOGETHER = 8
"""Blocks and columns of a weight's gradient that are worked out together: their inputs stay in first-level cache."""


def starts(rows: int, widths: Sequence[int]) -> np.ndarray:
    """Where so many features each lie one group after another in one flat array, and its length; int64."""
    blocks = -(-rows // LANES)
    return np.array([0, *accumulate(blocks * (width + 1) * LANES for width in widths)], np.int64)


@numba.njit
def block_of(x, start, block, features):  # type: ignore[no-untyped-def]
    """One block of so many features that begin at `start`."""
    begin = start + block * (features + 1) * LANES
    return x[begin : begin + features * LANES]


@numba.njit
def new_block(x, start, block, features):  # type: ignore[no-untyped-def]
    """The same, to be filled; the feature too many is set to zero."""
    end = start + (block + 1) * (features + 1) * LANES
    x[end - LANES : end] = 0
    return block_of(x, start, block, features)


# Rows to lanes and back ----------------------------------------------------------------------------------------------


@numba.njit
def turn(x, width, first, rows, offset, features, out):  # type: ignore[no-untyped-def]
    """out[feature][lane] = x[first + lane][offset + feature] of rows of `width` numbers; lanes from `rows` on zero."""
    whole, wide = rows - rows % QUARTER, features - features % QUARTER
    for lane in range(0, whole, QUARTER):
        at = (first + lane) * width + offset
        for c in range(0, wide, QUARTER):
            turn_square(x, at + c, width, out, c * LANES + lane, LANES)
    for lane in range(rows):
        at = (first + lane) * width + offset
        for c in range(wide if lane < whole else 0, features):
            out[c * LANES + lane] = x[at + c]
    for c in range(features if rows < LANES else 0):
        out[c * LANES + rows : (c + 1) * LANES] = 0


@numba.njit
def turn_back(x, width, first, rows, offset, features, out):  # type: ignore[no-untyped-def]
    """The way back."""
    whole, wide = rows - rows % QUARTER, features - features % QUARTER
    for lane in range(0, whole, QUARTER):
        at = (first + lane) * width + offset
        for c in range(0, wide, QUARTER):
            turn_square(x, c * LANES + lane, LANES, out, at + c, width)
    for lane in range(rows):
        at = (first + lane) * width + offset
        for c in range(wide if lane < whole else 0, features):
            out[at + c] = x[c * LANES + lane]


# Products ------------------------------------------------------------------------------------------------------------


@numba.njit
def product(w, step, inner_step, outs, inner, x, y):  # type: ignore[no-untyped-def]
    """y[o] = Σ_i w[o · step + i · inner_step] x[i] of one block, 64 rows at once, four outputs at a time."""
    zero = fill(x.dtype.type(0))
    whole = outs - outs % 4
    for begin in range(0, inner, _INPUTS):
        end = min(begin + _INPUTS, inner)
        for o in range(0, whole, 4):
            a, b, c, d = zero, zero, zero, zero
            if begin:
                a, b = load(y, o * LANES), load(y, (o + 1) * LANES)
                c, d = load(y, (o + 2) * LANES), load(y, (o + 3) * LANES)
            at = o * step + begin * inner_step
            for i in range(begin, end):
                value = load(x, i * LANES)
                a = a + fill(w[at]) * value
                b = b + fill(w[at + step]) * value
                c = c + fill(w[at + 2 * step]) * value
                d = d + fill(w[at + 3 * step]) * value
                at += inner_step
            store(y, o * LANES, a)
            store(y, (o + 1) * LANES, b)
            store(y, (o + 2) * LANES, c)
            store(y, (o + 3) * LANES, d)
        for o in range(whole, outs):
            a = load(y, o * LANES) if begin else zero
            for i in range(begin, end):
                a = a + fill(w[o * step + i * inner_step]) * load(x, i * LANES)
            store(y, o * LANES, a)


@numba.njit
def _pair(g, at, g_stride, x, begin, x_stride, blocks):  # type: ignore[no-untyped-def]
    """Σ over blocks and rows of one feature's slope times one input."""
    sum_ = fill(x.dtype.type(0))
    for b in range(blocks):
        sum_ = sum_ + load(g, at + b * g_stride) * load(x, begin + b * x_stride)
    return total(sum_)


@numba.njit
def _square(g, at, g_stride, x, begin, x_stride, blocks, w, place, inner):  # type: ignore[no-untyped-def]
    """The same of four features and four inputs, added to the weights' gradient."""
    zero = fill_quarter(x.dtype.type(0))
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3, d0, d1, d2, d3 = zero, zero, zero, zero, zero, zero, zero, zero
    for block in range(blocks):
        p, q = at + block * g_stride, begin + block * x_stride
        for lane in range(0, LANES, QUARTER):
            x0, x1 = load_quarter(x, q + lane), load_quarter(x, q + LANES + lane)
            x2, x3 = load_quarter(x, q + 2 * LANES + lane), load_quarter(x, q + 3 * LANES + lane)
            slope = load_quarter(g, p + lane)
            a0, a1, a2, a3 = a0 + slope * x0, a1 + slope * x1, a2 + slope * x2, a3 + slope * x3
            slope = load_quarter(g, p + LANES + lane)
            b0, b1, b2, b3 = b0 + slope * x0, b1 + slope * x1, b2 + slope * x2, b3 + slope * x3
            slope = load_quarter(g, p + 2 * LANES + lane)
            c0, c1, c2, c3 = c0 + slope * x0, c1 + slope * x1, c2 + slope * x2, c3 + slope * x3
            slope = load_quarter(g, p + 3 * LANES + lane)
            d0, d1, d2, d3 = d0 + slope * x0, d1 + slope * x1, d2 + slope * x2, d3 + slope * x3
    sums = (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3)
    for row in sums:
        add_totals(w, place, row[0], row[1], row[2], row[3])
        place += inner


@numba.njit
def _panel(g, outs, x, inner, begin, blocks, w):  # type: ignore[no-untyped-def]
    """The gradient of the weights of `_TOGETHER` inputs from `begin` on."""
    g_stride, x_stride = (outs + 1) * LANES, (inner + 1) * LANES
    end = min(begin + _TOGETHER, inner)
    four, whole = outs - outs % 4, end - end % 4
    for o in range(outs):
        w[o * inner + begin : o * inner + end] = 0
    for block in range(0, blocks, _TOGETHER):
        count = min(_TOGETHER, blocks - block)
        p, q = block * g_stride, block * x_stride
        for o in range(0, four, 4):
            for i in range(begin, whole, 4):
                _square(g, p + o * LANES, g_stride, x, q + i * LANES, x_stride, count, w, o * inner + i, inner)
        for o in range(outs):
            for i in range(begin if o >= four else whole, end):
                w[o * inner + i] += _pair(g, p + o * LANES, g_stride, x, q + i * LANES, x_stride, count)


@numba.njit(parallel=True, cache=True)
def weight_gradients(slopes, slope_starts, outs, inputs, input_starts, inners, blocks, weights, biases):  # type: ignore[no-untyped-def]
    """Gradients of linear layers' weights (outs, inner), and of their biases where there are any.

    Args:
        slopes, slope_starts: gradients of each layer's outputs, in lanes, and where in the array they begin.
        inputs, input_starts: the same of its inputs.
        outs, inners: widths of the layers.
        weights, biases: addresses of what is to be filled.
    """
    ends = np.cumsum((inners + _TOGETHER - 1) // _TOGETHER + 1)  # a panel a layer is for the bias
    for job in prange(ends[-1]):
        layer = np.searchsorted(ends, job, side="right")
        panel = ends[layer] - 1 - job
        g, x = slopes[slope_starts[layer] :], inputs[input_starts[layer] :]
        if panel:
            w = array_at(weights[layer], outs[layer] * inners[layer], slopes)
            _panel(g, outs[layer], x, inners[layer], (panel - 1) * _TOGETHER, blocks, w)
        elif len(biases):
            bias = array_at(biases[layer], outs[layer], slopes)
            for o in range(outs[layer]):
                sum_ = fill(slopes.dtype.type(0))
                for b in range(blocks):
                    sum_ = sum_ + load(g, (b * (outs[layer] + 1) + o) * LANES)
                bias[o] = total(sum_)


# Dropout -------------------------------------------------------------------------------------------------------------


@numba.njit
def begin_draws(seed, first, width, places):  # type: ignore[no-untyped-def]
    """Prepares dropout of a block's rows of `width` numbers; the draws are those of `dropout` on the rows one after
    another. `places`, (4, 64) uint32, is for `drop`: what stands for a row's numbers in the part of the array where it
    begins, in the next one, and the first number there. Returns whether any row goes on in the next part."""
    goes_on = False
    for lane in range(LANES):
        start = (first + lane) * width
        part, begin = start // PART, start % PART
        now = hash32(np.uint32(np.uint32(seed) ^ hash32(np.uint32(part))))
        then = hash32(np.uint32(np.uint32(seed) ^ hash32(np.uint32(part + 1))))
        places[0, lane] = np.uint32(begin + now)
        places[1, lane] = np.uint32(begin - PART + then)
        places[2, lane] = np.uint32(PART - begin)
        goes_on |= begin + width > PART
    return goes_on


@numba.njit
def drop(values, feature, places, goes_on, seed, limit, scale):  # type: ignore[no-untyped-def]
    """Dropout of one feature of each row."""
    at = 0
    if goes_on:
        at = 3
        for lane in range(LANES):
            places[3, lane] = places[0, lane] if feature < places[2, lane] else places[1, lane]
    return surviving(values, places[at], np.uint32(feature), np.uint32(seed >> np.uint64(32)), limit, scale)
