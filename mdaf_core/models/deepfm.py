"""DeepFM: a factorization machine beside a DNN (Guo et al. 2017, arXiv:1703.04247)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset


class DeepFMConfig(ModelSettings):
    """DeepFM (Guo et al. 2017, arXiv:1703.04247): a factorization machine and a DNN that share embeddings."""

    network = "DeepFM"
    reads_history = False

    kind: Literal["deepfm"] = "deepfm"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    hidden_units: HiddenUnits = Field([256, 128, 64], description="DNN; empty for the factorization machine alone.")
    dropout: DropoutRate = 0.3


PRESETS = (Preset("deepfm", "DeepFM", DeepFMConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields


def pair_products(x_BFD: Tensor) -> Tensor:
    """Σ_{i<j} ⟨x_i, x_j⟩ over the fields, (B,): half of (Σ x)² − Σ x² (Rendle 2010, Factorization Machines)."""
    return 0.5 * (x_BFD.sum(dim=1).square() - x_BFD.square().sum(dim=1)).sum(dim=1)


class DeepFM(CTRModel):
    """logit = b + Σ_f w_f + Σ_{i<j} ⟨v_i, v_j⟩ + DNN(v), both on the same embeddings v."""

    def __init__(self, config: DeepFMConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.weights = FieldVectors(features, dim=1, std=0.0)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        self.tower = MLP(self.fields.count * config.embedding_dim, config.hidden_units, config.dropout)
        self.out = nn.Linear(self.tower.out_dim, 1, bias=False) if config.hidden_units else None
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        first_B = self.weights(batch.categorical_BF, batch.numeric_BG).sum(dim=(1, 2))
        x_BFD = self.fields(batch.categorical_BF, batch.numeric_BG)
        logit_B = self.bias + first_B + pair_products(x_BFD)
        if self.out is not None:
            logit_B = logit_B + self.out(self.tower(x_BFD.flatten(1))).squeeze(1)
        return Output(logit_B)
