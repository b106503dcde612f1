"""Mamba-3, single input and output (Lahoti et al. 2026, "Mamba-3: Improved Sequence Modeling using State Space
Principles", ICLR 2026)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mdaf_core.models.base import RARE_IDS, Preset, divides
from mdaf_core.models.layered import LayeredConfig


class Mamba3Config(LayeredConfig):
    """Mamba-3 (Lahoti et al., ICLR 2026; SISO): a state space model with rotating states and a trapezoidal rule."""

    encoder = "Mamba3Encoder"

    kind: Literal["mamba3"] = "mamba3"
    state_dim: int = Field(56, ge=4, le=256, multiple_of=4, description="States a channel (N), half of which rotate.")
    heads: int = Field(4, ge=1, le=64, description="Heads: parts of the channels with a decay each.")
    expand: int = Field(2, ge=1, le=4, description="Inner width / hidden width.")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "expand times hidden_dim", self.expand * self.hidden_dim)
        return self


PRESETS = (Preset("mamba3", "Mamba-3 (SISO): rotating states, trapezoidal rule", Mamba3Config(), RARE_IDS),)


import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.models.mamba2 import EPSILON, ssd_on, steps
from mdaf_core.ops.segments import segment_ids
from mdaf_core.ops.ssd import ssd

SLOWEST = 1e-4
"""The least rate of decay, as in the authors' code."""


@dataclass
class _State:
    """The state behind the last token, that token's key and input, and the angles it was turned by."""

    state_HPN: Tensor
    key_HN: Tensor
    u_HP: Tensor
    angle_HS: Tensor


class Mamba3(Mixer):
    """z, u, B, C, dt, rate, trap, turn = in_proj(x). With Δ = softplus(dt + b), a = −Δ max(f(rate), 1e-4),
    f(r) = 1 + r for r ≥ 0 and 1 / (1 − r) below, λ = σ(trap), and k, q the vectors RMSNorm(B) + b_B and
    RMSNorm(C) + b_C of a head, whose first N / 2 numbers are turned pair by pair by Σ Δ π tanh(turn) so far:

        h_t = e^{a_t} (h_{t−1} + (1 − λ_t) Δ_t k_{t−1} u_{t−1}) + λ_t Δ_t k_t u_t,    y_t = ⟨q_t, h_t⟩ + D u_t

    and out_proj(y ⊙ silu(z)). No convolution. The scan gets both terms of k_t u_t at once: what t + 1 adds of it is
    part of the state that t + 1 finds, and the output at t reads the state before its own input, so that nothing later
    reaches it.
    """

    def __init__(self, dim: int, config: Mamba3Config):
        super().__init__()
        inner, heads, states = config.expand * dim, config.heads, config.state_dim
        self.sizes = [inner, inner, states, states, heads, heads, heads, states // 4]
        self.in_proj = nn.Linear(dim, sum(self.sizes), bias=False)
        self.step_bias_H = nn.Parameter(steps(heads))
        self.B_norm, self.C_norm = nn.RMSNorm(states, eps=EPSILON), nn.RMSNorm(states, eps=EPSILON)
        self.B_bias_HN, self.C_bias_HN = (nn.Parameter(torch.ones(heads, states)) for _ in range(2))
        self.D_H = nn.Parameter(torch.ones(heads))
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def multiply_adds_per_event(self) -> int:
        """Of the scan, and of turning keys and queries: 3 N a channel, 2 N a head."""
        inner, states = self.sizes[1:3]
        return inner * (3 * states + 3) + len(self.D_H) * 2 * states

    def begin(self) -> _State:
        inner, states, heads, like = self.sizes[0], self.sizes[2], len(self.D_H), self.D_H
        u_HP, angle_HS = like.new_zeros(heads, inner // heads), like.new_zeros(heads, states // 4, dtype=torch.float64)
        return _State(like.new_zeros(*u_HP.shape, states), like.new_zeros(heads, states), u_HP, angle_HS)

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: _State | None = None) -> Tensor:
        parts = (F.linear(x_TD, weight) for weight in self.in_proj.weight.split(self.sizes))
        z_TD, u_TD, B_TN, C_TN, step_TH, rate_TH, trap_TH, turn_TS = parts
        step_TH = F.softplus(step_TH + self.step_bias_H)
        rate_TH = rate_TH.clamp(min=0) + 1 / (1 - rate_TH.clamp(max=0))
        decay_TH = -rate_TH.clamp(min=SLOWEST) * step_TH
        turned_THS = (math.pi * torch.tanh(turn_TS)).unsqueeze(1) * step_TH.unsqueeze(2)
        angle_THS = turned_THS.double().cumsum(0)
        if carried is not None:
            angle_THS = angle_THS + carried.angle_HS
        elif len(x_TD):
            assert cu_seqlens is not None
            start_S = cu_seqlens[:-1].long().clamp(max=len(x_TD) - 1)
            angle_THS = angle_THS - (angle_THS - turned_THS)[start_S][segment_ids(cu_seqlens)]
        sine, cosine = (f(angle_THS).to(x_TD.dtype) for f in (torch.sin, torch.cos))
        key_THN = _turn(self.B_norm(B_TN).unsqueeze(1) + self.B_bias_HN, sine, cosine)
        query_THN = _turn(self.C_norm(C_TN).unsqueeze(1) + self.C_bias_HN, sine, cosine)
        u_THP = u_TD.unflatten(1, (len(self.D_H), -1))
        own_TH = torch.sigmoid(trap_TH) * step_TH
        earlier_TH = step_TH - own_TH  # of the token before
        later_TH = F.pad(earlier_TH[1:], (0, 0, 0, int(len(x_TD) > 0)))
        if carried is None:
            assert cu_seqlens is not None
            ends_T = torch.zeros(len(x_TD), dtype=torch.bool, device=x_TD.device)
            ends_T[cu_seqlens[1:][cu_seqlens[1:] > cu_seqlens[:-1]].long() - 1] = True
            later_TH = later_TH.masked_fill(ends_T.unsqueeze(1), 0.0)
        given = u_THP * (own_TH + later_TH).unsqueeze(2), decay_TH, key_THN, query_THN
        if carried is None:
            assert cu_seqlens is not None
            y_THP = ssd(*given, cu_seqlens, own=False)
        elif not len(x_TD):
            y_THP = u_THP
        else:
            before = earlier_TH[0, :, None, None] * carried.u_HP.unsqueeze(2) * carried.key_HN.unsqueeze(1)
            y_THP, carried.state_HPN = ssd_on(carried.state_HPN + before, *given, own=False)
            carried.key_HN, carried.u_HP, carried.angle_HS = key_THN[-1], u_THP[-1], angle_THS[-1]
        same_TH1 = own_TH.unsqueeze(2) * (query_THN * key_THN).sum(2, keepdim=True)
        y_TD = (y_THP + (same_TH1 + self.D_H.unsqueeze(1)) * u_THP).flatten(1)
        return self.out_proj(y_TD * F.silu(z_TD))


def _turn(x_THN: Tensor, sine_THS: Tensor, cosine_THS: Tensor) -> Tensor:
    """The first S pairs of neighbouring numbers turned by their angles."""
    pairs = x_THN[..., : 2 * sine_THS.shape[2]].unflatten(2, (-1, 2))
    first, second = pairs.unbind(3)
    turned = torch.stack([first * cosine_THS - second * sine_THS, first * sine_THS + second * cosine_THS], dim=3)
    return torch.cat([turned.flatten(2), x_THN[..., 2 * sine_THS.shape[2] :]], dim=2)


class Mamba3Encoder(LayeredEncoder):
    """Layers of Mamba-3, see `layered`."""

    def layer(self, config: Mamba3Config, index: int) -> Layer:
        return Layer(Mamba3(config.hidden_dim, config), config.hidden_dim, 0, config.dropout)
