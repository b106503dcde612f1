"""HSTU: attention whose weights stand each by itself (Zhai et al. 2024, arXiv:2402.17152)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, Preset
from mdaf_core.models.layered import LayeredConfig


class HSTUConfig(LayeredConfig):
    """HSTU (Zhai et al. 2024, arXiv:2402.17152): pointwise aggregated attention over the history, with gates."""

    encoder = "HSTUEncoder"

    kind: Literal["hstu"] = "hstu"
    heads: int = Field(2, ge=1, le=16, description="Attention heads.")
    attention_dim: int = Field(91, ge=1, le=1024, description="Width of queries and keys of a head.")
    linear_dim: int = Field(91, ge=1, le=1024, description="Width of values and gates of a head.")
    positions: int = Field(
        50, ge=1, le=10_000, description="Distances between events that are told apart; farther ones share the last."
    )
    time_aware: bool = Field(True, description="The time between two events adds to their score.")


PRESETS = (Preset("hstu", "HSTU: pointwise aggregated attention over the history", HSTUConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.ops.packed_attention import TIME_BUCKETS, Read, Weighing, packed_attention

COUNT = 50.0
"""What weights are divided by: any fixed number, for the norm behind takes it out again."""
EPSILON = 1e-6


class PointwiseAttention(Mixer):
    """u, v, q, k = silu(in_proj(x)); a_i = Σ_j≤i silu(⟨q_i, k_j⟩ + p[i − j] + r[time between]) v_j / n;
    out_proj(u ⊙ LayerNorm(a)) (the paper's equations 1 to 3). The norm has no weights."""

    def __init__(self, dim: int, config: HSTUConfig):
        super().__init__()
        self.heads, self.key_dim, self.value_dim = config.heads, config.attention_dim, config.linear_dim
        self.weighing = Weighing(1.0, COUNT)
        self.in_proj = nn.Linear(dim, 2 * self.heads * (self.value_dim + self.key_dim), bias=False)
        self.position_P = nn.Parameter(torch.empty(config.positions).normal_(0.0, 0.02))
        self.time_U = nn.Parameter(torch.empty(TIME_BUCKETS).normal_(0.0, 0.02)) if config.time_aware else None
        self.out_proj = nn.Linear(self.heads * self.value_dim, dim)

    def begin(self) -> Read:
        return Read.begin(self.out_proj.weight, self.heads, self.key_dim, self.value_dim)

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: Read | None = None) -> Tensor:
        value, key = self.heads * self.value_dim, self.heads * self.key_dim
        parts = F.silu(self.in_proj(x_TD)).split([value, value, key, key], dim=1)
        u_TV = parts[0]
        v, q, k = (part.unflatten(1, (self.heads, -1)) for part in parts[1:])
        position_HP = self.position_P.expand(self.heads, -1)
        if carried is not None:
            mixed_THV = carried.attend(q, k, v, self.weighing, position_HP, self.time_U, gap_T)
        else:
            assert cu_seqlens is not None
            mixed_THV = packed_attention(q, k, v, cu_seqlens, self.weighing, position_HP, self.time_U, gap_T)
        return self.out_proj(u_TV * F.layer_norm(mixed_THV.flatten(1), (value,), eps=EPSILON))


class HSTUEncoder(LayeredEncoder):
    """Layers of HSTU, see `layered`."""

    def layer(self, config: HSTUConfig, index: int) -> Layer:
        return Layer(PointwiseAttention(config.hidden_dim, config), config.hidden_dim, 0, config.dropout)
