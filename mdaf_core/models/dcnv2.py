"""DCN V2: explicit feature crosses (Wang et al. 2021, arXiv:2008.13535)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset


class DCNv2Config(ModelSettings):
    """DCN V2 (Wang et al. 2021, arXiv:2008.13535): explicit feature crosses with full or low-rank matrices."""

    network = "DCNv2"
    reads_history = False

    kind: Literal["dcnv2"] = "dcnv2"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    cross_layers: int = Field(3, ge=1, le=8, description="Cross layers.")
    structure: Literal["parallel", "stacked"] = Field("parallel", description="Crosses beside or before the DNN.")
    low_rank: int = Field(0, ge=0, le=1024, description="Rank of the cross matrices; 0 for full.")
    experts: int = Field(4, ge=1, le=16, description="Experts of the low-rank mixture.")
    hidden_units: HiddenUnits = Field([256, 128, 64], description="DNN tower; empty for none.")
    dropout: DropoutRate = 0.3


PRESETS = (Preset("dcnv2", "DCNv2", DCNv2Config(), RARE_IDS),)


import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields
from mdaf_core.ops.crosses import crosses
from mdaf_core.ops.kernels import multiplies


class CrossLayer(nn.Module):
    """x' = x0 ⊙ (W x + b) + x (the paper's equation 1)."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, x0_BD: Tensor, x_BD: Tensor) -> Tensor:
        return torch.addcmul(x_BD, x0_BD, self.linear(x_BD))


class LowRankCrossLayer(nn.Module):
    """x' = Σ_i p_i · x0 ⊙ (U_i tanh(C_i tanh(V_iᵀ x)) + b) + x with p = softmax(W_g x) (the paper's section 3.3)."""

    def __init__(self, dim: int, rank: int, experts: int):
        super().__init__()
        self.V_EDR = nn.Parameter(torch.empty(experts, dim, rank))
        self.C_ERR = nn.Parameter(torch.empty(experts, rank, rank))
        self.U_ERD = nn.Parameter(torch.empty(experts, rank, dim))
        self.bias_D = nn.Parameter(torch.zeros(dim))
        self.gate = nn.Linear(dim, experts, bias=False)
        for stack in (self.V_EDR, self.C_ERR, self.U_ERD):
            for matrix in stack:
                nn.init.xavier_normal_(matrix)

    def forward(self, x0_BD: Tensor, x_BD: Tensor) -> Tensor:
        inner_EBR = torch.tanh(torch.tanh(x_BD @ self.V_EDR) @ self.C_ERR)
        cross_EBD = x0_BD * (inner_EBR @ self.U_ERD + self.bias_D)
        share_EB1 = torch.softmax(self.gate(x_BD), dim=1).T.unsqueeze(-1)
        return (share_EB1 * cross_EBD).sum(dim=0) + x_BD


class DCNv2(CTRModel):
    """Cross layers before (stacked) or beside (parallel) a DNN, then one linear layer to the logit."""

    def __init__(self, config: DCNv2Config, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        dim = self.fields.count * config.embedding_dim
        self.crosses = nn.ModuleList(
            LowRankCrossLayer(dim, config.low_rank, config.experts) if config.low_rank else CrossLayer(dim)
            for _ in range(config.cross_layers)
        )
        self.tower = MLP(dim, config.hidden_units, config.dropout)
        self.parallel = config.structure == "parallel" and bool(config.hidden_units)
        self.out = nn.Linear(self.tower.out_dim + (dim if self.parallel else 0), 1)

    def cross(self, x0_BD: Tensor) -> Tensor:
        """All cross layers."""
        layers = [layer.linear for layer in self.crosses if isinstance(layer, CrossLayer)]
        if layers and multiplies(x0_BD):
            return crosses(x0_BD, [layer.weight for layer in layers], [layer.bias for layer in layers])
        x_BD = x0_BD
        for layer in self.crosses:
            x_BD = layer(x0_BD, x_BD)
        return x_BD

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x0_BD = self.fields(batch.categorical_BF, batch.numeric_BG).flatten(1)
        x_BD = self.cross(x0_BD)
        vector = torch.cat([x_BD, self.tower(x0_BD)], dim=1) if self.parallel else self.tower(x_BD)
        return Output(self.out(vector).squeeze(1))
