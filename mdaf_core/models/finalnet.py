"""FinalNet: blocks of factorized interaction layers that teach each other (Zhu et al. 2023, FINAL, SIGIR)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset, divides


class FinalNetConfig(ModelSettings):
    """FinalNet (Zhu et al. 2023, doi:10.1145/3539618.3591988): layers that multiply, in blocks taught by their mean."""

    network = "FinalNet"
    reads_history = False

    kind: Literal["finalnet"] = "finalnet"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    blocks: int = Field(2, ge=1, le=2, description="Blocks; the first sees gated fields.")
    hidden_units: HiddenUnits = Field([128, 64], min_length=1, description="Factorized layers of the first block.")
    second_hidden_units: HiddenUnits = Field([128, 64], min_length=1, description="And of the second.")
    residual: Literal["sum", "concat"] = Field("sum", description="How a layer joins its linear part and its product.")
    field_gate: bool = Field(True, description="The first block also sees each field weighed by all fields.")
    batch_norm: bool = Field(True, description="Normalise each layer's outputs over the batch.")
    activation: Literal["none", "relu"] = Field("none", description="After each layer.")
    dropout: DropoutRate = 0.3

    @model_validator(mode="after")
    def _halves_fit(self) -> Self:
        if self.residual == "concat":
            for name in ("hidden_units", "second_hidden_units"):
                for units in getattr(self, name):
                    divides("2 with residual=concat", 2, f"each of {name}", units)
        return self


PRESETS = (Preset("finalnet", "FinalNet", FinalNetConfig(), RARE_IDS),)


from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import FieldVectors, require_fields
from mdaf_core.ops.dropout import Dropout


class FieldGate(nn.Module):
    """[x ‖ x ⊙ g], g_f = Σ_f' G_ff' x_f' + b_f dimension by dimension; it starts as [x ‖ x]."""

    def __init__(self, fields: int):
        super().__init__()
        self.linear = nn.Linear(fields, fields)
        nn.init.zeros_(self.linear.weight)
        nn.init.ones_(self.linear.bias)

    def forward(self, x_BFD: Tensor) -> Tensor:
        """(B, 2 F, D)."""
        gate_BFD = self.linear(x_BFD.transpose(1, 2)).transpose(1, 2)
        return torch.cat([x_BFD, x_BFD * gate_BFD], dim=1)


class FactorizedLayer(nn.Module):
    """h = W₁x + b₁ and h ⊙ (W₂x + b₂), summed or side by side: one layer multiplies pairs of its inputs, l layers
    make products of up to 2^l (the paper's factorized interaction layer with two factors)."""

    def __init__(self, in_dim: int, out_dim: int, residual: str):
        super().__init__()
        self.summed = residual == "sum"
        self.linear = nn.Linear(in_dim, 2 * out_dim if self.summed else out_dim)

    def forward(self, x_BD: Tensor) -> Tensor:
        h_BE, factor_BE = self.linear(x_BD).chunk(2, dim=1)
        product_BE = h_BE * factor_BE
        return h_BE + product_BE if self.summed else torch.cat([h_BE, product_BE], dim=1)


class BatchNorm(nn.BatchNorm1d):
    """As in torch, but a batch of one row, which has no variance, is normalised as when evaluating."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) < 2:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


class Block(nn.Module):
    """Factorized layers, each with batch norm, activation and dropout behind it, and the block's own logit."""

    def __init__(self, in_dim: int, hidden: Sequence[int], config: FinalNetConfig):
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in pairwise([in_dim, *hidden]):
            layers.append(FactorizedLayer(narrow, wide, config.residual))
            layers += [BatchNorm(wide)] if config.batch_norm else []
            layers += [nn.ReLU()] if config.activation == "relu" else []
            layers.append(Dropout(config.dropout))
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(hidden[-1], 1)

    def forward(self, x_BFD: Tensor) -> Tensor:
        """Logits (B,)."""
        return self.out(self.layers(x_BFD.flatten(1))).squeeze(1)


class FinalNet(CTRModel):
    """The logit is the mean of the blocks' logits; each block is also taught by the prediction."""

    def __init__(self, config: FinalNetConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        dim = self.fields.count * config.embedding_dim
        self.gate = FieldGate(self.fields.count) if config.field_gate else None
        self.first = Block(2 * dim if config.field_gate else dim, config.hidden_units, config)
        self.second = Block(dim, config.second_hidden_units, config) if config.blocks == 2 else None

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x_BFD = self.fields(batch.categorical_BF, batch.numeric_BG)
        first_B = self.first(x_BFD if self.gate is None else self.gate(x_BFD))
        if self.second is None:
            return Output(first_B)
        second_B = self.second(x_BFD)
        return Output((first_B + second_B) / 2, parts={"first": first_B, "second": second_B})

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        """L(ŷ, y) + L(ŷ₁, ŷ) + L(ŷ₂, ŷ), L the mean binary cross-entropy; nothing flows back through ŷ as a target."""
        total = super().loss(output, target_B)
        if output.parts is None:
            return total
        taught_B = torch.sigmoid(output.logit_B).detach()
        return total + sum(F.binary_cross_entropy_with_logits(part_B, taught_B) for part_B in output.parts.values())
