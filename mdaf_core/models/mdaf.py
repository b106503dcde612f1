"""MDAF: a static and a sequential branch, fused anew for each impression."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, DropoutRate, HiddenUnits, ModelSettings, Preset
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.dcnv3 import DCNv3Config
from mdaf_core.models.history import SequenceConfig
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.registry import ByKind
from mdaf_core.models.space import Space


class MDAFConfig(ModelSettings):
    """MDAF: DCNv3 and a sequential branch, fused for each impression; g is the weight of the sequential branch."""

    network = "MDAF"

    kind: Literal["mdaf"] = "mdaf"
    fusion: Literal["gate", "gate-vector", "fixed", "concat", "attention"] = Field(
        "gate", description="How the two branch vectors become one."
    )
    static: DCNv3Config = DCNv3Config()
    sequential: Annotated[SequenceConfig, ByKind()] = Mamba4RecConfig()
    fusion_dim: int = Field(128, ge=4, le=1024, description="Width of each branch's vector.")
    normalise: bool = Field(False, description="Normalise each branch's vector, which the gate then sees and mixes.")
    gate_hidden: int = Field(64, ge=1, le=1024, description="Hidden width of the gate.")
    hidden_units: HiddenUnits = Field([128, 64], description="MLP on the fused vector.")
    branch_loss_weight: float = Field(
        0.1, ge=0, le=10, description="Weight of the loss on each branch's own prediction; 0 for none."
    )
    dropout: DropoutRate = 0.3

    def space(self) -> Space:
        of_branches = {f"sequential.{name}": values for name, values in self.sequential.space().items()}
        return super().space() | {name: of_branches[name] for name in ("sequential.dropout",) if name in of_branches}

    @property
    def lacks_gate(self) -> str:
        if self.fusion == "concat":
            return "concatenates its branches, so there is no g and no logit of one branch alone"
        return ""

    @property
    def causal(self) -> bool:
        return self.sequential.causal

    @property
    def reads_outcomes(self) -> bool:
        return self.sequential.reads_outcomes

    @property
    def reads_users(self) -> bool:
        return self.sequential.reads_users

    @property
    def lacks_state(self) -> str:
        return self.sequential.lacks_state


_WITHOUT_MATCH = MDAFConfig(sequential=Mamba4RecConfig(match_features=False))
_SMALL = {"hidden_dim": 64, "blocks": 1, "item_dim": 16, "category_dim": 16, "hidden_units": [128, 64]}
_PLUS = MDAFConfig(
    static=DCNv3Config(embedding_dim=8, dropout=0.5),
    sequential=Mamba4RecConfig(
        time_aware=True, gap_inputs=True, recent_matches=10, co_occurrence=True, outcomes=True, affinity=True, **_SMALL
    ),
    fusion_dim=64,
    normalise=True,
    gate_hidden=32,
    branch_loss_weight=1.0,
)
_PLUS_TRAINING = {
    **RARE_IDS,
    **{"hide_rare": 1.0, "weight_average": 1.0, "batch_size": 512},
    **{"history_encoding": "stream", "max_history": 500, "stream_block": 16},
}
PRESETS = (
    *(
        Preset(f"mdaf-{name}", title, model, RARE_IDS)
        for name, title, model in (
            ("full", "DCNv3 + Mamba4Rec + gate", MDAFConfig()),
            ("static", "Static branch alone: DCNv3", DCNv3Config()),
            ("sequential", "Sequential branch alone: Mamba4Rec", Mamba4RecConfig()),
            ("bst", "DCNv3 + BST + gate", MDAFConfig(sequential=BSTConfig())),
            ("concat", "DCNv3 + Mamba4Rec, concatenated", MDAFConfig(fusion="concat")),
            ("fixed-gate", "DCNv3 + Mamba4Rec, g fixed at 0.5", MDAFConfig(fusion="fixed")),
            ("gate-vector", "DCNv3 + Mamba4Rec, one gate a dimension", MDAFConfig(fusion="gate-vector")),
            ("attention", "DCNv3 + Mamba4Rec, attention over the branches", MDAFConfig(fusion="attention")),
            ("no-match", "MDAF without match features", _WITHOUT_MATCH),
        )
    ),
    Preset("mdaf-plus", "MDAF told of times and recent matches, rare ids hidden", _PLUS, _PLUS_TRAINING),
)


import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import GatedModel, Output
from mdaf_core.models.dcnv3 import CrossNetworks
from mdaf_core.models.history import build_encoder
from mdaf_core.models.layers import MLP


class GateFusion(nn.Module):
    """g = σ(W₂ ReLU(W₁ [static ‖ sequential] + b₁) + b₂): one number a row, or one a dimension (`vector`)."""

    def __init__(self, dim: int, hidden: int, vector: bool):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * dim, hidden), nn.ReLU(), nn.Linear(hidden, dim if vector else 1))

    def forward(self, static_BD: Tensor, sequential_BD: Tensor) -> Tensor:
        return torch.sigmoid(self.net(torch.cat([static_BD, sequential_BD], dim=1)))


class FixedFusion(nn.Module):
    """g = 0.5 for every row."""

    def forward(self, static_BD: Tensor, sequential_BD: Tensor) -> Tensor:
        return torch.full_like(static_BD[:, :1], 0.5)


class AttentionFusion(nn.Module):
    """Additive attention over the branches (Bahdanau et al. 2015, arXiv:1409.0473): e_i = vᵀ tanh(W x_i + b).

    One scorer looks at each branch by itself; g is the sequential branch's share of the softmax. The gate, in contrast,
    sees both branches at once.
    """

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, static_BD: Tensor, sequential_BD: Tensor) -> Tensor:
        return torch.sigmoid(self.score(sequential_BD) - self.score(static_BD))


def build_fusion(config: MDAFConfig) -> nn.Module | None:
    """The module that maps both branch vectors (B, D) to g, (B, 1) or (B, D); None for `concat`, which has no g."""
    if config.fusion == "concat":
        return None
    if config.fusion == "fixed":
        return FixedFusion()
    if config.fusion == "attention":
        return AttentionFusion(config.fusion_dim, config.gate_hidden)
    return GateFusion(config.fusion_dim, config.gate_hidden, vector=config.fusion == "gate-vector")


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
        norms = (nn.LayerNorm(config.fusion_dim) if config.normalise else nn.Identity() for _ in range(2))
        self.static_norm, self.sequential_norm = norms
        self.fusion = build_fusion(config)
        fused_dim = config.fusion_dim if self.fusion is not None else 2 * config.fusion_dim
        self.head = MLP(fused_dim, config.hidden_units, config.dropout)
        self.out = nn.Linear(self.head.out_dim, 1)
        self.branch_loss_weight = config.branch_loss_weight

    def forward(self, batch: Batch, gate_B: Tensor | None = None) -> Output:
        """Predict; with `gate_B`, (B,) or (B, fusion_dim), as if g had these values (see `fuse`)."""
        return self.fuse(*self.branches(batch), gate_B)

    def begin(self) -> Any:
        return self.sequential.begin()

    def read(self, history: dict[str, Tensor], gap_T: Tensor, state: Any) -> Tensor:
        return self.sequential.read(history, gap_T, state)

    def branches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The static and the sequential branch's vectors, (B, fusion_dim) each."""
        batch = self.hide_ids(batch)
        static_BD, sequential_BD = self.static_map(self.static(batch)), self.sequential_map(self.sequential(batch))
        return self.static_norm(static_BD), self.sequential_norm(sequential_BD)

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
