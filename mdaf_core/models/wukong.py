"""Wukong: stacked factorization machines over tokens (Zhang et al. 2024, arXiv:2403.02545)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset


class WukongConfig(ModelSettings):
    """Wukong (Zhang et al. 2024, arXiv:2403.02545): layers of factorization machines that mix tokens."""

    network = "Wukong"
    reads_history = False

    kind: Literal["wukong"] = "wukong"
    embedding_dim: int = Field(16, ge=2, le=512, description="Width of each field's embedding and of each token.")
    layers: int = Field(2, ge=1, le=16, description="Interaction layers.")
    fm_tokens: int = Field(8, ge=1, le=256, description="Tokens a layer makes of products of tokens.")
    linear_tokens: int = Field(8, ge=1, le=256, description="Tokens a layer makes of sums of tokens.")
    rank: int = Field(8, ge=1, le=256, description="Columns to which the matrix of all products is projected.")
    fm_hidden_units: HiddenUnits = Field([128], description="Hidden layers between products and tokens.")
    hidden_units: HiddenUnits = Field([128, 64], description="DNN on top of all tokens.")
    dropout: DropoutRate = 0.5


# Dropout 0.5 rather than 0.3 by validation AUC on MovieLens-100K (docs/results.md).
PRESETS = (Preset("wukong", "Wukong", WukongConfig(), RARE_IDS),)


import math

import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields


class FactorizationBlock(nn.Module):
    """MLP(LayerNorm(X Xᵀ Y)) as tokens, Y (N, rank) learned: Xᵀ Y is formed first, so that N² products never are
    (factorization machine block, with the optimised FM)."""

    def __init__(self, tokens: int, dim: int, config: WukongConfig):
        super().__init__()
        self.project_NK = nn.Parameter(torch.randn(tokens, config.rank) / math.sqrt(tokens))
        self.norm = nn.LayerNorm(tokens * config.rank)
        self.tower = MLP(tokens * config.rank, config.fm_hidden_units, config.dropout)
        self.out = nn.Linear(self.tower.out_dim, config.fm_tokens * dim)
        self.tokens = config.fm_tokens

    def forward(self, x_BND: Tensor) -> Tensor:
        """Tokens (B, fm_tokens, D)."""
        products_BNK = x_BND @ (x_BND.transpose(1, 2) @ self.project_NK)
        return self.out(self.tower(self.norm(products_BNK.flatten(1)))).unflatten(1, (self.tokens, -1))


class InteractionLayer(nn.Module):
    """X' = LayerNorm([FMB(X) ‖ W X] + X), X through a linear map where the number of tokens changes."""

    def __init__(self, tokens: int, dim: int, config: WukongConfig):
        super().__init__()
        out = config.fm_tokens + config.linear_tokens
        self.products = FactorizationBlock(tokens, dim, config)
        self.sums = nn.Linear(tokens, config.linear_tokens, bias=False)
        self.residual = nn.Linear(tokens, out, bias=False) if tokens != out else nn.Identity()
        self.norm = nn.LayerNorm(dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BDN = x_BND.transpose(1, 2)
        mixed_BMD = torch.cat([self.products(x_BND), self.sums(x_BDN).transpose(1, 2)], dim=1)
        return self.norm(mixed_BMD + self.residual(x_BDN).transpose(1, 2))


class Wukong(CTRModel):
    """Fields are the first tokens; a DNN on the last layer's gives the logit."""

    def __init__(self, config: WukongConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        tokens = config.fm_tokens + config.linear_tokens
        counts = [self.fields.count] + [tokens] * (config.layers - 1)
        self.layers = nn.Sequential(*(InteractionLayer(count, config.embedding_dim, config) for count in counts))
        self.tower = MLP(tokens * config.embedding_dim, config.hidden_units, config.dropout)
        self.out = nn.Linear(self.tower.out_dim, 1)

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x_BND = self.layers(self.fields(batch.categorical_BF, batch.numeric_BG))
        return Output(self.out(self.tower(x_BND.flatten(1))).squeeze(1))
