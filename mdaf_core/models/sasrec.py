"""Causal self-attention over the history (SASRec, Kang & McAuley 2018, arXiv:1808.09781)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, Preset, divides
from mdaf_core.models.layered import LayeredConfig


class SASRecConfig(LayeredConfig):
    """SASRec (Kang & McAuley 2018, arXiv:1808.09781): causal self-attention over the history."""

    encoder = "SASRecEncoder"

    kind: Literal["sasrec"] = "sasrec"
    heads: int = Field(2, ge=1, le=16, description="Attention heads.")
    ffn_dim: int = Field(192, ge=0, le=4096, description="Width of the feed-forward part; 0: none.")
    positions: int = Field(
        50, ge=1, le=10_000, description="Distances between events that are told apart; farther ones share the last."
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "hidden_dim", self.hidden_dim)
        return self


PRESETS = (Preset("sasrec", "SASRec: causal self-attention over the history", SASRecConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.ops.packed_attention import Read, Weighing, packed_attention, scale_of


class SelfAttention(Mixer):
    """softmax(⟨q_i, k_j⟩ / √d + p[i − j]) over the events j ≤ i, by heads, then out_proj.

    p is learned by head and distance: an output may depend on how far events are apart, but not on where the row that
    reads it is.
    """

    def __init__(self, dim: int, heads: int, positions: int):
        super().__init__()
        self.heads = heads
        self.weighing = Weighing(scale_of(dim // heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.position_HP = nn.Parameter(torch.empty(heads, positions).normal_(0.0, 0.02))
        self.out_proj = nn.Linear(dim, dim)

    def begin(self) -> Read:
        width = self.out_proj.in_features // self.heads
        return Read.begin(self.out_proj.weight, self.heads, width, width)

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: Read | None = None) -> Tensor:
        q, k, v = (part.unflatten(1, (self.heads, -1)) for part in self.qkv(x_TD).chunk(3, dim=1))
        if carried is not None:
            mixed_THV = carried.attend(q, k, v, self.weighing, self.position_HP, None, gap_T)
        else:
            assert cu_seqlens is not None
            mixed_THV = packed_attention(q, k, v, cu_seqlens, self.weighing, self.position_HP)
        return self.out_proj(mixed_THV.flatten(1))


class SASRecEncoder(LayeredEncoder):
    """Layers of causal self-attention, see `layered`."""

    def layer(self, config: SASRecConfig, index: int) -> Layer:
        mixer = SelfAttention(config.hidden_dim, config.heads, config.positions)
        return Layer(mixer, config.hidden_dim, config.ffn_dim, config.dropout)
