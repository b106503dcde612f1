"""Mamba-2: a state space model with one decay a head (Dao & Gu 2024, arXiv:2405.21060)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, Preset, divides
from mdaf_core.models.layered import LayeredConfig


class Mamba2Config(LayeredConfig):
    """Mamba-2 (Dao & Gu 2024, arXiv:2405.21060): a state space model with one decay a head over the history."""

    encoder = "Mamba2Encoder"

    kind: Literal["mamba2"] = "mamba2"
    state_dim: int = Field(64, ge=1, le=256, description="States a channel (N).")
    heads: int = Field(4, ge=1, le=64, description="Heads: parts of the channels with a decay each.")
    conv_width: int = Field(4, ge=2, le=8, description="Width of the causal convolution.")
    expand: int = Field(2, ge=1, le=4, description="Inner width / hidden width.")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "expand times hidden_dim", self.expand * self.hidden_dim)
        return self


PRESETS = (Preset("mamba2", "Mamba-2: one decay a head", Mamba2Config(), RARE_IDS),)


import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.models.mamba4rec import DELTA_MAX, DELTA_MIN
from mdaf_core.ops.causal_conv import causal_conv1d, convolve_reference
from mdaf_core.ops.ssd import ssd

A_MIN, A_MAX = 1.0, 16.0
"""Between which decays begin, as in the authors' code."""
EPSILON = 1e-5


def steps(heads: int) -> Tensor:
    """(H,) biases of softplus for steps that begin log-uniform."""
    step_H = torch.empty(heads).uniform_(math.log(DELTA_MIN), math.log(DELTA_MAX)).exp()
    return step_H + torch.log(-torch.expm1(-step_H))


def ssd_on(
    state_HPN: Tensor, x_THP: Tensor, decay_TH: Tensor, B_TGN: Tensor, C_TGN: Tensor, own: bool = True
) -> tuple[Tensor, Tensor]:
    """`ssd` of the next tokens of one sequence, (T, H, P), from a state on, and the state behind them."""
    heads = x_THP.shape[1] // B_TGN.shape[1]
    since_TH = decay_TH.cumsum(0)
    B_THN, C_THN = (x.repeat_interleave(heads, dim=1) for x in (B_TGN, C_TGN))
    cu = torch.tensor([0, len(x_THP)], dtype=torch.int32, device=x_THP.device)
    before_THP = torch.einsum("hpn,thn->thp", state_HPN, C_THN) * since_TH.exp().unsqueeze(2)
    if not len(x_THP):
        return before_THP, state_HPN
    left_TH1 = (since_TH[-1] - since_TH).exp().unsqueeze(2)
    state_HPN = since_TH[-1].exp()[:, None, None] * state_HPN + torch.einsum("thp,thn->hpn", left_TH1 * x_THP, B_THN)
    return ssd(x_THP, decay_TH, B_TGN, C_TGN, cu, own) + before_THP, state_HPN


@dataclass
class _State:
    """The convolution's last K − 1 inputs, and the scan's state."""

    before_KD: Tensor
    state_HPN: Tensor


class Mamba2(Mixer):
    """z, xBC, dt = in_proj(x); x, B, C = silu(conv(xBC)); Δ = softplus(dt + b); y = ssd(Δ x, Δ A, B, C) + D x;
    out_proj(RMSNorm(y ⊙ silu(z))) (the paper's section 7.1 and figure 6)."""

    def __init__(self, dim: int, config: Mamba2Config):
        super().__init__()
        inner, width = config.expand * dim, config.conv_width
        self.sizes = [inner, inner + 2 * config.state_dim, config.heads]
        self.parts = [inner, config.state_dim, config.state_dim]
        self.in_proj = nn.Linear(dim, sum(self.sizes), bias=False)
        bound, channels = width**-0.5, self.sizes[1]  # as torch.nn.Conv1d with one input channel a group
        self.conv_DK = nn.Parameter(torch.empty(channels, width).uniform_(-bound, bound))
        self.conv_bias_D = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self.step_bias_H = nn.Parameter(steps(config.heads))
        self.A_log_H = nn.Parameter(torch.empty(config.heads).uniform_(A_MIN, A_MAX).log())
        self.D_H = nn.Parameter(torch.ones(config.heads))
        self.norm = nn.RMSNorm(inner, eps=EPSILON)
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def multiply_adds_per_event(self) -> int:
        """Of convolution and scan, which no matrix product accounts for: K a channel, 3 N and 2 one of the scan."""
        inner, states, _ = self.parts
        return self.sizes[1] * self.conv_DK.shape[1] + inner * (3 * states + 2)

    def begin(self) -> _State:
        inner, states, _ = self.parts
        heads, like = len(self.D_H), self.conv_DK
        return _State(like.new_zeros(like.shape[1] - 1, len(like)), like.new_zeros(heads, inner // heads, states))

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: _State | None = None) -> Tensor:
        z_TD, mixed_TD, step_TH = (F.linear(x_TD, weight) for weight in self.in_proj.weight.split(self.sizes))
        if carried is None:
            assert cu_seqlens is not None
            mixed_TD = causal_conv1d(mixed_TD, self.conv_DK, self.conv_bias_D, cu_seqlens, silu=True)
        else:
            joined, before = torch.cat([carried.before_KD, mixed_TD]), len(carried.before_KD)
            carried.before_KD = joined[len(mixed_TD) :]
            cu = torch.tensor([0, len(joined)], dtype=torch.int32, device=joined.device)
            mixed_TD = convolve_reference(joined, self.conv_DK, self.conv_bias_D, True, cu)[before:]
        u_TD, B_TN, C_TN = mixed_TD.split(self.parts, dim=1)
        u_THP = u_TD.unflatten(1, (len(self.D_H), -1))
        step_TH = F.softplus(step_TH + self.step_bias_H)
        given = u_THP * step_TH.unsqueeze(2), -self.A_log_H.exp() * step_TH, B_TN.unsqueeze(1), C_TN.unsqueeze(1)
        if carried is None:
            assert cu_seqlens is not None
            y_THP = ssd(*given, cu_seqlens)
        else:
            y_THP, carried.state_HPN = ssd_on(carried.state_HPN, *given)
        y_TD = (y_THP + self.D_H.unsqueeze(1) * u_THP).flatten(1)
        return self.out_proj(self.norm(y_TD * F.silu(z_TD)))


class Mamba2Encoder(LayeredEncoder):
    """Layers of Mamba-2, see `layered`."""

    def layer(self, config: Mamba2Config, index: int) -> Layer:
        return Layer(Mamba2(config.hidden_dim, config), config.hidden_dim, 0, config.dropout)
