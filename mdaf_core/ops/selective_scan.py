"""The selective scan (Gu & Dao 2023, arXiv:2312.00752, section 3) over packed sequences, behind one dispatch.

For channel d and state n, with Δ_t = softplus(δ_t + bias) where asked for:

    h_t[d,n] = exp(Δ_t[d] · A[d,n]) · h_{t−1}[d,n] + Δ_t[d] · B_t[n] · u_t[d]
    y_t[d]   = Σ_n C_t[n] · h_t[d,n] + D[d] · u_t[d],   then y_t ⊙ silu(z_t) where z is given

The state starts at zero at each sequence boundary.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.ops.segments import lengths, positions, segment_ids

Implementation = Literal["reference", "numba", "parallel", "mamba_ssm"]


def implementation(device: torch.device | str = "cpu") -> Implementation:
    """The implementation used for tensors on `device`; `MDAF_SCAN` overrides the choice. Recorded on each run.

    Raises:
        StudioError: the one asked for cannot run here.
    """
    wanted = get_settings().scan
    cuda = torch.device(device).type == "cuda"
    if wanted == "auto":
        if torch.device(device).type == "cpu":
            return "numba"
        return "mamba_ssm" if cuda and _has_mamba_ssm() else "parallel"
    if wanted == "mamba_ssm" and not (cuda and _has_mamba_ssm()):
        raise StudioError(
            "MDAF_SCAN=mamba_ssm needs a GPU and the package mamba-ssm with its compiled scan (requirements-gpu.txt). "
            "Use MDAF_SCAN=auto."
        )
    if wanted == "numba" and cuda:
        raise StudioError("MDAF_SCAN=numba runs on the CPU only. Use MDAF_SCAN=auto.")
    return wanted


# What `torch.compiler.assume_constant_result` does, which would load all of torch's compiler, as much again as torch.
implementation._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def _has_mamba_ssm() -> bool:
    """Whether the package is there with this scan compiled, without which later versions install too."""
    return all(importlib.util.find_spec(name) is not None for name in ("mamba_ssm", "selective_scan_cuda"))


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    cu_seqlens: Tensor | None = None,
) -> Tensor:
    """Selective scan; argument names as in mamba-ssm's `selective_scan_fn`, layout token-major.

    Args:
        u: (T, D) inputs of all sequences, one after another; or (batch, L, D) without `cu_seqlens`.
        delta: step sizes, shaped as u, or (T, 1) / (batch, L, 1) for a scalar step shared by all channels.
        A: (D, N) state matrix (negative for a stable system).
        B, C: (T, N) or (batch, L, N).
        D: (D,) skip weight, or None.
        z: gate, shaped as u, or None.
        delta_bias: (D,), or (1,) beside a scalar step; added to delta.
        delta_softplus: apply softplus to delta (+ bias).
        cu_seqlens: (S + 1,) int32 boundaries of the packed sequences; a sequence may be empty.

    Returns:
        y, shaped as u. Differentiable in every tensor argument.
    """
    if cu_seqlens is None:
        batch, length = u.shape[:2]
        cu_seqlens = torch.arange(0, (batch + 1) * length, max(length, 1), device=u.device, dtype=torch.int32)
        if length == 0:
            cu_seqlens = torch.zeros(batch + 1, device=u.device, dtype=torch.int32)
        flat = [None if x is None else x.reshape(batch * length, x.shape[-1]) for x in (u, delta, B, C, z)]
        u2, delta2, B2, C2, z2 = flat
        assert u2 is not None and delta2 is not None and B2 is not None and C2 is not None
        return selective_scan(u2, delta2, A, B2, C2, D, z2, delta_bias, delta_softplus, cu_seqlens).view(u.shape)

    if u.shape[0] == 0:
        return u.clone()
    if delta_bias is not None:
        delta = delta + delta_bias
    chosen = implementation(u.device)
    if chosen == "numba":
        from mdaf_core.ops.scan_numba import scan

        return scan(u, delta.expand_as(u), A, B, C, D, z, cu_seqlens, delta_softplus)
    if delta_softplus:
        delta = F.softplus(delta)
    delta = delta.expand_as(u)
    if chosen == "mamba_ssm":
        return _scan_mamba_ssm(u, delta, A, B, C, D, z, cu_seqlens)
    if chosen == "parallel":
        from mdaf_core.ops.parallel_scan import scan_parallel

        return _skip_and_gate(scan_parallel(u, delta, A, B, C, cu_seqlens), u, D, z)
    return scan_reference(u, delta, A, B, C, D, z, cu_seqlens)


def scan_reference(
    u_TD: Tensor,
    delta_TD: Tensor,
    A_DN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_D: Tensor | None,
    z_TD: Tensor | None,
    cu_seqlens: Tensor,
) -> Tensor:
    """The recurrence as it is written, one step at a time for all sequences still going: the definition for tests."""
    length_S = lengths(cu_seqlens)
    start_S = cu_seqlens[:-1].long()
    h_SDN = u_TD.new_zeros(len(length_S), *A_DN.shape)
    steps, order = [], []
    for step in range(int(length_S.max()) if len(length_S) else 0):
        active_S = (length_S > step).nonzero().squeeze(1)
        t = start_S[active_S] + step
        decay = torch.exp(delta_TD[t].unsqueeze(-1) * A_DN)
        drive = (delta_TD[t] * u_TD[t]).unsqueeze(-1) * B_TN[t].unsqueeze(1)
        h = decay * h_SDN[active_S] + drive
        h_SDN = h_SDN.index_copy(0, active_S, h)
        steps.append((h * C_TN[t].unsqueeze(1)).sum(-1))
        order.append(t)
    y_TD = torch.cat(steps)[torch.argsort(torch.cat(order))]
    return _skip_and_gate(y_TD, u_TD, D_D, z_TD)


def _skip_and_gate(y_TD: Tensor, u_TD: Tensor, D_D: Tensor | None, z_TD: Tensor | None) -> Tensor:
    if D_D is not None:
        y_TD = y_TD + D_D * u_TD
    return y_TD if z_TD is None else y_TD * F.silu(z_TD)


def _scan_mamba_ssm(
    u_TD: Tensor,
    delta_TD: Tensor,
    A_DN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_D: Tensor | None,
    z_TD: Tensor | None,
    cu_seqlens: Tensor,
) -> Tensor:
    """mamba-ssm's CUDA kernel, which knows no packed sequences: through (S, channels, longest) and back."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # type: ignore[import-not-found]

    sequence_T, place_T = segment_ids(cu_seqlens), positions(cu_seqlens)
    longest = int(lengths(cu_seqlens).max())

    def pad(x_TK: Tensor) -> Tensor:
        padded_SLK = x_TK.new_zeros(len(cu_seqlens) - 1, longest, x_TK.shape[1])
        return padded_SLK.index_put((sequence_T, place_T), x_TK).transpose(1, 2).contiguous()

    y_SDL = selective_scan_fn(
        pad(u_TD),
        pad(delta_TD),
        A_DN,
        pad(B_TN),
        pad(C_TN),
        None if D_D is None else D_D.float(),
        None if z_TD is None else pad(z_TD),
    )
    return y_SDL.transpose(1, 2)[sequence_T, place_T]
