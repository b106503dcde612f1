"""Mamba as one would write it without packed sequences: plain recurrence, and `mambapy`'s parallel scan from PyPI."""

from __future__ import annotations

import torch
from mambapy.mamba import MambaBlock, MambaConfig
from mambapy.pscan import pscan
from torch import Tensor, nn
from torch.nn import functional as F

from mdaf_core.ops.segments import lengths, positions, segment_ids


def sequential_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor) -> Tensor:
    """The recurrence that mamba-ssm's reference defines, step by step on (batch, length, channels)."""
    delta = F.softplus(delta)
    decay = torch.exp(delta.unsqueeze(-1) * A)
    drive = (delta * u).unsqueeze(-1) * B.unsqueeze(2)
    h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    outs = []
    for t in range(u.shape[1]):
        h = decay[:, t] * h + drive[:, t]
        outs.append(torch.einsum("bdn,bn->bd", h, C[:, t]))
    return (torch.stack(outs, dim=1) + D * u) * F.silu(z)


def parallel_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor) -> Tensor:
    """The same by `mambapy`'s parallel scan (Blelloch), as its block uses it."""
    delta = F.softplus(delta)
    states = pscan(torch.exp(delta.unsqueeze(-1) * A), (delta * u).unsqueeze(-1) * B.unsqueeze(2))
    y = (states @ C.unsqueeze(-1)).squeeze(3)
    return (y + D * u) * F.silu(z)


class PaddedBlock(nn.Module):
    """`mambapy`'s block behind our block's interface: packed tokens are padded to `length` events and back."""

    def __init__(self, dim: int, state_dim: int, length: int):
        super().__init__()
        self.block = MambaBlock(MambaConfig(d_model=dim, n_layers=1, d_state=state_dim))
        self.length = length

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor, *_: object) -> Tensor:
        row_T, place_T = segment_ids(cu_seqlens), positions(cu_seqlens)
        padded_BLD = x_TD.new_zeros(len(lengths(cu_seqlens)), self.length, x_TD.shape[1])
        return self.block(padded_BLD.index_put((row_T, place_T), x_TD))[row_T, place_T]
