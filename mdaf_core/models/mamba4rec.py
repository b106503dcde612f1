"""Mamba4Rec: a selective state space model over the history (Liu et al. 2024, arXiv:2403.03900)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, Preset, divides
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
    time_aware: bool = Field(False, description="The time since the event before scales the step Δ.")
    both_directions: bool = Field(
        False, description="A second block reads each history from its end; needs windows, for it is not causal."
    )
    attention_heads: int = Field(
        0, ge=0, le=16, description="Heads of causal self-attention in the place of the last Mamba block; 0: none."
    )

    @property
    def causal(self) -> bool:
        return not self.both_directions

    @property
    def lacks_state(self) -> str:
        return "reads each history from its end too, which every new event changes" if self.both_directions else ""

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if self.attention_heads:
            divides("attention_heads", self.attention_heads, "hidden_dim", self.hidden_dim)
        if self.both_directions and self.pooling == "last":
            raise ValueError(
                "pooling by the last event does not go with both_directions: read from the end, that event knows of no "
                "other; choose mean or target"
            )
        return self


# The report's first settings: constant rate, no smoothing, no clipping, lighter weight decay.
_V1 = {
    **{"schedule": "constant", "warmup_epochs": 0, "weight_decay": 1e-5},
    **{"label_smoothing": 0.0, "gradient_clip": None},
}
# The report's architecture as its parameter count reveals it: scalar Δ, mean pooling, blind to the target.
_AS_REPORTED = Mamba4RecConfig(dt_rank="scalar", pooling="mean", target_aware=False, match_features=False)
_VARIANTS = (
    ("time", "Mamba4Rec whose steps scale with the time between events", Mamba4RecConfig(time_aware=True)),
    ("hybrid", "Mamba4Rec with one layer of self-attention", Mamba4RecConfig(attention_heads=2)),
    ("both", "Mamba4Rec in both directions", Mamba4RecConfig(both_directions=True, expand=1)),
)
PRESETS = (
    *(Preset(f"mamba4rec-{name}", title, model, RARE_IDS) for name, title, model in _VARIANTS),
    Preset("mamba4rec-v1", "Mamba4Rec, the report's first settings", Mamba4RecConfig(dropout=0.2), _V1),
    Preset("mamba4rec-v2", "Mamba4Rec, regularised, target-aware", Mamba4RecConfig()),
    Preset("mamba4rec-v2-report", "Mamba4Rec exactly as reported: scalar Δ, target-blind", _AS_REPORTED),
)


import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.models.sasrec import SelfAttention
from mdaf_core.ops.carried import Block, Carried
from mdaf_core.ops.causal_conv import causal_conv1d
from mdaf_core.ops.segments import lengths
from mdaf_core.ops.selective_scan import selective_scan

MINUTE = 60.0  # seconds
DISTANCES = 50  # between events, told apart by the layer of self-attention
DELTA_MIN, DELTA_MAX = 1e-3, 1e-1  # steps at the start, as in Mamba's own initialisation


class Mamba(Mixer):
    """The Mamba block (Gu & Dao 2023, arXiv:2312.00752, section 3.4 and figure 3) over packed sequences.

    u, z = in_proj(x); u = silu(conv(u)); Δ, B, C = x_proj(u); y = selective_scan(u, Δ, A, B, C, D, z); out_proj(y).
    Δ comes from a low-rank projection with a bias (`scalar_delta=False`), or is one number a position for all
    channels, without projection or bias (`scalar_delta=True`, as the report's parameter count implies).

    With `time_aware` Δ = softplus(… + w log(1 + seconds since the event before / 60)), w by channel (from 0.1): where Δ
    is small, as it begins, it is multiplied by (1 + minutes)^w, so that what is kept decays with the real time that
    passed.
    """

    def __init__(
        self, dim: int, state_dim: int, conv_width: int, expand: int, scalar_delta: bool, time_aware: bool = False
    ):
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
        self.time_D = nn.Parameter(torch.full((inner,), 0.1)) if time_aware else None

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
        if carried is not None and self.time_D is None and carried.takes(x_TD):
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
        if self.time_D is not None:
            assert gap_T is not None
            delta = delta + torch.log1p(gap_T.to(delta.dtype) / MINUTE).unsqueeze(1) * self.time_D
        if carried is not None:
            return self.out_proj(carried.scan(u_TD, delta, B_TN, C_TN, z_TD))
        A_DN = -self.A_log_DN.exp()
        y_TD = selective_scan(u_TD, delta, A_DN, B_TN, C_TN, self.D_D, z_TD, delta_softplus=True, cu_seqlens=cu_seqlens)
        return self.out_proj(y_TD)


class BothDirections(Mixer):
    """The sum of two Mamba blocks: one reads a sequence from its beginning, one from its end."""

    def __init__(self, *args: Any):
        super().__init__()
        self.forwards, self.backwards = Mamba(*args), Mamba(*args)

    def silence(self) -> None:
        self.forwards.silence()
        self.backwards.silence()

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: Any = None) -> Tensor:
        assert cu_seqlens is not None
        end_T = torch.repeat_interleave((cu_seqlens[:-1] + cu_seqlens[1:]).long() - 1, lengths(cu_seqlens))
        turned_T = end_T - torch.arange(len(x_TD), device=x_TD.device)
        # Backwards the time before an event is that to the one that was read before, its later neighbour.
        later_T = F.pad(gap_T[1:], (0, int(len(gap_T) > 0)))
        backward_TD = self.backwards(x_TD.index_select(0, turned_T), cu_seqlens, later_T[turned_T])
        return self.forwards(x_TD, cu_seqlens, gap_T) + backward_TD.index_select(0, turned_T)


class Mamba4RecEncoder(LayeredEncoder):
    """Mamba layers, see `layered`."""

    def layer(self, config: Mamba4RecConfig, index: int) -> Layer:
        dim, ffn_dim = config.hidden_dim, 4 * config.hidden_dim if config.ffn else 0
        if config.attention_heads and index == config.blocks - 1:
            attention = SelfAttention(dim, config.attention_heads, DISTANCES)
            return Layer(attention, dim, ffn_dim or 3 * dim // 2, config.dropout)
        sizes = dim, config.state_dim, config.conv_width, config.expand, config.dt_rank == "scalar", config.time_aware
        mamba = BothDirections(*sizes) if config.both_directions else Mamba(*sizes)
        layer = Layer(mamba, dim, ffn_dim, config.dropout)
        layer.register_load_state_dict_pre_hook(_rename)
        return layer


def _rename(_layer: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights of runs from before layers could be of several kinds have the block as `mamba`."""
    for name in [name for name in weights if name.startswith(f"{prefix}mamba.")]:
        weights[f"{prefix}mixer.{name.removeprefix(f'{prefix}mamba.')}"] = weights.pop(name)
