"""Pooling of overlapping slices: tokens (T, D) encoded once, and rows b that each read `[begin_b, end_b)` of them.

The rows of a user read histories that share almost all their events. Nothing here has a size of rows × events:
attention forms the scores of one row at a time, in cache, and its backward pass forms them again.

Every slice lies within one packed sequence; it may be empty, and slices may be the same. A row's result depends on its
own slice alone, and its sums are formed in the order of the events: neither the batch around it nor the number of
threads enters.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import register_flop_formula

from mdaf_core.ops.direct import operator
from mdaf_core.ops.kernels import arrays, sequence_groups, use_torch_threads
from mdaf_core.ops.simd import LANES, LOG2_E, dot, exp2, fill, load, store

PAIRS = 1 << 24
"""Of a row and a token whose scores are formed at a time where there is no kernel."""


def slice_last(x_TD: Tensor, begin_B: Tensor, end_B: Tensor) -> Tensor:
    """Last token of each slice, (B, D); zeros for an empty one."""
    filled_B1 = (end_B > begin_B).unsqueeze(1)
    if not len(x_TD):
        return x_TD.new_zeros(len(begin_B), x_TD.shape[1])
    # Not as an index: the backward pass of this one adds in the order of the rows, whatever the number of threads.
    return torch.where(filled_B1, x_TD.index_select(0, (end_B - 1).clamp(min=0)), 0.0)


def slice_mean(x_TD: Tensor, begin_B: Tensor, end_B: Tensor) -> Tensor:
    """Mean of each slice, (B, D); zeros for an empty one. A difference of two running sums, which are of float64."""
    running_TD = torch.cat([x_TD.new_zeros(1, x_TD.shape[1], dtype=torch.float64), x_TD.double().cumsum(0)])
    length_B1 = (end_B - begin_B).clamp(min=1).unsqueeze(1)
    sum_BD = running_TD.index_select(0, end_B) - running_TD.index_select(0, begin_B)
    return (sum_BD / length_B1).to(x_TD.dtype)


# Arrays are flat: query, pooled and their gradients [B][D], token [T][D], code [T][H], target [B][H]; D is a multiple
# of LANES. `log` holds log(1 + 0), log(1 + 1), …; weights have room for whole vectors.


@numba.njit
def _scores(  # type: ignore[no-untyped-def]
    query, token, code, target, equal, recency, nothing, log, b, begin, end, size, out
):
    """Softmax weights of one row's tokens into `out`; returns the weight of "nothing there"."""
    for i in range(end - begin):
        out[i] = dot(query, b * size, token, (begin + i) * size, size)
    return _weights(code, target, equal, recency, nothing, log, b, begin, end, out)


@numba.njit
def _weights(code, target, equal, recency, nothing, log, b, begin, end, out):  # type: ignore[no-untyped-def]
    """Softmax weights of one row's tokens from ⟨query, token⟩, in place; returns the weight of "nothing there"."""
    top, fields, length = nothing, len(equal), end - begin
    for i in range(length):
        out[i] -= recency * log[length - 1 - i]
    for f in range(fields):
        wanted = target[b * fields + f]
        if wanted > 1:
            for i in range(length):
                if code[(begin + i) * fields + f] == wanted:
                    out[i] += equal[f]
    for i in range(length):
        top = max(top, out[i])
    log2_e = out.dtype.type(LOG2_E)
    for i in range(0, length, LANES):
        store(out, i, exp2(fill(log2_e) * (load(out, i) - fill(top))))
    left = np.exp(nothing - top)
    whole = left
    for i in range(length):
        whole += out[i]
    share = out.dtype.type(1) / whole
    for i in range(0, length, LANES):
        store(out, i, load(out, i) * fill(share))
    return left * share


@numba.njit(cache=True, error_model="numpy")
def _all_weights(score, code, target, equal, recency, nothing, log, left):  # type: ignore[no-untyped-def]
    """Of all rows over all tokens, in place: score [B][T]."""
    length = len(log)
    row = np.zeros(length + LANES, score.dtype)
    for b in range(len(left)):
        for i in range(length):  # one by one: see `carried._token`
            row[i] = score[b * length + i]
        left[b] = _weights(code, target, equal, recency, nothing, log, b, 0, length, row)
        for i in range(length):
            score[b * length + i] = row[i]


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(  # type: ignore[no-untyped-def]
    query, token, code, target, equal, recency, nothing, log, begin, end, order, groups, size, pooled, left
):
    zero = query.dtype.type(0)
    for group in prange(len(groups) - 1):
        weight = np.zeros(len(log) + LANES, query.dtype)
        for place in range(groups[group], groups[group + 1]):
            b = order[place]
            first, length = begin[b], end[b] - begin[b]
            left[b] = _scores(query, token, code, target, equal, recency, nothing, log, b, first, end[b], size, weight)
            for d in range(0, size, LANES):
                out = fill(zero)
                for i in range(length):
                    out = out + fill(weight[i]) * load(token, (first + i) * size + d)
                store(pooled, b * size + d, out)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    dpooled, dleft, query, token, code, target, equal, recency, nothing, log, begin, end, order, groups, size,
    dquery, dtoken, dequal_G, drecency_G, dnothing_G,
):  # fmt: skip
    fields, zero = len(equal), query.dtype.type(0)
    for group in prange(len(groups) - 1):
        weight, slope = np.zeros(len(log) + LANES, query.dtype), np.zeros(len(log) + LANES, query.dtype)
        for place in range(groups[group], groups[group + 1]):
            b = order[place]
            first, length, at = begin[b], end[b] - begin[b], b * size
            left = _scores(query, token, code, target, equal, recency, nothing, log, b, first, end[b], size, weight)
            inner = left * dleft[b]  # Σ weight · its slope, which the softmax takes away
            for i in range(length):
                slope[i] = dot(dpooled, at, token, (first + i) * size, size)
                inner += weight[i] * slope[i]
            dnothing_G[group] += left * (dleft[b] - inner)
            for i in range(0, length, LANES):  # from here on of the scores
                store(slope, i, load(weight, i) * (load(slope, i) - fill(inner)))
            for d in range(0, size, LANES):
                asked, through, out = load(query, at + d), load(dpooled, at + d), fill(zero)
                for i in range(length):
                    to = (first + i) * size + d
                    out = out + fill(slope[i]) * load(token, to)
                    store(dtoken, to, load(dtoken, to) + fill(slope[i]) * asked + fill(weight[i]) * through)
                store(dquery, at + d, out)
            for f in range(fields):
                wanted = target[b * fields + f]
                if wanted > 1:
                    for i in range(length):
                        if code[(first + i) * fields + f] == wanted:
                            dequal_G[group * fields + f] += slope[i]
            for i in range(length):
                drecency_G[group] -= slope[i] * log[length - 1 - i]


def _work(
    begin: np.ndarray, end: np.ndarray, cu: np.ndarray, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log(1 + i) up to the longest slice, rows in the order of their sequences, first row of each group of whole
    sequences.

    The groups depend on the slices alone; only within one group do rows write to the same tokens.
    """
    sequence_B = np.searchsorted(cu, begin, side="right") - 1
    order = np.argsort(sequence_B, kind="stable")
    pairs_S = np.bincount(sequence_B, weights=end - begin + 1, minlength=len(cu))
    rows_S = np.r_[0, np.cumsum(np.bincount(sequence_B, minlength=len(cu)))]
    groups = rows_S[sequence_groups(np.r_[0, np.cumsum(pairs_S)])]
    log = np.log1p(np.arange((end - begin).max(initial=0))).astype(dtype)
    return log, order, groups.astype(np.int64)


def _check(query: Tensor, token: Tensor) -> None:
    if query.shape[1] % LANES or query.shape[1:] != token.shape[1:] or query.dtype != token.dtype:
        raise ValueError(
            f"Queries and tokens must be equally wide, by whole vectors of {LANES}, and of one type, not "
            f"{tuple(query.shape)} of {query.dtype} beside {tuple(token.shape)} of {token.dtype}."
        )


@operator("slice_attention")
def _attention(
    query: Tensor, token: Tensor, code: Tensor, target: Tensor, equal: Tensor, recency: Tensor, nothing: Tensor,
    begin: Tensor, end: Tensor, cu_seqlens: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    _check(query, token)
    pooled, left = torch.empty_like(query, memory_format=torch.contiguous_format), query.new_empty(len(query))
    use_torch_threads()
    first, last, cu = arrays(begin, end, cu_seqlens)
    q, x, c, t, e = arrays(query, token, code, target, equal)
    r, n = (value.detach().numpy()[()] for value in (recency, nothing))
    log, order, groups = _work(first, last, cu, q.dtype)
    out = pooled.view(-1).numpy(), left.numpy()
    _forward(q, x, c, t, e, r, n, log, first, last, order, groups, query.shape[1], *out)
    return pooled, left


@_attention.register_fake
def _(query, token, code, target, equal, recency, nothing, begin, end, cu_seqlens):  # type: ignore[no-untyped-def]
    return torch.empty_like(query, memory_format=torch.contiguous_format), query.new_empty(len(query))


@operator("slice_attention_backward")
def _attention_backward(
    dpooled: Tensor, dleft: Tensor, query: Tensor, token: Tensor, code: Tensor, target: Tensor, equal: Tensor,
    recency: Tensor, nothing: Tensor, begin: Tensor, end: Tensor, cu_seqlens: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    use_torch_threads()
    first, last, cu = arrays(begin, end, cu_seqlens)
    dp, dl, q, x, c, t, e = arrays(dpooled, dleft, query, token, code, target, equal)
    r, n = (value.detach().numpy()[()] for value in (recency, nothing))
    log, order, groups = _work(first, last, cu, q.dtype)
    parts = len(groups) - 1
    dquery = torch.empty_like(query, memory_format=torch.contiguous_format)
    dtoken = torch.zeros_like(token, memory_format=torch.contiguous_format)
    dequal, drecency, dnothing = equal.new_zeros(parts, len(equal)), recency.new_zeros(parts), nothing.new_zeros(parts)
    out = (x.view(-1).numpy() for x in (dquery, dtoken, dequal, drecency, dnothing))
    _backward(dp, dl, q, x, c, t, e, r, n, log, first, last, order, groups, query.shape[1], *out)
    return dquery, dtoken, dequal.sum(0), drecency.sum(), dnothing.sum()


@_attention_backward.register_fake
def _(dpooled, dleft, query, token, code, target, equal, recency, nothing, begin, end, cu_seqlens):  # type: ignore[no-untyped-def]
    dense = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, token))
    return (*dense, *(torch.empty_like(x) for x in (equal, recency, nothing)))


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _differentiate(ctx, dpooled, dleft):  # type: ignore[no-untyped-def]
    dquery, dtoken, dequal, drecency, dnothing = _attention_backward(dpooled, dleft, *ctx.saved_tensors)
    return dquery, dtoken, None, None, dequal, drecency, dnothing, None, None, None


_attention.register_autograd(_differentiate, setup_context=_save)


def slice_attention(
    query_BD: Tensor,
    token_TD: Tensor,
    code_TH: Tensor,
    target_BH: Tensor,
    equal_H: Tensor,
    recency: Tensor,
    nothing: Tensor,
    begin_B: Tensor,
    end_B: Tensor,
    cu_seqlens: Tensor,
) -> tuple[Tensor, Tensor]:
    """Attention of each row over its slice, beside something that stands for "nothing there".

    The score of token t for row b is ⟨query_b, token_t⟩ + Σ_h equal_h [code_th = target_bh > 1] −
    recency · log(1 + end_b − 1 − t), that of nothing is `nothing`; weights are their softmax, values the tokens.

    Args:
        query_BD, token_TD: float32 or float64, already scaled.
        code_TH, target_BH: int64 ids; 0 and 1 (padding, unknown) equal nothing.
        equal_H, recency (scalar), nothing (scalar): as above.
        begin_B, end_B: int64, each slice within one sequence.
        cu_seqlens: (S + 1,) of the tokens.

    Returns:
        (B, D) Σ weight · token (zeros for an empty slice) and (B,) the weight of nothing (1 for an empty slice).
        Differentiable in all float arguments.
    """
    if query_BD.device.type == "cpu":
        channels = query_BD.shape[1]
        missing = -channels % LANES
        if missing:  # channels of zeros, up to a whole vector
            query_BD, token_TD = F.pad(query_BD, (0, missing)), F.pad(token_TD, (0, missing))
        inputs = (query_BD, token_TD, code_TH, target_BH, equal_H, recency, nothing, begin_B, end_B, cu_seqlens)
        pooled_BD, left_B = _attention(*inputs)
        return pooled_BD[:, :channels] if missing else pooled_BD, left_B
    scores = equal_H, recency, nothing
    return _by_parts(query_BD, token_TD, code_TH, target_BH, *scores, begin_B, end_B)


def _by_parts(
    query_BD: Tensor,
    token_TD: Tensor,
    code_TH: Tensor,
    target_BH: Tensor,
    equal_H: Tensor,
    recency: Tensor,
    nothing: Tensor,
    begin_B: Tensor,
    end_B: Tensor,
    pairs: int = PAIRS,
) -> tuple[Tensor, Tensor]:
    """`slice_attention_reference` of a few rows at a time beside the tokens between the first and the last that one of
    them reads; where there are several such parts, the backward pass forms their scores again.

    Args:
        pairs: of a row and a token, at most, in a part of several rows.
    """
    order_B = torch.argsort(begin_B, stable=True)
    begins, ends = begin_B[order_B].tolist(), end_B[order_B].tolist()
    parts, first, behind = [], 0, 0
    for b, end in enumerate(ends):
        reaches = max(behind, end)
        if b > first and (b + 1 - first) * (reaches - begins[first]) > pairs:
            parts.append((first, b, begins[first], behind))
            first, reaches = b, end
        behind = reaches
    parts.append((first, len(ends), begins[first] if begins else 0, behind))
    found = []
    for first, last, low, high in parts:
        own_B, high = order_B[first:last], max(high, low)
        given = query_BD[own_B], token_TD[low:high], code_TH[low:high], target_BH[own_B]
        places = begin_B[own_B] - low, end_B[own_B] - low
        inputs = *given, equal_H, recency, nothing, *places
        if len(parts) == 1:
            found.append(slice_attention_reference(*inputs))
        else:
            found.append(checkpoint(slice_attention_reference, *inputs, use_reentrant=False, preserve_rng_state=False))
    pooled_BD, left_B = (torch.cat(part) for part in zip(*found, strict=True))
    back_B = torch.argsort(order_B)
    return pooled_BD[back_B], left_B[back_B]


def attend_all(
    query_BD: Tensor,
    token_TD: Tensor,
    code_TH: Tensor,
    target_BH: Tensor,
    equal_H: Tensor,
    recency: Tensor,
    nothing: Tensor,
) -> tuple[Tensor, Tensor]:
    """`slice_attention` where every row reads all tokens, so that scores and sums are matrix products. Without
    gradients."""
    if query_BD.device.type != "cpu":
        begin_B = torch.zeros(len(query_BD), dtype=torch.int64, device=query_BD.device)
        slices = begin_B, begin_B + len(token_TD)
        return slice_attention_reference(query_BD, token_TD, code_TH, target_BH, equal_H, recency, nothing, *slices)
    score_BT, left_B = query_BD @ token_TD.T, query_BD.new_empty(len(query_BD))
    score, c, t, e, left = arrays(score_BT, code_TH, target_BH, equal_H, left_B)
    r, n = (value.detach().numpy()[()] for value in (recency, nothing))
    _all_weights(score, c, t, e, r, n, np.log1p(np.arange(len(token_TD))).astype(score.dtype), left)
    return score_BT @ token_TD, left_B


def slice_attention_reference(
    query_BD: Tensor,
    token_TD: Tensor,
    code_TH: Tensor,
    target_BH: Tensor,
    equal_H: Tensor,
    recency: Tensor,
    nothing: Tensor,
    begin_B: Tensor,
    end_B: Tensor,
) -> tuple[Tensor, Tensor]:
    """`slice_attention` in torch, with tensors of all pairs of a row and a token: the definition, and what devices
    without the kernel run, a part of the rows at a time."""
    t_T = torch.arange(len(token_TD), device=token_TD.device)
    within_BT = (t_T >= begin_B[:, None]) & (t_T < end_B[:, None])
    same_BTH = (code_TH == target_BH[:, None]) & (target_BH[:, None] > 1)
    newer_BT = (end_B[:, None] - 1 - t_T).clamp(min=0).to(query_BD.dtype)
    score_BT = query_BD @ token_TD.T + same_BTH.to(query_BD.dtype) @ equal_H - recency * torch.log1p(newer_BT)
    score_BT = score_BT.masked_fill(~within_BT, -torch.inf)
    weight_BT = torch.cat([nothing.expand(len(query_BD), 1), score_BT], dim=1).softmax(dim=1)
    return weight_BT[:, 1:] @ token_TD, weight_BT[:, 0]


@register_flop_formula(torch.ops.mdaf.slice_attention)
def _operations(query_shape, token_shape, *_, **__) -> int:  # type: ignore[no-untyped-def]
    """At most: what the slices have of it, shapes do not tell."""
    return 4 * query_shape[0] * token_shape[0] * query_shape[1]
