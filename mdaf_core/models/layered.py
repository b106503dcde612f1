"""History models whose events go through layers in order, each of which may be of any kind, and are then pooled: what
the sequence models share, so that they differ in their layers alone."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.history import SequenceConfig


class LayeredConfig(SequenceConfig):
    """Events → Linear → layers → LayerNorm → pooling, with layers that read nothing later than an event."""

    blocks: int = Field(2, ge=0, le=8, description="Layers.")
    pooling: Literal["mean", "last", "target"] = Field(
        "target", description="How the events become one vector: mean, the last one, or attention by the target."
    )
    target_aware: bool = Field(True, description="The target's item and category enter the model.")
    gap_inputs: bool = Field(False, description="The time since the event before is an input of each event.")
    recent_matches: int = Field(
        0, ge=0, le=100, description="Newest events that are told one by one to have the target's ids or not; 0: none."
    )

    @property
    def causal(self) -> bool:
        return True

    @property
    def lacks_state(self) -> str:
        return ""

    @model_validator(mode="after")
    def _target_pooling_sees_target(self) -> Self:
        if self.pooling == "target" and not self.target_aware:
            raise ValueError("pooling by the target needs target_aware; choose mean or last, or turn target_aware on")
        if self.recent_matches and not self.target_aware:
            raise ValueError("recent_matches compares with the target: it needs target_aware, or must be 0")
        if self.co_occurrence and not self.target_aware:
            raise ValueError("co_occurrence compares with the target: it needs target_aware, or must be false")
        if self.affinity and not self.target_aware:
            raise ValueError("affinity reads the target: it needs target_aware, or must be false")
        return self


import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch, Kept, Slices
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.co_occurrence import newest_events
from mdaf_core.models.history import HistoryEncoder, event_widths
from mdaf_core.models.layers import append_token, spread
from mdaf_core.ops.dropout import Dropout
from mdaf_core.ops.segments import (
    lengths,
    positions,
    segment_ids,
    segment_last,
    segment_mean,
    segment_softmax,
    segment_sum,
)
from mdaf_core.ops.slices import attend_all, slice_attention, slice_last, slice_mean

GAP_KNOTS = 17
SHORTEST_GAP, LONGEST_GAP = 1.0, 30 * 86400.0  # seconds, between which gaps are told apart


class Mixer(nn.Module):
    """What a layer does with the events in order: maps (T, dim) to (T, dim), an output from its event and those before.

    Attributes:
        out_proj: its last linear layer.
    """

    out_proj: nn.Linear

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: Any = None) -> Tensor:
        """Tokens (T, dim) of packed sequences; with `carried` (and no `cu_seqlens`) the next ones of one sequence,
        behind which `carried` then stands.

        Args:
            gap_T: as `Batch.gap_T`.
        """
        raise NotImplementedError

    def silence(self) -> None:
        """Begin with outputs of zero."""
        for parameter in self.out_proj.parameters():
            nn.init.zeros_(parameter)

    def begin(self) -> Any:
        """What is carried from event to event, before the first."""
        raise NotImplementedError


class Layer(nn.Module):
    """x + Mixer(LayerNorm(x)), then x + FFN(LayerNorm(x)) where asked for; dropout on each branch.

    Branches start at zero (as SkipInit, De & Smith 2020, arXiv:2002.10444): the model begins with the events themselves
    and adds context as far as it helps, instead of learning to see through the noise of a random branch.

    Args:
        ffn_dim: width of the feed-forward part; 0: none.
    """

    def __init__(self, mixer: Mixer, dim: int, ffn_dim: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mixer = mixer
        mixer.silence()
        self.dropout = Dropout(dropout)
        self.ffn = None
        if ffn_dim:
            last = nn.Linear(ffn_dim, dim)
            nn.init.zeros_(last.weight)
            self.ffn = nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, ffn_dim), nn.GELU(), Dropout(dropout), last, Dropout(dropout)
            )

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: Any = None) -> Tensor:
        x_TD = x_TD + self.dropout(self.mixer(self.norm(x_TD), cu_seqlens, gap_T, carried))
        return x_TD if self.ffn is None else x_TD + self.ffn(x_TD)


class TargetAttention(nn.Module):
    """Attention of the target over its history, with a learned vector that stands for "nothing there".

    The score of an event is ⟨W_q target, W_k output⟩ / √d + Σ_f a_f · [event_f = target_f] − r · log(1 + newer events),
    with the sum over the fields f that events and target share. The second term makes an equal id stand out from the
    first step on and however small its embedding is: Adam's weight decay draws the vectors of rare ids to zero, where
    dot products see nothing. a_f starts at 3, r at 0. Values are the sequence model's outputs. The extra vector takes
    part in every softmax with a learned score (from 3): it is the whole result of an empty history, most of it where
    nothing resembles the target, and less the more, and the more recent, events do; so the result tells how much was
    found.
    """

    def __init__(self, fields: int, target_dim: int, dim: int):
        super().__init__()
        self.query = nn.Linear(target_dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.equal_H = nn.Parameter(torch.full((fields,), 3.0))
        self.recency = nn.Parameter(torch.tensor(0.0))
        self.nothing_score = nn.Parameter(torch.tensor(3.0))
        self.nothing_D = nn.Parameter(torch.empty(dim).normal_())

    def multiply_adds_per_event(self) -> int:
        """One score and one weighted vector, beside the projections."""
        return 2 * len(self.nothing_D)

    def of_kept(self, kept: Kept, target_BE: Tensor) -> Tensor:
        """The pooled vector (B, D) where all rows read the same kept outputs."""
        value_TD = kept.output_TD
        query_BD = self.query(target_BE) @ self.key.weight / math.sqrt(value_TD.shape[1])
        scores = self.equal_H, self.recency, self.nothing_score
        pooled_BD, nothing_B = attend_all(query_BD, value_TD, kept.identity_TH, kept.target_BH, *scores)
        return pooled_BD + nothing_B.unsqueeze(1) * self.nothing_D

    def of_slices(self, slices: Slices, target_BE: Tensor, value_TD: Tensor, cu_seqlens: Tensor) -> Tensor:
        """The pooled vector (B, D) where rows share events; the key's weights act on the few queries instead."""
        query_BD = self.query(target_BE) @ self.key.weight / math.sqrt(value_TD.shape[1])
        ids = slices.identity_TH, slices.target_BH
        scores = self.equal_H, self.recency, self.nothing_score
        pooled_BD, nothing_B = slice_attention(
            query_BD, value_TD, *ids, *scores, slices.begin_B, slices.end_B, cu_seqlens
        )
        return pooled_BD + nothing_B.unsqueeze(1) * self.nothing_D

    def forward(self, equal_TH: Tensor, target_BE: Tensor, value_TD: Tensor, cu_seqlens: Tensor) -> Tensor:
        """The pooled vector (B, D); `equal_TH` says which fields of an event equal the target's, 0 or 1."""
        row_T = segment_ids(cu_seqlens)
        newer_T = lengths(cu_seqlens)[row_T] - 1 - positions(cu_seqlens)
        score_T = (self.query(target_BE)[row_T] * self.key(value_TD)).sum(1) / math.sqrt(value_TD.shape[1])
        score_T = score_T + equal_TH @ self.equal_H - self.recency * torch.log1p(newer_T.to(score_T.dtype))
        nothing_B1 = self.nothing_score.expand(len(target_BE), 1)
        joined, joined_cu = append_token(score_T.unsqueeze(1), nothing_B1, cu_seqlens)
        weight = segment_softmax(joined, joined_cu)
        event_T1 = weight[torch.arange(len(row_T), device=row_T.device) + row_T]
        nothing_B1 = weight[joined_cu[1:].long() - 1]
        return segment_sum(event_T1 * value_TD, cu_seqlens) + nothing_B1 * self.nothing_D


def recent_matches(batch: Batch, newest: int) -> Tensor:
    """Whether the newest events, one by one, have the target's ids: (B, newest, H) bool, the last event first; False
    behind the oldest one. Ids unseen in training are told apart as in match features."""
    ids: Slices | Kept | None = batch.slices or batch.kept
    at_BP, there_BP = newest_events(batch, newest)
    there_BP1 = there_BP.unsqueeze(2)
    held = batch.equal_TH if ids is None else ids.identity_TH
    if not len(held):
        return there_BP1.expand(-1, -1, held.shape[1])
    found_BPH = held[at_BP]
    if ids is not None:
        found_BPH = (found_BPH == ids.target_BH.unsqueeze(1)) & (ids.target_BH > 1).unsqueeze(1)
    return found_BPH & there_BP1


class LayeredEncoder(HistoryEncoder):
    """Events → Linear → layers → LayerNorm → pooling by mean, last event, or target.

    Between Linear and layers vectors are normalised (LayerNorm without weights), else the branches, which are of unit
    scale, would drown the small embeddings.

    Pooling by target puts three things side by side: ⟨what the last output predicts next, target⟩ dimension by
    dimension, which is a sequence model's own next-item score before its sum; and two summaries as narrow as a context
    field, of the target's attention over the outputs and of the last output. The summaries are narrow on purpose: a
    history is nearly an id of its row, and a wide vector of it is learned by heart.

    An empty history has the final LayerNorm of zero, which is its bias, for last output or mean, and the attention's
    vector for "nothing there": learned in all cases, without a special parameter.
    """

    def __init__(self, config: LayeredConfig, features: FeatureSpec):
        by_target = config.pooling == "target"
        dim, narrow, widths = config.hidden_dim, config.static_dim, event_widths(config, features)
        pooled_dim = sum(widths) + 2 * narrow if by_target else dim
        pooled_dim += config.recent_matches * len(widths)
        super().__init__(config, features, config.target_aware, pooled_dim)
        self.recent_matches = config.recent_matches
        self.project = nn.Sequential(nn.Linear(self.event_dim, dim), nn.LayerNorm(dim, elementwise_affine=False))
        self.layers = nn.ModuleList(self.layer(config, i) for i in range(config.blocks))
        self.norm = nn.LayerNorm(dim)
        self.by_target = by_target
        self.pool_events = segment_mean if config.pooling == "mean" else segment_last
        self.pool_slices = slice_mean if config.pooling == "mean" else slice_last
        self.gaps = None
        if config.gap_inputs:  # silent at the start, as a layer is
            self.gaps = nn.Linear(GAP_KNOTS, dim, bias=False)
            nn.init.zeros_(self.gaps.weight)
        if by_target:
            self.predict_next = nn.Linear(dim, self.event_dim)
            self.attention = TargetAttention(len(widths), self.event_dim, dim)
            self.summarise_attended = nn.Linear(dim, narrow)
            self.summarise_last = nn.Linear(dim, narrow)

    def layer(self, config: Any, index: int) -> Layer:
        """The layer at this place, from 0 on."""
        raise NotImplementedError

    def encode(self, event_TE: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: Sequence[Any] = ()) -> Tensor:
        """The outputs (T, D) at events (T, event_dim), of packed sequences or with what each layer carries."""
        x_TD = self.project(event_TE)
        if self.gaps is not None:
            scaled_T = torch.log1p(gap_T.to(x_TD.dtype) / SHORTEST_GAP) / math.log1p(LONGEST_GAP / SHORTEST_GAP)
            x_TD = x_TD + self.gaps(spread(scaled_T.clamp(max=1.0), GAP_KNOTS))
        for layer, own in zip_longest(self.layers, carried):
            x_TD = layer(x_TD, cu_seqlens, gap_T, own)
        return self.norm(x_TD)

    def begin(self) -> list[Any]:
        layers: Any = self.layers
        return [layer.mixer.begin() for layer in layers]

    def read(self, history: dict[str, Tensor], gap_T: Tensor, state: list[Any]) -> Tensor:
        return self.encode(self.embed(history), None, gap_T, state)

    def pool(self, event_TE: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        if batch.kept is not None:
            pooled_BD = self.pool_kept(batch.kept, target_BE, len(batch))
        else:
            x_TD = self.encode(event_TE, batch.cu_seqlens, batch.gap_T)
            pooled_BD = self.pool_outputs(x_TD, target_BE, batch)
        if not self.recent_matches:
            return pooled_BD
        matches_BN = recent_matches(batch, self.recent_matches).flatten(1)
        return torch.cat([pooled_BD, matches_BN.to(pooled_BD.dtype)], dim=1)

    def pool_outputs(self, x_TD: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        """As `pool`, from the outputs at the batch's events."""
        slices, empty_B1 = batch.slices, (batch.lengths_B == 0).unsqueeze(1)
        if slices is None:
            pooled_BD = self.pool_events(x_TD, batch.cu_seqlens)
        else:
            pooled_BD = self.pool_slices(x_TD, slices.begin_B, slices.end_B)
        pooled_BD = torch.where(empty_B1, self.norm.bias, pooled_BD)
        if not self.by_target:
            return pooled_BD
        assert target_BE is not None
        if slices is None:
            attended_BD = self.attention(batch.equal_TH.to(x_TD.dtype), target_BE, x_TD, batch.cu_seqlens)
        else:
            attended_BD = self.attention.of_slices(slices, target_BE, x_TD, batch.cu_seqlens)
        return self.beside_target(pooled_BD, attended_BD, target_BE)

    def pool_kept(self, kept: Kept, target_BE: Tensor | None, rows: int) -> Tensor:
        """As `pool`, of one user's kept outputs: what is of the history alone is computed once."""
        x_TD = kept.output_TD
        if not len(x_TD):
            pooled_1D = self.norm.bias.unsqueeze(0)
        else:
            pooled_1D = x_TD[-1:] if self.pool_events is segment_last else x_TD.mean(0, keepdim=True)
        if not self.by_target:
            return pooled_1D.expand(rows, -1)
        assert target_BE is not None
        return self.beside_target(pooled_1D, self.attention.of_kept(kept, target_BE), target_BE)

    def beside_target(self, pooled_BD: Tensor, attended_BD: Tensor, target_BE: Tensor) -> Tensor:
        """Pooling by target from the last output, of each row or of all, and what the target attends to."""
        last_BN = self.summarise_last(pooled_BD).expand(len(target_BE), -1)
        next_BE = self.predict_next(pooled_BD) * target_BE
        return torch.cat([next_BE, self.summarise_attended(attended_BD), last_BN], dim=1)
