"""Causal attention within packed sequences: token i reads tokens j ≤ i of its own sequence.

With the score s_ij = scale · ⟨q_i, k_j⟩ + position[i − j] + time[bucket of the seconds between j and i], a token's
weights are softmax_j s_ij, or silu(s_ij) / count, each by itself (pointwise, Zhai et al. 2024, arXiv:2402.17152,
section 3.2).

Sequences of about the same length are padded together, a bounded number of pairs at a time, and the backward pass works
out the weights again: memory is O(tokens × width), and what other sequences are beside one does not matter to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mdaf_core.ops.segments import lengths

TIME_STEP = 0.301
"""Logarithm of the ratio between the times where buckets begin, as in HSTU's public code."""
TIME_BUCKETS = 65
"""The last one begins 7 years apart."""
PAIRS = 1 << 22
"""Weights formed at a time."""
QUERIES = 256
"""Queries of a sequence at a time."""


@dataclass(frozen=True)
class Weighing:
    """How scores become weights.

    Attributes:
        scale: of the inner product.
        count: what silu(score) is divided by; None: softmax.
    """

    scale: float
    count: float | None = None

    def weights(self, score: Tensor, later: Tensor) -> Tensor:
        """Weights from scores (S, H, Q, L); `later` (Q, L) says which keys come after the query."""
        if self.count is None:
            return score.masked_fill(later, -torch.inf).softmax(dim=-1)
        return (score * torch.sigmoid(score) / self.count).masked_fill(later, 0.0)

    def slope(self, score: Tensor, weight: Tensor, dweight: Tensor, later: Tensor) -> Tensor:
        """The gradient of the scores."""
        if self.count is None:
            return weight * (dweight - (weight * dweight).sum(dim=-1, keepdim=True))
        share = torch.sigmoid(score)
        return (dweight * share * (1 + score * (1 - share)) / self.count).masked_fill(later, 0.0)


def score_of(
    q_SHQK: Tensor,
    k_SHLK: Tensor,
    weighing: Weighing,
    position_HP: Tensor,
    time_U: Tensor | None,
    passed_SL: Tensor,
    first: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Of queries that are the tokens from `first` on of sequences whose first L tokens are keys.

    Args:
        passed_SL: seconds from the sequence's first token to each key.

    Returns:
        scores (S, H, Q, L); which keys are later (Q, L); distances (Q, L) as indices of `position_HP`; buckets of time
        (S, Q, L), None without `time_U`.
    """
    queries, keys = q_SHQK.shape[2], k_SHLK.shape[2]
    place_Q = torch.arange(first, first + queries, device=q_SHQK.device)
    apart_QL = place_Q.unsqueeze(1) - torch.arange(keys, device=q_SHQK.device)
    distance_QL = apart_QL.clamp(0, position_HP.shape[1] - 1)
    score = weighing.scale * (q_SHQK @ k_SHLK.transpose(2, 3)) + position_HP[:, distance_QL]
    bucket_SQL = None
    if time_U is not None:
        between_SQL = passed_SL[:, first : first + queries, None] - passed_SL[:, None, :]
        begins = torch.exp(TIME_STEP * torch.arange(1, len(time_U), dtype=torch.float64, device=time_U.device))
        bucket_SQL = torch.bucketize(between_SQL, begins, right=True)
        score = score + time_U[bucket_SQL].unsqueeze(1)
    return score, apart_QL < 0, distance_QL, bucket_SQL


def _groups(cu_seqlens: Tensor, heads: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Sequences padded together: tokens (S, L) and which of them are real; padding repeats a sequence's last token."""
    length_S, start_S = lengths(cu_seqlens), cu_seqlens[:-1].long()
    order = torch.argsort(length_S, descending=True, stable=True)
    sizes = length_S[order].tolist()
    begin = 0
    while begin < len(sizes) and sizes[begin]:
        longest, end = sizes[begin], begin + 1
        most = max(PAIRS // (heads * longest * min(longest, QUERIES)), 1)
        while end < len(sizes) and end - begin < most and 4 * sizes[end] >= 3 * longest:
            end += 1
        own, place_L = order[begin:end], torch.arange(longest, device=cu_seqlens.device)
        real_SL = place_L < length_S[own].unsqueeze(1)
        yield start_S[own].unsqueeze(1) + torch.minimum(place_L, length_S[own].unsqueeze(1) - 1), real_SL
        begin = end


def _blocks(
    q_SLHK: Tensor, k_SLHK: Tensor, gap_SL: Tensor, position_HP: Tensor, time_U: Tensor | None, weighing: Weighing
) -> Iterator[tuple[int, int, Any]]:
    passed_SL = gap_SL.double().cumsum(1)
    for first in range(0, q_SLHK.shape[1], QUERIES):
        end = min(first + QUERIES, q_SLHK.shape[1])
        query, key = q_SLHK[:, first:end].transpose(1, 2), k_SLHK[:, :end].transpose(1, 2)
        yield first, end, score_of(query, key, weighing, position_HP, time_U, passed_SL[:, :end], first)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, position, time, gap_T, cu_seqlens, weighing):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(q, k, v, position, time, gap_T, cu_seqlens)
        ctx.weighing = weighing
        out = torch.empty_like(v, memory_format=torch.contiguous_format)
        for token_SL, real_SL in _groups(cu_seqlens, q.shape[1]):
            value_SHLV, parts = v[token_SL].transpose(1, 2), []
            for _, end, (score, later, _, _) in _blocks(
                q[token_SL], k[token_SL], _gaps(gap_T, token_SL), position, time, weighing
            ):
                parts.append(weighing.weights(score, later) @ value_SHLV[:, :, :end])
            out[token_SL[real_SL]] = torch.cat(parts, dim=2).transpose(1, 2)[real_SL]
        return out

    @staticmethod
    def backward(ctx, dout):  # type: ignore[no-untyped-def]
        q, k, v, position, time, gap_T, cu_seqlens = ctx.saved_tensors
        weighing = ctx.weighing
        dq, dk, dv, dposition = (torch.zeros_like(x) for x in (q, k, v, position))
        dtime = None if time is None else torch.zeros_like(time, dtype=torch.float64)
        for token_SL, real_SL in _groups(cu_seqlens, q.shape[1]):
            query, key, value = q[token_SL], k[token_SL], v[token_SL].transpose(1, 2)
            upstream = (dout[token_SL] * real_SL[..., None, None]).transpose(1, 2)
            dquery, dkey, dvalue = (torch.zeros_like(x.transpose(1, 2)) for x in (query, key, v[token_SL]))
            for first, end, (score, later, distance, bucket) in _blocks(
                query, key, _gaps(gap_T, token_SL), position, time, weighing
            ):
                given = upstream[:, :, first:end]
                weight = weighing.weights(score, later)
                dvalue[:, :, :end] += weight.transpose(2, 3) @ given
                dscore = weighing.slope(score, weight, given @ value[:, :, :end].transpose(2, 3), later)
                dquery[:, :, first:end] = weighing.scale * (dscore @ key[:, :end].transpose(1, 2))
                dkey[:, :, :end] += weighing.scale * (dscore.transpose(2, 3) @ query[:, first:end].transpose(1, 2))
                dposition.index_add_(1, distance.flatten(), dscore.sum(0).flatten(1))
                if dtime is not None:
                    weights = dscore.sum(1).flatten().double()
                    dtime += torch.bincount(bucket.flatten(), weights, minlength=len(dtime))
            real_T = token_SL[real_SL]
            for whole, padded in ((dq, dquery), (dk, dkey), (dv, dvalue)):
                whole[real_T] = padded.transpose(1, 2)[real_SL]
        return dq, dk, dv, dposition, None if dtime is None else dtime.to(time.dtype), None, None, None


def _gaps(gap_T: Tensor, token_SL: Tensor) -> Tensor:
    gap_SL = gap_T[token_SL]
    gap_SL[:, 0] = 0
    return gap_SL


def packed_attention(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THV: Tensor,
    cu_seqlens: Tensor,
    weighing: Weighing,
    position_HP: Tensor,
    time_U: Tensor | None = None,
    gap_T: Tensor | None = None,
) -> Tensor:
    """Causal attention by H heads, (T, H, V).

    Args:
        cu_seqlens: (S + 1,) boundaries of the packed sequences; a sequence may be empty.
        position_HP: what distances 0 to P − 1 add to a head's score; farther ones are as the last.
        time_U: what times between two events add to the score, by bucket; None: nothing.
        gap_T: seconds from the event before, as `Batch.gap_T`; needed with `time_U`.
    """
    if gap_T is None:
        gap_T = q_THK.new_zeros(len(q_THK))
    return _Attention.apply(q_THK, k_THK, v_THV, position_HP, time_U, gap_T, cu_seqlens, weighing)


@dataclass
class Read:
    """Keys, values and times of the events so far of one sequence, for `attend_on`: they grow with it."""

    k_LHK: Tensor
    v_LHV: Tensor
    passed_L: Tensor

    @classmethod
    def begin(cls, like: Tensor, heads: int, key_dim: int, value_dim: int) -> Read:
        """Before the first event."""
        return cls(
            like.new_zeros(0, heads, key_dim),
            like.new_zeros(0, heads, value_dim),
            like.new_zeros(0, dtype=torch.float64),
        )

    def attend(
        self,
        q_THK: Tensor,
        k_THK: Tensor,
        v_THV: Tensor,
        weighing: Weighing,
        position_HP: Tensor,
        time_U: Tensor | None,
        gap_T: Tensor,
    ) -> Tensor:
        """As `packed_attention`, (T, H, V), of the sequence's next events; they are kept. Without gradients."""
        before = self.passed_L[-1:] if len(self.passed_L) else self.passed_L.new_zeros(1)
        first = len(self.k_LHK)
        self.k_LHK, self.v_LHV = torch.cat([self.k_LHK, k_THK]), torch.cat([self.v_LHV, v_THV])
        self.passed_L = torch.cat([self.passed_L, before + gap_T.double().cumsum(0)])
        if not len(q_THK):
            return v_THV
        query, key, value = (x.transpose(0, 1).unsqueeze(0) for x in (q_THK, self.k_LHK, self.v_LHV))
        passed_SL = self.passed_L.unsqueeze(0)
        score, later, _, _ = score_of(query, key, weighing, position_HP, time_U, passed_SL, first)
        return (weighing.weights(score, later) @ value)[0].transpose(0, 1)


def scale_of(width: int) -> float:
    """Of inner products of vectors of this width (Vaswani et al. 2017)."""
    return 1 / math.sqrt(width)
