"""MaskNet: masks guided by the row multiply embeddings and hidden layers (Wang et al. 2021, arXiv:2102.07619)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset


class MaskNetConfig(ModelSettings):
    """MaskNet (Wang et al. 2021, arXiv:2102.07619): blocks that multiply by a mask made of the whole row."""

    network = "MaskNet"
    reads_history = False

    kind: Literal["masknet"] = "masknet"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    structure: Literal["parallel", "serial"] = Field(
        "parallel", description="All blocks on the embeddings, then a DNN; or each on the block before it."
    )
    blocks: int = Field(3, ge=1, le=8, description="Mask blocks.")
    block_dim: int = Field(64, ge=1, le=2048, description="Width of a block's output.")
    reduction: float = Field(
        1.0, gt=0, le=8, description="Width of a mask's hidden layer, as a multiple of the mask's."
    )
    hidden_units: HiddenUnits = Field([128, 64], description="DNN on parallel blocks; serial ones have none.")
    dropout: DropoutRate = 0.5


# Dropout 0.5 rather than 0.3, and how weights start, by validation AUC on MovieLens-100K (docs/results.md).
PRESETS = (Preset("masknet", "MaskNet", MaskNetConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel, Output
from mdaf_core.models.layers import MLP, FieldVectors, require_fields
from mdaf_core.ops.dropout import Dropout


class FieldNorm(nn.Module):
    """Each field's embedding normalised by itself, with a gain and a shift of its own."""

    def __init__(self, fields: int, dim: int):
        super().__init__()
        self.gain_FD = nn.Parameter(torch.ones(fields, dim))
        self.shift_FD = nn.Parameter(torch.zeros(fields, dim))

    def forward(self, x_BFD: Tensor) -> Tensor:
        return torch.addcmul(self.shift_FD, F.layer_norm(x_BFD, x_BFD.shape[-1:]), self.gain_FD)


class MaskBlock(nn.Module):
    """ReLU(LayerNorm(W (m ⊙ x))), the mask m = W₂ ReLU(W₁ e + b₁) + b₂ of all embeddings e (instance-guided mask).

    Args:
        whole: width of all embeddings; dim: of what is masked; out_dim: of the output.
    """

    def __init__(self, whole: int, dim: int, out_dim: int, reduction: float, dropout: float):
        super().__init__()
        self.aggregate = MLP(whole, [max(1, int(reduction * dim))], 0.0)
        self.mask = nn.Linear(self.aggregate.out_dim, dim)
        self.linear = nn.Linear(dim, out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)
        self.dropout = Dropout(dropout)

    def forward(self, whole_BE: Tensor, x_BD: Tensor) -> Tensor:
        mask_BD = self.mask(self.aggregate(whole_BE))
        return self.dropout(F.relu(self.norm(self.linear(mask_BD * x_BD))))


class MaskNet(CTRModel):
    """Blocks one after the other to the logit, or side by side and a DNN; masks are of the raw embeddings, what the
    first blocks mask is normalised field by field. Weights of layers start normal with variance 2 / (inputs + outputs)
    (Glorot and Bengio 2010), biases at zero."""

    def __init__(self, config: MaskNetConfig, features: FeatureSpec):
        require_fields(features)
        super().__init__(features)
        self.fields = FieldVectors(features, config.embedding_dim, std=0.01)
        self.norm = FieldNorm(self.fields.count, config.embedding_dim)
        whole, block = self.fields.count * config.embedding_dim, config.block_dim
        self.serial = config.structure == "serial"
        inputs = [whole] + [block if self.serial else whole] * (config.blocks - 1)
        self.blocks = nn.ModuleList(MaskBlock(whole, dim, block, config.reduction, config.dropout) for dim in inputs)
        self.tower = None if self.serial else MLP(block * config.blocks, config.hidden_units, config.dropout)
        self.out = nn.Linear(block if self.tower is None else self.tower.out_dim, 1)
        for layer in self.modules():  # masks start near zero, not at what their biases happen to be
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, batch: Batch) -> Output:
        batch = self.hide_ids(batch)
        x_BFD = self.fields(batch.categorical_BF, batch.numeric_BG)
        whole_BE, x_BD = x_BFD.flatten(1), self.norm(x_BFD).flatten(1)
        if self.tower is None:
            for block in self.blocks:
                x_BD = block(whole_BE, x_BD)
        else:
            x_BD = self.tower(torch.cat([block(whole_BE, x_BD) for block in self.blocks], dim=1))
        return Output(self.out(x_BD).squeeze(1))
