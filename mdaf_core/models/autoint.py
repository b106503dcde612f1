"""AutoInt: self-attention over field embeddings (Song et al. 2019, arXiv:1810.11921)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import DropoutRate, HiddenUnits, ModelSettings, Preset, divides


class AutoIntConfig(ModelSettings):
    """AutoInt (Song et al. 2019, arXiv:1810.11921): self-attention over field embeddings."""

    network = "AutoInt"
    reads_history = False

    kind: Literal["autoint"] = "autoint"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    layers: int = Field(3, ge=1, le=8, description="Attention layers.")
    heads: int = Field(2, ge=1, le=16, description="Attention heads.")
    attention_dim: int = Field(32, ge=1, le=512, description="Width of an attention layer, all heads together.")
    hidden_units: HiddenUnits = Field([256, 128], description="DNN tower beside the attention; empty for none.")
    dropout: DropoutRate = 0.3

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "attention_dim", self.attention_dim)
        return self


# It meets fields only in inner products of their vectors, which too strong a penalty silences (by validation AUC).
PRESETS = (Preset("autoint", "AutoInt", AutoIntConfig(), {"embedding_decay": 5e-4}),)


from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields
from mdaf_core.ops.field_attention import field_attention


class InteractingLayer(nn.Module):
    """Fields attend to fields (the paper's section 4.4): y = ReLU(softmax(QKᵀ)V, heads side by side, + W_res x).

    Scores are plain inner products, as in the paper's equation 5.
    """

    def __init__(self, in_dim: int, out_dim: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(in_dim, 3 * out_dim, bias=False)
        self.residual = nn.Linear(in_dim, out_dim, bias=False)

    def forward(self, x_BFD: Tensor) -> Tensor:
        mixed_BFD = field_attention(self.qkv(x_BFD), self.heads, self.dropout if self.training else 0.0)
        return F.relu(mixed_BFD + self.residual(x_BFD))


class AutoInt(CTRModel):
    """Interacting layers over the fields, flattened to a logit; beside it a DNN on the embeddings where asked for."""

    def __init__(self, config: AutoIntConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        widths = [config.embedding_dim] + [config.attention_dim] * config.layers
        self.attention = nn.Sequential(
            *(InteractingLayer(a, b, config.heads, config.dropout) for a, b in pairwise(widths))
        )
        self.tower = MLP(self.fields.count * config.embedding_dim, config.hidden_units, config.dropout)
        self.has_tower = bool(config.hidden_units)
        tower_dim = self.tower.out_dim if self.has_tower else 0
        self.out = nn.Linear(self.fields.count * config.attention_dim + tower_dim, 1)

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x_BFD = self.fields(batch.categorical_BF, batch.numeric_BG)
        vectors = [self.attention(x_BFD).flatten(1)]
        if self.has_tower:
            vectors.append(self.tower(x_BFD.flatten(1)))
        return Output(self.out(torch.cat(vectors, dim=1)).squeeze(1))
