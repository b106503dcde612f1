"""Pooling over packed sequences: tokens (T, D) whose sequence s is `[cu_seqlens[s], cu_seqlens[s + 1])`.

Every function gives an empty sequence a defined value; none pads.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lengths(cu_seqlens: Tensor) -> Tensor:
    """Tokens of each sequence, (S,) int64."""
    return (cu_seqlens[1:] - cu_seqlens[:-1]).long()


def segment_ids(cu_seqlens: Tensor) -> Tensor:
    """Sequence number of each token, (T,) int64."""
    length_S = lengths(cu_seqlens)
    return torch.repeat_interleave(torch.arange(len(length_S), device=cu_seqlens.device), length_S)


def positions(cu_seqlens: Tensor) -> Tensor:
    """Place of each token in its sequence, from 0, (T,) int64."""
    start_T = torch.repeat_interleave(cu_seqlens[:-1].long(), lengths(cu_seqlens))
    return torch.arange(len(start_T), device=cu_seqlens.device) - start_T


def by_step(cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens in the order in which a recurrence takes them: the first of each sequence, then the second of each that
    has one, …, longest sequences first.

    Returns:
        (T,) int64, the token at each place; (L,) int64 on the CPU, how many sequences have a first, second, … token.
    """
    length_S = lengths(cu_seqlens)
    rank_S = torch.argsort(torch.argsort(length_S, descending=True, stable=True))
    place_T = positions(cu_seqlens)
    order_T = torch.argsort(place_T * len(length_S) + rank_S[segment_ids(cu_seqlens)])
    return order_T, torch.bincount(place_T).cpu()


def segment_sum(x_TD: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Sum over each sequence, (S, D); zeros for an empty one."""
    out_SD = x_TD.new_zeros(len(cu_seqlens) - 1, *x_TD.shape[1:])
    return out_SD.index_add(0, segment_ids(cu_seqlens), x_TD)


def segment_mean(x_TD: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Mean over each sequence, (S, D); zeros for an empty one."""
    count_S = lengths(cu_seqlens).clamp(min=1).to(x_TD.dtype)
    return segment_sum(x_TD, cu_seqlens) / count_S.view(-1, *[1] * (x_TD.dim() - 1))


def segment_last(x_TD: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Last token of each sequence, (S, D); zeros for an empty one."""
    filled_S = lengths(cu_seqlens) > 0
    out_SD = x_TD.new_zeros(len(filled_S), *x_TD.shape[1:])
    index = cu_seqlens[1:][filled_S].long() - 1
    return out_SD.index_copy(0, filled_S.nonzero().squeeze(1), x_TD[index])


def segment_softmax(score_T: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Softmax within each sequence, (T,) or (T, H)."""
    ids_T = segment_ids(cu_seqlens)
    index = ids_T.view(-1, *[1] * (score_T.dim() - 1)).expand_as(score_T)
    top_S = score_T.new_full((len(cu_seqlens) - 1, *score_T.shape[1:]), -torch.inf)
    top_S = top_S.scatter_reduce(0, index, score_T.detach(), "amax")
    weight_T = torch.exp(score_T - top_S[ids_T])
    return weight_T / segment_sum(weight_T, cu_seqlens)[ids_T]
