"""What every neural model is: a map from a `Batch` to logits, with its own loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.loader import Batch
from mdaf_core.data.schema import UNKNOWN, FeatureSpec


@dataclass
class Output:
    """What a forward pass returns; B rows.

    Attributes:
        logit_B: the prediction.
        parts: further logits (B,) that enter the loss, by name (DCNv3: `deep`, `shallow`).
        gate_B: g in [0, 1], the weight of the sequential branch, where there is one (mean over dimensions for vectors).
        logit_static_B, logit_sequential_B: the logit with g set to 0 and to 1.
    """

    logit_B: Tensor
    parts: dict[str, Tensor] | None = None
    gate_B: Tensor | None = None
    logit_static_B: Tensor | None = None
    logit_sequential_B: Tensor | None = None


class CTRModel(nn.Module):
    """Base of all neural models.

    Attributes:
        features: names and sizes of the inputs the model was built for.
        unknown_rate: while training, this share of categorical ids is replaced by the unknown code.
    """

    def __init__(self, features: FeatureSpec):
        super().__init__()
        self.features = features
        self.unknown_rate = 0.0

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        """Scalar training loss; `target_B` are (smoothed) targets in [0, 1]. Default: mean binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(output.logit_B, target_B)

    def codes_BF(self, batch: Batch) -> Tensor:
        """The batch's categorical codes, some replaced by 'unknown' while training (see `unknown_rate`)."""
        codes = batch.categorical_BF
        if self.training and self.unknown_rate > 0:
            hide = torch.rand(codes.shape, device=codes.device) < self.unknown_rate
            codes = torch.where(hide, torch.full_like(codes, UNKNOWN), codes)
        return codes
