"""Mamba4Rec: a selective state space model over the history (Liu et al. 2024, arXiv:2403.03900)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import Preset
from mdaf_core.models.history import SequenceConfig


class Mamba4RecConfig(SequenceConfig):
    """Mamba4Rec (Liu et al. 2024, arXiv:2403.03900): a selective state space model over the history."""

    encoder = "Mamba4RecEncoder"

    kind: Literal["mamba4rec"] = "mamba4rec"
    blocks: int = Field(2, ge=1, le=8, description="Mamba blocks.")
    state_dim: int = Field(16, ge=1, le=128, description="States a channel (N).")
    conv_width: int = Field(4, ge=2, le=8, description="Width of the causal convolution.")
    expand: int = Field(2, ge=1, le=4, description="Inner width / hidden width.")
    dt_rank: Literal["auto", "scalar"] = Field(
        "auto", description="Step size Δ: low rank with a projection (auto), or one scalar a position (the report)."
    )
    pooling: Literal["mean", "last", "target"] = Field(
        "target", description="How the events become one vector: mean, the last one, or attention by the target."
    )
    target_aware: bool = Field(True, description="The target's item and category enter the model.")
    ffn: bool = Field(False, description="Position-wise feed-forward after each block, as in the Mamba4Rec paper.")

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
        return self


# The report's first settings: constant rate, no smoothing, no clipping, lighter weight decay.
_V1 = {
    **{"schedule": "constant", "warmup_epochs": 0, "weight_decay": 1e-5},
    **{"label_smoothing": 0.0, "gradient_clip": None},
}
# The report's architecture as its parameter count reveals it: scalar Δ, mean pooling, blind to the target.
_AS_REPORTED = Mamba4RecConfig(dt_rank="scalar", pooling="mean", target_aware=False, match_features=False)
PRESETS = (
    Preset("mamba4rec-v1", "Mamba4Rec, the report's first settings", Mamba4RecConfig(dropout=0.2), _V1),
    Preset("mamba4rec-v2", "Mamba4Rec, regularised, target-aware", Mamba4RecConfig()),
    Preset("mamba4rec-v2-report", "Mamba4Rec exactly as reported: scalar Δ, target-blind", _AS_REPORTED),
)


import math
from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch, Kept, Slices
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.history import HistoryEncoder, event_widths
from mdaf_core.models.layers import append_token
from mdaf_core.ops.carried import Block, Carried
from mdaf_core.ops.causal_conv import causal_conv1d
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
from mdaf_core.ops.selective_scan import selective_scan
from mdaf_core.ops.slices import attend_all, slice_attention, slice_last, slice_mean

DELTA_MIN, DELTA_MAX = 1e-3, 1e-1  # steps at the start, as in Mamba's own initialisation


class Mamba(nn.Module):
    """The Mamba block (Gu & Dao 2023, arXiv:2312.00752, section 3.4 and figure 3) over packed sequences.

    u, z = in_proj(x); u = silu(conv(u)); Δ, B, C = x_proj(u); y = selective_scan(u, Δ, A, B, C, D, z); out_proj(y).
    Δ comes from a low-rank projection with a bias (`scalar_delta=False`), or is one number a position for all
    channels, without projection or bias (`scalar_delta=True`, as the report's parameter count implies).
    """

    def __init__(self, dim: int, state_dim: int, conv_width: int, expand: int, scalar_delta: bool):
        super().__init__()
        inner = expand * dim
        self.rank = 1 if scalar_delta else math.ceil(dim / 16)
        self.state_dim = state_dim
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        bound = conv_width**-0.5  # as torch.nn.Conv1d with one input channel a group
        self.conv_DK = nn.Parameter(torch.empty(inner, conv_width).uniform_(-bound, bound))
        self.conv_bias_D = nn.Parameter(torch.empty(inner).uniform_(-bound, bound))
        self.x_proj = nn.Linear(inner, self.rank + 2 * state_dim, bias=False)
        self.dt_proj = None if scalar_delta else nn.Linear(self.rank, inner)
        if self.dt_proj is not None:
            nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
            step_D = torch.empty(inner).uniform_(math.log(DELTA_MIN), math.log(DELTA_MAX)).exp()
            with torch.no_grad():  # softplus(bias) = step
                self.dt_proj.bias.copy_(step_D + torch.log(-torch.expm1(-step_D)))
        self.A_log_DN = nn.Parameter(torch.arange(1, state_dim + 1, dtype=torch.float32).log().repeat(inner, 1))
        self.D_D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def multiply_adds_per_event(self) -> int:
        """Of convolution and scan, which no matrix product accounts for: K, 4 N and 3 a channel."""
        return len(self.D_D) * (self.conv_DK.shape[1] + 4 * self.state_dim + 3)

    def begin(self) -> Carried:
        """What it carries from event to event, before the first."""
        widen_DR, step_bias_D = torch.ones_like(self.D_D).unsqueeze(1), torch.zeros_like(self.D_D)
        if self.dt_proj is not None:
            widen_DR, step_bias_D = self.dt_proj.weight, self.dt_proj.bias
        conv, scan = (self.conv_DK, self.conv_bias_D), (-self.A_log_DN.exp(), self.D_D)
        step = self.x_proj.weight, widen_DR, step_bias_D
        return Carried.begin(Block(self.in_proj.weight, *conv, *step, *scan, self.out_proj.weight))

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, carried: Carried | None = None) -> Tensor:
        """Tokens (T, dim) of packed sequences; with `carried` the next ones of one sequence."""
        if carried is not None and carried.takes(x_TD):
            return carried.token(x_TD)
        # Two products instead of one cut in half: each result is contiguous, as the kernels want it.
        u_TD, z_TD = (F.linear(x_TD, weight) for weight in self.in_proj.weight.chunk(2))
        if carried is None:
            assert cu_seqlens is not None
            u_TD = causal_conv1d(u_TD, self.conv_DK, self.conv_bias_D, cu_seqlens, silu=True)
        else:
            u_TD = carried.convolve(u_TD)
        delta, B_TN, C_TN = self.x_proj(u_TD).split([self.rank, self.state_dim, self.state_dim], dim=1)
        if self.dt_proj is not None:
            # Not as a linear layer: with so few inputs, the gradient of its weight takes MKL ten times longer.
            delta = torch.addmm(self.dt_proj.bias, delta, self.dt_proj.weight.t().contiguous())
        if carried is not None:
            return self.out_proj(carried.scan(u_TD, delta, B_TN, C_TN, z_TD))
        A_DN = -self.A_log_DN.exp()
        y_TD = selective_scan(u_TD, delta, A_DN, B_TN, C_TN, self.D_D, z_TD, delta_softplus=True, cu_seqlens=cu_seqlens)
        return self.out_proj(y_TD)


class MambaLayer(nn.Module):
    """x + Mamba(LayerNorm(x)), then x + FFN(LayerNorm(x)) where asked for; dropout on each branch.

    Branches start at zero (as SkipInit, De & Smith 2020, arXiv:2002.10444): the model begins with the events themselves
    and adds context as far as it helps, instead of learning to see through the noise of a random branch.
    """

    def __init__(self, config: Mamba4RecConfig):
        super().__init__()
        dim = config.hidden_dim
        self.norm = nn.LayerNorm(dim)
        self.mamba = Mamba(dim, config.state_dim, config.conv_width, config.expand, config.dt_rank == "scalar")
        nn.init.zeros_(self.mamba.out_proj.weight)
        self.dropout = Dropout(config.dropout)
        self.ffn = None
        if config.ffn:
            last = nn.Linear(4 * dim, dim)
            nn.init.zeros_(last.weight)
            self.ffn = nn.Sequential(
                nn.LayerNorm(dim),
                nn.Linear(dim, 4 * dim),
                nn.GELU(),
                Dropout(config.dropout),
                last,
                Dropout(config.dropout),
            )

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, carried: Carried | None = None) -> Tensor:
        x_TD = x_TD + self.dropout(self.mamba(self.norm(x_TD), cu_seqlens, carried))
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


class Mamba4RecEncoder(HistoryEncoder):
    """Events → Linear → Mamba layers → LayerNorm → pooling by mean, last event, or target.

    Between Linear and layers vectors are normalised (LayerNorm without weights), else the branches, which are of unit
    scale, would drown the small embeddings.

    Pooling by target puts three things side by side: ⟨what the last output predicts next, target⟩ dimension by
    dimension, which is Mamba4Rec's own next-item score before its sum; and two summaries as narrow as a context field,
    of the target's attention over the outputs and of the last output. The summaries are narrow on purpose: a history is
    nearly an id of its row, and a wide vector of it is learned by heart.

    An empty history has the final LayerNorm of zero, which is its bias, for last output or mean, and the attention's
    vector for "nothing there": learned in all cases, without a special parameter.
    """

    def __init__(self, config: Mamba4RecConfig, features: FeatureSpec):
        by_target = config.pooling == "target"
        dim, narrow, widths = config.hidden_dim, config.static_dim, event_widths(config, features)
        pooled_dim = sum(widths) + 2 * narrow if by_target else dim
        super().__init__(config, features, config.target_aware, pooled_dim)
        self.project = nn.Sequential(nn.Linear(self.event_dim, dim), nn.LayerNorm(dim, elementwise_affine=False))
        self.layers = nn.ModuleList(MambaLayer(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(dim)
        self.by_target = by_target
        self.pool_events = segment_mean if config.pooling == "mean" else segment_last
        self.pool_slices = slice_mean if config.pooling == "mean" else slice_last
        if by_target:
            self.predict_next = nn.Linear(dim, self.event_dim)
            self.attention = TargetAttention(len(widths), self.event_dim, dim)
            self.summarise_attended = nn.Linear(dim, narrow)
            self.summarise_last = nn.Linear(dim, narrow)

    def encode(self, event_TE: Tensor, cu_seqlens: Tensor | None, carried: Sequence[Carried] = ()) -> Tensor:
        """The outputs (T, D) at events (T, event_dim), of packed sequences or with what each layer carries."""
        x_TD = self.project(event_TE)
        for layer, own in zip_longest(self.layers, carried):
            x_TD = layer(x_TD, cu_seqlens, own)
        return self.norm(x_TD)

    def begin(self) -> list[Carried]:
        layers: Any = self.layers
        return [layer.mamba.begin() for layer in layers]

    def read(self, history: dict[str, Tensor], state: list[Carried]) -> Tensor:
        return self.encode(self.embed(history), None, state)

    def pool(self, event_TE: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        if batch.kept is not None:
            return self.pool_kept(batch.kept, target_BE, len(batch))
        x_TD = self.encode(event_TE, batch.cu_seqlens)
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
