"""xDeepFM: a compressed interaction network beside a DNN (Lian et al. 2018, arXiv:1803.05170)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset


class XDeepFMConfig(ModelSettings):
    """xDeepFM (Lian et al. 2018, arXiv:1803.05170): crosses of whole vectors (CIN), a linear part and a DNN."""

    network = "XDeepFM"
    reads_history = False

    kind: Literal["xdeepfm"] = "xdeepfm"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    cin_layers: int = Field(2, ge=1, le=8, description="Layers of the compressed interaction network.")
    cin_maps: int = Field(32, ge=1, le=1024, description="Feature maps (vectors) of each of its layers.")
    hidden_units: HiddenUnits = Field([256, 128, 64], description="DNN beside it; empty for none.")
    dropout: DropoutRate = 0.3


PRESETS = (Preset("xdeepfm", "xDeepFM", XDeepFMConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields


class CompressedInteraction(nn.Module):
    """X^k_h = Σ_ij W^{k,h}_ij (X^{k−1}_i ⊙ X^0_j); each map's sum over the embedding is an output.

    Without activation between layers, as the paper found best, and without bias.

    Attributes:
        out_dim: maps of all layers.
    """

    def __init__(self, fields: int, maps: int, layers: int):
        super().__init__()
        sources = [fields] + [maps] * (layers - 1)
        self.maps = nn.ModuleList(nn.Linear(source * fields, maps, bias=False) for source in sources)
        self.out_dim = maps * layers

    def forward(self, x_BFD: Tensor) -> Tensor:
        """Sums of the maps, (B, out_dim)."""
        x0_BDF = x_BFD.transpose(1, 2)
        x_BDH, sums = x0_BDF, []
        for compress in self.maps:
            pairs_BDP = (x_BDH.unsqueeze(-1) * x0_BDF.unsqueeze(-2)).flatten(2)
            x_BDH = compress(pairs_BDP)
            sums.append(x_BDH.sum(dim=1))
        return torch.cat(sums, dim=1)


class XDeepFM(CTRModel):
    """logit = b + Σ_f w_f + w_CINᵀ CIN(v) + DNN(v)."""

    def __init__(self, config: XDeepFMConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.weights = FieldVectors(features, dim=1, std=0.0)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        self.cin = CompressedInteraction(self.fields.count, config.cin_maps, config.cin_layers)
        self.tower = MLP(self.fields.count * config.embedding_dim, config.hidden_units, config.dropout)
        self.has_tower = bool(config.hidden_units)
        self.out = nn.Linear(self.cin.out_dim + (self.tower.out_dim if self.has_tower else 0), 1)

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        first_B = self.weights(batch.categorical_BF, batch.numeric_BG).sum(dim=(1, 2))
        x_BFD = self.fields(batch.categorical_BF, batch.numeric_BG)
        vectors = [self.cin(x_BFD)]
        if self.has_tower:
            vectors.append(self.tower(x_BFD.flatten(1)))
        return Output(first_B + self.out(torch.cat(vectors, dim=1)).squeeze(1))
