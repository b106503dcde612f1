"""DCNv3, published as FCN (KDD 2026): linear and exponential cross networks trained with Tri-BCE (Li et al. 2024,
arXiv:2407.13349)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, DropoutRate, ModelSettings, Preset, divides


class DCNv3Config(ModelSettings):
    """DCNv3, or FCN (Li et al. 2024, arXiv:2407.13349): linear and exponential cross networks trained with Tri-BCE."""

    network = "DCNv3"
    reads_history = False

    kind: Literal["dcnv3"] = "dcnv3"
    embedding_dim: int = Field(16, ge=2, le=512, description="Width of each field's embedding (even).")
    linear_layers: int = Field(3, ge=1, le=8, description="Layers of the linear (shallow) cross network.")
    exponential_layers: int = Field(3, ge=1, le=8, description="Layers of the exponential (deep) cross network.")
    num_heads: int = Field(1, ge=1, le=16, description="Sub-spaces into which each embedding is split.")
    dropout: DropoutRate = 0.3

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("twice num_heads", 2 * self.num_heads, "embedding_dim", self.embedding_dim)
        return self


PRESETS = (Preset("dcnv3", "DCNv3 (published as FCN) with Tri-BCE", DCNv3Config(), RARE_IDS),)


import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import FieldVectors, require_fields
from mdaf_core.ops.dropout import Dropout
from mdaf_core.ops.kernels import multiplies
from mdaf_core.ops.masked_crosses import masked_crosses


class CrossNetwork(nn.Module):
    """Layers c = [Wx ‖ Wx ⊙ ReLU(LayerNorm(Wx))], W: D → D/2, then x ← base ⊙ (c + b) + x.

    base is x0 in the linear network (interactions of order l + 1 after l layers) and x itself in the exponential one
    (order 2^l). The masked half lets a layer drop interactions that do not help.
    """

    def __init__(self, dim: int, layers: int, exponential: bool, dropout: float):
        super().__init__()
        self.exponential = exponential
        self.maps = nn.ModuleList(nn.Linear(dim, dim // 2, bias=False) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim // 2) for _ in range(layers))
        # In [0, 1) as in the authors' model: at the start a layer scales its input more than it crosses it.
        self.biases = nn.ParameterList(torch.empty(dim).uniform_() for _ in range(layers))
        self.dropout = Dropout(dropout)

    def forward(self, x0: Tensor) -> Tensor:
        if multiplies(x0):
            weights: list[Any] = [linear.weight for linear in self.maps]
            gains: list[Any] = [norm.weight for norm in self.norms]
            shifts: list[Any] = [norm.bias for norm in self.norms]
            dropout = self.dropout.p if self.training else 0.0
            flat = x0.flatten(0, -2)
            y = masked_crosses(flat, weights, gains, shifts, list(self.biases), self.exponential, dropout)
            return y.view_as(x0)
        x = x0
        for linear, norm, bias in zip(self.maps, self.norms, self.biases, strict=True):
            half = linear(x)
            cross = torch.cat([half, half * F.relu(norm(half))], dim=-1)
            x = self.dropout(torch.addcmul(x, x if self.exponential else x0, cross + bias))
        return x


class CrossNetworks(nn.Module):
    """Field embeddings through both networks; what DCNv3 predicts from and MDAF uses as its static branch.

    With several heads each embedding is cut into equal parts; a head sees its part of every field, all heads share
    the networks' weights. Within a head the first halves of the fields' parts come first, then the second halves,
    so that of each field one half meets the plain and one the masked crosses.

    Attributes:
        dim: width of one head's vector in each network.
        out_dim: width of the representation, both networks and all heads side by side.
    """

    def __init__(self, config: DCNv3Config, features: FeatureSpec):
        super().__init__()
        require_fields(features)
        self.heads = config.num_heads
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        self.dim = self.fields.count * config.embedding_dim // config.num_heads
        self.out_dim = 2 * self.dim * config.num_heads
        self.deep = CrossNetwork(self.dim, config.exponential_layers, True, config.dropout)
        self.shallow = CrossNetwork(self.dim, config.linear_layers, False, config.dropout)

    def vectors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Outputs (B, heads, dim) of the exponential (deep) and the linear (shallow) network."""
        x_BFD = self.fields(batch.categorical_BF, batch.numeric_BG)
        rows, fields, _ = x_BFD.shape
        # (B, F, heads, halves, ·) → (B, heads, halves, F, ·)
        x0_BHD = x_BFD.view(rows, fields, self.heads, 2, -1).permute(0, 2, 3, 1, 4).reshape(rows, self.heads, self.dim)
        return self.deep(x0_BHD), self.shallow(x0_BHD)

    def forward(self, batch: Batch) -> Tensor:
        """The representation (B, out_dim)."""
        return torch.cat(self.vectors(batch), dim=-1).flatten(1)


class DCNv3(CTRModel):
    """Each network has its own logit (mean over heads); the prediction is the mean of the two."""

    def __init__(self, config: DCNv3Config, features: FeatureSpec):
        super().__init__(features)
        self.networks = CrossNetworks(config, features)
        self.deep_out = nn.Linear(self.networks.dim, 1)
        self.shallow_out = nn.Linear(self.networks.dim, 1)

    def forward(self, batch: Batch) -> Output:
        deep_BHD, shallow_BHD = self.networks.vectors(self.hide_ids(batch))
        deep_B = self.deep_out(deep_BHD).mean(dim=(1, 2))
        shallow_B = self.shallow_out(shallow_BHD).mean(dim=(1, 2))
        return Output((deep_B + shallow_B) / 2, parts={"deep": deep_B, "shallow": shallow_B})

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        assert output.parts is not None
        return tri_bce(output.logit_B, output.parts["deep"], output.parts["shallow"], target_B)


def tri_bce(logit_B: Tensor, deep_B: Tensor, shallow_B: Tensor, target_B: Tensor) -> Tensor:
    """L + max(0, L_D − L) · L_D + max(0, L_S − L) · L_S, each L a mean binary cross-entropy (the paper's section 3.5).

    As in the authors' model, gradients also flow through the weights in front of L_D and L_S.
    """
    total = F.binary_cross_entropy_with_logits(logit_B, target_B)
    deep = F.binary_cross_entropy_with_logits(deep_B, target_B)
    shallow = F.binary_cross_entropy_with_logits(shallow_B, target_B)
    return total + F.relu(deep - total) * deep + F.relu(shallow - total) * shallow
