"""Behavior Sequence Transformer (Chen et al. 2019, arXiv:1905.06874)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, Preset, divides
from mdaf_core.models.history import SequenceConfig


class BSTConfig(SequenceConfig):
    """BST (Chen et al. 2019, arXiv:1905.06874): the target joins its history in a Transformer encoder."""

    encoder = "BSTEncoder"

    kind: Literal["bst"] = "bst"
    blocks: int = Field(1, ge=1, le=8, description="Transformer blocks.")
    heads: int = Field(4, ge=1, le=16, description="Attention heads.")
    positions: int = Field(
        50,
        ge=1,
        le=10_000,
        description="Distances to the target with a vector of their own; older events share the last.",
    )

    @property
    def lacks_state(self) -> str:
        return "puts the target into the sequence, so that every candidate needs all events encoded anew"

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "hidden_dim", self.hidden_dim)
        return self


PRESETS = (Preset("bst", "Behavior Sequence Transformer", BSTConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.history import HistoryEncoder
from mdaf_core.models.layers import append_token
from mdaf_core.ops.dropout import Dropout
from mdaf_core.ops.segments import lengths, positions, segment_ids


class TransformerBlock(nn.Module):
    """s = LayerNorm(x + MHA(x)), y = LayerNorm(s + FFN(s)) with LeakyReLU (the paper's equations 3 to 6).

    Projections and feed-forward run on the packed tokens; only keys and values (and queries) are padded, to the
    longest sequence of the batch.
    """

    def __init__(self, dim: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, 4 * dim), nn.LeakyReLU(), nn.Linear(4 * dim, dim))
        self.ffn_norm = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor, last_only: bool) -> Tensor:
        """Every token (T, D); with `last_only` the last one of each (never empty) sequence, (B, D)."""
        length_B = lengths(cu_seqlens)
        rows, longest = len(length_B), int(length_B.max())
        slot_T = segment_ids(cu_seqlens) * longest + positions(cu_seqlens)

        def pad(tokens_TK: Tensor) -> Tensor:
            flat = tokens_TK.new_zeros(rows * longest, tokens_TK.shape[1]).index_copy(0, slot_T, tokens_TK)
            return flat.view(rows, longest, self.heads, -1).transpose(1, 2)

        x = x_TD[cu_seqlens[1:].long() - 1] if last_only else x_TD
        q = self.query(x)
        q_BHQK = q.view(rows, 1, self.heads, -1).transpose(1, 2) if last_only else pad(q)
        k_TD, v_TD = self.key_value(x_TD).chunk(2, dim=1)
        real_B11L = (torch.arange(longest, device=x_TD.device) < length_B.unsqueeze(1)).view(rows, 1, 1, longest)
        mixed_BHQK = F.scaled_dot_product_attention(q_BHQK, pad(k_TD), pad(v_TD), attn_mask=real_B11L)
        mixed = mixed_BHQK.transpose(1, 2).reshape(-1, x.shape[1])
        if not last_only:
            mixed = mixed[slot_T]
        x = self.attention_norm(x + self.dropout(self.out(mixed)))
        return self.ffn_norm(x + self.dropout(self.ffn(x)))


class BSTEncoder(HistoryEncoder):
    """The target joins its history at the end; the Transformer's output at the target is the pooled vector.

    Positions count backwards from the target (0), so that the newest event is always at 1 whatever the history's
    length. Since only the target's output is read, the last block computes only that.
    """

    def __init__(self, config: BSTConfig, features: FeatureSpec):
        super().__init__(config, features, target_aware=True, pooled_dim=config.hidden_dim)
        self.project = nn.Linear(self.event_dim, config.hidden_dim)
        self.position_PD = nn.Parameter(torch.empty(config.positions + 1, config.hidden_dim).normal_(0.0, 0.02))
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.hidden_dim, config.heads, config.dropout) for _ in range(config.blocks)
        )

    def pool(self, event_TE: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        assert target_BE is not None
        token_TE, cu_seqlens = append_token(event_TE, target_BE, batch.cu_seqlens)
        end_T = torch.repeat_interleave(lengths(cu_seqlens), lengths(cu_seqlens))
        distance_T = (end_T - 1 - positions(cu_seqlens)).clamp(max=len(self.position_PD) - 1)
        x_TD = self.norm(self.project(token_TE) + self.position_PD[distance_T])
        for i, block in enumerate(self.blocks):
            x_TD = block(x_TD, cu_seqlens, last_only=i == len(self.blocks) - 1)
        return x_TD
