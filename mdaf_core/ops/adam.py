"""Adam on all tensors of a model in one pass; on rows of an embedding table, the steps of other rows taken later.

A small model spends more time on calling an optimiser's operations tensor by tensor than on its arithmetic: here one
kernel goes through all of them, as another does for the gradient's norm, summed in pieces of the tensors.

Adam with an L2 penalty moves every row at every step: one that no gradient touches is still moved by the penalty and by
its moments. But such a row's steps need nothing but the row itself, so they can wait until it is read again, and then
run in cache, instead of passing the whole table through memory at each step. The arithmetic of every element is that of
Kingma & Ba 2015 (arXiv:1412.6980, algorithm 1) in the order of `torch.optim.Adam`, step by step: nothing is
approximated. But what is too small to be normal is taken for zero: the moment of a weight that gets no more gradient
would stay at four times the smallest number for ever (0.9 · 4 is rounded to 4), and a step of 300,000 weights, a fifth
of them such, take 14 times as long on Intel's processors. Such moments move no weight, and such weights no output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from mdaf_core.ops import kernels
from mdaf_core.ops.kernels import array_at
from mdaf_core.ops.simd import LANES, fill, flush_subnormals, load, restore_subnormals, total

_PIECE = 1 << 14
"""Numbers that one thread takes at once."""
_ROWS = 1024
"""Rows that one thread takes at once where the whole table is brought up to date."""
_FEW = 64
"""Rows that it takes at once of those of a batch."""


@numba.njit(cache=True, error_model="numpy")
def _move(p, m, v, g, decay, share1, keep2, share2, size, scale, eps):  # type: ignore[no-untyped-def]
    """One step of one row with the gradient g, without the penalty."""
    for d in range(len(p)):
        slope = g[d] + decay * p[d]
        m[d] += share1 * (slope - m[d])
        v[d] = keep2 * v[d] + share2 * slope * slope
        p[d] -= size * m[d] / (math.sqrt(v[d]) / scale + eps)


@numba.njit(cache=True, error_model="numpy")
def _coast(p, m, v, decay, share1, keep2, share2, sizes, scales, eps, begin, end):  # type: ignore[no-untyped-def]
    """The steps `begin` to `end` of one row that no gradient touches."""
    for s in range(begin, end):
        size, scale = sizes[s], scales[s]
        for d in range(len(p)):
            slope = decay * p[d]
            m[d] += share1 * (slope - m[d])
            v[d] = keep2 * v[d] + share2 * slope * slope
            p[d] -= size * m[d] / (math.sqrt(v[d]) / scale + eps)


@numba.njit(cache=True)
def _behind(rows, done, now):  # type: ignore[no-untyped-def]
    """Those of `rows` that lack steps, each once, and how many each has taken; all count as up to date from here on."""
    found, steps = np.empty(len(rows), np.int64), np.empty(len(rows), np.int32)
    count = 0
    for row in rows:
        if done[row] < now:
            found[count], steps[count] = row, done[row]
            done[row] = now
            count += 1
    return found[:count], steps[:count]


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _catch_up(p, m, v, rows, taken, now, numbers, sizes, scales):  # type: ignore[no-untyped-def]
    decay, share1, keep2, share2, eps = numbers
    for part in prange(-(-len(rows) // _FEW)):
        mode = flush_subnormals()
        for i in range(part * _FEW, min((part + 1) * _FEW, len(rows))):
            row = rows[i]
            _coast(p[row], m[row], v[row], decay, share1, keep2, share2, sizes, scales, eps, taken[i], now)
        restore_subnormals(mode)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _catch_up_all(p, m, v, done, now, numbers, sizes, scales):  # type: ignore[no-untyped-def]
    decay, share1, keep2, share2, eps = numbers
    for part in prange(-(-len(p) // _ROWS)):
        mode = flush_subnormals()
        for row in range(part * _ROWS, min((part + 1) * _ROWS, len(p))):
            _coast(p[row], m[row], v[row], decay, share1, keep2, share2, sizes, scales, eps, done[row], now)
            done[row] = now
        restore_subnormals(mode)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _take(p, m, v, done, rows, gradient, now, numbers, size, scale):  # type: ignore[no-untyped-def]
    decay, share1, keep2, share2, eps = numbers
    for part in prange(-(-len(rows) // _FEW)):
        mode = flush_subnormals()
        for i in range(part * _FEW, min((part + 1) * _FEW, len(rows))):
            row = rows[i]
            _move(p[row], m[row], v[row], gradient[i], decay, share1, keep2, share2, size, scale, eps)
            done[row] = now
        restore_subnormals(mode)


@numba.njit
def _piece(ends, job):  # type: ignore[no-untyped-def]
    """The tensor that a piece belongs to, and where in it the piece begins; `ends` counts the pieces up to each."""
    tensor = np.searchsorted(ends, job, side="right")
    return tensor, (job - (ends[tensor - 1] if tensor else 0)) * _PIECE


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _take_all(ps, ms, vs, gs, sizes, ends, numbers, size, scale, like):  # type: ignore[no-untyped-def]
    decay, share1, keep2, share2, eps = numbers
    for job in prange(ends[-1]):
        mode = flush_subnormals()
        i, begin = _piece(ends, job)
        end = min(begin + _PIECE, sizes[i])
        p, m = array_at(ps[i], sizes[i], like)[begin:end], array_at(ms[i], sizes[i], like)[begin:end]
        v, g = array_at(vs[i], sizes[i], like)[begin:end], array_at(gs[i], sizes[i], like)[begin:end]
        _move(p, m, v, g, decay, share1, keep2, share2, size, scale, eps)
        restore_subnormals(mode)


@numba.njit(parallel=True, cache=True)
def _squares(gs, sizes, ends, like):  # type: ignore[no-untyped-def]
    found = np.empty(ends[-1])
    for job in prange(ends[-1]):
        i, begin = _piece(ends, job)
        g, end = array_at(gs[i], sizes[i], like), min(begin + _PIECE, sizes[i])
        whole = end - (end - begin) % LANES
        sum_ = fill(like.dtype.type(0))
        for at in range(begin, whole, LANES):
            sum_ = sum_ + load(g, at) * load(g, at)
        rest = total(sum_)
        for at in range(whole, end):
            rest += g[at] * g[at]
        found[job] = rest
    return found.sum()


def _pieces(tensors: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([x.numel() for x in tensors], np.int64)
    return sizes, np.cumsum(-(-sizes // _PIECE))


def _like(tensors: Sequence[Tensor]) -> np.ndarray:
    """An array of their type, which all share."""
    (dtype,) = {x.dtype for x in tensors}
    return np.empty(0, np.float64 if dtype == torch.float64 else np.float32)


def takes(x: Tensor) -> bool:
    """Whether these kernels take a tensor."""
    return kernels.takes(x) and x.is_contiguous()


def step_all(
    weights: Sequence[Tensor],
    moments: Sequence[tuple[Tensor, Tensor]],
    gradients: Sequence[Tensor],
    rate: float,
    betas: tuple[float, float],
    eps: float,
    decay: float,
    steps: int,
) -> None:
    """Adam's step number `steps` (from 1) of all weights, in place.

    Args:
        weights, gradients: tensors that `takes` says yes to, of one type.
        moments: Adam's two of each.
        decay: the L2 penalty, added to the gradient.
    """
    like = _like(weights)
    number = like.dtype.type
    constants = tuple(number(x) for x in (decay, 1 - betas[0], betas[1], 1 - betas[1], eps))
    size, scale = number(rate / (1 - betas[0] ** steps)), number(math.sqrt(1 - betas[1] ** steps))
    given = [kernels.addresses(x) for x in (weights, *zip(*moments, strict=True), gradients)]
    kernels.use_torch_threads()
    _take_all(*given, *_pieces(weights), constants, size, scale, like)


def norm(tensors: Sequence[Tensor]) -> float:
    """Of all numbers together; tensors that `takes` says yes to, of one type."""
    kernels.use_torch_threads()
    return math.sqrt(_squares(kernels.addresses(tensors), *_pieces(tensors), _like(tensors)))


class RowAdam:
    """Adam of one table of shape (rows, dim); works on the given arrays in place.

    Args:
        p, m, v: the table and Adam's two moments, float32 or float64, contiguous.
        done: (rows,) int32, steps that each row has taken.
        betas, eps, decay: Adam's constants; `decay` is the L2 penalty, added to the gradient.
        steps: steps taken before (all rows must have taken them).
    """

    def __init__(
        self,
        p: np.ndarray,
        m: np.ndarray,
        v: np.ndarray,
        done: np.ndarray,
        betas: tuple[float, float],
        eps: float,
        decay: float,
        steps: int = 0,
    ):
        self.p, self.m, self.v, self.done, self.betas, self.steps = p, m, v, done, betas, steps
        constants = (decay, 1 - betas[0], betas[1], 1 - betas[1], eps)
        self.numbers = tuple(p.dtype.type(x) for x in constants)
        # Of each step: learning rate / (1 − β1^s), and √(1 − β2^s). Steps before `steps` are never asked for.
        self.sizes, self.scales = np.zeros(steps, p.dtype), np.ones(steps, p.dtype)

    def catch_up(self, rows: np.ndarray) -> None:
        """Bring these rows (any shape, repeats allowed) up to date: to be called before they are read."""
        found, taken = _behind(rows.reshape(-1), self.done, self.steps)
        if len(found):
            kernels.use_torch_threads()
            _catch_up(self.p, self.m, self.v, found, taken, self.steps, self.numbers, self.sizes, self.scales)

    def catch_up_all(self) -> None:
        """Bring the whole table up to date."""
        kernels.use_torch_threads()
        _catch_up_all(self.p, self.m, self.v, self.done, self.steps, self.numbers, self.sizes, self.scales)

    def step(self, rows: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        """The next step: these rows (each once) with their gradient (rows, dim), all others without, later.

        The rows are brought up to date first, where they are not.
        """
        self.catch_up(rows)
        if self.steps == len(self.sizes):  # grow in large pieces
            more = max(256, self.steps)
            self.sizes = np.concatenate([self.sizes, np.empty(more, self.p.dtype)])
            self.scales = np.concatenate([self.scales, np.empty(more, self.p.dtype)])
        self.steps += 1
        size = self.p.dtype.type(rate / (1 - self.betas[0] ** self.steps))
        scale = self.p.dtype.type(math.sqrt(1 - self.betas[1] ** self.steps))
        self.sizes[self.steps - 1], self.scales[self.steps - 1] = size, scale
        kernels.use_torch_threads()
        _take(self.p, self.m, self.v, self.done, rows, gradient, self.steps, self.numbers, size, scale)
