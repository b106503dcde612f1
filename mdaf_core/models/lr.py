"""Logistic regression: the plain baseline on the same fields."""

from __future__ import annotations

import torch
from torch import nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.config import LRConfig
from mdaf_core.models.layers import FieldVectors, require_fields


class LogisticRegression(CTRModel):
    """logit = b + Σ_f w_f[id] + Σ_g w_g · value, one weight an id; all weights start at zero."""

    def __init__(self, config: LRConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.weights = FieldVectors(features, dim=1, std=0.0)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        return Output(self.bias + self.weights(batch.categorical_BF, batch.numeric_BG).sum(dim=(1, 2)))
