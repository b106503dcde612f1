"""GDCN: feature crosses that pass a gate (Wang et al. 2023, arXiv:2311.04635)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset


class GDCNConfig(ModelSettings):
    """GDCN (Wang et al. 2023, arXiv:2311.04635): a gate lets through of each cross what matters."""

    network = "GDCN"
    reads_history = False

    kind: Literal["gdcn"] = "gdcn"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    cross_layers: int = Field(3, ge=1, le=8, description="Gated cross layers.")
    structure: Literal["parallel", "stacked"] = Field(
        "parallel", description="Crosses beside (GDCN-P) or before (GDCN-S) the DNN."
    )
    hidden_units: HiddenUnits = Field([256, 128, 64], description="DNN tower; empty for the crosses alone.")
    dropout: DropoutRate = 0.3


PRESETS = (Preset("gdcn", "GDCN", GDCNConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields


class GatedCross(nn.Module):
    """x' = x0 ⊙ (W x + b) ⊙ σ(G x) + x (the paper's gated cross layer). b starts in [0, 1), as in the authors' code."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, dim, bias=False)
        nn.init.uniform_(self.linear.bias)

    def forward(self, x0_BD: Tensor, x_BD: Tensor) -> Tensor:
        return torch.addcmul(x_BD, x0_BD * self.linear(x_BD), torch.sigmoid(self.gate(x_BD)))


class GDCN(CTRModel):
    """Gated crosses before (stacked, GDCN-S) or beside (parallel, GDCN-P) a DNN, then one linear layer to the logit."""

    def __init__(self, config: GDCNConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        dim = self.fields.count * config.embedding_dim
        self.crosses = nn.ModuleList(GatedCross(dim) for _ in range(config.cross_layers))
        self.tower = MLP(dim, config.hidden_units, config.dropout)
        self.parallel = config.structure == "parallel" and bool(config.hidden_units)
        self.out = nn.Linear(self.tower.out_dim + (dim if self.parallel else 0), 1)

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x0_BD = self.fields(batch.categorical_BF, batch.numeric_BG).flatten(1)
        x_BD = x0_BD
        for cross in self.crosses:
            x_BD = cross(x0_BD, x_BD)
        vector = torch.cat([x_BD, self.tower(x0_BD)], dim=1) if self.parallel else self.tower(x_BD)
        return Output(self.out(vector).squeeze(1))
