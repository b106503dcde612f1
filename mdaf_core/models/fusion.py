"""Ways in which MDAF makes one vector of its two branches' vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdaf_core.models.config import MDAFConfig


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
