"""Mamba4Rec: a selective state space model over the history (Liu et al. 2024, arXiv:2403.03900)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import Preset
from mdaf_core.models.layered import LayeredConfig


class Mamba4RecConfig(LayeredConfig):
    """Mamba4Rec (Liu et al. 2024, arXiv:2403.03900): a selective state space model over the history."""

    encoder = "Mamba4RecEncoder"

    kind: Literal["mamba4rec"] = "mamba4rec"
    blocks: int = Field(2, ge=1, le=8, description="Mamba blocks.")
    state_dim: int = Field(16, ge=1, le=128, description="States a channel (N).")
    conv_width: int = Field(4, ge=2, le=8, description="Width of the causal convolution.")
    expand: int = Field(2, ge=1, le=4, description="Inner width / hidden width.")
    dt_rank: Literal["auto", "scalar"] = Field(
        "auto", description="Step size Δ: low rank with a projection (auto), or one scalar a position (the report)."
    )
    ffn: bool = Field(False, description="Position-wise feed-forward after each block, as in the Mamba4Rec paper.")


# The report's first settings: constant rate, no smoothing, no clipping, lighter weight decay.
_V1 = {
    **{"schedule": "constant", "warmup_epochs": 0, "weight_decay": 1e-5},
    **{"label_smoothing": 0.0, "gradient_clip": None},
}
# The report's architecture as its parameter count reveals it: scalar Δ, mean pooling, blind to the target.
_AS_REPORTED = Mamba4RecConfig(dt_rank="scalar", pooling="mean", target_aware=False, match_features=False)
PRESETS = (
    Preset("mamba4rec-v1", "Mamba4Rec, the report's first settings", Mamba4RecConfig(dropout=0.2), _V1),
    Preset("mamba4rec-v2", "Mamba4Rec, regularised, target-aware", Mamba4RecConfig()),
    Preset("mamba4rec-v2-report", "Mamba4Rec exactly as reported: scalar Δ, target-blind", _AS_REPORTED),
)


import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.ops.carried import Block, Carried
from mdaf_core.ops.causal_conv import causal_conv1d
from mdaf_core.ops.selective_scan import selective_scan

DELTA_MIN, DELTA_MAX = 1e-3, 1e-1  # steps at the start, as in Mamba's own initialisation


class Mamba(Mixer):
    """The Mamba block (Gu & Dao 2023, arXiv:2312.00752, section 3.4 and figure 3) over packed sequences.

    u, z = in_proj(x); u = silu(conv(u)); Δ, B, C = x_proj(u); y = selective_scan(u, Δ, A, B, C, D, z); out_proj(y).
    Δ comes from a low-rank projection with a bias (`scalar_delta=False`), or is one number a position for all
    channels, without projection or bias (`scalar_delta=True`, as the report's parameter count implies).
    """

    def __init__(self, dim: int, state_dim: int, conv_width: int, expand: int, scalar_delta: bool):
        super().__init__()
        inner = expand * dim
        self.rank = 1 if scalar_delta else math.ceil(dim / 16)
        self.state_dim = state_dim
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        bound = conv_width**-0.5  # as torch.nn.Conv1d with one input channel a group
        self.conv_DK = nn.Parameter(torch.empty(inner, conv_width).uniform_(-bound, bound))
        self.conv_bias_D = nn.Parameter(torch.empty(inner).uniform_(-bound, bound))
        self.x_proj = nn.Linear(inner, self.rank + 2 * state_dim, bias=False)
        self.dt_proj = None if scalar_delta else nn.Linear(self.rank, inner)
        if self.dt_proj is not None:
            nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
            step_D = torch.empty(inner).uniform_(math.log(DELTA_MIN), math.log(DELTA_MAX)).exp()
            with torch.no_grad():  # softplus(bias) = step
                self.dt_proj.bias.copy_(step_D + torch.log(-torch.expm1(-step_D)))
        self.A_log_DN = nn.Parameter(torch.arange(1, state_dim + 1, dtype=torch.float32).log().repeat(inner, 1))
        self.D_D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def multiply_adds_per_event(self) -> int:
        """Of convolution and scan, which no matrix product accounts for: K, 4 N and 3 a channel."""
        return len(self.D_D) * (self.conv_DK.shape[1] + 4 * self.state_dim + 3)

    def begin(self) -> Carried:
        """What it carries from event to event, before the first."""
        widen_DR, step_bias_D = torch.ones_like(self.D_D).unsqueeze(1), torch.zeros_like(self.D_D)
        if self.dt_proj is not None:
            widen_DR, step_bias_D = self.dt_proj.weight, self.dt_proj.bias
        conv, scan = (self.conv_DK, self.conv_bias_D), (-self.A_log_DN.exp(), self.D_D)
        step = self.x_proj.weight, widen_DR, step_bias_D
        return Carried.begin(Block(self.in_proj.weight, *conv, *step, *scan, self.out_proj.weight))

    def forward(
        self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor | None = None, carried: Carried | None = None
    ) -> Tensor:
        if carried is not None and carried.takes(x_TD):
            return carried.token(x_TD)
        # Two products instead of one cut in half: each result is contiguous, as the kernels want it.
        u_TD, z_TD = (F.linear(x_TD, weight) for weight in self.in_proj.weight.chunk(2))
        if carried is None:
            assert cu_seqlens is not None
            u_TD = causal_conv1d(u_TD, self.conv_DK, self.conv_bias_D, cu_seqlens, silu=True)
        else:
            u_TD = carried.convolve(u_TD)
        delta, B_TN, C_TN = self.x_proj(u_TD).split([self.rank, self.state_dim, self.state_dim], dim=1)
        if self.dt_proj is not None:
            # Not as a linear layer: with so few inputs, the gradient of its weight takes MKL ten times longer.
            delta = torch.addmm(self.dt_proj.bias, delta, self.dt_proj.weight.t().contiguous())
        if carried is not None:
            return self.out_proj(carried.scan(u_TD, delta, B_TN, C_TN, z_TD))
        A_DN = -self.A_log_DN.exp()
        y_TD = selective_scan(u_TD, delta, A_DN, B_TN, C_TN, self.D_D, z_TD, delta_softplus=True, cu_seqlens=cu_seqlens)
        return self.out_proj(y_TD)


class Mamba4RecEncoder(LayeredEncoder):
    """Mamba layers, see `layered`."""

    def layer(self, config: Mamba4RecConfig, index: int) -> Layer:
        dim = config.hidden_dim
        mamba = Mamba(dim, config.state_dim, config.conv_width, config.expand, config.dt_rank == "scalar")
        layer = Layer(mamba, dim, 4 * dim if config.ffn else 0, config.dropout)
        layer.register_load_state_dict_pre_hook(_rename)
        return layer


def _rename(_layer: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights of runs from before layers could be of several kinds have the block as `mamba`."""
    for name in [name for name in weights if name.startswith(f"{prefix}mamba.")]:
        weights[f"{prefix}mixer.{name.removeprefix(f'{prefix}mamba.')}"] = weights.pop(name)
