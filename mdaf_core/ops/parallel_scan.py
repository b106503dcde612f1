"""The selective scan in whole-tensor operations, for devices without a kernel of their own (GPUs without mamba-ssm)."""

from __future__ import annotations

import torch
from torch import Tensor

from mdaf_core.ops.segments import lengths


def _recur(decay: Tensor, drive: Tensor, longest: int) -> Tensor:
    """h_t = decay_t · h_{t−1} + drive_t along the first dimension, by doubling (Hillis & Steele 1986).

    After the pass with lag k each entry holds its last 2k steps; `decay` is 0 where a sequence starts, so none reaches
    across a boundary, and ⌈log2 longest⌉ passes over all tokens do, whatever the number of sequences.
    """
    h, a, lag = drive, decay, 1
    while lag < longest:
        h = torch.cat([h[:lag], torch.addcmul(h[lag:], a[lag:], h[:-lag])])
        a = torch.cat([torch.zeros_like(a[:lag]), a[lag:] * a[:-lag]])
        lag *= 2
    return h


class _Recurrence(torch.autograd.Function):
    """`_recur`, differentiated by the same recurrence backwards in time: no pass is kept."""

    @staticmethod
    def forward(ctx, decay, drive, longest):  # type: ignore[no-untyped-def, override]
        h = _recur(decay, drive, longest)
        ctx.save_for_backward(decay, h)
        ctx.longest = longest
        return h

    @staticmethod
    def backward(ctx, dh):  # type: ignore[no-untyped-def, override]
        decay, h = ctx.saved_tensors
        next_decay = torch.cat([decay[1:], torch.zeros_like(decay[:1])])
        ddrive = _recur(next_decay.flip(0), dh.flip(0), ctx.longest).flip(0)
        before = torch.cat([torch.zeros_like(h[:1]), h[:-1]])
        return (ddrive * before).sum_to_size(decay.shape), ddrive, None


def recur(decay: Tensor, drive: Tensor, longest: int) -> Tensor:
    """h_t = decay_t · h_{t−1} + drive_t along the first dimension; `decay` may lack what it is the same over.

    Args:
        longest: entries after which a decay of 0 has come, at the latest.
    """
    h: Tensor = _Recurrence.apply(decay, drive, longest)
    return h


def scan_parallel(
    u_TD: Tensor, delta_TD: Tensor, A_DN: Tensor, B_TN: Tensor, C_TN: Tensor, cu_seqlens: Tensor
) -> Tensor:
    """y of `selective_scan` before skip and gate. Memory is O(tokens × channels × states)."""
    length_S = lengths(cu_seqlens)
    starts = torch.zeros(len(u_TD), dtype=torch.bool, device=u_TD.device)
    starts[cu_seqlens[:-1][length_S > 0].long()] = True
    decay = torch.exp(delta_TD.unsqueeze(-1) * A_DN).masked_fill(starts.view(-1, 1, 1), 0.0)
    drive = (delta_TD * u_TD).unsqueeze(-1) * B_TN.unsqueeze(1)
    h = recur(decay, drive, int(length_S.max()))
    return (h @ C_TN.unsqueeze(-1)).squeeze(-1)
