"""Logistic regression: the plain baseline on the same fields."""

from __future__ import annotations

from typing import Literal

from mdaf_core.models.base import ModelSettings, Preset


class LRConfig(ModelSettings):
    """Logistic regression on the same fields: one weight an id, one a numeric field."""

    network = "LogisticRegression"
    reads_history = False

    kind: Literal["lr"] = "lr"


# One weight an id learns more slowly than a vector an id, and a penalty that suits vectors flattens it: by the
# validation AUC on MovieLens-100K (docs/results.md). A baseline is worth what it can reach.
_RECIPE = {"learning_rate": 1e-2, "min_learning_rate": 1e-3, "weight_decay": 1e-6}
PRESETS = (Preset("lr", "Logistic regression", LRConfig(), _RECIPE),)


import torch
from torch import nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
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
