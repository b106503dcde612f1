"""FinalMLP: two DNNs, each on its own selection of features, fused bilinearly (Mao et al. 2023, arXiv:2304.00902)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset, divides


class FinalMLPConfig(ModelSettings):
    """FinalMLP (Mao et al. 2023, arXiv:2304.00902): two DNNs on gated features, fused by a bilinear form."""

    network = "FinalMLP"
    reads_history = False

    kind: Literal["finalmlp"] = "finalmlp"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    hidden_units: HiddenUnits = Field([256, 128, 64], min_length=1, description="DNN of the first stream.")
    second_hidden_units: HiddenUnits = Field([128, 64], min_length=1, description="DNN of the second stream.")
    selection: Literal["learned", "item", "none"] = Field(
        "learned",
        description="What each stream's gate sees: a learned vector; all but the item, and the item; no gates.",
    )
    gate_hidden: int = Field(64, ge=1, le=2048, description="Hidden units of a gate.")
    heads: int = Field(1, ge=1, le=64, description="Sub-spaces in which the streams are multiplied.")
    dropout: DropoutRate = 0.3

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "the last of hidden_units", self.hidden_units[-1])
        divides("heads", self.heads, "the last of second_hidden_units", self.second_hidden_units[-1])
        return self


PRESETS = (Preset("finalmlp", "FinalMLP", FinalMLPConfig(), RARE_IDS),)


from dataclasses import replace

import torch
from torch import Tensor, nn

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields


class FeatureGate(nn.Module):
    """2 σ(MLP(context)), a number each for all dimensions of the embeddings (stream-specific feature selection).

    Args:
        context: the fields the gate sees, with tables of their own; None: a learned vector.
    """

    def __init__(self, context: FieldVectors | None, dim: int, hidden: int, out_dim: int):
        super().__init__()
        self.context = context
        self.learned_D = None if context else nn.Parameter(torch.zeros(dim))
        self.tower = MLP(dim * (context.count if context else 1), [hidden], 0.0)
        self.out = nn.Linear(hidden, out_dim)

    def forward(self, batch: Batch) -> Tensor:
        """(B, out_dim), or (1, out_dim) of a learned vector."""
        if self.context is None:
            assert self.learned_D is not None
            vector = torch.stack([self.learned_D])
        else:
            vector = self.context(batch.categorical_BF, batch.numeric_BG).flatten(1)
        return 2 * torch.sigmoid(self.out(self.tower(vector)))


class BilinearFusion(nn.Module):
    """b + w₁ᵀ x + w₂ᵀ y + Σ_h x_hᵀ W_h y_h, x and y cut into equal parts, one a head (multi-head bilinear fusion)."""

    def __init__(self, first: int, second: int, heads: int):
        super().__init__()
        self.heads = heads
        self.linear = nn.Linear(first + second, 1)
        self.W_HXY = nn.Parameter(torch.empty(heads, first // heads, second // heads))
        for matrix in self.W_HXY:
            nn.init.xavier_normal_(matrix)

    def forward(self, x_BX: Tensor, y_BY: Tensor) -> Tensor:
        """Logits (B,)."""
        x_HBX = x_BX.unflatten(1, (self.heads, -1)).transpose(0, 1)
        y_HBY = y_BY.unflatten(1, (self.heads, -1)).transpose(0, 1)
        product_B = (torch.bmm(x_HBX, self.W_HXY) * y_HBY).sum(dim=(0, 2))
        return self.linear(torch.cat([x_BX, y_BY], dim=1)).squeeze(1) + product_B


class FinalMLP(CTRModel):
    """logit = fusion(DNN₁(gate₁ ⊙ v), DNN₂(gate₂ ⊙ v)) over the embeddings v of all fields."""

    def __init__(self, config: FinalMLPConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        dim = self.fields.count * config.embedding_dim
        contexts = _contexts(config, features) if config.selection == "item" else (None, None)
        gates = () if config.selection == "none" else contexts
        self.gates = nn.ModuleList(FeatureGate(c, config.embedding_dim, config.gate_hidden, dim) for c in gates)
        streams = (config.hidden_units, config.second_hidden_units)
        self.towers = nn.ModuleList(MLP(dim, units, config.dropout) for units in streams)
        self.fusion = BilinearFusion(config.hidden_units[-1], config.second_hidden_units[-1], config.heads)

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x_BD = self.fields(batch.categorical_BF, batch.numeric_BG).flatten(1)
        inputs = [x_BD * gate(batch) for gate in self.gates] or [x_BD, x_BD]
        return Output(self.fusion(*(tower(x) for tower, x in zip(self.towers, inputs, strict=True))))


def _contexts(config: FinalMLPConfig, features: FeatureSpec) -> tuple[FieldVectors, FieldVectors]:
    """What the gates see with `selection=item`: all other fields, and the item's."""
    of_item = [name for name in (features.item, features.category) if name]
    others = [name for name in features.categorical if name not in of_item]
    if not of_item or not (others or features.numeric):
        raise StudioError(
            "selection=item needs a field with the role item or category, and another field; these data have "
            f"{', '.join(features.categorical) or 'no ids'}. Set model.selection to learned or none."
        )
    first = FieldVectors(features, config.embedding_dim, 0.01, others)
    return first, FieldVectors(replace(features, numeric=()), config.embedding_dim, 0.01, of_item)
