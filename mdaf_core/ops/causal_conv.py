"""Causal depthwise convolution over packed sequences (the short convolution of a Mamba block)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.segments import positions
from mdaf_core.ops.selective_scan import implementation


def causal_conv1d(
    x_TD: Tensor, weight_DK: Tensor, bias_D: Tensor | None, cu_seqlens: Tensor, silu: bool = False
) -> Tensor:
    """y[t, d] = bias[d] + Σ_k weight[d, K−1−k] · x[t−k, d] over those t−k that lie in t's own sequence; then SiLU.

    Gu & Dao 2023 (arXiv:2312.00752), section 3.4; the weight layout is that of `torch.nn.Conv1d` without its
    middle dimension, as in mamba-ssm.

    Args:
        x_TD: tokens of all sequences, one after another.
        weight_DK: one filter a channel.
        bias_D: added to every token, or None.
        cu_seqlens: (S + 1,) boundaries; sequences may be empty.
        silu: apply x · σ(x) to the result.
    """
    if len(x_TD) and implementation(x_TD.device) == "numba":
        from mdaf_core.ops.conv_numba import convolve

        return convolve(x_TD, weight_DK, x_TD.new_zeros(x_TD.shape[1]) if bias_D is None else bias_D, silu, cu_seqlens)
    return convolve_reference(x_TD, weight_DK, bias_D, silu, cu_seqlens)


def convolve_reference(
    x_TD: Tensor, weight_DK: Tensor, bias_D: Tensor | None, silu: bool, cu_seqlens: Tensor
) -> Tensor:
    """The sum as it is written, on any device."""
    width = weight_DK.shape[1]
    position_T = positions(cu_seqlens)
    y_TD = x_TD * weight_DK[:, -1]
    if bias_D is not None:
        y_TD = y_TD + bias_D
    for lag in range(1, min(width, len(x_TD))):
        inside_T1 = (position_T[lag:] >= lag).to(x_TD.dtype).unsqueeze(1)
        y_TD[lag:] += x_TD[:-lag] * inside_T1 * weight_DK[:, -1 - lag]
    return F.silu(y_TD) if silu else y_TD
