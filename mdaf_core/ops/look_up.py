"""Rows of a table, and the gradient of the whole table from theirs.

torch's own backward pass goes through all places once for every part of the table; here it is one pass, and sums are
formed in the order of the places, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numba
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mdaf_core.ops.direct import watched
from mdaf_core.ops.kernels import arrays, takes


@numba.njit(cache=True)
def _add(row, gradient, dim, out):  # type: ignore[no-untyped-def]
    for place in range(len(row)):
        to, at = row[place] * dim, place * dim
        for d in range(dim):
            out[to + d] += gradient[at + d]


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = weight.shape
        return F.embedding(rows, weight)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        out = gradient.new_zeros(ctx.shape)
        _add(*arrays(rows, gradient), ctx.shape[1], out.view(-1).numpy())
        return out, None


def look_up(weight: Tensor, rows: Tensor) -> Tensor:
    """Vectors (…, D) at the given rows (…) int64 of a table (V, D); on the CPU its gradient is made in one pass."""
    if not takes(weight) or rows.dtype != torch.int64 or watched():
        return F.embedding(rows, weight)
    found: Tensor = _LookUp.apply(weight, rows)
    return found
