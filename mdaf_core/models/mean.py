"""The mean of the history so far: what a sequence model must beat."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, Preset
from mdaf_core.models.layered import LayeredConfig


class MeanConfig(LayeredConfig):
    """The mean of the events so far, in the place of a sequence model: a control that knows no order."""

    encoder = "MeanEncoder"

    kind: Literal["mean"] = "mean"
    inner_dim: int = Field(303, ge=1, le=4096, description="Width of what is averaged.")


PRESETS = (Preset("mean", "Mean of the events so far: a control without order", MeanConfig(), RARE_IDS),)


from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.ops.segments import positions
from mdaf_core.ops.ssd import ssd


@dataclass
class _SoFar:
    sum_D: Tensor
    events: int = 0


class RunningMean(Mixer):
    """out_proj(m ⊙ silu(z)) with m_t the mean of u_s over s ≤ t, and u, z = in_proj(x): a Mamba block whose scan
    forgets nothing and selects nothing, without convolution."""

    def __init__(self, dim: int, inner: int):
        super().__init__()
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def multiply_adds_per_event(self) -> int:
        """One sum a channel."""
        return self.out_proj.in_features

    def begin(self) -> _SoFar:
        return _SoFar(torch.zeros_like(self.out_proj.weight[0]))

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: _SoFar | None = None) -> Tensor:
        u_TD, z_TD = (F.linear(x_TD, weight) for weight in self.in_proj.weight.chunk(2))
        if carried is None:
            assert cu_seqlens is not None
            one_T11 = u_TD.new_ones(len(u_TD), 1, 1)
            sum_TD = ssd(u_TD.unsqueeze(1), 0 * one_T11.squeeze(2), one_T11, one_T11, cu_seqlens).squeeze(1)
            events_T = positions(cu_seqlens) + 1
        else:
            sum_TD = carried.sum_D + u_TD.cumsum(0)
            events_T = torch.arange(carried.events + 1, carried.events + 1 + len(u_TD), device=u_TD.device)
            carried.sum_D, carried.events = carried.sum_D + u_TD.sum(0), carried.events + len(u_TD)
        return self.out_proj(sum_TD / events_T.unsqueeze(1) * F.silu(z_TD))


class MeanEncoder(LayeredEncoder):
    """Layers of running means, see `layered`."""

    def layer(self, config: MeanConfig, index: int) -> Layer:
        return Layer(RunningMean(config.hidden_dim, config.inner_dim), config.hidden_dim, 0, config.dropout)
