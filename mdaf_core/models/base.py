"""What every neural model is: a map from a `Batch` to logits, with its own loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import UNKNOWN, FeatureSpec
from mdaf_core.models.layers import Table


@dataclass
class Output:
    """What a forward pass returns; B rows.

    Attributes:
        logit_B: the prediction.
        parts: further logits (B,) that enter the loss, by name (DCNv3: `deep`, `shallow`).
        gate_B: g in [0, 1], the weight of the sequential branch, where there is one (mean over dimensions for vectors).
        logit_static_B, logit_sequential_B: the logit with g set to 0 and to 1.
        gate_BD: g by dimension, where the fusion has a gate a dimension.
    """

    logit_B: Tensor
    parts: dict[str, Tensor] | None = None
    gate_B: Tensor | None = None
    logit_static_B: Tensor | None = None
    logit_sequential_B: Tensor | None = None
    gate_BD: Tensor | None = None


class CTRModel(nn.Module):
    """Base of all neural models.

    Attributes:
        features: names and sizes of the inputs the model was built for.
        unknown_rate: while training, this share of ids is unknown in a batch.
        reads_history, gated: as its configuration declares (`ModelSettings`); `build_model` sets them.
    """

    def __init__(self, features: FeatureSpec):
        super().__init__()
        self.features = features
        self.unknown_rate = 0.0
        self.reads_history, self.gated = True, False

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        """Scalar training loss; `target_B` are (smoothed) targets in [0, 1]. Default: mean binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(output.logit_B, target_B)

    def hide_ids(self, batch: Batch) -> Batch:
        """While training, the batch with some ids replaced by 'unknown', in targets and histories (`unknown_rate`).

        As with ids that are new, it stays known which events have the target's.
        """
        if not self.training or self.unknown_rate == 0:
            return batch
        columns, history = [], dict(batch.history)
        for column, (name, size) in enumerate(self.features.categorical.items()):
            hidden_V = torch.rand(size, device=batch.categorical_BF.device) < self.unknown_rate
            codes_B = batch.categorical_BF[:, column]
            columns.append(codes_B.masked_fill(hidden_V[codes_B], UNKNOWN))
            if name in history:
                history[name] = history[name].masked_fill(hidden_V[history[name]], UNKNOWN)
        return replace(batch, categorical_BF=torch.stack(columns, dim=1), history=history) if columns else batch

    def events_read(self, max_history: int) -> int:
        """Newest events of a history that are worth gathering where at most `max_history` are allowed."""
        return max_history if self.reads_history else 0

    def embedding_parameters(self) -> list[Tensor]:
        """The weights of all embedding tables, which grow with the vocabularies."""
        return [module.weight for module in self.modules() if isinstance(module, Table)]


class GatedModel(CTRModel):
    """A model of two branches, mixed for each row by g where its configuration says it is gated: what replacing g, a
    branch's vector, and each branch alone are asked of."""

    def branches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The static and the sequential branch's vectors, (B, D) each."""
        raise NotImplementedError

    def fuse(self, static_BD: Tensor, sequential_BD: Tensor, gate_B: Tensor | None = None) -> Output:
        """Predict from the branches' vectors; with `gate_B`, (B,) or (B, D), as if g had these values."""
        raise NotImplementedError

    def answer(self, static_BD: Tensor, sequential_BD: Tensor, gate_BK: Tensor | None = None) -> Tensor:
        """The logit alone, (B,), from the branches' vectors, which may be of different rows.

        Args:
            gate_BK: g given, (B, 1) or (B, D); None: the gate reads both vectors.
        """
        raise NotImplementedError
