"""Deep Interest Network (Zhou et al. 2018, arXiv:1706.06978)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, HiddenUnits, Preset
from mdaf_core.models.history import SequenceConfig


class DINConfig(SequenceConfig):
    """DIN (Zhou et al. 2018, arXiv:1706.06978): each event of the history weighs as much as the target makes it."""

    encoder = "DINEncoder"

    kind: Literal["din"] = "din"
    hidden_dim: int = Field(36, ge=1, le=1024, description="Width of the activation unit.")
    hidden_units: HiddenUnits = Field([200, 80], description="MLP on top.")

    @property
    def lacks_state(self) -> str:
        return "weighs each event by the target: of the events alone there is nothing to compute ahead"


PRESETS = (Preset("din", "Deep Interest Network", DINConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.history import HistoryEncoder, event_widths
from mdaf_core.ops.segments import segment_ids, segment_sum

EPSILON = 1e-8  # the paper's, beside the variance
MOMENTUM = 0.1  # of the moving averages that stand for a batch's mean and variance when evaluating


class Dice(nn.Module):
    """f(s) = p(s) s + (1 − p(s)) α s with p(s) = σ((s − E[s]) / √(Var[s] + ε)) (the paper's equation 3).

    While training, E and Var are the batch's; when evaluating, their moving averages, so that no row depends on others.
    α starts at 0. A batch without a value keeps the averages.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.alpha_D = nn.Parameter(torch.zeros(dim))
        self.mean_D: Tensor
        self.variance_D: Tensor
        self.register_buffer("mean_D", torch.zeros(dim))
        self.register_buffer("variance_D", torch.ones(dim))

    def forward(self, s_ND: Tensor) -> Tensor:
        mean_D, variance_D = self.mean_D, self.variance_D
        if self.training and len(s_ND):
            variance_D, mean_D = torch.var_mean(s_ND, dim=0, correction=0)
            self.mean_D = torch.lerp(self.mean_D, mean_D.detach(), MOMENTUM)
            self.variance_D = torch.lerp(self.variance_D, variance_D.detach(), MOMENTUM)
        p_ND = torch.sigmoid((s_ND - mean_D) * torch.rsqrt(variance_D + EPSILON))
        return s_ND * torch.lerp(self.alpha_D, torch.ones_like(self.alpha_D), p_ND)


class ActivationUnit(nn.Module):
    """a(e, v): the weight of an event for a target, from [e ‖ v ‖ e − v ‖ e ⊙ v] → Dice → one number (figure 2)."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.dim = dim
        self.net = nn.Sequential(nn.Linear(4 * dim, hidden), Dice(hidden), nn.Linear(hidden, 1))

    def multiply_adds_per_event(self) -> int:
        """The event times its weight; the products of the layers are counted as such."""
        return self.dim

    def forward(self, event_TE: Tensor, target_TE: Tensor) -> Tensor:
        """Weights (T, 1)."""
        return self.net(torch.cat([event_TE, target_TE, event_TE - target_TE, event_TE * target_TE], dim=1))


class DINEncoder(HistoryEncoder):
    """The history is Σ_j a(e_j, v) e_j, v the target: without softmax, so that its length says how much of the history
    the target concerns (section 4.3); zero for an empty history. The MLP on top has Dice in place of ReLU."""

    activation = Dice

    def __init__(self, config: DINConfig, features: FeatureSpec):
        super().__init__(config, features, True, pooled_dim=sum(event_widths(config, features)))
        self.weigh = ActivationUnit(self.event_dim, config.hidden_dim)

    def pool(self, event_TE: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        assert target_BE is not None
        weight_T1 = self.weigh(event_TE, target_BE[segment_ids(batch.cu_seqlens)])
        return segment_sum(weight_T1 * event_TE, batch.cu_seqlens)
