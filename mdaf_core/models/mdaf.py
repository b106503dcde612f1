"""MDAF: a static and a sequential branch, fused anew for each impression."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import GatedModel, Output
from mdaf_core.models.config import MDAFConfig
from mdaf_core.models.dcnv3 import CrossNetworks
from mdaf_core.models.fusion import build_fusion
from mdaf_core.models.layers import MLP
from mdaf_core.models.registry import build_encoder


class MDAF(GatedModel):
    """static = Linear(DCNv3's representation), sequential = Linear(Mamba4Rec's or BST's), both (B, fusion_dim);
    fused = (1 − g) · static + g · sequential → MLP → logit. `concat` feeds both vectors side by side and has no g.

    A branch's representation is what its own logit would be linear in; each branch has its own embeddings, so that the
    branch alone is exactly the single model of the ablations. The logit of one branch is the head's answer for g = 0 or
    1: a vector the head never sees otherwise, unless `branch_loss_weight` trains it on those too, which is what makes
    the branch logits predictions one may compare. Tri-BCE's own sub-logits are not used here: the loss on the static
    branch takes their place.
    """

    def __init__(self, config: MDAFConfig, features: FeatureSpec):
        super().__init__(features)
        self.static = CrossNetworks(config.static, features)
        self.sequential = build_encoder(config.sequential, features)
        self.static_map = nn.Linear(self.static.out_dim, config.fusion_dim)
        self.sequential_map = nn.Linear(self.sequential.out_dim, config.fusion_dim)
        self.fusion = build_fusion(config)
        fused_dim = config.fusion_dim if self.fusion is not None else 2 * config.fusion_dim
        self.head = MLP(fused_dim, config.hidden_units, config.dropout)
        self.out = nn.Linear(self.head.out_dim, 1)
        self.branch_loss_weight = config.branch_loss_weight

    def forward(self, batch: Batch, gate_B: Tensor | None = None) -> Output:
        """Predict; with `gate_B`, (B,) or (B, fusion_dim), as if g had these values (see `fuse`)."""
        return self.fuse(*self.branches(batch), gate_B)

    def branches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The static and the sequential branch's vectors, (B, fusion_dim) each."""
        batch = self.hide_ids(batch)
        return self.static_map(self.static(batch)), self.sequential_map(self.sequential(batch))

    def fuse(self, static_BD: Tensor, sequential_BD: Tensor, gate_B: Tensor | None = None) -> Output:
        """Predict from the branches' vectors; asking again with another g costs only the head.

        Raises:
            StudioError: `gate_B` is given to a model without g (`concat`).
        """
        if self.fusion is None:
            return Output(self.answer(static_BD, sequential_BD, gate_B))
        if gate_B is None:
            g = self.fusion(static_BD, sequential_BD)
        else:
            g = gate_B if gate_B.dim() == 2 else gate_B.unsqueeze(1)
        output = Output(
            self.answer(static_BD, sequential_BD, g),
            gate_B=g.mean(dim=1),
            gate_BD=g.expand_as(static_BD) if g.shape[1] > 1 else None,
        )
        if not self.training or self.branch_loss_weight > 0:
            output.logit_static_B = self.logit(static_BD)
            output.logit_sequential_B = self.logit(sequential_BD)
        return output

    def answer(self, static_BD: Tensor, sequential_BD: Tensor, gate_BK: Tensor | None = None) -> Tensor:
        """See `GatedModel.answer`.

        Raises:
            StudioError: as `fuse`.
        """
        if self.fusion is None:
            if gate_BK is not None:
                raise StudioError("A concatenation has no gate: its g cannot be replaced. Choose another fusion.")
            return self.logit(torch.cat([static_BD, sequential_BD], dim=1))
        g = self.fusion(static_BD, sequential_BD) if gate_BK is None else gate_BK
        return self.logit(torch.lerp(static_BD, sequential_BD, g))

    def logit(self, fused: Tensor) -> Tensor:
        return self.out(self.head(fused)).squeeze(1)

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        """L + branch_loss_weight · (L_static + L_sequential), each a mean binary cross-entropy."""
        loss = super().loss(output, target_B)
        if output.logit_static_B is None or output.logit_sequential_B is None:
            return loss
        static = F.binary_cross_entropy_with_logits(output.logit_static_B, target_B)
        sequential = F.binary_cross_entropy_with_logits(output.logit_sequential_B, target_B)
        return loss + self.branch_loss_weight * (static + sequential)
